"""What the page of `spclap demo` says, without Gradio: examples, faults, pictures. The page: test_demo_page.py."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from heard_places import Places
from page_tree import Parser
from small_clap import ANY_ARRAY, small_clap

from spclap import cli
from spclap.demo import hearing, pictures
from spclap.demo.examples import EXAMPLES, SECONDS, Example, heard, write_examples
from spclap.demo.handlers import exchanged, look, texts_of
from spclap.demo.hearing import Ear
from spclap.errors import DataError
from spclap.model.recognise import KINDS
from spclap.space.array import SAMPLE_RATE, SPEED_OF_SOUND
from spclap.space.directions import DIRECTIONS, PHRASES, center, zone
from spclap.space.wording import mirrored

CAPTIONS = "\n".join(f"a drum {phrase}" for phrase in PHRASES.values())


@pytest.fixture(scope="module")
def ear() -> Ear:
    return Ear(Places())


def drum(direction: str, array: str = "pair:0.17") -> np.ndarray:
    """(2, samples)."""
    return heard(Example("", array, (("drum", 1, direction),)))


def write(path, stereo: np.ndarray, rate: int = SAMPLE_RATE):
    soundfile.write(path, stereo.T, rate, subtype="FLOAT")
    return str(path)


def strengths(html: str) -> dict[str, int]:
    """Direction -> percent of the colour of its sector."""
    sectors = [node for node in Parser(html).open[0].all("g")]
    shares = (node.all("path", "sector")[0].attributes["style"] for node in sectors)
    names = (node.attributes["data-direction"] for node in sectors)
    return {name: int(re.fullmatch(r"--share: (\d+)%", share)[1]) for name, share in zip(names, shares, strict=True)}


def ranks(html: str) -> list[str]:
    return [node.text for node in Parser(html).open[0].all("bdi")]


def lag(stereo: np.ndarray, finer: int = 16) -> float:
    """Samples by which channel 1 is behind channel 0."""
    spectra = np.fft.rfft(stereo, 2 * stereo.shape[1])
    cross = np.fft.irfft(spectra[1] * spectra[0].conj(), 2 * stereo.shape[1] * finer)
    return (np.abs(cross).argmax() + len(cross) // 2) % len(cross) / finer - len(cross) // 2 / finer


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_example_reaches_each_channel_when_and_as_loud_as_it_should(direction):
    wind = (("wind", 1, direction),)
    behind = -0.17 * np.sin(np.deg2rad(center(direction))) / SPEED_OF_SOUND * SAMPLE_RATE
    assert lag(heard(Example("", "pair:0.17", wind))) == pytest.approx(behind, abs=0.1)
    power = np.square(heard(Example("", "panned", wind))).mean(axis=1)
    turn = np.deg2rad(center(direction) + 90) / 2
    assert power[1] / power.sum() == pytest.approx(np.sin(turn) ** 2, abs=1e-3)


def test_examples_are_written_as_they_are_heard(tmp_path):
    paths = write_examples(tmp_path)
    assert len(set(paths)) == len(EXAMPLES)
    for path, example in zip(paths, EXAMPLES, strict=True):
        written, rate = soundfile.read(path)
        assert rate == SAMPLE_RATE and len(written) == SECONDS * rate
        np.testing.assert_allclose(written.T, heard(example), atol=1e-6)
        assert 0.49 < np.abs(written).max() < 0.51


def test_captions_of_an_example_put_every_sound_at_every_place():
    two, _, three = EXAMPLES
    assert two.captions == [
        "a bird chirps on the left side, and a drum beats on the right side",
        "a drum beats on the left side, and a bird chirps on the right side",
    ]
    assert len(set(three.captions)) == 6
    assert three.captions[0] == "a bell rings on the left side, wind howls in front, and a drum beats on the right side"


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("array", ["pair:0.17", "sphere:0.0875"])
def test_the_sector_and_the_caption_of_a_sound_are_where_it_is(ear, tmp_path, direction, array):
    seen = look(ear, write(tmp_path / "drum.wav", drum(direction, array)), array, "a drum", CAPTIONS)
    found = strengths(seen.around)
    assert list(found) == list(DIRECTIONS) and max(found, key=found.get) == direction
    assert ranks(seen.ranked)[0] == f"a drum {PHRASES[direction]}" and len(ranks(seen.ranked)) == 5
    assert ("both channels are the same" in seen.notes) == (direction == "front")


def test_exchanged_channels_are_the_mirror_image_in_picture_and_ranks(ear, tmp_path):
    path = write(tmp_path / "a.wav", drum("front-left") + 0.5 * drum("right"))
    other = exchanged(path, tmp_path)
    once, again = (look(ear, own, "pair:0.17", "a drum", CAPTIONS) for own in (path, other))
    before, after = strengths(once.around), strengths(again.around)
    assert list(before.values()) == list(after.values())[::-1] and before["front-left"] > before["front-right"]
    assert ranks(again.ranked)[:2] == [mirrored(caption) for caption in ranks(once.ranked)[:2]]
    back = exchanged(other, tmp_path)
    np.testing.assert_array_equal(soundfile.read(back)[0], soundfile.read(path)[0])
    np.testing.assert_array_equal(soundfile.read(other)[0][:, ::-1], soundfile.read(path)[0])
    assert back.endswith("/a.wav") and len({path, other, back}) == 3


def test_old_exchanged_files_are_removed_and_nothing_else(tmp_path):
    path = write(tmp_path / "a.wav", drum("left"))
    old, new = (Path(exchanged(path, tmp_path)) for _ in range(2))
    os.utime(old.parent, (1, 1))
    uploaded = tmp_path / "0123abcd"  # as gradio keeps what it was sent
    uploaded.mkdir()
    for other in (path, uploaded):
        os.utime(other, (1, 1))
    newest = Path(exchanged(path, tmp_path))
    assert not old.exists() and new.exists() and newest.exists() and Path(path).exists() and uploaded.exists()


def test_the_real_class_gives_its_own_cosines(tmp_path):
    model = small_clap(tmp_path / "text", ANY_ARRAY)
    path = write(tmp_path / "a.wav", drum("left"))
    own = Ear(model)
    found = own.hear(path=tmp_path / "a.wav", array="ortf")
    truth = model.embed_text(["a dog", "a cat"]) @ model.embed_audio(path, array="ortf")[0]
    np.testing.assert_allclose(own.cosines(found, ("a dog", "a cat")), truth, atol=1e-6)
    np.testing.assert_allclose(
        own.cosines(found, ("a cat", "new")), [truth[1], own.cosines(found, ("new",))[0]], atol=1e-6
    )
    where = own.what_by_where(found, ("a dog", "a cat"))
    for direction in DIRECTIONS:
        texts = [f"{what} {PHRASES[direction]}" for what in ("a dog", "a cat")]
        best = model.embed_text(texts) @ found.vector
        assert [score for _, score in where[direction]] == pytest.approx(sorted(best, reverse=True), abs=1e-6)


def plain(seconds: float, channels: int = 2) -> np.ndarray:
    return 0.1 * np.random.default_rng(0).standard_normal((channels, round(seconds * SAMPLE_RATE))).astype(np.float32)


BAD = {
    "mono": (plain(1, 1), "one channel"),
    "5.1": (plain(1, 6), "6 channels"),
    "silent": (np.zeros((2, 16000), np.float32), "nothing is above -80 dB"),
    "short": (plain(0.05), "0.050 s"),
    "nan": (np.full((2, 16000), np.nan, np.float32), "NaN"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_recording_that_cannot_be_heard_is_told_with_its_name_alone(ear, tmp_path, name):
    stereo, word = BAD[name]
    seen = look(ear, write(tmp_path / f"{name}.wav", stereo), "", "a drum", CAPTIONS)
    assert (seen.around, seen.ranked, seen.directions) == ("", "", "")
    (fault,) = Parser(seen.notes).open[0].all("p", "fault")
    assert fault.text.startswith(f"{name}.wav: ") and word in fault.text and str(tmp_path) not in fault.text


@pytest.mark.parametrize("content", [b"", b"hello, I am text", b"RIFF\x24\x00\x00\x00WAVEfmt "])
def test_a_file_that_is_no_audio_is_told(ear, tmp_path, content):
    path = tmp_path / "<img src=x onerror=alert(1)>.wav"
    path.write_bytes(content)
    seen = look(ear, str(path), "", "a drum", CAPTIONS)
    (fault,) = Parser(seen.notes).open[0].all("p")
    assert fault.text.startswith(path.name) and str(tmp_path) not in fault.text and "<img" not in seen.notes
    assert exchanged(str(path), tmp_path) == str(path)
    gone = look(ear, str(tmp_path / "gone.wav"), "", "a drum", CAPTIONS)
    assert "gone.wav: audio file not found" in gone.notes and "fault" in gone.notes


def test_channels_of_mono_are_not_exchanged(tmp_path):
    path = write(tmp_path / "mono.wav", plain(1, 1))
    assert exchanged(path, tmp_path) == path and exchanged(None, tmp_path) is None


def test_doubts_are_told_beside_the_picture(ear, tmp_path):
    mono = drum("front")[:1]
    seen = look(ear, write(tmp_path / "a.wav", np.concatenate([mono, mono])), "pair:0.17", "a drum", CAPTIONS)
    assert "both channels are the same" in seen.notes and "<svg" in seen.around and "fault" not in seen.notes


def test_a_minute_is_heard_and_the_rest_is_told(ear, tmp_path, monkeypatch):
    monkeypatch.setattr(hearing, "SECONDS", 3.0)
    left, right = drum("left"), drum("right")
    alone = ear.hear(tmp_path / write(tmp_path / "left.wav", left), "pair:0.17")
    both = ear.hear(tmp_path / write(tmp_path / "both.wav", np.concatenate([left, right], axis=1)), "pair:0.17")
    np.testing.assert_array_equal(alone.vector, both.vector)
    assert alone.notes == () and both.notes == ("only the first 3 s are heard",)


@pytest.mark.slow
def test_what_recorded_it_is_chosen_or_suggested(ear, tmp_path):
    path = write(tmp_path / "a.wav", heard(EXAMPLES[1]))
    suggested = ear.hear(path=tmp_path / "a.wav", array="")
    assert suggested.array == EXAMPLES[1].array and "by two ears: sphere:0.0875 is assumed" in suggested.notes[0]
    write(tmp_path / "pair.wav", drum("front-left"))  # its delay is that of other spacings and directions as well
    assert ear.hear(tmp_path / "pair.wav", "").array == str(ear.model.clap.array) == "pair:0.17"
    assert set(hearing.WHAT) == set(KINDS)
    assert ear.hear(tmp_path / "a.wav", "ortf").array == "ortf"
    untold = Places(told=False)
    assert Ear(untold).hear(tmp_path / "a.wav", "").notes[0].endswith(f"{untold.clap.array} is assumed")
    new = Places(arrays=["pair:0.08-0.30"])
    assert Ear(new).hear(tmp_path / "a.wav", "ortf").notes == (
        "the model never trained on ortf, it may hear less well",
    )
    assert Ear(new).hear(tmp_path / "a.wav", "pair:0.2").notes == ()
    for array, word in (("nonsense", "is none of"), ("pair:9", "within"), (" head:a.sofa", "no files are opened")):
        seen = look(ear, path, array, "a drum", CAPTIONS)
        assert "fault" in seen.notes and word in seen.notes and seen.around == ""


def test_no_file_that_words_for_an_array_name_is_opened(ear, tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", drum("left"))
    opened = []
    monkeypatch.setattr("spclap.space.array.read_head", lambda *args: opened.append(args))
    for array in ("head:/etc/passwd", "  head:x.sofa:mirrored"):
        assert "fault" in look(ear, path, array, "a drum", CAPTIONS).notes
    assert opened == []


def test_text_boxes_have_their_limits(ear, tmp_path):
    assert texts_of("  a dog \n\n a cat\na dog\n") == ("a dog", "a cat") and texts_of("") == texts_of(None) == ()
    assert len(texts_of("\n".join(map(str, range(100))))) == 100
    for text in ("\n".join(map(str, range(101))), "x" * 201):
        with pytest.raises(DataError, match="at most 100 of 200"):
            texts_of(text)
    path = write(tmp_path / "a.wav", drum("left"))
    assert "fault" in look(ear, path, "ortf", " \n", CAPTIONS).notes
    assert "No captions yet" in look(ear, path, "ortf", "a drum", "\n").ranked
    assert "Record or upload" in look(ear, None, None, "a drum", CAPTIONS).notes


def test_words_stay_words_in_html(ear, tmp_path):
    hostile = '<script>alert("1")</script> & more'
    seen = look(ear, write(tmp_path / "a.wav", drum("left")), "ortf", hostile, hostile)
    for html in (seen.around, seen.ranked, seen.directions):
        assert "<script" not in html and "&lt;script" in html
    assert ranks(seen.ranked) == [hostile] and ranks(seen.directions) == [hostile] * 5


def test_sectors_lie_around_a_listener_who_looks_up():
    words = {direction: [(f"sound {direction}", 0.7)] for direction in DIRECTIONS}
    tree = Parser(pictures.half_circle(words)).open[0]
    for group in tree.all("g"):
        x, y = map(float, group.all("path")[0].attributes["d"].split()[1:3])
        direction = group.attributes["data-direction"]
        assert np.rad2deg(np.arctan2(x, -y)) == pytest.approx(zone(direction)[0], abs=0.1)
        name, said = group.all("text")
        assert name.text == direction and "".join(said.text.split()) == f"sound{direction}0.70"


def test_empty_places_are_left_empty_and_long_words_are_cut():
    words = {direction: [("rain", 0.1)] for direction in DIRECTIONS} | {"left": [("a very long description " * 5, 0.7)]}
    tree = Parser(pictures.half_circle(words)).open[0]
    lines = [node.text for node in tree.all("tspan")]
    assert len(lines) == 4 and lines[2].endswith("…") and all(len(line) <= 15 for line in lines) and lines[3] == "0.70"
    assert strengths(pictures.half_circle(words)) == {**dict.fromkeys(DIRECTIONS, 2), "left": 98}
    assert [pictures.strength(c) for c in (-1, 0, 0.5, 0.9)] == [0, 0, 0.5, 1]


def test_without_gradio_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.setattr(sys, "argv", ["spclap", "demo", "--model", "m"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    err = capsys.readouterr().err
    assert err == "error: the page needs the package gradio; run pip install 'spclap[demo]'\n"
