#!/usr/bin/env bash
# Story: bad input gets an error that says what is wrong, where, and what to
# type next; nothing is touched. Needs the binary, no host.
set -euo pipefail
cd "$(dirname "$0")/.."
source tests/lib.sh
slipway=$PWD/target/release/slipway
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export XDG_STATE_HOME=$work/state

good() {
    cat <<'YAML'
apiVersion: slipway.dev/v1alpha1
kind: Cluster
metadata: { name: harbour }
spec:
  kubernetesVersion: 1.36.3
  hosts:
    - { name: cp-1, address: 127.0.0.1, internalAddress: 192.0.2.11, port: 1, role: control-plane }
YAML
}
validate() { "$slipway" config validate -f "$work/cluster.yaml"; }

good_file_is_valid() { good >"$work/cluster.yaml"; validate | grep -q 'harbour: Kubernetes v1.36.3'; }
printed_file_parses() { good >"$work/a.yaml"; "$slipway" config print -f "$work/a.yaml" >"$work/cluster.yaml"; validate; }
example_parses() { "$slipway" config print >"$work/cluster.yaml"; validate; }
typo() { good | sed 's/kubernetesVersion/kubernetesVerison/' >"$work/cluster.yaml"; refuses 64 kubernetesVersion validate; refuses 64 ":5:" validate; }
duplicate_host() { { good; echo '    - { name: cp-1, address: 192.0.2.21, role: worker }'; } >"$work/cluster.yaml"; refuses 64 "cp-1" validate; }
two_errors() {
    good | sed 's/1.36.3/1.99.0/; s/port: 1,/port: 99999,/' >"$work/cluster.yaml"
    refuses 64 "not supported" validate
    refuses 64 "port" validate
}
overlap() {
    good | sed 's|  hosts:|  networking: { podSubnet: 10.96.0.0/16 }\n  hosts:|' >"$work/cluster.yaml"
    refuses 64 "overlap" validate
}
empty() { : >"$work/cluster.yaml"; refuses 64 "empty" validate; }
directory() { refuses 64 "folder" "$slipway" config validate -f "$work" || refuses 64 "director" "$slipway" config validate -f "$work"; }
huge() { truncate -s 100M "$work/cluster.yaml"; refuses 64 "1 MiB" validate; rm "$work/cluster.yaml"; }
missing() { refuses 64 "nowhere.yaml" "$slipway" plan -f "$work/nowhere.yaml"; }
no_file() { refuses 64 "SLIPWAY_CONFIG" "$slipway" plan; }
reset_needs_host() { good >"$work/cluster.yaml"; refuses 64 "--all" "$slipway" reset -f "$work/cluster.yaml"; }
no_file_anywhere() {
    local command
    for command in status "token list" kubeconfig apply; do
        # shellcheck disable=SC2086
        refuses 64 "SLIPWAY_CONFIG" "$slipway" $command
    done
}
init_shape_beside_file() {
    good >"$work/cluster.yaml"
    refuses 64 "networking.podSubnet" "$slipway" init -f "$work/cluster.yaml" --pod-network-cidr 10.0.0.0/16
}
unknown_phase() {
    good >"$work/cluster.yaml"
    refuses 64 "kubelet-start" "$slipway" init -f "$work/cluster.yaml" --skip-phases adon
}
not_root() {
    local run=()
    if [ "$(id -u)" = 0 ]; then
        # A copy that nobody's rights hide.
        install -m 0755 "$slipway" "$work/slipway"
        chmod 0755 "$work"
        run=(setpriv --reuid=65534 --regid=65534 --clear-groups)
        slipway=$work/slipway
    fi
    refuses 64 "sudo" "${run[@]}" "$slipway" init --yes
    refuses 64 "sudo" "${run[@]}" "$slipway" reset --yes
}
init_bad_shape() {
    [ "$(id -u)" = 0 ] || return 0 # told above: it takes root
    refuses 64 "overlap" "$slipway" init --dry-run --pod-network-cidr 10.96.0.0/16
    refuses 64 "loopback" "$slipway" init --dry-run --apiserver-advertise-address 127.0.0.1
    refuses 64 "not supported" "$slipway" init --dry-run --kubernetes-version 1.99.0
    refuses 64 "/run/no.sock" "$slipway" init --dry-run --cri-socket unix:///run/no.sock
    refuses 64 "host name" "$slipway" init --dry-run --node-name a_b
}
pin=sha256:$(printf '%064d' 1)
join() { "$slipway" join 127.0.0.1:1 "$@" --yes; }
join_without_anything() { refuses 64 "SLIPWAY_CONFIG" "$slipway" join; }
join_without_pin() { refuses 64 "--discovery-token-ca-cert-hash" join --token abcdef.0123456789abcdef; }
join_without_token() { refuses 64 "SLIPWAY_TOKEN" join --discovery-token-ca-cert-hash "$pin"; }
join_bad_pin() { refuses 64 "64 hexadecimal digits" join --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash sha256:12; }
join_bad_token() {
    local output status=0
    for source in argument file stdin variable; do
        case $source in
            argument) output=$(join --token abcdef.0123456789abcdeX --discovery-token-ca-cert-hash "$pin" 2>&1) || status=$? ;;
            file)
                echo abcdef.0123456789abcdeX >"$work/token"
                output=$(join --token-file "$work/token" --discovery-token-ca-cert-hash "$pin" 2>&1) || status=$?
                ;;
            stdin) output=$(echo abcdef.0123456789abcdeX | join --token - --discovery-token-ca-cert-hash "$pin" 2>&1) || status=$? ;;
            variable) output=$(SLIPWAY_TOKEN=abcdef.0123456789abcdeX join --discovery-token-ca-cert-hash "$pin" 2>&1) || status=$? ;;
        esac
        echo "$source: $status: $output"
        [ "$status" -eq 64 ]
        grep -qF "no bootstrap token" <<<"$output"
        # The secret half is repeated nowhere.
        fails grep -q 0123456789 <<<"$output"
    done
}
join_bad_endpoint() { refuses 64 "without a scheme" "$slipway" join https://127.0.0.1:1 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash "$pin"; }
join_beside_file() {
    good >"$work/cluster.yaml"
    refuses 64 "for this machine alone" "$slipway" join 127.0.0.1:1 -f "$work/cluster.yaml"
}
join_unreachable() {
    [ "$(id -u)" = 0 ] || return 0 # told above: it takes root
    refuses 1 "no API server answers at 127.0.0.1:1" join --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash "$pin"
    [ ! -e /etc/kubernetes/bootstrap-kubelet.conf ]
}
reset_hosts_without_file() { refuses 64 "-f" "$slipway" reset --all; refuses 64 "-f" "$slipway" reset --host w-1; }
unreachable() {
    good >"$work/cluster.yaml"
    refuses 4 "cp-1" "$slipway" preflight -f "$work/cluster.yaml"
}
no_bundle() { head -c 100000 /dev/urandom >"$work/x.bundle"; refuses 1 "bundle" "$slipway" bundle verify "$work/x.bundle"; }
completion() { "$slipway" completion bash | bash -n; }
json_errors() { "$slipway" version -o json | jq -e '.version' ; }

subtest "a good file is valid" good_file_is_valid || true
subtest "the printed file parses" printed_file_parses || true
subtest "the example parses" example_parses || true
subtest "a typo names line and field" typo || true
subtest "a duplicate host is refused" duplicate_host || true
subtest "two errors are told at once" two_errors || true
subtest "overlapping subnets are refused" overlap || true
subtest "an empty file is refused" empty || true
subtest "a folder is refused" directory || true
subtest "a file of 100 MB is refused unread" huge || true
subtest "a missing file is named" missing || true
subtest "no file at all says how to name one" no_file || true
subtest "reset wants --host or --all" reset_needs_host || true
subtest "a machine without a control plane says so" no_file_anywhere || true
subtest "flags of this machine beside a file name the file's field" init_shape_beside_file || true
subtest "an unknown phase is answered with all of them" unknown_phase || true
subtest "who is not root is told to type sudo" not_root || true
subtest "a cluster's shape on the command line is checked like a file" init_bad_shape || true
subtest "reset without a file is about this machine only" reset_hosts_without_file || true
subtest "join wants a file or an endpoint" join_without_anything || true
subtest "join wants a pin of the CA, or to be told that it is not wanted" join_without_pin || true
subtest "join says how a token can be given" join_without_token || true
subtest "a pin that is none is refused" join_bad_pin || true
subtest "a token that is none is refused and not repeated" join_bad_token || true
subtest "an endpoint with a scheme is refused" join_bad_endpoint || true
subtest "an endpoint beside a file is refused" join_beside_file || true
subtest "nobody at the endpoint is told" join_unreachable || true
subtest "a host that refuses is named with exit code 4" unreachable || true
subtest "junk is no bundle" no_bundle || true
subtest "completion is valid bash" completion || true
subtest "version answers in JSON" json_errors || true
