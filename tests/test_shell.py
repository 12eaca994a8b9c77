"""Options of run.sh and path.sh."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = [
    ROOT / "run.sh",
    ROOT / "path.sh",
    ROOT / ".ci" / "run",
    *ROOT.glob("utils/*.sh"),
    *ROOT.glob("egs/*/run.sh"),
]


@pytest.fixture
def skeleton(tmp_path) -> Path:
    """The recipe without data, in a folder of its own."""
    for name in ("run.sh", "path.sh", "utils", "egs", "conf"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    return tmp_path


def run(folder: Path, *arguments: str, script: str = "run.sh") -> subprocess.CompletedProcess:
    environment = {**os.environ, "SPCLAP_PYTHON": sys.executable}
    command = ["bash", str(folder / script), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--foo", "1"], "unknown option --foo"),
        (["--foo=1"], "unknown option --foo"),
        (["--stage"], "--stage needs a value"),
        (["--seed", "--nj", "2"], "--seed needs a value"),
        (["--stage", "x"], "--stage is 'x', must be a whole number"),
        (["--stage", "-1"], "--stage is '-1'"),
        (["--stage", "4", "--stop_stage", "2"], "after --stop_stage"),
        (["--stop_stage", "9"], "last stage is 5"),
        (["--corpus", "nope"], "there are: esc50 mini synth"),
        (["--corpus", "esc50"], "needs --esc50_dir"),
        (["--corpus", "esc50", "--esc50_dir", "/nowhere"], "/nowhere is not a folder"),
        (["--conf_overlay", "/nowhere"], "/nowhere is not a folder"),
        (["0"], "unexpected argument 0"),
    ],
)
def test_bad_options_are_refused_and_nothing_is_written(skeleton, arguments, message):
    before = sorted(skeleton.rglob("*"))
    result = run(skeleton, *arguments)
    assert result.returncode != 0 and message in result.stderr.replace("\n", " "), result.stderr
    assert sorted(skeleton.rglob("*")) == before


def test_help_lists_every_option_with_its_default(skeleton):
    result = run(skeleton, "--help")
    block = (ROOT / "run.sh").read_text().split("# options\n")[1].split("# end of options")[0]
    options = re.findall(r"^(\w+)=(\S*) ", block, flags=re.M)
    assert result.returncode == 0 and len(options) >= 12
    for name, default in options:
        assert re.search(rf"--{name} .*\(default: {default or 'none'}\)", result.stdout), name


def test_corpus_wrappers_pass_options_on(skeleton):
    for corpus in ("mini", "synth", "esc50"):
        assert "--stop_stage" in run(skeleton, "--help", script=f"egs/{corpus}/run.sh").stdout


def test_environment_without_spclap_is_refused(skeleton, tmp_path):
    bare = tmp_path / "python"
    bare.write_text("#!/bin/sh\nexit 1\n")
    bare.chmod(0o755)
    command = f'SPCLAP_PYTHON={bare}; . "{skeleton}/path.sh"; echo status $?'
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "cannot import spclap" in result.stderr and "pip install" in result.stderr
    assert "status 1" in result.stdout


def test_path_installs_nothing_when_all_is_there(skeleton):
    fake = skeleton / ".venv" / "bin"
    fake.mkdir(parents=True)
    shutil.copy(ROOT / "setup.py", skeleton)
    command = f"""sha256sum < "{skeleton}/setup.py" > "{skeleton}/.venv/spclap-installed"
        set -euo pipefail; unset SPCLAP_PYTHON; . "{skeleton}/path.sh"; . "{skeleton}/path.sh"; echo "$PATH" """
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.startswith(f"{fake}:") and result.stdout.count(str(fake)) == 1


def test_scripts_are_clean():
    for script in SCRIPTS:
        assert subprocess.run(["bash", "-n", script]).returncode == 0
    result = subprocess.run([shutil.which("shellcheck"), "-x", *SCRIPTS], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stdout
