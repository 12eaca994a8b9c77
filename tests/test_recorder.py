"""Noise of rooms and recorders against the theory of diffuse fields, and what it does to recordings."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from spclap.scene.recorder import Recorder, noise, record
from spclap.space.array import SPEED_OF_SOUND, array_of

SAMPLES = 2**17
SILENT = Recorder(seed=1)


def heard(array: str = "pair:0.17", **changes) -> np.ndarray:
    """(2, SAMPLES) of noise alone, of sources of a mean square of 1."""
    room, own = noise(replace(SILENT, **changes), array_of(array), SAMPLES)
    return torch.fft.irfft(room + own, SAMPLES).double().numpy()


def coherence(stereo: np.ndarray, size: int = 512) -> tuple[np.ndarray, np.ndarray]:
    """Frequencies (F,) in Hz and the real part of the complex coherence (F,), Welch."""
    frames = np.lib.stride_tricks.sliding_window_view(stereo, size, axis=1)[:, :: size // 2] * np.hanning(size)
    left, right = np.fft.rfft(frames)
    cross = (left * right.conj()).mean(axis=0)
    power = np.square(np.abs(left)).mean(axis=0) * np.square(np.abs(right)).mean(axis=0)
    return np.fft.rfftfreq(size, 1 / 16000), (cross / np.sqrt(power)).real


@pytest.mark.parametrize("spacing", [0.08, 0.17, 0.3])
def test_omnis_in_a_diffuse_field_have_the_coherence_of_a_sinc(spacing):
    """Cook et al., JASA 27(6), 1955."""
    frequencies, found = coherence(heard(f"pair:{spacing}", room_db=0.0))
    difference = (found - np.sinc(2 * frequencies * spacing / SPEED_OF_SOUND))[3:-3]
    assert np.abs(difference).max() < 0.12 and np.sqrt(np.square(difference).mean()) < 0.04


def test_microphones_of_their_own_share_nothing_and_coincident_ones_much():
    """Cardioids at 90 degrees: the mean over the sphere of (1 + cos)(1 + cos') over that of (1 + cos) ** 2."""
    for level, expected in (({"room_db": 0.0}, 0.75), ({"own_db": 0.0}, 0.0), ({"wind_db": 0.0}, 0.0)):
        _, found = coherence(heard("xy:90", **level))
        assert found[3:-3].mean() == pytest.approx(expected, abs=0.015)
    assert np.ptp(heard(hum_db=0.0), axis=0).max() < 1e-5


@pytest.mark.parametrize("array", ["pair:0.17", "ortf", "sphere:0.0875"])
def test_levels_and_slopes_are_those_asked_for(array):
    for kind in ("room_db", "wind_db", "own_db", "hum_db"):
        found = heard(array, **{kind: -10.0})
        assert 10 * np.log10(np.square(found).mean()) == pytest.approx(-10.0, abs=0.01)
        assert found.shape == (2, SAMPLES) and np.isfinite(found).all()
    for options, slope in (({"room_db": 0.0, "slope_db": -3.0}, -3), ({"wind_db": 0.0}, -9), ({"own_db": 0.0}, 0)):
        spectrum = np.square(np.abs(np.fft.rfft(heard(**options)))).mean(axis=0)
        ends = [(SAMPLES * low // 16000, SAMPLES * 2 * low // 16000) for low in (250, 500, 1000, 2000)]
        octaves = [10 * np.log10(spectrum[low:high].mean()) for low, high in ends]
        np.testing.assert_allclose(np.diff(octaves), slope, atol=0.4)
    spectrum = np.abs(np.fft.rfft(heard(hum_db=0.0, hum_hz=62.5)[0]))
    assert set(np.argsort(spectrum)[-6:] * 16000 / SAMPLES) == {62.5 * k for k in range(1, 7)}


def test_a_seed_is_a_noise():
    one, same, other = (heard(room_db=-10.0, own_db=-20.0, seed=seed) for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > 0.01


def test_noise_has_its_level_over_the_sources_and_channels_their_gains_and_no_delay():
    sources = 0.03 * torch.randn(3, 2, SAMPLES, generator=torch.Generator().manual_seed(0))
    array, quiet = array_of("pair:0.17"), replace(SILENT, gain_db=2.0)
    by = [None, (quiet, array), (replace(SILENT, room_db=-6.0, own_db=-6.0), array)]
    same, louder, noisy = record(sources, by).numpy()
    np.testing.assert_array_equal(same, sources[0].numpy())
    gains = 20 * np.log10(louder.std(axis=1) / sources[1].numpy().std(axis=1))
    np.testing.assert_allclose(gains, [-1, 1], atol=0.01)
    for channel in range(2):
        assert np.corrcoef(louder[channel], sources[1, channel])[0, 1] > 0.9999
    added = noisy - sources[2].numpy()
    assert 10 * np.log10(np.square(added).mean() / 0.03**2) == pytest.approx(-3, abs=0.1)


def test_what_is_below_the_cut_goes_at_12_db_an_octave():
    tones = torch.stack(
        [(2 * torch.pi * f * torch.arange(SAMPLES) / 16000).sin() for f in (62.5, 125.0, 250.0, 4000.0)]
    )
    cut = [record(t.expand(1, 2, -1), [(replace(SILENT, highpass_hz=250.0), array_of("ortf"))]) for t in tones]
    levels = [20 * np.log10(float(c.std() / t.std())) for c, t in zip(cut, tones, strict=True)]
    np.testing.assert_allclose(levels, [-24.1, -12.3, -3.0, 0.0], atol=0.1)
