"""What a recording looks like before a model hears it: its defects, and what heard it.

report = examine(open_stream(Path("street.wav")))
report.findings, report.array
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soxr
import torch

from spclap.data.audio import MIN_SECONDS, SILENCE_DB, loudest_db, without_dc
from spclap.data.decode import Stream
from spclap.errors import DataError
from spclap.model.recognise import CELLS, KINDS, Presence, Recogniser
from spclap.space.array import SAMPLE_RATE
from spclap.space.directions import DIRECTIONS, center

MOST = 60.0  # s that are examined, from the beginning
LEAST = 0.25  # s, of less nothing is said of what heard it
SURE = 60.0  # from likelihoods of a cell to the logarithm of odds; set by hand, benchmarks/doctor.py shows how it fits
EQUAL_DB, SILENT_DB = -60.0, 50.0  # of the difference of equal channels; by which a silent one is weaker
LEAST_DB, WEAK_DB = 6.0, 14.0  # by which a weak one is weaker, as a whole and in quiet moments
DC = 0.1  # of the RMS
LEAST_PEAK = 0.05  # of full scale, of what may be clipped
CLIPPED = 2  # times that two samples or more are held at the peak
HUM_DB = 20.0  # by which harmonics stand out more, together, than those of OTHERS
CHANCE_DB, LINE_DB = 5.0, 20.0  # of one harmonic: so much is chance; so much more counts at most, one is no hum
LINE = 4  # s of a spectrum: what does not change stands out more the longer it is
MAINS = (50.0, 60.0)  # Hz
OTHERS = (-7.3, -5.3, -3.3, 3.3, 5.3, 7.3)  # Hz from mains, where there is no hum
INVERTED, TIED = 0.05, 0.02  # by which the likelihood of a cell is greater with one channel inverted, or as great
OPPOSED = 0.5  # of the coherence at low frequencies, where channels of most arrays hear the same
LOW = (100.0, 250.0)  # Hz


@dataclass(frozen=True)
class Finding:
    """Something that makes a recording unfit or doubtful, and what to do."""

    what: str
    told: str


@dataclass(frozen=True)
class Report:
    """rate, Hz; seconds, as far as examined; level_db, of the loudest 0.1 s re full scale; over_noise_db, loud over
    quiet moments; kinds, kind of array -> how sure, the likeliest first, none where nothing can be told; array, the
    word for the likeliest, "" likewise; look, degrees at which most was heard through it."""

    rate: int
    seconds: float
    channels: int
    level_db: float
    over_noise_db: float
    findings: list[Finding]
    kinds: dict[str, float]
    array: str = ""
    look: float = 0.0


def examine(stream: Stream, direction: str = "") -> Report:
    """Args: direction, one of DIRECTIONS, where most of the sound came from if that is known.

    DataError for a recording that cannot be read, of more than two channels or of less than 0.1 s, and for a direction
    that there is not.
    """
    if direction and direction not in DIRECTIONS:
        raise DataError(f"direction {direction} is none of {', '.join(DIRECTIONS)}")
    frames = beginning(stream, MOST)
    if stream.channels > 2 or len(frames) < MIN_SECONDS * stream.rate:
        raise DataError(
            f"{stream.name}: {stream.channels} channels, {len(frames) / stream.rate:.3f} s; two channels and "
            f"{MIN_SECONDS} s at least are needed"
        )
    if not np.isfinite(frames).all():
        raise DataError(f"{stream.name}: samples are NaN or infinite; replace it")
    findings = list(_defects(frames, stream.rate))
    frames = without_dc(frames)
    level, over_noise = loudest_db(frames, stream.rate), _over_noise(frames, stream.rate)
    about = (stream.rate, len(frames) / stream.rate, stream.channels, level, over_noise)
    if any(finding.what in ("mono", "equal", "silent", "one silent") for finding in findings):
        return Report(*about, findings, {})
    stereo = torch.from_numpy(np.ascontiguousarray(soxr.resample(frames, stream.rate, SAMPLE_RATE).T))
    return _heard(stereo, about, findings, direction)


def _heard(stereo: torch.Tensor, about: tuple, findings: list[Finding], direction: str) -> Report:
    if stereo.shape[1] < LEAST * SAMPLE_RATE:
        return Report(*about, findings, {})
    recognise = Recogniser()
    found, inverted = recognise(stereo), recognise(stereo * torch.tensor([[1.0], [-1.0]]))
    presence = Presence()
    if not all(presence(stereo[None], [recognise.arrays[found.best(kind)]]) for kind in KINDS):
        findings.append(Finding("nothing", "nothing but noise is heard: no wave comes from anywhere"))
    if found.cells < CELLS:
        return Report(*about, findings, {})
    better = max(inverted.likelihoods.values()) - max(found.likelihoods.values())
    if better > INVERTED or (better > -TIED and _low_coherence(stereo.numpy()) < -OPPOSED):
        told = "one channel has the other polarity; invert it, unless this is mid-side stereo of sounds far to the side"
        findings.append(Finding("inverted", told))
        found = inverted
    odds = np.exp(SURE * (np.array(list(found.kinds.values())) - max(found.kinds.values())))
    kinds = dict(zip(found.kinds, (odds / odds.sum()).tolist(), strict=True))
    array = found.best(next(iter(kinds)))
    look = found.looks[array]
    if direction and center(direction) * look < 0 and abs(center(direction)) > 18 and abs(look) > 10:
        told = f"most was heard at {look:.0f} degrees, not {direction}; swap the channels"
        findings.append(Finding("exchanged", told))
    return Report(*about, findings, kinds, array, look)


def told(report: Report) -> str:
    """Lines for people."""
    lines = [
        f"  {report.channels} channel(s), {report.rate} Hz, {report.seconds:.1f} s; loudest {report.level_db:.0f} dB "
        f"re full scale, {report.over_noise_db:.0f} dB over its quiet moments"
    ]
    if report.kinds:
        kinds = ", ".join(f"{kind} {share:.0%}" for kind, share in report.kinds.items() if share >= 0.05)
        lines.append(f"  heard by: {kinds}; --array {report.array} fits best, most came from {report.look:.0f} degrees")
    else:
        lines.append("  heard by: cannot be told")
    return "\n".join([*lines, *(f"  {finding.what}: {finding.told}" for finding in report.findings)])


def beginning(stream: Stream, seconds: float) -> np.ndarray:
    """(samples, channels) of at most so many seconds; DataError where a file turns out to be damaged."""
    wanted, parts, length = round(seconds * stream.rate), [np.empty((0, stream.channels), np.float32)], 0
    for block in stream.blocks:
        parts.append(block)
        length += len(block)
        if length >= wanted:
            break
    return np.concatenate(parts)[:wanted]


def _defects(frames: np.ndarray, rate: int) -> Iterator[Finding]:
    """Of (samples, channels) as they are in the file."""
    plain = without_dc(frames).astype(np.float64)
    levels = 10 * np.log10(np.square(plain).mean(axis=0) + 1e-20)
    if loudest_db(plain, rate) < SILENCE_DB:
        yield Finding("silent", "nothing is above -80 dB re full scale")
        return
    if rate < SAMPLE_RATE:
        yield Finding("rate", f"{rate} Hz: nothing above {rate / 2:.0f} Hz, of which models hear up to 8000")
    if frames.shape[1] == 1:
        yield Finding("mono", "one channel: places cannot be heard; record two")
    else:
        yield from _between(plain, levels)
    rms = 10 ** (levels / 20)
    if (np.abs(frames.mean(axis=0, dtype=np.float64)) > DC * rms).any():
        yield Finding("dc", "a constant offset; models take it away")
    if (times := _clipped(frames)) >= CLIPPED:
        yield Finding("clipped", f"{times} times the peak is held; record it at a lower level")
    for mains in MAINS:
        if _hums(plain.mean(axis=1), rate, mains):
            yield Finding("hum", f"{mains:.0f} Hz and its harmonics; cut what is below 200 Hz or find the cable")


def _between(plain: np.ndarray, levels: np.ndarray) -> Iterator[Finding]:
    """What the two channels have wrong with each other."""
    weak, difference = int(levels.argmin()), float(np.ptp(levels))
    quiet = _quiet_db(plain)
    rest = 10 * np.log10(np.square(plain[:, 0] - plain[:, 1]).mean() + 1e-20) - levels.max()
    if difference > SILENT_DB:
        yield Finding("one silent", f"channel {weak} is silent: {difference:.0f} dB below the other")
    elif rest < EQUAL_DB:
        yield Finding("equal", "both channels are the same: mono in two channels, places cannot be heard")
    elif difference > LEAST_DB and quiet[1 - weak] - quiet[weak] > WEAK_DB:
        told = f"channel {weak} is {difference:.0f} dB below the other, in quiet moments too; check cables and gains"
        yield Finding("weak", told)


def _low_coherence(stereo: np.ndarray, size: int = 2048) -> float:
    """Real part of the coherence of (2, T) at low frequencies in the quieter half of the time, Welch: what comes from
    all sides is there, which both channels of all arrays but mid-side stereo hear alike."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(stereo, ((0, 0), (0, size))), size, axis=1)[
        :, :: size // 2
    ]
    power = np.square(frames).mean(axis=(0, 2))
    left, right = np.fft.rfft(frames[:, power <= np.median(power)] * np.hanning(size))
    power = np.square(np.abs(left)).sum(axis=0) * np.square(np.abs(right)).sum(axis=0)
    coherence = (left * right.conj()).sum(axis=0).real / np.sqrt(power + 1e-20)
    frequencies = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    return float(coherence[(frequencies >= LOW[0]) & (frequencies <= LOW[1])].mean())


