# Shared by the runner and the scenarios: named subtests with their outcomes.
# Sourced, not run.

# Every outcome is a line in this file: "ok NAME" or "not ok NAME".
: "${RESULTS:?set by tests/run.sh}"

# Variables and functions reach the subtests' own shells.
set -a

# Runs a command as a subtest: its output is shown only where it fails, its figures
# always. The scenario goes on, so that one failure does not hide the others.
#
# A shell of its own: inside `if` and `||` bash ignores `errexit`, in subshells
# too, and a function would go on after its first failed command.
subtest() {
    local name=$1 log start
    shift
    log=$(mktemp)
    start=$SECONDS
    # shellcheck disable=SC2046
    export -f $(compgen -A function)
    if timeout --kill-after=30 "${SUBTEST_LIMIT:-600}" bash -euo pipefail -c '"$@"' subtest "$@" >"$log" 2>&1; then
        echo "  ok      $name ($((SECONDS - start)) s)"
        sed -n 's/^figure: /          /p' "$log"
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

# Prints a figure, which a subtest shows also where it succeeds. Usage: figure TEXT
figure() { echo "figure: $1"; }

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

# Succeeds if a command fails. (`! command` would not do: errexit ignores it.)
fails() {
    if "$@"; then
        echo "succeeded, and should not: $*"
        return 1
    fi
}

# Succeeds if a command succeeds and prints a line that matches; shows it all.
# Usage: prints PATTERN COMMAND…
prints() {
    local pattern=$1 output status=0
    shift
    output=$("$@") || status=$?
    echo "$output"
    if [ "$status" -ne 0 ]; then
        echo "exit code $status"
        return "$status"
    fi
    if ! grep -qE -- "$pattern" <<<"$output"; then
        echo "nothing matches «$pattern»"
        return 1
    fi
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
