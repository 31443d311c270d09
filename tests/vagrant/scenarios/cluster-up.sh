#!/usr/bin/env bash
# Story: bare hosts become a cluster of one control-plane node and two workers,
# from an offline bundle; it works, kubeadm understands it, a second apply
# changes nothing, a worker leaves and comes back though its join is killed in the
# middle, and everything can be taken away and built again on the same hosts.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh
source tests/cut.sh

hosts_are_bare() {
    local host
    for host in cp-1 w-1 w-2; do
        on "$host" sh -ec 'for p in kubelet containerd runc; do if command -v $p; then exit 1; fi; done
            test ! -e /etc/kubernetes; test ! -e /var/lib/slipway'
    done
}
preflight_is_content() { "$slipway" preflight -f "$file"; }
plan_is_a_page() {
    local status=0
    "$slipway" plan -f "$file" --bundle "$bundle" >"$work/plan" || status=$?
    [ "$status" -eq 2 ]
    grep -qE '^certs +cp-1 +issue certificate apiserver-etcd-client' "$work/plan"
    grep -qE '^kubelet-start +w-2 +start kubelet.service' "$work/plan"
}
top_answers() { eventually 90 kubectl top nodes; prints '^w-2 ' kubectl top nodes; }
control_plane_runs_no_workload() {
    prints node-role.kubernetes.io/control-plane kubectl get node cp-1 -o 'jsonpath={.spec.taints[*].key}'
    prints node-role.kubernetes.io/control-plane kubectl get node cp-1 -o 'jsonpath={.metadata.labels}'
}

pod_reaches_service_on_other_node() {
    local image
    image=$(cat "$work/agnhost")
    kubectl apply -f - <<YAML
apiVersion: v1
kind: Pod
metadata: { name: server, labels: { app: server } }
spec:
  nodeName: w-1
  containers:
  - { name: server, image: "$image", imagePullPolicy: Never, args: [netexec, --http-port=8080] }
---
apiVersion: v1
kind: Service
metadata: { name: server }
spec:
  selector: { app: server }
  ports: [{ port: 80, targetPort: 8080 }]
---
apiVersion: v1
kind: Pod
metadata: { name: client }
spec:
  nodeName: w-2
  containers:
  - { name: client, image: "$image", imagePullPolicy: Never, args: [pause] }
YAML
    kubectl wait --for=condition=Ready pod/server pod/client --timeout=90s
    # By DNS name: CoreDNS, kube-proxy and the pod network all take part.
    eventually 30 kubectl exec client -- /agnhost connect server.default.svc.cluster.local:80 --timeout=2s
}
pod_logs_and_exec_work() { kubectl logs server >/dev/null; kubectl exec server -- /agnhost --help >/dev/null; }

kubeadm_checks_expiration() { prints '^apiserver-etcd-client' on cp-1 kubeadm certs check-expiration; }
kubeadm_plans_an_upgrade() {
    # Without a download site kubeadm needs an explicit version.
    on cp-1 kubeadm upgrade plan "v$version" --ignore-preflight-errors=SystemVerification --allow-experimental-upgrades
}
kubeadm_prints_a_join_command() {
    prints 'kubeadm join .* --discovery-token-ca-cert-hash sha256:' on cp-1 kubeadm token create --print-join-command
}
slipway_lists_tokens() { prints authentication "$slipway" token list -f "$file"; }

apply_changes_nothing() {
    local start=$SECONDS
    prints '^No changes' "$slipway" apply -f "$file" --bundle "$bundle" -y
    [ $((SECONDS - start)) -lt 25 ]
}
drift_is_seen_and_mended() {
    local status=0
    on w-1 sysctl -qw net.ipv4.ip_forward=0
    "$slipway" plan -f "$file" --bundle "$bundle" >"$work/drift" || status=$?
    [ "$status" -eq 2 ]
    grep -q 'net.ipv4.ip_forward is 0, not 1' "$work/drift"
    "$slipway" apply -f "$file" --bundle "$bundle" -y
    prints '^1$' on w-1 sysctl -n net.ipv4.ip_forward
}
status_is_healthy() { prints 'Addons are healthy' "$slipway" status -f "$file"; }
logs_show_the_run() {
    prints succeeded "$slipway" logs -f "$file"
    prints '  done ' "$slipway" logs -f "$file" --host w-1
}
no_secret_in_state() {
    # Journals hold no key, no token and no kubeconfig; they are private anyway.
    fails grep -rlE 'PRIVATE KEY|client-key-data|\b[a-z0-9]{6}\.[a-z0-9]{16}\b' "$work/state"
    [ -z "$(find "$work/state" -type f -perm /077)" ]
    fails on cp-1 grep -rlE 'PRIVATE KEY|client-key-data' /var/lib/slipway/runs
}

