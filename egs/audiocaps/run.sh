#!/usr/bin/env bash
# The whole recipe on egs/audiocaps. Any option of the main run.sh can follow, see ./run.sh --help.
set -euo pipefail
exec "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../run.sh" --corpus audiocaps "$@"
