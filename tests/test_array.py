"""Arrays against physics: plane waves, microphone patterns, a rigid sphere, what a rendered room holds."""

import numpy as np
import pytest

from spclap.errors import DataError
from spclap.scene.rirs import Listener, room_rirs
from spclap.space.array import SAMPLE_RATE, SPEED_OF_SOUND, Pair, Panned, Sphere, array_of, match_table
from spclap.space.family import belongs, member

FREQUENCIES = np.fft.rfftfreq(512, 1 / SAMPLE_RATE)
LOOKS = np.arange(-90.0, 91.0, 15.0)
KINDS = ["pair:0.17", "pair:0.08", "ortf", "xy:90", "cardioids:0.1:90", "ms", "panned", "sphere:0.0875"]


def powers(spectra: np.ndarray) -> np.ndarray:
    """(2, F) -> (4, F), what `match_table` multiplies."""
    cross = spectra[0] * spectra[1].conj()
    return np.stack([*np.square(np.abs(spectra)), cross.real, cross.imag])


def match(array, spectra: np.ndarray) -> np.ndarray:
    """(looks, F) by the formula itself."""
    responses = array.responses(LOOKS, FREQUENCIES)
    above = np.square(np.abs(np.einsum("kcf,cf->kf", responses.conj(), spectra)))
    return above / np.square(np.abs(responses)).sum(axis=1) / np.square(np.abs(spectra)).sum(axis=0)


@pytest.mark.parametrize("text", KINDS)
def test_the_match_of_a_wave_is_one_at_its_own_look_and_less_elsewhere(text):
    array = array_of(text)
    table = match_table(array, tuple(LOOKS), tuple(FREQUENCIES))
    for index, azimuth in enumerate(LOOKS):
        wave = 3.0j * array.responses(np.array([azimuth]), FREQUENCIES)[0]
        found = np.einsum("kpf,pf->kf", table, powers(wave)) / np.square(np.abs(wave)).sum(axis=0)
        np.testing.assert_allclose(found, match(array, wave), atol=1e-5)
        np.testing.assert_allclose(found[index], 1, atol=1e-5)
        assert found.max() < 1 + 1e-5 and found.min() > -1e-5
        others = np.delete(found[:, 20:].mean(axis=1), index)
        assert others.max() < 0.9999


@pytest.mark.parametrize("text", KINDS)
def test_mirrored_waves_mirror(text):
    array = array_of(text)
    np.testing.assert_allclose(
        array.responses(-LOOKS, FREQUENCIES)[:, ::-1], array.mirrored().responses(LOOKS, FREQUENCIES), atol=1e-9
    )


def test_a_wave_from_the_left_comes_to_the_left_microphone_first():
    """By the time of flight over the spacing, and both hear it at one level."""
    left, right = array_of("pair:0.17").responses(np.array([-30.0]), FREQUENCIES)[0]
    late = -np.unwrap(np.angle(right / left)) / (2 * np.pi * FREQUENCIES.clip(1e-9))
    np.testing.assert_allclose(late[1:], 0.17 * 0.5 / SPEED_OF_SOUND, rtol=1e-6)
    np.testing.assert_allclose(np.abs([left, right]), 1)


def test_levels_of_ortf_follow_the_cardioid_and_those_of_ms_its_sum():
    for azimuth in LOOKS:
        left, right = np.abs(array_of("ortf").responses(np.array([azimuth]), FREQUENCIES)[0, :, 7])
        expected = [0.5 + 0.5 * np.cos(np.deg2rad(azimuth - look)) for look in (-55, 55)]
        np.testing.assert_allclose([left, right], expected, atol=1e-12)
        ms = array_of("ms").responses(np.array([azimuth]), FREQUENCIES)[0, :, 7].real
        middle, side = 0.5 + 0.5 * np.cos(np.deg2rad(azimuth)), -np.sin(np.deg2rad(azimuth))
        np.testing.assert_allclose(ms * 1.618, [middle + side, middle - side], atol=1e-3)


def test_panning_keeps_the_power_and_ends_at_the_channels():
    gains = Panned().gains(LOOKS)
    np.testing.assert_allclose(np.square(gains).sum(axis=1), 1)
    np.testing.assert_allclose(gains[[0, 6, 12]], [[1, 0], [0.5**0.5, 0.5**0.5], [0, 1]], atol=1e-12)


def test_a_sphere_is_a_rigid_one():
    """Delays between its ears in the limits of high frequencies (Woodworth: the way round it) and of low ones (Kuhn,
    JASA 62(1), 1977); a shadow on the far ear, but for the bright spot opposite of the source; a doubled pressure at an
    ear that a short wave falls on."""
    frequencies = np.linspace(0, 8000, 257)
    for azimuth in (0.0, 30.0, 60.0, 90.0):
        left, right = Sphere(0.0875).responses(np.array([azimuth]), frequencies)[0]
        angle, ahead, high = np.deg2rad(azimuth), np.unwrap(np.angle(right / left)), slice(100, None)
        slope = np.polyfit(frequencies[high], ahead[high], 1)[0] / (2 * np.pi)
        assert slope == pytest.approx(0.0875 / SPEED_OF_SOUND * (angle + np.sin(angle)), rel=0.02, abs=1e-9)
        low = ahead[2:4] / (2 * np.pi * frequencies[2:4])
        np.testing.assert_allclose(low, 3 * 0.0875 / SPEED_OF_SOUND * np.sin(angle), rtol=0.01, atol=1e-9)
        levels = 20 * np.log10(np.abs(right / left))
        assert levels[1] == pytest.approx(0, abs=0.01) and levels[-1] == pytest.approx(
            {0: 0, 90: 6}.get(azimuth, 10.5), abs=3
        )
    np.testing.assert_allclose(np.abs(Sphere(0.3).responses(np.array([90.0]), frequencies)[0, 1, 200:]), 2, rtol=0.02)
    np.testing.assert_allclose(Sphere(0.03).responses(LOOKS, frequencies[:1]), 1, atol=0.1)


