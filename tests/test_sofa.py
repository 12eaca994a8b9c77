"""Measured responses: files that the tests write in each convention, right way round and wrong."""

from unittest.mock import patch

import numpy as np
import pytest
import soundfile
from programs import ROOT

from spclap.bin.simulate import write_rooms
from spclap.data.config import load_config
from spclap.errors import DataError
from spclap.scene.bank import RirBank
from spclap.scene.conf import SimuConf
from spclap.scene.heads import MeasuredConf, diffuse_tail, write_head_bank
from spclap.space.array import array_of
from spclap.space.directions import DIRECTIONS, direction_of
from spclap.space.measured import Head
from spclap.space.sofa import read_head

RATE = 16000
AROUND = np.arange(-180, 180, 10.0)  # degrees, negative left


def late(azimuth: float) -> float:
    """s by which the right ear of a toy head hears a sound later than the left one."""
    return -5e-4 * np.sin(np.deg2rad(azimuth))


def toy_responses(azimuths=AROUND) -> np.ndarray:
    """(n, 2, 96) at 48 kHz: impulses, up to 6 dB weaker and 0.5 ms later in the far ear, the left one first."""
    responses = np.zeros((len(azimuths), 2, 96))
    for row, angle in enumerate(azimuths):
        delay, level = round(48000 * late(angle)), 10 ** (-0.15 * np.sin(np.deg2rad(angle)))
        responses[row, 0, 40 - delay // 2], responses[row, 1, 40 - delay // 2 + delay] = level, 1 / level
    return responses


def polar(azimuths, radius: float = 1.4) -> np.ndarray:
    """(n, 3) as SOFA has it, counterclockwise."""
    return np.stack([-np.asarray(azimuths) % 360, np.zeros(len(azimuths)), np.full(len(azimuths), radius)], axis=1)


def cartesian(azimuths, radius: float = 1.4) -> np.ndarray:
    """(n, 3) m: x ahead, y to the left."""
    angle = -np.deg2rad(azimuths)
    return radius * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)


EARS = np.array([[0, 0.09, 0], [0, -0.09, 0]])


def sofa_of(convention: str):
    import sofar

    sofa = sofar.Sofa(convention)
    sofa.Data_SamplingRate, sofa.ReceiverPosition = 48000, EARS
    sofa.ReceiverPosition_Type, sofa.ReceiverPosition_Units = "cartesian", "metre"
    for optional in ("Descriptions", "View", "Up"):
        for what in ("Receiver", "Emitter"):
            if hasattr(sofa, f"{what}{optional}"):
                sofa.delete(f"{what}{optional}")
    return sofa


def free_field():
    sofa = sofa_of("SimpleFreeFieldHRIR")
    sofa.Data_IR, sofa.SourcePosition = toy_responses(), polar(AROUND)
    return sofa


def by_emitters():
    """One measurement of many loudspeakers."""
    sofa = sofa_of("MultiSpeakerBRIR")
    sofa.SourcePosition, sofa.SourcePosition_Type, sofa.SourcePosition_Units = np.zeros((1, 3)), "cartesian", "metre"
    sofa.EmitterPosition = cartesian(AROUND)
    sofa.Data_IR = np.moveaxis(toy_responses(), 0, 1)[None]
    sofa.Data_Delay = np.zeros((1, 2, len(AROUND)))
    return sofa


def room(convention: str, turns: bool):
    """Sources around a listener who looks ahead, or one source ahead and a listener who turns."""
    sofa = sofa_of(convention)
    here = np.array([[2.0, 3.0, 1.2]])
    sofa.ListenerPosition = np.repeat(here, len(AROUND), axis=0)
    sofa.MeasurementDate, sofa.Data_Delay, sofa.Data_IR = np.zeros(len(AROUND)), np.zeros((1, 2)), toy_responses()
    if turns:
        sofa.SourcePosition = sofa.ListenerPosition + [[1.5, 0, 0]]
        sofa.ListenerView, sofa.ListenerUp = cartesian(-AROUND, 1.0), np.repeat([[0, 0, 1.0]], len(AROUND), axis=0)
    else:
        sofa.SourcePosition = sofa.ListenerPosition + cartesian(AROUND)
    if convention == "SingleRoomMIMOSRIR":
        sofa.Data_IR, sofa.Data_Delay = toy_responses()[..., None], np.zeros((1, 2, 1))
    return sofa


