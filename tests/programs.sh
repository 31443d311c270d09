#!/usr/bin/env bash
# Story: what we write is held against what the real programs say: certificates
# and rendered files against kubeadm of each minor, the agent's clients against
# a real etcd, kube-apiserver, containerd and runc.
#
# Usage: programs.sh VERSION…   (in the mirror already; the last one is run)
set -uo pipefail
cd "$(dirname "$0")/.."
: "${RESULTS:?set by tests/run.sh}" "${SLIPWAY_CACHE:?set by tests/run.sh}"
mirror=$SLIPWAY_CACHE/mirror
case $(uname -m) in
    x86_64) arch=amd64 ;;
    aarch64) arch=arm64 ;;
    *) echo "no mirror is built for $(uname -m)" >&2; exit 1 ;;
esac
programs=$(mktemp -d)
trap 'rm -rf "$programs"' EXIT

for version in "$@"; do
    minor=${version%.*}
    kubeadm=$mirror/dl.k8s.io/release/v$version/bin/linux/$arch/kubeadm
    [ -x "$kubeadm" ] || { echo "$kubeadm is missing" >&2; exit 1; }
    export "SLIPWAY_KUBEADM_${minor/./_}=$kubeadm"
done
status=0
tests/cargo-tests.sh -p slipway-pki --features slipway-pki/oracle || status=1
for version in "$@"; do
    minor=${version%.*}
    # Each minor's kubeadm has a test of its own.
    tests/cargo-tests.sh -p slipway-planner --features slipway-planner/oracle --test oracle -- "kubeadm_${minor/./_}" || status=1
done

# The programs lie in archives, as they do on the official sites.
unpack() { # PATTERN MEMBER…: the newest archive that matches
    local archive
    archive=$(find "$mirror" -path "*$1" | sort -V | tail -n 1)
    [ -n "$archive" ] || { echo "nothing in $mirror matches $1" >&2; return 1; }
    shift
    tar -xf "$archive" -C "$programs" --transform 's|.*/||' --wildcards "$@"
}
unpack "/etcd-v*-linux-$arch.tar.gz" '*/etcd' '*/etcdctl' '*/etcdutl' &&
    unpack "/containerd-*-linux-$arch.tar.gz" 'bin/*' &&
    ln -s "$(find "$mirror" -name "runc.$arch" | sort -V | tail -n 1)" "$programs/runc" &&
    ln -s "$mirror/dl.k8s.io/release/v${!#}/bin/linux/$arch/"{kube-apiserver,kube-controller-manager} "$programs" &&
    ln -s "$mirror/images" "$programs/images" || exit 1
SLIPWAY_TEST_BIN=$programs tests/cargo-tests.sh -p slipway-agent --features slipway-agent/real --test real || status=1
exit "$status"