def _quiet_db(plain: np.ndarray, span: int = 800) -> np.ndarray:
    """(channels,) level of the quietest third of a recording."""
    blocks = np.square(plain[: max(len(plain) // span, 1) * span]).reshape(-1, min(span, len(plain)), plain.shape[1])
    power = blocks.mean(axis=1)
    quietest = power[power.mean(axis=1).argsort()[: max(len(power) // 3, 1)]]
    return 10 * np.log10(quietest.mean(axis=0) + 1e-20)


def _clipped(frames: np.ndarray) -> int:
    """How often a channel is held at its positive or negative peak, having come there in steps of different heights: a
    slow wave stays long at its top as well, and a tone comes there in the same step every time."""
    times = 0
    for channel in np.concatenate([frames, -frames], axis=1).T:
        if (peak := channel.max()) <= LEAST_PEAK:
            continue
        held = np.pad(channel >= peak - 1e-4 * abs(peak), 1).astype(int)
        first, after = np.flatnonzero(np.diff(held) == 1), np.flatnonzero(np.diff(held) == -1)
        before = channel[first - 1][(first > 0) & (after - first >= 2)] / peak
        times += len(np.unique(before[before < 0.99].round(3)))
    return times


def _hums(mono: np.ndarray, rate: int, mains: float) -> bool:
    """Whether the first six harmonics stand out from the spectrum around them, in three quarters of the time, and more
    than those of any other frequency nearby: a tone has harmonics anywhere."""
    size = min(len(mono), LINE * rate) // 2 * 2
    frames = np.lib.stride_tricks.sliding_window_view(mono, size)[:: size // 2]
    spectra = np.square(np.abs(np.fft.rfft(frames * np.hanning(size)))) + 1e-20
    frequencies = np.fft.rfftfreq(size, 1 / rate)

    def standing(base: float) -> float:
        total = 0.0
        for harmonic in base * np.arange(1, 7):
            away = np.abs(frequencies - harmonic)
            near, around = spectra[:, away <= rate / size], spectra[:, (away > 4) & (away < 20)]
            over = 10 * np.log10(np.quantile(near.max(axis=1) / np.median(around, axis=1), 0.25))
            total += np.clip(over - CHANCE_DB, 0, LINE_DB)
        return total

    return bool(standing(mains) - max(standing(mains + away) for away in OTHERS) > HUM_DB)


def _over_noise(frames: np.ndarray, rate: int) -> float:
    """dB of the loudest tenth of 50 ms over the quietest tenth, channels together."""
    size = max(round(0.05 * rate), 1)
    power = np.square(frames[: len(frames) // size * size], dtype=np.float64).reshape(-1, size * frames.shape[1])
    quiet, loud = np.quantile(power.mean(axis=1), [0.1, 0.9]) + 1e-20
    return float(10 * np.log10(loud / quiet))
