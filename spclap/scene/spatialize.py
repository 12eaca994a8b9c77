"""The only place where audio is convolved and mixed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import soxr
import torch
from scipy.fft import next_fast_len

from spclap.data.pack import ClipPack
from spclap.scene.augment import equalise
from spclap.scene.bank import RirBank
from spclap.scene.recorder import Recorder, record
from spclap.scene.scene import Scene, Source
from spclap.space.array import Array

LOOPED = 5 * 16000  # samples; longer clips tell a story in order and are not turned round to begin at their middle
SOURCE_RMS = 0.1  # level of a dry clip while it sounds, before its gain
FADE = 320  # samples, of what is cut from within a clip


def dry_window(pack: ClipPack, source: Source, samples: int) -> np.ndarray:
    """(samples,) of a clip at a fixed level while it sounds: all the time, see `_filled`, or once, within its share of
    the window, with its own beginning and end where it has room for them and `FADE` where not."""
    if source.share is None:
        return _at_level(_filled(pack, source, samples), source)
    most = max(round(source.share * samples), 2 * FADE)
    if (length := round(pack.length(source.clip) / source.speed)) <= most:
        sound = _at_level(_filled(pack, replace(source, start=0.0), length), source)
    else:
        sound = _at_level(_filled(pack, source, most), source)
        ramp = np.linspace(0, 1, FADE, dtype=np.float32)
        sound[:FADE] *= ramp
        sound[-FADE:] *= ramp[::-1]
    window, first = np.zeros(samples, dtype=np.float32), round(source.onset * (samples - len(sound)))
    window[first : first + len(sound)] = sound
    return window


def _filled(pack: ClipPack, source: Source, samples: int) -> np.ndarray:
    """(samples,) of a clip. Short ones are repeated and begin at `start`; those of `LOOPED` samples and more that fit
    into the window begin at their beginning."""
    length, wanted = pack.length(source.clip), round(samples * source.speed)
    if length > wanted:
        first = int(source.start * (length - wanted))
        window = pack.read(source.clip, first, first + wanted)
    else:
        first = int(source.start * length) if length < LOOPED else 0
        window = np.resize(np.roll(pack.read(source.clip), -first), wanted)
    if wanted != samples:
        window = np.resize(soxr.resample(window, wanted, samples), samples)
    return equalise(window, source.eq_db) if source.eq_db else window


def _at_level(window: np.ndarray, source: Source) -> np.ndarray:
    rms = float(np.sqrt(np.mean(np.square(window)))) + 1e-8
    return window * np.float32(SOURCE_RMS / rms * 10 ** (source.gain_db / 20))


def spatialize(dry: torch.Tensor, rirs: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
    """Render mixtures by one batched FFT convolution.

    Args:
        dry: (K, T) windows of clips. rirs: (M, 2, taps) room impulse responses.
        pairs: (N, S, 2) integer; item n is the sum over s of dry[pairs[n, s, 0]] convolved with
            rirs[pairs[n, s, 1]]; a pair of -1 adds nothing.
    Returns: (N, 2, T), cut to the length of the dry windows. The channels share one scale, always.
    """
    samples = dry.shape[-1]
    n_fft = next_fast_len(samples + rirs.shape[-1] - 1, real=True)
    clips = torch.fft.rfft(dry, n=n_fft)
    places = torch.fft.rfft(rirs, n=n_fft)
    spectrum = torch.zeros((len(pairs), *places.shape[1:]), dtype=places.dtype, device=places.device)
    for source in pairs.unbind(1):
        clip, place = source.unbind(1)
        present = (clip >= 0).nonzero().squeeze(1)
        spectrum[present] += clips[clip[present], None] * places[place[present]]
    return torch.fft.irfft(spectrum, n=n_fft)[..., :samples]


def dry_parts(
    items: Sequence[tuple[Scene, Sequence[tuple[int, ...]]]], pack: ClipPack, bank: RirBank, samples: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Arguments of `spatialize` for scenes with the permutations wanted of each.

    Every clip and RIR is read once, whatever the number of permutations. Returns dry (K, T),
    rirs (K, 2, taps), pairs (N, S, 2) with N the number of (scene, permutation) and S the largest scene.
    """
    sources = [source for scene, _ in items for source in scene.sources]
    dry = np.stack([dry_window(pack, source, samples) for source in sources])
    rirs = np.stack([bank.rirs[s.rir][:: -1 if scene.mirrored else 1] for scene, _ in items for s in scene.sources])
    largest = max(scene.size for scene, _ in items)
    pairs, first = [], 0
    for scene, permutations in items:
        for permutation in permutations:
            row = [(first + clip, first + place) for place, clip in enumerate(permutation)]
            pairs.append(row + [(-1, -1)] * (largest - scene.size))
        first += scene.size
    return torch.from_numpy(dry), torch.from_numpy(rirs), torch.tensor(pairs)


def render(
    scene: Scene, pack: ClipPack, bank: RirBank, samples: int, permutation: tuple[int, ...] | None = None
) -> torch.Tensor:
    """(2, T) stereo recording of a scene, or of one of its permutations."""
    chosen = tuple(range(scene.size)) if permutation is None else permutation
    return rendered([(scene, [chosen])], pack, bank, samples)[0]


def rendered(
    items: Sequence[tuple[Scene, Sequence[tuple[int, ...]]]], pack: ClipPack, bank: RirBank, samples: int
) -> torch.Tensor:
    """(N, 2, T) recordings of scenes with the permutations wanted of each."""
    recorders = [recorded(scene, bank) for scene, permutations in items for _ in permutations]
    return record(spatialize(*dry_parts(items, pack, bank, samples)), recorders)


def recorded(scene: Scene, bank: RirBank) -> tuple[Recorder, Array] | None:
    """By what a scene was recorded, for `record`."""
    array = bank.array(scene.room)
    return scene.recorder and (scene.recorder, array.mirrored() if scene.mirrored else array)
