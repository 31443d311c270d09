#!/usr/bin/env bash
# Figures beside their goals, on lab hosts of this machine: three, one of them the control
# plane, then five, three of them, of which one crashes. Slipway and kubeadm are timed on
# the same hosts in the same run.
# Usage: bench.sh EXAMPLES [three | five | upgrade]   (the folder of built examples)
set -euo pipefail
cd "$(dirname "$0")/.."
RESULTS=/dev/null # there are no outcomes here, only figures
source tests/lib.sh
source tests/lab.sh
source tests/kubeadm.sh
source tests/writer.sh
examples=$1 part=${2:-both}

seconds() { # COMMAND…: prints how long it took; its output only if it fails
    local start end
    start=$(date +%s%N)
    "$@" >"$work/out" 2>&1 || { tail -n 30 "$work/out" >&2; return 1; }
    end=$(date +%s%N)
    awk -v n=$((end - start)) 'BEGIN { printf "%.1f", n / 1e9 }'
}
row() { printf '%-66s %8s   %s\n' "$1" "$2" "$3"; }

# Nodes Ready and cluster DNS available: what both ways of installing must reach.
# Usage: works COUNT
works() {
    kubectl wait node --all --for=condition=Ready --timeout=240s &&
        [ "$(kubectl get nodes -o name | wc -l)" -eq "$1" ] &&
        kubectl -n kube-system rollout status deployment/coredns --timeout=240s
}

