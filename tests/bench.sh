#!/usr/bin/env bash
# Figures beside their goals, on three lab hosts of this machine, one of them the
# control plane. Slipway and kubeadm are timed on the same hosts in the same run.
# Usage: bench.sh EXAMPLES   (the folder of built examples)
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/lab.sh
source tests/kubeadm.sh
examples=$1

seconds() { # COMMAND…: prints how long it took; its output only if it fails
    local start end
    start=$(date +%s%N)
    "$@" >"$work/out" 2>&1 || { tail -n 30 "$work/out" >&2; return 1; }
    end=$(date +%s%N)
    awk -v n=$((end - start)) 'BEGIN { printf "%.1f", n / 1e9 }'
}
row() { printf '%-66s %8s   %s\n' "$1" "$2" "$3"; }

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
            kubeadm reset --force --cri-socket '"$socket"'
            rm -rf /etc/cni/net.d/* /var/lib/cni /run/flannel # the folder itself is watched by containerd
            for link in cni0 flannel.1; do ip link delete "$link" 2>/dev/null || true; done
            for tool in iptables ip6tables; do
                for table in filter nat mangle; do "$tool" -t "$table" -F; "$tool" -t "$table" -X; done
            done'
    done
}

kubeadm_by_hand() { kubeadm_init && kubeadm_join w-1 w-2 && works; }
slipway_init() { init && works; }

# One file of random bytes over the product's SSH and over scp, in turn, twice.
upload() {
    local folder=$labs/$lab address speed scp size=400
    address=$(address_of w-1)
    head -c "${size}M" /dev/urandom >"$work/random"
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
row "lab up: three bare hosts" "$(seconds hosts_up)" ""
row "preflight: connect, bring the agent, facts and checks of 3 bare hosts" "$(seconds "$slipway" preflight -f "$file")" ""
row "init: 3 bare hosts, everything uploaded, addons running" "$(seconds init)" ""
row "second apply: no change" "$(seconds "$slipway" apply -f "$file" --bundle "$bundle" -y)" "under 5"
upload
save_flannel
bring_kubeadm w-1 w-2
take_cluster_away >"$work/away" 2>&1 || { tail -n 30 "$work/away" >&2; exit 1; }
by_hand=$(seconds kubeadm_by_hand)
row "kubeadm by hand: init, flannel, two joins, until DNS is available" "$by_hand" ""
take_cluster_away >"$work/away" 2>&1 || { tail -n 30 "$work/away" >&2; exit 1; }
# Equal work: kubeadm by hand brings no metrics-server.
sed -i '/^  hosts:/i\  addons: { metricsServer: false }' "$file"
row "slipway init on the same hosts, binaries and images present, same end" "$(seconds slipway_init)" "at most $by_hand"
