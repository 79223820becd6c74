#!/bin/sh
# Makes the figures that README.md shows, from runs of the program itself.
set -eu
cd "$(dirname "$0")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
go build -o "$out/snrlab" ./cmd/snrlab
mkdir -p docs/figures
dir() { sed -n 's/^  "dir": "\(.*\)",$/\1/p' | head -n 1; }
demo=$("$out/snrlab" run compare-digits --out "$out" --quiet --json | dir)
cp "$demo/figures/error-by-nfe.png" docs/figures/error-nfe.png
mixture=$("$out/snrlab" sample --model digits --rows 64 --steps 40 --out "$out" --quiet --json | dir)
cp "$mixture/samples.png" docs/figures/digits-mixture.png
# The optimal denoiser of a set of images leads every start to one of them.
real=$("$out/snrlab" sample --model points:mnist-test --rows 64 --steps 40 --out "$out" --quiet --json | dir)
cp "$real/samples.png" docs/figures/digits-real.png
