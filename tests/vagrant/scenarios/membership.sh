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
source tests/writer.sh

# The control-plane host that stays throughout.
asked=cp-2
kubectl() { on "$asked" kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }
six_hosts_up() {
    "$slipway" lab up --name "$lab" --control-planes 5 --workers 1 --kubernetes-version "$version" --hosts-only
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