MAKERS = {
    "free field": free_field,
    "loudspeakers": by_emitters,
    "sources": lambda: room("SingleRoomSRIR", False),
    "turning": lambda: room("SingleRoomSRIR", True),
    "MIMO sources": lambda: room("SingleRoomMIMOSRIR", False),
    "MIMO turning": lambda: room("SingleRoomMIMOSRIR", True),
}


def toy_sofa(path, make=free_field, damage=lambda sofa: None):
    import sofar

    sofa = make()
    damage(sofa)
    sofa.verify(issue_handling="ignore")
    with patch.object(sofar.Sofa, "verify"):  # it writes no convention that has a newer one, such as MultiSpeakerBRIR
        sofar.write_sofa(str(path), sofa)
    return path


def toy_folder(path, sign: int = 1):
    path.mkdir()
    for azimuth, response in zip(AROUND, toy_responses(), strict=True):
        soundfile.write(path / f"{azimuth:.0f}.wav", response.T, 48000, subtype="FLOAT")
    rows = "".join(f"{azimuth:.0f}.wav,{sign * azimuth}\n" for azimuth in AROUND)
    (path / "azimuths.csv").write_text(f"file,azimuth\n{rows}")
    return path


def delay_of(response: np.ndarray) -> float:
    """s by which channel 1 comes after channel 0."""
    return (np.abs(response[1]).argmax() - np.abs(response[0]).argmax()) / RATE


def require_right(head: Head) -> None:
    """Every response comes from where it says."""
    assert len(head.azimuth) == len(AROUND) and np.ptp(head.azimuth) > 340
    np.testing.assert_allclose(np.sort(np.round(head.azimuth) % 360), np.sort(AROUND % 360), atol=0.01)
    np.testing.assert_allclose(head.elevation, 0, atol=1e-6)
    for azimuth, response in zip(head.azimuth, head.responses, strict=True):
        assert delay_of(response) == pytest.approx(late(azimuth), abs=1.1 / RATE)
        level = 10 * np.log10(np.square(response[1]).sum() / np.square(response[0]).sum())
        assert level == pytest.approx(6 * np.sin(np.deg2rad(azimuth)), abs=1)


@pytest.mark.parametrize("name", MAKERS)
def test_every_convention_is_read_the_right_way_round(tmp_path, name):
    head = read_head(toy_sofa(tmp_path / "head.sofa", MAKERS[name]), RATE)
    require_right(head)
    assert head.in_room == (name != "free field")


def test_a_folder_of_wavs_is_read_too(tmp_path):
    require_right(read_head(toy_folder(tmp_path / "room"), RATE))
    with pytest.raises(DataError, match="left channel is -.*clockwise"):
        read_head(toy_folder(tmp_path / "mirrored", -1), RATE)
    require_right(read_head(tmp_path / "mirrored", RATE, "clockwise"))


def list_right_first(sofa):
    """A file may do so if its channels are in that order."""
    sofa.ReceiverPosition = EARS[::-1]
    sofa.Data_IR = sofa.Data_IR[:, ::-1]


@pytest.mark.parametrize("name", MAKERS)
def test_receivers_may_stand_in_any_order(tmp_path, name):
    require_right(read_head(toy_sofa(tmp_path / "head.sofa", MAKERS[name], list_right_first), RATE))


def clockwise(sofa):
    if sofa.SourcePosition_Type == "spherical":
        sofa.SourcePosition = sofa.SourcePosition * [-1, 1, 1] % [360, 360, 360]
    else:
        sofa.SourcePosition = sofa.ListenerPosition + (sofa.SourcePosition - sofa.ListenerPosition) * [1, -1, 1]
    sofa.ListenerView = sofa.ListenerView * [1, -1, 1]
    if np.ndim(sofa.EmitterPosition) == 2:
        sofa.EmitterPosition = sofa.EmitterPosition * [1, -1, 1]


def exchanged(sofa):
    sofa.Data_IR = sofa.Data_IR[:, ::-1]


