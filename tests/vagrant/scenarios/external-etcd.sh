#!/usr/bin/env bash
# Story: two control-plane nodes and a worker on an etcd that somebody else runs,
# given by endpoint and certificates: it is used and never touched, not by
# `slipway etcd` and not by a reset.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh

# The host that is in no cluster file: it runs etcd.
store=w-2
four_hosts_up() {
    "$slipway" lab up --name "$lab" --control-planes 2 --workers 2 --kubernetes-version "$version" --hosts-only
}
certificate() { # NAME SUBJECT EXTENSIONS
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "$2" -keyout "$work/own/$1.key" -out "$work/own/$1.csr"
    openssl x509 -req -in "$work/own/$1.csr" -CA "$work/own/ca.crt" -CAkey "$work/own/ca.key" -CAcreateserial -days 30 \
        -extfile <(echo "$3") -out "$work/own/$1.crt"
}
somebody_s_etcd_runs() {
    mkdir -m 700 "$work/own"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=somebody" -days 30 \
        -keyout "$work/own/ca.key" -out "$work/own/ca.crt"
    local address archive
    address=$(address_of "$store")
    certificate server "/CN=store" "subjectAltName=IP:$address,IP:127.0.0.1"
    certificate client "/CN=harbour" "extendedKeyUsage=clientAuth"
    archive=$(find "$mirror/github.com/etcd-io/etcd" -name 'etcd-v*-linux-*.tar.gz' | sort -V | tail -1)
    on "$store" sh -ec 'mkdir -p /opt/etcd && tar -xz -C /opt/etcd --strip-components=1' <"$archive"
    local name
    for name in ca.crt server.crt server.key client.crt client.key; do
        on "$store" sh -c "umask 077; cat >/opt/etcd/$name" <"$work/own/$name"
    done
    on "$store" systemd-run --unit=etcd /opt/etcd/etcd --name=store --data-dir=/var/lib/store \
        --listen-client-urls="https://$address:2379,https://127.0.0.1:2379" --advertise-client-urls="https://$address:2379" \
        --cert-file=/opt/etcd/server.crt --key-file=/opt/etcd/server.key \
        --trusted-ca-file=/opt/etcd/ca.crt --client-cert-auth
    eventually 20 etcdctl endpoint health
}
etcdctl() {
    on "$store" /opt/etcd/etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/opt/etcd/ca.crt \
        --cert=/opt/etcd/client.crt --key=/opt/etcd/client.key "$@"
}
# Both control-plane nodes bring the client's certificate to their hosts as files of the user's.
file_is_written() {
    local files
    files="files: [{ src: $work/own/ca.crt, dest: /etc/store/ca.crt, mode: 0644 }, { src: $work/own/client.crt, dest: /etc/store/client.crt, mode: 0644 }, { src: $work/own/client.key, dest: /etc/store/client.key }]"
    sed -E "/name: $store,/d; s#(name: cp-[12], .*) \}#\1, $files }#" "$file" >"$work/cluster.yaml"
    cat >>"$work/cluster.yaml" <<YAML
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
etcd:
  external:
    endpoints: ["https://$(address_of "$store"):2379"]
    caFile: /etc/store/ca.crt
    certFile: /etc/store/client.crt
    keyFile: /etc/store/client.key
YAML
    cat "$work/cluster.yaml"
    "$slipway" config validate -f "$work/cluster.yaml"
}
init_on_it() { "$slipway" init -f "$work/cluster.yaml" --bundle "$bundle" -y; }
it_holds_the_cluster() {
    [ "$(etcdctl get --prefix --keys-only /registry/minions/ | grep -c /registry/minions/)" -eq 3 ]
    local host
    for host in cp-1 cp-2; do
        fails on "$host" test -e /etc/kubernetes/manifests/etcd.yaml
        fails on "$host" test -e /etc/kubernetes/pki/etcd
        fails on "$host" pgrep -x etcd
    done
}
apply_changes_nothing() { prints '^No changes' "$slipway" apply -f "$work/cluster.yaml" --bundle "$bundle" -y; }
etcd_commands_leave_it_alone() {
    refuses 64 'somebody else runs' "$slipway" etcd members -f "$work/cluster.yaml"
    refuses 64 'somebody else runs' "$slipway" etcd restore "$work/own/ca.crt" -f "$work/cluster.yaml" --bundle "$bundle" -y
    "$slipway" status -f "$work/cluster.yaml"
}
control_plane_node_leaves() {
    "$slipway" reset -f "$work/cluster.yaml" --host cp-1 -y
    host_is_clean cp-1
    [ "$(on cp-2 kubectl --kubeconfig /etc/kubernetes/admin.conf get nodes --no-headers | wc -l)" -eq 2 ]
    etcdctl endpoint health
}
reset_leaves_the_data() {
    local before
    before=$(etcdctl get --prefix --keys-only /registry/ | wc -l)
    "$slipway" reset -f "$work/cluster.yaml" --all -y
    host_is_clean cp-2
    host_is_clean w-1
    [ "$before" -gt 100 ] && [ "$(etcdctl get --prefix --keys-only /registry/ | wc -l)" -ge $((before / 2)) ]
}

if subtest "four bare hosts boot" four_hosts_up; then
    if subtest "somebody's etcd runs, with certificates of its own" somebody_s_etcd_runs; then
        subtest "the file names it" file_is_written || true
        if subtest "init brings up two control-plane nodes on it" init_on_it; then
            subtest "three nodes are Ready" eventually 60 nodes_ready 3 || true
            subtest "it holds the cluster, and no host runs another" it_holds_the_cluster || true
            subtest "a second apply changes nothing" apply_changes_nothing || true
            subtest "etcd's commands leave it alone" etcd_commands_leave_it_alone || true
            subtest "a control-plane node leaves" control_plane_node_leaves || true
            subtest "a reset leaves its data" reset_leaves_the_data || true
        fi
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
