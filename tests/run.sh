#!/usr/bin/env bash
# Runs the test groups and ends with one line: "N passed, N failed".
#
#   run.sh test          the groups of `make test`
#   run.sh full [GROUP]  one group, or all that are not yet green on this commit
#
# SKIP="cluster-up faults" leaves groups out by name; nothing else leaves any out.
# Every group's outcome and seconds are noted in $SLIPWAY_CACHE/test-log, beside
# the commit they are true of.
set -uo pipefail
cd "$(dirname "$0")/.."
mode=${1:-test} wanted=${2:-}
export SLIPWAY_CACHE=${SLIPWAY_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/slipway}
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$SLIPWAY_CACHE/target}
RESULTS=$(mktemp)
STAGES=$(mktemp)
export RESULTS STAGES
trap 'rm -f "$RESULTS" "$STAGES"' EXIT

# What each mode runs. A name with a version runs the story before it on that
# version; everything else is a script of its own name.
quick="unit programs cli preflight cluster-up high-availability"
all="unit programs-full cli preflight many-hosts cluster-up high-availability upgrade cluster-up-1.35.4 cluster-up-1.34.4 faults crash kubeadm-together kubeadm-control-plane clean-reset local-mode file external-ca certs etcd quorum-loss etcd-restore external-etcd membership etcd-faults upgrade-adopted"

case $mode in
    test) groups=$quick ;;
    full) groups=$all ;;
    *) echo "usage: run.sh test | full [GROUP]" >&2; exit 64 ;;
esac
if [ -n "$wanted" ]; then
    case " $groups " in
        *" $wanted "*) groups=$wanted ;;
        *) echo "there is no group $wanted; there are: $groups" >&2; exit 64 ;;
    esac
fi

commit=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain 2>/dev/null)" ] || commit=$commit-changed
log=$SLIPWAY_CACHE/test-log
mkdir -p "$SLIPWAY_CACHE"

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

# Runs a stage that others need, once: a failed one fails everybody who needs it.
declare -A needed
needs() {
    local name=$1
    if [ -z "${needed[$name]:-}" ]; then
        needed[$name]=0
        stage "$@" || needed[$name]=$?
    fi
    return "${needed[$name]}"
}
mirror_of() { needs "mirror $1" make --no-print-directory mirror KUBERNETES="$1"; }
bundle_of() { mirror_of "$1" && needs build make --no-print-directory build && needs "bundle $1" make --no-print-directory bundle KUBERNETES="$1"; }

lints() {
    cargo fmt --all --check && cargo clippy --locked --workspace --all-targets --all-features -- -D warnings && cargo xtask check
}
scenario() { KUBERNETES=$1 bash "tests/vagrant/scenarios/$2.sh"; }

run_group() {
    local group=$1 version
    case $group in
        unit) stage lints lints; stage unit tests/cargo-tests.sh --workspace ;;
        programs) mirror_of 1.35.4 && mirror_of 1.36.3 && stage programs tests/programs.sh 1.35.4 1.36.3 ;;
        programs-full)
            mirror_of 1.34.4 && mirror_of 1.35.4 && mirror_of 1.36.3 && stage programs-full tests/programs.sh 1.34.4 1.35.4 1.36.3
            ;;
        cli | preflight) needs build make --no-print-directory build && stage "$group" bash "tests/$group.sh" ;;
        many-hosts)
            bundle_of 1.36.3 && stage many-hosts tests/many-hosts.sh target/release/slipway "$SLIPWAY_CACHE/bundles/slipway-1.36.3.bundle"
            ;;
        upgrade | upgrade-adopted) bundle_of 1.35.4 && bundle_of 1.36.3 && stage "$group" scenario 1.36.3 "$group" ;;
        *-1.*)
            version=${group##*-}
            bundle_of "$version" && stage "$group" scenario "$version" "${group%-*}"
            ;;
        *) bundle_of 1.36.3 && stage "$group" scenario 1.36.3 "$group" ;;
    esac
}

count() { grep -c "^$1 " "$RESULTS"; }

stage deps tests/deps.sh || { echo "0 passed, 1 failed"; exit 1; }
for group in $groups; do
    case " ${SKIP:-} " in
        *" $group "*) echo "== $group: left out, as SKIP says"; continue ;;
    esac
    if [ "$mode" = full ] && [ -z "$wanted" ] && grep -qE "^[^ ]+ $commit $group: [1-9][0-9]* passed, 0 failed" "$log" 2>/dev/null &&
        [ "${commit%-changed}" = "$commit" ]; then
        echo "== $group: green on $commit already, see $log (GROUP=$group runs it again)"
        echo "ok $group was green on $commit" >>"$RESULTS"
        continue
    fi
    start=$SECONDS passed=$(count ok) failed=$(count 'not ok')
    run_group "$group"
    echo "$(date -u +%FT%TZ) $commit $group: $(($(count ok) - passed)) passed, $(($(count 'not ok') - failed)) failed, $((SECONDS - start)) s" >>"$log"
done

echo
echo "seconds per stage:"
sed -E 's/^(.*) ([0-9]+)$/\2 \1/' "$STAGES" | awk '{ s = $1; $1 = ""; printf "  %-20s %5d\n", substr($0, 2), s }'
passed=$(count ok)
failed=$(count 'not ok')
[ "$failed" -eq 0 ] || sed -n 's/^not ok /failed: /p' "$RESULTS"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
