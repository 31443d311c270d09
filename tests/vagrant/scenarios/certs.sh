#!/usr/bin/env bash
# Story: certificates are told and renewed, one and all, on a cluster that serves;
# then all of them have expired a year ago, the hosts were off meanwhile, and one
# command brings the cluster back.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh

PKI=/etc/kubernetes/pki
KUBELET_CLIENT=/var/lib/kubelet/pki/kubelet-client-current.pem
certs() { "$slipway" certs "$@" -f "$file"; }
# Prints "HOST/CERTIFICATE SERIAL" of every certificate.
serials() {
    "$slipway" status -f "$file" -o json |
        jq -r '.facts.hosts | to_entries[] | .key as $host | .value.existing.certificates[] | "\($host)/\(.name) \(.serialNumber)"' | sort
}
# Prints the certificates whose serial numbers differ from those in a file.
renewed_since() { comm -13 "$1" <(serials) | cut -d' ' -f1; }

expiration_is_told() {
    certs check-expiration | tee "$work/page"
    grep -qE '^cp-1 +apiserver +20.* 36[45] +ca +ok$' "$work/page"
    grep -qE '^w-1 +kubelet-serving ' "$work/page"
    certs check-expiration -o json | jq -e '.certificates | length > 15 and all(.state == "ok")'
    # kubeadm tells the same certificates, the kubelets' aside.
    on cp-1 kubeadm certs check-expiration -o json | jq -r '.certificates[].name, .certificateAuthorities[].name' | sort >"$work/kubeadm"
    awk '$1 == "cp-1" && $2 !~ /^kubelet/ { print $2 }' "$work/page" | sort >"$work/ours"
    diff "$work/kubeadm" "$work/ours"
}
one_is_renewed() {
    serials >"$work/before"
    refuses 64 'is no certificate' certs renew -y apiserve
    certs renew -y apiserver
    [ "$(renewed_since "$work/before")" = cp-1/apiserver ]
    prints ok kubectl get --raw /readyz
}
all_are_renewed() {
    serials >"$work/before"
    certs renew -y
    renewed_since "$work/before" >"$work/renewed"
    # Authorities stay, and kubelets renew their own.
    grep -vE '/(ca|etcd-ca|front-proxy-ca|kubelet\.conf) ' "$work/before" | cut -d' ' -f1 | diff - "$work/renewed"
    eventually 60 nodes_ready 2
    fails on cp-1 grep -rlE 'PRIVATE KEY' /var/lib/slipway/runs
}
apply_changes_nothing() {
    available coredns
    available metrics-server
    prints '^No changes' "$slipway" apply -f "$file" --bundle "$bundle" -y
}

