"""Small recordings, rooms and data directories that tests share."""

import importlib
import os
import sys

import numpy as np
import pytest
import soundfile
from programs import ROOT, run
from stage0 import MODULES

from spclap.data.datadir import Clip, write_splits
from spclap.data.pack import ClipPack, write_pack
from spclap.recipe.compose import Recipe
from spclap.scene.bank import RirBank
from spclap.scene.corpus import Corpus
from spclap.scene.rooms import RoomConf, write_bank
from spclap.scene.sampler import SceneSampler
from spclap.scene.sounds import SoundConf

os.environ["HF_HUB_OFFLINE"] = "1"  # read when the hub's library is imported; without it, it tries for half a minute
RATE = 16000
ROOMS = RoomConf(
    count={"train": 3},
    arrays={"pair:0.17": 1},
    places_per_direction=2,
    length=[4.0, 6.0],
    width=[4.0, 6.0],
    height=[2.6, 3.2],
    rt60=[0.15, 0.25],
    mic_height=[1.0, 1.8],
    source_height=[0.8, 2.0],
    distance=[1.0, 1.5],
    wall_margin=0.4,
)


@pytest.fixture(scope="session")
def bank(tmp_path_factory) -> RirBank:
    folder = tmp_path_factory.mktemp("rirs")
    write_bank(folder, "train", {"paper": ROOMS}, 0.256, [7], nj=1)
    return RirBank(folder)


@pytest.fixture(scope="session")
def clips(tmp_path_factory) -> list[Clip]:
    """Twelve clips of four kinds, 0.3 to 2 s of noise."""
    folder, rng, out = tmp_path_factory.mktemp("wav"), np.random.default_rng(1), []
    for index in range(12):
        path = folder / f"clip{index:02d}.wav"
        soundfile.write(path, 0.1 * rng.standard_normal(int(RATE * rng.uniform(0.3, 2.0))), RATE)
        kind = f"kind{index % 4}"
        out.append(Clip(path.stem, str(path), (f"sound {index}", kind), (f"label{index}", kind), path.stem))
    return out


@pytest.fixture(scope="session")
def pack(tmp_path_factory, clips) -> ClipPack:
    folder = tmp_path_factory.mktemp("pack")
    write_pack(folder, ((clip.id, soundfile.read(clip.path, dtype="float32")[0]) for clip in clips))
    return ClipPack(folder)


@pytest.fixture(scope="session")
def sampler(clips, bank) -> SceneSampler:
    return SceneSampler(clips, bank, [SoundConf(level_db=3.0)])


@pytest.fixture(scope="session")
def corpus(tmp_path_factory, clips) -> Corpus:
    """A corpus after stages 0 to 2, as small as can be."""
    root = tmp_path_factory.mktemp("corpus")
    write_splits(root / "data", {"train": clips[:4], "valid": clips[4:8], "test": clips[8:]})
    recipe = Recipe(ROOT / "conf", overlay=ROOT / "tests" / "tiny_conf")
    data, dump = ["--data", root / "data"], ["--dump", root / "dump"]
    for command in (
        ["simulate", *data, "--conf", *recipe.files("simu"), "--nj", "1"],
        ["pack", *data, *dump, "--conf", *recipe.files("feats"), "--nj", "1"],
    ):
        program, *arguments = command
        ended = run(f"spclap.bin.{program}", *arguments)
        assert ended.returncode == 0, ended.stderr
    return Corpus(root / "data", root / "dump")


@pytest.fixture
def stage_zero(monkeypatch):
    """Imports a module of egs/<name>/local as the program itself would."""

    def load(name: str, module: str):
        monkeypatch.syspath_prepend(ROOT / "egs" / name / "local")
        return importlib.import_module(module)

    yield load
    for known in MODULES:
        sys.modules.pop(known, None)
