#!/usr/bin/env bash
# Figures beside their goals, on three lab hosts of this machine, one of them the
# control plane. Slipway and kubeadm are timed on the same hosts in the same run.
# Usage: bench.sh SLIPWAY BUNDLE EXAMPLES   (EXAMPLES: the folder of built examples)
set -euo pipefail
cd "$(dirname "$0")/.."
slipway=$(readlink -f "$1") bundle=$2 examples=$3
version=${KUBERNETES:-1.36.3}
lab=bench-$$
labs=${XDG_DATA_HOME:-$HOME/.local/share}/slipway/labs
file=$labs/$lab/cluster.yaml
work=$(mktemp -d)
export XDG_STATE_HOME=$work/state
cleanup() {
    "$slipway" lab down --name "$lab" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap cleanup EXIT

seconds() { # COMMAND…: prints how long it took; its output only if it fails
    local start end
    start=$(date +%s%N)
    "$@" >"$work/out" 2>&1 || { tail -n 30 "$work/out" >&2; return 1; }
    end=$(date +%s%N)
    awk -v n=$((end - start)) 'BEGIN { printf "%.1f", n / 1e9 }'
}
row() { printf '%-66s %8s   %s\n' "$1" "$2" "$3"; }
on() { # HOST COMMAND…: as root; standard input is passed on
    local host=$1
    shift
    "$slipway" lab ssh --name "$lab" "$host" sudo "$(printf '%q ' "$@")"
}
kubectl() { on cp-1 kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }

# Nodes Ready and cluster DNS available: what both ways of installing must reach.
works() {
    kubectl wait node --all --for=condition=Ready --timeout=240s
    [ "$(kubectl get nodes -o name | wc -l)" -eq 3 ]
    kubectl -n kube-system rollout status deployment/coredns --timeout=240s
}

# Takes the cluster off the hosts and leaves binaries, images, containerd and the
# kubelet's unit, as kubeadm's documentation says to clean up after `kubeadm reset`.
take_cluster_away() {
    local host
    for host in w-2 w-1 cp-1; do
        on "$host" sh -ec '
            kubeadm reset --force --cri-socket unix:///run/containerd/containerd.sock
            rm -rf /etc/cni/net.d /var/lib/cni /run/flannel
            for link in cni0 flannel.1; do ip link delete "$link" 2>/dev/null || true; done
            for tool in iptables ip6tables; do
                for table in filter nat mangle; do "$tool" -t "$table" -F; "$tool" -t "$table" -X; done
            done'
    done
}

kubeadm_by_hand() {
    local address join host
    address=$(awk '/name: cp-1/ { sub(/.*address: /, ""); sub(/,.*/, ""); print }' "$file")
    {
        cat <<YAML
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: { advertiseAddress: $address }
nodeRegistration: { name: cp-1, criSocket: "unix:///run/containerd/containerd.sock", ignorePreflightErrors: [SystemVerification] }
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v$version
networking: { podSubnet: 10.244.0.0/16 }
YAML
        sed -n '/^---/,$p' "$file"
    } | on cp-1 tee /root/kubeadm.yaml >/dev/null
    on cp-1 kubeadm init --config /root/kubeadm.yaml
    kubectl create -f - <"$work/flannel.json"
    join=$(on cp-1 kubeadm token create --print-join-command | tr -d '\r')
    for host in w-1 w-2; do
        # shellcheck disable=SC2086
        on "$host" $join --cri-socket unix:///run/containerd/containerd.sock --ignore-preflight-errors=SystemVerification
    done
    works
}
slipway_init() { "$slipway" init -f "$file" --bundle "$bundle" -y && works; }

# Flannel as Slipway installed it, to be installed by hand with kubectl.
save_flannel() {
    kubectl get -o json namespace/kube-flannel clusterrole/flannel clusterrolebinding/flannel >"$work/cluster.json"
    kubectl -n kube-flannel get -o json serviceaccount/flannel configmap/kube-flannel-cfg daemonset/kube-flannel-ds >"$work/namespaced.json"
    jq -s '{ apiVersion: "v1", kind: "List", items: [.[].items[] | del(.status, .metadata.uid, .metadata.resourceVersion,
        .metadata.creationTimestamp, .metadata.generation, .metadata.managedFields)] }' "$work/cluster.json" "$work/namespaced.json" >"$work/flannel.json"
}

# One file of random bytes over the product's SSH and over scp, in turn, twice.
upload() {
    local folder=$labs/$lab address speed scp size=400
    head -c "${size}M" /dev/urandom >"$work/random"
    address=$(awk '/name: w-1/ { sub(/.*address: /, ""); sub(/,.*/, ""); print }' "$file")
    for _ in 1 2; do
        speed=$("$examples/upload_speed" "$address" 22 ops "$folder/id_ed25519" "$folder/known_hosts" "$work/random" /tmp/random |
            sed -nE 's/.* at ([0-9]+) MB.*/\1/p')
        scp=$(seconds scp -q -i "$folder/id_ed25519" -o "UserKnownHostsFile=$folder/known_hosts" "$work/random" "ops@$address:/tmp/random")
    done
    row "upload of $size MiB, MB/s" "$speed" "scp: $(awk -v s="$scp" -v m="$size" 'BEGIN { printf "%.0f", m * 1.048576 / s }')"
    rm -f "$work/random"
    on w-1 rm -f /tmp/random
}

row WHAT SECONDS GOAL
row "lab up: three bare hosts" "$(seconds "$slipway" lab up --name "$lab" --kubernetes-version "$version" --hosts-only)" ""
row "preflight: connect, bring the agent, facts and checks of 3 bare hosts" "$(seconds "$slipway" preflight -f "$file")" ""
row "init: 3 bare hosts, everything uploaded, addons running" "$(seconds "$slipway" init -f "$file" --bundle "$bundle" -y)" ""
row "second apply: no change" "$(seconds "$slipway" apply -f "$file" --bundle "$bundle" -y)" "under 5"
upload
save_flannel
take_cluster_away >"$work/away" 2>&1 || { tail -n 30 "$work/away" >&2; exit 1; }
by_hand=$(seconds kubeadm_by_hand)
row "kubeadm by hand: init, flannel, two joins, until DNS is available" "$by_hand" ""
take_cluster_away >"$work/away" 2>&1 || { tail -n 30 "$work/away" >&2; exit 1; }
# Equal work: kubeadm by hand brings no metrics-server.
sed -i '/^  hosts:/i\  addons: { metricsServer: false }' "$file"
row "slipway init on the same hosts, binaries and images present, same end" "$(seconds slipway_init)" "at most $by_hand"
