#!/usr/bin/env bash
# Installs what some tests need beyond Go, from Debian's packages: a browser,
# in which the report's own script is tested.
set -euo pipefail
if ! command -v chromium >/dev/null; then
	apt-get update -q
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends chromium
fi
