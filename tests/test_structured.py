"""The paper's Structured baseline."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spclap.engine.batches import Batch
from spclap.engine.clap import StructuredTraining
from spclap.errors import DataError
from spclap.scene.meaning import statements
from spclap.scene.scene import Scene, Source
from spclap.space.directions import DIRECTIONS


def scene(what: str, where: int) -> Scene:
    return Scene("s", "r", (Source(what, what, (what,), 0, DIRECTIONS[where], 0.0, 0.0, 0.0),))


class Ears(torch.nn.Module):
    """As much of a SpatialClap as a loss needs."""

    dim = 4

    def __init__(self):
        super().__init__()
        self.text_encoder = torch.nn.Identity()
        self.text_encoder.dim = 4

    def scale(self) -> torch.Tensor:
        return torch.tensor(3.0)


def test_structured_loss_against_a_loop():
    """Table 1's Structured: content halves are contrasted over contents, the others over directions."""
    torch.manual_seed(0)
    audio, text = torch.randn(2, 4, 4).unbind()
    what, where = [1, 2, 1, 3], [0, 0, 3, 3]
    items = [(scene(str(name), place), (0,)) for name, place in zip(what, where, strict=True)]
    batch = Batch(items, *statements(items, 1))
    loss = StructuredTraining(Ears()).contrast(audio, text, batch)
    expected = 0.0
    for half, meaning in ((slice(0, 2), what), (slice(2, 4), where)):
        for first, second in ((audio, text), (text, audio)):
            for i in range(4):
                cosine = [
                    float(torch.nn.functional.cosine_similarity(first[i, half], second[j, half], dim=0))
                    for j in range(4)
                ]
                others = [j for j in range(4) if j == i or meaning[j] != meaning[i]]
                expected += (np.log(sum(np.exp(3 * cosine[j]) for j in others)) - 3 * cosine[i]) / 8
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    (first,), (second,) = (items[k][0].sources for k in (0, 2))
    two = replace(batch, items=[(Scene("s", "r", (first, second)), (0, 1))] * 4)
    with pytest.raises(DataError, match=r"batch must be \{1"):
        StructuredTraining(Ears()).contrast(audio, text, two)
