#!/usr/bin/env bash
# Figures beside their goals: Slipway and kubeadm by hand, one after the other, on
# the same lab hosts, binaries and images present.
# Usage: bench.sh SLIPWAY BUNDLE
set -euo pipefail
cd "$(dirname "$0")/.."
slipway=$(readlink -f "$1") bundle=$2
lab=bench-$$
file=${XDG_DATA_HOME:-$HOME/.local/share}/slipway/labs/$lab/cluster.yaml
work=$(mktemp -d)
export XDG_STATE_HOME=$work/state
cleanup() {
    "$slipway" lab down --name "$lab" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap cleanup EXIT

on() { # HOST COMMAND…: as root on a host
    local host=$1
    shift
    "$slipway" lab ssh --name "$lab" "$host" sudo "$(printf '%q ' "$@")"
}
kubectl() { on cp-1 kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }
seconds() { # COMMAND…: prints how long it took; its output only if it fails
    local start end
    start=$(date +%s%N)
    "$@" >"$work/out" 2>&1 || { tail -n 30 "$work/out" >&2; return 1; }
    end=$(date +%s%N)
    awk -v n=$((end - start)) 'BEGIN { printf "%.1f", n / 1e9 }'
}
row() { printf '%-66s %8s   %s\n' "$1" "$2" "$3"; }

# Takes Kubernetes off the hosts the way kubeadm's users do; runtime, binaries
# and images stay, so that both start from the same.
kubeadm_reset() {
    local host
    for host in w-1 w-2 cp-1; do
        on "$host" kubeadm reset -f
        on "$host" sh -c 'rm -rf /etc/cni/net.d/* /var/lib/cni /etc/kubernetes/*
            for link in cni0 flannel.1; do ip link delete $link 2>/dev/null; done
            iptables -F; iptables -t nat -F; iptables -X; iptables -t nat -X; true'
    done
}
kubeadm_by_hand() {
    local join host
    on cp-1 kubeadm init --config /root/kubeadm.yaml --ignore-preflight-errors=SystemVerification
    # What this takes beside kubeadm: the network that makes nodes Ready.
    kubectl apply -f /root/flannel.yaml
    join=$(on cp-1 kubeadm token create --print-join-command)
    for host in w-1 w-2; do
        # shellcheck disable=SC2086
        on "$host" $join --ignore-preflight-errors=SystemVerification
    done
    kubectl wait --for=condition=Ready node --all --timeout=180s
}
slipway_init() {
    "$slipway" init -f "$work/same.yaml" --bundle "$bundle" -y
}

row WHAT SECONDS GOAL
"$slipway" lab up --name "$lab" --bundle "$bundle" --hosts-only >/dev/null 2>&1
row "preflight: connect, bring the agent, facts and checks of 3 bare hosts" "$(seconds "$slipway" preflight -f "$file")" ""
row "init: 3 bare hosts, everything uploaded, addons running" "$(seconds "$slipway" init -f "$file" --bundle "$bundle" -y)" ""
row "second apply: no change" "$(seconds "$slipway" apply -f "$file" --bundle "$bundle" -y)" "under 5"

version=$(awk '/kubernetesVersion:/ { print $2 }' "$file")
address=$(sed -n 's/.*name: cp-1, address: \([0-9.]*\),.*/\1/p' "$file")
for host in w-1 w-2; do
    on cp-1 cat /usr/local/bin/kubeadm | on "$host" sh -c 'cat >/usr/local/bin/kubeadm && chmod 755 /usr/local/bin/kubeadm'
done
on cp-1 sh -c 'cat >/root/kubeadm.yaml' <<YAML
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: { advertiseAddress: $address }
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: $version
encryptionAlgorithm: ECDSA-P256
networking: { podSubnet: 10.244.0.0/16 }
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
conntrack: { maxPerCore: 0, min: 0 }
YAML
# Flannel exactly as Slipway applied it, without what the API server added.
for object in namespace/kube-flannel serviceaccount/flannel configmap/kube-flannel-cfg daemonset/kube-flannel-ds clusterrole/flannel clusterrolebinding/flannel; do
    kubectl -n kube-flannel get "$object" -o json
done | jq -s '{apiVersion: "v1", kind: "List", items: map(del(.status, .metadata.uid, .metadata.resourceVersion, .metadata.managedFields, .metadata.creationTimestamp, .metadata.generation))}' |
    on cp-1 sh -c 'cat >/root/flannel.yaml'

# The same work for both: no metrics-server, ended when all nodes are Ready.
sed 's/^spec:/spec:\n  addons: { metricsServer: false }/' "$file" >"$work/same.yaml"
kubeadm_reset >/dev/null 2>&1
by_hand=$(seconds kubeadm_by_hand)
row "kubeadm by hand: init, flannel, two joins, all nodes Ready" "$by_hand" ""
kubeadm_reset >/dev/null 2>&1
row "slipway init: the same, and CoreDNS available" "$(seconds slipway_init)" "no slower ($by_hand)"
