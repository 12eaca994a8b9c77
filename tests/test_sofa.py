"""Measured responses: files that the tests write in each convention, right way round and wrong."""

from unittest.mock import patch

import numpy as np
import pytest
import soundfile

from spclap.errors import DataError
from spclap.scene.heads import MeasuredConf
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
