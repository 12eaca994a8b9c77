#!/usr/bin/env bash
# Spatial-CLAP from dry recordings to scores: ./run.sh --stage 0 --stop_stage 5
set -euo pipefail
from=$PWD
script=$(readlink -f "${BASH_SOURCE[0]}")  # of the file itself when called through a link
cd "$(dirname "$script")"

# options
stage=0            # first stage: 0 data lists, 1 simulation, 2 features, 3 pre-training and single, 4 multi and SCL, 5 scores
stop_stage=5       # last stage; 6 trains captioners, decodes and scores their captions
corpus=mini        # folder below egs/: mini, synth, esc50, audiocaps or released
seed=0             # of the trainings; models go to <expdir>/<corpus>/seed<seed>/
nj=2               # processes that simulate rooms and read clips
ngpu=0             # GPUs a training uses, 0 for the CPU; scoring uses one of them
esc50_dir=         # corpora esc50 and released: folder with meta/esc50.csv and audio/
audiocaps_dir=     # corpus audiocaps: folder with train.csv, val.csv, test.csv and audio/
audioset_dir=      # corpus audiocaps: folder with AudioSet's *_segments.csv and ontology.json, for SELD; may be empty
conf=              # folder of the base configs; conf if empty
model=             # <conf>/model/<model>.yaml; the one of --ablation, or default, if empty; `spclap config list` has all
ablation=          # stage 4 trains this change to scl alone, <conf>/ablation/<ablation>.yaml, which names its model
conf_overlay=      # folder of small YAML files laid over the configs of the same name, such as train/scl.yaml
train_args=        # more options of ESPnet2 for every training, such as "--max_epoch 2"
datadir=           # data lists, rooms and scenes; data/<corpus> if empty
dumpdir=           # features; dump/<corpus> if empty
expdir=            # models and scores; exp if empty, models in <expdir>/<corpus>/
# end of options

. utils/log.sh
. utils/parse_options.sh
parse_options "$@"
require_integers stage stop_stage seed nj ngpu
paths_from "$from" esc50_dir audiocaps_dir audioset_dir conf conf_overlay datadir dumpdir expdir
conf=${conf:-conf}
[ "$stage" -le "$stop_stage" ] || die "--stage $stage is after --stop_stage $stop_stage"
[ "$stop_stage" -le 6 ] || die "--stop_stage is $stop_stage, the last stage is 6"
[ "$nj" -ge 1 ] || die "--nj is 0, must be 1 or more"
if [ "$stage" -eq 0 ]; then
  case "$corpus" in
    esc50 | released) [ -n "$esc50_dir" ] || die "--corpus $corpus needs --esc50_dir, a folder with meta/esc50.csv and audio/" ;;
    audiocaps) [ -n "$audiocaps_dir" ] || die "--corpus audiocaps needs --audiocaps_dir, see egs/audiocaps/README.md" ;;
  esac
fi
for folder in esc50_dir audiocaps_dir audioset_dir; do
  [ -d "${!folder:-.}" ] || die "--$folder ${!folder} is not a folder"
done
datadir=${datadir:-data/$corpus} dumpdir=${dumpdir:-dump/$corpus} expdir=${expdir:-exp}
models=$expdir/$corpus/seed$seed
if [ ! -f "egs/$corpus/local/data.py" ] && { [ "$stage" -eq 0 ] || [ ! -f "$datadir/train/wav.scp" ]; }; then
  die "--corpus '$corpus' has no egs/$corpus/local/data.py; there are: $(cd egs && echo */ | tr -d /)." \
    "Your own data needs $datadir/{train,valid,test} and --stage 1, see README.md"
fi
. ./path.sh
. utils/programs.sh

if [ "$ngpu" -gt 0 ] && [ "$stop_stage" -ge 3 ]; then
  python -c 'import sys; from spclap.bin import require_gpus, run_main; run_main(lambda: require_gpus(int(sys.argv[1])))' "$ngpu"
fi

layers=(--conf "$conf" --corpus "$corpus" ${conf_overlay:+--conf_overlay "$conf_overlay"})

# Sets `files` to the config files of a name, later ones on top.
files_of() {
  local found
  found=$(python -m spclap.bin.recipe files "$1" "${layers[@]}")
  mapfile -t files <<<"$found"
}

# Sets `trainings` to what stage $1 trains: lines of a name and the name of the training that it starts from, if any.
trainings_of() {
  local found
  found=$(python -m spclap.bin.recipe trainings "$1" --model "$model" --ablation "$ablation" "${layers[@]}")
  trainings=()
  [ -z "$found" ] || mapfile -t trainings <<<"$found"
}
trainings_of 3 # an unknown model, ablation or overlay is told before anything is touched

# Fails unless a path exists, naming the stage that makes it.
need() {
  [ -e "$1" ] || die "$1 is missing; stage $2 makes it: $0 --corpus $corpus --stage $2${model:+ --model $model}${ablation:+ --ablation $ablation}"
}

