# What scenarios share: one lab, its cluster file, commands on its hosts, and
# its removal whatever happens. Sourced after lib.sh, not run; the working
# directory is the checkout.
#
# Needs: SLIPWAY_CACHE with mirror and bundle. KUBERNETES chooses the version.

: "${SLIPWAY_CACHE:?set by tests/run.sh}"
set -a

version=${KUBERNETES:-1.36.3}
slipway=$PWD/target/release/slipway
mirror=$SLIPWAY_CACHE/mirror
bundle=$SLIPWAY_CACHE/bundles/slipway-$version.bundle
lab=test-$$
work=$(mktemp -d)
labs=${XDG_DATA_HOME:-$HOME/.local/share}/slipway/labs
file=$labs/$lab/cluster.yaml
XDG_STATE_HOME=$work/state

lab_cleanup() {
    "$slipway" lab down --name "$lab" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap lab_cleanup EXIT

# Runs a command as root on a host. Usage: on HOST COMMAND…
on() {
    local host=$1
    shift
    "$slipway" lab ssh --name "$lab" "$host" sudo "$(printf '%q ' "$@")"
}
kubectl() { on cp-1 kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }

address_of() { awk -v host="name: $1," 'index($0, host) { sub(/.*address: /, ""); sub(/,.*/, ""); print }' "$file"; }

# Writes the lab's file with these control-plane hosts and the worker only. Usage: file_of HOST…
file_of() {
    awk -v kept=" $* w-1 " '/- { name: / { name = $4; sub(/,/, "", name); if (!index(kept, " " name " ")) next } { print }' \
        "$file" >"$work/cluster.yaml"
    cat "$work/cluster.yaml"
}

# Runs etcdctl in the member of a control-plane host. Usage: etcdctl HOST ARGUMENT…
etcdctl() {
    local host=$1
    shift
    kubectl -n kube-system exec "etcd-$host" -- etcdctl --endpoints=https://127.0.0.1:2379 \
        --cacert=/etc/kubernetes/pki/etcd/ca.crt --cert=/etc/kubernetes/pki/etcd/server.crt \
        --key=/etc/kubernetes/pki/etcd/server.key "$@"
}
# Lists the objects that nobody but their maker writes, each with its UID.
inventory() { kubectl get configmaps,secrets,serviceaccounts,deployments,daemonsets,services,clusterroles,namespaces -A -o 'jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name} {.metadata.uid}{"\n"}{end}' | sort; }
# Brings the test image to hosts, and its name to $work/agnhost. Usage: import_agnhost HOST…
import_agnhost() {
    local layout host
    layout=$(find "$mirror/images/registry.k8s.io/e2e-test-images/agnhost" -mindepth 1 -maxdepth 1 -type d | head -1)
    for host in "$@"; do
        tar -C "$layout" -cf - . | on "$host" ctr --namespace k8s.io images import --local -
    done
    echo "registry.k8s.io/e2e-test-images/agnhost:$(basename "$layout")" >"$work/agnhost"
}

# Starts the lab's bare hosts. Usage: hosts_up [WORKERS]
hosts_up() {
    "$slipway" lab up --name "$lab" --workers "${1:-2}" --kubernetes-version "$version" --hosts-only
}
init() { "$slipway" init -f "$file" --bundle "$bundle" -y; }
# Succeeds when exactly so many nodes are Ready. Usage: nodes_ready COUNT
nodes_ready() { [ "$(kubectl get nodes --no-headers | awk '$2 == "Ready"' | wc -l)" -eq "$1" ]; }
available() { kubectl -n kube-system rollout status "deployment/$1" --timeout=120s; }
# Succeeds when the worker, and kube-proxy everywhere, reach the API at 127.0.0.1.
workers_go_through_their_balancers() {
    prints 'server: https://127.0.0.1:6443' on w-1 cat /etc/kubernetes/kubelet.conf
    prints '^active' on w-1 systemctl is-active slipway-apiserver-proxy
    prints 'https://127.0.0.1:6443' kubectl -n kube-system get configmap kube-proxy -o yaml
}

# Slipway on a host by itself: its own binary and a bundle there, no file, no
# workstation. What is brought by hand goes by hand, and its journals with it.
bring() { # HOST
    on "$1" sh -ec 'cat >/usr/local/bin/slipway; chmod 0755 /usr/local/bin/slipway' <"$slipway"
    on "$1" sh -ec 'cat >/root/slipway.bundle' <"$bundle"
    there "$1" version
}
there() { # HOST COMMAND…
    local host=$1
    shift
    on "$host" /usr/local/bin/slipway "$@"
}
take_away() { on "$1" rm -rf /usr/local/bin/slipway /root/slipway.bundle /root/.local; } # HOST

# Succeeds when a host holds nothing of Kubernetes or of ours. Usage: host_is_clean HOST
host_is_clean() {
    on "$1" sh -ec '
        for p in kubelet containerd runc kubectl; do if command -v $p; then echo "$p is there"; exit 1; fi; done
        for p in kubelet containerd containerd-shim etcd kube-apiserver kube-proxy; do if pgrep $p; then echo "$p runs"; exit 1; fi; done
        for p in /etc/kubernetes /etc/containerd /etc/cni /opt/cni /opt/containerd /usr/libexec/kubernetes \
            /var/lib/containerd /var/lib/etcd /var/lib/kubelet /var/lib/cni /run/flannel /run/containerd \
            /var/log/pods /var/log/containers /var/lib/slipway/cluster /var/lib/slipway/before; do
            if [ -e $p ]; then echo "$p is there"; exit 1; fi
        done
        if systemctl list-units --all --no-legend | grep -E "kubelet|containerd|kubepods"; then exit 1; fi
        if find /sys/fs/cgroup -maxdepth 2 -name "kubepods*" | grep .; then exit 1; fi
        if ip netns list | grep cni-; then exit 1; fi
        if ip -o link | grep -E "cni0|flannel|veth"; then exit 1; fi
        if { iptables-nft-save; ip6tables-nft-save; iptables-legacy-save; ip6tables-legacy-save; nft list tables; } 2>/dev/null | grep -E "KUBE-|CNI-|FLANNEL-|kube-proxy"; then exit 1; fi
        if grep -E " /var/lib/(kubelet|containerd)/| /run/(containerd|netns)/" /proc/self/mountinfo; then exit 1; fi'
}
nothing_escaped() {
    local count
    count=$("$slipway" lab list -o json | jq -r ".[] | select(.name == \"$lab\") | .escapedPackets")
    echo "$count packets tried to leave the lab"
    [ "$count" = 0 ] || { nft list set inet "slipway-lab-$lab" escaped-from-to; return 1; }
}
lab_down_leaves_nothing() {
    "$slipway" lab down --name "$lab"
    [ -z "$(podman ps -aq --filter "label=slipway.lab=$lab")" ]
    [ -z "$(podman volume ls -q --filter "label=slipway.lab=$lab")" ]
    [ ! -e "$labs/$lab" ]
}
