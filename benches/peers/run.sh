#!/usr/bin/env bash
# This crate beside other libraries, on the same arrays, one thread each, in turn: a table in Markdown.
#
#   ./benches/peers/run.sh                     all tasks (some minutes)
#   ./benches/peers/run.sh --quick             fewer pairs
#   ./benches/peers/run.sh --only welch        tasks of that name, or welch_..; may be repeated
#   ./benches/peers/run.sh --json              lines of JSON instead of the table
#   ./benches/peers/run.sh --strict            fails too where what is asked is missed
#
# Fails where both sides' numbers differ by more than a task's tolerance. The Python environment is made once in
# target/peers-venv from requirements.txt (PYTHON names the interpreter, 3.11 or newer), with packages from PyPI. Libraries in
# Rust are crates of their own (rcf3/), so that the crate itself does not depend on them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."

# One thread a library, and the kernels that OpenBLAS takes for the best: some workplaces name others.
unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 NUMEXPR_NUM_THREADS=1 NUMBA_NUM_THREADS=1
export POLARS_MAX_THREADS=1 RAYON_NUM_THREADS=1

target=${CARGO_TARGET_DIR:-target}
venv=$target/peers-venv
made=$venv/made-from.txt
if ! cmp -s "$here/requirements.txt" "$made"; then
    echo "making $venv" >&2
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv" >&2
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt" >&2
    cp "$here/requirements.txt" "$made"
fi

built() { # name of a target, from what cargo says
    "$venv/bin/python" -c '
import json, sys
built = [json.loads(line) for line in sys.stdin]  # all, or cargo writes into a closed pipe
print(next(b["executable"] for b in built if b.get("target", {}).get("name") == sys.argv[1] and b.get("executable")))' "$1"
}
ours=$(cargo bench --locked --bench peers --no-run --message-format=json-render-diagnostics | built peers)
rcf3=$(cargo build --release --locked --manifest-path "$here/rcf3/Cargo.toml" --target-dir "$target/peers-rcf3" \
    --message-format=json-render-diagnostics | built peers-rcf3)

exec "$venv/bin/python" "$here/run.py" --ours "$ours" --rcf3 "$rcf3" --data "$target/peers-data" "$@"
