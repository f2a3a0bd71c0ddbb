#!/usr/bin/env bash
# Tests of the packages, with the race detector. The detector is C++ inside the
# test's process, and now and then it is the detector itself that dies of a
# signal (golang/go#78059 and its kin). Only then, and only once, the tests run
# again; those that passed come from the cache. A data race, a failed test or a
# fault in Go code is final.
set -uo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
packages=$(go list work | grep -v /deploy/e2e)

run() {
	# shellcheck disable=SC2086 # one word for each package
	go test -race -p 2 -timeout 20m $packages 2>&1 | tee "$log"
}

run && exit 0
grep -qE '^(PC=0x4[0-9a-f]{5} .*sigcode|signal arrived during (external code|cgo) execution)' "$log" || exit 1
grep -qE '^(--- FAIL|WARNING: DATA RACE|panic: )' "$log" && exit 1
echo 'The race detector died of a signal; the tests run once more.'
run
