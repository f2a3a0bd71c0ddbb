#!/usr/bin/env bash
# Fails when the contract breaks clients of an earlier revision; the default is
# the newest release tag, else the last commit that is not of this branch.
set -euo pipefail
cd "$(dirname "$0")/../.."

against=${1:-$(git describe --tags --abbrev=0 2>/dev/null || git merge-base HEAD origin/main 2>/dev/null || true)}
if [ -z "$against" ] || ! git cat-file -e "$against:buf.yaml" 2>/dev/null; then
	echo "no earlier revision of the contract to compare with"
	exit 0
fi
buf=$(GOWORK=off go -C proto/tools/buf tool -n buf)
base=$(mktemp -d)
trap 'rm -rf "$base"' EXIT
git archive "$against" buf.yaml proto/cidsistem | tar -x -C "$base"
cp -r .protodeps "$base/.protodeps"
"$buf" breaking --against "$base"
echo "compatible with $against"
