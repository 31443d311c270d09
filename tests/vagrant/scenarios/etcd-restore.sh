#!/usr/bin/env bash
# Story: a cluster is lost with its control-plane host. Of a snapshot and the kept
# authorities it is made again on other hosts: every object is there under its UID,
# tokens go on being valid, pods run, and what is left of the old host goes.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh

pki=/etc/kubernetes/pki
# The control-plane host that is asked, of the first cluster and then of the second, and
# the one whose pods are those of a lost host.
asked=cp-1 lost=nobody
kubectl() { on "$asked" kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }
four_hosts_up() {
    "$slipway" lab up --name "$lab" --control-planes 3 --workers 1 --kubernetes-version "$version" --hosts-only
}
# Writes the lab's file with these control-plane hosts and the worker only. Usage: file_of HOST…
file_of() {
    awk -v kept=" $* w-1 " '/- { name: / { name = $4; sub(/,/, "", name); if (!index(kept, " " name " ")) next } { print }' \
        "$file" >"$work/cluster.yaml"
    cat "$work/cluster.yaml"
}
init_with() { # HOST…
    file_of "$@"
    "$slipway" init -f "$work/cluster.yaml" --bundle "$bundle" -y
}
etcd() { # VERB ARGUMENT…
    local verb=$1
    shift
    "$slipway" etcd "$verb" -f "$work/cluster.yaml" "$@"
}
# Succeeds when exactly these nodes are Ready. Usage: ready_are NODE…
ready_are() {
    kubectl get nodes -o wide
    [ "$(kubectl get nodes --no-headers | awk '$2 == "Ready" { print $1 }' | sort | tr '\n' ' ')" = "$* " ]
}

