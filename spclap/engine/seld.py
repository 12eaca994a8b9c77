"""SELD pre-training of the spatial encoder: which class is where."""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from espnet2.utils.nested_dict_action import NestedDictAction
from espnet2.utils.types import str2bool

from spclap.data.progress import progress
from spclap.engine.batches import AT_ONCE, Batch
from spclap.engine.precision import kinds_in_bfloat16
from spclap.engine.scene_model import SceneModel
from spclap.engine.scene_task import SceneTask
from spclap.errors import DataError
from spclap.evaluate.figures import Outcomes
from spclap.evaluate.frozen import SceneSet
from spclap.evaluate.metrics import require_finite
from spclap.evaluate.seld import seld_outcomes
from spclap.model.loss import gather
from spclap.model.seld import Seld, seld_loss
from spclap.model.spatial_clap import build
from spclap.scene.corpus import Corpus

MAX_CLASSES = 1000  # AudioSet has 527


class SeldTraining(SceneModel):
    """`classes_of` are the classes of each clip."""

    def __init__(self, seld: Seld, classes_of: dict[str, tuple[int, ...]], kinds: tuple[str, ...] = ()):
        super().__init__(kinds)
        self.seld, self.classes_of = seld, classes_of

    def targets(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Activity (N, C) and azimuth (N, C) for `seld_loss`; clips without a class are left out.

        With one source every class points at it: whatever it is taken for, that is where it is.
        """
        active = torch.zeros(len(batch), self.seld.classes)
        azimuth = torch.full_like(active, float("nan"))
        for row, (clips, azimuths) in enumerate(zip(batch.clips, batch.azimuths, strict=True)):
            if len(azimuths) == 1:
                azimuth[row] = azimuths[0]
            for clip, angle in zip(clips, azimuths, strict=True):
                for index in self.classes_of.get(clip, ()):
                    azimuth[row, index] = float("nan") if active[row, index] else angle
                    active[row, index] = 1
        return active, azimuth

    def parts(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Event and direction losses of a batch, over all ranks."""
        stereo = self.stereo(batch)
        with self.autocast("maps"):
            activity, vectors = self.seld(stereo)
        targets = (target.to(stereo.device) for target in self.targets(batch))
        return seld_loss(*(gather(x) for x in (activity.float(), vectors.float(), *targets)))

    def losses(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor], int]:
        event, direction = self.parts(batch)
        return event + direction, {"event": event, "direction": direction}, len(batch)

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Mean losses over scenes; `score` is minus their sum."""
        losses = []
        for batch in batches:
            losses.append(torch.stack(self.parts(batch.to(self.device))).expand(len(batch), 2))
        event, direction = torch.cat(losses).mean(dim=0).tolist()
        return {"event": event, "direction": direction, "loss": event + direction, "score": -event - direction}

    @torch.no_grad()
    def outcomes(self, sets: Sequence[SceneSet], images: Path) -> Outcomes:
        """Of the azimuth vectors that classes have; directions of up to two sources."""
        out = {}
        for own in sets:
            parts = [slice(first, first + AT_ONCE) for first in range(0, len(own.scenes), AT_ONCE)]
            heard = (torch.from_numpy(own.waves(rows)).to(self.device) for rows in progress(parts, desc=own.name))
            vectors = require_finite(torch.cat([self.seld(stereo)[1].cpu() for stereo in heard]).numpy(), "audio")
            found = seld_outcomes(own.scenes, vectors, self.classes_of)
            asked = {"assignment", "direction"} if own.scenes[0].size < 3 else {"assignment"}
            out |= {f"{name}_{own.name}": values for name, values in found.items() if name in asked}
        return out


class SeldTask(SceneTask):
    """Sound event localization and detection."""

    pretrains = "seld.spatial_encoder"

    @classmethod
    def add_task_arguments(cls, parser: argparse.ArgumentParser) -> None:
        super().add_task_arguments(parser)
        parser.add_argument("--one_class", type=str2bool, default=False, help="learn directions alone, not of what")
        parser.add_argument("--equal_level", type=str2bool, default=True, help="recordings are brought to one level")
        parser.add_argument(
            "--classes", action=NestedDictAction, default={}, help="class -> events in it; empty: each event is one"
        )

    @classmethod
    def new_model(cls, args: argparse.Namespace) -> SeldTraining:
        corpus = Corpus(args.data, args.dump)
        events = corpus.events
        if args.one_class:  # of clips whose events no training clip has, too
            count, classes_of = 1, dict.fromkeys(events, (0,))
        else:
            class_of = seld_classes(corpus.classes, args.classes)
            count = len(set(class_of.values()))
            classes_of = {clip: tuple(sorted({class_of[e] for e in events[clip] if e in class_of})) for clip in events}
        if count > MAX_CLASSES:
            raise DataError(
                f"{args.data}: {count} SELD classes, at most {MAX_CLASSES}: give the clips events that several share "
                f"(utt2event, README.md of the corpus) or group them with `classes` in train/seld.yaml"
            )
        encoder = cls.spatial_encoder(args, "seld")
        seld = build("SELD", Seld, {"classes": count, "equal_level": args.equal_level}, encoder)
        return SeldTraining(seld, classes_of, kinds_in_bfloat16(args))


def seld_classes(labels: list[str], groups: dict[str, list[str]]) -> dict[str, int]:
    """Class index of each label; DataError when groups are given that leave a label out or hold one twice."""
    if not groups:
        return {label: index for index, label in enumerate(labels)}
    class_of = {label: index for index, name in enumerate(sorted(groups)) for label in groups[name]}
    missing, total = sorted(set(labels) - class_of.keys()), sum(map(len, groups.values()))
    if missing or total != len(class_of):
        raise DataError(
            f"SELD `classes` must hold every label once; missing: {', '.join(missing) or 'none, one is twice'}"
        )
    return class_of
