"""What a simulated recording is made of: clips at places in one room."""

import itertools
import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from spclap.data.files import atomic_write_text
from spclap.errors import DataError
from spclap.scene.recorder import Recorder
from spclap.space.wording import TEMPLATE, Wording
from spclap.space.words import Phrasing


@dataclass(frozen=True)
class Source:
    """A clip at a place.

    `start` in [0, 1) says where in the clip the window begins (see `dry_window`), `gain_db` is relative to the other
    sources, `rir` is the row of the split's RIR bank. It sounds all the time, repeated if need be, or once, within a
    `share` of the scene, beginning at `onset` in [0, 1] of what is left of the scene. `speed` and `eq_db` (see
    augment.py) change the dry clip. `captions` are all that its clip has, `caption` the one of them that the scene's
    caption says.
    """

    clip: str
    caption: str
    labels: tuple[str, ...]
    rir: int
    direction: str
    azimuth: float
    start: float
    gain_db: float
    speed: float = 1.0
    eq_db: tuple[float, ...] = ()
    captions: tuple[str, ...] = ()
    share: float | None = None
    onset: float = 0.0

    @property
    def every_caption(self) -> tuple[str, ...]:
        """All captions of its clip, its own in the scene first."""
        return tuple(dict.fromkeys((self.caption, *self.captions)))


@dataclass(frozen=True)
class Scene:
    """1..K sources in one room. Rendering a scene twice gives identical samples.

    A `mirrored` scene is heard with the channels of its RIRs exchanged; its sources say where that puts them.
    `recorder` says what the recording holds beside the sources; `wording` is that of its caption, and no part of it.
    """

    id: str
    room: str
    sources: tuple[Source, ...]
    mirrored: bool = False
    recorder: Recorder | None = None
    wording: Wording = TEMPLATE

    @property
    def size(self) -> int:
        return len(self.sources)

    @property
    def recording(self) -> dict:
        """All that it sounds like, for JSON."""
        return {key: value for key, value in asdict(self).items() if key != "wording"}

    def said_anew(self, rng: np.random.Generator, phrasing: Phrasing) -> "Scene":
        """The same recording with a drawn caption of each clip, and drawn wording, in its caption."""
        drawn = (rng.integers(len(source.every_caption)) for source in self.sources)
        sources = (replace(s, caption=s.every_caption[i]) for s, i in zip(self.sources, drawn, strict=True))
        return replace(self, sources=tuple(sources), wording=phrasing.draw(rng, self.size))

    def permutations(self) -> list[tuple[int, ...]]:
        """Assignments of clips to places: entry k of a permutation is the clip heard at place k.

        The identity comes first (permutation 0 is the true one); the others are the hard negatives of spatial
        contrastive learning (SCL). Their number depends on the size alone, so ranks have equal shares. One whose
        caption is true all the same (see meaning.py) is no negative in the loss.
        """
        return list(itertools.permutations(range(self.size)))

    def draw_permutations(self, limit: int, rng: np.random.Generator) -> list[tuple[int, ...]]:
        """All permutations if there are no more than `limit`, else the true one and drawn derangements (no clip at
        its own place), or other permutations where these are too few."""
        every = self.permutations()
        if len(every) <= limit:
            return every
        others = [every[1 + index] for index in rng.permutation(len(every) - 1)]
        others.sort(key=lambda p: any(clip == place for place, clip in enumerate(p)))  # stable: derangements first
        return [every[0], *others[: limit - 1]]


def write_scenes(path: Path, scenes: list[Scene]) -> None:
    """One JSON object a line, written atomically."""
    atomic_write_text(path, "".join(json.dumps(scene.recording) + "\n" for scene in scenes))


def _source(item: dict) -> Source:
    """A source from its JSON object, whose lists are tuples here."""
    return Source(**{key: tuple(value) if isinstance(value, list) else value for key, value in item.items()})


def read_scenes(path: Path) -> list[Scene]:
    """Read what `write_scenes` wrote; DataError with file and line for anything else."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: missing; run stage 1 (simulate) first")
    scenes = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            item = json.loads(line)
            sources = tuple(_source(source) for source in item["sources"])
            recorder = Recorder(**item["recorder"]) if item.get("recorder") else None
            scenes.append(Scene(item["id"], item["room"], sources, item.get("mirrored", False), recorder))
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise DataError(f"{path}:{number}: not a scene ({error}); delete the file and rerun stage 1") from error
    if not scenes:
        raise DataError(f"{path}: no scenes; delete the file and rerun stage 1")
    return scenes
