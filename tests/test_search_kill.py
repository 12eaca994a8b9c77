"""An index killed by SIGKILL at every step that changes a file, and made whole by a rerun."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from programs import ROOT
from small_clap import small_conf

from spclap.model.checkpoints import save_model
from spclap.model.spatial_clap import SpatialClap
from spclap.search.shards import Shards

RATE = 16000
DIM = 16
# Makes an index in `out`/straight; then, for every number of steps, one that kills itself after as many and a rerun,
# in processes of their own. A step is a file that gets its name or is removed.
PROGRAM = """
import os, signal, sys
import torch
from pathlib import Path
from spclap.search import build, shards, update
from spclap.inference import SpatialCLAP

torch.set_num_threads(1)  # threads of OpenMP do not outlive a fork
library, folder, out = map(Path, sys.argv[1:])
model = SpatialCLAP.from_pretrained(folder)
build.SHARD, shards.FEW = 2, 2
replace, unlink, left = os.replace, Path.unlink, [0]

def step(work):
    def counted(*args, **options):
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left[0] -= 1
        return work(*args, **options)
    return counted

os.replace, Path.unlink = step(replace), step(unlink)

def run(name, steps):
    if (child := os.fork()) == 0:
        left[0] = steps
        heard = update(out / name, library, model).heard
        os._exit(heard)
    return os.waitpid(child, 0)[1]

print(os.waitstatus_to_exitcode(run("straight", 10**6)))
for steps in range(1000):
    ended = os.waitstatus_to_exitcode(run(str(steps), steps))
    if ended >= 0:
        break
    assert ended == -signal.SIGKILL
    print(steps, os.waitstatus_to_exitcode(run(str(steps), 10**6)))
"""


def rows(folder: Path) -> dict[bytes, tuple]:
    """Content -> its vectors and spans."""
    shards = Shards(folder, DIM)
    vectors, spans = (torch.cat([getattr(part, key) for part in shards.parts]) for key in ("vectors", "spans"))
    return {
        content: (vectors[first:last].float().numpy(), spans[first:last].numpy())
        for content, (first, last) in shards.contents.items()
    }


@pytest.mark.slow
def test_a_kill_at_any_step_loses_nothing_that_was_kept(tmp_path):
    library, count = tmp_path / "library", 9
    library.mkdir()
    for seed in range(count):
        left = 0.1 * np.random.default_rng(seed).standard_normal(round((0.4 + 0.3 * seed) * RATE))
        soundfile.write(library / f"{seed}.wav", np.stack([left, np.roll(left, 3)], axis=1), RATE)
    conf = small_conf(tmp_path / "text")
    torch.manual_seed(0)
    save_model(SpatialClap(**conf), conf, tmp_path / "model", scene_seconds=1.0, arrays=["pair:0.17"])
    words = [sys.executable, "-c", PROGRAM, library, tmp_path / "model", tmp_path / "out"]
    ended = subprocess.run(
        list(map(str, words)), env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600
    )
    assert ended.returncode == 0, ended.stderr
    first, *killed = ended.stdout.splitlines()
    expected, reheard = rows(tmp_path / "out" / "straight"), []
    assert first == str(count) and len(expected) == count and len(killed) > 15
    for steps, heard in (map(int, line.split()) for line in killed):
        found = rows(tmp_path / "out" / str(steps))
        assert found.keys() == expected.keys(), steps
        for content, parts in expected.items():
            for one, other in zip(parts, found[content], strict=True):
                np.testing.assert_allclose(one, other, atol=2e-3)
        files = sorted(path.name for path in (tmp_path / "out" / str(steps)).iterdir())
        assert all(name == "index.json" or name.endswith(".safetensors") for name in files), files
        reheard.append(heard)
    assert reheard == sorted(reheard, reverse=True) and reheard[0] == count and reheard[-1] == 0
    assert len(set(reheard)) > 3  # what was in a shard is not heard again
