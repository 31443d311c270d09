#!/usr/bin/env bash
# Story: the control plane grows from three nodes to five and shrinks to three
# others, by editing the file and `apply`, while somebody writes through a
# worker's balancer; a dead node is replaced, a removed one comes back, and what
# would cost etcd its quorum is refused.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh

# The control-plane host that stays throughout.
asked=cp-2
kubectl() { on "$asked" kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }
six_hosts_up() {
    "$slipway" lab up --name "$lab" --control-planes 5 --workers 1 --kubernetes-version "$version" --hosts-only
}
# Writes the lab's file with these control-plane hosts and the worker only. Usage: file_of HOST…
file_of() {
    awk -v kept=" $* w-1 " '/- { name: / { name = $4; sub(/,/, "", name); if (!index(kept, " " name " ")) next } { print }' \
        "$file" >"$work/cluster.yaml"
    cat "$work/cluster.yaml"
}
apply() { "$slipway" apply -f "$work/cluster.yaml" --bundle "$bundle" -y; }
no_changes() { prints '^No changes' "$slipway" plan -f "$work/cluster.yaml" --bundle "$bundle"; }
init_three() {
    file_of cp-1 cp-2 cp-3
    "$slipway" init -f "$work/cluster.yaml" --bundle "$bundle" -y
}
# Succeeds when etcd has these members and no others, and all vote. Usage: members_are HOST…
members_are() {
    "$slipway" etcd members -f "$work/cluster.yaml" -o json >"$work/members.json" || true
    jq -c '[.members[].member | {name, isLearner}]' "$work/members.json"
    [ "$(jq -r '[.members[].member | select(.isLearner | not) | .name] | sort | join(" ")' "$work/members.json")" = "$*" ]
}

# Writes numbered ConfigMaps on the worker, through its balancer, one after the
# other, and notes on the host which of them were acknowledged, and when.
writer_starts() {
    kubectl create namespace counted
    kubectl -n counted create serviceaccount writer
    kubectl -n counted create rolebinding writer --clusterrole=edit --serviceaccount=counted:writer
    kubectl -n counted create token writer --duration=2h | on w-1 sh -c 'umask 077; cat >/root/token'
    on w-1 sh -c 'cat >/root/write.sh' <<'WRITE'
n=0
while [ ! -e /root/stop ]; do
    n=$((n + 1))
    body="{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"n-$n\"}}"
    while [ ! -e /root/stop ]; do
        code=$(curl -s -o /dev/null -w '%{http_code}' --max-time 2 --cacert /etc/kubernetes/pki/ca.crt \
            -H "Authorization: Bearer $(cat /root/token)" -H 'Content-Type: application/json' \
            -d "$body" https://127.0.0.1:6443/api/v1/namespaces/counted/configmaps)
        # 409: it was written, and the answer was lost.
        case $code in 201 | 409) echo "$(date +%s%N) n-$n" >>/root/written; break ;; *) echo "$(date +%s%N) $code" >>/root/refused; sleep 0.1 ;; esac
    done
    sleep 0.1
done
WRITE
    on w-1 systemd-run --unit=writer sh /root/write.sh
    eventually 20 on w-1 test -s /root/written
}
grows_to_five() {
    file_of cp-1 cp-2 cp-3 cp-4 cp-5
    apply
    eventually 30 members_are cp-1 cp-2 cp-3 cp-4 cp-5
    eventually 60 nodes_ready 6
}
plan_says_who_goes() {
    file_of cp-2 cp-4 cp-5
    local status=0
    "$slipway" plan -f "$work/cluster.yaml" --bundle "$bundle" >"$work/plan" 2>&1 || status=$?
    cat "$work/plan"
    [ "$status" -eq 2 ]
    grep -qE 'cp-2 +remove cp-1 from etcd' "$work/plan"
    grep -qE 'cp-2 +delete node cp-3' "$work/plan"
    grep -q 'no longer in the file: cp-1, cp-3;' "$work/plan"
    eventually 5 nodes_ready 6
}
shrinks_to_three_others() {
    apply
    eventually 30 members_are cp-2 cp-4 cp-5
    eventually 60 nodes_ready 4
    host_is_clean cp-1
    host_is_clean cp-3
}
joins_are_sent_to_one_that_stays() {
    local address
    for address in "$(address_of cp-1)" "$(address_of cp-3)"; do
        fails grep -F "$address" <(kubectl -n kube-system get configmap kubeadm-config -o yaml)
        fails grep -F "$address" <(kubectl -n kube-public get configmap cluster-info -o yaml)
    done
}
nothing_acknowledged_is_lost() {
    on w-1 touch /root/stop
    sleep 3
    on w-1 cat /root/written >"$work/written"
    kubectl -n counted get configmaps -o name | sed 's#configmap/##' | sort >"$work/there"
    cut -d' ' -f2 "$work/written" | sort >"$work/acknowledged"
    wc -l <"$work/acknowledged"
    [ "$(wc -l <"$work/acknowledged")" -gt 100 ]
    comm -23 "$work/acknowledged" "$work/there" | tee "$work/lost"
    [ ! -s "$work/lost" ]
    local longest
    longest=$(awk 'NR > 1 && $1 - last > max { max = $1 - last } { last = $1 } END { printf "%.1f", max / 1e9 }' "$work/written")
    echo "the longest pause of the writer: $longest s (aim 5)" | tee "$SLIPWAY_CACHE/longest-pause"
    awk -v it="$longest" 'BEGIN { exit it > 25 }'
}

