# shellcheck shell=bash
# Options of a script, stated once: lines `name=default  # help` between `# options` and `# end of options`
# of the script are its options, their defaults and its --help. Call parse_options "$@" after that block, with $script
# set to the script's absolute path.

# Lines `name|default|help` of the calling script's option block.
option_table() {
  sed -n '/^# options$/,/^# end of options$/s/^\([a-z0-9_]*\)=\([^#]*[^# ]\)\{0,1\} *# *\(.*\)$/\1|\2|\3/p' "${script:?}"
}

print_help() {
  printf 'usage: %s [--option value ...]\n\n' "$0"
  option_table | while IFS='|' read -r name default help; do
    printf '  --%-14s %s (default: %s)\n' "$name" "$help" "${default:-none}"
  done
}

parse_options() {
  local names name value
  names=" $(option_table | cut -d'|' -f1 | tr '\n' ' ') "
  while [ $# -gt 0 ]; do
    case "$1" in
      -h | --help) print_help; exit 0 ;;
      --*=*) name=${1%%=*}; value=${1#*=}; shift ;;
      --*)
        name=$1
        case "$names" in *" ${name#--} "*) ;; *) die "unknown option $1; see $0 --help" ;; esac
        [ $# -ge 2 ] || die "$1 needs a value; see $0 --help"
        value=$2
        [ "${value#--}" = "$value" ] || [ "$name" = --train_args ] || die "$1 needs a value, got $value; see $0 --help"
        shift 2 ;;
      *) die "unexpected argument $1; options are written --name value, see $0 --help" ;;
    esac
    name=${name#--}
    case "$names" in *" $name "*) ;; *) die "unknown option --$name; see $0 --help" ;; esac
    printf -v "$name" '%s' "$value"
  done
}

# Fails unless every named option holds a whole number.
require_integers() {
  local name
  for name in "$@"; do
    [[ ${!name} =~ ^[0-9]+$ ]] || die "--$name is '${!name}', must be a whole number"
  done
}

# Makes the named options, which are paths, count from the folder $1 (the caller's) and not from the script's.
paths_from() {
  local from=$1 name
  shift
  [ "$from" != "$PWD" ] || return 0
  for name in "$@"; do
    case "${!name}" in '' | /*) ;; *) printf -v "$name" '%s/%s' "$from" "${!name}" ;; esac
  done
}
