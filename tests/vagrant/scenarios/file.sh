#!/usr/bin/env bash
# Story: everything that a cluster file can say beyond hosts is in effect: files of
# a host, patches, labels, taints, arguments and configuration of kubelets and
# kube-proxy, arguments and volumes of the API server. Each is changed alone: the
# plan names the steps of that change and no others, `apply` does them, and the
# next plan is empty. Taken out of the file, they go. What a living cluster keeps
# is refused, and the content of a host's file is nowhere but in its place.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh

# The lab's file with more in it, and what lies beside it.
own=$work/own/cluster.yaml
secret=hunter2-in-a-comment

written() {
    mkdir -p "$work/own/patches"
    local cp worker
    cp=$(address_of cp-1) worker=$(address_of w-1)
    {
        sed '/^  hosts:/,$d' "$file"
        cat <<YAML
  patches: { directory: patches }
  hosts:
    - name: cp-1
      address: $cp
      role: control-plane
      labels: { tier: front }
      files:
        - { src: policy.yaml, dest: /etc/kubernetes/audit/policy.yaml }
        - { src: motd, dest: /etc/motd, mode: "0644" }
    - name: w-1
      address: $worker
      role: worker
      labels: { disk: ssd }
      taints: [{ key: dedicated, value: gpu, effect: PreferNoSchedule }]
      kubeletExtraArgs: [{ name: max-pods, value: "77" }]
YAML
        # The lab's own documents, and a field more of each.
        grep -q '^kind: KubeletConfiguration' "$file" || printf -- '---\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n'
        sed -n '/^---/,$p' "$file" | sed '/^kind: KubeProxyConfiguration/a healthzBindAddress: 127.0.0.1:10266'
        cat <<'YAML'
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
apiServer:
  extraArgs:
    - { name: audit-policy-file, value: /etc/kubernetes/audit/policy.yaml }
    - { name: audit-log-path, value: /var/log/kubernetes/audit.log }
  extraVolumes:
    - { name: audit, hostPath: /etc/kubernetes/audit, mountPath: /etc/kubernetes/audit, readOnly: true }
    - { name: audit-log, hostPath: /var/log/kubernetes, mountPath: /var/log/kubernetes, pathType: DirectoryOrCreate }
YAML
    } | sed '/^kind: KubeletConfiguration/a containerLogMaxFiles: 6' >"$own"
    policy Metadata
    echo "welcome to the harbour" >"$work/own/motd"
    scheduler_patch 3
    echo 'metadata: { annotations: { example.com/owner: harbour } }' >"$work/own/patches/kube-apiserver+merge.yaml"
    echo 'containerLogMaxSize: 21Mi' >"$work/own/patches/kubeletconfiguration.yaml"
    "$slipway" config validate -f "$own"
}
policy() { # LEVEL
    printf '# %s\napiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{ level: %s }]\n' "$secret" "$1" >"$work/own/policy.yaml"
}
scheduler_patch() { # VERBOSITY
    echo "- { op: add, path: /spec/containers/0/command/-, value: --v=$1 }" >"$work/own/patches/kube-scheduler+json.yaml"
}
# Changes the file; a sed script that matches nothing is a mistake of this story.
edit() {
    cp "$own" "$work/before.yaml"
    sed -i "$@" "$own"
    fails cmp -s "$work/before.yaml" "$own"
}

motd_was_somebody_s() { on cp-1 sh -c 'echo mine >/etc/motd'; }
init_own() { "$slipway" init -f "$own" --bundle "$bundle" -y; eventually 60 nodes_ready 2; }
plan_own() { "$slipway" plan -f "$own" --bundle "$bundle" "$@"; }
apply_own() { "$slipway" apply -f "$own" --bundle "$bundle" -y; }
# What was restarted may be on its way to Ready, and a plan waits for that too.
nothing_to_do() { eventually 90 prints '^No changes' plan_own; }

# Succeeds if the plan has the steps on stdin and no others, applies it, and is
# content then. A line is a host and a step.
does_only() {
    local status=0
    sort >"$work/expected"
    plan_own -o json >"$work/plan.json" || status=$?
    jq -r '.steps[].id' "$work/plan.json" | sed -E 's|^([^/]+)/[^/]+/|\1 |' | sort >"$work/planned"
    diff "$work/expected" "$work/planned"
    [ "$status" -eq 2 ]
    fails grep -q "$secret" "$work/plan.json"
    apply_own
    nothing_to_do
}

