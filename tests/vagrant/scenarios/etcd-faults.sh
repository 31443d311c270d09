#!/usr/bin/env bash
# Story: what happens to etcd's members, while somebody writes through a worker's
# balancer: a host crashes in the middle of its join, and comes back or is gone for
# good; a member is cut off from the others, a follower and the leader; the disk of a
# member is full. The others go on, what to do is told, and nothing that was
# acknowledged is lost.
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
# etcd's folder on cp-3 is a disk of its own, so small that it can be filled.
disk_for_etcd() {
    on cp-3 sh -ec '
        truncate -s 256M /var/lib/disk-for-etcd
        mkfs.ext4 -q /var/lib/disk-for-etcd
        mkdir /var/lib/etcd
        echo "/var/lib/disk-for-etcd /var/lib/etcd ext4 loop 0 0" >>/etc/fstab
        mount /var/lib/etcd'
    is_mounted
}
is_mounted() { prints '/var/lib/etcd .*ext4' on cp-3 grep ' /var/lib/etcd ' /proc/self/mounts; }
disk_is_too_small_and_empty() {
    refuses 3 DiskSpace preflight
    fails grep DirAvailable <(preflight 2>&1)
}
preflight() { "$slipway" preflight -f "$file" --host cp-3; }
init_two() {
    file_of cp-1 cp-2
    "$slipway" init -f "$work/cluster.yaml" --bundle "$bundle" -y
}
apply() {
    "$slipway" apply -f "$work/cluster.yaml" --bundle "$bundle" -y --ignore-preflight-errors DiskSpace
}
no_changes() { prints '^No changes' "$slipway" plan -f "$work/cluster.yaml" --bundle "$bundle"; }
members() { "$slipway" etcd members -f "$work/cluster.yaml" "$@"; }
status() { "$slipway" status -f "$work/cluster.yaml"; }
# Succeeds when etcd has these members and no others, and all vote. Usage: members_are HOST…
members_are() {
    members -o json >"$work/members.json" || true
    jq -c '[.members[].member | {name, isLearner}]' "$work/members.json"
    jq -e 'all(.members[].member; .isLearner | not)' "$work/members.json" &&
        [ "$(jq -r '[.members[].member.name] | sort | join(" ")' "$work/members.json")" = "$*" ]
}
quorum_holds() {
    members -o json >"$work/members.json" || true
    jq -e '[.members[] | select(.member.isLearner | not)] |
        ([.[] | select(.failure == null)] | length) * 2 > length' "$work/members.json"
}
three_vote_and_are_ready() {
    eventually 60 members >/dev/null
    members_are cp-1 cp-2 cp-3
    eventually 90 nodes_ready 4
    # Its API server may still be on its way.
    eventually 90 no_changes
    acknowledged_is_there
}

# Waits until etcd's list of its members has a line that matches. Usage: listed PATTERN
listed() {
    local start=$SECONDS
    until etcdctl cp-1 member list | grep -E "$1"; do
        [ $((SECONDS - start)) -lt 240 ] || return 1
    done
}
# cp-3 joins and crashes once etcd's list of members has such a line. Usage: crashes_once PATTERN
crashes_once() {
    file_of cp-1 cp-2 cp-3
    local run status=0
    apply >"$work/cut" 2>&1 &
    run=$!
    listed "$1"
    podman kill "slipway-$lab-cp-3"
    wait "$run" || status=$?
    cat "$work/cut"
    [ "$status" -eq 4 ]
    grep -q 'slipway apply' "$work/cut"
    quorum_holds
    writes_go_on
}
# Succeeds when a command ends with this exit code and prints these texts. Usage: tells CODE COMMAND TEXT…
tells() {
    local code=$1 command=$2 text status=0
    shift 2
    "$command" >"$work/told" 2>&1 || status=$?
    cat "$work/told"
    echo "exit code $status"
    [ "$status" -eq "$code" ] || return 1
    for text in "$@"; do
        grep -F -- "$text" "$work/told" >/dev/null || { echo "«$text» is missing"; return 1; }
    done
}
learner_is_told() {
    jq -e '[.members[].member | select(.isLearner)] | length == 1' "$work/members.json"
    tells 4 members 'has no vote yet' 'slipway apply'
    tells 4 status 'host cp-3 cannot be reached' 'has no vote yet' 'slipway apply'
}
way_out_is_told() { tells 4 members 'has no vote yet' 'slipway reset --host cp-3'; }
silent_one_is_told() {
    tells 4 members 'cp-3 is not healthy'
    tells 4 status 'host cp-3 cannot be reached' 'cp-3 is not healthy'
}
host_comes_back() {
    podman start "slipway-$lab-cp-3"
    eventually 60 on cp-3 true
    is_mounted
}
same_command_ends_it() {
    host_comes_back
    apply
    three_vote_and_are_ready
}
leaves() {
    "$slipway" reset -f "$work/cluster.yaml" --host cp-3 -y
    # The folder is a mount point: it is emptied and stays.
    is_mounted
    [ -z "$(on cp-3 ls -A /var/lib/etcd)" ]
    two_are_left
}
# Usage: two_are_left [EXIT CODE]: how `apply` ends that learns of it
two_are_left() {
    file_of cp-1 cp-2
    members_are cp-1 cp-2
    fails kubectl get node cp-3
    # The file has one host less: workers' seeds and the stored file follow it. That nobody
    # cleaned a host which is gone is told once more.
    local status=0
    apply || status=$?
    [ "$status" -eq "${1:-0}" ]
    no_changes
    acknowledged_is_there
}
gone_one_is_taken_out() {
    local status=0
    "$slipway" reset -f "$work/cluster.yaml" --host cp-3 -y || status=$?
    [ "$status" -eq 4 ]
    two_are_left 4
}
# It was no node yet: its member is all there is of it.
given_up_one_is_taken_out() {
    file_of cp-1 cp-2
    local status=0
    apply || status=$?
    [ "$status" -eq 4 ]
    two_are_left
}

