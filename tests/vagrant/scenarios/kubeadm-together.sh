#!/usr/bin/env bash
# Story: kubeadm and Slipway on one cluster. A host joins our cluster with
# kubeadm's printed command and is then taken into the file; `kubeadm reset` of
# one of our nodes leaves our tools able to go on; our `join` adds a worker to a
# cluster that kubeadm made.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh
source tests/kubeadm.sh

two_of_three_hosts() {
    grep -v 'name: w-2' "$file" >"$work/two.yaml"
    "$slipway" init -f "$work/two.yaml" --bundle "$bundle" -y
    eventually 60 nodes_ready 2
}
# Prints a bootstrap token's Secret without what is its own: ID, secret and times.
# Usage: token_secret TOKEN
token_secret() {
    kubectl -n kube-system get secret "bootstrap-token-${1%.*}" -o json |
        jq -S '{type, data: (.data | del(.["token-id"], .["token-secret"], .expiration)), metadata: (.metadata | {namespace, labels})}'
}
tokens_are_kubeadm_s() {
    local ours theirs
    ours=$("$slipway" token create -f "$work/two.yaml" --ttl 1h --description 'the same')
    theirs=$(on cp-1 kubeadm token create --kubeconfig /etc/kubernetes/admin.conf --ttl 1h --description 'the same')
    diff <(token_secret "$theirs") <(token_secret "$ours")
    "$slipway" token delete -f "$work/two.yaml" "$ours"
    on cp-1 kubeadm token delete --kubeconfig /etc/kubernetes/admin.conf "$theirs"
}
# Prints who may do what by kubeadm's names.
bindings() {
    kubectl get clusterrolebindings,rolebindings -A -o json |
        jq -S '.items[] | select(.metadata.name | startswith("kubeadm:") or . == "kube-proxy" or . == "system:coredns") | {kind, namespace: .metadata.namespace, name: .metadata.name, roleRef, subjects}'
}
bindings_are_kept() {
    bindings >"$work/bindings"
    grep -q 'kubeadm:cluster-admins' "$work/bindings"
}
bindings_are_kubeadm_s() { diff <(bindings) "$work/bindings"; }
kubeadm_joins_our_cluster() {
    install_by_hand w-2
    kubeadm_join w-2
    eventually 90 nodes_ready 3
}
joined_node_is_taken_into_the_file() {
    "$slipway" apply -f "$file" --bundle "$bundle" -y
    nodes_ready 3
    prints '^No changes' "$slipway" apply -f "$file" --bundle "$bundle" -y
    eventually 90 kubectl top node w-2
}
kubeadm_reset_of_a_node() {
    bring_kubeadm w-1
    on w-1 kubeadm reset --force --cri-socket "$socket"
    eventually 120 fails nodes_ready 3
    refuses 2 "w-1" "$slipway" plan -f "$file" --bundle "$bundle"
}
our_tools_go_on() {
    # Brought by hand, to be taken away by hand.
    on w-1 rm /usr/local/bin/kubeadm /usr/local/bin/kubectl
    "$slipway" apply -f "$file" --bundle "$bundle" -y
    eventually 60 nodes_ready 3
    prints '^No changes' "$slipway" apply -f "$file" --bundle "$bundle" -y
}
reset_all() {
    "$slipway" reset -f "$file" --all -y
    host_is_clean cp-1
    host_is_clean w-1
    # The runtime that was installed by hand is not ours to take away.
    on w-2 systemctl is-active containerd
    fails on w-2 pgrep kubelet
}

kubeadm_makes_a_cluster() {
    save_flannel
    reset_all
    install_by_hand cp-1 all
    kubeadm_init
    eventually 60 nodes_ready 1
}
our_join_adds_a_worker() {
    "$slipway" join -f "$file" --host w-1 --bundle "$bundle" -y
    eventually 60 nodes_ready 2
    available coredns
    # What kubeadm made stays kubeadm's.
    prints 'RSA Public-Key: \(2048|Public-Key: \(2048' on cp-1 openssl x509 -in /etc/kubernetes/pki/ca.crt -noout -text
    on cp-1 kubeadm certs check-expiration
}

if subtest "three bare hosts boot" hosts_up 2 && subtest "two of them become a cluster" two_of_three_hosts; then
    subtest "a node's programs are packed" pack_a_node w-1 || true
    subtest "tokens are as kubeadm makes them" tokens_are_kubeadm_s || true
    subtest "it is noted who may do what" bindings_are_kept || true
    subtest "the third host joins with kubeadm's printed command" kubeadm_joins_our_cluster || true
    subtest "apply takes the joined node into the file" joined_node_is_taken_into_the_file || true
    subtest "kubeadm reset of a node is seen" kubeadm_reset_of_a_node || true
    subtest "apply brings the node back" our_tools_go_on || true
    subtest "kubeadm makes a cluster on hosts that Slipway reset" kubeadm_makes_a_cluster || true
    subtest "who may do what is as kubeadm has it" bindings_are_kubeadm_s || true
    subtest "our join adds a worker to kubeadm's cluster" our_join_adds_a_worker || true
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
