"""Measured heads: a SOFA file that the test writes, and what becomes of it."""

import numpy as np
import pytest
from spclap.scene.head import Head, HeadConf, diffuse_tail, read_head, write_head_bank

from spclap.errors import DataError
from spclap.scene.bank import RirBank
from spclap.space.directions import DIRECTIONS, direction_of

RATE = 16000


def late(azimuth: float) -> float:
    """s by which the right ear of a toy head hears a sound later than the left one."""
    return -5e-4 * np.sin(np.deg2rad(azimuth))


def toy_sofa(path, first_ear_left: bool = True, damage=lambda sofa: None):
    """Impulses at 48 kHz from all around, up to 6 dB weaker in the far ear; SOFA's azimuth counterclockwise."""
    import sofar

    sofa = sofar.Sofa("SimpleFreeFieldHRIR")
    azimuth = np.arange(0, 360, 10.0)
    responses = np.zeros((len(azimuth), 2, 96))
    for row, angle in enumerate(azimuth):
        delay = round(48000 * late(-angle))
        level = 10 ** (0.15 * np.sin(np.deg2rad(angle)))
        responses[row, 0, 40 - delay // 2], responses[row, 1, 40 - delay // 2 + delay] = level, 1 / level
    sofa.Data_IR, sofa.Data_SamplingRate = responses, 48000
    sofa.SourcePosition = np.stack([azimuth, 0 * azimuth, 0 * azimuth + 1.4], axis=1)
    ears = np.array([[0, 0.09, 0], [0, -0.09, 0]])
    sofa.ReceiverPosition = ears if first_ear_left else ears[::-1]
    damage(sofa)
    sofar.write_sofa(str(path), sofa)
    return path


def mirror(sofa):
    sofa.SourcePosition = sofa.SourcePosition * [-1, 1, 1] % [360, 360, 360]


def exchange_levels(sofa):
    sofa.Data_IR = np.abs(sofa.Data_IR).max(axis=2, keepdims=True)[:, ::-1] * (sofa.Data_IR > 0)


def keep_behind(sofa):
    chosen = np.abs(sofa.SourcePosition[:, 0] - 180) < 100
    sofa.SourcePosition, sofa.Data_IR = sofa.SourcePosition[chosen], sofa.Data_IR[chosen]


def look_in_degrees(sofa, azimuth):
    sofa.ListenerView, sofa.ListenerUp = np.array([[azimuth, 0, 1.0]]), np.array([[azimuth, 90, 1.0]])
    sofa.ListenerView_Type, sofa.ListenerView_Units = "spherical", "degree, degree, metre"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (mirror, "left that ear is -.* dB louder and -.* samples earlier.*mirrored"),
        (lambda sofa: setattr(sofa, "Data_IR", sofa.Data_IR[:, ::-1]), "left that ear is -.* dB.*exchanged"),
        (exchange_levels, r"that ear is -.* dB louder and \+.* samples earlier"),
        (lambda sofa: setattr(sofa, "SourcePosition", (sofa.SourcePosition + [90, 0, 0]) % [360, 91, 9]), "both must"),
        (keep_behind, "no response around -45 degrees"),
        (lambda sofa: setattr(sofa, "ListenerView", np.array([[0, 1.0, 0]])), r"ListenerView is \[0.0, 1.0, 0.0\]"),
        (lambda sofa: setattr(sofa, "ListenerUp", np.array([[0, 0, -1.0]])), "ListenerUp is"),
        (lambda sofa: setattr(sofa, "ListenerPosition", np.array([[1.0, 0, 0]])), "ListenerPosition is"),
        (lambda sofa: look_in_degrees(sofa, 90.0), "ListenerView is"),
        (lambda sofa: look_in_degrees(sofa, 0.0), None),
    ],
)
def test_a_file_whose_sounds_come_from_elsewhere_is_refused(tmp_path, damage, message):
    path = toy_sofa(tmp_path / "head.sofa", damage=damage)
    if message is None:
        assert read_head(path, RATE).responses.shape == (36, 2, 32)
        return
    with pytest.raises(DataError, match=message) as error:
        read_head(path, RATE)
    assert "head.sofa" in str(error.value) and "\n" not in str(error.value)


def delay_of(response: np.ndarray) -> float:
    """s by which channel 1 comes after channel 0."""
    return (np.abs(response[1]).argmax() - np.abs(response[0]).argmax()) / RATE


@pytest.fixture(scope="module")
def head(tmp_path_factory) -> Head:
    return read_head(toy_sofa(tmp_path_factory.mktemp("sofa") / "head.sofa"), RATE)


def test_azimuths_are_ours_and_ears_stay_together(head):
    assert head.azimuth.min() >= -180 and head.azimuth.max() <= 180
    for azimuth, response in zip(head.azimuth, head.responses, strict=True):
        assert delay_of(response) == pytest.approx(late(azimuth), abs=1.1 / RATE)


def test_other_order_of_ears_is_refused(tmp_path):
    with pytest.raises(DataError, match="the left ear first"):
        read_head(toy_sofa(tmp_path / "head.sofa", first_ear_left=False), RATE)
    with pytest.raises(ValueError, match="rt60 is 0.2"):
        HeadConf(rt60=0.2)
    (tmp_path / "bad.sofa").write_bytes(b"no sofa")
    with pytest.raises(DataError, match=r"bad\.sofa"):
        read_head(tmp_path / "bad.sofa", RATE)


def test_bank_of_a_head_holds_every_direction_where_it_says(tmp_path, head):
    write_head_bank(tmp_path, head, HeadConf(), 4, 4096, RATE, [0])
    bank = RirBank(tmp_path)
    for room in bank.rooms:
        for direction in DIRECTIONS:
            (row,) = bank.rows(room, direction)
            azimuth = bank.table.azimuth[row]
            assert direction_of(azimuth) == direction
            assert delay_of(bank.rirs[row]) == pytest.approx(late(azimuth), abs=1.1 / RATE)
    backwards = Head(head.responses[:3], np.array([120.0, 150, 180]), np.zeros(3))
    with pytest.raises(DataError, match="no response"):
        write_head_bank(tmp_path, backwards, HeadConf(), 1, 4096, RATE, [0])


def test_tail_has_the_level_and_decay_that_was_asked_for(tmp_path, head):
    conf = HeadConf(rt60=(0.2, 0.2), drr_db=(6.0, 6.0))
    write_head_bank(tmp_path, head, conf, 6, 4096, RATE, [0])
    rirs = np.array(RirBank(tmp_path).rirs)
    start = round(conf.tail_delay * RATE)
    direct, tail = np.square(rirs[..., :start]).sum((1, 2)), np.square(rirs[..., start:]).sum((1, 2))
    np.testing.assert_allclose(10 * np.log10(direct / tail), 6, atol=0.7)
    noise = diffuse_tail(head, 0.2, RATE, 4096, np.random.default_rng(0))
    energy = 10 * np.log10(np.square(noise).sum(axis=0)[::-1].cumsum()[::-1])  # Schroeder
    fall = np.polyfit(np.arange(200, 2200) / RATE, energy[200:2200], 1)[0]
    assert -60 / fall == pytest.approx(0.2, rel=0.1)
