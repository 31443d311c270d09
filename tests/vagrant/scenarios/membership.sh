#!/usr/bin/env bash
# Story: a control plane of one node grows to three and to five and shrinks to
# three others, by editing the file and `apply`, while pods run and somebody writes
# through a worker's balancer. Dead nodes are replaced, the first one too, a removed
# one comes back, one comes back bare, members are defragmented, only the leader's
# host takes a scheduled snapshot, and what would cost etcd its quorum is refused.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh
source tests/writer.sh

# The control-plane host that is asked: the only one first, then the one that stays throughout.
asked=cp-1
kubectl() { on "$asked" kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }
six_hosts_up() {
    "$slipway" lab up --name "$lab" --control-planes 5 --workers 1 --kubernetes-version "$version" --hosts-only
}
apply() { "$slipway" apply -f "$work/cluster.yaml" --bundle "$bundle" -y; }
no_changes() { prints '^No changes' "$slipway" plan -f "$work/cluster.yaml" --bundle "$bundle"; }
members() { "$slipway" etcd members -f "$work/cluster.yaml" "$@"; }
init_one() {
    file_of cp-1
    "$slipway" init -f "$work/cluster.yaml" --bundle "$bundle" -y
    eventually 60 nodes_ready 2
}
# Succeeds when etcd has these members and no others, and all vote. Usage: members_are HOST…
members_are() {
    members -o json >"$work/members.json" || true
    jq -c '[.members[].member | {name, isLearner}]' "$work/members.json"
    [ "$(jq -r '[.members[].member | select(.isLearner | not) | .name] | sort | join(" ")' "$work/members.json")" = "$*" ]
}

everybody_asks_the_only_one() {
    prints "server: https://$(address_of cp-1):6443" on w-1 cat /etc/kubernetes/kubelet.conf
    prints "https://$(address_of cp-1):6443" kubectl -n kube-system get configmap kube-proxy -o yaml
    fails on w-1 test -e /etc/systemd/system/slipway-apiserver-proxy.service
}
pods_run() {
    import_agnhost w-1
    kubectl create namespace harbour
    kubectl -n harbour create deployment pier --image="$(cat "$work/agnhost")" --replicas=2 -- /agnhost netexec --http-port=8080
    kubectl -n harbour expose deployment pier --port=80 --target-port=8080
    kubectl -n harbour rollout status deployment/pier --timeout=120s
    eventually 60 pods_answer
    pods >"$work/pods"
    [ "$(grep -c ' 0$' "$work/pods")" -eq 2 ]
}
# Lists the pods, each with how often it was started again.
pods() {
    kubectl -n harbour get pods -l app=pier \
        -o 'jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{"\n"}{end}' | sort
}
# Succeeds when the worker reaches them through their Service, and they the API by its name.
pods_answer() {
    local address
    address=$(kubectl -n harbour get service pier -o 'jsonpath={.spec.clusterIP}') &&
        on w-1 curl -sf --max-time 3 "http://$address/hostname" &&
        kubectl -n harbour exec deployment/pier -- /agnhost connect kubernetes.default.svc.cluster.local:443 --timeout=2s
}
grows_to_three() {
    file_of cp-1 cp-2 cp-3
    apply
    eventually 30 members_are cp-1 cp-2 cp-3
    eventually 60 nodes_ready 4
    no_changes
}
pods_go_on() {
    pods | diff "$work/pods" -
    eventually 60 pods_answer
}

first_boots_again() {
    podman start "slipway-$lab-cp-1"
    eventually 60 on cp-1 true
}
# The first is back with the data of a member that was removed.
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

leader() { members -o json | jq -r '.members[] | select(.member.id == .status.leader) | .member.name'; }
# etcd forgets much at once, so that every database has holes.
holes_are_made() {
    kubectl create configmap tide
    for _ in $(seq 1 40); do
        kubectl annotate --overwrite configmap tide "tide=$(head -c 60000 /dev/urandom | base64 -w0)" >/dev/null
    done
    kubectl delete configmap tide
    etcdctl "$asked" compaction --physical "$(members -o json | jq '[.members[].status.revision] | min')"
    eventually 60 databases_have_holes
}
databases_have_holes() {
    members -o json >"$work/members.json"
    jq -c '[.members[].status | {dbSize, dbInUse}]' "$work/members.json"
    jq -e '[.members[].status | (.dbSize - .dbInUse) as $free | select($free >= 1048576 and $free * 10 >= .dbSize)] | length == 3' \
        "$work/members.json"
}
defrag() { "$slipway" etcd defrag -f "$work/cluster.yaml" -y "$@"; }
leader_is_defragmented_last() {
    local leads
    leads=$(leader)
    defrag -o json >"$work/defrag"
    # What was done, in the order in which it was.
    jq -rs '(map(select(.event == "run-started"))[0].steps | map({(.id): .description}) | add) as $all |
        .[] | select(.event == "step-finished" and .changed) | $all[.step]' "$work/defrag" | tee "$work/order"
    [ "$(wc -l <"$work/order")" -eq 3 ]
    [ "$(tail -n 1 "$work/order")" = "defragment etcd member $leads" ]
    eventually 30 members_healthy
    writes_go_on
    prints '^No changes' defrag
}