# Packets between a host's member and the others' get lost, both ways. Usage: cut_off HOST I|D
cut_off() {
    local other
    for other in cp-1 cp-2 cp-3; do
        [ "$other" = "$1" ] || on "$1" sh -ec '
            for ports in --dport --sport; do
                iptables "-$1" INPUT -s "$2" -p tcp "$ports" 2379:2380 -j DROP
                iptables "-$1" OUTPUT -d "$2" -p tcp "$ports" 2379:2380 -j DROP
            done' sh "$2" "$(address_of "$other")"
    done
}
member_is_cut_off() {
    local start=$SECONDS
    cut_off cp-2 I
    writes_go_on
    eventually 20 tells 1 members 'member cp-2 is not healthy'
    quorum_holds
    tells 1 status 'member cp-2 is not healthy'
    eventually 30 older_than 20 "$start"
    writes_go_on
}
older_than() { [ $((SECONDS - $2)) -ge "$1" ]; }
way_is_free_again() {
    cut_off cp-2 D
    eventually 60 members
    eventually 20 members_meet
    three_vote_and_are_ready
}
# Succeeds when all members have the same data up to a revision that all have.
members_meet() {
    local revision
    revision=$(members -o json | jq '[.members[].status.revision] | min') &&
        etcdctl cp-1 endpoint hashkv --cluster --rev "$revision" -w json >"$work/hashes" &&
        cat "$work/hashes" &&
        jq -e 'length == 3 and ([.[].HashKV.hash] | unique | length == 1)' "$work/hashes"
}
cp_2_leads() {
    local leader id
    members -o json >"$work/members.json"
    leader=$(jq -r '.members[] | select(.member.id == .status.leader) | .member.name' "$work/members.json")
    id=$(etcdctl cp-1 member list | awk -F', ' '$3 == "cp-2" { print $1 }')
    [ "$leader" = cp-2 ] || etcdctl "$leader" move-leader "$id"
    eventually 60 prints '^cp-2 .* leader ' members
}

cargo_is_stored() {
    kubectl get configmap "cargo-$1" -o name || kubectl create configmap "cargo-$1" --from-file=/root/cargo
}
disk_is_full() {
    on cp-3 sh -c 'dd if=/dev/zero of=/var/lib/etcd/filler bs=64k; df /var/lib/etcd'
    # Its database must grow to notice.
    local number
    head -c 600000 /dev/zero | tr '\0' x | on cp-1 sh -c 'cat >/root/cargo'
    for number in $(seq 1 20); do
        # The member may have led, and the others vote for a while.
        eventually 30 cargo_is_stored "$number"
    done
    eventually 60 tells 1 members 'member cp-3 is not healthy'
    quorum_holds
    tells 1 status 'member cp-3 is not healthy'
    writes_go_on
    on cp-3 sh -c 'grep -h "no space left" /var/log/pods/kube-system_etcd-*/etcd/*.log'
}
# Nothing but time is needed: the kubelet starts the member again within five minutes.
it_comes_back_by_itself() {
    on cp-3 rm /var/lib/etcd/filler
    eventually 330 members
    eventually 20 members_meet
    three_vote_and_are_ready
}
reset_all() {
    file_of cp-1 cp-2 cp-3
    "$slipway" reset -f "$work/cluster.yaml" --all -y
    on cp-3 sh -ec 'umount /var/lib/etcd; rmdir /var/lib/etcd'
    local host
    for host in cp-1 cp-2 cp-3 w-1; do
        host_is_clean "$host"
    done
}

if subtest "four bare hosts boot" four_hosts_up && subtest "etcd's folder on one is a small disk" disk_for_etcd; then
    subtest "the disk is too small, and empty" disk_is_too_small_and_empty || true
    if subtest "init brings up two control-plane nodes and a worker" init_two; then
        subtest "somebody writes through the worker's balancer" writer_starts || true
        if subtest "a third joins and crashes as a learner" crashes_once 'true$'; then
            subtest "the learner and the ways on are told" learner_is_told || true
        fi
        subtest "it comes back, and the same command ends it" same_command_ends_it || true
        subtest "it leaves" leaves || true
        if subtest "it joins again and crashes as a learner" crashes_once 'true$'; then
            subtest "how to give it up is told" way_out_is_told || true
        fi
        subtest "gone for good, it is taken out" gone_one_is_taken_out || true
        subtest "it boots again" host_comes_back || true
        subtest "it joins once more and crashes as a learner" crashes_once 'true$' || true
        subtest "given up in the file, it is taken out" given_up_one_is_taken_out || true
        subtest "it boots once more" host_comes_back || true
        if subtest "it joins again and crashes once its etcd runs" crashes_once ', started, cp-3,'; then
            subtest "the silent one is told" silent_one_is_told || true
        fi
        if subtest "it comes back, and the same command ends it then too" same_command_ends_it; then
            subtest "a member is cut off, writes go on" member_is_cut_off || true
            subtest "the way is free again, and all have the same" way_is_free_again || true
            if subtest "it leads" cp_2_leads; then
                subtest "the leader is cut off, writes go on" member_is_cut_off || true
                subtest "the way is free again, and all have the same again" way_is_free_again || true
            fi
            subtest "a member's disk is full, writes go on" disk_is_full || true
            subtest "with room again the member comes back by itself" it_comes_back_by_itself || true
        fi
        subtest "nothing that was acknowledged is lost" nothing_acknowledged_is_lost || true
        subtest "reset --all leaves the hosts bare" reset_all || true
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
