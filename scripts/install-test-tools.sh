#!/usr/bin/env bash
# Installs what some tests need beyond Go. From Debian's packages: a browser, in
# which the report's own script is tested, and what executes notebooks. From
# Go modules: the notebooks' kernel and goimports, which it calls.
set -euo pipefail
cd "$(dirname "$0")/.."
missing=()
command -v chromium >/dev/null || missing+=(chromium)
command -v jupyter-nbconvert >/dev/null || missing+=(jupyter-nbconvert)
# The part of nbconvert that executes; nbconvert itself only recommends it.
python3 -c 'import nbclient' 2>/dev/null || missing+=(python3-nbclient)
if ((${#missing[@]})); then
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
fi
(cd notebooks/kernel && go install tool)
