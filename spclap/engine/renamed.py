"""Scenes that nobody recorded: what was heard of a batch, changed into other classes of the content encoder and told by
their names. From them audio and text learn words for all of these classes, whatever kinds the clips are of."""

import re
import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from spclap.engine.batches import Batch
from spclap.errors import DataError
from spclap.model.class_scores import ClassScores
from spclap.model.text_encoder import TextEncoder
from spclap.scene.meaning import statements
from spclap.space.directions import DIRECTIONS

STRENGTH = (2.0, 8.0)  # deviations above its average that the score of a new class has
AT_ONCE = 128  # captions that are read together
FORMS = ("{}", "the sound of {}")


class Names:
    """Words for each class, `words`: `Baby cry, infant cry` has two, `Whimper (dog)` one."""

    def __init__(self, names: Sequence[str]):
        parts = (re.sub(r"\(.*?\)", "", name).split(",") for name in names)
        self.words = [[part.strip().lower() for part in those if part.strip()] for those in parts]

    def captions(self, number: int) -> list[str]:
        """All that a sound of a class may be called."""
        return [form.format(words) for words in self.words[number] for form in FORMS]

    @torch.no_grad()
    def vectors(self, encoder: TextEncoder) -> torch.Tensor:
        """(classes, dim) of unit length, the mean of what `encoder` reads in the captions of each class."""
        rows = [(number, caption) for number in range(len(self.words)) for caption in self.captions(number)]
        parts, training = [rows[first : first + AT_ONCE] for first in range(0, len(rows), AT_ONCE)], encoder.training
        encoder.eval()
        read = torch.cat([encoder(encoder.tokenize([caption for _, caption in part])) for part in parts])
        encoder.train(training)
        owner = torch.tensor([number for number, _ in rows])
        return F.normalize(read.new_zeros(len(self.words), read.shape[1]).index_add(0, owner, F.normalize(read)))


class Renaming:
    """Args: scores, of the model that is trained; names of their classes."""

    def __init__(self, scores: ClassScores | None, names: Names | None):
        if scores is None:
            raise DataError("names_weight is above 0, but fusion_conf has no `classes: true`, which it needs")
        self.scores, self.names = scores, names

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
        drawn = rng.choice(self.scores.count, size=len(places))
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
        captions = self.names.captions(number)
        caption = captions[rng.integers(len(captions))]
        return replace(source, caption=caption, captions=(caption,), labels=(f"class {number}",))
