#!/bin/sh
# Writes the overhead of a step of every solver as a Markdown page, beside that of
# diffusers and k-diffusion where python3 can import them. Numbers are of this
# machine and this moment.
set -eu
cd "$(dirname "$0")/.."
go=${GO:-go}
page=${1:-docs/overhead.md}
raw=$(mktemp)
trap 'rm -f "$raw" "$raw.py"' EXIT
$go test ./solvers -run '^$' -bench '^BenchmarkOverhead$' -benchtime 500x >"$raw" || {
	cat "$raw" >&2
	exit 1
}
python3 scripts/bench_peers.py >"$raw.py" 2>&1 || {
	echo "the script for other programs failed:" >&2
	cat "$raw.py" >&2
	exit 1
}
{
	cat <<'TEXT'
# Overhead of a step

<!-- Written by make bench-peers; do not edit. -->

What a step of each solver costs beside its evaluations and its noise, on 64×3×32×32 float64 values with a denoiser and a noise source that cost nothing: median over steps, and as a multiple of a plain copy of the state (one read, one write) measured between the steps. Check for NaN included. Adaptive solvers, whose steps are not the grid's, are left out.

TEXT
	awk '
	/^cpu:/ { cpu = substr($0, 6) }
	/^BenchmarkOverhead\// {
		name = $1; sub("BenchmarkOverhead/", "", name); sub(/-[0-9]+$/, "", name)
		for (i = 3; i < NF; i += 2) v[$(i+1)] = $i
		rows = rows sprintf("| %s | %.0f | %.2f | %s |\n", name, v["µs/step"], v["copies/step"], v["allocs/step"])
		copies += v["GB/s-copy"]; n++
	}
	END {
		printf "Machine:%s; a plain copy moves %.1f GB/s (bytes read and written, mean over the benchmarks).\n\n", cpu, copies / n
		printf "| solver | µs a step | copies | allocations |\n| --- | ---: | ---: | ---: |\n%s", rows
	}' "$raw"
	printf '\n## Other programs\n\n'
	cat "$raw.py"
} >"$page.new"
mv "$page.new" "$page"
echo "wrote $page"
grep -i 'skipped' "$page" || true
