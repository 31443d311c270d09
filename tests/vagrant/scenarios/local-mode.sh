#!/usr/bin/env bash
# Story: a machine alone. On a bare host `slipway init` without a file makes a
# cluster of one node that takes pods; `slipway join` with a token brings a second
# host in, by itself; every other command works without a file there; and
# `slipway reset` on each leaves nothing behind. No SSH between the hosts.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh
source tests/cut.sh

brought() { bring cp-1; bring w-1; }

worker_commands_name_the_file() {
    local command
    for command in status plan apply "token list" kubeconfig; do
        # shellcheck disable=SC2086
        refuses 64 SLIPWAY_CONFIG there w-1 $command
    done
}
preflight_is_content() { there cp-1 preflight --bundle /root/slipway.bundle; }
dry_run_is_a_page() {
    local status=0
    there cp-1 init --bundle /root/slipway.bundle --dry-run >"$work/plan" || status=$?
    [ "$status" -eq 2 ]
    grep -qE '^install +cp-1 +write /var/lib/slipway/cluster.yaml' "$work/plan"
    grep -qE '^mark-control-plane +cp-1' "$work/plan"
    on cp-1 test ! -e /etc/kubernetes
}
init_here() { there cp-1 init --bundle /root/slipway.bundle -y; }
init_again() { prints '^No changes' there cp-1 init --bundle /root/slipway.bundle -y; }
plan_without_file() { prints '^No changes' there cp-1 plan --bundle /root/slipway.bundle; }
node_has_no_taint() {
    local taints
    taints=$(kubectl get node cp-1 -o 'jsonpath={.spec.taints}')
    echo "taints: $taints"
    [ -z "$taints" ]
}
status_here() { prints 'Addons are healthy' there cp-1 status; }
kubeconfig_here() { there cp-1 kubeconfig >"$work/kubeconfig"; grep -q client-certificate-data "$work/kubeconfig"; }
logs_here() { prints succeeded there cp-1 logs; }

pod_runs() { # NAME NODE
    kubectl apply -f - <<YAML
apiVersion: v1
kind: Pod
metadata: { name: "$1", labels: { app: "$1" } }
spec:
  containers:
  - { name: main, image: "$(cat "$work/agnhost")", imagePullPolicy: Never, args: [netexec, --http-port=8080] }
  ${2:+nodeSelector: { kubernetes.io/hostname: "$2" \}}
YAML
    kubectl wait --for=condition=Ready "pod/$1" --timeout=90s
}
pod_is_scheduled_on_the_only_node() {
    import_agnhost cp-1
    pod_runs alone ""
    prints '^cp-1$' kubectl get pod alone -o 'jsonpath={.spec.nodeName}'
}

join_command() { there cp-1 token create --ttl 1h --print-join-command; }
join_command_is_printed() {
    join_command >"$work/join"
    grep -qE '^slipway join [0-9.]+:6443 --token [a-z0-9]{6}\.[a-z0-9]{16} --discovery-token-ca-cert-hash sha256:[0-9a-f]{64}$' "$work/join"
}
wrong_pin_is_refused() {
    local endpoint token
    read -r _ _ endpoint _ token _ <"$work/join"
    refuses 1 "is pinned" there w-1 join "$endpoint" --token "$token" --bundle /root/slipway.bundle -y \
        --discovery-token-ca-cert-hash "sha256:$(printf '%064d' 0)"
    on w-1 test ! -e /etc/kubernetes
}
wrong_secret_is_refused() {
    local endpoint token pin
    read -r _ _ endpoint _ token _ pin <"$work/join"
    refuses 1 "does not verify" there w-1 join "$endpoint" --token "${token%.*}.0000000000000000" --bundle /root/slipway.bundle -y \
        --discovery-token-ca-cert-hash "$pin"
}
deleted_token_is_refused() {
    local endpoint token pin
    read -r _ _ endpoint _ token _ pin < <(join_command)
    there cp-1 token delete "${token%.*}"
    eventually 30 refuses 1 "has expired" there w-1 join "$endpoint" --token "$token" --bundle /root/slipway.bundle -y \
        --discovery-token-ca-cert-hash "$pin"
}
# Joins w-1 as it was printed; what is given runs Slipway there.
join_by() { # COMMAND…
    local endpoint token pin
    read -r _ _ endpoint _ token _ pin <"$work/join"
    # As a file that nobody else can read: not in anybody's list of processes.
    on w-1 sh -c 'umask 077; cat >/root/token' <<<"$token"
    "$@" join "$endpoint" --token-file /root/token --discovery-token-ca-cert-hash "$pin" --bundle /root/slipway.bundle -y
    on w-1 rm /root/token
}
join_here() { join_by there w-1; }
token_is_not_left_behind() {
    local token
    read -r _ _ _ _ token _ <"$work/join"
    on w-1 test ! -e /etc/kubernetes/bootstrap-kubelet.conf
    fails on w-1 grep -rlF "${token#*.}" /etc/kubernetes /var/lib/kubelet /var/lib/slipway /root/.local/state
}
join_again_changes_nothing() {
    local endpoint token pin
    read -r _ _ endpoint _ token _ pin <"$work/join"
    prints '^No changes' there w-1 join "$endpoint" --token "$token" --discovery-token-ca-cert-hash "$pin" --bundle /root/slipway.bundle -y
}
pods_of_both_nodes_reach_each_other() {
    import_agnhost w-1
    pod_runs second w-1
    kubectl expose pod second --port 80 --target-port 8080
    eventually 30 kubectl exec alone -- /agnhost connect second.default.svc.cluster.local:80 --timeout=2s
}
status_tells_the_self_signed_kubelet() { prints 'of their own making: w-1' there cp-1 status; }
kubeadm_understands_the_node() { on w-1 grep -q rotateCertificates /var/lib/kubelet/config.yaml; prints kubelet-client on w-1 ls /var/lib/kubelet/pki; }
file_takes_the_node_over() {
    # The workstation's file names both hosts; the cluster's own name is `kubernetes`.
    sed 's/^  name: .*/  name: kubernetes/' "$file" >"$work/two.yaml"
    grep -q 'name: kubernetes' "$work/two.yaml"
    "$slipway" apply -f "$work/two.yaml" --bundle "$bundle" -y
    eventually 60 nodes_ready 2
    prints 'Addons are healthy' "$slipway" status -f "$work/two.yaml"
    fails prints 'of their own making' "$slipway" status -f "$work/two.yaml"
}
control_plane_names_who_is_left() { # nobody can be asked on a pipe: the question is not answered
    refuses 64 "nobody can be asked" there w-1 reset
    on w-1 systemctl is-active kubelet
}
worker_is_reset() { prints 'delete node w-1' there w-1 reset -y; rest w-1; }
control_plane_is_reset() { there cp-1 reset -y; rest cp-1; }
init_is_killed() { cut_there cp-1 /etc/kubernetes/manifests/kube-apiserver.yaml init --bundle /root/slipway.bundle -y; }
join_is_killed() { join_by cut_there w-1 /etc/kubernetes/kubelet.conf; }
rest() { # HOST
    take_away "$1"
    host_is_clean "$1"
    on "$1" test ! -e /var/lib/slipway/cluster.yaml
}