# Signs a certificate anew, so that it expired long ago. Reads certificate and key, in any
# order, from a file; writes the certificate. Usage: expired FILE AUTHORITY
expired() {
    local folder=$work/authority
    rm -rf "$folder"
    mkdir -p "$folder"
    : >"$folder/index"
    openssl rand -hex 8 >"$folder/serial"
    cat >"$folder/conf" <<CONF
[ca]
default_ca = authority
[authority]
database = $folder/index
new_certs_dir = $folder
serial = $folder/serial
default_md = sha256
policy = any
copy_extensions = copyall
unique_subject = no
[any]
organizationName = optional
commonName = supplied
CONF
    openssl x509 -x509toreq -in "$1" -signkey "$1" -copy_extensions copyall -out "$folder/request" 2>"$folder/log"
    openssl ca -batch -notext -preserveDN -config "$folder/conf" -cert "$work/$2.crt" -keyfile "$work/$2.key" \
        -startdate 20230101000000Z -enddate 20240101000000Z -in "$folder/request" -out "$folder/out" 2>>"$folder/log" || {
        cat "$folder/log"
        return 1
    }
    cat "$folder/out"
}
# Usage: expire_file HOST CERTIFICATE KEY AUTHORITY
expire_file() {
    on "$1" cat "$2" "$3" >"$work/pair"
    expired "$work/pair" "$4" >"$work/out"
    on "$1" sh -c "cat >$2" <"$work/out"
}
# Usage: expire_kubeconfig HOST FILE
expire_kubeconfig() {
    on "$1" cat "$2" >"$work/kubeconfig"
    sed -nE 's/^ *client-(certificate|key)-data: //p' "$work/kubeconfig" | base64 -d >"$work/pair"
    local new
    new=$(expired "$work/pair" ca | base64 -w0)
    sed -E "s#(client-certificate-data: ).*#\1$new#" "$work/kubeconfig" | on "$1" sh -c "cat >$2"
}
# Usage: expire_kubelet HOST
expire_kubelet() {
    on "$1" cat "$KUBELET_CLIENT" >"$work/pair"
    expired "$work/pair" ca >"$work/out"
    openssl pkey -in "$work/pair" >>"$work/out"
    on "$1" sh -c "cat >$KUBELET_CLIENT" <"$work/out"
    expire_file "$1" /var/lib/kubelet/pki/kubelet.crt /var/lib/kubelet/pki/kubelet.key ca
}
everything_expired_while_the_hosts_were_off() {
    kubectl create configmap kept --from-literal=so=far
    local name host
    for name in ca front-proxy-ca etcd/ca; do
        on cp-1 cat "$PKI/$name.crt" >"$work/${name/\//-}.crt"
        (umask 077 && on cp-1 cat "$PKI/$name.key" >"$work/${name/\//-}.key")
    done
    for host in cp-1 w-1; do on "$host" systemctl stop kubelet; done
    for name in apiserver apiserver-kubelet-client; do expire_file cp-1 $PKI/$name.crt $PKI/$name.key ca; done
    expire_file cp-1 $PKI/front-proxy-client.crt $PKI/front-proxy-client.key front-proxy-ca
    for name in apiserver-etcd-client etcd/server etcd/peer etcd/healthcheck-client; do
        expire_file cp-1 $PKI/$name.crt $PKI/$name.key etcd-ca
    done
    for name in admin super-admin controller-manager scheduler; do expire_kubeconfig cp-1 /etc/kubernetes/$name.conf; done
    for host in cp-1 w-1; do
        expire_kubelet "$host"
        podman restart "slipway-$lab-$host"
    done
    eventually 60 on cp-1 true
    eventually 60 on w-1 true
    fails kubectl get nodes
}
expired_ones_are_told() {
    local status=0
    certs check-expiration >"$work/page" || status=$?
    cat "$work/page"
    [ "$status" -eq 2 ]
    # All but the authorities.
    [ "$(grep -cE ' (ca|etcd-ca|front-proxy-ca) +EXPIRED$' "$work/page")" -gt 12 ]
    fails grep -E ' (ca|etcd-ca|front-proxy-ca) +(ok|expires .*)$' "$work/page"
    "$slipway" status -f "$file" >"$work/status" 2>&1 && return 1
    grep -q 'certificate apiserver of cp-1 has expired' "$work/status"
}
renewal_brings_the_cluster_back() {
    certs renew -y
    eventually 120 nodes_ready 2
    kubectl get configmap kept
    certs check-expiration >/dev/null
    apply_changes_nothing
    local pod
    pod=$(kubectl -n kube-system get pods -l k8s-app=kube-proxy --field-selector spec.nodeName=w-1 -o name)
    kubectl -n kube-system logs "$pod" --tail=1
}
reset_all() {
    "$slipway" reset -f "$file" --all -y
    host_is_clean cp-1
    host_is_clean w-1
}

if subtest "two bare hosts boot" hosts_up 1; then
    if subtest "init" init; then
        subtest "expiration is told on one page, as kubeadm tells it" expiration_is_told || true
        subtest "one certificate is renewed alone" one_is_renewed || true
        subtest "all certificates are renewed" all_are_renewed || true
        subtest "apply has nothing to add" apply_changes_nothing || true
        if subtest "everything expired a year ago while the hosts were off" everything_expired_while_the_hosts_were_off; then
            subtest "expired certificates are told without an API server" expired_ones_are_told || true
            subtest "one command brings the cluster back" renewal_brings_the_cluster_back || true
        fi
        subtest "reset --all leaves the hosts bare" reset_all || true
    fi
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