runs_with() { eventually 30 on cp-1 sh -c "tr '\0' ' ' </proc/\$(pgrep -x $1)/cmdline | grep -q -- '$2'"; } # PROGRAM ARGUMENT
runs_without() { eventually 30 fails on cp-1 sh -c "tr '\0' ' ' </proc/\$(pgrep -x $1)/cmdline | grep -q -- '$2'"; }
node_has() { prints "$3" kubectl get node "$1" -o "jsonpath={$2}"; } # NODE FIELD PATTERN
kubelet_has() { # NODE FIELD VALUE, as the running kubelet says
    [ "$(kubectl get --raw "/api/v1/nodes/$1/proxy/configz" | jq -r ".kubeletconfig.$2")" = "$3" ]
}
audit_says() { # LEVEL: of something that happens now
    local name=audited-$RANDOM
    kubectl create configmap "$name"
    eventually 10 on cp-1 sh -c "grep '\"$name\"' /var/log/kubernetes/audit.log | grep '\"verb\":\"create\"' | grep -q '\"level\":\"$1\"'"
    kubectl delete configmap "$name"
}
started_at() { kubectl -n kube-system get pod "$1-cp-1" -o 'jsonpath={.status.containerStatuses[0].containerID}'; }
is_another() { [ "$(started_at "$1")" != "$2" ]; } # COMPONENT CONTAINER

files_are_in_place() {
    prints '^600 root' on cp-1 stat -c '%a %U' /etc/kubernetes/audit/policy.yaml
    on cp-1 cat /etc/kubernetes/audit/policy.yaml | cmp - "$work/own/policy.yaml"
    prints '^644 root' on cp-1 stat -c '%a %U' /etc/motd
    audit_says Metadata
}
patches_are_in_effect() {
    runs_with kube-scheduler --v=3
    prints harbour kubectl -n kube-system get pod kube-apiserver-cp-1 -o 'jsonpath={.metadata.annotations}'
    kubelet_has cp-1 containerLogMaxSize 21Mi
    kubelet_has w-1 containerLogMaxSize 21Mi
}
marks_are_there() {
    node_has cp-1 .metadata.labels.tier '^front$'
    node_has w-1 .metadata.labels.disk '^ssd$'
    node_has w-1 .spec.taints '"dedicated"'
    kubectl label node w-1 foreign=kept
}
kubelets_are_configured() {
    eventually 30 node_has w-1 .status.capacity.pods '^77$'
    kubelet_has w-1 containerLogMaxFiles 6
    on w-1 curl -sf http://127.0.0.1:10266/healthz
}
content_is_nowhere_else() {
    fails grep -rqF "$secret" "$XDG_STATE_HOME"
    fails on cp-1 grep -rqF "$secret" /var/lib/slipway /run/slipway /var/log/pods
    fails on w-1 grep -rqF "$secret" /var/lib/slipway /etc
    fails prints "$secret" kubectl get configmaps -A -o json
}

