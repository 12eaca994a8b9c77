"""Options of run.sh and path.sh."""

import os
import re
import shutil
import signal
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
    *ROOT.glob("egs/*/*.sh"),
]


@pytest.fixture
def skeleton(tmp_path) -> Path:
    """The recipe without data, in a folder of its own."""
    for name in ("run.sh", "path.sh", "setup.py", "utils", "egs", "conf"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    return tmp_path


def run(folder: Path, *arguments: str, script: str = "run.sh", cwd: str = "/") -> subprocess.CompletedProcess:
    environment = {**os.environ, "SPCLAP_PYTHON": sys.executable}
    command = ["bash", os.path.relpath(folder / script, cwd), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=cwd)


def source(folder: Path, commands: str, python: str = "") -> subprocess.CompletedProcess:
    """Runs `commands` after path.sh of the folder, as the user's shell would, with nothing in PYTHONPATH."""
    environment = {**os.environ, "SPCLAP_PYTHON": python}
    environment.pop("PYTHONPATH", None)
    command = ["bash", "-c", f'. "{folder}/path.sh"; status=$?; {commands}']
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)


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
        (["--stop_stage", "9"], "last stage is 6"),
        (["--corpus", "nope"], "there are: audiocaps esc50 mini released synth"),
        (["--corpus", "esc50"], "needs --esc50_dir"),
        (["--corpus", "esc50", "--esc50_dir", "/nowhere"], "/nowhere is not a folder"),
        (["--corpus", "audiocaps"], "needs --audiocaps_dir"),
        (["--corpus", "audiocaps", "--audiocaps_dir", "/", "--audioset_dir", "/nowhere"], "/nowhere is not a folder"),
        (["--model", "nope"], "there are: default concat"),
        (["--ablation", "nope"], "there are: augment_eq"),
        (["--ablation", "no_seld_init", "--model", "frames"], "no_seld_init is one of model concat"),
        (["--conf", "/nowhere"], "/nowhere is not a folder"),
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


def test_paths_count_from_the_callers_folder(skeleton):
    for cwd, script in (("egs/mini", "run.sh"), ("egs/mini", "egs/mini/run.sh"), ("conf", "run.sh")):
        result = run(skeleton, "--conf_overlay", "mine", script=script, cwd=str(skeleton / cwd))
        assert f"{skeleton}/{cwd}/mine is not a folder" in result.stderr


def test_overlay_of_no_config_is_refused(skeleton, tmp_path):
    overlay = tmp_path / "overlay"
    overlay.mkdir()
    (overlay / "train_slc.yaml").write_text("max_epoch: 1\n")
    result = run(skeleton, "--conf_overlay", str(overlay))
    assert result.returncode == 1 and result.stderr.count("\n") == 1
    assert "train_slc.yaml is laid over nothing" in result.stderr and "did you mean train/scl.yaml?" in result.stderr


@pytest.fixture
def other_python(tmp_path) -> Path:
    """A Python of the user's that has nothing installed, not even what this one has."""
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    path.chmod(0o755)
    return path


def test_users_python_without_spclap_is_refused(skeleton, other_python, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)  # the caller's shell may name a folder with a package of that name
    (skeleton / "spclap").mkdir()  # a package in the current folder is not an installed one
    (skeleton / "spclap" / "__init__.py").touch()
    result = source(skeleton, "echo $status", str(other_python))
    assert "cannot import spclap torch" in result.stderr and "-m pip install -e" in result.stderr
    assert result.stdout == "1\n" and not (skeleton / ".venv").exists()


def test_users_python_must_run(skeleton):
    result = source(skeleton, "echo $status", "/nowhere/python")
    assert "SPCLAP_PYTHON=/nowhere/python does not run" in result.stderr and result.stdout == "1\n"


def test_users_python_is_first_on_path(skeleton):
    result = source(skeleton, "command -v python", sys.executable)
    assert result.stdout == f"{Path(sys.executable).parent}/python\n" and result.stderr == ""


def test_path_installs_nothing_when_all_is_there(skeleton):
    binaries = skeleton / ".venv" / "bin"
    binaries.mkdir(parents=True)
    with (skeleton / ".venv" / "spclap-installed").open("w") as file:
        subprocess.run(["sha256sum", skeleton / "setup.py"], stdout=file, check=True)
    result = source(skeleton, f'set -euo pipefail; . "{skeleton}/path.sh"; echo "$PATH"')
    assert result.returncode == 0 and result.stderr == ""
    assert result.stdout.startswith(f"{binaries}:") and result.stdout.count(str(binaries)) == 1


