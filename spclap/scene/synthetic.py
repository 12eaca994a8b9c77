"""Generated sounds. A kind has two styles, e.g. low and high; all else of a clip is drawn by `rng`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Generator = Callable[[np.random.Generator, np.ndarray, int, int], np.ndarray]


@dataclass(frozen=True)
class Kind:
    """A kind of sound.

    styles: two words. specific: a caption with `{}` for the style. general: captions of every style.
    make(rng, t, rate, style) -> (samples,), where t (samples,) is the time [s], rate [Hz], style 0 or 1.
    """

    name: str
    styles: tuple[str, str]
    specific: str
    general: tuple[str, ...]
    make: Generator


def _between(rng: np.random.Generator, style: int, first: tuple[float, float], second: tuple[float, float]) -> float:
    """A value from the range of the style."""
    return float(rng.uniform(*(first, second)[style]))


def _noise(rng: np.random.Generator, t: np.ndarray, rate: int, low: float, high: float) -> np.ndarray:
    """White noise between two frequencies [Hz], RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal(len(t)))
    frequency = np.fft.rfftfreq(len(t), 1 / rate)
    spectrum[(frequency < low) | (frequency > high)] = 0
    noise = np.fft.irfft(spectrum, len(t))
    return noise / (np.sqrt(np.mean(noise**2)) + 1e-9)


def _phase(frequency: np.ndarray, rate: int) -> np.ndarray:
    """Phase [rad] of a frequency [Hz] that varies over the samples."""
    return 2 * np.pi * np.cumsum(frequency) / rate


def _times(rng: np.random.Generator, t: np.ndarray, per_second: float, jitter: float) -> np.ndarray:
    """Onsets [s], evenly spaced up to `jitter` periods."""
    period = 1 / per_second
    onsets = np.arange(0.05 * rng.random(), t[-1], period)
    return onsets + jitter * period * rng.random(len(onsets))


