#!/usr/bin/env bash
# Story: three control-plane nodes and two workers go from one minor to the next with one
# command, while somebody writes and reads through a worker's balancer and a Deployment with a
# PodDisruptionBudget serves. The plan is shown first; a flag that no API server knows is put
# back within seconds; a drain that a budget forbids leaves its node as it was; a workstation
# that is killed goes on with the same command.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and the bundles of both versions (tests/run.sh
# sees to it).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh
source tests/writer.sh

to=${KUBERNETES:-1.36.3}
from=1.35.4
old_bundle=$SLIPWAY_CACHE/bundles/slipway-$from.bundle

five_hosts_up() {
    "$slipway" lab up --name "$lab" --control-planes 3 --workers 2 --kubernetes-version "$from" --hosts-only
}
init_old() {
    "$slipway" init -f "$file" --bundle "$old_bundle" -y
    eventually 60 nodes_ready 5
}
upgrade() { "$slipway" upgrade "$@" -f "$file" --bundle "$bundle"; }
# Succeeds when all kubelets have this version, and no other.
kubelets_are() {
    [ "$(kubectl get nodes -o 'jsonpath={range .items[*]}{.status.nodeInfo.kubeletVersion}{"\n"}{end}' | sort -u)" = "v$1" ]
}
# Prints the version of each API server, as each says it itself.
api_servers() {
    local host
    for host in cp-1 cp-2 cp-3; do
        on "$host" curl -s --cacert /etc/kubernetes/pki/ca.crt "https://$(address_of "$host"):6443/version" | jq -r .gitVersion
    done
}

# A Deployment that ends gracefully, two at a time, one of which must always be there.
workload_serves() {
    import_agnhost w-1 w-2
    kubectl create namespace harbour
    on cp-1 sh -c 'cat >/root/pier.yaml' <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: { name: pier, namespace: harbour }
spec:
  replicas: 2
  selector: { matchLabels: { app: pier } }
  template:
    metadata: { labels: { app: pier } }
    spec:
      topologySpreadConstraints:
      - { maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: { matchLabels: { app: pier } } }
      containers:
      - name: pier
        image: $(cat "$work/agnhost")
        args: [netexec, --http-port=8080]
        readinessProbe: { httpGet: { path: /hostname, port: 8080 }, periodSeconds: 1 }
        lifecycle: { preStop: { sleep: { seconds: 8 } } }
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: pier, namespace: harbour }
spec: { minAvailable: 1, selector: { matchLabels: { app: pier } } }
---
apiVersion: v1
kind: Service
metadata: { name: pier, namespace: harbour }
spec: { selector: { app: pier }, ports: [{ port: 80, targetPort: 8080 }] }
YAML
    kubectl apply -f /root/pier.yaml
    kubectl -n harbour rollout status deployment/pier --timeout=120s
    kubectl -n harbour get service pier -o 'jsonpath={.spec.clusterIP}' >"$work/address"
    on cp-1 sh -c 'cat >/root/ask.sh' <<'ASK'
while [ ! -e /root/stop ]; do
    code=$(curl -s -o /dev/null -w '%{http_code}' --max-time 2 "http://$1/hostname")
    echo "$(date +%s%N) $code" >>/root/asked
    sleep 0.1
done
ASK
    on cp-1 systemd-run --unit=asker sh /root/ask.sh "$(cat "$work/address")"
    eventually 20 on cp-1 grep -q ' 200$' /root/asked
}

# Prints the serial number of each API server's certificate.
serials() {
    local host
    for host in cp-1 cp-2 cp-3; do on "$host" openssl x509 -noout -serial -in /etc/kubernetes/pki/apiserver.crt; done
}
plan_shows_the_way() {
    local status=0
    serials >"$work/serials"
    upgrade plan "$to" >"$work/plan" 2>"$work/plan.err" || status=$?
    cat "$work/plan.err" "$work/plan"
    [ "$status" -eq 2 ]
    grep -q "v$from -> v$to" "$work/plan"
    grep -qE 'cordon and drain node w-2' "$work/plan"
    grep -qE 'cp-1 +take a snapshot of etcd' "$work/plan"
    # Nothing has changed by it, the file neither.
    prints "$from" grep kubernetesVersion "$file"
    kubelets_are "$from"
    sed "s/$from/$to/" "$file" >"$work/new.yaml"
    refuses 3 "slipway upgrade" "$slipway" apply -f "$work/new.yaml" --bundle "$bundle" -y
}

# A flag that no API server knows: the first node is put back, and nothing else was touched.
wrong_flag_is_put_back() {
    cp "$file" "$work/good.yaml"
    cat >>"$file" <<'YAML'
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
encryptionAlgorithm: ECDSA-P256
apiServer:
  extraArgs: [{ name: no-such-flag, value: "1" }]
YAML
    local status=0 start=$SECONDS
    upgrade apply "$to" -y >"$work/wrong" 2>&1 || status=$?
    figure "a wrong flag was told $(awk '/write .*kube-apiserver.yaml/ { from = $2 } / FAILED / { to = $2 } END { printf "%.0f", to - from }' "$work/wrong") s after its manifest was there, the node as it was $((SECONDS - start)) s after the command"
    tail -n 40 "$work/wrong"
    [ "$status" -eq 1 ]
    grep -q 'unknown flag: --no-such-flag' "$work/wrong"
    grep -q 'BACK   cp-1' "$work/wrong"
    cp "$work/good.yaml" "$file"
    eventually 60 nodes_ready 5
    kubelets_are "$from"
    [ "$(api_servers | sort -u)" = "v$from" ]
    fails on cp-1 grep no-such-flag /etc/kubernetes/manifests/kube-apiserver.yaml
    fails on cp-1 test -e /var/lib/slipway/kept
    "$slipway" etcd members -f "$file"
}

