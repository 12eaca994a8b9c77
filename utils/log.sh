# shellcheck shell=bash
# Messages of the recipe. Sourced by run.sh.

# A line with a time stamp.
log() {
  printf '%s %s\n' "$(date '+%H:%M:%S')" "$*"
}

# One line on stderr, then exit 1.
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}