if subtest "bare hosts boot" hosts_up 1; then
    subtest "the binary and the bundle are brought to both hosts" brought || true
    subtest "without a cluster commands name -f and SLIPWAY_CONFIG" worker_commands_name_the_file || true
    subtest "preflight finds no errors" preflight_is_content || true
    subtest "the plan is a page, and nothing is touched" dry_run_is_a_page || true
    if subtest "init alone makes a cluster of this machine" init_here; then
        subtest "the node is Ready" eventually 60 nodes_ready 1 || true
        subtest "a second init changes nothing" init_again || true
        subtest "plan without a file reads what init stored" plan_without_file || true
        subtest "the only node has no taint" node_has_no_taint || true
        subtest "a pod is scheduled and runs" pod_is_scheduled_on_the_only_node || true
        subtest "status answers without a file" status_here || true
        subtest "kubeconfig answers without a file" kubeconfig_here || true
        subtest "logs show the run" logs_here || true
        if subtest "the join command is printed" join_command_is_printed; then
            subtest "a pin of another CA is refused, nothing is touched" wrong_pin_is_refused || true
            subtest "a token with another secret is refused" wrong_secret_is_refused || true
            subtest "a deleted token is refused" deleted_token_is_refused || true
            if subtest "join on the second host brings it in" join_here; then
                subtest "both nodes are Ready" eventually 60 nodes_ready 2 || true
                subtest "the token is not left behind" token_is_not_left_behind || true
                subtest "a second join changes nothing" join_again_changes_nothing || true
                subtest "pods of both nodes reach each other by a Service" pods_of_both_nodes_reach_each_other || true
                subtest "status tells whose kubelet signs itself" status_tells_the_self_signed_kubelet || true
                subtest "the joined node is kubeadm's" kubeadm_understands_the_node || true
                subtest "a file takes the cluster over" file_takes_the_node_over || true
                subtest "reset asks" control_plane_names_who_is_left || true
                subtest "reset leaves nothing on the worker" worker_is_reset || true
            fi
        fi
        subtest "reset leaves nothing on the control-plane node" control_plane_is_reset || true
        subtest "the binary and the bundle are brought once more" brought || true
        subtest "init is killed in control-plane" init_is_killed || true
        if subtest "the same init goes on and makes the cluster" init_here; then
            subtest "the node is Ready after all" eventually 60 nodes_ready 1 || true
            subtest "a join command is printed again" join_command_is_printed || true
            subtest "join is killed when the kubelet has its certificate" join_is_killed || true
            subtest "the same join goes on and brings the host in" join_here || true
            subtest "both nodes are Ready after all" eventually 60 nodes_ready 2 || true
            subtest "the token is not left behind by either" token_is_not_left_behind || true
            subtest "reset leaves nothing on the worker once more" worker_is_reset || true
        fi
        subtest "reset leaves nothing on the control-plane node once more" control_plane_is_reset || true
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
