#!/usr/bin/env bash
# Executes notebooks from scratch and fails where a cell fails; with exit code 3,
# before any work, where a program that it needs is missing.
#   notebooks.sh                      writes the outputs into the notebooks
#   notebooks.sh FOLDER [NOTEBOOK …]  leaves them alone and writes executed copies there
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export JUPYTER_DATA_DIR=$dir/jupyter
bin=$(go env GOBIN)
export PATH=${bin:-$(go env GOPATH)/bin}:$PATH
for need in jupyter-nbconvert gonb goimports; do
	command -v "$need" >/dev/null || {
		echo "$need is missing: scripts/install-test-tools.sh installs it" >&2
		exit 3
	}
done
# gopls, which the kernel also asks for, only completes words while typing.
gonb --install --force_deps >/dev/null 2>"$dir/log" || {
	cat "$dir/log" >&2
	exit 1
}
to=notebooks
if [ $# -gt 0 ]; then
	mkdir -p "$1"
	to=$1
	shift
fi
[ $# -gt 0 ] || set -- notebooks/*.ipynb
for notebook; do
	copy=$dir/$(basename "$notebook")
	if ! jupyter-nbconvert --to notebook --execute --output-dir "$dir" --log-level=ERROR \
		--ExecutePreprocessor.record_timing=False --ExecutePreprocessor.timeout=600 \
		"$notebook" 2>"$dir/log"; then
		cat "$dir/log" >&2
		echo "$notebook: a cell failed, see above" >&2
		exit 1
	fi
	# The kernel reports a cell that does not compile, but calls one done that
	# stops with an exit status, which is then only in what it printed.
	python3 - "$notebook" "$copy" <<-'END'
		import json, re, sys
		for i, cell in enumerate(json.load(open(sys.argv[2]))["cells"]):
		    said = "".join("".join(o["text"]) for o in cell.get("outputs", []) if o.get("name") == "stderr")
		    if re.search(r"^(exit status \d+|signal: .*)$", said, re.M):
		        sys.exit(f"{said}{sys.argv[1]}: a cell failed, number {i + 1} from the top: see above")
	END
	cp "$copy" "$to/"
	echo "$notebook: executed"
done
