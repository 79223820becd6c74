#!/bin/sh
# Times the networks of bench/ in torch: Debian's python3-torch, with OpenBLAS in
# place of the reference BLAS that it comes with and whose products are thirty
# times slower. Arguments go to bench/torch_unet.py.
set -eu
cd "$(dirname "$0")/.."
packages="python3-torch libopenblas0-openmp"
# shellcheck disable=SC2086
if ! dpkg -s $packages >/dev/null 2>&1; then
	apt-get update -q >&2
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages >&2
fi
exec /usr/bin/python3 bench/torch_unet.py "$@"
