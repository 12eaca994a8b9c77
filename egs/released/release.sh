#!/usr/bin/env bash
# Makes the model that comes with the package: egs/released/release.sh --esc50_dir DIR [options of run.sh]
# Trains it and its twin, scores the twin, and writes the folder spclap/released. Two cores: some two and a half hours.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.."
out=spclap/released
[ ! -e "$out" ] || { echo "error: $out is there; move it away first" >&2; exit 1; }
for name in twin released; do
  overlay=() stop=4
  [ "$name" = released ] || { overlay=(--conf_overlay egs/released/twin) stop=5; }
  ./run.sh --corpus released --model named ${overlay[@]+"${overlay[@]}"} --datadir "data/$name" --dumpdir "dump/$name" --expdir "exp/$name" \
    --stop_stage "$stop" "$@"
done
. ./path.sh
twin=exp/twin/released/seed0/named_scl tables=exp/twin/tables
mkdir -p "$tables"
python utils/show_results.py exp/twin/results.json >"$tables/binding.md"
spclap score "$twin" --benchmark places --data data/twin --dump dump/twin --conf egs/released/conf/places.yaml --out exp/twin/places
cp exp/twin/places/table.md "$tables/arrays.md"
python benchmarks/left_out.py "$twin" --data data/twin --dump dump/twin --clips '[1-5]-*' --epochs 8 >"$tables/kinds.md"
python egs/released/local/release.py exp/released/released/seed0/named_scl "$twin" --tables "$tables" --out "$out"
