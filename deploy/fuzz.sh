#!/usr/bin/env bash
# Runs every fuzz target of the repository for FUZZTIME (default 6s), three at a
# time. A failure prints the input, which go keeps under testdata/fuzz.
set -uo pipefail
cd "$(dirname "$0")/.."
export FUZZTIME=${FUZZTIME:-6s}

targets=$(grep -rn --include='*_test.go' -oE '^func Fuzz[A-Za-z0-9_]*' proto services gateway deploy |
	sed -E 's#^(.*)/[^/]+_test\.go:[0-9]+:func (Fuzz.*)$#\1 \2#' | sort -u)
count=$(wc -l <<<"$targets")
echo "$count fuzz targets, $FUZZTIME each"

fuzz() {
	# Without a failing input it was the fuzzer that ran out of time on a busy
	# machine: it gets a second chance.
	for _ in 1 2; do
		if out=$(go test -run '^$' -fuzz "^$2\$" -fuzztime "$FUZZTIME" -parallel 1 "./$1" 2>&1); then
			echo "ok   $1 $2"
			return
		fi
		grep -q 'Failing input' <<<"$out" && break
	done
	printf 'FAIL %s %s\n%s\n' "$1" "$2" "$out"
	return 1
}
export -f fuzz
failed=0
xargs -P 3 -L 1 bash -c 'fuzz "$0" "$1"' <<<"$targets" || failed=1
[ "$failed" -eq 0 ] && echo "$count passed, 0 failed" || echo "some fuzz targets failed"
exit "$failed"
