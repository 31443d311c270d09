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
subtest "a host that refuses is named with exit code 4" unreachable || true
subtest "junk is no bundle" no_bundle || true
subtest "completion is valid bash" completion || true
subtest "version answers in JSON" json_errors || true