# Takes the cluster off hosts and leaves binaries, images, containerd and the kubelet's
# unit, as kubeadm's documentation says to clean up after `kubeadm reset`.
# Usage: take_cluster_away HOST…
take_cluster_away() {
    local host
    for host in "$@"; do
        on "$host" sh -ec '
            kubeadm reset --force --cri-socket '"$socket"'
            systemctl disable --now slipway-apiserver-proxy 2>/dev/null || true
            rm -rf /etc/cni/net.d/* /var/lib/cni /run/flannel # the folder itself is watched by containerd
            for link in cni0 flannel.1; do ip link delete "$link" 2>/dev/null || true; done
            for tool in iptables ip6tables; do
                for table in filter nat mangle; do "$tool" -t "$table" -F; "$tool" -t "$table" -X; done
            done'
    done >"$work/away" 2>&1 || { tail -n 30 "$work/away" >&2; exit 1; }
}

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

# Equal work: kubeadm by hand brings no metrics-server.
without_metrics_server() { sed -i '/^  hosts:/i\  addons: { metricsServer: false }' "$file"; }

by_hand_on_three() { kubeadm_init && kubeadm_join w-1 w-2 && works 3; }
slipway_on_three() { init && works 3; }
three_hosts() {
    local by_hand
    row "lab up: three bare hosts" "$(seconds hosts_up)" ""
    row "preflight: connect, bring the agent, facts and checks of 3 bare hosts" "$(seconds "$slipway" preflight -f "$file")" ""
    row "init: 3 bare hosts, everything uploaded, addons running" "$(seconds init)" ""
    row "second apply: no change" "$(seconds "$slipway" apply -f "$file" --bundle "$bundle" -y)" "under 5"
    upload
    save_flannel
    bring_kubeadm w-1 w-2
    take_cluster_away w-2 w-1 cp-1
    by_hand=$(seconds by_hand_on_three)
    row "kubeadm by hand: init, flannel, two joins, until DNS is available" "$by_hand" ""
    take_cluster_away w-2 w-1 cp-1
    without_metrics_server
    row "slipway init on the same hosts, binaries and images present, same end" "$(seconds slipway_on_three)" "at most $by_hand"
}

five_hosts_up() {
    "$slipway" lab up --name "$lab" --control-planes 3 --workers 2 --kubernetes-version "$version" --hosts-only
}
by_hand_on_five() {
    endpoint=api.slipway.test kubeadm_init --upload-certs && kubeadm_join_control_planes cp-2 cp-3 &&
        kubeadm_join w-1 w-2 && works 5
}
slipway_on_five() { init && works 5; }
crash_and_come_back() {
    works 5 && writer_starts && silence_after_crash cp-1 && podman start "slipway-$lab-cp-1" &&
        eventually 120 works 5 && writer_ends && acknowledged_is_there
}
five_hosts() {
    local host ours by_hand
    seconds five_hosts_up >"$work/up"
    row "init: 5 bare hosts, 3 control planes, everything uploaded" "$(seconds init)" ""
    seconds crash_and_come_back >"$work/crash"
    row "a control-plane host crashes: workers without the API, at most" "$(cat "$work/silence")" "under 5"
    row "the same: longest pause of somebody who writes through a worker" "$(longest_pause)" "under 5"
    save_flannel
    bring_kubeadm w-1 w-2
    for host in cp-1 cp-2 cp-3 w-1 w-2; do
        on "$host" sh -c "echo '$(address_of cp-1) api.slipway.test' >>/etc/hosts"
    done
    without_metrics_server
    take_cluster_away w-2 w-1 cp-3 cp-2 cp-1
    ours=$(seconds slipway_on_five)
    take_cluster_away w-2 w-1 cp-3 cp-2 cp-1
    by_hand=$(seconds by_hand_on_five)
    row "kubeadm by hand: init, flannel, 2 control planes and 2 workers join" "$by_hand" ""
    row "slipway init on the same 5 hosts, all present, same end" "$ours" \
        "at most $(awk -v it="$by_hand" 'BEGIN { printf "%.1f", it / 2 }')"
}

# One control-plane node goes from the minor before to this one, by Slipway and by kubeadm, on
# the same host, with images present. kubeadm swaps etcd, API server, controller manager and
# scheduler and renews certificates; Slipway does that, and keeps the node's files, takes a
# snapshot of etcd, brings the kubelet, and waits until it has settled.
old=1.35.4
old_bundle=$SLIPWAY_CACHE/bundles/slipway-$old.bundle
old_one_up() { "$slipway" init -f "$file" --bundle "$old_bundle" -y && works 1; }
old_again() {
    "$slipway" reset -f "$file" --all -y && sed -i "s/kubernetesVersion: .*/kubernetesVersion: v$old/" "$file" && old_one_up
}
images_there() {
    local layout
    for layout in $(image_layouts all); do
        tar -C "$layout" -cf - . | on cp-1 ctr --namespace k8s.io images import --local -
    done
}
slipway_upgrades() { "$slipway" upgrade apply "$version" -f "$file" --bundle "$bundle" -y; }
kubeadm_upgrades() { on cp-1 kubeadm upgrade apply "v$version" --yes --ignore-preflight-errors=SystemVerification,CreateJob; }
one_upgrade() {
    local ours by_hand
    "$slipway" lab up --name "$lab" --workers 0 --kubernetes-version "$old" --hosts-only >"$work/up" 2>&1
    seconds old_one_up >"$work/took"
    seconds images_there >"$work/took"
    bring_kubeadm cp-1
    by_hand=$(seconds kubeadm_upgrades)
    seconds old_again >"$work/took"
    seconds images_there >"$work/took"
    ours=$(seconds slipway_upgrades)
    row "kubeadm upgrade apply $old -> $version, one control-plane node" "$by_hand" ""
    row "slipway upgrade apply on the same host, the kubelet too" "$ours" \
        "at most $(awk -v it="$by_hand" 'BEGIN { printf "%.1f", it / 3 }')"
}
lab_away() { "$slipway" lab down --name "$lab" >"$work/down" 2>&1; }

row WHAT SECONDS GOAL
case $part in
    three) three_hosts ;;
    five) five_hosts ;;
    upgrade) one_upgrade ;;
    *) three_hosts; lab_away; five_hosts; lab_away; one_upgrade ;;
esac
