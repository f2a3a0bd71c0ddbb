#!/usr/bin/env bash
# Fails when the committed generated files are not those that the contract
# gives.
set -euo pipefail
cd "$(dirname "$0")/../.."

before=$(mktemp -d)
trap 'rm -rf "$before"' EXIT
cp -r proto/gen proto/cidsistem gateway/openapi "$before"
proto/tools/generate.sh
for folder in proto/gen proto/cidsistem gateway/openapi; do
	diff -r "$before/$(basename "$folder")" "$folder" || {
		echo "$folder is stale: run 'make generate' and commit the result" >&2
		exit 1
	}
done
echo "generated files are fresh"
