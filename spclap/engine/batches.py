"""Batches of scenes. A scene and its permutations always travel together, so no sampler and no gather can
part a scene from its hard negatives."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from torch.utils.data import DataLoader, Dataset

from spclap.data.pack import ClipPack
from spclap.scene.augment import Augmentation
from spclap.scene.bank import RirBank
from spclap.scene.caption import scene_caption
from spclap.scene.conf import CLEAN
from spclap.scene.corpus import Corpus
from spclap.scene.meaning import caption_width, statements
from spclap.scene.recorder import Recorder, record
from spclap.scene.scene import Scene
from spclap.scene.spatialize import dry_parts, recorded, spatialize
from spclap.space.array import SAMPLE_RATE, Array
from spclap.space.directions import DIRECTIONS
from spclap.space.words import Phrasing

Item = tuple[Scene, tuple[int, ...]]  # a scene and one of its permutations
AT_ONCE = 32  # scenes that are heard together where nothing is learned
LENGTH_STEP = 0.25  # s, of drawn lengths, so that some scenes have one length and can be heard together
LENGTHS = 1 << 30  # tells the draw of a length from the others of the same key


@dataclass(frozen=True)
class Batch:
    """N items.

    said and true: see `statements`. sound: arguments of `spatialize`, clips (K, T), RIRs (K, 2, taps), pairs (N, S, 2);
    arrays: what hears each item; recorders: by what each was recorded, see `record`. Or heard, in their place: what
    frozen encoders hear of the items, tensors (N, ...).
    """

    items: list[Item]
    said: torch.Tensor
    true: torch.Tensor
    sound: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
    arrays: Sequence[Array] = ()
    recorders: Sequence[tuple[Recorder, Array] | None] = ()
    heard: tuple[torch.Tensor, ...] | None = None

    def to(self, device: torch.device) -> "Batch":
        sound, heard = (x if x is None else tuple(part.to(device) for part in x) for x in (self.sound, self.heard))
        return replace(self, said=self.said.to(device), true=self.true.to(device), sound=sound, heard=heard)

    def __len__(self) -> int:
        return len(self.items)

    def stereo(self) -> torch.Tensor:
        """(N, 2, T) recordings."""
        return record(spatialize(*self.sound), self.recorders)

    @property
    def scenes(self) -> list[Scene]:
        return [scene for scene, _ in self.items]

    @cached_property
    def captions(self) -> list[str]:
        return [scene_caption(scene, permutation) for scene, permutation in self.items]

    @property
    def clips(self) -> list[tuple[str, ...]]:
        """Clip at each place."""
        return [tuple(scene.sources[clip].clip for clip in permutation) for scene, permutation in self.items]

    @property
    def clauses(self) -> list[tuple[tuple[str, int], ...]]:
        """What is said of each place, and the index of its direction."""
        return [
            tuple(
                (scene.sources[clip].caption, DIRECTIONS.index(scene.sources[place].direction))
                for place, clip in enumerate(permutation)
            )
            for scene, permutation in self.items
        ]

    @property
    def told(self) -> list[tuple[tuple[str, int | None], ...]]:
        """What the captions say: `clauses`, but None in place of a direction that is not said."""
        return [
            tuple(
                (what, None if clip in scene.wording.unplaced else where)
                for (what, where), clip in zip(clauses, permutation, strict=True)
            )
            for (scene, permutation), clauses in zip(self.items, self.clauses, strict=True)
        ]

    @property
    def azimuths(self) -> list[tuple[float, ...]]:
        """Degrees, of each place."""
        return [tuple(source.azimuth for source in scene.sources) for scene, _ in self.items]


def collate(
    items: Sequence[tuple[Scene, list[tuple[int, ...]]]], pack: ClipPack, bank: RirBank, samples: int,
    width: int | None = None,
) -> Batch:  # fmt: skip
    """Scenes with the permutations wanted of each -> a batch with their sound.

    Args: width, for `statements`; ranks that gather batches give all the same.
    """
    flat = [(scene, permutation) for scene, permutations in items for permutation in permutations]
    words = statements(flat, width or caption_width(scene for scene, _ in items))
    arrays = [bank.array(scene.room) for scene, _ in flat]
    arrays = [a.mirrored() if scene.mirrored else a for a, (scene, _) in zip(arrays, flat, strict=True)]
    recorders = [recorded(scene, bank) for scene, _ in flat]
    return Batch(flat, *words, sound=dry_parts(items, pack, bank, samples), arrays=arrays, recorders=recorders)


def as_they_are(scenes: Sequence[Scene]) -> list[tuple[Scene, list[tuple[int, ...]]]]:
    """Scenes with their true permutation alone."""
    return [(scene, [tuple(range(scene.size))]) for scene in scenes]


class FreshScenes(Dataset):
    """Training batches of one epoch: item `step` is this rank's share of a batch that never was before.

    Scene i of step t in epoch e depends on (seed, e, t, i) alone, so ranks, workers and a resumed run agree. `pool`
    says how many scenes of a number of sources are drawn once in place of new ones, see `PooledScenes`; `rooms` and
    `sounds`, the settings that they are of; `seconds`, [low, high] of their lengths if they are not those of the fixed
    scenes; `phrasing`, in what words they are said.
    """

    def __init__(
        self, corpus: Corpus, batch: dict[int, int], permutations: int, steps: int, seed: int, rank: int = 0,
        world: int = 1, augmentation: Augmentation | None = None,
        pool: dict[int, int] | None = None, rooms: Sequence[str] = (), sounds: Sequence[str] = (),
        seconds: Sequence[float] = (), phrasing: Phrasing | None = None,
    ):  # fmt: skip
        self.corpus, self.batch = corpus, batch
        self.seconds = tuple(seconds or ()) or (corpus.simu.scenes.seconds,) * 2
        self.sampler = corpus.sampler("train", rooms, sounds)
        self.pack, self.bank = corpus.pack("train"), corpus.bank("train")
        self.permutations, self.steps, self.seed, self.rank, self.world = permutations, steps, seed, rank, world
        self.augmentation, self.epoch, self.pool = augmentation or Augmentation(), 0, pool or {}
        self.phrasing = phrasing or Phrasing()

    def __len__(self) -> int:
        return self.steps

    def draw(self, key: list[int], n_sources: int, name: str) -> tuple[Scene, np.random.Generator]:
        """A scene that depends on seed and key, with the generator that goes on from it."""
        rng = np.random.default_rng([self.seed, *key])
        return self.augmentation.draw(self.sampler.draw(rng, n_sources, name), rng), rng

    def said(self, scene: Scene, rng: np.random.Generator) -> Scene:
        """The same recording with drawn captions and wording."""
        return scene.said_anew(rng, self.phrasing)

    def samples(self, *key: int) -> int:
        """Drawn length of what the key names, in steps of `LENGTH_STEP`."""
        low, high = self.seconds
        drawn = np.random.default_rng([self.seed, *key, LENGTHS]).uniform(low, high)
        return round(min(max(LENGTH_STEP * round(drawn / LENGTH_STEP), low), high) * SAMPLE_RATE)

    def __getitem__(self, step: int) -> Batch:
        sizes, items = [n_sources for n_sources, count in sorted(self.batch.items()) for _ in range(count)], []
        for index in range(self.rank, len(sizes), self.world):
            name = f"train-{self.epoch}-{step}-{index}"
            scene, rng = self.draw([self.epoch, step, index], sizes[index], name)
            scene = self.said(scene, rng)
            items.append((scene, scene.draw_permutations(self.permutations, rng)))
        return collate(items, self.pack, self.bank, self.samples(self.epoch, step), self.sampler.width)


class FixedScenes(Dataset):
    """The fixed scenes of a split in order, `size` a batch, without permutations; `sounds`, the setting that they are
    of."""

    def __init__(self, corpus: Corpus, split: str, counts: Sequence[int], size: int = AT_ONCE, sounds: str = CLEAN):
        self.corpus, self.split, self.sounds, self.epoch = corpus, split, sounds, 0
        self.pack, self.bank, self.batches = corpus.pack(split), corpus.bank(split), []
        for n_sources in counts:
            scenes = corpus.fixed(split, n_sources, sounds)
            self.batches += [scenes[first : first + size] for first in range(0, len(scenes), size)]

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Batch:
        return collate(as_they_are(self.batches[index]), self.pack, self.bank, self.corpus.samples)


class Sealed:
    """A batch that ESPnet hands on as it is: what it knows as a dataclass or list it takes apart, scenes too."""

    def __init__(self, batch: Batch):
        self.batch = batch


class SceneIterFactory(AbsIterFactory):
    """ESPnet's view of the datasets; the epoch seeds those of training."""

    def __init__(self, dataset: Dataset, num_workers: int = 0):
        self.dataset, self.num_workers = dataset, num_workers

    def build_iter(self, epoch: int, shuffle: bool | None = None) -> Iterator[tuple[list[str], dict[str, Sealed]]]:
        self.dataset.epoch = epoch
        for batch in DataLoader(self.dataset, batch_size=None, shuffle=False, num_workers=self.num_workers):
            yield [scene.id for scene in batch.scenes], {"sealed": Sealed(batch)}
