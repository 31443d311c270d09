#!/usr/bin/env bash
# Story: five bare hosts become a cluster of three control-plane nodes and two
# workers with one command; a control-plane host crashes, and workers go on
# through the others, somebody who writes too; it comes back. Another leaves, and
# a blocked port keeps it from becoming a member of etcd again.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh
source tests/writer.sh

# The control-plane host that is asked: cp-1 will be the one that crashes.
asked=cp-2
kubectl() { on "$asked" kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }
five_hosts_up() {
    "$slipway" lab up --name "$lab" --control-planes 3 --workers 2 --kubernetes-version "$version" --hosts-only
}
# Succeeds when etcd has so many members, all of which vote. Usage: members_vote COUNT
members_vote() {
    local list
    list=$(etcdctl "$asked" member list)
    echo "$list"
    [ "$(grep -c 'started.*false$' <<<"$list")" -eq "$1" ] && [ "$(wc -l <<<"$list")" -eq "$1" ]
}
members_are_told_as_kubeadm_tells_them() {
    on cp-1 sh -ec '! grep -q initial-cluster-state /etc/kubernetes/manifests/etcd.yaml'
    prints 'initial-cluster=.*cp-1=' on cp-2 grep initial-cluster= /etc/kubernetes/manifests/etcd.yaml
    prints 'initial-cluster=.*cp-2=' on cp-2 grep initial-cluster= /etc/kubernetes/manifests/etcd.yaml
    prints 'existing' on cp-3 grep initial-cluster-state /etc/kubernetes/manifests/etcd.yaml
}
keys_are_the_same_and_closed() {
    local name host
    for name in ca.key front-proxy-ca.key etcd/ca.key sa.key; do
        for host in cp-2 cp-3; do
            [ "$(on cp-1 sha256sum "/etc/kubernetes/pki/$name")" = "$(on "$host" sha256sum "/etc/kubernetes/pki/$name")" ]
            prints '^600$' on "$host" stat -c %a "/etc/kubernetes/pki/$name"
        done
    done
    fails grep -rlE 'PRIVATE KEY' "$work/state"
    fails on cp-3 grep -rlE 'PRIVATE KEY' /var/lib/slipway/runs
    fails on cp-2 test -e /etc/kubernetes/super-admin.conf
}
control_plane_nodes_are_marked() {
    [ "$(kubectl get nodes -l node-role.kubernetes.io/control-plane --no-headers | wc -l)" -eq 3 ]
    prints NoSchedule kubectl get node cp-3 -o 'jsonpath={.spec.taints[*].effect}'
}
kubeadm_sees_three() {
    prints '^apiserver-etcd-client' on cp-3 kubeadm certs check-expiration
    prints 'controlPlaneEndpoint: .*:6443' kubectl -n kube-system get configmap kubeadm-config -o yaml
}
status_shows_endpoint_and_balancers() {
    "$slipway" status -f "$file" | tee "$work/status"
    grep -q '^endpoint: .*:6443' "$work/status"
    [ "$(grep -cE '^w-[12] +.*:6443 ready, .*:6443 ready, .*:6443 ready' "$work/status")" -eq 2 ]
}
apply_changes_nothing() { prints '^No changes' "$slipway" apply -f "$file" --bundle "$bundle" -y; }