worker_leaves() {
    "$slipway" reset -f "$file" --host w-2 -y
    fails kubectl get node w-2
    host_is_clean w-2
}
join_is_killed() { cut_at kill_workstation w-2 kubelet-start/ join --bundle "$bundle"; }
worker_returns() {
    "$slipway" join -f "$file" --bundle "$bundle" -y
    eventually 60 nodes_ready 3
    on w-2 systemctl is-active kubelet
}
reset_all() {
    "$slipway" reset -f "$file" --all -y
    local host
    for host in cp-1 w-1 w-2; do
        host_is_clean "$host"
    done
}
init_again() { init; eventually 60 nodes_ready 3; }
changed_host_key_is_refused() {
    sed 's/^\([0-9.]* ssh-ed25519\) .*/\1 AAAAC3NzaC1lZDI1NTE5AAAAIGnFm5dTTgPdJXhLmFzrd3WZqoaiOVGWLPBSGqE0J2Yv/' \
        "$(dirname "$file")/known_hosts" >"$work/known_hosts"
    sed "s|knownHostsFile: .*|knownHostsFile: $work/known_hosts|" "$file" >"$work/changed.yaml"
    refuses 4 "host key" "$slipway" preflight -f "$work/changed.yaml"
}
wrong_ssh_key_is_refused() {
    ssh-keygen -q -t ed25519 -N '' -f "$work/other-key"
    sed "s|identityFile: .*|identityFile: $work/other-key|" "$file" >"$work/key.yaml"
    SSH_AUTH_SOCK='' refuses 4 "cp-1" "$slipway" preflight -f "$work/key.yaml"
}
dead_host_is_named_and_others_go_on() {
    podman kill "slipway-$lab-w-2"
    refuses 4 "w-2" "$slipway" status -f "$file"
    "$slipway" preflight -f "$file" --host w-1
    podman start "slipway-$lab-w-2"
    eventually 60 on w-2 true
}
if subtest "three bare hosts boot" hosts_up; then
    subtest "the hosts hold nothing of Kubernetes" hosts_are_bare || true
    subtest "preflight finds no errors" preflight_is_content || true
    subtest "the plan is a page" plan_is_a_page || true
    if subtest "init brings up the cluster" init; then
        subtest "three nodes are Ready" eventually 60 nodes_ready 3 || true
        subtest "CoreDNS is available" available coredns || true
        subtest "metrics-server is available" available metrics-server || true
        subtest "kubectl top nodes answers" top_answers || true
        subtest "the control-plane node is marked" control_plane_runs_no_workload || true
        subtest "the test image is imported" import_agnhost w-1 w-2 || true
        subtest "a pod reaches a Service and a DNS name served from another node" pod_reaches_service_on_other_node || true
        subtest "logs and exec work" pod_logs_and_exec_work || true
        subtest "kubeadm certs check-expiration works" kubeadm_checks_expiration || true
        subtest "kubeadm upgrade plan works" kubeadm_plans_an_upgrade || true
        subtest "kubeadm token create --print-join-command works" kubeadm_prints_a_join_command || true
        subtest "slipway token list shows kubeadm's token" slipway_lists_tokens || true
        subtest "a second apply changes nothing" apply_changes_nothing || true
        subtest "drift is seen and mended" drift_is_seen_and_mended || true
        subtest "status is healthy" status_is_healthy || true
        subtest "logs show the run" logs_show_the_run || true
        subtest "journals hold no secret" no_secret_in_state || true
        subtest "a changed host key is refused" changed_host_key_is_refused || true
        subtest "a wrong SSH key is refused" wrong_ssh_key_is_refused || true
        subtest "a worker leaves" worker_leaves || true
        subtest "its join is killed in the middle" join_is_killed || true
        subtest "the same join goes on and the worker returns" worker_returns || true
        subtest "a dead host is named, the others go on" dead_host_is_named_and_others_go_on || true
        subtest "reset --all leaves the hosts bare" reset_all || true
        subtest "init works again on the same hosts" init_again || true
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
