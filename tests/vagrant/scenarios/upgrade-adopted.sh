#!/usr/bin/env bash
# Story: a cluster that Slipway made is upgraded by the real `kubeadm upgrade apply`; one that
# kubeadm made is written into a file by `config import` and upgraded by Slipway.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and the bundles of both versions (tests/run.sh
# sees to it).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
to=${KUBERNETES:-1.36.3}
from=1.35.4
KUBERNETES=$from
source tests/lab.sh
source tests/kubeadm.sh

new_bundle=$SLIPWAY_CACHE/bundles/slipway-$to.bundle
version_of_nodes() { kubectl get nodes -o 'jsonpath={range .items[*]}{.status.nodeInfo.kubeletVersion}{"\n"}{end}' | sort -u; }

two_hosts_up() { hosts_up 1; }
init_ours() {
    init
    eventually 60 nodes_ready 2
    pack_a_node cp-1
    save_flannel
}
# As kubeadm's own guide has it: programs and images by hand, then one command.
kubeadm_upgrades_ours() {
    local layout name start
    version=$to
    for layout in $(image_layouts all); do
        tar -C "$layout" -cf - . | on cp-1 ctr --namespace k8s.io images import --local -
    done
    bring_kubeadm cp-1
    start=$SECONDS
    on cp-1 kubeadm upgrade apply "v$to" --yes --ignore-preflight-errors=SystemVerification,CreateJob
    figure "kubeadm upgrade apply of one control-plane node, images present: $((SECONDS - start)) s"
    on cp-1 curl -s --cacert /etc/kubernetes/pki/ca.crt "https://$(address_of cp-1):6443/version" | tee "$work/version"
    prints "v$to" jq -r .gitVersion "$work/version"
}
# What kubeadm left old, the kubelets, comes with the same command as everything else.
ours_goes_on() {
    "$slipway" upgrade apply "$to" -f "$file" --bundle "$new_bundle" -y
    [ "$(version_of_nodes)" = "v$to" ]
    prints '^No changes' "$slipway" apply -f "$file" --bundle "$new_bundle" -y
}
kubeadm_makes_a_cluster() {
    "$slipway" reset -f "$file" --all -y
    sed -i "s/kubernetesVersion: .*/kubernetesVersion: $from/" "$file"
    install_by_hand cp-1 all
    install_by_hand w-1
    kubeadm_init
    kubeadm_join w-1
    eventually 90 nodes_ready 2
}
it_is_imported() {
    "$slipway" config import --from-cluster "$(address_of cp-1)" --name adopted --user "$(awk '/user:/ { print $2; exit }' "$file")" \
        --identity-file "$labs/$lab/id_ed25519" --known-hosts-file "$labs/$lab/known_hosts" --out "$work/adopted.yaml"
    cat "$work/adopted.yaml"
    "$slipway" config validate -f "$work/adopted.yaml"
    [ "$(stat -c %a "$work/adopted.yaml")" = 600 ]
    refuses 64 'is there already' "$slipway" config import --from-cluster 192.0.2.1 --out "$work/adopted.yaml"
    eventually 120 "$slipway" status -f "$work/adopted.yaml"
}
it_is_upgraded() {
    local status=0 start
    "$slipway" upgrade plan "$to" -f "$work/adopted.yaml" --bundle "$new_bundle" || status=$?
    [ "$status" -eq 2 ]
    start=$SECONDS
    "$slipway" upgrade apply "$to" -f "$work/adopted.yaml" --bundle "$new_bundle" -y
    figure "slipway upgrade apply of kubeadm's cluster, one control-plane node and a worker: $((SECONDS - start)) s"
    [ "$(version_of_nodes)" = "v$to" ]
    eventually 60 nodes_ready 2
    available coredns
    prints "kubernetesVersion: v$to" cat "$work/adopted.yaml"
    on cp-1 kubeadm certs check-expiration
    prints '^No changes' "$slipway" apply -f "$work/adopted.yaml" --bundle "$new_bundle" -y
}
users_have_their_groups_rights() {
    "$slipway" kubeconfig user -f "$work/adopted.yaml" --client-name ada --org developers --validity-period 24h --out "$work/ada"
    [ "$(stat -c %a "$work/ada")" = 600 ]
    on cp-1 sh -c 'umask 077; cat >/root/ada' <"$work/ada"
    fails on cp-1 kubectl --kubeconfig /root/ada get pods -A
    kubectl create clusterrolebinding developers --clusterrole=view --group=developers
    on cp-1 kubectl --kubeconfig /root/ada get pods -A
    fails on cp-1 kubectl --kubeconfig /root/ada get secrets -A
    prints 'ada' on cp-1 kubectl --kubeconfig /root/ada auth whoami
}
reset_all() { "$slipway" reset -f "$work/adopted.yaml" --all -y; }

if subtest "two bare hosts boot" two_hosts_up; then
    if subtest "init of $from" init_ours; then
        subtest "kubeadm upgrades our control plane" kubeadm_upgrades_ours || true
        subtest "our upgrade goes on from there" ours_goes_on || true
        if subtest "kubeadm makes a cluster of $from" kubeadm_makes_a_cluster; then
            subtest "its file is written" it_is_imported || true
            subtest "it is upgraded" it_is_upgraded || true
            subtest "users have the rights of their groups" users_have_their_groups_rights || true
            subtest "reset --all" reset_all || true
        fi
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
