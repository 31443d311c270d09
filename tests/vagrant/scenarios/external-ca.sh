#!/usr/bin/env bash
# Story: authorities that others made. First a company's CA with its key lies on
# the bare control-plane host: the cluster is made with it, byte for byte. Then
# the same CA without its key: preflight names every file that is missing,
# requests are written and signed elsewhere, and the cluster comes up without
# anything being issued on its hosts.
#
# Needs: RESULTS and SLIPWAY_CACHE with mirror and bundle (tests/run.sh sets both).
set -euo pipefail
cd "$(dirname "$0")/../../.."
source tests/lib.sh
source tests/lab.sh

case $(uname -m) in x86_64) arch=amd64 ;; *) arch=arm64 ;; esac
mirrored_kubectl=$mirror/dl.k8s.io/release/v$version/bin/linux/$arch/kubectl
pki=/etc/kubernetes/pki
mkdir "$work/ca"

# Puts a file of this machine on a host. Usage: put FILE HOST PATH
put() { on "$2" sh -ec "umask 077; mkdir -p $(dirname "$3"); cat >$3" <"$1"; }

authorities_are_made() {
    local name
    cat >"$work/ca/ca.cnf" <<'CNF'
[req]
prompt = no
distinguished_name = dn
[dn]
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth, clientAuth
authorityKeyIdentifier = keyid
CNF
    for name in ca front-proxy-ca etcd-ca; do
        openssl req -x509 -newkey rsa:2048 -nodes -days 30 -config "$work/ca/ca.cnf" -extensions ca \
            -subj "/DC=example/DC=harbour/O=Harbour/CN=$name" -keyout "$work/ca/$name.key" -out "$work/ca/$name.crt"
    done
}
where() { case $1 in etcd-ca) echo $pki/etcd/ca ;; *) echo "$pki/$1" ;; esac; }
# Usage: bring_authorities ENDING…
bring_authorities() {
    local name ending
    for name in ca front-proxy-ca etcd-ca; do
        for ending in "$@"; do put "$work/ca/$name.$ending" cp-1 "$(where $name).$ending"; done
    done
}

