#!/usr/bin/env bash
# Runs `cargo test` with these arguments; every test is an outcome in $RESULTS.
set -uo pipefail
: "${RESULTS:?set by tests/run.sh}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo test --locked --no-fail-fast "$@" >"$log" 2>&1 || status=$?
grep -E '^(test result|error|test .* FAILED|---- |thread .* panicked)' "$log" || true
grep -E '^test .* \.\.\. ok$' "$log" | sed -E 's/^test (.*) \.\.\. ok$/ok \1/' >>"$RESULTS"
grep -E '^test .* \.\.\. FAILED$' "$log" | sed -E 's/^test (.*) \.\.\. FAILED$/not ok \1/' >>"$RESULTS"
[ "$status" -ne 0 ] || exit 0
if ! grep -qE '^test .* \.\.\. FAILED$' "$log"; then
    # A test binary that does not build, or is killed, has no line of its own.
    tail -n 40 "$log"
    exit 1
fi
sed -n '/^failures:$/,/^failures:$/p' "$log" | head -n 200