@pytest.mark.parametrize("way", [clockwise, exchanged])
@pytest.mark.parametrize("name", MAKERS)
def test_a_file_whose_sound_and_words_disagree_is_refused_until_told_which_is_wrong(tmp_path, name, way):
    path = toy_sofa(tmp_path / "head.sofa", MAKERS[name], way)
    with pytest.raises(DataError, match=r"head\.sofa: .*sound and metadata disagree") as error:
        read_head(path, RATE)
    assert f"head:{path}:{way.__name__}" in str(error.value) and "\n" not in str(error.value)
    require_right(read_head(path, RATE, way.__name__))


def exchange_levels(sofa):
    sofa.Data_IR = np.abs(sofa.Data_IR).max(axis=2, keepdims=True)[:, ::-1] * (sofa.Data_IR > 0)


def keep_behind(sofa):
    chosen = np.abs(sofa.SourcePosition[:, 0] - 180) < 100
    sofa.SourcePosition, sofa.Data_IR = sofa.SourcePosition[chosen], sofa.Data_IR[chosen]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (exchange_levels, r"left channel is -.* dB louder and \+.* samples earlier"),
        (
            lambda sofa: setattr(sofa, "SourcePosition", (sofa.SourcePosition + [90, 0, 0]) % [360, 91, 9]),
            "must be above",
        ),
        (keep_behind, "no response around -45 degrees"),
        (lambda sofa: setattr(sofa, "SourcePosition", 0 * sofa.SourcePosition), "stands where the listener is"),
        (lambda sofa: setattr(sofa, "ReceiverPosition", 0 * EARS), "one further left"),
        (lambda sofa: setattr(sofa, "Data_IR", np.full_like(sofa.Data_IR, np.nan)), "not finite"),
        (lambda sofa: setattr(sofa, "Data_SamplingRate", 0.0), "rate of 0.0 Hz"),
        (lambda sofa: setattr(sofa, "Data_SamplingRate", np.nan), "rate of nan Hz"),
    ],
)
def test_a_file_that_cannot_be_is_refused(tmp_path, damage, message):
    with pytest.raises(DataError, match=message) as error:
        read_head(toy_sofa(tmp_path / "head.sofa", damage=damage), RATE)
    assert "head.sofa" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["ListenerView", "SourcePosition", "ReceiverPosition", "Data.IR", "Data.SamplingRate"])
def test_a_file_that_lacks_something_is_one_line(tmp_path, name):
    import netCDF4

    path = toy_sofa(tmp_path / "head.sofa")
    with netCDF4.Dataset(path, "a") as file:
        file.renameVariable(name, "Gone")
    with pytest.raises(DataError, match=r"head\.sofa: not whole") as error:
        read_head(path, RATE)
    assert "\n" not in str(error.value)


def test_delays_beside_the_responses_are_heard(tmp_path):
    def apart(sofa):
        delays = 48000 * np.array([[max(-late(azimuth), 0), max(late(azimuth), 0)] for azimuth in AROUND])
        levels = np.abs(sofa.Data_IR).max(axis=2)
        sofa.Data_IR, sofa.Data_Delay = np.zeros((len(AROUND), 2, 96)), delays
        sofa.Data_IR[:, :, 40] = levels

    require_right(read_head(toy_sofa(tmp_path / "head.sofa", damage=apart), RATE))