def test_path_installs_again_after_setup_changed_or_the_folder_moved(skeleton):
    """With no usable Python to be found, the attempt shows as an error and leaves nothing."""
    tools = skeleton / "tools"
    tools.mkdir()
    for name in ("bash", "cat", "dirname", "flock", "grep", "sha256sum"):
        (tools / name).symlink_to(shutil.which(name))
    command = f'PATH="{tools}"; set -euo pipefail; . "{skeleton}/path.sh"; echo not reached'
    (skeleton / ".venv").mkdir()
    (skeleton / ".venv" / "spclap-installed").write_text("0  /elsewhere/setup.py\n")
    environment = {**os.environ, "SPCLAP_PYTHON": ""}
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment)
    assert result.returncode == 1 and result.stdout == ""
    assert "no Python 3.10, 3.11 or 3.12 found" in result.stderr and "apt-get install" in result.stderr
    assert [path.name for path in (skeleton / ".venv").iterdir()] == ["spclap-installed"]


def test_scripts_are_clean():
    for script in SCRIPTS:
        assert subprocess.run(["bash", "-n", script]).returncode == 0
    shellcheck = shutil.which("shellcheck") or Path(sys.executable).with_name("shellcheck")
    result = subprocess.run([shellcheck, "-x", *SCRIPTS], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stdout


def test_git_ignores_no_source_file():
    """A pattern such as `data/` in .gitignore must not reach spclap/data."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    folders = [ROOT / name for name in ("spclap", "egs", "tests", "utils", "conf", "benchmarks")]
    sources = [
        path for folder in folders for path in folder.rglob("*") if path.suffix in (".py", ".sh", ".yaml", ".md")
    ]
    names = "\n".join(str(path.relative_to(ROOT)) for path in sources)
    result = subprocess.run(["git", "check-ignore", "--stdin"], input=names, capture_output=True, text=True, cwd=ROOT)
    assert result.stdout == ""


def test_a_disk_too_small_for_the_installation_is_named_before_it_begins(skeleton, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "df").write_text("#!/bin/sh\necho Filesystem 1024-blocks Used Available\necho /dev/x 99 99 5000000\n")
    (tools / "df").chmod(0o755)
    command = f'PATH="{tools}:$PATH"; . "{skeleton}/path.sh"; echo $?'
    result = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env={**os.environ, "SPCLAP_PYTHON": ""}
    )
    assert "has 5 GB free" in result.stderr and "13 GB" in result.stderr and result.stdout.endswith("1\n")
    assert not list(skeleton.glob(".venv/lib/python3*/site-packages/torch"))


PROGRAM = """
import os, signal, sys, time
def end(number, frame):
    print("cleaned", flush=True)
    sys.exit(143)
signal.signal(signal.SIGTERM, end)
print("begun", flush=True)
time.sleep(60)
print("survived", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_reach_the_program_and_the_script_ends_after_it(number, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    script = f'set -euo pipefail; . {ROOT}/utils/programs.sh; python "{tmp_path}/program.py"; echo went on'
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    # whoever runs the tests may ignore the signal, as shells do with SIGINT in the background
    shell = subprocess.Popen(
        ["bash", "-c", script], stdout=subprocess.PIPE, text=True, env=environment,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )  # fmt: skip
    assert shell.stdout.readline() == "begun\n"
    shell.send_signal(number)
    assert shell.communicate(timeout=30)[0] == "cleaned\n"
    assert shell.returncode == -number


def test_programs_fail_as_they_do_in_the_foreground():
    script = f'set -euo pipefail; . {ROOT}/utils/programs.sh; python -c "raise SystemExit(7)"; echo went on'
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment)
    assert (result.returncode, result.stdout) == (7, "")


def test_a_gpu_that_is_not_there_is_told_before_anything_is_touched(skeleton, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    before = sorted(skeleton.rglob("*"))
    result = run(skeleton, "--corpus", "synth", "--ngpu", "1")
    assert result.returncode == 1 and result.stderr.startswith("error: --ngpu is 1, torch finds 0 here; give --ngpu 0")
    assert sorted(skeleton.rglob("*")) == before


def test_links_to_the_scripts_work_from_any_folder(skeleton, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for target in (skeleton / "run.sh", skeleton / "egs" / "synth" / "run.sh"):
        link = elsewhere / f"go {target.parent.name}"
        link.symlink_to(target)
        help_text = run(elsewhere, "--help", script=link.name)
        assert help_text.returncode == 0 and "--stop_stage" in help_text.stdout, help_text.stderr
        result = run(elsewhere, "--conf_overlay", "mine", script=link.name, cwd=str(elsewhere))
        assert f"{elsewhere}/mine is not a folder" in result.stderr
