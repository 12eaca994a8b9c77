"""What programs read: clips, RIRs and scenes of one corpus."""

import math
from collections.abc import Collection
from functools import cached_property
from pathlib import Path

from spclap.data.config import load_config
from spclap.data.datadir import SPLITS, Clip, load_datadir
from spclap.data.pack import ClipPack
from spclap.errors import DataError
from spclap.scene.bank import RirBank
from spclap.scene.conf import CLEAN, FeatsConf, SimuConf
from spclap.scene.sampler import SceneSampler
from spclap.scene.scene import Scene, read_scenes
from spclap.space.array import SAMPLE_RATE
from spclap.space.directions import direction_of


class Corpus:
    """data/<corpus> and dump/<corpus>, opened on demand."""

    def __init__(self, data: Path, dump: Path):
        self.data, self.dump = Path(data), Path(dump)
        if not (self.data / "simu.yaml").is_file():
            raise DataError(f"{self.data / 'simu.yaml'}: missing; run stage 1 (simulate) first")

    @cached_property
    def simu(self) -> SimuConf:
        return load_config(SimuConf, self.data / "simu.yaml")

    @cached_property
    def feats(self) -> FeatsConf:
        if not (self.dump / "feats.yaml").is_file():
            raise DataError(f"{self.dump / 'feats.yaml'}: missing; run stage 2 (pack) first")
        return load_config(FeatsConf, self.dump / "feats.yaml")

    @property
    def samples(self) -> int:
        """Length of a scene in samples."""
        return round(self.simu.scenes.seconds * SAMPLE_RATE)

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

    def sampler(self, split: str, settings: Collection[str] = (), sounds: Collection[str] = ()) -> SceneSampler:
        """Draws scenes in rooms of these settings, in those of the fixed scenes if none is named, and with these
        sounds, CLEAN if none is named."""
        clips, rooms = load_datadir(self.data / split), settings or [self.simu.scenes.rooms]
        return SceneSampler(clips, self.bank(split), self.simu.sounding(sounds), rooms)

    def fixed(self, split: str, n_sources: int, sounds: str = CLEAN) -> list[Scene]:
        """Fixed scenes of a split; DataError unless they are of its clips and rooms, as many as stage 1 wrote."""
        path = scenes_path(self.data, split, n_sources, sounds)
        scenes, wanted = read_scenes(path), self.simu.scenes.fixed[sounds].get(split, {}).get(n_sources)
        if len(scenes) != wanted or any(scene.size != n_sources for scene in scenes):
            raise DataError(f"{path}: not {wanted} scenes of {n_sources} source(s), as simu.yaml says; {_AGAIN}")
        bank, clips = self.bank(split), {clip.id: clip for clip in load_datadir(self.data / split)}
        for number, scene in enumerate(scenes, 1):
            if problem := misfit(scene, bank, clips):
                raise DataError(f"{path}:{number}: {problem}; {_AGAIN}")
        return scenes

    def fixed_counts(self, split: str, sounds: str = CLEAN) -> list[int]:
        """Numbers of sources for which stage 1 wrote fixed scenes."""
        return sorted(self.simu.scenes.fixed.get(sounds, {}).get(split, {}))


def scenes_path(data: Path, split: str, n_sources: int, sounds: str) -> Path:
    """File of fixed scenes."""
    return data / "scenes" / f"{split}_{sounds}_{n_sources}src.jsonl"


_AGAIN = "put the file back, or delete it and rerun stage 1"


def misfit(scene: Scene, bank: RirBank, clips: dict[str, Clip]) -> str:
    """What a scene says that its bank of RIRs and the clips of its split do not, or nothing."""
    for source in scene.sources:
        if not 0 <= source.rir < len(bank.rirs):
            return f"RIR {source.rir} of {len(bank.rirs)}"
        room, azimuth, direction = (bank.table.at[source.rir, key] for key in ("room", "azimuth", "direction"))
        if scene.mirrored:
            azimuth, direction = -azimuth, direction_of(-azimuth)
        if (scene.room, source.direction) != (room, direction) or abs(source.azimuth - azimuth) > 1e-6:
            place = f"{source.azimuth} degrees {source.direction} in {scene.room}"
            return f"source at {place}, but RIR {source.rir} is at {azimuth} degrees {direction} in {room}"
        if (clip := clips.get(source.clip)) is None:
            return f"no clip `{source.clip}` in this split"
        if source.caption not in clip.captions or source.labels != clip.labels:
            return f"`{source.caption}` {source.labels} is not what is said of clip `{source.clip}`"
        if not (0 <= source.start < 1 and math.isfinite(source.gain_db)):
            return f"start {source.start}, gain {source.gain_db} dB of `{source.clip}`"
    return ""
