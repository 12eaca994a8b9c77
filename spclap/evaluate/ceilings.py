"""What could be had on a set of scenes: at best, and by the direct sound alone."""

import numpy as np

from spclap.evaluate.figures import Values
from spclap.scene.bank import RirBank
from spclap.scene.meaning import caption_width, fits, statements
from spclap.scene.scene import Scene
from spclap.space.array import SAMPLE_RATE, match_table
from spclap.space.directions import direction_of

CEILINGS = {
    "ceiling": "who knows the captions of clips and hears every place: all in retrieval, where what is true is right; "
    "in direction and assignment the scenes of which no other permutation's caption is true",
    "direct_sound": "who hears the first 3 ms of each impulse response through an array of which the far-field "
    "responses are known, and nothing else: the scenes whose sources all match best in the sector of their word",
}
DIRECT = 48  # samples from a little before the first sound
LOOKS = tuple(np.arange(-90.0, 91.0))


def ceilings(scenes: list[Scene], bank: RirBank) -> dict[str, Values]:
    """Key of CEILINGS -> metric -> percent of each scene, of scenes of one size."""
    size, unique = scenes[0].size, np.array([100.0 * _unique(scene) for scene in scenes])
    best = {f"r1_{way}_{size}src": np.full(len(scenes), 100.0) for way in ("a2t", "t2a")}
    if size >= 2:
        best[f"assignment_{size}src"] = unique
    if size > 2:
        return {"ceiling": best}
    used = {source.rir: scene.room for scene in scenes for source in scene.sources}
    found = {row: direction_of(best_look(bank, row, room)) for row, room in used.items()}
    heard = [all(found[source.rir] == source.direction for source in scene.sources) for scene in scenes]
    name = f"direction_{size}src"
    return {"ceiling": {**best, name: unique}, "direct_sound": {name: 100.0 * np.array(heard)}}


def best_look(bank: RirBank, row: int, room: str) -> float:
    """Degrees at which the far-field response of a room's array matches the direct sound of a RIR best."""
    rir = bank.rirs[row]
    first = max(int((np.abs(rir).max(axis=0) > 0.5 * np.abs(rir).max()).argmax()) - DIRECT // 2, 0)
    spectrum = np.fft.rfft(rir[:, first : first + DIRECT] * np.hanning(DIRECT), 256)
    frequencies = tuple(np.fft.rfftfreq(256, 1 / SAMPLE_RATE))
    cross = spectrum[0] * spectrum[1].conj()
    powers = np.stack([*np.square(np.abs(spectrum)), cross.real, cross.imag])
    matched = np.einsum("kpf,pf->k", match_table(bank.array(room), LOOKS, frequencies), powers)
    return LOOKS[int(matched.argmax())]


def _unique(scene: Scene) -> bool:
    """Whether of all permutations' captions the true one alone is true."""
    said, true = statements([(scene, p) for p in scene.permutations()], caption_width([scene]))
    return int(fits(said, true[:1]).sum()) == 1
