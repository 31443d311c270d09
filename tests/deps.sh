#!/usr/bin/env bash
# Installs what builds and labs need, through the package manager, and says so.
# Installs nothing where everything is there already.
set -euo pipefail

# What is looked for (a program or a file), and the package that brings it.
needs=(
    "gcc build-essential"
    "pkg-config pkg-config"
    "protoc protobuf-compiler"
    "/usr/include/google/protobuf/descriptor.proto libprotobuf-dev"
    "/usr/include/seccomp.h libseccomp-dev"
    "debootstrap debootstrap"
    "podman podman"
    "runc runc"
    "/usr/lib/podman/netavark netavark"
    "/usr/sbin/iptables iptables"
    "/usr/sbin/nft nftables"
    "ip iproute2"
    "ssh openssh-client"
    "/usr/sbin/sshd openssh-server"
    "openssl openssl"
    "/usr/bin/sudo sudo"
    "jq jq"
    "xz xz-utils"
)

missing=()
for need in "${needs[@]}"; do
    read -r what package <<<"$need"
    case $what in
        /*) [ -e "$what" ] || missing+=("$package") ;;
        *) command -v "$what" >/dev/null || missing+=("$package") ;;
    esac
done

for tool in cargo go git make; do
    if ! command -v "$tool" >/dev/null; then
        echo "deps: $tool is needed and is not here; install it first" >&2
        exit 1
    fi
done

if [ ${#missing[@]} -eq 0 ]; then
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    echo "deps: install these first: ${missing[*]}" >&2
    exit 1
fi
echo "deps: installing ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
    tail -n 20 "$log" >&2
    exit 1
fi
