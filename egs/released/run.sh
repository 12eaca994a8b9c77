#!/usr/bin/env bash
# Any stage of the main run.sh on egs/released, see ./run.sh --help; egs/released/release.sh makes the released model.
set -euo pipefail
exec "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../../run.sh" --corpus released "$@"
