#!/usr/bin/env bash
# Runs every fuzz target of the repository, one after another, each for FUZZTIME
# (30s unless set). Fails when one fails; the input that it found is then a file
# under the package's testdata/fuzz, to be kept with the fix.
#
#   FUZZTIME=5m deploy/fuzz.sh          all targets
#   deploy/fuzz.sh ./services/internal/store    those of some folders
set -uo pipefail
cd "$(dirname "$0")/.."

failed=()
while IFS=: read -r file target; do
	package=$(dirname "$file")
	printf '== %s %s\n' "$package" "$target"
	if ! go test -C "$package" -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-30s}" .; then
		failed+=("$package $target")
	fi
done < <(grep -r --include='*_test.go' --exclude-dir=node_modules -o '^func Fuzz[A-Za-z0-9_]*' "${@:-.}" | sed 's/:func /:/' | sort)

if [ ${#failed[@]} -gt 0 ]; then
	printf 'failed:\n' >&2
	printf '  %s\n' "${failed[@]}" >&2
	exit 1
fi
