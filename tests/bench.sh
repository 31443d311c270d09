#!/usr/bin/env bash
# Figures beside their goals, on three lab hosts.
# Usage: bench.sh SLIPWAY BUNDLE
set -euo pipefail
cd "$(dirname "$0")/.."
slipway=$(readlink -f "$1") bundle=$2
lab=bench-$$
file=${XDG_DATA_HOME:-$HOME/.local/share}/slipway/labs/$lab/cluster.yaml
work=$(mktemp -d)
export XDG_STATE_HOME=$work/state
cleanup() {
    "$slipway" lab down --name "$lab" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap cleanup EXIT

seconds() { # COMMAND…: prints how long it took; its output only if it fails
    local start end
    start=$(date +%s%N)
    "$@" >"$work/out" 2>&1 || { tail -n 30 "$work/out" >&2; return 1; }
    end=$(date +%s%N)
    awk -v n=$((end - start)) 'BEGIN { printf "%.1f", n / 1e9 }'
}
row() { printf '%-66s %8s   %s\n' "$1" "$2" "$3"; }

row WHAT SECONDS GOAL
seconds "$slipway" lab up --name "$lab" --bundle "$bundle" --hosts-only >/dev/null
row "preflight: connect, bring the agent, facts and checks of 3 bare hosts" "$(seconds "$slipway" preflight -f "$file")" ""
row "init: 3 bare hosts, everything uploaded, addons running" "$(seconds "$slipway" init -f "$file" --bundle "$bundle" -y)" ""
row "second apply: no change" "$(seconds "$slipway" apply -f "$file" --bundle "$bundle" -y)" "under 5"
