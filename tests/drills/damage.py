"""Damage what stages made, one file at a time, and see that the stage that made it and those that read it tell.

python tests/drills/damage.py SCRATCH/reference [--every 1]

By hand and weekly, not in CI, after tests/drills/kills.py, whose undisturbed run is damaged and put back. Prints a line
for every damage that is not told in one line, and fails when there is one: SILENT when the reader went on,
TRACEBACK, or CHANGED when something was written over.
"""

import argparse
import contextlib
import io
import json
import logging
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from spclap import cli
from spclap.bin import pack, run_main, simulate, train
from spclap.recipe.compose import Recipe

ROOT = Path(__file__).resolve().parents[2]
Damage = Callable[[bytes], bytes | None]  # content -> content, None to remove the file


def array(change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    def damaged(content: bytes) -> bytes:
        out = io.BytesIO()
        np.save(out, change(np.load(io.BytesIO(content)).copy()))
        return out.getvalue()

    return damaged


def weights(content: bytes) -> bytes:
    state = torch.load(io.BytesIO(content), weights_only=True)
    name = next(key for key, value in state.items() if value.is_floating_point())
    state[name] = state[name] * float("nan")
    out = io.BytesIO()
    torch.save(state, out)
    return out.getvalue()


def words(old: str, new: str) -> Damage:
    def damaged(content: bytes) -> bytes:
        assert old.encode() in content, f"no {old!r} to replace"
        return content.replace(old.encode(), new.encode(), 1)

    return damaged


def shifted(content: bytes) -> bytes:
    return json.dumps({clip: [a + 1, b + 1] for clip, (a, b) in json.loads(content).items()}).encode()


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


ANY: dict[str, Damage] = {
    "half": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "a byte": flipped,
    "zeros": lambda content: bytes(len(content)),
    "missing": lambda content: None,
}
NAN = array(lambda x: np.where(np.arange(len(x)).reshape(-1, *[1] * (x.ndim - 1)) == 3, np.nan, x).astype(x.dtype))
SPECIAL: dict[str, dict[str, Damage]] = {
    "rirs.npy": {
        "channels exchanged": array(lambda x: x[:, ::-1]),
        "NaN": NAN,
        "a row less": array(lambda x: x[1:]),
        "mono": array(lambda x: x[:, :1]),
        "float64": array(lambda x: x.astype(float)),
    },
    "table.csv": {"renamed column": words("azimuth", "angle"), "other direction": words("front-left", "left")},
    "00000.npy": {"NaN": NAN, "silence": array(lambda x: 0 * x)},
    "00000.json": {"spans shifted": shifted},
    "test_2src.npy": {"NaN": NAN, "turned": array(lambda x: x[::-1])},
    "test_clean_2src.jsonl": {
        "RIR 99": words('"rir": ', '"rir": 99'),
        "direction": words('"direction": "', '"direction": "rear-'),
        "caption": words('"caption": "', '"caption": "no '),
        "clip": words('"clip": "', '"clip": "no-'),
        "a scene less": lambda content: content.split(b"\n", 1)[1],
    },
    "simu.yaml": {"seconds": words("seconds: 1.0", "seconds: 2.0")},
    "valid.score.ave.pth": {"NaN": weights},
    "config.yaml": {"equal_level": words("equal_level: true", "equal_level: false")},
}


def artefacts(run: Path) -> Iterator[tuple[Path, str]]:
    """Files that a later stage reads, and the program that made them."""
    data, dump, models = run / "datadir", run / "dumpdir", run / "expdir" / "synth" / "seed0"
    for split in ("train", "valid", "test"):
        yield from ((data / "rirs" / split / name, "simulate") for name in ("rirs.npy", "table.csv", "done.json"))
        yield from ((dump / "clips" / split / f"00000.{kind}", "pack") for kind in ("npy", "json"))
    yield from ((data / name, "simulate") for name in ("simu.yaml", "scenes/test_clean_2src.jsonl", "scenes/done.json"))
    yield from ((dump / name, "pack") for name in ("clips/done.json", "feats.yaml"))
    yield from ((path, "train") for path in sorted(dump.glob("tokenizer/*")))
    yield from ((path, "score") for path in sorted(dump.glob("heard/*/test_clean_2src/*")))
    for name in ("done.json", "config.yaml", "valid.score.ave.pth"):
        yield models / "scl" / name, "train"
    # scores.json is made of outcomes.npz at every stage 5
    yield models / "scl" / "outcomes.npz", "score"
    yield from ((models / "scl_captions" / name, "caption") for name in ("done.json", "valid.score.ave.pth"))
    yield models / "scl_captions" / "captions" / "captions.jsonl", "caption"


def command(name: str, run: Path) -> list[str]:
    """Arguments of a program as run.sh gives them."""
    data, dump, models = run / "datadir", run / "dumpdir", run / "expdir" / "synth" / "seed0"
    layers = {"conf": ROOT / "conf", "corpus": "synth", "overlay": ROOT / "tests" / "tiny_conf"}
    given = ["--data", data, *(["--dump", dump] if name != "simulate" else [])]
    if name == "train":
        given += ["--run", "scl", "--conf", layers["conf"], "--corpus", "synth", "--conf_overlay", layers["overlay"]]
    else:
        conf = {"simulate": "simu", "pack": "feats"}.get(name, name)
        given += ["--conf", *Recipe(**layers).files(conf)]
    if name == "score":
        return ["spclap", *map(str, ["score", models, "--benchmark", "fixed", "--out", run / "expdir", *given])]
    if name == "caption":
        return ["spclap", *map(str, ["score", models, "--benchmark", "captions", "--out", models, *given])]
    if name == "train":
        given += ["--exp", models / "scl"]
    return [name, *map(str, given)]


PROGRAMS = {"simulate": simulate, "pack": pack, "train": train, "score": cli, "caption": cli}


def told(name: str, run: Path) -> str:
    """Run a program: "told", "SILENT" or "TRACEBACK", and what it said last."""
    said, sys.argv = io.StringIO(), command(name, run)
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            run_main(PROGRAMS[name].main)
        except SystemExit as end:
            errors = said.getvalue().rsplit("error: ", 1)[-1].strip()
            return f"told: {errors}" if end.code == 1 and "\n" not in errors else f"MANY LINES: {errors}"
        except Exception as error:
            return f"TRACEBACK {type(error).__name__}: {error}"
    return "SILENT"


def damages(file: Path) -> dict[str, Damage]:
    found = {**ANY, **SPECIAL.get(file.name, {})}
    if file.name == "done.json":  # other settings in it mean that the folder is made anew, and no stamp, no model
        del found["a byte"]
        if file.parent.name.startswith("scl"):
            del found["missing"]
    if file.name == "captions.jsonl":  # made anew by the program that reads it
        del found["missing"]
    return found


def check(run: Path, file: Path, maker: str, damage: Damage) -> list[str]:
    """What is wrong with how a damage is met by the program that made the file and by the one that reads it last."""
    reader = "caption" if "captions" in str(file.relative_to(run)) else "score"
    original, wrong = file.read_bytes(), damage(file.read_bytes())
    kept = file.resolve()
    aside = kept.with_name(f"{kept.name}.kept")
    kept.rename(aside)
    if wrong is not None:
        kept.write_bytes(wrong)
    found = {name: told(name, run) for name in ([reader] if wrong is None else dict.fromkeys((reader, maker)))}
    problems = [f"{name}: {what}" for name, what in found.items() if not what.startswith("told")]
    if wrong is not None and (not kept.exists() or kept.read_bytes() != wrong):
        problems.append("CHANGED")
    kept.unlink(missing_ok=True)
    aside.rename(kept)
    assert file.read_bytes() == original
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("reference", type=Path)
    parser.add_argument("--every", type=int, default=1, help="try every n-th damage only")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    run = args.reference.resolve().with_name("damaged")
    cases = [(*case, name) for case in artefacts(args.reference.resolve()) for name in damages(case[0])]
    counts: Counter = Counter()
    for original, maker, name in cases[:: args.every]:
        if not run.exists():
            shutil.copytree(args.reference, run, symlinks=True)
        file = run / original.relative_to(args.reference.resolve())
        problems = check(run, file, maker, damages(file)[name])
        counts["told" if not problems else "not told"] += 1
        if problems:
            print(f"{file.relative_to(run)}, {name}: {'; '.join(problems)}", flush=True)
            shutil.rmtree(run)  # what went on may have written
    print(", ".join(f"{key} {count}" for key, count in counts.items()))
    sys.exit(counts.keys() != {"told"})


if __name__ == "__main__":
    main()
