#!/usr/bin/env bash
# Story: hosts with things of their own (rules, links, namespaces, mounts, units,
# CNI files of somebody else) become a cluster with pods on it and are reset:
# whole, with a runtime that is down, half installed, half joined by Slipway or by
# kubeadm, by themselves without the cluster file. Everything of the cluster is
# gone, everything else is byte for byte as before, and preflight is content again.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh
source tests/cut.sh
source tests/kubeadm.sh

# What belongs to the owner of a host and must outlive a cluster.
own_things() {
    local host
    for host in cp-1 w-1; do
        on "$host" sh -ec '
            ip link add foreign0 type bridge
            ip address add 192.0.2.200/32 dev foreign0
            ip netns add foreign
            mkdir -p /mnt/foreign /opt/cni/bin /etc/cni/net.d /etc/kubernetes-notes
            mount -t tmpfs -o size=1m foreign /mnt/foreign
            echo "a plugin" >/opt/cni/bin/foreign
            echo "{}" >/etc/cni/net.d/99-foreign.conflist.disabled
            echo "mine" >/etc/kubernetes-notes/README
            printf "[Service]\nType=oneshot\nExecStart=/bin/true\nRemainAfterExit=yes\n[Install]\nWantedBy=multi-user.target\n" >/etc/systemd/system/foreign.service
            systemctl daemon-reload
            systemctl enable --now foreign.service
            iptables -N FOREIGN
            iptables -A FOREIGN -s 198.51.100.0/24 -m comment --comment "keep me" -j DROP
            iptables -A INPUT -j FOREIGN
            # As podman names its own, and with a word that kube-proxy uses too.
            iptables -t nat -N CNI-0123456789abcdef01234567
            iptables -t nat -A CNI-0123456789abcdef01234567 -d 10.88.0.0/16 -m comment --comment "name: \"podman\"" -j ACCEPT
            iptables -t nat -A POSTROUTING -s 10.88.0.9/32 -m comment --comment "name: \"podman\" KUBE-LIKE" -j CNI-0123456789abcdef01234567
            ip6tables -A FORWARD -s 2001:db8::/32 -j DROP
            # Legacy tables are others than those that plain iptables shows here.
            iptables-legacy -N OLD-FOREIGN
            iptables-legacy -A OLD-FOREIGN -s 198.51.100.7/32 -m comment --comment "no KUBE-CHAIN" -j DROP
            iptables-legacy -A INPUT -j OLD-FOREIGN
            ip6tables-legacy -A INPUT -s 2001:db8::7/128 -j DROP
            nft add table inet foreign
            nft add chain inet foreign input "{ type filter hook input priority 5 ; }"
            nft add rule inet foreign input ip saddr 203.0.113.0/24 drop' </dev/null
    done
}

