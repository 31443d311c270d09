#!/usr/bin/env bash
# Makes the bundle unless it is newer than what goes into it.
# Usage: make-bundle.sh SLIPWAY MIRROR VERSION BUNDLE
set -euo pipefail
slipway=$1 mirror=$2 version=$3 bundle=$4
mkdir -p "$(dirname "$bundle")"
if [ "$bundle" -nt "$(readlink -f "$slipway")" ] &&
    [ -z "$(find "$mirror" -name .slipway-mirror -prune -o -type f -newer "$bundle" -print -quit)" ]; then
    echo "bundle: $bundle is up to date"
    exit 0
fi
"$slipway" bundle create --kubernetes-version "$version" --source "$mirror" --out-file "$bundle"
