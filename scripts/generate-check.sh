#!/bin/sh
# Runs go generate and fails if any file of the project changed.
set -eu
cd "$(dirname "$0")/.."
sums() { git ls-files -z --cached --others --exclude-standard | xargs -0 sha256sum 2>/dev/null | sort -k2; }
before=$(mktemp)
after=$(mktemp)
trap 'rm -f "$before" "$after"' EXIT
sums >"$before"
go generate ./...
sums >"$after"
if ! diff "$before" "$after"; then
	echo "go generate changed the files above: commit what it writes" >&2
	exit 1
fi
