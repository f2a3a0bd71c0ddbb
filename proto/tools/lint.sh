#!/usr/bin/env bash
# Everything that can be wrong without a test failing.
set -euo pipefail
cd "$(dirname "$0")/../.."

proto/tools/stale.sh
buf=$(GOWORK=off go -C proto/tools/buf tool -n buf)
"$buf" lint
proto/tools/breaking.sh

unformatted=$(go tool gofumpt -l proto services gateway deploy)
if [ -n "$unformatted" ]; then
	printf 'not formatted, run: go tool gofumpt -w .\n%s\n' "$unformatted" >&2
	exit 1
fi

# Each module must build without the workspace that hides a missing requirement.
for module in proto services/platform services gateway deploy; do
	(cd "$module" && GOWORK=off go build ./...)
done

linter=$(GOWORK=off go -C proto/tools/lint tool -n golangci-lint)
"$linter" run ./proto/... ./services/... ./services/platform/... ./gateway/... ./deploy/...