def test_what_is_no_file_of_responses_is_named(tmp_path):
    import sofar

    (tmp_path / "bad.sofa").write_bytes(b"no sofa")
    (tmp_path / "empty").mkdir()
    sofar.write_sofa(str(tmp_path / "other.sofa"), sofar.Sofa("GeneralFIR"))
    unread = "not readable as SOFA"
    for name, message in (
        ("bad.sofa", unread),
        ("none.sofa", unread),
        ("empty", "missing"),
        ("other.sofa", "GeneralFIR"),
    ):
        with pytest.raises(DataError, match=message) as error:
            read_head(tmp_path / name, RATE)
        assert name in str(error.value)
    folder = toy_folder(tmp_path / "folder")
    for text, message in (
        ("file,degrees\na.wav,3\n", "azimuth"),
        ("file,azimuth\nnone.wav,3\n", "none.wav: not readable"),
        ("file,azimuth\n0.wav,300\n", "within"),
        ("file,azimuth\n", "at least one line"),
    ):
        (folder / "azimuths.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            read_head(folder, RATE)
    with pytest.raises(ValueError, match="rt60 is 0.2"):
        MeasuredConf("a", rt60=0.2)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return toy_sofa(tmp_path_factory.mktemp("sofa") / "head.sofa")


def test_a_measured_head_is_an_array_and_mirrors(path, tmp_path):
    frequencies = np.fft.rfftfreq(512, 1 / RATE)
    head, looks = array_of(f"head:{path}"), np.arange(-80.0, 81, 20)
    responses = head.responses(looks, frequencies)
    slope = np.polyfit(frequencies[5:60], np.unwrap(np.angle(responses[:, 1] / responses[:, 0]), axis=1)[:, 5:60].T, 1)
    np.testing.assert_allclose(-slope[0] / 2 / np.pi, [late(azimuth) for azimuth in looks], atol=2e-5)
    np.testing.assert_allclose(head.mirrored().responses(-looks, frequencies)[:, ::-1], responses)
    measured_in_room = array_of(f"head:{toy_sofa(tmp_path / 'room.sofa', MAKERS['sources'])}")
    with pytest.raises(DataError, match="measured in a room"):
        measured_in_room.responses(looks, frequencies)


def test_bank_of_a_head_holds_every_direction_where_it_says(tmp_path, path):
    head = read_head(path, RATE)
    write_head_bank(tmp_path, head, MeasuredConf(str(path)), 4, 4096, [0])
    bank = RirBank(tmp_path)
    for room in bank.rooms():
        assert bank.array(room) == array_of(f"head:{path}")
        for direction in DIRECTIONS:
            (row,) = bank.rows(room, direction)
            azimuth = bank.table.azimuth[row]
            assert direction_of(azimuth) == direction
            assert delay_of(bank.rirs[row]) == pytest.approx(late(azimuth), abs=1.1 / RATE)
    write_head_bank(tmp_path, head, MeasuredConf(str(path)), 40, 4096, [0])
    assert {-90, 90} <= {round(azimuth) for azimuth in RirBank(tmp_path).table.azimuth}
    backwards = Head(head.responses[:3], np.array([120.0, 150, 180]), np.zeros(3))
    with pytest.raises(DataError, match="no response"):
        write_head_bank(tmp_path, backwards, MeasuredConf("x"), 1, 4096, [0])


def test_tail_has_the_level_and_decay_that_was_asked_for(tmp_path, path):
    head, conf = read_head(path, RATE), MeasuredConf(str(path), rt60=[0.2, 0.2], drr_db=[6.0, 6.0])
    write_head_bank(tmp_path, head, conf, 6, 4096, [0])
    rirs = np.array(RirBank(tmp_path).rirs)
    start = round(conf.tail_delay * RATE)
    direct, tail = np.square(rirs[..., :start]).sum((1, 2)), np.square(rirs[..., start:]).sum((1, 2))
    np.testing.assert_allclose(10 * np.log10(direct / tail), 6, atol=0.7)
    noise = diffuse_tail(head, 0.2, 4096, np.random.default_rng(0))
    energy = 10 * np.log10(np.square(noise).sum(axis=0)[::-1].cumsum()[::-1])  # Schroeder
    fall = np.polyfit(np.arange(200, 2200) / RATE, energy[200:2200], 1)[0]
    assert -60 / fall == pytest.approx(0.2, rel=0.1)


def test_rooms_are_made_anew_when_the_file_of_their_head_has_changed(tmp_path):
    path = toy_sofa(tmp_path / "head.sofa")
    (tmp_path / "over.yaml").write_text(
        f"settings: {{paper: {{count: {{train: 1, valid: 1, test: 1}}, arrays: {{'pair:0.17': 0, 'head:{path}': 1}}}}, "
        f"varied: {{count: {{train: 1}}, arrays: {{'sphere:0.07-0.10': 0}}}}}}"
    )
    conf = load_config(SimuConf, ROOT / "conf" / "simu.yaml", tmp_path / "over.yaml")
    file, made = tmp_path / "rirs" / "test" / "rirs.npy", []
    for change in (None, None, lambda sofa: setattr(sofa, "Data_IR", sofa.Data_IR * 0.5)):
        if change:
            toy_sofa(path, damage=change)
        write_rooms(tmp_path, conf, 1)
        made.append((file.stat().st_mtime_ns, np.abs(np.load(file)).max()))
    assert made[0] == made[1] and made[2][1] == pytest.approx(made[0][1] / 2)
