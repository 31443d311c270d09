#!/usr/bin/env bash
# Takes how long preflight and plan take on many hosts: real sshd processes, each
# in a network of its own, facts, probes and checks of all of them. `make bench`
# prints the figures beside their goals; for tests/run.sh, which sets RESULTS, each
# is an outcome too, and fails beyond five times its goal.
# Usage: many-hosts.sh SLIPWAY BUNDLE [HOSTS]      (50 hosts by default; as root)
set -euo pipefail
cd "$(dirname "$0")/.."
# Before anything is set: what it exports are the subtests' variables.
[ -z "${RESULTS:-}" ] || source tests/lib.sh
slipway=$(readlink -f "$1") bundle=$(readlink -f "$2") hosts=${3:-50}
source tests/namespaces.sh
trap namespaces_down EXIT
export XDG_STATE_HOME=$work/state

# Prints the seconds that preflight took; fails if anything was not reached.
preflight_seconds() {
    local start end status=0
    start=$(date +%s%N)
    inside ws "$slipway" preflight -f "$file" -o json >"$work/findings" 2>"$work/err" || status=$?
    end=$(date +%s%N)
    if [ "$status" -ne 0 ] || jq -e 'any(.[]; .id | test("^(Reachable|PortReachable|PathMTU|Probes)"))' "$work/findings" >/dev/null; then
        echo "preflight ended with $status:" >&2
        jq -r '.[] | select(.severity == "error" or (.id | test("Reachable|PathMTU|Probes"))) | "\(.id) \(.host): \(.seen)"' "$work/findings" | head -n 20 >&2
        head -n 20 "$work/err" >&2
        return 1
    fi
    awk -v n=$((end - start)) 'BEGIN { printf "%.1f", n / 1e9 }'
}

# Prints the seconds that the plan of a new cluster took.
plan_seconds() {
    local start end status=0
    start=$(date +%s%N)
    inside ws "$slipway" plan -f "$file" --bundle "$bundle" >"$work/plan" 2>"$work/err" || status=$?
    end=$(date +%s%N)
    if [ "$status" -ne 2 ] || ! grep -q "steps on $hosts hosts" "$work/plan"; then
        echo "plan ended with $status:" >&2
        tail -n 20 "$work/plan" "$work/err" >&2
        return 1
    fi
    awk -v n=$((end - start)) 'BEGIN { printf "%.1f", n / 1e9 }'
}

# Succeeds if what a command takes is within five times the goal, where there is one.
in_time() { # GOAL COMMAND
    "$2" >"$work/seconds"
    awk -v goal="$1" '{ print $1 " s, goal " goal; exit goal != "" && $1 > 5 * goal }' "$work/seconds"
}

# Prints a figure beside its goal, and as an outcome where outcomes are taken.
figure() { # WHAT GOAL COMMAND
    : >"$work/seconds"
    if [ -z "${RESULTS:-}" ]; then
        "$3" >"$work/seconds"
    else
        subtest "$1${2:+ takes at most $((5 * $2)) s}" in_time "$2" "$3" || true
    fi
    printf '%-66s %8s   %s\n' "$1" "$(cat "$work/seconds")" "${2:+under $2}"
}

namespaces_up $((hosts - 1))
figure "preflight of $hosts hosts, the agent brought to each" "" preflight_seconds
figure "preflight of $hosts hosts" 10 preflight_seconds
figure "plan of a new cluster of $hosts hosts, preflight included" 5 plan_seconds