watched=/api/v1/namespaces/harbour/configmaps
contents() { kubectl -n harbour get configmaps,secrets -l cargo -o 'jsonpath={range .items[*]}{.kind}/{.metadata.name} {.data}{"\n"}{end}' | sort; }
objects_are_made() {
    kubectl create namespace harbour
    local number
    for number in $(seq 1 20); do
        echo "---
apiVersion: v1
kind: ConfigMap
metadata: { name: ship-$number, namespace: harbour, labels: { cargo: tea } }
data: { crates: \"$number\" }
---
apiVersion: v1
kind: Secret
metadata: { name: key-$number, namespace: harbour, labels: { cargo: keys } }
stringData: { number: \"$RANDOM$RANDOM\" }"
    done | on cp-1 kubectl --kubeconfig /etc/kubernetes/admin.conf apply -f -
}
token_is_made() {
    kubectl -n harbour create serviceaccount captain
    kubectl -n harbour create rolebinding captain --clusterrole=view --serviceaccount=harbour:captain
    kubectl -n harbour create token captain --duration=2h >"$work/token"
    eventually 20 token_is_valid cp-1
}
# Succeeds when a host's API server lets the token read. Usage: token_is_valid HOST
token_is_valid() {
    on "$1" curl -sf --max-time 5 --cacert $pki/ca.crt -H "Authorization: Bearer $(tr -d '\r\n' <"$work/token")" \
        "https://$(address_of "$1"):6443/api/v1/namespaces/harbour/configmaps/ship-1"
}
# A pod on every node, the control plane's too. Usage: lookouts NAMESPACE
lookouts() {
    cat <<YAML
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: lookout, namespace: $1 }
spec:
  selector: { matchLabels: { app: lookout } }
  template:
    metadata: { labels: { app: lookout } }
    spec:
      terminationGracePeriodSeconds: 1
      tolerations: [{ operator: Exists }]
      containers:
      - { name: lookout, image: "$(cat "$work/agnhost")", imagePullPolicy: Never, args: [netexec, --http-port=8080] }
YAML
}
workload_runs() {
    import_agnhost cp-1 w-1
    cat >"$work/pier.yaml" <<YAML
apiVersion: apps/v1
kind: Deployment
metadata: { name: pier, namespace: harbour }
spec:
  replicas: 2
  selector: { matchLabels: { app: pier } }
  template:
    metadata: { labels: { app: pier } }
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - { name: pier, image: "$(cat "$work/agnhost")", imagePullPolicy: Never, args: [netexec, --http-port=8080] }
---
apiVersion: v1
kind: Service
metadata: { name: pier, namespace: harbour }
spec:
  selector: { app: pier }
  ports: [{ port: 80, targetPort: 8080 }]
YAML
    lookouts harbour | cat "$work/pier.yaml" - | kubectl apply -f -
    kubectl -n harbour rollout status deployment/pier --timeout=120s
    eventually 60 pods_answer pier 2
    eventually 60 pods_answer lookout 2
    eventually 60 names_answer
}
# Succeeds when so many pods with a label answer a control-plane host, each at its own
# address. Usage: pods_answer LABEL COUNT
pods_answer() {
    local pods name address
    pods=$(kubectl -n harbour get pods -l "app=$1" -o 'jsonpath={range .items[*]}{.metadata.name} {.status.podIP} {.spec.nodeName}{"\n"}{end}' |
        grep -v " $lost$")
    echo "$pods"
    [ "$(wc -l <<<"$pods")" -eq "$2" ] || return 1
    while read -r name address _; do
        [ "$(on "$asked" curl -sf --max-time 3 "http://$address:8080/hostname" </dev/null)" = "$name" ] || return 1
    done <<<"$pods"
}
names_answer() { kubectl -n harbour exec deployment/pier -- /agnhost connect pier.harbour.svc.cluster.local:80 --timeout=2s; }
all_is_counted() {
    inventory >"$work/before"
    contents >"$work/contents"
    [ "$(grep -cE '^(ConfigMap|Secret)/harbour/(ship|key)-' "$work/before")" -eq 40 ]
    [ "$(wc -l <"$work/contents")" -eq 40 ]
    kubectl get --raw "$watched" | jq -er '.metadata.resourceVersion | select(. != "")' >"$work/version"
}

snapshot_is_taken() {
    etcd snapshot "$work/snapshot.db" --with-authorities -o json >"$work/snapshot.json"
    jq -e '.revision > 0' "$work/snapshot.json"
}
authorities_are_kept() {
    local file=$work/snapshot.db.authorities name
    prints '^600$' stat -c %a "$file"
    fails grep -qa 'PRIVATE KEY' "$file"
    # The key of another snapshot opens nothing.
    refuses 64 'does not open' "$slipway" etcd open-authorities "$file" --out-dir "$work/opened" < <(openssl rand -hex 32)
    jq -r .authorities.key "$work/snapshot.json" |
        "$slipway" etcd open-authorities "$file" --out-dir "$work/opened"
    local names=(ca.crt ca.key front-proxy-ca.crt front-proxy-ca.key etcd/ca.crt etcd/ca.key sa.key sa.pub)
    for name in "${names[@]}"; do
        cmp "$work/opened$pki/$name" <(on cp-1 cat "$pki/$name")
    done
    (umask 077; tar -C "$work/opened$pki" -cf "$work/authorities.tar" "${names[@]}")
}
cluster_is_lost() {
    "$slipway" reset -f "$work/cluster.yaml" --all -y
    host_is_clean cp-1
    host_is_clean w-1
    podman kill "slipway-$lab-cp-1"
}

authorities_are_put_on_the_new_first() {
    on cp-2 sh -ec "mkdir -p $pki && tar -C $pki -xf -" <"$work/authorities.tar"
    prints '^600$' on cp-2 stat -c %a $pki/ca.key
}
others_are_made() {
    import_agnhost cp-2 cp-3 w-1
    kubectl create namespace afterwards
    # So every host has had pods of its own subnet.
    lookouts afterwards | kubectl apply -f -
    kubectl -n afterwards rollout status daemonset/lookout --timeout=120s
    kubectl -n afterwards create configmap late --from-literal=at=last
    fails kubectl get namespace harbour
}
authorities_are_the_old_ones() {
    local host name
    mkdir "$work/pki"
    tar -C "$work/pki" -xf "$work/authorities.tar"
    for host in cp-2 cp-3; do
        for name in ca.crt ca.key front-proxy-ca.crt front-proxy-ca.key etcd/ca.crt etcd/ca.key sa.key sa.pub; do
            cmp "$work/pki/$name" <(on "$host" cat "$pki/$name")
        done
    done
}
plan_is_shown() {
    local status=0 host
    etcd restore "$work/snapshot.db" --bundle "$bundle" --dry-run >"$work/plan" || status=$?
    cat "$work/plan"
    [ "$status" -eq 2 ]
    for host in cp-2 cp-3; do
        grep -qE "$host +restore etcd to revision $(jq .revision "$work/snapshot.json"), old data kept in /var/lib/etcd/before-" "$work/plan"
    done
    kubectl get namespace afterwards
}
restore_runs() { etcd restore "$work/snapshot.db" --bundle "$bundle" -y; }

every_object_is_there() {
    inventory >"$work/after"
    # Kubernetes itself may have written more by now.
    comm -23 "$work/before" "$work/after" | tee "$work/missing"
    [ ! -s "$work/missing" ]
    diff "$work/contents" <(contents)
    fails kubectl get namespace afterwards
}
# Succeeds when etcd has these members and no others, and all vote. Usage: members_are HOST…
members_are() {
    etcd members -o json >"$work/members.json" || true
    jq -c '[.members[].member | {name, isLearner}]' "$work/members.json"
    [ "$(jq -r '[.members[].member | select(.isLearner | not) | .name] | sort | join(" ")' "$work/members.json")" = "$*" ] &&
        jq -e --argjson count $# '(.members | length) == $count and (.troubles | length) == 0' "$work/members.json"
}
watchers_see_the_jump() {
    local before now
    before=$(jq -r .revision "$work/snapshot.json")
    now=$(etcd members -o json | jq -r '.members[0].status.revision')
    echo "revision $before became $now"
    [ "$now" -gt $((before + 1000000000)) ]
    # Who goes on watching from what the lost cluster said is told to read anew.
    kubectl get --raw "$watched?watch=1&timeoutSeconds=5&resourceVersion=$(cat "$work/version")" 2>&1 | cut -c1-300 | tee "$work/watched" || true
    grep -E '"code":410|too old resource version' "$work/watched"
}
new_nodes_come_back() { eventually 120 ready_are cp-2 cp-3 w-1; }
# The subnet that each node's pods have is the one that its node says, and nobody else's.
subnets_are_the_nodes_own() {
    local node subnet
    kubectl get nodes -o 'jsonpath={range .items[*]}{.metadata.name} {.spec.podCIDR}{"\n"}{end}' | tee "$work/subnets"
    [ -z "$(cut -d' ' -f2 "$work/subnets" | sort | uniq -d)" ] || return 1
    for node in cp-2 cp-3 w-1; do
        subnet=$(awk -v node="$node" '$1 == node { sub(/0\/24$/, "1/24", $2); print $2 }' "$work/subnets")
        on "$node" grep -x "FLANNEL_SUBNET=$subnet" /run/flannel/subnet.env || return 1
        on "$node" ip -4 -o address show cni0 | grep -F " $subnet " || return 1
    done
}
controllers_act() {
    kubectl -n harbour scale deployment pier --replicas=3
    eventually 120 pods_answer pier 3
    kubectl create namespace again
    eventually 30 kubectl -n again get serviceaccount default
    kubectl delete namespace again --timeout=60s
}
apply_cleans_up() {
    local status=0
    "$slipway" apply -f "$work/cluster.yaml" --bundle "$bundle" -y >"$work/applied" 2>&1 || status=$?
    cat "$work/applied"
    # Nobody cleans the lost host, and that is said.
    [ "$status" -eq 4 ]
    grep -q 'cp-1' "$work/applied"
    fails kubectl get node cp-1
    eventually 60 ready_are cp-2 cp-3 w-1
}
no_changes() { prints '^No changes' "$slipway" apply -f "$work/cluster.yaml" --bundle "$bundle" -y; }
nothing_names_the_lost_host() {
    local address
    address=$(address_of cp-1)
    fails kubectl get node cp-1
    fails grep -F "$address" <(kubectl -n kube-system get configmap kubeadm-config -o yaml)
    fails grep -F "$address" <(kubectl -n kube-public get configmap cluster-info -o yaml)
    eventually 90 kubernetes_is_not_at "$address"
    eventually 60 no_pod_is_on_cp_1
}
kubernetes_is_not_at() { fails grep -F "$1" <(kubectl get endpointslice kubernetes -o yaml); }
no_pod_is_on_cp_1() { [ -z "$(kubectl get pods -A --field-selector=spec.nodeName=cp-1 -o name)" ]; }
status_is_healthy() { prints 'Addons are healthy' "$slipway" status -f "$work/cluster.yaml"; }
reset_all() {
    "$slipway" reset -f "$work/cluster.yaml" --all -y
    # The folder was there before Slipway, so it stays, and nothing stays in it.
    fails on cp-2 sh -c 'find /etc/kubernetes -type f | grep .'
    on cp-2 rm -rf /etc/kubernetes
    local host
    for host in cp-2 cp-3 w-1; do
        host_is_clean "$host"
    done
}

if subtest "four bare hosts boot" four_hosts_up; then
    if subtest "init makes the first cluster" init_with cp-1; then
        subtest "its two nodes are Ready" eventually 60 ready_are cp-1 w-1 || true
        subtest "objects are made" objects_are_made || true
        subtest "a ServiceAccount's token is made" token_is_made || true
        subtest "pods run and answer" workload_runs || true
        subtest "everything is counted" all_is_counted || true
        subtest "a snapshot is taken" snapshot_is_taken || true
        subtest "the authorities are kept" authorities_are_kept || true
        subtest "the cluster is lost, its control-plane host too" cluster_is_lost || true
        asked=cp-2 lost=cp-1
        subtest "the authorities are put on other hosts' first" authorities_are_put_on_the_new_first || true
        if subtest "init makes a second cluster of two others and the worker" init_with cp-2 cp-3; then
            subtest "its three nodes are Ready" eventually 60 ready_are cp-2 cp-3 w-1 || true
            subtest "its authorities are the first one's" authorities_are_the_old_ones || true
            subtest "other objects are made there" others_are_made || true
            subtest "the plan is shown, nothing is touched" plan_is_shown || true
            if subtest "the snapshot is restored" restore_runs; then
                subtest "every object that was counted is there" every_object_is_there || true
                subtest "two members of etcd vote" members_are cp-2 cp-3 || true
                subtest "watchers see the jump" watchers_see_the_jump || true
                subtest "the old token is valid" token_is_valid cp-2 || true
                subtest "the new nodes come back by themselves" new_nodes_come_back || true
                # kube-proxy's configuration, restored too, names the lost host until then.
                subtest "apply takes the lost host's node away" apply_cleans_up || true
                subtest "a second apply changes nothing" no_changes || true
                subtest "nothing names the lost host" nothing_names_the_lost_host || true
                subtest "each node's pods have its own subnet" eventually 60 subnets_are_the_nodes_own || true
                subtest "the Deployment's pods run and answer" eventually 120 pods_answer pier 2 || true
                subtest "so do those on every node" eventually 120 pods_answer lookout 3 || true
                subtest "names answer" eventually 60 names_answer || true
                subtest "controllers act" controllers_act || true
                subtest "status is healthy" eventually 90 status_is_healthy || true
            fi
            subtest "reset --all leaves the hosts bare" reset_all || true
        fi
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