# A budget that allows nothing stops a worker's drain: told, bounded, and the node is as it was.
budget_is_respected() {
    kubectl -n harbour scale deployment pier --replicas=1
    kubectl -n harbour wait --for=jsonpath='{.status.replicas}'=1 deployment/pier --timeout=60s
    local status=0
    upgrade apply "$to" -y --drain-timeout 15 >"$work/budget" 2>&1 || status=$?
    tail -n 30 "$work/budget"
    [ "$status" -eq 1 ]
    grep -q 'blocked by PodDisruptionBudget harbour/pier' "$work/budget"
    kubectl -n harbour scale deployment pier --replicas=2
    eventually 60 nodes_ready 5
    # The control plane has come through, and no worker is left cordoned.
    [ "$(api_servers | sort -u)" = "v$to" ]
    [ -z "$(kubectl get nodes -o 'jsonpath={range .items[?(@.spec.unschedulable)]}{.metadata.name}{"\n"}{end}')" ]
    kubectl -n harbour rollout status deployment/pier --timeout=60s
}

killed_goes_on() {
    "$slipway" upgrade apply -y -f "$file" --bundle "$bundle" >"$work/killed" 2>&1 &
    local pid=$!
    eventually 120 grep -qE '^\[.* done .* keep this host' "$work/killed"
    kill -9 "$pid"
    wait "$pid" || true
    upgrade apply -y
    kubelets_are "$to"
    # Pods of the last node that was drained are still on their way.
    eventually 120 prints '^No changes' "$slipway" plan -f "$file" --bundle "$bundle"
    prints "kubernetesVersion: v$to" cat "$file"
}
versions_are_new() {
    eventually 60 nodes_ready 5
    kubelets_are "$to"
    [ "$(api_servers | sort -u)" = "v$to" ]
    available coredns
    available metrics-server
    kubectl -n kube-system rollout status daemonset/kube-proxy --timeout=120s
    prints "kubernetesVersion: v$to" kubectl -n kube-system get configmap kubeadm-config -o yaml
    [ -z "$(kubectl get nodes -o 'jsonpath={range .items[?(@.spec.unschedulable)]}{.metadata.name}{"\n"}{end}')" ]
    "$slipway" status -f "$file"
    # kubeadm of the new version finds its cluster.
    on cp-1 kubeadm upgrade plan "v$to" --ignore-preflight-errors=SystemVerification
}
logs_and_exec_work() {
    local pod
    pod=$(kubectl -n harbour get pods -l app=pier -o name | head -1)
    kubectl -n harbour exec "$pod" -- /agnhost --help >/dev/null
    kubectl -n harbour logs "$pod" --tail=1
}
certificates_are_new() {
    serials | diff "$work/serials" - && return 1
    "$slipway" certs check-expiration -f "$file"
    # From 1.36 on it has no organisation.
    on cp-1 openssl x509 -noout -subject -in /etc/kubernetes/pki/apiserver-kubelet-client.crt | tee "$work/subject"
    fails grep -q 'kubeadm:cluster-admins' "$work/subject"
    fails on cp-1 test -e /var/lib/slipway/kept
}
nobody_noticed() {
    on cp-1 touch /root/stop
    writer_ends
    acknowledged_is_there
    local asked failed refused written longest
    asked=$(on cp-1 sh -c 'wc -l </root/asked')
    failed=$(on cp-1 sh -c 'grep -vc " 200$" /root/asked || true')
    refused=$(on w-1 sh -c 'cat /root/refused 2>/dev/null | wc -l')
    written=$(written)
    longest=$(longest_pause)
    on w-1 sh -c "awk '{ print \$2 }' /root/refused 2>/dev/null | sort | uniq -c"
    figure "workload: $failed of $asked requests failed (aim 0)"
    figure "API through w-1's balancer: $refused of $((written + refused)) calls failed (aim under 0.5 %), longest gap $longest s (aim 3)"
    [ "$((failed * 200))" -lt "$asked" ]
    [ "$((refused * 40))" -lt "$((written + refused))" ]
    awk -v it="$longest" 'BEGIN { exit it > 15 }'
}
reset_all() { "$slipway" reset -f "$file" --all -y --delete-emptydir-data; }

if subtest "five bare hosts boot" five_hosts_up; then
    if subtest "init of $from" init_old; then
        subtest "a Deployment with a budget serves" workload_serves || true
        subtest "a writer writes through a worker's balancer" writer_starts || true
        subtest "the plan shows the way and changes nothing" plan_shows_the_way || true
        subtest "a wrong flag is told, and its node put back" wrong_flag_is_put_back || true
        subtest "a drain that a budget forbids is told, and its node left as it was" budget_is_respected || true
        subtest "a killed workstation: the same command goes on" killed_goes_on || true
        subtest "everything has the new version" versions_are_new || true
        subtest "logs and exec work" logs_and_exec_work || true
        subtest "certificates were renewed on the way" certificates_are_new || true
        subtest "nobody noticed" nobody_noticed || true
        subtest "reset --all" reset_all || true
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
