"""Batches of scenes. A scene and its permutations always travel together, so no sampler and no gather can
part a scene from its hard negatives."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from torch.utils.data import DataLoader, Dataset

from spclap.data.pack import ClipPack
from spclap.scene.augment import Augmentation
from spclap.scene.caption import scene_caption
from spclap.scene.corpus import Corpus
from spclap.scene.directions import DIRECTIONS
from spclap.scene.meaning import caption_width, statements
from spclap.scene.rooms import RirBank
from spclap.scene.scene import Scene
from spclap.scene.spatialize import dry_parts

Batch = tuple[list[str], dict]
Permuted = tuple[Scene, list[tuple[int, ...]]]  # a scene and the permutations of it that a batch holds


def collate(items: Sequence[Permuted], pack: ClipPack, bank: RirBank, samples: int, width: int | None = None) -> Batch:
    """Scene ids and a batch of N items, one per permutation of each scene.

    Batch: dry (K, T), rirs (K, 2, taps), pairs (N, S, 2) for `spatialize`; captions, list of N; said and true, see
    `statements`, which `width` is for; clips, azimuths and clauses, lists of N tuples, one entry a source; a clause is
    what is said of it and the index of its direction. Ranks that gather batches give all the same `width`.
    """
    dry, rirs, pairs = dry_parts(items, pack, bank, samples)
    flat = [(scene, permutation) for scene, permutations in items for permutation in permutations]
    said, true = statements(flat, width or caption_width(scene for scene, _ in items))
    batch = {
        "dry": dry,
        "rirs": rirs,
        "pairs": pairs,
        "captions": [scene_caption(scene, permutation) for scene, permutation in flat],
        "said": said,
        "true": true,
        "clips": [tuple(scene.sources[clip].clip for clip in p) for scene, p in flat],
        "clauses": [
            tuple(
                (s.sources[clip].caption, DIRECTIONS.index(s.sources[place].direction)) for place, clip in enumerate(p)
            )
            for s, p in flat
        ],
        "azimuths": [tuple(source.azimuth for source in scene.sources) for scene, _ in flat],
    }
    return [scene.id for scene, _ in flat], batch


def moved(batch: dict, device: torch.device) -> dict:
    """A batch with its tensors on a device."""
    return {key: value.to(device) if torch.is_tensor(value) else value for key, value in batch.items()}


def as_they_are(scenes: Sequence[Scene]) -> list[Permuted]:
    """Scenes with their true permutation alone."""
    return [(scene, [tuple(range(scene.size))]) for scene in scenes]


class FreshScenes(Dataset):
    """Training batches of one epoch: item `step` is this rank's share of a batch that never was before.

    Scene i of step t in epoch e depends on (seed, e, t, i) alone, so ranks, workers and a resumed run agree. Unless
    `fresh`, all epochs have the scenes of the first.
    """

    def __init__(
        self, corpus: Corpus, batch: dict[int, int], permutations: int, steps: int, seed: int, rank: int = 0,
        world: int = 1, augmentation: Augmentation | None = None, fresh: bool = True,
    ):  # fmt: skip
        self.sampler, self.pack, self.bank = corpus.sampler("train"), corpus.pack("train"), corpus.bank("train")
        self.sizes = [n_sources for n_sources, count in sorted(batch.items()) for _ in range(count)]
        self.samples, self.permutations, self.steps, self.seed = corpus.samples, permutations, steps, seed
        self.rank, self.world, self.epoch, self.fresh = rank, world, 0, fresh
        self.augmentation = augmentation or Augmentation()

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        items, epoch = [], self.epoch if self.fresh else 0
        for index in range(self.rank, len(self.sizes), self.world):
            rng = np.random.default_rng([self.seed, epoch, step, index])
            scene = self.sampler.draw(rng, self.sizes[index], f"train-{epoch}-{step}-{index}")
            scene = self.augmentation.draw(scene, rng)
            items.append((scene, scene.draw_permutations(self.permutations, rng)))
        return collate(items, self.pack, self.bank, self.samples, self.sampler.width)


class FixedScenes(Dataset):
    """The fixed scenes of a split in order, `size` a batch, without permutations.

    Batches carry `content` (N, dim) too, when stage 2 dumped the features of `frozen`, a content encoder's name.
    """

    def __init__(self, corpus: Corpus, split: str, n_sources: Sequence[int], size: int, frozen: str | None = None):
        self.pack, self.bank, self.samples = corpus.pack(split), corpus.bank(split), corpus.samples
        self.batches: list[tuple[list[Scene], dict]] = []
        for n in n_sources:
            scenes, content = corpus.fixed(split, n), corpus.content(split, n, frozen)
            for part in (slice(first, first + size) for first in range(0, len(scenes), size)):
                known = {} if content is None else {"content": torch.from_numpy(content[part])}
                self.batches.append((scenes[part], known))

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        scenes, known = self.batches[index]
        ids, batch = collate(as_they_are(scenes), self.pack, self.bank, self.samples)
        return ids, {**batch, **known, "scenes": scenes}


class SceneIterFactory(AbsIterFactory):
    """ESPnet's view of the two datasets above; the epoch seeds the fresh one."""

    def __init__(self, dataset: Dataset, num_workers: int = 0):
        self.dataset, self.num_workers = dataset, num_workers

    def build_iter(self, epoch: int, shuffle: bool | None = None) -> Iterator[Batch]:
        self.dataset.epoch = epoch
        return DataLoader(self.dataset, batch_size=None, shuffle=False, num_workers=self.num_workers)
