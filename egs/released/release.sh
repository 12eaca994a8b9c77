#!/usr/bin/env bash
# Makes the model that comes with the package: egs/released/release.sh --esc50_dir DIR [options of run.sh]
# Trains it and its twin, a core each, scores the twin, and writes the folder spclap/released. Some two hours on two cores
# with AVX-512 and bfloat16, five times that without. Stopped, it goes on with the training it was in when called again.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
out=spclap/released twin=exp/twin/released/seed0/named_scl tables=exp/twin/tables
[ ! -e "$out" ] || { echo "error: $out is there; move it away first" >&2; exit 1; }
export OMP_NUM_THREADS=1
set -m # a process group for what runs beside, which ends with this
beside=
trap '[ -z "$beside" ] || kill -- "-$beside" 2>/dev/null || true' EXIT

# train NAME LAST_STAGE OPTIONS: one of the two.
train() {
  local overlay=()
  [ "$1" = released ] || overlay=(--conf_overlay egs/released/twin)
  ./run.sh --corpus released --model named ${overlay[@]+"${overlay[@]}"} --datadir "data/$1" --dumpdir "dump/$1" --expdir "exp/$1" \
    --stop_stage "$2" "${@:3}"
}

for name in twin released; do train "$name" 0 "$@"; done # both fetch clips to one folder
train released 4 "$@" &
beside=$!
train twin 5 "$@"
wait "$beside"
. ./path.sh
mkdir -p "$tables"
places() {
  spclap score "$twin" --benchmark places --data data/twin --dump dump/twin --conf egs/released/conf/places.yaml --out exp/twin/places
}
places &
beside=$!
python benchmarks/left_out.py "$twin" --data data/twin --dump dump/twin --clips '[1-5]-*' --epochs 8 >"$tables/kinds.md"
wait "$beside"
beside=
python utils/show_results.py exp/twin/results.json >"$tables/binding.md"
cp exp/twin/places/table.md "$tables/arrays.md"
python egs/released/local/release.py exp/released/released/seed0/named_scl "$twin" --tables "$tables" --out "$out"