# kubectl on this machine, through the proxy. Usage: proxied ARGUMENT…
proxied() { "$work/kubectl" --kubeconfig "$work/proxy.kubeconfig" --request-timeout=5s "$@"; }
api_comes_over_ssh() {
    find "$mirror" -path "*v$version/bin/linux/amd64/kubectl" -exec install -m 755 {} "$work/kubectl" \; -quit
    # It must outlive this subtest, and not hold its output open.
    setsid "$slipway" kubeconfig -f "$file" --proxy --out "$work/proxy.kubeconfig" -o json \
        >"$work/proxy.json" 2>"$work/proxy.log" </dev/null &
    echo $! >"$work/proxy.pid"
    eventually 30 test -s "$work/proxy.json"
    prints '^600$' stat -c %a "$work/proxy.kubeconfig"
    prints 'cp-3' proxied get nodes
    prints 'connections go through cp-1' cat "$work/proxy.log"
    prints '"server":"https://127.0.0.1:' cat "$work/proxy.json"
}
proxy_goes_on_through_another() {
    eventually 20 proxied get --raw /readyz
    proxied get configmap counted-after
    prints 'connections go through cp-[23]' cat "$work/proxy.log"
}
proxy_ends_and_takes_its_file_away() {
    kill "$(cat "$work/proxy.pid")"
    eventually 10 test ! -e "$work/proxy.kubeconfig"
    cat "$work/proxy.log"
}
first_crashes() {
    local silence
    kubectl create configmap counted-before --from-literal=at=before
    silence_after_crash cp-1
    silence=$(cat "$work/silence")
    figure "workers were without the API for $silence s at most (aim 5)"
    awk -v it="$silence" 'BEGIN { exit it > 25 }'
    writes_go_on
    kubectl create configmap counted-after --from-literal=at=after
    kubectl get configmap counted-before
}
commands_go_on_without_the_first() {
    refuses 4 cp-1 "$slipway" plan -f "$file" --bundle "$bundle"
    "$slipway" kubeconfig -f "$file" --out "$work/kubeconfig"
    "$slipway" token list -f "$file"
    eventually 60 nodes_ready 4
}
first_comes_back() {
    podman start "slipway-$lab-cp-1"
    eventually 120 nodes_ready 5
    eventually 60 members_vote 3
    # Its pods start again, too, and `apply` would wait for them.
    available coredns
    available metrics-server
    # One that is ready for the first time may not be so a moment later.
    eventually 60 apply_changes_nothing
}
third_leaves() {
    "$slipway" reset -f "$file" --host cp-3 -y
    host_is_clean cp-3
    eventually 30 members_vote 2
}
third_joins() { "$slipway" join -f "$file" --host cp-3 --bundle "$bundle" -y "$@"; }
blocked_port_is_refused_before_a_member_is_added() {
    # Packets of cp-1 to cp-3's port for peers get lost.
    on cp-3 iptables -I INPUT -p tcp --dport 2380 -s "$(address_of cp-1)" -j DROP
    refuses 3 'cp-3: TCP port 2380 is not reached from cp-1' third_joins
    local status=0
    third_joins --skip-phases preflight >"$work/blocked" 2>&1 || status=$?
    cat "$work/blocked"
    [ "$status" -eq 1 ]
    grep -F 'cp-1 does not reach TCP port 2380 of cp-3' "$work/blocked"
    # The other direction is free, and so are the other ways.
    fails grep -E 'cp-[23] does not reach' "$work/blocked"
    members_vote 2
    writes_go_on
}
same_command_ends_it() {
    on cp-3 iptables -D INPUT -p tcp --dport 2380 -s "$(address_of cp-1)" -j DROP
    third_joins
    eventually 30 members_vote 3
    eventually 60 nodes_ready 5
}
reset_all() {
    "$slipway" reset -f "$file" --all -y
    local host
    for host in cp-1 cp-2 cp-3 w-1 w-2; do
        host_is_clean "$host"
    done
    fails on w-1 test -e /usr/local/bin/slipway
    fails on w-1 test -e /etc/systemd/system/slipway-apiserver-proxy.service
}

if subtest "five bare hosts boot" five_hosts_up; then
    if subtest "one init brings up three control-plane nodes and two workers" init; then
        subtest "five nodes are Ready" eventually 60 nodes_ready 5 || true
        subtest "three members of etcd vote" members_vote 3 || true
        subtest "members are told as kubeadm tells them" members_are_told_as_kubeadm_tells_them || true
        subtest "keys are the same everywhere and closed" keys_are_the_same_and_closed || true
        subtest "control-plane nodes are marked" control_plane_nodes_are_marked || true
        subtest "kubeadm understands it" kubeadm_sees_three || true
        subtest "workers go through their balancers" workers_go_through_their_balancers || true
        subtest "status shows endpoint and balancers" status_shows_endpoint_and_balancers || true
        subtest "a second apply changes nothing" apply_changes_nothing || true
        subtest "the API comes over SSH to this machine" api_comes_over_ssh || true
        subtest "somebody writes through a worker's balancer" writer_starts || true
        if subtest "the first crashes, workers and writes go on" first_crashes; then
            subtest "kubectl goes on over SSH through another host" proxy_goes_on_through_another || true
            subtest "commands go on without the first" commands_go_on_without_the_first || true
            subtest "the first comes back" first_comes_back || true
        fi
        subtest "the proxy's kubeconfig goes with it" proxy_ends_and_takes_its_file_away || true
        if subtest "the third leaves" third_leaves; then
            subtest "a blocked port is refused before a member is added" blocked_port_is_refused_before_a_member_is_added || true
            subtest "with the way free the same command ends it" same_command_ends_it || true
        fi
        subtest "nothing that was acknowledged is lost" nothing_acknowledged_is_lost || true
        subtest "reset --all leaves the hosts bare" reset_all || true
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
