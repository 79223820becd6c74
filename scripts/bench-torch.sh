#!/bin/sh
# Times the networks of bench/ in torch and here, one network after the other in
# both, and prints how many times faster ours are. Torch is Debian's python3-torch
# with OpenBLAS, in place of the reference BLAS that it comes with, whose products
# are thirty times slower.
#   bench-torch.sh [SECONDS]     for each line; five runs at least
#   bench-torch.sh --check …     holds torch's networks to recorded cases; any
#                                option goes to bench/torch_unet.py instead of timing both
set -eu
cd "$(dirname "$0")/.."
packages="python3-torch libopenblas0-openmp"
# shellcheck disable=SC2086
if ! dpkg -s $packages >/dev/null 2>&1; then
	apt-get update -q >&2
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $packages >&2
fi
case ${1:-} in
-*) exec /usr/bin/python3 bench/torch_unet.py "$@" ;;
esac
seconds=${1:-2}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
${GO:-go} build -o "$dir/snrlab" ./cmd/snrlab
for network in small base ddpm-cifar10; do
	/usr/bin/python3 bench/torch_unet.py --threads 2 --seconds "$seconds" --network "$network" >"$dir/torch.json"
	GOMAXPROCS=2 "$dir/snrlab" bench unet --network "$network" --seconds "$seconds" --quiet --against "$dir/torch.json"
done
