"""Kill the recipe at many moments and compare what it makes with an undisturbed run; try to inject commands.

python tests/drills/kills.py SCRATCH [--moments 41]

By hand and weekly, not in CI: corpus synth with tests/tiny_conf, some minutes and half a minute a moment. SCRATCH is
a folder that is made. Commit nothing meanwhile: scores hold the state of git. SCRATCH keeps the undisturbed run, which
tests/drills/damage.py damages.
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = "Größe: a b"  # of the folder that is written to, which is called by a link
TOLD = "is being written by"
TIMES = ("stage_times.tsv", "checkpoint.pth", ".lock")  # hold times; a checkpoint's weights are in the epoch's file too
ENVIRONMENT = {**os.environ, "SPCLAP_PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}


def options(run: Path, *more: str) -> list[str]:
    folders = [f"--{name}={run / name}" for name in ("datadir", "dumpdir", "expdir")]
    recipe = ["bash", str(ROOT / "run.sh"), "--corpus", "synth", "--conf_overlay", str(ROOT / "tests" / "tiny_conf")]
    return [*recipe, *folders, "--stop_stage=6", *more]


def finish(run: Path, *more: str) -> str:
    """Run to the end, after an orphan if one is still at it; returns what was said."""
    while True:
        result = subprocess.run(options(run, *more), capture_output=True, text=True, env=ENVIRONMENT)
        if result.returncode == 0:
            return result.stdout + result.stderr
        assert TOLD in result.stderr and "Traceback" not in result.stderr, result.stderr[-3000:]
        time.sleep(2)


def programs(run: Path) -> list[int]:
    """Processes of the recipe that write into a folder."""
    found = subprocess.run(["pgrep", "-f", re.escape(f"{run}/")], capture_output=True, text=True).stdout.split()
    return [int(pid) for pid in found if int(pid) != os.getpid()]


def kill_all(run: Path, shell: subprocess.Popen) -> None:
    os.killpg(shell.pid, signal.SIGKILL)


def kill_program(run: Path, shell: subprocess.Popen) -> None:
    for pid in programs(run):
        if pid != shell.pid:
            os.kill(pid, signal.SIGKILL)


def kill_shell(run: Path, shell: subprocess.Popen) -> None:
    """Leaves an orphan at work."""
    shell.kill()


def terminate(run: Path, shell: subprocess.Popen) -> None:
    """As `kill PID` and as a closed terminal do; nothing may be left at work."""
    shell.send_signal(signal.SIGTERM)
    shell.wait()
    assert not programs(run), "programs outlive run.sh"


def interrupt(run: Path, shell: subprocess.Popen) -> None:
    os.killpg(shell.pid, signal.SIGINT)  # Ctrl-C
    shell.wait()
    assert not programs(run), "programs outlive run.sh"


WAYS = (kill_all, terminate, kill_shell, interrupt, kill_program)


def disturb(run: Path, file: Path, way) -> str:
    """Run until `file` is written anew, then end it in that way; returns what the recipe said."""
    log, begun = run.parent / "log", time.time()
    with log.open("w") as out:
        shell = subprocess.Popen(options(run), stdout=out, stderr=out, env=ENVIRONMENT, start_new_session=True)
        while shell.poll() is None and not (file.exists() and file.stat().st_mtime >= begun):
            time.sleep(0.005)
        running = shell.poll() is None
        if running:
            way(run, shell)
        shell.wait()
    said = log.read_text()
    if not running and shell.returncode:
        assert TOLD in said, said[-3000:]  # an orphan of the kill before
        time.sleep(2)
        return disturb(run, file, way)
    assert way not in (terminate, interrupt) or "Traceback" not in said, said[-3000:]
    return said


def contents(run: Path) -> dict[str, bytes]:
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path.name not in TIMES]
    return {str(path.relative_to(run)): path.read_bytes() for path in files}


def moments(run: Path, count: int) -> list[Path]:
    """Files of a finished run, in the order they were written, evenly chosen."""
    files = [path for path in run.rglob("*") if path.is_file() and path.suffix != ".wav"]
    files.sort(key=lambda path: path.stat().st_mtime_ns)
    return [files[(2 * index + 1) * len(files) // (2 * count)] for index in range(count)]


def kills(scratch: Path, run: Path, count: int) -> None:
    finish(run)
    reference, wanted = scratch / "reference", contents(run)
    files = moments(run, count)
    target = run.resolve()
    target.rename(reference)
    target.mkdir()
    for index, file in enumerate(files):
        way = WAYS[index % len(WAYS)]
        print(f"{index + 1}/{count}: {way.__name__} at {file.relative_to(run)}", flush=True)
        disturb(run, file, way)
    finish(run)
    found = contents(run)
    differ = [name for name in sorted(wanted.keys() | found.keys()) if wanted.get(name) != found.get(name)]
    print("\n".join(f"DIFFERS: {name}" for name in differ) or f"{len(found)} files, all as undisturbed")
    before = {path: path.stat().st_mtime_ns for path in run.rglob("done.json")}
    for path in sorted(run.rglob("*"), reverse=True):
        path.chmod(path.stat().st_mode & ~0o222 if run / "expdir" not in (path, *path.parents) else path.stat().st_mode)
    said = finish(run, "--stage=1")
    assert "up to date" in said and before == {path: path.stat().st_mtime_ns for path in before}
    print("read-only data and features: up to date" + (" (but root may write)" if os.geteuid() == 0 else ""))


PAYLOADS = (
    "$(touch {})",
    "`touch {}`",
    "; touch {} #",
    "x\ntouch {}",
    "' ; touch {} ; '",
    '" ; touch {} ; "',
    "a[$(touch {})]",
    "__import__('os').system('touch {}')",
    "!!python/object/apply:os.system ['touch {}']",
)


def injections(run: Path, scratch: Path) -> None:
    """Every option with values that would run a command if a shell or Python saw them as code."""
    names = re.findall(r"^(\w+)=", (ROOT / "run.sh").read_text().split("# options\n")[1].split("# end of")[0], re.M)
    proof = scratch / "proof"
    for name in names:
        for payload in PAYLOADS:
            last = "3" if name == "train_args" else "0"
            given = options(run, "--stage", last, "--stop_stage", last, f"--{name}={payload.format(proof)}")
            if name == "train_args":
                given[-1] = f"--train_args=--optim_conf {payload.format(proof).replace(' ', '${IFS}')} --dry_run true"
            result = subprocess.run(given, capture_output=True, text=True, env=ENVIRONMENT, cwd=scratch)
            assert not proof.exists(), f"--{name} ran {payload!r}"
            assert "Traceback" not in result.stderr, f"--{name} {payload!r}: {result.stderr[-2000:]}"
    print(f"{len(names)} options x {len(PAYLOADS)} injections: none ran")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scratch", type=Path)
    parser.add_argument("--moments", type=int, default=41)
    parser.add_argument("--name", default=NAME, help="of the folder that is written to")
    args = parser.parse_args()
    scratch = args.scratch.resolve()
    (scratch / args.name).mkdir(parents=True)
    link = scratch / "a link"
    link.symlink_to(scratch / args.name)
    kills(scratch, link, args.moments)
    injections(link, scratch)


if __name__ == "__main__":
    main()
