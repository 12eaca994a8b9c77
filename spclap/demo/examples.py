"""Stereo examples of generated sounds, heard in the open through an array: delays and levels, no room."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
import soundfile
from scipy.fft import irfft, next_fast_len, rfft

from spclap.scene.synthetic import KINDS, render
from spclap.space.array import SAMPLE_RATE, array_of
from spclap.space.directions import center
from spclap.space.wording import TEMPLATE

SECONDS = 3.0
LEAD = 0.002  # s before the first sound: an ear may hear it before the array's middle would
PEAK = 0.5
SAID = {kind.name: kind for kind in KINDS}


@dataclass(frozen=True)
class Example:
    """What is heard through `array`: kinds of `synthetic.KINDS`, the number of the style and the direction of each."""

    name: str
    array: str
    sounds: tuple[tuple[str, int, str], ...]

    @property
    def captions(self) -> list[str]:
        """The true one, then all with the sounds at each other's places."""
        what = [SAID[kind].general[0] for kind, *_ in self.sounds]
        where = [direction for *_, direction in self.sounds]
        return [TEMPLATE.caption(order, where) for order in permutations(what)]


EXAMPLES = (
    Example("a bird left, a drum right", "pair:0.17", (("bird", 1, "left"), ("drum", 1, "right"))),
    Example("a bell left, a bird front-right", "sphere:0.0875", (("bell", 1, "left"), ("bird", 1, "front-right"))),
    Example(
        "a bell left, wind in front, a drum right",
        "ortf",
        (("bell", 1, "left"), ("wind", 1, "front"), ("drum", 1, "right")),
    ),
)


def heard(example: Example) -> np.ndarray:
    """(2, samples) at SAMPLE_RATE, channel 0 left, the same every time."""
    samples = round(SECONDS * SAMPLE_RATE)
    size = next_fast_len(samples + SAMPLE_RATE // 10, real=True)
    frequencies = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    lead, array = np.exp(-2j * np.pi * frequencies * LEAD), array_of(example.array)
    spectrum = np.zeros((2, len(frequencies)), complex)
    for number, (kind, style, direction) in enumerate(example.sounds):
        dry = render(SAID[kind], np.random.default_rng(number), SECONDS, SAMPLE_RATE, style)
        response = array.responses(np.array([center(direction)]), frequencies)[0]
        spectrum += rfft(dry / np.sqrt(np.mean(np.square(dry))), size) * response * lead
    stereo = irfft(spectrum, size)[:, :samples]
    return (PEAK / np.abs(stereo).max() * stereo).astype(np.float32)


def write_examples(folder: Path, examples: Sequence[Example] = EXAMPLES) -> list[Path]:
    """FLAC files of examples, in their order."""
    paths = [folder / f"{example.name.replace(',', '').replace(' ', '_')}.flac" for example in examples]
    for path, example in zip(paths, examples, strict=True):
        soundfile.write(path, heard(example).T, SAMPLE_RATE, subtype="PCM_24")
    return paths
