"""`spclap doctor`: recordings of known arrays, with known defects."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from spclap import cli
from spclap.data.decode import Stream
from spclap.doctor import examine, told
from spclap.errors import DataError
from spclap.model.recognise import KINDS, Presence, Recogniser, anisotropy, covariances
from spclap.scene.recorder import Recorder, noise, record
from spclap.space.array import SAMPLE_RATE, array_of

RNG = np.random.default_rng


def recording(array: str, azimuths=(-70.0, 10.0, 45.0), seconds: float = 4.0, seed: int = 0) -> np.ndarray:
    """(2, samples): noises from far away, one after the other, with a little diffuse noise and microphones'."""
    size = -(-round(seconds * SAMPLE_RATE) // len(azimuths))
    frequencies, parts = np.fft.rfftfreq(size, 1 / SAMPLE_RATE), []
    for number, azimuth in enumerate(azimuths):
        spectrum = np.fft.rfft(RNG([seed, number]).standard_normal(size))
        response = array_of(array).responses(np.array([azimuth]), frequencies)[0]
        parts.append(np.fft.irfft(response * spectrum, size))
    heard = torch.from_numpy(np.concatenate(parts, axis=1)[:, : round(seconds * SAMPLE_RATE)]).float()
    recorder = Recorder(room_db=-25.0, own_db=-40.0, seed=seed)
    heard = record(heard[None], [(recorder, array_of(array))])[0].double().numpy()
    return 0.3 * heard / np.abs(heard).max()


def report(x: np.ndarray, direction: str = "", rate: int = SAMPLE_RATE):
    block = np.ascontiguousarray(x.T, dtype=np.float32)
    return examine(Stream("x.wav", rate, len(x), x.shape[1] / rate, iter([block[:5000], block[5000:]])), direction)


def whats(*args) -> list[str]:
    return [finding.what for finding in report(*args).findings]


@pytest.mark.parametrize("kind", KINDS)
def test_plane_waves_are_of_the_array_that_heard_them(kind):
    for array in KINDS[kind]:
        found = report(recording(array))
        assert next(iter(found.kinds)) == kind and not found.findings
        assert found.array == array or kind in ("coincident", "head")
        assert sum(found.kinds.values()) == pytest.approx(1)


def test_likelihood_is_that_of_a_loop(monkeypatch):
    """Over segments, bins and looks."""
    monkeypatch.setitem(KINDS, "spaced", ["pair:0.17"])
    stereo, recognise = torch.from_numpy(recording("pair:0.17", seconds=0.5)).float(), Recogniser()
    spectra, total, count = recognise.front.spectra(stereo[None])[0].numpy(), 0.0, 0
    frequencies = np.arange(257) * SAMPLE_RATE / 512
    looks = array_of("pair:0.17").responses(np.linspace(-90, 90, 37), frequencies)
    segments = [spectra[:, first : first + 8] for first in range(0, spectra.shape[1] - 7, 8)]
    loudest = np.max([np.square(np.abs(s)).sum(axis=(0, 1)) for s in segments], axis=0)
    for segment in segments:
        fitting = np.zeros(37)
        for f in range(5, 250):
            covariance = segment[:, :, f] @ segment[:, :, f].conj().T
            small, large = np.linalg.eigvalsh(covariance)
            if small + large > 0.03 * loudest[f] and large - small > 0.9 * (large + small):
                count += 1
                for k, a in enumerate(looks[:, :, f]):
                    match = (a.conj() @ covariance @ a).real / (np.vdot(a, a).real * (small + large))
                    fitting[k] -= np.log(max(1 - match + 0.1, 0.1))
        total += fitting.max()
    found = recognise(stereo)
    assert found.cells == count and found.likelihoods["pair:0.17"] == pytest.approx(total / count, rel=1e-3)


TIMES = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
DEFECTS = {
    "mono": lambda x: x[:1],
    "equal": lambda x: np.stack([x[0], x[0]]),
    "inverted": lambda x: x * [[1], [-1]],
    "one silent": lambda x: x * [[1e-6], [1]],
    "weak": lambda x: x * [[1], [0.05]],
    "clipped": lambda x: x.clip(-0.1, 0.1),
    "dc": lambda x: x + 0.05,
    "hum": lambda x: x + 0.02 * sum(np.sin(2 * np.pi * 50 * k * TIMES) for k in range(1, 6)),
    "silent": lambda x: 1e-6 * x,
}  # fmt: skip


@pytest.mark.parametrize("array", ["pair:0.17", "ortf", "xy:90", "sphere:0.0875"])
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_is_the_one_finding(array, defect):
    assert whats(DEFECTS[defect](recording(array))) == [defect]


@pytest.mark.parametrize("array", ["pair:0.17", "ortf", "xy:90", "sphere:0.0875"])
def test_exchanged_channels_are_told_where_a_direction_is_known(array):
    left = recording(array, azimuths=(-70.0,))
    assert whats(left, "left") == [] and whats(left[::-1], "left") == ["exchanged"]
    assert report(left).look == pytest.approx(-70, abs=25) and whats(left[::-1]) == []
    with pytest.raises(DataError, match="direction west is none of left, front-left"):
        report(left, "west")


def test_slow_waves_are_not_clipped_and_tones_no_hum():
    quiet = recording("ortf")
    assert whats(0.1 * quiet + 0.3 * np.sin(2 * np.pi * 20 * TIMES)) == []
    assert whats(0.1 * quiet + 0.1 * np.sin(2 * np.pi * 100 * TIMES)) == []


def test_a_recording_at_48_khz_is_heard_the_same():
    import soxr

    x = recording("ortf")
    assert report(soxr.resample(x.T, SAMPLE_RATE, 48000).T, "", 48000).array == "ortf"
    found = report(soxr.resample(x.T, SAMPLE_RATE, 8000).T, "", 8000)
    assert [finding.what for finding in found.findings] == ["rate"]


def noises(array: str, count: int) -> torch.Tensor:
    """(count, 2, 2 s) of rooms and recorders alone."""
    out = []
    for seed in range(count):
        rng = RNG([9, seed])
        levels = dict(room_db=rng.uniform(-20, 0), own_db=rng.uniform(-30, 0), slope_db=rng.uniform(-6, 0))
        parts = noise(Recorder(**levels, wind_db=-20.0, hum_db=-50.0, seed=seed), array_of(array), 2 * SAMPLE_RATE)
        out.append(torch.fft.irfft(sum(parts), 2 * SAMPLE_RATE))
    return torch.stack(out)


ARRAYS = ["pair:0.08", "pair:0.3", "ortf", "xy:90", "ms", "panned", "sphere:0.0875"]


def test_noise_is_nothing():
    heard = [Presence()(noises(array, 40), [array_of(array)]).float().mean() for array in ARRAYS]
    assert np.mean(heard) <= 0.05 and max(heard) <= 0.1


@pytest.mark.parametrize("array", ARRAYS)
def test_a_wave_in_noise_is_something(array):
    presence, alone = Presence(), noises(array, 4)
    waves = torch.stack([torch.from_numpy(recording(array, (azimuth,), 0.5)).float() for azimuth in (-80, -20, 0, 50)])
    waves = torch.nn.functional.pad(waves / waves.std(), (8000, 32000 - 16000))
    assert presence(alone / alone.std() * 0.3 + waves, [array_of(array)]).all()


def test_noise_through_an_array_that_is_not_known_is_nothing_too():
    alone = noises("ortf", 10).double().numpy()
    assert all("nothing" in whats(0.1 * x) for x in alone)
    assert "nothing" not in whats(0.1 * alone[0][:, : 2 * SAMPLE_RATE] + recording("ortf", seconds=2.0))


def test_anisotropy_is_that_of_eigenvalues():
    spectra = torch.from_numpy(RNG(0).standard_normal((2, 2, 19, 257, 2))).float()
    spectra = torch.view_as_complex(spectra)
    spectra[0, 1] = spectra[0, 0] * (0.3 - 0.5j)  # one wave
    found = anisotropy(covariances(spectra)).numpy()
    assert found.shape == (2, 2, 245)
    for n, s, f in np.ndindex(2, 2, 245):
        cell = spectra[n, :, 8 * s : 8 * s + 8, 5 + f].numpy()
        small, large = np.linalg.eigvalsh(cell @ cell.conj().T)
        assert found[n, s, f] == pytest.approx((large - small) / (large + small), abs=1e-4)
    assert found[0].min() > 0.999 and found[1].mean() < 0.6


def test_command(tmp_path, monkeypatch, capsys):
    good, bad = tmp_path / "good.wav", tmp_path / "six.wav"
    soundfile.write(good, recording("ortf").T, SAMPLE_RATE)
    soundfile.write(bad, np.zeros((8000, 6)), SAMPLE_RATE)

    def run(*arguments) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["spclap", "doctor", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as exit:
            code = exit.code
        return code, *capsys.readouterr()

    code, out, err = run(good)
    assert code == 0 and "2 channel(s), 16000 Hz, 4.0 s" in out and "--array ortf fits best" in out
    code, out, err = run("--json", good)
    (found,) = json.loads(out)
    assert code == 0 and found["file"] == str(good) and found["array"] == "ortf" and found["findings"] == []
    code, out, err = run(good, bad)
    assert code == 1 and "good.wav" in out and "six.wav: 6 channels" in err


@pytest.mark.parametrize("seconds", [0.1, 0.15, 0.24, 0.26, 0.5])
def test_short_recordings_have_a_report(seconds):
    found = report(recording("ortf", (-40.0,), seconds))
    assert found.seconds == pytest.approx(seconds, abs=0.01) and (bool(found.kinds) or seconds < 0.5)
    with pytest.raises(DataError, match="0.090 s"):
        report(recording("ortf", seconds=0.5)[:, :1440])


def test_what_nothing_can_be_told_of_says_so():
    plain = report(recording("ortf"))
    assert "cannot be told" in told(replace(plain, kinds={}, array=""))
    assert "cannot be told" in told(report(recording("ortf")[:1]))