kept=/var/lib/slipway/snapshots
# Lists the snapshots on the control-plane hosts, each behind its host.
snapshots() {
    local host
    for host in cp-2 cp-4 cp-5; do
        on "$host" ls "$kept" | sed "s/^/$host /"
    done
}
only_the_leader_takes_a_snapshot() {
    local host run runs=()
    sed -i 's|^spec:|spec:\n  etcdSnapshots: { schedule: yearly, keep: 2 }|' "$work/cluster.yaml"
    apply
    no_changes
    [ -z "$(snapshots)" ]
    for host in cp-2 cp-4 cp-5; do
        prints '^active' on "$host" systemctl is-active slipway-etcd-snapshot.timer
        on "$host" systemctl start slipway-etcd-snapshot.service &
        runs+=($!)
    done
    for run in "${runs[@]}"; do
        wait "$run"
    done
    snapshots | tee "$work/snapshots"
    [ "$(wc -l <"$work/snapshots")" -eq 1 ]
    prints "^$(leader) $lab-[0-9]{8}-[0-9]{6}\.db$" cat "$work/snapshots"
}

# A host crashes for good, and the file has another for it. Usage: dead_one_is_replaced DEAD HOST…
dead_one_is_replaced() {
    local dead=$1 status=0
    shift
    podman kill "slipway-$lab-$dead"
    file_of "$@"
    apply >"$work/replaced" 2>&1 || status=$?
    cat "$work/replaced"
    # It is out of the cluster; that nobody cleaned its host is said.
    [ "$status" -eq 4 ]
    grep -q "$dead" "$work/replaced"
    eventually 30 members_are "$@"
    eventually 60 nodes_ready 4
    no_changes
    acknowledged_is_there
}
quorum_is_counted_first() {
    podman kill "slipway-$lab-cp-4"
    eventually 30 fails members_healthy
    refuses 64 'without cp-1 etcd would lose its quorum: 1 of the 2 members left would be healthy, and 2 must be' \
        "$slipway" reset -f "$work/cluster.yaml" --host cp-1 -y
    members_are cp-1 cp-2 cp-4
}
members_healthy() { members >/dev/null; }
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
# The first of the file crashes and is installed anew: another disk, the same name, address
# and SSH key. Nobody has reset it, and it must not begin a cluster of its own.
first_comes_back_bare() {
    on cp-1 systemctl disable kubelet containerd
    podman kill "slipway-$lab-cp-1"
    podman start "slipway-$lab-cp-1"
    eventually 60 on cp-1 true
    on cp-1 sh -ec '
        fails() { if "$@"; then echo "succeeded, and should not: $*"; exit 1; fi; }
        fails pgrep "kubelet|containerd|etcd"
        rm -rf /etc/kubernetes /etc/containerd /etc/cni /opt/cni /opt/containerd /usr/libexec/kubernetes /usr/local/bin/* \
            /etc/systemd/system/kubelet.service* /etc/systemd/system/containerd.service \
            /etc/sysctl.d/99-slipway-kubernetes.conf /etc/modules-load.d/slipway-kubernetes.conf \
            /var/lib/etcd /var/lib/kubelet /var/lib/containerd /var/lib/cni /var/lib/slipway /var/log/pods /var/log/containers
        systemctl daemon-reload
        fails command -v kubelet'
    apply
    eventually 30 members_are cp-1 cp-2 cp-4
    eventually 90 nodes_ready 4
    no_changes
    [ "$(cluster_seen_from cp-1)" = "$(cluster_seen_from cp-2)" ]
    acknowledged_is_there
}
cluster_seen_from() { on "$1" kubectl --kubeconfig /etc/kubernetes/admin.conf get namespace kube-system -o 'jsonpath={.metadata.uid}'; }
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
    if subtest "init brings up a control-plane node and a worker" init_one; then
        subtest "everybody asks the only one" everybody_asks_the_only_one || true
        subtest "pods run and answer" pods_run || true
        if subtest "apply grows the control plane to three" grows_to_three; then
            asked=cp-2
            subtest "the worker and kube-proxy go through balancers" workers_go_through_their_balancers || true
            subtest "pods go on" pods_go_on || true
            subtest "somebody writes through the worker's balancer" writer_starts || true
            subtest "the first is dead and replaced by editing the file" dead_one_is_replaced cp-1 cp-2 cp-3 cp-4 || true
            subtest "the first boots again" first_boots_again || true
            if subtest "apply grows the control plane to five" grows_to_five; then
                subtest "a second apply changes nothing" no_changes || true
                subtest "the plan says who goes" plan_says_who_goes || true
                subtest "apply shrinks it to three others, the first goes too" shrinks_to_three_others || true
                subtest "a second apply changes nothing then either" no_changes || true
                subtest "kubeadm's joins are sent to one that stays" joins_are_sent_to_one_that_stays || true
            fi
            subtest "holes are made in the databases" holes_are_made || true
            subtest "members are defragmented one by one, the leader last" leader_is_defragmented_last || true
            subtest "all hosts' timers at once leave one snapshot" only_the_leader_takes_a_snapshot || true
            if subtest "a dead node is replaced by editing the file" dead_one_is_replaced cp-5 cp-1 cp-2 cp-4; then
                subtest "the quorum is counted before a host is reset" quorum_is_counted_first || true
                if subtest "a dead node is taken out" dead_one_is_taken_out; then
                    subtest "it comes back with its old data and joins" it_comes_back_with_its_old_data || true
                fi
                subtest "the first of the file comes back bare and joins" first_comes_back_bare || true
            fi
            subtest "nothing that was acknowledged is lost" nothing_acknowledged_is_lost || true
            subtest "pods have gone on throughout" pods_go_on || true
        fi
        subtest "status is one page" status_is_one_page || true
        subtest "reset --all leaves the hosts bare" reset_all || true
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
