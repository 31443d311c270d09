#!/usr/bin/env bash
# Story: of three control-plane hosts two are lost for good, and etcd with them, while
# somebody writes through a worker's balancer. The one that is left becomes a cluster of
# one: everything that it had heard of is there, and the writer goes on. The lost hosts
# come back, are reset and join again; a host that would take the quorum with it goes only
# by force.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh
source tests/writer.sh

four_hosts_up() {
    "$slipway" lab up --name "$lab" --control-planes 3 --workers 1 --kubernetes-version "$version" --hosts-only
}
members() { "$slipway" etcd members -f "$file" "$@"; }
reset() { "$slipway" reset -f "$file" -y "$@"; }
recover() { "$slipway" etcd recover -f "$file" "$@"; }
inventory() { kubectl get configmaps -A -o 'jsonpath={range .items[*]}{.metadata.namespace}/{.metadata.name} {.metadata.uid} {.data}{"\n"}{end}' | sort; }
objects_are_made() {
    kubectl create namespace harbour
    local number
    for number in $(seq 1 40); do
        echo "---
apiVersion: v1
kind: ConfigMap
metadata: { name: ship-$number, namespace: harbour }
data: { cargo: \"crate $number\" }"
    done | on cp-1 kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f -
    inventory | grep '^harbour/ship-' >"$work/before"
    [ "$(wc -l <"$work/before")" -eq 40 ]
}
quorum_that_holds_is_left_alone() {
    refuses 64 '3 of 3 members answer, 3 are healthy, and the quorum is 2' recover --dry-run
    podman kill "slipway-$lab-cp-3"
    eventually 60 refuses 64 '2 of 3 members answer, 2 are healthy, and the quorum is 2' recover -y
}
second_is_lost() {
    # Two members voted, so that both had whatever was acknowledged; but if the other led,
    # the survivor hears a heartbeat later what is committed, and drops what it has not heard.
    local from=$(($(date +%s%N) - 1000000000)) before
    podman kill "slipway-$lab-cp-2"
    echo "$from $(date +%s%N)" >"$work/loss"
    eventually 60 fails kubectl --request-timeout=5s get --raw /readyz
    refuses 1 'etcd has no quorum' status_of_members
    before=$(written)
    sleep 5
    [ "$(written)" -eq "$before" ]
}
status_of_members() { members && return 0 || return 1; }
plan_is_shown() {
    local status=0
    recover --dry-run >"$work/plan" 2>&1 || status=$?
    cat "$work/plan"
    [ "$status" -eq 2 ]
    grep -qE '1 of 3 members answer, 2 are needed\. The one on cp-1 goes on: raft index [0-9]+, revision [0-9]+' "$work/plan"
    grep -qE 'cp-1 +stop kube-apiserver, etcd' "$work/plan"
    grep -qE 'cp-1 +make etcd member cp-1 a cluster of one, a copy of its data kept in /var/lib/etcd/before-' "$work/plan"
    fails grep -qE 'cp-[23] +(stop|move|make)' "$work/plan"
    on cp-1 test -e /etc/kubernetes/manifests/etcd.yaml
}
recovery_asks() { refuses 64 'nobody can be asked' recover; }
lost_one_is_no_survivor() { refuses 64 'no etcd member answers on cp-2' recover --host cp-2 -y; }
# Cut off while etcd starts alone: the flag must not stay, and the same command goes on.
cut_off_recovery_goes_on() {
    # Not the function: killed, its shell would leave the program behind.
    "$slipway" etcd recover -f "$file" -y >"$work/cut" 2>&1 &
    local run=$!
    eventually 120 on cp-1 grep -q force-new-cluster /etc/kubernetes/manifests/etcd.yaml
    kill -9 "$run"
    wait "$run" || true
    # The agent finishes its step; another attempt waits for the host.
    eventually 120 recovery_goes_on || { head -n 40 "$work/recovered"; return 1; }
    [ "$(on cp-1 sh -c 'ls -d /var/lib/etcd/before-* | wc -l')" -eq 1 ]
}
recovery_goes_on() { recover -y >>"$work/recovered" 2>&1; }
one_member_is_left() {
    members -o json >"$work/members.json" || true
    jq -c '[.members[] | {name: .member.name, failure}]' "$work/members.json"
    jq -e '(.members | length == 1) and .members[0].member.name == "cp-1" and .members[0].failure == null' "$work/members.json"
}
flag_is_gone() {
    fails on cp-1 grep -rq force-new-cluster /etc/kubernetes/manifests /var/lib/slipway/etcd
    fails on cp-1 pgrep -f '[f]orce-new-cluster'
    fails on cp-1 test -e /var/lib/slipway/etcd/recovering
    on cp-1 sh -c 'ls /var/lib/etcd/before-*/member/snap/db'
}
# All that the writer was told is there, but for what the survivor had not heard of yet.
acknowledged_before_the_loss_is_there() {
    local from to
    read -r from to <"$work/loss"
    acknowledged_is_there "$from" "$to"
}
everything_is_there() {
    inventory | grep '^harbour/ship-' >"$work/after"
    diff "$work/before" "$work/after"
}
writes_work() {
    kubectl -n harbour create configmap afterwards --from-literal=at=last
    kubectl -n harbour patch configmap ship-1 --type merge -p '{"data":{"cargo":"none"}}'
    prints none kubectl -n harbour get configmap ship-1 -o 'jsonpath={.data.cargo}'
}
nothing_more_to_recover() { refuses 64 '1 of 1 members answer, 1 are healthy' recover -y; }
restart_keeps_it() {
    on cp-1 pkill -x etcd
    eventually 90 one_member_is_left
    eventually 60 everything_but_the_patched_is_there
}
everything_but_the_patched_is_there() { [ "$(inventory | grep -c '^harbour/')" -ge 41 ]; }

# Alone one of them is no quorum of the old cluster; two would be.
lost_ones_are_reset() {
    local host
    for host in cp-2 cp-3; do
        podman start "slipway-$lab-$host"
        eventually 60 on "$host" true
        one_member_is_left
        reset --host "$host"
        host_is_clean "$host"
        fails kubectl get node "$host"
        one_member_is_left
    done
}
three_again() {
    "$slipway" apply -f "$file" --bundle "$bundle" -y
    eventually 30 three_members_vote
    eventually 60 nodes_ready 4
    prints '^No changes' "$slipway" plan -f "$file" --bundle "$bundle"
    members
    writes_go_on
}
three_members_vote() {
    members -o json >"$work/members.json" || true
    jq -c '[.members[].member | {name, isLearner}]' "$work/members.json"
    [ "$(jq -r '[.members[].member | select(.isLearner | not) | .name] | sort | join(" ")' "$work/members.json")" = "cp-1 cp-2 cp-3" ] &&
        jq -e '(.members | length == 3) and all(.members[]; .failure == null)' "$work/members.json"
}
writer_is_through() {
    writer_ends
    acknowledged_before_the_loss_is_there
}

quorum_is_counted_first() {
    podman kill "slipway-$lab-cp-3"
    eventually 30 fails members
    refuses 64 'without cp-2 etcd would lose its quorum: 1 of the 2 members left would be healthy, and 2 must be' \
        reset --host cp-2
    kubectl get node cp-2
}
forced_one_is_wiped() {
    reset --host cp-2 --force-quorum-loss
    host_is_clean cp-2
    eventually 30 refuses 1 'etcd has no quorum' status_of_members
    eventually 60 fails kubectl --request-timeout=5s get --raw /readyz
}
it_is_recovered_again() {
    eventually 60 recover -y
    eventually 60 one_member_is_left
    eventually 60 everything_but_the_patched_is_there
    flag_is_gone
}

if subtest "four bare hosts boot" four_hosts_up; then
    if subtest "init brings up three control-plane nodes and a worker" init; then
        subtest "four nodes are Ready" eventually 60 nodes_ready 4 || true
        subtest "objects are made and counted" objects_are_made || true
        subtest "somebody writes through the worker's balancer" writer_starts || true
        subtest "a quorum that holds is left alone, with one member lost too" quorum_that_holds_is_left_alone || true
        subtest "the writer goes on" writes_go_on || true
        if subtest "the second is lost: nobody answers, nothing is acknowledged" second_is_lost; then
            subtest "the plan is shown with the numbers, nothing is touched" plan_is_shown || true
            subtest "recovery asks first" recovery_asks || true
            subtest "a lost member is no survivor" lost_one_is_no_survivor || true
            if subtest "a recovery that is cut off goes on" cut_off_recovery_goes_on; then
                subtest "one member is left" eventually 60 one_member_is_left || true
                subtest "the flag is gone, the old data is kept" flag_is_gone || true
                subtest "every object that was counted is there" eventually 60 everything_is_there || true
                subtest "so is all that the writer was told before the loss" acknowledged_before_the_loss_is_there || true
                subtest "the writer goes on by itself" writes_go_on || true
                subtest "writes work" writes_work || true
                subtest "there is nothing more to recover" nothing_more_to_recover || true
                subtest "it stays so after a restart" restart_keeps_it || true
                if subtest "the lost hosts come back and are reset" lost_ones_are_reset; then
                    subtest "apply makes it three again" three_again || true
                fi
                subtest "nothing that was acknowledged is lost" writer_is_through || true
                if subtest "a reset that costs the quorum is refused with the numbers" quorum_is_counted_first; then
                    if subtest "by force it wipes the host all the same" forced_one_is_wiped; then
                        subtest "what is left is recovered again" it_is_recovered_again || true
                    fi
                fi
            fi
        fi
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
