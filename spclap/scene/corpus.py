"""What programs read: clips, RIRs and scenes of one corpus."""

import json
from functools import cached_property
from pathlib import Path

import numpy as np

from spclap.data.config import load_config
from spclap.data.datadir import SPLITS, load_datadir
from spclap.data.pack import ClipPack
from spclap.errors import DataError
from spclap.scene.conf import SimuConf
from spclap.scene.rooms import RirBank
from spclap.scene.sampler import SceneSampler
from spclap.scene.scene import Scene, read_scenes


class Corpus:
    """data/<corpus> and dump/<corpus>, opened on demand."""

    def __init__(self, data: Path, dump: Path):
        self.data, self.dump = Path(data), Path(dump)
        if not (self.data / "simu.yaml").is_file():
            raise DataError(f"{self.data / 'simu.yaml'}: missing; run stage 1 (simulate) first")

    @cached_property
    def simu(self) -> SimuConf:
        return load_config(SimuConf, self.data / "simu.yaml")

    @property
    def samples(self) -> int:
        """Length of a scene in samples."""
        return round(self.simu.scenes.seconds * self.simu.sample_rate)

    @cached_property
    def events(self) -> dict[str, tuple[str, ...]]:
        """Clip -> sound events in it, of all splits."""
        return {clip.id: clip.events for split in SPLITS for clip in load_datadir(self.data / split)}

    def recordings(self, scenes: list[Scene]) -> list[tuple[str, ...]]:
        """What each scene was made of: original recordings, of which several clips may have been cut."""
        return [tuple(self._sources[source.clip] for source in scene.sources) for scene in scenes]

    @cached_property
    def _sources(self) -> dict[str, str]:
        return {clip.id: clip.source for split in SPLITS for clip in load_datadir(self.data / split)}

    @cached_property
    def classes(self) -> list[str]:
        """SELD classes: the events of the training clips."""
        return sorted({event for clip in load_datadir(self.data / "train") for event in clip.events})

    def pack(self, split: str) -> ClipPack:
        return ClipPack(self.dump / "clips" / split)

    def bank(self, split: str) -> RirBank:
        return RirBank(self.data / "rirs" / split)

    def sampler(self, split: str) -> SceneSampler:
        return SceneSampler(load_datadir(self.data / split), self.bank(split), self.simu.scenes)

    def fixed(self, split: str, n_sources: int) -> list[Scene]:
        return read_scenes(self.data / "scenes" / f"{split}_{n_sources}src.jsonl")

    def fixed_counts(self, split: str) -> list[int]:
        """Numbers of sources for which stage 1 wrote fixed scenes."""
        return sorted(self.simu.scenes.fixed.get(split, {}))

    def content_path(self, split: str, n_sources: int) -> Path:
        """Frozen content features of a fixed set, written by stage 2."""
        return self.dump / "content" / f"{split}_{n_sources}src.npy"

    def content(self, split: str, n_sources: int, encoder: str | None) -> np.ndarray | None:
        """(scenes, dim) features of a fixed set; None where stage 2 dumped none of that encoder."""
        dumped = json.loads((self.dump / "done.json").read_text())["conf"]["content_encoder"]
        return None if encoder is None or encoder != dumped else np.load(self.content_path(split, n_sources))
