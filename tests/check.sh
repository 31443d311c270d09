#!/usr/bin/env bash
# The quick inner loop: format, lints, arrows between crates, unit tests. No
# cluster, no network beyond loopback.
set -euo pipefail
cd "$(dirname "$0")/.."
tests/deps.sh
cargo fmt --all --check
cargo clippy --locked --workspace --all-targets --all-features -- -D warnings
cargo xtask check
cargo test --locked --workspace
