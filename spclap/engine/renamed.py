"""Scenes that nobody recorded: what was heard of a batch, changed into other classes of the content encoder and told by
their names. From them audio and text learn words for all of these classes, whatever kinds the clips are of."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from spclap.engine.batches import Batch
from spclap.errors import DataError
from spclap.model.class_scores import ClassScores
from spclap.scene.meaning import statements
from spclap.space.directions import DIRECTIONS

STRENGTH = (1.0, 5.0)  # deviations above its average that the score of a new class has
FORMS = ("{}", "the sound of {}")


def said(name: str) -> list[str]:
    """Words for a class: `Baby cry, infant cry` has two, `Whimper (dog)` one."""
    return [part.strip().lower() for part in re.sub(r"\(.*?\)", "", name).split(",") if part.strip()]


class Renaming:
    """Args: scores, of the model that is trained; names of their classes."""

    def __init__(self, scores: ClassScores | None, names: Sequence[str]):
        if scores is None:
            raise DataError("names_weight is above 0, but fusion_conf has no `classes: true`, which it needs")
        self.scores, self.words = scores, [said(name) for name in names]

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Batch:
        """One item of each scene of a batch that was heard, drawn by what its captions say."""
        rng = np.random.default_rng(zlib.crc32("".join(batch.captions).encode()))
        first = {scene.id: row for row, (scene, _) in reversed(list(enumerate(batch.items)))}
        rows, items = sorted(first.values()), []
        content, share = (part[rows].clone() for part in batch.heard)
        places = [
            (item, DIRECTIONS.index(source.direction))
            for item, row in enumerate(rows)
            for source in batch.items[row][0].sources
        ]
        drawn = rng.choice(len(self.words), size=len(places))
        classes, strength = torch.from_numpy(drawn), torch.from_numpy(rng.uniform(*STRENGTH, len(places))).float()
        at = tuple(torch.tensor(places).T)
        content[at] = self.scores.changed(content[at].float(), *(x.to(content.device) for x in (classes, strength)))
        left = iter(drawn)
        for row in rows:
            scene = batch.items[row][0]
            sources = tuple(self._called(source, int(next(left)), rng) for source in scene.sources)
            items.append((replace(scene, sources=sources), tuple(range(scene.size))))
        words = (part.to(content.device) for part in statements(items, 1))
        return Batch(items, *words, heard=(content, share))

    def _called(self, source, number: int, rng: np.random.Generator):
        """A source whose sound is of a class."""
        words = self.words[number]
        caption = FORMS[rng.integers(len(FORMS))].format(words[rng.integers(len(words))])
        return replace(source, caption=caption, captions=(caption,), labels=(f"class {number}",))
