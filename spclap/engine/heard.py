"""What frozen encoders hear of scenes, made once and kept in dump/<corpus>/heard/ for all models that share them.

Training then takes its batches from a pool of scenes with all their permutations: an item is what `SpatialClap.hear`
gives, 10 KB with the default model, in place of a recording of 256 KB through two encoders.
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch.utils.data import Dataset

from spclap.data.progress import progress
from spclap.data.stamp import digest, made_once
from spclap.engine.batches import AT_ONCE, Batch, FixedScenes, FreshScenes, as_they_are, collate
from spclap.errors import DataError
from spclap.evaluate.embedder import OfClap
from spclap.evaluate.frozen import FixedSet, SceneSet
from spclap.model.spatial_clap import SpatialClap
from spclap.scene.corpus import Corpus
from spclap.scene.meaning import caption_width, statements
from spclap.scene.scene import Scene


@dataclass(frozen=True)
class Heard:
    """Scenes, the permutations of each that were heard, and arrays (scenes * permutations, ...) of what was."""

    scenes: list[Scene]
    permutations: list[tuple[int, ...]]
    arrays: list[np.ndarray]

    def rows(self, wanted: Sequence[int] | slice) -> list[torch.Tensor]:
        """Float tensors of these rows."""
        return [torch.from_numpy(np.array(array[wanted], dtype=np.float32)) for array in self.arrays]


class Hearing:
    """The frozen encoders of `clap` and what they have heard of a corpus; `bfloat16`, whether they may hear training
    scenes in that."""

    def __init__(self, clap: SpatialClap, corpus: Corpus, bfloat16: bool = False):
        self.clap, self.corpus, self.bfloat16 = clap, corpus, bfloat16
        self.folder = corpus.dump / "heard" / self._digest()

    def _digest(self) -> str:
        """Of all that `clap.hear` depends on."""
        total = hashlib.sha256(json.dumps(self.clap.hears, sort_keys=True).encode())
        for part in self.clap.hearing:
            for name, value in part.state_dict().items():
                total.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
        return total.hexdigest()[:16]

    def fixed(self, split: str, n_sources: int, sounds: str) -> Heard:
        """The fixed scenes of a split as they are, in float32."""
        scenes = self.corpus.fixed(split, n_sources, sounds)
        name, itself = f"{split}_{sounds}_{n_sources}src", as_they_are(scenes[:1])[0][1]
        return self._kept(name, split, scenes, itself, [self.corpus.samples] * len(scenes), "float32")

    def pool(self, fresh: FreshScenes, n_sources: int) -> Heard:
        """Training scenes with all their permutations, in half precision."""
        count = fresh.pool[n_sources]
        scenes = [fresh.draw([n_sources, i], n_sources, f"pool-{n_sources}-{i}")[0] for i in range(count)]
        name = f"train_seed{fresh.seed}_{n_sources}src"
        samples = [fresh.samples(n_sources, i) for i in range(count)]
        return self._kept(name, "train", scenes, scenes[0].permutations(), samples, "float16")

    def _kept(
        self, name: str, split: str, scenes: list[Scene], permutations: list, samples: list[int], dtype: str
    ) -> Heard:  # fmt: skip
        told = hashlib.sha256(json.dumps([scene.recording for scene in scenes]).encode()).hexdigest()
        sounds = digest(self.corpus.dump / "clips" / "done.json", self.corpus.data / "rirs" / split / "done.json")
        half = self.bfloat16 and split == "train"

        def make() -> dict[str, bytes]:
            arrays = self._hear(split, scenes, permutations, samples, dtype, half)
            return {f"{number}.npy": array for number, array in enumerate(arrays)}

        inputs = {"scenes": told, "permutations": permutations, "samples": samples, "sounds": sounds}
        inputs |= {"dtype": dtype, "bfloat16": half}
        made = made_once(self.folder / name, make, **inputs)
        heard = Heard(scenes, permutations, [np.load(made[part], mmap_mode="r") for part in sorted(made)])
        if any(len(array) != len(scenes) * len(permutations) for array in heard.arrays):
            raise DataError(f"{self.folder / name}: not of {len(scenes)} scenes; delete the folder and rerun")
        return heard

    @torch.no_grad()
    def _hear(
        self, split: str, scenes: list[Scene], permutations: list, samples: list[int], dtype: str, half: bool
    ) -> list[bytes]:  # fmt: skip
        """Arrays as files of numpy, one for each tensor of what is heard; scenes of one length are heard together."""
        device, parts, order = self.clap.logit_scale.device, [], []
        pack, bank = self.corpus.pack(split), self.corpus.bank(split)
        training, together = self.clap.training, batched(samples, max(AT_ONCE // len(permutations), 1))
        self.clap.eval()
        for rows in progress(together, desc=f"hearing {split} {scenes[0].size}src"):
            batch = collate([(scenes[row], permutations) for row in rows], pack, bank, samples[rows[0]]).to(device)
            with torch.autocast(device.type, torch.bfloat16, enabled=half):
                heard = self.clap.hear(batch.stereo(), batch.arrays)
            parts.append([part.float().cpu().numpy().astype(dtype) for part in heard])
            order += rows
        self.clap.train(training)
        files, back = [io.BytesIO() for _ in parts[0]], np.argsort(order)
        for file, arrays in zip(files, zip(*parts, strict=True), strict=True):
            found = np.concatenate(arrays)
            np.save(file, found.reshape(len(scenes), -1, *found.shape[1:])[back].reshape(found.shape))
        return [file.getvalue() for file in files]


def batched(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Rows of equal length, at most so many together."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    of_length = (list(rows) for _, rows in groupby(order, key=lengths.__getitem__))
    return [rows[first : first + most] for rows in of_length for first in range(0, len(rows), most)]


class PooledScenes(Dataset):
    """Training batches of one epoch from pools of scenes that were heard before.

    Batch t of epoch e depends on (seed, e, t) alone: of each size as many scenes as `fresh` would draw, none twice,
    each with as many of its permutations, counted from a drawn one, which is as good a scene as the first, and with
    drawn captions of its clips.
    DataError for a pool that is smaller than a batch.
    """

    def __init__(self, fresh: FreshScenes, hearing: Hearing):
        self.fresh, self.epoch = fresh, 0
        for n_sources, count in fresh.batch.items():
            if fresh.pool.get(n_sources, 0) < count:
                raise DataError(
                    f"pool is {fresh.pool}, a batch has {count} scenes of {n_sources} source(s); give as many at "
                    f"least, or {{}} to hear new scenes in every step"
                )
        self.pools = {n: hearing.pool(fresh, n) for n in sorted(fresh.batch)}

    def __len__(self) -> int:
        return len(self.fresh)

    def __getitem__(self, step: int) -> Batch:
        rng, items, heard, number = np.random.default_rng([self.fresh.seed, self.epoch, step]), [], [], 0
        for n_sources, pool in self.pools.items():
            rows, every = [], pool.permutations
            for index in rng.choice(len(pool.scenes), self.fresh.batch[n_sources], replace=False):
                scene, base = self.fresh.said(pool.scenes[index], rng), every[rng.integers(len(every))]
                wanted = scene.draw_permutations(self.fresh.permutations, rng)
                if number % self.fresh.world == self.fresh.rank:
                    chosen = [tuple(base[place] for place in permutation) for permutation in wanted]
                    items += [(scene, permutation) for permutation in chosen]
                    rows += [index * len(every) + every.index(permutation) for permutation in chosen]
                number += 1
            heard.append(pool.rows(rows))
        words = statements(items, self.fresh.sampler.width)
        return Batch(items, *words, heard=tuple(torch.cat(parts) for parts in zip(*heard, strict=True)))


class HeardScenes(Dataset):
    """The batches of `FixedScenes`, heard before."""

    def __init__(self, fixed: FixedScenes, hearing: Hearing):
        self.fixed, self.epoch = fixed, 0
        sizes = sorted({scenes[0].size for scenes in fixed.batches})
        self.heard = {size: hearing.fixed(fixed.split, size, fixed.sounds) for size in sizes}

    def __len__(self) -> int:
        return len(self.fixed)

    def __getitem__(self, index: int) -> Batch:
        scenes = self.fixed.batches[index]
        first = sum(len(part) for part in self.fixed.batches[:index] if part[0].size == scenes[0].size)
        items = [(scene, tuple(range(scene.size))) for scene in scenes]
        heard = self.heard[scenes[0].size].rows(slice(first, first + len(scenes)))
        return Batch(items, *statements(items, caption_width(scenes)), heard=tuple(heard))


class Hearer(OfClap):
    """The model of a training as an embedder that keeps what it hears of the fixed scenes of a corpus, if it hears them
    the same for ever."""

    def __init__(self, clap: SpatialClap, corpus: Corpus):
        super().__init__(clap)
        self.hearing = Hearing(clap, corpus)

    @torch.no_grad()
    def heard(self, sounds: SceneSet) -> np.ndarray | None:
        """(n, dim) of a set of fixed scenes as it is, None for other sets."""
        if not (isinstance(sounds, FixedSet) and self.clap.hears_once):
            return None
        heard, device = self.hearing.fixed("test", sounds.scenes[0].size, sounds.sounds), self.clap.logit_scale.device
        parts = (slice(first, first + AT_ONCE) for first in range(0, len(heard.scenes), AT_ONCE))
        return np.concatenate([self.clap.join([x.to(device) for x in heard.rows(rows)]).cpu() for rows in parts])