@pytest.mark.parametrize("text", KINDS)
@pytest.mark.parametrize("azimuth", [-70.0, -20.0, 45.0])
def test_the_direct_sound_of_a_rendered_room_fits_the_responses(text, azimuth):
    size, middle, yaw = np.array([10.0, 10.0, 10.0]), np.array([5.0, 5.0, 5.0]), 0.7
    listener = Listener(array_of(text), middle, yaw)
    angle = yaw - np.deg2rad(azimuth)
    source = middle + 3 * np.array([np.cos(angle), np.sin(angle), 0])
    assert listener.lateral(source) == pytest.approx(azimuth)
    (rir,) = room_rirs(size, 0.5, listener, source[None], 512)
    first = round(3 / SPEED_OF_SOUND * SAMPLE_RATE) + 40
    direct = rir[:, first - 40 : first + 41] * np.hanning(81)  # the first wall is 10 ms later
    spectra, band = np.fft.rfft(direct, 512), slice(10, 200)
    expected = listener.array.responses(np.array([azimuth]), FREQUENCIES)[0]
    levels = [np.abs(x[:, band]).mean(axis=1) for x in (3 * spectra, expected)]
    np.testing.assert_allclose(*levels, rtol=0.06, atol=0.01)
    found = np.abs((expected.conj() * spectra).sum(axis=0)) ** 2
    found /= np.square(np.abs(expected)).sum(axis=0) * np.square(np.abs(spectra)).sum(axis=0)
    assert found[band].min() > 0.99


@pytest.mark.parametrize("text", [*KINDS, "head:a:b.sofa", "head:k.sofa:clockwise:mirrored"])
def test_what_is_written_of_an_array_is_read_again(text):
    assert str(array_of(text)) == text and array_of(str(array_of(text))) == array_of(text)


@pytest.mark.parametrize("omni", [0.0, 0.3, 0.5, 1.0])
def test_what_is_written_of_an_array_hears_the_same(omni):
    rng = np.random.default_rng(0)
    for spacing, angle in zip([0.0, *rng.uniform(0.01, 0.5, 5)], rng.uniform(1, 180, 6), strict=True):
        if omni == 1 and not spacing:
            continue
        array = Pair(float(spacing), float(angle), omni)
        heard = [one.responses(np.array([-40.0, 10.0]), FREQUENCIES) for one in (array, array_of(str(array)))]
        np.testing.assert_array_equal(*heard)
    assert array_of(str(Sphere(0.08123456))) == Sphere(0.08123456)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("quad", "array `quad` is none of: ortf, ms, panned, pair:SPACING"),
        ("pair", "is none of"),
        ("pair:wide", "could not convert"),
        ("pair:0", "at one point"),
        ("pair:17", r"spacing 17.0 m must be within \[0, 2.0\]"),
        ("xy:0", "at one point"),
        ("cardioids:0.1:200", r"angle 200.0 in \[0, 180\]"),
        ("sphere:8.75", "radius is 8.75 m"),
        ("sphere:nan", "radius is nan"),
        ("head:a.sofa:clockwise:exchanged", "needs a file, and one of clockwise, exchanged at most"),
        ("head:mirrored", "needs a file"),
        ("head", "is none of"),
        ("", "is none of"),
    ],
)
def test_wrong_words_and_sizes_list_what_there_is(text, problem):
    with pytest.raises(DataError, match=problem) as error:
        array_of(text)
    assert "sphere:RADIUS" in str(error.value)


def test_families_draw_within_their_ranges_and_know_their_members():
    rng = np.random.default_rng(0)
    drawn = [member("cardioids:0-0.20:60-130", rng) for _ in range(200)]
    assert all(isinstance(array, Pair) and array.omni == 0.5 for array in drawn)
    for low, high, found in ((0, 0.2, [a.spacing for a in drawn]), (60, 130, [a.angle for a in drawn])):
        assert low <= min(found) < low + (high - low) / 20 and high - (high - low) / 20 < max(found) <= high
    families = ["pair:0.08-0.30", "sphere:0.0875", "ms"]
    for text, inside in (("pair:0.17", True), ("pair:0.31", False), ("ortf", False), ("ms", True), ("panned", False),
                         ("sphere:0.0875", True), ("sphere:0.09", False)):  # fmt: skip
        assert belongs(array_of(text), families) == inside, text
    assert belongs(array_of("head:a-1-2.sofa"), ["head:a-1-2.sofa"])
