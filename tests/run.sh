#!/usr/bin/env bash
# Runs the test groups and ends with one line: "N passed, N failed".
#
#   run.sh test          every group
#   run.sh full [GROUP]  one group, or all of them
#
# SKIP="cluster-up" leaves groups out by name; nothing else leaves anything out.
set -uo pipefail
cd "$(dirname "$0")/.."
mode=${1:-test} wanted=${2:-}
export SLIPWAY_CACHE=${SLIPWAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/slipway}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$SLIPWAY_CACHE/target}
RESULTS=$(mktemp)
STAGES=$(mktemp)
export RESULTS
trap 'rm -f "$RESULTS" "$STAGES"' EXIT

groups="unit cli cluster-up"
if [ -n "$wanted" ]; then
    case " $groups " in
        *" $wanted "*) groups=$wanted ;;
        *) echo "there is no group $wanted; there are: $groups" >&2; exit 64 ;;
    esac
fi

# Runs one stage, notes its seconds and whether it failed as a whole.
stage() {
    local name=$1 start=$SECONDS status=0
    shift
    echo "== $name"
    "$@" || status=$?
    echo "$name $((SECONDS - start))" >>"$STAGES"
    if [ "$status" -ne 0 ]; then
        echo "not ok stage $name (exit code $status)" >>"$RESULTS"
    fi
    return "$status"
}

# Runs the unit tests of all crates; each counts.
unit() {
    local log status=0
    log=$(mktemp)
    cargo test --locked --workspace --no-fail-fast >"$log" 2>&1 || status=$?
    grep -E '^(test result|error|test .* FAILED|---- |thread .* panicked)' "$log" || true
    grep -E '^test .* \.\.\. ok$' "$log" | sed -E 's/^test (.*) \.\.\. ok$/ok \1/' >>"$RESULTS"
    grep -E '^test .* \.\.\. FAILED$' "$log" | sed -E 's/^test (.*) \.\.\. FAILED$/not ok \1/' >>"$RESULTS"
    # A test binary that does not build, or is killed, has no line of its own.
    if [ "$status" -ne 0 ] && ! grep -qE '^test .* \.\.\. FAILED$' "$log"; then
        tail -n 40 "$log"
        rm -f "$log"
        return 1
    fi
    rm -f "$log"
}

lints() {
    cargo fmt --all --check && cargo clippy --locked --workspace --all-targets -- -D warnings && cargo xtask check
}

chosen() {
    case " $groups " in *" $1 "*) ;; *) return 1 ;; esac
    case " ${SKIP:-} " in
        *" $1 "*) echo "== $1: left out, as SKIP says"; return 1 ;;
    esac
}

stage deps tests/deps.sh || { echo "0 passed, 1 failed"; exit 1; }
if chosen unit; then
    stage lints lints
    stage unit unit
fi
if chosen cli || chosen cluster-up; then
    if stage build make --no-print-directory build; then
        if chosen cli; then
            stage cli bash tests/cli.sh
        fi
        if chosen cluster-up; then
            if stage mirror make --no-print-directory mirror && stage bundle make --no-print-directory bundle; then
                stage cluster-up bash tests/vagrant/scenarios/cluster-up.sh
            fi
        fi
    fi
fi

echo
echo "seconds per stage:"
awk '{printf "  %-12s %5d\n", $1, $2}' "$STAGES"
passed=$(grep -c '^ok ' "$RESULTS")
failed=$(grep -c '^not ok ' "$RESULTS")
[ "$failed" -eq 0 ] || sed -n 's/^not ok /failed: /p' "$RESULTS"
log="$SLIPWAY_CACHE/test-log"
mkdir -p "$SLIPWAY_CACHE"
echo "$(date -u +%FT%TZ) $(git rev-parse --short HEAD 2>/dev/null) $mode ${wanted:-all}: $passed passed, $failed failed, $SECONDS s" >>"$log"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