policy_changes() {
    policy Request
    local before
    before=$(started_at kube-apiserver)
    does_only <<'STEPS'
cp-1 put /etc/kubernetes/audit/policy.yaml in place
cp-1 run static Pod kube-apiserver
cp-1 wait until the API server is ready
STEPS
    eventually 30 is_another kube-apiserver "$before"
    audit_says Request
}
unread_file_changes() {
    local before
    before=$(started_at kube-apiserver)
    echo "welcome again" >"$work/own/motd"
    does_only <<<'cp-1 put /etc/motd in place'
    prints '^welcome again' on cp-1 cat /etc/motd
    [ "$before" = "$(started_at kube-apiserver)" ]
}
mode_changes() {
    edit 's/mode: "0644"/mode: "0640"/'
    does_only <<'STEPS'
cp-1 apply slipway-cluster
cp-1 put /etc/motd in place
STEPS
    prints '^640' on cp-1 stat -c %a /etc/motd
}
patch_changes() {
    scheduler_patch 4
    does_only <<'STEPS'
cp-1 run static Pod kube-scheduler
cp-1 write /etc/kubernetes/manifests/kube-scheduler.yaml
STEPS
    runs_with kube-scheduler --v=4
}
kubelet_patch_changes() {
    echo 'containerLogMaxSize: 22Mi' >"$work/own/patches/kubeletconfiguration.yaml"
    does_only <<'STEPS'
cp-1 start kubelet.service
cp-1 wait until the kubelet is healthy
cp-1 write /var/lib/kubelet/config.yaml
w-1 start kubelet.service
w-1 wait until the kubelet is healthy
w-1 write /var/lib/kubelet/config.yaml
STEPS
    eventually 30 kubelet_has cp-1 containerLogMaxSize 22Mi
    eventually 30 kubelet_has w-1 containerLogMaxSize 22Mi
}
label_changes() {
    edit 's/disk: ssd/rack: r1/'
    does_only <<'STEPS'
cp-1 apply slipway-cluster
cp-1 label and taint node w-1
STEPS
    node_has w-1 .metadata.labels.rack '^r1$'
    node_has w-1 .metadata.labels.disk '^$'
    node_has w-1 .metadata.labels.foreign '^kept$'
}
taint_changes() {
    edit 's/value: gpu/value: tpu/'
    does_only <<'STEPS'
cp-1 apply slipway-cluster
cp-1 label and taint node w-1
w-1 start kubelet.service
w-1 wait until the kubelet is healthy
w-1 write /var/lib/kubelet/kubeadm-flags.env
STEPS
    node_has w-1 .spec.taints '"tpu"'
}
kubelet_argument_changes() {
    edit 's/value: "77"/value: "78"/'
    does_only <<'STEPS'
cp-1 apply slipway-cluster
w-1 start kubelet.service
w-1 wait until the kubelet is healthy
w-1 write /var/lib/kubelet/kubeadm-flags.env
STEPS
    eventually 60 node_has w-1 .status.capacity.pods '^78$'
}
kubelet_configuration_changes() {
    edit 's/containerLogMaxFiles: 6/containerLogMaxFiles: 7/'
    does_only <<'STEPS'
cp-1 apply kubelet-config
cp-1 apply slipway-cluster
cp-1 start kubelet.service
cp-1 wait until the kubelet is healthy
cp-1 write /var/lib/kubelet/config.yaml
w-1 start kubelet.service
w-1 wait until the kubelet is healthy
w-1 write /var/lib/kubelet/config.yaml
STEPS
    eventually 30 kubelet_has w-1 containerLogMaxFiles 7
}
kube_proxy_configuration_changes() {
    edit 's/127.0.0.1:10266/127.0.0.1:10267/'
    does_only <<'STEPS'
cp-1 apply kube-proxy
cp-1 apply slipway-cluster
STEPS
    kubectl -n kube-system rollout status daemonset/kube-proxy --timeout=120s
    eventually 30 on w-1 curl -sf http://127.0.0.1:10267/healthz
}
argument_changes() {
    edit 's|/var/log/kubernetes/audit.log|/var/log/kubernetes/audit2.log|'
    does_only <<'STEPS'
cp-1 apply kubeadm-config
cp-1 apply slipway-cluster
cp-1 run static Pod kube-apiserver
cp-1 wait until the API server is ready
cp-1 write /etc/kubernetes/manifests/kube-apiserver.yaml
STEPS
    eventually 30 on cp-1 test -s /var/log/kubernetes/audit2.log
}

errors_come_together() {
    sed -e 's/src: motd/src: gone/' -e 's/directory: patches/directory: nowhere/' "$own" >"$work/own/bad.yaml"
    refuses 64 "2 errors in" "$slipway" apply -f "$work/own/bad.yaml" --bundle "$bundle" -y
    refuses 64 "gone" "$slipway" plan -f "$work/own/bad.yaml" --bundle "$bundle"
    refuses 64 "nowhere" "$slipway" plan -f "$work/own/bad.yaml" --bundle "$bundle"
}
settled_things_are_refused() {
    local output
    sed 's/^  hosts:/  networking: { podSubnet: 10.200.0.0\/16 }\n  hosts:/; s/^    - name: w-1/&\n      hostnameOverride: other/' "$own" >"$work/own/other.yaml"
    output=$("$slipway" preflight -f "$work/own/other.yaml" 2>&1) && { echo "$output"; return 1; }
    echo "$output"
    grep -q ClusterSettings <<<"$output"
    grep -q NodeName <<<"$output"
}

