# Shared by the runner and the scenarios: named subtests with their outcomes.
# Sourced, not run.

# Every outcome is a line in this file: "ok NAME" or "not ok NAME".
: "${RESULTS:?set by tests/run.sh}"

# Runs a command as a subtest: its output is shown only where it fails.
# The scenario goes on, so that one failure does not hide the others.
subtest() {
    local name=$1 log start
    shift
    log=$(mktemp)
    start=$SECONDS
    if ( set -euo pipefail; "$@" ) >"$log" 2>&1; then
        echo "  ok      $name ($((SECONDS - start)) s)"
        echo "ok $name" >>"$RESULTS"
        rm -f "$log"
        return 0
    fi
    echo "  NOT OK  $name ($((SECONDS - start)) s)"
    sed 's/^/    | /' "$log" | tail -n 60
    echo "not ok $name" >>"$RESULTS"
    rm -f "$log"
    return 1
}

# Runs a command until it succeeds, for at most SECONDS_ seconds.
# Usage: eventually SECONDS_ COMMAND…
eventually() {
    local limit=$1 start=$SECONDS
    shift
    until "$@"; do
        if [ $((SECONDS - start)) -ge "$limit" ]; then
            echo "gave up after $limit s: $*" >&2
            return 1
        fi
        sleep 1
    done
}

# Succeeds if a command fails with this exit code and prints this text.
# Usage: refuses CODE TEXT COMMAND…
refuses() {
    local code=$1 text=$2 output status=0
    shift 2
    output=$("$@" 2>&1) || status=$?
    if [ "$status" -ne "$code" ]; then
        echo "exit code $status, not $code: $*"
        echo "$output"
        return 1
    fi
    if ! grep -qF -- "$text" <<<"$output"; then
        echo "the message lacks «$text»:"
        echo "$output"
        return 1
    fi
}
