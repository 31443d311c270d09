#!/usr/bin/env bash
# Story: etcd is looked after. Its members are shown, a snapshot is taken and
# checked, what was lost since is brought back on the same host object by object,
# its database gives back what it does not need, and the host takes snapshots by
# itself, keeps the newest and stops when it is told to.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh

etcd() { # VERB ARGUMENT…
    local verb=$1
    shift
    "$slipway" etcd "$verb" -f "$file" "$@"
}
members_are_shown() { prints 'etcd is healthy' etcd members; }
members_as_json() {
    etcd members -o json >"$work/members.json"
    jq -e '.members | length == 1' "$work/members.json"
    jq -e '.members[0].member.name == "cp-1" and .members[0].status.isLearner == false' "$work/members.json"
    jq -e '.members[0].status.dbQuota > 0 and (.troubles | length == 0)' "$work/members.json"
}
status_shows_etcd() {
    "$slipway" status -f "$file" >"$work/status"
    cat "$work/status"
    grep -qE '^cp-1 +[0-9a-f]+ +healthy +leader' "$work/status"
    grep -q 'Addons are healthy' "$work/status"
}

objects_are_made() {
    kubectl create namespace harbour
    local number
    for number in $(seq 1 40); do
        echo "---
apiVersion: v1
kind: ConfigMap
metadata: { name: ship-$number, namespace: harbour }
data: { cargo: \"$(head -c 20000 /dev/zero | tr '\0' x)\" }"
    done | on cp-1 kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f -
    inventory >"$work/before"
    [ "$(grep -c '^ConfigMap/harbour/ship-' "$work/before")" -eq 40 ]
}
snapshot_is_taken() {
    etcd snapshot "$work/snapshot.db" -o json >"$work/snapshot.json"
    [ "$(stat -c %a "$work/snapshot.db")" = 600 ]
    jq -e '.revision > 0' "$work/snapshot.json"
    [ "$(jq -r .sha256 "$work/snapshot.json")" = "$(sha256sum "$work/snapshot.db" | cut -d' ' -f1)" ]
}
snapshot_overwrites_nothing() { refuses 64 "is there already" etcd snapshot "$work/snapshot.db"; }
damaged_snapshot_is_refused() {
    cp "$work/snapshot.db" "$work/damaged.db"
    printf x | dd of="$work/damaged.db" bs=1 seek=9000 conv=notrunc status=none
    refuses 64 "is not what etcd's digest says" etcd restore "$work/damaged.db" --bundle "$bundle" -y
    nodes_ready 2
}
much_is_lost() {
    kubectl delete namespace harbour --timeout=60s
    kubectl create namespace afterwards
    kubectl -n kube-system delete configmap kube-root-ca.crt
}
plan_is_shown() {
    local status=0
    etcd restore "$work/snapshot.db" --bundle "$bundle" --dry-run >"$work/plan" || status=$?
    cat "$work/plan"
    [ "$status" -eq 2 ]
    grep -qE 'cp-1 +stop kube-scheduler, kube-controller-manager, kube-apiserver, etcd' "$work/plan"
    grep -qE 'cp-1 +restore etcd to revision [0-9]+, old data kept in /var/lib/etcd/before-' "$work/plan"
    nodes_ready 2
}
restore_asks() { refuses 64 "nobody can be asked" etcd restore "$work/snapshot.db" --bundle "$bundle"; }
restore_runs() { etcd restore "$work/snapshot.db" --bundle "$bundle" -y; }
every_object_is_there() {
    inventory >"$work/after"
    # Kubernetes itself may have written more by now.
    comm -23 "$work/before" "$work/after" | tee "$work/missing"
    [ ! -s "$work/missing" ]
    fails kubectl get namespace afterwards
}
watchers_see_the_jump() {
    local before now
    before=$(jq -r .revision "$work/snapshot.json")
    now=$(etcd members -o json | jq -r '.members[0].status.revision')
    echo "revision $before became $now"
    [ "$now" -gt $((before + 1000000000)) ]
    # Controllers work on what was restored: a Deployment is scaled and settles.
    kubectl -n kube-system scale deployment coredns --replicas=1
    eventually 90 prints '^1 1$' kubectl -n kube-system get deployment coredns -o 'jsonpath={.status.replicas} {.status.availableReplicas}'
}
old_data_is_kept() { on cp-1 sh -c 'ls /var/lib/etcd/before-*/member/snap/db'; }
nothing_of_it_is_left() {
    on cp-1 test ! -e /var/lib/slipway/etcd/bin
    on cp-1 sh -c '! ls /var/lib/slipway/etcd/held/*.yaml'
    local sha
    sha=$(sha256sum "$work/snapshot.db" | cut -d' ' -f1)
    on cp-1 test ! -e "/var/lib/slipway/blobs/$sha"
}
apply_changes_nothing_but_the_scale() {
    "$slipway" apply -f "$file" --bundle "$bundle" -y
    available coredns
    prints '^No changes' "$slipway" plan -f "$file" --bundle "$bundle"
}
holes_are_made() { # a hundred objects come and go, and etcd forgets them
    local number
    for number in $(seq 1 6); do
        kubectl create namespace "wave-$number"
        kubectl -n "wave-$number" create configmap big --from-literal="cargo=$(head -c 60000 /dev/zero | tr '\0' y)"
        for _ in $(seq 1 5); do kubectl -n "wave-$number" annotate --overwrite configmap big "tide=$(head -c 60000 /dev/urandom | base64 -w0)" >/dev/null; done
        kubectl delete namespace "wave-$number" --timeout=60s
    done
    etcdctl cp-1 compaction --physical "$(etcd members -o json | jq '.members[0].status.revision')"
}
defrag_wins_space() {
    local before after
    before=$(etcd members -o json | jq '.members[0].status | .dbSize')
    etcd defrag -y
    after=$(etcd members -o json | jq '.members[0].status | .dbSize')
    echo "the database took $before bytes and takes $after"
    [ "$after" -lt "$before" ]
    eventually 60 nodes_ready 2
}
defrag_has_nothing_left_to_do() { prints '^No changes' etcd defrag -y; }
dead_member_is_told() {
    on cp-1 sh -c 'mv /etc/kubernetes/manifests/etcd.yaml /root/'
    eventually 60 refuses 1 "could not connect to etcd" etcd members
    refuses 1 "no API server answers" "$slipway" status -f "$file"
    on cp-1 sh -c 'mv /root/etcd.yaml /etc/kubernetes/manifests/'
    # The kubelet waits for the API server, which waits for etcd.
    eventually 240 prints 'etcd is healthy' etcd members
    eventually 120 kubectl get --raw /readyz
}
kept=/var/lib/slipway/snapshots
snapshots() { on cp-1 sh -c "ls $kept"; }
schedule_is_set() {
    sed -i 's|^spec:|spec:\n  etcdSnapshots: { schedule: yearly, keep: 2 }|' "$file"
    "$slipway" apply -f "$file" --bundle "$bundle" -y
    prints '^active' on cp-1 systemctl is-active slipway-etcd-snapshot.timer
    prints '^enabled' on cp-1 systemctl is-enabled slipway-etcd-snapshot.timer
    prints '-01-01 00:00:00' on cp-1 systemctl list-timers --no-pager slipway-etcd-snapshot.timer
    fails on w-1 test -e /etc/systemd/system/slipway-etcd-snapshot.timer
    prints '^No changes' "$slipway" plan -f "$file" --bundle "$bundle"
}
unit_takes_a_snapshot() {
    on cp-1 systemctl start slipway-etcd-snapshot.service
    on cp-1 journalctl --no-pager -u slipway-etcd-snapshot.service
    prints '^700$' on cp-1 stat -c %a "$kept"
    [ "$(snapshots | wc -l)" -eq 1 ]
    local name
    name=$(snapshots)
    prints "^$lab-[0-9]{8}-[0-9]{6}\.db$" echo "$name"
    prints '^600$' on cp-1 stat -c %a "$kept/$name"
    # Whole, and what a restore takes.
    on cp-1 cat "$kept/$name" >"$work/scheduled.db"
    local status=0
    etcd restore "$work/scheduled.db" --bundle "$bundle" --dry-run >"$work/plan" || status=$?
    cat "$work/plan"
    [ "$status" -eq 2 ] && grep -qE 'restore etcd to revision [0-9]+' "$work/plan"
}
oldest_is_deleted() {
    local first
    first=$(snapshots)
    on cp-1 sh -c "touch $kept/mine.db"
    on cp-1 systemctl start slipway-etcd-snapshot.service
    sleep 1
    etcd snapshot --to-host -o json >"$work/kept.json"
    jq -e '.deleted | length == 1' "$work/kept.json"
    on cp-1 sha256sum "$(jq -r .file "$work/kept.json")" | grep -q "$(jq -r .sha256 "$work/kept.json")"
    snapshots
    [ "$(snapshots | wc -l)" -eq 3 ]
    fails on cp-1 test -e "$kept/$first"
    on cp-1 rm "$kept/mine.db"
}
failed_snapshot_deletes_nothing() {
    local before
    before=$(snapshots)
    on cp-1 sh -c 'mv /etc/kubernetes/manifests/etcd.yaml /root/'
    eventually 60 refuses 1 "could not connect to etcd" etcd members
    fails on cp-1 systemctl start slipway-etcd-snapshot.service
    on cp-1 sh -c 'mv /root/etcd.yaml /etc/kubernetes/manifests/'
    # The kubelet waits for the API server, which waits for etcd.
    eventually 240 prints 'etcd is healthy' etcd members
    eventually 120 kubectl get --raw /readyz
    [ "$(snapshots)" = "$before" ]
    [ -z "$(on cp-1 find "$kept" -name '*.part')" ]
    on cp-1 systemctl reset-failed slipway-etcd-snapshot.service
}
schedule_is_taken_away() {
    local before
    before=$(snapshots)
    sed -i '/^  etcdSnapshots:/d' "$file"
    eventually 60 nodes_ready 2
    "$slipway" apply -f "$file" --bundle "$bundle" -y
    no_timer_is_left
    [ "$(snapshots)" = "$before" ]
    prints '^No changes' "$slipway" plan -f "$file" --bundle "$bundle"
}
no_timer_is_left() {
    on cp-1 sh -ec 'for p in /etc/systemd/system/slipway-etcd-snapshot.* /etc/systemd/system/timers.target.wants/slipway-* \
        /var/lib/systemd/timers/stamp-slipway-* /usr/local/bin/slipway; do if [ -e "$p" ]; then echo "$p is there"; exit 1; fi; done
        if systemctl list-units --all --no-legend | grep slipway-etcd; then exit 1; fi'
}
reset_leaves_nothing() {
    schedule_is_set
    "$slipway" reset -f "$file" --all -y
    host_is_clean cp-1
    host_is_clean w-1
    no_timer_is_left
    # They are the user's.
    [ "$(snapshots | wc -l)" -eq 2 ]
}

if subtest "bare hosts boot" hosts_up 1; then
    if subtest "init brings the cluster up" init; then
        subtest "both nodes are Ready" eventually 60 nodes_ready 2 || true
        subtest "members are shown" eventually 60 members_are_shown || true
        subtest "members as JSON have quota and status" members_as_json || true
        subtest "status shows etcd on its page" status_shows_etcd || true
        subtest "objects are made and counted" objects_are_made || true
        if subtest "a snapshot is taken and checked" snapshot_is_taken; then
            subtest "a snapshot overwrites nothing" snapshot_overwrites_nothing || true
            subtest "a damaged snapshot is refused" damaged_snapshot_is_refused || true
            subtest "objects are lost, others made" much_is_lost || true
            subtest "the plan is shown, nothing is touched" plan_is_shown || true
            subtest "restore asks first" restore_asks || true
            if subtest "the snapshot is restored" restore_runs; then
                subtest "both nodes are Ready again" eventually 90 nodes_ready 2 || true
                subtest "every object that was counted is there" every_object_is_there || true
                subtest "watchers see the jump, controllers work" watchers_see_the_jump || true
                subtest "the old data is kept" old_data_is_kept || true
                subtest "snapshot and tools are gone from the host" nothing_of_it_is_left || true
                subtest "apply goes on from there" apply_changes_nothing_but_the_scale || true
            fi
        fi
        subtest "holes are made in the database" holes_are_made || true
        subtest "defrag wins space" defrag_wins_space || true
        subtest "defrag has nothing left to do" defrag_has_nothing_left_to_do || true
        subtest "a dead member is told" dead_member_is_told || true
        if subtest "a schedule in the file makes a timer" schedule_is_set; then
            subtest "its unit takes a snapshot that a restore takes" unit_takes_a_snapshot || true
            subtest "the oldest is deleted, and nothing else" oldest_is_deleted || true
            subtest "a snapshot that fails deletes nothing" failed_snapshot_deletes_nothing || true
            subtest "without the schedule the timer is gone, snapshots stay" schedule_is_taken_away || true
        fi
        subtest "reset leaves nothing but snapshots" reset_leaves_nothing || true
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