dead_one_is_replaced() {
    podman kill "slipway-$lab-cp-5"
    file_of cp-1 cp-2 cp-4
    local status=0
    apply >"$work/replaced" 2>&1 || status=$?
    cat "$work/replaced"
    # It is out of the cluster; that nobody cleaned its host is said.
    [ "$status" -eq 4 ]
    grep -q cp-5 "$work/replaced"
    eventually 30 members_are cp-1 cp-2 cp-4
    eventually 60 nodes_ready 4
    no_changes
}
quorum_is_counted_first() {
    podman kill "slipway-$lab-cp-4"
    eventually 30 fails members_healthy
    refuses 64 'without cp-1 etcd would lose its quorum: 1 of the 2 members left would be healthy, and 2 must be' \
        "$slipway" reset -f "$work/cluster.yaml" --host cp-1 -y
    members_are cp-1 cp-2 cp-4
}
members_healthy() { "$slipway" etcd members -f "$work/cluster.yaml" >/dev/null; }
dead_one_is_taken_out() {
    local status=0
    "$slipway" reset -f "$work/cluster.yaml" --host cp-4 -y || status=$?
    [ "$status" -eq 4 ]
    members_are cp-1 cp-2
    fails kubectl get node cp-4
}
it_comes_back_with_its_old_data() {
    podman start "slipway-$lab-cp-4"
    eventually 60 on cp-4 true
    apply
    eventually 30 members_are cp-1 cp-2 cp-4
    eventually 90 nodes_ready 4
    no_changes
}
status_is_one_page() {
    "$slipway" status -f "$work/cluster.yaml" | tee "$work/status"
    grep -qE '^cp-4 +[0-9a-f]+ +healthy' "$work/status"
}
reset_all() {
    file_of cp-1 cp-2 cp-4
    "$slipway" reset -f "$work/cluster.yaml" --all -y
    local host
    for host in cp-1 cp-2 cp-4 w-1; do
        host_is_clean "$host"
    done
}

if subtest "six bare hosts boot" six_hosts_up; then
    if subtest "init brings up three control-plane nodes and a worker" init_three; then
        subtest "somebody writes through the worker's balancer" writer_starts || true
        if subtest "apply grows the control plane to five" grows_to_five; then
            subtest "a second apply changes nothing" no_changes || true
            subtest "the plan says who goes" plan_says_who_goes || true
            subtest "apply shrinks it to three others, the first goes too" shrinks_to_three_others || true
            subtest "a second apply changes nothing then either" no_changes || true
            subtest "kubeadm's joins are sent to one that stays" joins_are_sent_to_one_that_stays || true
        fi
        subtest "nothing that was acknowledged is lost" nothing_acknowledged_is_lost || true
        if subtest "a dead node is replaced by editing the file" dead_one_is_replaced; then
            subtest "the quorum is counted before a host is reset" quorum_is_counted_first || true
            if subtest "a dead node is taken out" dead_one_is_taken_out; then
                subtest "it comes back with its old data and joins" it_comes_back_with_its_old_data || true
            fi
        fi
        subtest "status is one page" status_is_one_page || true
        subtest "reset --all leaves the hosts bare" reset_all || true
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
