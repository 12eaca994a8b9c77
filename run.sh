#!/usr/bin/env bash
# Spatial-CLAP from dry recordings to scores: ./run.sh --stage 0 --stop_stage 5
set -euo pipefail
from=$PWD
script=$(readlink -f "${BASH_SOURCE[0]}")  # of the file itself when called through a link
cd "$(dirname "$script")"

# options
stage=0            # first stage: 0 data lists, 1 simulation, 2 features, 3 pre-training and single, 4 multi and SCL, 5 scores
stop_stage=5       # last stage; 6 trains captioners, decodes and scores their captions
corpus=mini        # folder below egs/: mini, synth, esc50 or audiocaps
seed=0             # of the trainings; models go to <expdir>/<corpus>/seed<seed>/
nj=2               # processes that simulate rooms and read clips
ngpu=0             # GPUs a training uses, 0 for the CPU; scoring uses one of them
esc50_dir=         # corpus esc50: folder with meta/esc50.csv and audio/
audiocaps_dir=     # corpus audiocaps: folder with train.csv, val.csv, test.csv and audio/
audioset_dir=      # corpus audiocaps: folder with AudioSet's *_segments.csv and ontology.json, for SELD; may be empty
conf=              # folder of the base configs; conf if empty
arch=              # another architecture, a folder of <conf>/arch/; its models are named <arch>_single, <arch>_scl ...
ablation=          # stage 4 trains scl_<ablation> alone, with <conf>/ablations/<ablation>.yaml laid over train_scl.yaml
conf_overlay=      # folder of small YAML files laid over the configs of the same name
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
[ -d "$conf" ] || die "--conf $conf is not a folder"
archdir=${arch:+$conf/arch/$arch}
[ -d "${archdir:-$conf}" ] || die "--arch $arch is not a folder of $conf/arch; there are: $(cd "$conf/arch" && echo *)"
[ -z "$ablation" ] || [ -f "$conf/ablations/$ablation.yaml" ] || die "--ablation $ablation: there is no $conf/ablations/$ablation.yaml; there are: $(cd "$conf/ablations" && echo *.yaml)"
[ -z "$conf_overlay" ] || [ -d "$conf_overlay" ] || die "--conf_overlay $conf_overlay is not a folder"
for file in ${conf_overlay:+"$conf_overlay"/*.yaml}; do
  [ -e "$file" ] || die "--conf_overlay $conf_overlay holds no .yaml file"
  [ -f "$conf/${file##*/}" ] || [ "${file##*/}" = data.yaml ] || die "--conf_overlay: $file is laid over nothing, there is no $conf/${file##*/}"
done
if [ "$stage" -eq 0 ]; then
  case "$corpus" in
    esc50) [ -n "$esc50_dir" ] || die "--corpus esc50 needs --esc50_dir, a folder with meta/esc50.csv and audio/" ;;
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

# Config files of a name: base, architecture, what the corpus changes, what the user changes, ablations given.
configs() {
  local name=$1 file
  shift
  printf '%s\n' "$conf/$name.yaml"
  for file in "${archdir:-none}/$name.yaml" "egs/$corpus/conf/$name.yaml" "${conf_overlay:-none}/$name.yaml" "$@"; do
    [ ! -f "$file" ] || printf '%s\n' "$file"
  done
}

# Fails unless a path exists, naming the stage that makes it.
need() {
  [ -e "$1" ] || die "$1 is missing; stage $2 makes it: $0 --corpus $corpus --stage $2${arch:+ --arch $arch}"
}

# Runs one stage's function if it is wanted, with a line before it and, if it made something, its time in a table.
run_stage() {
  local number=$1 what=$2 start=$SECONDS began made
  if [ "$stage" -gt "$number" ] || [ "$stop_stage" -lt "$number" ]; then return; fi
  log "Stage $number: $what"
  began=$(date '+%Y-%m-%d %H:%M:%S.%N')
  "stage$number"
  log "Stage $number: done in $((SECONDS - start)) s"
  mkdir -p "$models"
  made=$(find "$datadir" "$dumpdir" "$models" -newermt "$began" \( -name wav.scp -o -name done.json -o -name scores.json \) \
    2>/dev/null || true) # folders of later stages are not there yet
  [ -z "$made" ] || printf '%s\t%s\t%s\n' "$number" "$((SECONDS - start))" "$began" >>"$models/stage_times.tsv"
}

# What the spatial encoder is pre-trained on: masks or seld, whichever has a config; nothing if neither.
pretraining() {
  local name
  for name in masks seld; do
    if [ -f "${archdir:-$conf}/train_$name.yaml" ]; then
      printf '%s' "$name"
      return
    fi
  done
}