# A host as its owner sees it, without what changes by itself.
snapshot() { # HOST
    on "$1" sh -ec '
        echo "== rules"
        for save in iptables-nft-save ip6tables-nft-save iptables-legacy-save ip6tables-legacy-save; do $save 2>/dev/null | grep -v "^#" | sed "s/\[[0-9]*:[0-9]*\]//"; done
        nft list ruleset 2>/dev/null | sed "s/counter packets [0-9]* bytes [0-9]*/counter/"
        echo "== network"
        ip -o link | sed "s/^[0-9]*: //" | grep -v "^eth0" | cut -d" " -f1-3
        ip -o address | sed "s/^[0-9]*: //" | grep -v inet6 | cut -d" " -f1-6
        ip route; ip netns list; bridge fdb 2>/dev/null | wc -l
        echo "== mounts"
        cut -d" " -f5 /proc/self/mountinfo | sort
        echo "== units"
        systemctl list-unit-files --no-legend | cut -d" " -f1 | grep -v "^session-" | sort
        ls -R /etc/systemd/system
        echo "== files"
        find /etc /opt /usr /root /home /srv /var/lib -xdev \( -path /var/lib/slipway -o -path /var/lib/systemd -o -path /root/.kube -o -path /usr/lib/modules \) -prune -o \
            -printf "%y %m %u %s %p\n" | sed -E "s/^d ([0-9]+ [a-z]+) [0-9]+ /d \1 /" | sort -k5
        find /etc /opt /usr/local -xdev -type f -exec sha256sum {} + | sort -k2'
}
remember() { snapshot cp-1 >"$work/before-cp-1"; snapshot w-1 >"$work/before-w-1"; wc -l "$work"/before-*; }
as_before() { # HOST…
    local host
    for host in "$@"; do
        snapshot "$host" >"$work/after-$host"
        diff "$work/before-$host" "$work/after-$host"
        host_runs_nothing "$host"
    done
}
host_runs_nothing() {
    on "$1" sh -ec '
        for p in kubelet containerd containerd-shim etcd kube-apiserver kube-proxy flanneld pause coredns; do
            if pgrep -x $p; then echo "$p runs"; exit 1; fi
        done
        if find /sys/fs/cgroup -maxdepth 4 -name "kubepods*" | grep .; then echo "cgroups are left"; exit 1; fi'
}
cluster_with_pods() { init; eventually 60 nodes_ready 2; available coredns; }
# As a kube-proxy leaves them that once chose the other kind of iptables.
legacy_rules_of_kubernetes() {
    on w-1 sh -ec '
        for tool in iptables-legacy ip6tables-legacy; do
            $tool -N KUBE-FIREWALL
            $tool -A INPUT -j KUBE-FIREWALL
            $tool -A KUBE-FIREWALL -m mark --mark 0x8000/0x8000 -j DROP
        done'
}
plan_lists_each_deletion() {
    local status=0
    "$slipway" reset -f "$file" --all --dry-run >"$work/plan" || status=$?
    [ "$status" -eq 2 ]
    grep -q "/etc/kubernetes" "$work/plan"
    grep -q "/var/lib/etcd" "$work/plan"
    grep -q "cni0" "$work/plan"
    grep -q "KUBE-" "$work/plan"
}
reset_all() { "$slipway" reset -f "$file" --all -y; as_before cp-1 w-1; }
preflight_is_content() { "$slipway" preflight -f "$file"; }
reset_with_runtime_down() {
    on w-1 systemctl stop kubelet containerd
    "$slipway" reset -f "$file" --host w-1 -y
    as_before w-1
}
reset_half_installed() {
    local process
    "$slipway" join -f "$file" --bundle "$bundle" -y >"$work/join" 2>&1 &
    process=$!
    until grep -q "w-1/images/" "$XDG_STATE_HOME/slipway/$lab"/*.ndjson 2>/dev/null && on w-1 test -x /usr/local/bin/containerd; do
        kill -0 "$process" || { cat "$work/join"; return 1; }
        sleep 0.1
    done
    kill -KILL "$process"
    "$slipway" reset -f "$file" --host w-1 -y
    as_before w-1
}
# The join is cut off when its kubelet is about to start; the agent may still start it.
reset_half_joined() {
    cut_at kill_workstation w-1 'kubelet-start/start kubelet.service' join --bundle "$bundle"
    on w-1 test -e /etc/kubernetes/kubelet.conf
    "$slipway" reset -f "$file" --host w-1 -y
    fails kubectl get node w-1
    as_before w-1
}
# A host that joined by itself, with a token, until it was killed; nobody else resets it.
reset_half_joined_by_itself() {
    local endpoint token pin
    read -r _ _ endpoint _ token _ pin < <("$slipway" token create -f "$file" --ttl 1h --print-join-command)
    trap 'take_away w-1' EXIT
    bring w-1
    cut_there w-1 /etc/kubernetes/bootstrap-kubelet.conf join "$endpoint" --token "$token" \
        --discovery-token-ca-cert-hash "$pin" --bundle /root/slipway.bundle -y
    there w-1 reset -y
    take_away w-1
    kubectl delete node w-1 --ignore-not-found
    as_before w-1
}
# kubeadm's own join ends here when nobody goes on with its next phase: the kubelet,
# which this host does not have, would fetch its certificate now.
reset_half_joined_by_kubeadm() {
    local join
    join=$(on cp-1 kubeadm token create --print-join-command | tr -d '\r')
    trap 'on w-1 rm -f /usr/local/bin/kubeadm /usr/local/bin/kubectl' EXIT
    bring_kubeadm w-1
    # shellcheck disable=SC2086
    on w-1 ${join/kubeadm join/kubeadm join phase kubelet-start} --cri-socket "$socket"
    on w-1 rm /usr/local/bin/kubeadm /usr/local/bin/kubectl
    on w-1 ls /etc/kubernetes/bootstrap-kubelet.conf /etc/kubernetes/pki/ca.crt /var/lib/kubelet/config.yaml
    on w-1 test ! -e /etc/kubernetes/kubelet.conf
    "$slipway" reset -f "$file" --host w-1 -y
    as_before w-1
}

# What only the cluster file says, and a host that is reset by itself must know too.
cluster_keeps_things_elsewhere() {
    sed '/^  hosts:/i\  runtime: { registryMirrors: { registry.example: ["https://mirror.example"] } }' "$file" >"$work/elsewhere.yaml"
    cat >>"$work/elsewhere.yaml" <<'YAML'
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
etcd: { local: { dataDir: /var/lib/etcd-elsewhere } }
YAML
    "$slipway" init -f "$work/elsewhere.yaml" --bundle "$bundle" -y
    eventually 60 nodes_ready 2
    on cp-1 test -d /var/lib/etcd-elsewhere/member
    on cp-1 test -e /etc/containerd/certs.d/registry.example/hosts.toml
    on w-1 test -e /etc/containerd/certs.d/registry.example/hosts.toml
}
reset_by_itself() { # HOST
    # shellcheck disable=SC2064
    trap "take_away $1" EXIT
    bring "$1"
    there "$1" reset -y
    take_away "$1"
    on "$1" test ! -e /var/lib/etcd-elsewhere
    on "$1" test ! -e /etc/containerd/certs.d
    as_before "$1"
}

if subtest "two bare hosts boot" hosts_up 1 && subtest "the hosts have things of their own" own_things; then
    subtest "the hosts are remembered" remember || true
    if subtest "they become a cluster" cluster_with_pods; then
        subtest "a worker has legacy rules of Kubernetes too" legacy_rules_of_kubernetes || true
        subtest "the plan lists each deletion" plan_lists_each_deletion || true
        subtest "a worker whose runtime is down is reset" reset_with_runtime_down || true
        subtest "a half-installed worker is reset" reset_half_installed || true
        subtest "a half-joined worker is reset" reset_half_joined || true
        subtest "a worker that was killed while it joined by itself is reset by itself" reset_half_joined_by_itself || true
        subtest "a worker that kubeadm half joined is reset" reset_half_joined_by_kubeadm || true
        subtest "reset --all leaves the hosts as they were" reset_all || true
        subtest "preflight is content" preflight_is_content || true
        subtest "init works again" cluster_with_pods || true
        subtest "and reset again" reset_all || true
        if subtest "a cluster keeps etcd's data and a registry's mirror elsewhere" cluster_keeps_things_elsewhere; then
            subtest "its worker is reset without the file" reset_by_itself w-1 || true
            subtest "its control-plane host is reset without the file" reset_by_itself cp-1 || true
        fi
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
