"""The recipe from the shell: stages, reruns, and input that must be refused."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from spclap.data.pack import ClipPack

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow  # what is shared here alone takes a minute


def run(*arguments, check: bool = True) -> subprocess.CompletedProcess:
    result = subprocess.run(
        [
            "bash",
            str(ROOT / "run.sh"),
            "--corpus",
            "synth",
            "--conf_overlay",
            str(ROOT / "tests/tiny_conf"),
            *map(str, arguments),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "SPCLAP_PYTHON": sys.executable},
    )
    assert not check or result.returncode == 0, result.stderr[-2000:]
    return result


def folders(root: Path) -> list:
    return ["--datadir", root / "data", "--dumpdir", root / "dump", "--expdir", root / "exp"]


def times(root: Path) -> dict[Path, int]:
    """Modification times of what stages made; stage 0 may write lists again with the same content."""
    files = [p for p in root.rglob("*") if p.is_file()]
    return {p: p.stat().st_mtime_ns for p in files if p.parent.name not in ("train", "valid", "test", "audio")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The recipe after all stages."""
    root = tmp_path_factory.mktemp("recipe")
    root.joinpath("log").write_text(run(*folders(root)).stdout)
    return root


def test_results_hold_what_a_reader_expects(finished):
    rows = json.loads((finished / "exp" / "results.json").read_text())
    keys = {"corpus", "high", "low", "metric", "n", "seed", "tag", "value"}
    limits = ("ceiling", "direct_sound")  # what could be had, without interval
    assert all(row.keys() == (keys if row["tag"] in limits else keys | {"clips"}) for row in rows)
    metrics = {row["metric"] for row in rows if row["tag"] == "scl"}
    names = [f"r{k}_{way}_{n}src" for k in (1, 5, 10) for way in ("a2t", "t2a") for n in (1, 2, 3)]
    assert metrics >= {*names, "direction_1src", "direction_2src", "assignment_2src", "assignment_3src"}
    assert {row["tag"] for row in rows} == {"single", "multi", "scl", "scl-single", "scl-multi", *limits}
    assert all(row["low"] <= row["value"] <= row["high"] for row in rows)
    assert {row["corpus"] for row in rows} == {"synth"}
    models = finished / "exp" / "synth" / "seed0"
    scores = json.loads((models / "scl" / "scores.json").read_text())
    assert {"protocol", "git", "command", "torch"} <= scores.keys()
    for picture in ("images/training_curves.png", "images/assignment.png", "scl/images/direction_1src.png"):
        assert (models / picture).read_bytes().startswith(b"\x89PNG")
    assert "| scl | 0 |" in (finished / "log").read_text()


def test_complete_stages_do_nothing(finished):
    before = times(finished)
    result = run(*folders(finished), "--stage", 1)
    changed = {path.name for path, time in times(finished).items() if time != before.get(path)}
    assert changed <= {"results.json", "assignment.png", "training_curves.png"}  # of all models together
    assert result.stderr.count("up to date") >= 8 and result.stderr.count("scored before") == 3