def _repeat(t: np.ndarray, onsets: np.ndarray, sound: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Sum of a sound at onsets; `sound` gets the time [s] since its onset."""
    out = np.zeros(len(t))
    for onset in onsets:
        first = int(np.searchsorted(t, onset))
        if first < len(t):
            out[first:] += sound(t[first:] - onset)
    return out


def beep(rng, t, rate, style):
    pitch = _between(rng, style, (300, 500), (1200, 2000))
    on = (t * rng.uniform(2, 4) % 1) < 0.5
    return np.sin(2 * np.pi * pitch * t) * on


def sweep(rng, t, rate, style):
    ends = np.array([rng.uniform(200, 400), rng.uniform(2000, 3500)])
    low, high = ends if style == 0 else ends[::-1]
    position = t * rng.uniform(1, 2) % 1
    return np.sin(_phase(low * (high / low) ** position, rate)) * np.sin(np.pi * position)


def noise_burst(rng, t, rate, style):
    speed = _between(rng, style, (1.5, 2.5), (6, 9))
    decay = rng.uniform(5, 8) * speed / 2
    return _noise(rng, t, rate, 500, 7000) * _repeat(t, _times(rng, t, speed, 0), lambda s: np.exp(-decay * s))


def click(rng, t, rate, style):
    speed = _between(rng, style, (2, 4), (10, 16))
    pitch = rng.uniform(1500, 3500)
    return _repeat(t, _times(rng, t, speed, 0.05), lambda s: np.sin(2 * np.pi * pitch * s) * np.exp(-400 * s))


def bell(rng, t, rate, style):
    pitch = _between(rng, style, (200, 350), (700, 1200))
    ratio = rng.choice([1.4, 2.76, 3.5])
    depth = rng.uniform(2, 5)

    def strike(s: np.ndarray) -> np.ndarray:
        fade = np.exp(-rng.uniform(2.0, 2.5) * s)
        return np.sin(2 * np.pi * pitch * s + depth * fade * np.sin(2 * np.pi * ratio * pitch * s)) * fade

    return _repeat(t, _times(rng, t, rng.uniform(1, 2), 0.1), strike)


def plucked(rng, t, rate, style):
    period = int(rate / _between(rng, style, (80, 160), (350, 700)))

    def pluck(s: np.ndarray) -> np.ndarray:
        loop = rng.uniform(-1, 1, period)
        loop -= loop.mean()
        rounds = []
        for _ in range(-(-len(s) // period)):
            rounds.append(loop)
            loop = 0.498 * (loop + np.roll(loop, 1))
        return np.concatenate(rounds)[: len(s)]

    return _repeat(t, _times(rng, t, rng.uniform(1.5, 3), 0.2), pluck)


def siren(rng, t, rate, style):
    speed = _between(rng, style, (0.5, 0.8), (3, 5))
    centre = rng.uniform(700, 1000)
    wave = np.sin(_phase(centre * (1 + 0.4 * np.sin(2 * np.pi * speed * t)), rate))
    return wave + 0.3 * wave**3


def engine(rng, t, rate, style):
    speed = _between(rng, style, (18, 28), (60, 90)) * (1 + 0.05 * np.sin(2 * np.pi * rng.uniform(0.3, 1) * t))
    pulse = np.exp(-6 * (_phase(speed, rate) / (2 * np.pi) % 1))
    return (pulse - pulse.mean()) * (1 + 0.5 * _noise(rng, t, rate, 30, 900)) + 0.1 * _noise(rng, t, rate, 30, 400)


def wind(rng, t, rate, style):
    centre = _between(rng, style, (200, 350), (800, 1400))
    gusts = 0.6 + 0.4 * np.sin(2 * np.pi * rng.uniform(0.3, 0.8) * t + rng.uniform(0, 6.28))
    return gusts * (_noise(rng, t, rate, 0.8 * centre, 1.25 * centre) + 0.2 * _noise(rng, t, rate, 50, 3000))


def water_drop(rng, t, rate, style):
    speed = _between(rng, style, (1.5, 2.5), (6, 10))

    def drop(s: np.ndarray) -> np.ndarray:
        pitch = rng.uniform(500, 1100)
        return np.sin(2 * np.pi * pitch * s * (1 + 4 * s)) * np.exp(-25 * s) * rng.uniform(0.4, 1)

    return _repeat(t, _times(rng, t, speed, 0.8), drop)


def bird(rng, t, rate, style):
    pitch = _between(rng, style, (1500, 2200), (3500, 5000))
    length = rng.uniform(0.08, 0.15)
    warble = rng.uniform(25, 45)

    def chirp(s: np.ndarray) -> np.ndarray:
        on = s < length
        shape = np.where(on, np.sin(np.pi * np.minimum(s / length, 1)), 0)
        return shape * np.sin(2 * np.pi * pitch * s + 6 * np.sin(2 * np.pi * warble * s))

    return _repeat(t, _times(rng, t, rng.uniform(3, 5), 0.3), chirp)


def drum(rng, t, rate, style):
    pitch = _between(rng, style, (50, 80), (160, 260))
    hiss = rng.standard_normal(len(t))

    def hit(s: np.ndarray) -> np.ndarray:
        body = np.sin(2 * np.pi * pitch * s * (1 + 0.3 * np.exp(-30 * s))) * np.exp(-9 * s)
        return body + 0.15 * hiss[: len(s)] * np.exp(-80 * s)

    return _repeat(t, _times(rng, t, rng.uniform(2, 4), 0.02), hit)


def alarm(rng, t, rate, style):
    speed = _between(rng, style, (1, 1.5), (5, 8))
    first = rng.uniform(600, 900)
    pitch = np.where((t * speed % 1) < 0.5, first, first * rng.uniform(1.25, 1.5))
    return np.tanh(4 * np.sin(_phase(pitch, rate)))


def buzz(rng, t, rate, style):
    pitch = _between(rng, style, (60, 100), (250, 400)) * (1 + 0.03 * np.sin(2 * np.pi * rng.uniform(4, 8) * t))
    phase = _phase(pitch, rate)
    saw = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 12))
    return saw * (1 + 0.3 * np.sin(2 * np.pi * rng.uniform(0.5, 2) * t))


LOW_HIGH, SLOW_FAST = ("low", "high"), ("slow", "fast")
KINDS = (
    Kind("alarm", SLOW_FAST, "a {} alarm sounds", ("an alarm sounds", "an alarm"), alarm),
    Kind("beep", LOW_HIGH, "a {} tone beeps", ("a tone beeps", "beeps"), beep),
    Kind("bell", LOW_HIGH, "a {} bell rings", ("a bell rings", "a bell"), bell),
    Kind("bird", LOW_HIGH, "a bird chirps in a {} voice", ("a bird chirps", "a bird"), bird),
    Kind("buzz", LOW_HIGH, "a {} buzz hums", ("something buzzes", "a buzz"), buzz),
    Kind("click", SLOW_FAST, "{} clicks tick", ("clicks tick", "clicks"), click),
    Kind("drum", LOW_HIGH, "a {} drum beats", ("a drum beats", "a drum"), drum),
    Kind("engine", SLOW_FAST, "a {} engine runs", ("an engine runs", "an engine"), engine),
    Kind("noise_burst", SLOW_FAST, "{} bursts of noise hiss", ("bursts of noise hiss", "noise"), noise_burst),
    Kind("plucked_string", LOW_HIGH, "a {} string is plucked", ("a string is plucked", "a string"), plucked),
    Kind("siren", SLOW_FAST, "a {} siren wails", ("a siren wails", "a siren"), siren),
    Kind("sweep", ("rising", "falling"), "a {} tone sweeps", ("a tone sweeps", "a sweep"), sweep),
    Kind("water_drop", SLOW_FAST, "{} drops of water fall", ("water drips", "water"), water_drop),
    Kind("wind", LOW_HIGH, "a {} wind howls", ("wind howls", "wind"), wind),
)


def render(kind: Kind, rng: np.random.Generator, seconds: float, rate: int, style: int) -> np.ndarray:
    """(samples,) float32 of one clip, peak 0.5, with a background 60 dB below so that no sample run is zero."""
    t = np.arange(round(seconds * rate)) / rate
    sound = np.asarray(kind.make(rng, t, rate, style))
    sound = sound / np.abs(sound).max() + 1e-3 * rng.standard_normal(len(t))
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)