# train TAG CONFIG [ABLATION]: one model, from the architecture's pre-trained one unless it is that.
train() {
  local tag=$1 name=$2 start prefix=${arch:+${arch}_}
  start=$(pretraining)
  shift 2
  [ "$tag" != "$start" ] || start=
  train_from "${start:+$prefix$start}" "$prefix$tag" "$name" "$@"
}

# train_from START TAG CONFIG [ABLATION]: one model, from another one of this folder or, if START is empty, from none.
train_from() {
  local start=$1 tag=$2 name=$3 files options=()
  shift 3
  mapfile -t files < <(configs "$name" "$@")
  read -ra options <<<"$train_args"
  log "training $tag: ${files[*]} -> $models/$tag"
  mkdir -p "$models"
  python -m spclap.bin.train --config "${files[@]}" --data "$datadir" --dump "$dumpdir" --exp "$models/$tag" \
    --seed "$seed" --ngpu "$ngpu" ${start:+--init "$models/$start"} -- ${options[@]+"${options[@]}"}
}

stage0() {
  local files options=()
  mapfile -t files < <(configs data)
  [ -z "$esc50_dir" ] || options+=(--esc50_dir "$esc50_dir")
  [ -z "$audiocaps_dir" ] || options+=(--audiocaps_dir "$audiocaps_dir" --nj "$nj")
  [ -z "$audioset_dir" ] || options+=(--audioset_dir "$audioset_dir")
  python "egs/$corpus/local/data.py" --out "$datadir" --conf "${files[@]:1}" ${options[@]+"${options[@]}"}
  python utils/validate_data_dir.py "$datadir/train" "$datadir/valid" "$datadir/test"
}

stage1() {
  local files
  need "$datadir/train/wav.scp" 0
  mapfile -t files < <(configs simu)
  python -m spclap.bin.simulate --data "$datadir" --conf "${files[@]}" --nj "$nj"
}

stage2() {
  local files
  need "$datadir/scenes/done.json" 1
  mapfile -t files < <(configs feats)
  python -m spclap.bin.pack --data "$datadir" --dump "$dumpdir" --conf "${files[@]}" --nj "$nj"
}

stage3() {
  local start
  start=$(pretraining)
  need "$dumpdir/clips/done.json" 2
  [ -z "$start" ] || train "$start" "train_$start"
  train single train_single
}

stage4() {
  need "$dumpdir/clips/done.json" 2
  if [ -n "$arch" ] && [ ! -f "$archdir/train_scl.yaml" ]; then
    log "--arch $arch is a baseline of one source: there is no $archdir/train_scl.yaml, nothing to train"
    return
  fi
  if [ -n "$ablation" ]; then
    train "scl_$ablation" train_scl "$conf/ablations/$ablation.yaml"
    return
  fi
  train multi train_scl "$conf/ablations/multi_noscl.yaml"
  train scl train_scl
}

stage5() {
  local files
  need "$models" 3
  mapfile -t files < <(configs score)
  python -m spclap.bin.score --data "$datadir" --dump "$dumpdir" --exp "$models" --corpus "$corpus" \
    --seed "$seed" --results "$expdir/results.json" --ngpu "$ngpu" --conf "${files[@]}"
  python utils/show_results.py "$expdir/results.json"
}

stage6() {
  local name tag files found=
  for name in single multi "scl${ablation:+_$ablation}"; do
    tag=${arch:+${arch}_}$name
    [ -e "$models/$tag/done.json" ] || { log "$models/$tag is not trained, so it gets no captioner"; continue; }
    train_from "$tag" "${tag}_captions" train_caption
    found=1
  done
  [ -n "$found" ] || die "$models has no model that could be given a captioner; stages 3 and 4 make them"
  mapfile -t files < <(configs caption)
  python -m spclap.bin.caption --data "$datadir" --dump "$dumpdir" --exp "$models" --ngpu "$ngpu" --conf "${files[@]}"
}

run_stage 0 "data lists: egs/$corpus -> $datadir/{train,valid,test}"
run_stage 1 "simulation: $datadir -> $datadir/{rirs,scenes}"
run_stage 2 "features: $datadir -> $dumpdir"
run_stage 3 "pre-training and single-source baseline: $dumpdir -> $models"
run_stage 4 "multi-source models without and with SCL: $dumpdir -> $models"
run_stage 5 "scores: $models -> $expdir/results.json"
run_stage 6 "captions: $models -> $models/captions.md"