everything_is_taken_out() {
    edit -e '/^  patches:/d' -e '/^      \(labels\|taints\|kubeletExtraArgs\|files\):/d' -e '/^        - { src:/d' \
        -e '/^containerLogMaxFiles/d' -e '/^healthzBindAddress/d' -e '/^apiVersion: kubeadm/,$d'
    sed -i '${/^---$/d}' "$own"
    does_only <<'STEPS'
cp-1 apply kube-proxy
cp-1 apply kubeadm-config
cp-1 apply kubelet-config
cp-1 apply slipway-cluster
cp-1 label and taint node cp-1
cp-1 label and taint node w-1
cp-1 run static Pod kube-apiserver
cp-1 run static Pod kube-scheduler
cp-1 start kubelet.service
cp-1 take /etc/kubernetes/audit/policy.yaml away again
cp-1 take /etc/motd away again
cp-1 wait until the API server is ready
cp-1 wait until the kubelet is healthy
cp-1 write /etc/kubernetes/manifests/kube-apiserver.yaml
cp-1 write /etc/kubernetes/manifests/kube-scheduler.yaml
cp-1 write /var/lib/kubelet/config.yaml
w-1 start kubelet.service
w-1 wait until the kubelet is healthy
w-1 write /var/lib/kubelet/config.yaml
w-1 write /var/lib/kubelet/kubeadm-flags.env
STEPS
}
files_are_gone() {
    on cp-1 test ! -e /etc/kubernetes/audit
    prints '^mine$' on cp-1 cat /etc/motd
}
the_rest_is_gone() {
    runs_without kube-scheduler --v=
    runs_without kube-apiserver --audit
    node_has cp-1 .metadata.labels.tier '^$'
    node_has w-1 .metadata.labels.rack '^$'
    node_has w-1 .metadata.labels.foreign '^kept$'
    node_has w-1 .spec.taints '^$'
    eventually 60 node_has w-1 .status.capacity.pods '^110$'
    eventually 30 kubelet_has w-1 containerLogMaxFiles 5
    eventually 60 nodes_ready 2
}
reset_takes_files_too() {
    edit 's|^      role: control-plane|&\n      files: [{ src: policy.yaml, dest: /etc/kubernetes/audit/policy.yaml }, { src: motd, dest: /opt/harbour/notes/motd }]|'
    apply_own
    on cp-1 test -s /opt/harbour/notes/motd
    # What is only written down was never brought, and is not the reset's to take.
    edit 's|src: motd, dest: /opt/harbour/notes/motd|&2|'
    on cp-1 sh -c 'echo mine >/opt/harbour/notes/motd2'
    "$slipway" reset -f "$own" --all -y
    on cp-1 test ! -e /etc/kubernetes
    on cp-1 test ! -e /opt/harbour/notes/motd
    prints mine on cp-1 cat /opt/harbour/notes/motd2
}

if subtest "bare hosts boot" hosts_up 1; then
    subtest "a file with everything in it is valid" written || true
    subtest "somebody has a motd" motd_was_somebody_s || true
    if subtest "init with it makes a cluster" init_own; then
        subtest "a second plan has nothing to do" nothing_to_do || true
        subtest "files are in place, the API server audits by one" files_are_in_place || true
        subtest "patches are in effect" patches_are_in_effect || true
        subtest "labels and taints are there" marks_are_there || true
        subtest "kubelets and kube-proxy are configured" kubelets_are_configured || true
        subtest "another audit policy restarts the API server and nothing else" policy_changes || true
        subtest "another file that nothing reads restarts nothing" unread_file_changes || true
        subtest "another mode of a file" mode_changes || true
        subtest "another patch of the scheduler" patch_changes || true
        subtest "another patch of the kubelets" kubelet_patch_changes || true
        subtest "another label, and somebody's own stays" label_changes || true
        subtest "another taint" taint_changes || true
        subtest "another argument of a kubelet" kubelet_argument_changes || true
        subtest "another configuration of kubelets" kubelet_configuration_changes || true
        subtest "another configuration of kube-proxy" kube_proxy_configuration_changes || true
        subtest "another argument of the API server" argument_changes || true
        subtest "the content of a file is nowhere but in its place" content_is_nowhere_else || true
        subtest "all errors of files beside it are told at once" errors_come_together || true
        subtest "what a living cluster keeps is refused" settled_things_are_refused || true
        if subtest "taking everything out makes just these steps" everything_is_taken_out; then
            subtest "files are gone, and what was there is back" files_are_gone || true
            subtest "patches, labels, taints and arguments are gone" the_rest_is_gone || true
        fi
        subtest "reset takes the files that were brought, and no others" reset_takes_files_too || true
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
