# shellcheck shell=bash
# Programs of the recipe, which signals reach. Sourced by run.sh, after path.sh.

child=
trap 'stop INT' INT
trap 'stop TERM' TERM
trap 'stop HUP' HUP

# Runs Python where `stop` can reach it: bash heeds a signal at once only while it waits for one in the background.
python() {
  local status=0
  command python "$@" &
  child=$!
  wait "$child" || status=$?
  child=
  return "$status"
}

# Asks the program that runs to end, waits for it, and ends by the same signal.
stop() {
  trap '' INT TERM HUP
  [ -z "$child" ] || { kill -TERM "$child" && wait "$child"; } 2>/dev/null || true
  trap - "$1"
  kill -s "$1" $$
}
