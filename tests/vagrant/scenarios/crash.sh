#!/usr/bin/env bash
# Story: init, join and reset are cut off at named points: the workstation's
# process is killed, the host's agent is killed, the connection is cut, Ctrl-C. The same
# command again goes on each time, and what stands in the end is what a run that
# nobody disturbed builds.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh
source tests/cut.sh

# What a finished cluster is made of, without keys, times and generated names.
state() {
    local host
    for host in cp-1 w-1; do
        on "$host" sh -ec '
            find /etc/kubernetes /etc/systemd/system /etc/containerd /etc/cni /var/lib/kubelet/config.yaml \
                /var/lib/kubelet/kubeadm-flags.env /etc/sysctl.d /etc/modules-load.d -printf "%M %u %p\n"
            find /usr/local/bin /opt/cni/bin /etc/kubernetes/manifests /etc/containerd -type f -exec sha256sum {} +
            systemctl is-enabled kubelet containerd; systemctl is-active kubelet containerd
            ctr --namespace k8s.io images list -q | grep -v "^sha256:"' | sed "s/^/$host: /"
    done | sort
    kubectl get namespaces,nodes,configmaps,serviceaccounts,services,deployments,daemonsets,roles,rolebindings \
        --all-namespaces -o 'jsonpath={range .items[*]}{.kind} {.metadata.namespace} {.metadata.name}{"\n"}{end}' | sort
    kubectl get clusterroles,clusterrolebindings -o name | sort
    kubectl get nodes -o 'jsonpath={range .items[*]}{.metadata.name} {.spec.taints[*].key}{"\n"}{end}' |
        sed 's| node.kubernetes.io/not-ready||g' | sort
}
undisturbed_init() { init; eventually 60 nodes_ready 2; state >"$work/undisturbed"; wc -l "$work/undisturbed"; }
reset_all() {
    "$slipway" reset -f "$file" --all -y
    host_is_clean cp-1
    host_is_clean w-1
}

init_cut() { cut_at "$1" "$2" "$3" init --bundle "$bundle"; }
ends_as_undisturbed() {
    init
    eventually 60 nodes_ready 2
    state >"$work/disturbed"
    diff "$work/undisturbed" "$work/disturbed"
}
nothing_is_left_to_do() { prints '^No changes' "$slipway" apply -f "$file" --bundle "$bundle" -y; }
reset_cut() { cut_at "$1" "$2" "$3" reset --all; }
join_cut() { cut_at "$1" "$2" "$3" join --bundle "$bundle"; }
join_interrupted() {
    join_cut interrupt w-1 install/
    grep -q "finishing the steps under way" "$work/run"
    grep -q "join interrupted" "$work/run"
    grep -q "the same command again goes on" "$work/run"
    # What was under way was finished: no step began and did not end.
    local begun ended
    begun=$(grep -h '"step-started"' "$journals"/*.ndjson | jq -r .step | sort)
    ended=$(grep -hE '"step-(finished|failed)"' "$journals"/*.ndjson | jq -r .step | sort)
    diff <(echo "$begun") <(echo "$ended")
}
worker_leaves() { "$slipway" reset -f "$file" --host w-1 -y; }

if subtest "two bare hosts boot" hosts_up 1 && subtest "an undisturbed init" undisturbed_init; then
    subtest "reset leaves the hosts bare" reset_all || true
    # A host that is not cut off finishes what it can: so these are all of one host.
    subtest "init cut 1: workstation killed in certs" init_cut kill_workstation cp-1 certs/ || true
    subtest "init cut 2: connection cut in install" init_cut cut_connection cp-1 install/ || true
    subtest "init cut 3: agent killed in images" init_cut kill_agent cp-1 images/ || true
    subtest "init cut 4: workstation killed in control-plane" init_cut kill_workstation cp-1 control-plane/ || true
    subtest "init cut 5: agent killed in wait-control-plane" init_cut kill_agent cp-1 wait-control-plane/ || true
    subtest "init cut 6: connection cut in upload-config" init_cut cut_connection cp-1 upload-config/ || true
    subtest "init cut 7: workstation killed in addon" init_cut kill_workstation cp-1 addon/ || true
    subtest "what stands is what an undisturbed init builds" ends_as_undisturbed || true
    subtest "nothing is left to do" nothing_is_left_to_do || true
    subtest "a worker leaves" worker_leaves || true
    subtest "a join is interrupted by Ctrl-C and finishes what is under way" join_interrupted || true
    subtest "join cut 8: agent killed in kubelet-start" join_cut kill_agent w-1 kubelet-start/ || true
    subtest "join cut 9: workstation killed in node-ready" join_cut kill_workstation cp-1 node-ready/ || true
    subtest "the cluster is whole again" ends_as_undisturbed || true
    subtest "reset cut 10: workstation killed in cleanup-node of a worker" reset_cut kill_workstation w-1 cleanup-node/ || true
    subtest "reset cut 11: agent killed in cleanup-node" reset_cut kill_agent cp-1 cleanup-node/ || true
    subtest "reset cut 12: connection cut in cleanup-node" reset_cut cut_connection cp-1 cleanup-node/ || true
    subtest "reset ends and leaves the hosts bare" reset_all || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
