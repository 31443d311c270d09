#!/usr/bin/env bash
# Story: the real kubeadm joins a control-plane node to our cluster, with the
# certificates that we uploaded; the node is taken into the file, and our own
# `join` adds a third control-plane node; and one to a cluster that kubeadm made.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh
source tests/kubeadm.sh

endpoint=api.slipway.test
three_hosts_up() {
    "$slipway" lab up --name "$lab" --control-planes 3 --workers 0 --kubernetes-version "$version" --hosts-only
    local host
    for host in cp-1 cp-2 cp-3; do
        on "$host" sh -c "echo '$(address_of cp-1) $endpoint' >>/etc/hosts"
    done
    sed "/^spec:/a\\  controlPlaneEndpoint: $endpoint:6443" "$file" >"$work/three.yaml"
    grep -v 'name: cp-3' "$work/three.yaml" >"$work/two.yaml"
    grep -v 'name: cp-2' "$work/two.yaml" >"$work/one.yaml"
}
refused_without_an_endpoint() {
    refuses 64 'kubeadm wants a `controlPlaneEndpoint`' "$slipway" init -f "$file" --bundle "$bundle" -y --upload-certs
}
init_uploads_certificates() {
    "$slipway" init -f "$work/one.yaml" --bundle "$bundle" -y --upload-certs >"$work/init.out"
    prints "^  kubeadm join $endpoint:6443 .*--control-plane --certificate-key [0-9a-f]{64}$" cat "$work/init.out"
    eventually 60 nodes_ready 1
}
certificates_are_kubeadms() {
    kubectl -n kube-system get secret kubeadm-certs -o json >"$work/secret.json"
    [ "$(jq -r '.data | keys | join(" ")' "$work/secret.json")" = "ca.crt ca.key etcd-ca.crt etcd-ca.key front-proxy-ca.crt front-proxy-ca.key sa.key sa.pub" ]
    # Encrypted: nothing of PEM is left.
    fails sh -c "jq -r '.data[] | @base64d' '$work/secret.json' | grep -aq BEGIN"
    prints '^bootstrap-token-[a-z0-9]{6} true$' jq -r '.metadata.ownerReferences[] | "\(.name) \(.controller)"' "$work/secret.json"
    prints '^kubeadm:kubeadm-certs' kubectl -n kube-system get role,rolebinding --no-headers -o custom-columns=NAME:.metadata.name
    prints 'Proxy for managing TTL for the kubeadm-certs secret' on cp-1 kubeadm token list
}
keys_are_told_once() {
    local key
    key=$(grep -oE '[0-9a-f]{64}$' "$work/init.out")
    [ "$(grep -c "$key" "$work/init.out")" -eq 1 ]
    fails grep -rl "$key" "$work/state"
    fails on cp-1 grep -rl "$key" /var/lib/slipway/runs
}
kubeadm_joins_a_control_plane_node() {
    local join
    pack_a_node cp-1
    install_by_hand cp-2 all
    # A second key: the first opens nothing any more.
    join=$("$slipway" token create -f "$work/one.yaml" --print-join-command --upload-certs)
    # shellcheck disable=SC2086
    on cp-2 $join --apiserver-advertise-address "$(address_of cp-2)" --cri-socket "$socket" --ignore-preflight-errors=SystemVerification
}
# Succeeds when etcd has so many members, all of which vote. Usage: members_vote COUNT
members_vote() {
    local list
    list=$(kubectl -n kube-system exec etcd-cp-1 -- etcdctl --endpoints=https://127.0.0.1:2379 \
        --cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/server.crt \
        --key=/etc/kubernetes/pki/etcd/server.key member list)
    echo "$list"
    [ "$(grep -c 'started.*false$' <<<"$list")" -eq "$1" ] && [ "$(wc -l <<<"$list")" -eq "$1" ]
}
keys_came_over() {
    local name
    for name in ca.key front-proxy-ca.key etcd/ca.key sa.key; do
        [ "$(on cp-1 sha256sum "/etc/kubernetes/pki/$name")" = "$(on cp-2 sha256sum "/etc/kubernetes/pki/$name")" ]
    done
}
node_is_taken_into_the_file() {
    "$slipway" apply -f "$work/two.yaml" --bundle "$bundle" -y
    eventually 60 nodes_ready 2
    members_vote 2
    prints '^No changes' "$slipway" apply -f "$work/two.yaml" --bundle "$bundle" -y
    "$slipway" status -f "$work/two.yaml"
}
our_join_adds_a_third() {
    "$slipway" join -f "$work/three.yaml" --host cp-3 --bundle "$bundle" -y
    eventually 60 nodes_ready 3
    members_vote 3
    prints '^No changes' "$slipway" apply -f "$work/three.yaml" --bundle "$bundle" -y
}

kubeadm_makes_a_cluster() {
    save_flannel
    "$slipway" reset -f "$work/three.yaml" --all -y
    install_by_hand cp-1 all
    kubeadm_init
    eventually 60 nodes_ready 1
    kubeadms_files >"$work/kubeadms"
}
kubeadms_files() { on cp-1 sh -c 'sha256sum /etc/kubernetes/manifests/*.yaml /etc/kubernetes/pki/ca.crt /etc/kubernetes/pki/apiserver.crt'; }
our_join_adds_one_to_it() {
    grep -v 'name: cp-2' "$work/three.yaml" >"$work/kubeadms.yaml"
    "$slipway" join -f "$work/kubeadms.yaml" --host cp-3 --bundle "$bundle" -y
    eventually 60 nodes_ready 2
    members_vote 2
    available coredns
    # What kubeadm made is as kubeadm made it, and its authority signs for the new node.
    kubeadms_files | diff "$work/kubeadms" -
    prints ': OK' on cp-3 openssl verify -CAfile /etc/kubernetes/pki/ca.crt /etc/kubernetes/pki/apiserver.crt
    diff <(on cp-1 sha256sum /etc/kubernetes/pki/ca.crt) <(on cp-3 sha256sum /etc/kubernetes/pki/ca.crt)
}

if subtest "three bare hosts boot" three_hosts_up; then
    subtest "upload of certificates is refused without an endpoint" refused_without_an_endpoint || true
    if subtest "init makes one control-plane node and uploads certificates" init_uploads_certificates; then
        subtest "what is uploaded is what kubeadm uploads" certificates_are_kubeadms || true
        subtest "the key is told once" keys_are_told_once || true
        if subtest "kubeadm joins a control-plane node" kubeadm_joins_a_control_plane_node; then
            subtest "two members of etcd vote" eventually 60 members_vote 2 || true
            subtest "two nodes are Ready" eventually 90 nodes_ready 2 || true
            subtest "the keys came over" keys_came_over || true
            subtest "apply takes the node into the file" node_is_taken_into_the_file || true
            subtest "our join adds a third" our_join_adds_a_third || true
            if subtest "kubeadm makes a cluster on hosts that Slipway reset" kubeadm_makes_a_cluster; then
                subtest "our join adds a control-plane node to it" our_join_adds_one_to_it || true
            fi
        fi
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