wrong_key_is_refused() {
    bring_authorities crt key
    put "$work/ca/etcd-ca.key" cp-1 $pki/ca.key
    refuses 3 CertificateAuthority init
    on cp-1 test ! -e /var/lib/slipway/cluster
    put "$work/ca/ca.key" cp-1 $pki/ca.key
}
files_are_as_given() { # ENDING…
    local name ending
    for name in ca front-proxy-ca etcd-ca; do
        for ending in "$@"; do
            cmp <(on cp-1 cat "$(where $name).$ending") "$work/ca/$name.$ending"
        done
    done
}
chains_verify() {
    local pair certificate authority
    for pair in apiserver:ca apiserver-kubelet-client:ca front-proxy-client:front-proxy-ca \
        etcd/server:etcd/ca etcd/peer:etcd/ca etcd/healthcheck-client:etcd/ca apiserver-etcd-client:etcd/ca; do
        certificate=${pair%%:*} authority=${pair#*:}
        on cp-1 cat "$pki/$certificate.crt" >"$work/leaf.crt"
        on cp-1 cat "$pki/$authority.crt" >"$work/authority.crt"
        openssl verify -CAfile "$work/authority.crt" "$work/leaf.crt"
    done
}
no_changes() { prints '^No changes' "$slipway" apply -f "$file" --bundle "$bundle" -y; }
# The folder was there before Slipway, so it stays, and nothing stays in it.
reset_all() {
    local host
    "$slipway" reset -f "$file" --all -y
    for host in cp-1 w-1; do
        fails on "$host" sh -c 'find /etc/kubernetes -type f | grep .'
        on "$host" rm -rf /etc/kubernetes
        host_is_clean "$host"
    done
}

missing_files_are_named() {
    local status=0 path
    bring_authorities crt
    "$slipway" preflight -f "$file" >"$work/findings" || status=$?
    cat "$work/findings"
    [ "$status" -eq 3 ]
    for path in $pki/apiserver.crt $pki/apiserver.key $pki/front-proxy-client.crt $pki/etcd/peer.key \
        /etc/kubernetes/admin.conf /etc/kubernetes/super-admin.conf /etc/kubernetes/kubelet.conf; do
        grep -qF "$path" "$work/findings"
    done
    grep -qF 'generate-csr' "$work/findings"
}
requests_are_written() {
    local host
    for host in cp-1 w-1; do
        "$slipway" certs generate-csr -f "$file" --host $host --cert-dir "$work/$host/pki" --kubeconfig-dir "$work/$host"
    done
    [ -e "$work/cp-1/pki/etcd/healthcheck-client.csr" ]
    [ -e "$work/w-1/kubelet.conf.csr" ]
}
sign() { # REQUEST AUTHORITY CERTIFICATE
    openssl x509 -req -in "$1" -CA "$work/ca/$2.crt" -CAkey "$work/ca/$2.key" -CAcreateserial -days 20 \
        -copy_extensions copyall -extfile "$work/ca/ca.cnf" -extensions leaf -out "$3"
}
requests_are_signed() {
    local request base authority config user host
    for request in $(cd "$work/cp-1/pki" && find . -name '*.csr'); do
        base=${request#./} base=${base%.csr} authority=ca
        case $base in front-proxy-*) authority=front-proxy-ca ;; etcd/* | *etcd-client) authority=etcd-ca ;; esac
        sign "$work/cp-1/pki/$base.csr" $authority "$work/cp-1/pki/$base.crt"
    done
    for host in cp-1 w-1; do
        for config in "$work/$host"/*.conf; do
            sign "$config.csr" ca "$config.crt"
            user=$("$mirrored_kubectl" config --kubeconfig "$config" view -o 'jsonpath={.users[0].name}')
            "$mirrored_kubectl" config --kubeconfig "$config" set-cluster kubernetes --certificate-authority "$work/ca/ca.crt" --embed-certs
            "$mirrored_kubectl" config --kubeconfig "$config" set-credentials "$user" --client-certificate "$config.crt" --embed-certs
        done
    done
}
everything_is_brought() {
    local base config host
    for base in $(cd "$work/cp-1/pki" && find . -name '*.key'); do
        base=${base#./} base=${base%.key}
        put "$work/cp-1/pki/$base.key" cp-1 "$pki/$base.key"
        put "$work/cp-1/pki/$base.crt" cp-1 "$pki/$base.crt"
    done
    for host in cp-1 w-1; do
        for config in "$work/$host"/*.conf; do put "$config" $host "/etc/kubernetes/$(basename "$config")"; done
    done
}
digests() { on cp-1 sh -c "find $pki /etc/kubernetes -maxdepth 2 -type f \\( -name '*.crt' -o -name '*.conf' \\) -exec sha256sum {} + | sort -k 2"; }
preflight_is_content() { "$slipway" preflight -f "$file"; digests >"$work/before"; }
nothing_was_issued() {
    digests | diff "$work/before" -
    fails on cp-1 sh -c "find / -xdev -name 'ca.key' -o -name front-proxy-ca.key | grep ."
    fails on cp-1 grep cluster-signing-key-file=/ /etc/kubernetes/manifests/kube-controller-manager.yaml
}
status_tells() { prints 'of their own making' "$slipway" status -f "$file"; }
logs_work() { kubectl -n kube-system logs daemonset/kube-proxy --tail=1; }
lost_file_is_named() {
    on cp-1 mv $pki/apiserver.crt /root/apiserver.crt
    refuses 3 "$pki/apiserver.crt" "$slipway" apply -f "$file" --bundle "$bundle" -y
    # The API server restarts once: the file is another one to whoever looks at its times.
    on cp-1 mv /root/apiserver.crt $pki/apiserver.crt
    "$slipway" apply -f "$file" --bundle "$bundle" -y
    no_changes
}

# kubeadm itself writes the manifests of a host without the CA's key, and they are compared.
manifests_are_kubeadm_s() {
    local name
    {
        kubectl -n kube-system get configmap kubeadm-config -o 'jsonpath={.data.ClusterConfiguration}'
        printf -- '---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: { advertiseAddress: %s }\nnodeRegistration: { name: cp-1 }\n' "$(address_of cp-1)"
    } >"$work/kubeadm.yaml"
    put "$work/kubeadm.yaml" cp-1 /root/kubeadm.yaml
    on cp-1 cp -a /etc/kubernetes/manifests /root/manifests
    on cp-1 kubeadm init phase control-plane all --config /root/kubeadm.yaml
    for name in kube-apiserver kube-controller-manager kube-scheduler; do
        # kubeadm writes an empty status, too.
        diff <(kubectl create --dry-run=client -o json -f /etc/kubernetes/manifests/$name.yaml | jq -S 'del(.status)') \
            <(kubectl create --dry-run=client -o json -f /root/manifests/$name.yaml | jq -S .)
    done
    on cp-1 rm -r /root/manifests /root/kubeadm.yaml
}

subtest "a company's authorities are made" authorities_are_made || true
if subtest "bare hosts boot" hosts_up 1; then
    subtest "a CA with another's key is refused before anything changes" wrong_key_is_refused || true
    if subtest "init takes the company's authorities" init; then
        subtest "both nodes are Ready" eventually 60 nodes_ready 2 || true
        subtest "the authorities are byte for byte as given" files_are_as_given crt key || true
        subtest "openssl verifies every chain" chains_verify || true
        subtest "a second apply changes nothing" no_changes || true
    fi
    subtest "reset leaves nothing" reset_all || true
    subtest "without keys preflight names every missing file" missing_files_are_named || true
    subtest "requests are written for both hosts" requests_are_written || true
    subtest "the company signs them" requests_are_signed || true
    subtest "what it signed is brought to the hosts" everything_is_brought || true
    subtest "preflight finds no errors" preflight_is_content || true
    if subtest "init works with authorities whose keys are elsewhere" init; then
        subtest "both nodes are Ready again" eventually 60 nodes_ready 2 || true
        subtest "nothing was issued, and no CA key is on the host" nothing_was_issued || true
        subtest "every chain leads to the company" chains_verify || true
        subtest "status tells of self-signed kubelets" status_tells || true
        subtest "logs work" logs_work || true
        subtest "another apply changes nothing" no_changes || true
        subtest "a given file that is lost is named" lost_file_is_named || true
        subtest "kubeadm writes the same manifests without the CA's key" manifests_are_kubeadm_s || true
    fi
    subtest "reset leaves nothing of it" reset_all || true
    subtest "nothing left the lab" nothing_escaped || true
fi
subtest "lab down leaves nothing" lab_down_leaves_nothing || true