# Runs one stage's function if it is wanted, with a line before it; its time and memory are shown at the end and, if it
# made something, kept in a table.
run_stage() {
  local number=$1 what=$2 start=$SECONDS began made peak
  if [ "$stage" -gt "$number" ] || [ "$stop_stage" -lt "$number" ]; then return; fi
  log "Stage $number: $what"
  began=$(date '+%Y-%m-%d %H:%M:%S.%N')
  : >"$SPCLAP_PEAKS"
  "stage$number"
  peak=$(sort -n "$SPCLAP_PEAKS" | tail -n 1)
  log "Stage $number: done in $((SECONDS - start)) s"
  costs+=("| $number ${what%%:*} | $((SECONDS - start)) | ${peak:-0} |")
  mkdir -p "$models"
  made=$(find "$datadir" "$dumpdir" "$models" -newermt "$began" \( -name wav.scp -o -name done.json -o -name scores.json \) \
    2>/dev/null || true) # folders of later stages are not there yet
  [ -z "$made" ] || printf '%s\t%s\t%s\n' "$number" "$((SECONDS - start))" "$began" >>"$models/stage_times.tsv"
}

# train TAG: one training.
train() {
  local options=()
  read -ra options <<<"$train_args"
  log "training $1 -> $models/$1"
  mkdir -p "$models"
  python -m spclap.bin.train --run "$1" "${layers[@]}" --data "$datadir" --dump "$dumpdir" --exp "$models/$1" \
    --seed "$seed" --ngpu "$ngpu" -- ${options[@]+"${options[@]}"}
}

# All trainings of stage $1.
train_all() {
  local line
  trainings_of "$1"
  for line in ${trainings[@]+"${trainings[@]}"}; do train "${line%% *}"; done
}

stage0() {
  local files options=()
  files_of data
  [ -z "$esc50_dir" ] || options+=(--esc50_dir "$esc50_dir")
  [ -z "$audiocaps_dir" ] || options+=(--audiocaps_dir "$audiocaps_dir" --nj "$nj")
  [ -z "$audioset_dir" ] || options+=(--audioset_dir "$audioset_dir")
  python "egs/$corpus/local/data.py" --out "$datadir" --conf "${files[@]}" ${options[@]+"${options[@]}"}
  python utils/validate_data_dir.py "$datadir/train" "$datadir/valid" "$datadir/test"
}

stage1() {
  local files
  need "$datadir/train/wav.scp" 0
  files_of simu
  python -m spclap.bin.simulate --data "$datadir" --conf "${files[@]}" --nj "$nj"
}

stage2() {
  local files
  need "$datadir/scenes/done.json" 1
  files_of feats
  python -m spclap.bin.pack --data "$datadir" --dump "$dumpdir" --conf "${files[@]}" --nj "$nj"
}

stage3() {
  need "$dumpdir/clips/done.json" 2
  train_all 3
}

stage4() {
  need "$dumpdir/clips/done.json" 2
  train_all 4
  [ "${#trainings[@]}" -gt 0 ] || log "$conf/model/${model:-default}.yaml is trained on one source alone (its stages), so there is nothing to train"
}

# score BENCHMARK OUT CONFIG ...: all models of this seed.
score() {
  local device=cpu
  [ "$ngpu" -eq 0 ] || device=cuda
  python -m spclap.cli score "$models" --benchmark "$1" --data "$datadir" --dump "$dumpdir" --out "$2" \
    --device "$device" --conf "${@:3}"
}

stage5() {
  local files
  need "$models" 3
  files_of score
  score fixed "$expdir" "${files[@]}"
  python utils/show_results.py "$expdir/results.json"
}

stage6() {
  local line tag start files trainings found=
  trainings_of 6
  for line in ${trainings[@]+"${trainings[@]}"}; do
    read -r tag start <<<"$line"
    [ -e "$models/$start/done.json" ] || { log "$models/$start is not trained, so it gets no captioner"; continue; }
    train "$tag"
    found=1
  done
  [ -n "$found" ] || die "$models has no model that could be given a captioner; stages 3 and 4 make them"
  files_of caption
  score captions "$models" "${files[@]}"
}

costs=("| stage | s | memory of its largest program, MB |" "|---|---|---|")
SPCLAP_PEAKS=$(mktemp)
export SPCLAP_PEAKS
trap 'rm -f "$SPCLAP_PEAKS"' EXIT
run_stage 0 "data lists: egs/$corpus -> $datadir/{train,valid,test}"
run_stage 1 "simulation: $datadir -> $datadir/{rirs,scenes}"
run_stage 2 "features: $datadir -> $dumpdir"
run_stage 3 "pre-training and single-source baseline: $dumpdir -> $models"
run_stage 4 "multi-source models without and with SCL: $dumpdir -> $models"
run_stage 5 "scores: $models -> $expdir/results.json"
run_stage 6 "captions: $models -> $models/captions.md"
printf '%s\n' "" "${costs[@]}"