def test_an_ablation_is_trained_and_scored_alone(finished, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(finished, root)
    before = times(root)
    run(*folders(root), "--stage", 4, "--ablation", "no_clauses")
    rows = {row["tag"]: row for row in json.loads((root / "exp" / "results.json").read_text())}
    assert rows.keys() >= {"scl_no_clauses", "scl_no_clauses-scl", "scl-single"}
    models = root / "exp" / "synth" / "seed0"
    kept = [path for path in before if path.parent.parent == models and path.suffix != ".png"]
    assert kept and all(times(root)[path] == before[path] for path in kept)  # the models that were there
    assert (models / "scl_no_clauses" / "scores.json").is_file()


def test_captioners_are_trained_for_the_models_that_are_there(finished, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(finished, root)
    models = root / "exp" / "synth" / "seed0"
    shutil.rmtree(models / "multi")
    result = run(*folders(root), "--stage", 6, "--stop_stage", 6)
    assert "multi is not trained, so it gets no captioner" in result.stdout + result.stderr
    text = (models / "captions.md").read_text()
    for start in ("| single | 1 |", "| scl | 3 |", "| scl, vectors shuffled | 2 |", "| scl-single | 2 |"):
        assert start in text
    none = run(*folders(root), "--stage", 6, "--stop_stage", 6, "--model", "concat", check=False)
    assert none.returncode == 1 and "no model that could be given a captioner" in none.stderr


def test_models_of_other_scenes_or_weights_are_scored_again(finished, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(finished, root)
    models = root / "exp" / "synth" / "seed0"
    stamp = json.loads((models / "scl" / "done.json").read_text())
    (models / "scl" / "done.json").write_text(json.dumps({**stamp, "seed": 7}))
    scores = json.loads((models / "single" / "scores.json").read_text())
    (models / "single" / "scores.json").write_text(json.dumps({**scores, "scenes": "others"}))
    result = run(*folders(root), "--stage", 5)
    again = [line.split("/")[-1] for line in result.stderr.splitlines() if line.endswith(": scored")]
    assert again == ["single: scored", "scl: scored"]


def test_another_architecture_stands_beside_the_default_one(finished, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(finished, root)
    run(*folders(root), "--stage", 3, "--model", "fixed_masks")
    tags = {row["tag"] for row in json.loads((root / "exp" / "results.json").read_text())}
    assert tags >= {"scl", "fixed_masks_scl", "fixed_masks_single", "scl-single", "scl-fixed_masks_scl"}
    assert not list(root.rglob("*.old1"))  # the models that were there stayed


def test_a_killed_stage_is_made_again(finished, tmp_path):
    root, pack = tmp_path / "copy", Path("dump/clips/test/00000.npy")
    shutil.copytree(finished / "data", root / "data")
    shutil.copytree(finished / "dump", root / "dump", ignore=shutil.ignore_patterns("heard"))
    stamp = root / "dump" / "clips" / "done.json"
    stamp.write_text(json.dumps({**json.loads(stamp.read_text()), "complete": False}))
    for path in (root / pack.parent).iterdir():
        path.unlink()
    run(*folders(root), "--stage", 2, "--stop_stage", 2)
    assert (root / pack).read_bytes() == (finished / pack).read_bytes() and json.loads(stamp.read_text())["complete"]


@pytest.mark.parametrize(("stage", "maker"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3)])
def test_missing_input_names_the_stage_that_makes_it(tmp_path, stage, maker):
    result = run(*folders(tmp_path), "--stage", stage, "--stop_stage", stage, check=False)
    assert result.returncode != 0 and f"stage {maker} makes it" in result.stderr
    assert not list(tmp_path.rglob("*"))


def test_statistics_equal_those_of_librosa(finished):
    import librosa

    from spclap.engine.made import normalise_inputs
    from spclap.model.features import StereoMaps
    from spclap.scene.corpus import Corpus
    from spclap.scene.spatialize import render

    corpus, maps = Corpus(finished / "data", finished / "dump"), []
    for index in range(8):  # tests/tiny_conf/feats.yaml
        rng = np.random.default_rng([corpus.simu.seed, 1, index])
        scene = corpus.sampler("train").draw(rng, 1 + index % 2, "x")
        stereo = render(scene, corpus.pack("train"), corpus.bank("train"), corpus.samples).numpy()
        stereo *= 0.1 / np.sqrt(np.mean(stereo**2))
        left, right = librosa.stft(stereo, n_fft=512, hop_length=256, pad_mode="reflect")
        levels = [np.log(np.abs(x) + 1e-4) for x in (left, right)]
        cross = left * right.conj()
        cross /= np.abs(cross) + 1e-8  # of a silent bin the phase is not known
        maps.append([(levels[0] + levels[1]) / 2, levels[0] - levels[1], cross.real, cross.imag])
    frames = np.concatenate(maps, axis=-1)  # (4, bins, frames)
    inputs = StereoMaps(n_fft=512, hop=256, bins=257)
    normalise_inputs(inputs, corpus)
    np.testing.assert_allclose(inputs.mean[:, 0], frames.mean(axis=-1), atol=2e-3)
    np.testing.assert_allclose(inputs.std[:, 0], frames.std(axis=-1, ddof=1).clip(1e-3), atol=2e-3)


def bad_clip(root: Path, finished: Path, audio: np.ndarray | None, rate: int = 16000) -> Path:
    """A copy of the data after stage 1 with one training clip replaced (None: deleted); returns the clip."""
    shutil.copytree(finished / "data", root / "data", dirs_exist_ok=True)
    path = root / "bad.wav"
    if audio is not None:
        soundfile.write(path, audio, rate, subtype="FLOAT")
    scp = root / "data" / "train" / "wav.scp"
    lines = scp.read_text().splitlines()
    lines[0] = f"{lines[0].split()[0]} {path}"
    scp.write_text("\n".join(lines) + "\n")
    return path


NOISE = np.random.default_rng(0).standard_normal(32000).astype("f") * 0.1


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        (None, 16000, "not found"),
        (NOISE[:0], 16000, "holds no samples"),
        (NOISE[:800], 16000, "0.050 s long"),
        (np.where(np.arange(32000) == 5, np.nan, NOISE), 16000, "NaN"),
        (np.zeros(32000, dtype="f"), 16000, "silent"),
    ],
)
def test_bad_audio_stops_stage_2_and_leaves_nothing_half_written(finished, tmp_path, audio, rate, message):
    path = bad_clip(tmp_path, finished, audio, rate)
    result = run(*folders(tmp_path), "--stage", 2, "--stop_stage", 2, check=False)
    assert result.returncode != 0
    assert str(path) in result.stderr and message in result.stderr and "Traceback" not in result.stderr
    assert not (tmp_path / "dump" / "clips" / "train").exists() or not list(
        (tmp_path / "dump" / "clips").rglob("*.npy")
    )


def test_a_recording_replaced_under_its_name_is_packed_again(finished, tmp_path):
    path = bad_clip(tmp_path, finished, NOISE)
    options = [*folders(tmp_path), "--stage", 2, "--stop_stage", 2]
    run(*options)
    assert "up to date" in run(*options).stderr
    soundfile.write(path, -NOISE, 16000, subtype="FLOAT")
    assert "up to date" not in run(*options).stderr
    pack = ClipPack(tmp_path / "dump" / "clips" / "train")
    np.testing.assert_array_equal(pack.read(pack.ids[0])[:100], -NOISE[:100])


@pytest.mark.parametrize("key", ["resample", "mixdown"])
def test_other_rates_and_channels_only_if_the_config_says_so(finished, tmp_path, key):
    stereo = np.stack([NOISE, NOISE], axis=1)
    path = bad_clip(tmp_path, finished, *((NOISE, 48000) if key == "resample" else (stereo, 16000)))
    overlay = tmp_path / "conf"
    shutil.copytree(ROOT / "tests" / "tiny_conf", overlay)
    with (overlay / "feats.yaml").open("a") as file:
        file.write(f"clips: {{{key}: false}}\n")
    options = [*folders(tmp_path), "--stage", 2, "--stop_stage", 2]
    result = run(*options, "--conf_overlay", overlay, check=False)
    assert result.returncode != 0 and str(path) in result.stderr and f"`{key}: true`" in result.stderr


def test_unread_key_in_a_config_is_refused(finished, tmp_path):
    overlay = tmp_path / "conf"
    shutil.copytree(ROOT / "tests" / "tiny_conf", overlay)
    (overlay / "score.yaml").write_text("pair: []\n")
    result = run(*folders(finished), "--stage", 5, "--conf_overlay", overlay, check=False)
    assert result.returncode != 0 and "`pair`" in result.stderr and "did you mean" in result.stderr
