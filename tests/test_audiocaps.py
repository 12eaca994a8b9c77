"""egs/audiocaps on a miniature of AudioCaps' and AudioSet's layout."""

import csv
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from programs import ROOT, run

from spclap.data.audio import read_clip
from spclap.data.datadir import load_datadir
from spclap.errors import DataError

av = pytest.importorskip("av")
RATE = 44100
NAMES = {"/m/dog": "Dog", "/m/rain": "Rain", "/m/talk": "Male speech, man speaking"}


def sound(pitch: float, seconds: float = 1.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * pitch * np.arange(round(RATE * seconds)) / RATE)


def write_m4a(path: Path, samples: np.ndarray, **options: str) -> None:
    with av.open(str(path), "w", format="mp4", options=options) as container:
        stream = container.add_stream("aac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None].astype("f"), format="fltp", layout="mono")
        frame.sample_rate = RATE
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_m4a(path, samples) if path.suffix == ".m4a" else soundfile.write(path, samples, RATE)


def write_csv(path: Path, rows: list[tuple]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("audiocap_id", "youtube_id", "start_time", "caption"), *rows])


@pytest.fixture
def segments(monkeypatch):
    """egs/audiocaps/local/segments.py, as the program itself imports it."""
    monkeypatch.syspath_prepend(ROOT / "egs" / "audiocaps" / "local")
    yield importlib.import_module("segments")
    sys.modules.pop("segments")


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("A man speaks.", "a man speaks"),
        ("Rain  falls\nhard!", "rain falls hard"),
        ("a dog barks, and A cat", "a dog barks, and A cat"),
        ("It rains", "it rains"),
        ("Man's voice", "man's voice"),
        ('"Hello", a man says', '"hello", a man says'),
        ("Émile rit", "émile rit"),
        ("E\u0301mile rit", "e\u0301mile rit"),
        ("Ärzte reden", "ärzte reden"),
        ("\u01c5ep", "\u01c6ep"),
        *((text, text) for text in ("TV plays", "I hear a dog", "I'm here", "I\u2019m here", "TVs play", "A/C hums")),
        *(
            (text, text)
            for text in ("X-ray hums", "T\u2011shirt", "McDonald sings", "2 men talk", "\u0130stanbul", "犬", "")
        ),
    ],
)
def test_captions_read_as_inside_a_sentence(segments, caption, expected):
    assert segments.mid_sentence(caption) == expected == segments.mid_sentence(expected)


HEAD = "audiocap_id,youtube_id,start_time,caption\n"


def test_line_breaks_and_commas_without_quotes_belong_to_the_caption(segments, tmp_path):
    """As train.csv of AudioCaps 2.0 was published (cdjkim/audiocaps, issue 23)."""
    (tmp_path / "train.csv").write_text(
        HEAD + "7,IAosP90cdsE,30,An engine chugs loudly with muffled\nspeech in the background\n"
        '8,2Cnv0FADwfo,30,"a dog, whimpers"\n9,NWZK4Mm3aNc,0,heavy wind, then a loud\n'
        "bang, and\n2 dogs\n\n10,x,5,rain\n"
    )
    found = [
        (entry.youtube_id, entry.start, entry.captions) for entry in segments.read_segments(tmp_path / "train.csv")
    ]
    assert found == [
        ("IAosP90cdsE", 30, ["an engine chugs loudly with muffled speech in the background"]),
        ("2Cnv0FADwfo", 30, ["a dog, whimpers"]),
        ("NWZK4Mm3aNc", 0, ["heavy wind, then a loud bang, and 2 dogs"]),
        ("x", 5, ["rain"]),
    ]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (b"speech in the background\n", "train.csv:2: no youtube_id"),  # goes on with no row
        (b"1,abc,30,rain\n2,abc\n", "train.csv:3: no youtube_id"),
        (b"1,abc,30,rain\n2,abc,soon,wind\n", "train.csv:3: no youtube_id"),
        (b"1,abc,30,rain\nx,y,z,wind\n", "train.csv:3: no youtube_id"),
        (b"1,abc,30,rain\n2,abd,30,\n", "train.csv:3: no youtube_id"),
        ("1,abc,30,\u200b\n".encode(), "train.csv:2: no youtube_id"),
        (b'1,abc,30,"rain\n2,abd,30,wind\n3,abe,30,a dog\n', "train.csv:4: a caption that begins with a quote"),
        ("1,abc,30,Tür\n".encode("latin-1"), "not UTF-8"),
        (b"1,abc,30,rain\0\xff\n", "train.csv"),
    ],
)
def test_rows_that_are_broken_are_named(segments, tmp_path, rows, message):
    (tmp_path / "train.csv").write_bytes(HEAD.encode() + rows)
    with pytest.raises(DataError, match=message) as error:
        segments.read_segments(tmp_path / "train.csv")
    assert "\n" not in str(error.value)


@pytest.fixture(params=[False])
def corpus(request, tmp_path) -> Path:
    """Train: one caption a clip, all naming schemes and formats; val and test: five captions a clip."""
    folder, rows = tmp_path / "AudioCaps", {}
    files = ["train/{id}.wav", "train/Y{id}.flac", "{id}_{start}.ogg", "Y{id}_{start}.m4a", "deep/er/{id}.m4a"]
    rows["train"] = [(i, f"-tr_{i:07d}", 30 + i, f"A sound, number {i}.") for i in range(12)]
    files[2] = "{row}.flac" if request.param else files[2]
    for number, name, start, _ in rows["train"][:8]:
        write(folder / "audio" / files[number % 5].format(id=name, start=start, row=number), sound(200 + 50 * number))
    (folder / "audio" / "train" / "-tr_0000008.wav").write_text("no audio")  # and the ninth is missing
    write(folder / "audio" / "-tr_0000010.wav", 0 * sound(100))
    write(folder / "audio" / "-tr_0000011.wav", sound(100, 12.0))
    for split in ("val", "test"):
        rows[split] = [(i, f"{split}{i // 5}", 10, f"words {i}") for i in range(20)]
        for number in range(4):
            write(folder / "audio" / f"{split}{number}.wav", sound(300 + 70 * number))
    for split, lines in rows.items():
        write_csv(folder / f"{split}.csv", lines)
    audioset = tmp_path / "AudioSet"
    audioset.mkdir()
    (audioset / "ontology.json").write_text(
        json.dumps([{"id": k, "name": v, "child_ids": []} for k, v in NAMES.items()])
    )
    lines = [
        "# Segments csv created Sun Mar  5 10:54:25 2017",
        "# num_ytids=2",
        "# YTID, start_seconds, end_seconds, positive_labels",
    ]
    ids = list(NAMES)
    for split in rows.values():
        for number, name in enumerate(dict.fromkeys(row[1] for row in split)):
            if name != "-tr_0000007":  # not listed
                lines.append(f'{name}, 30.000, 40.000, "{ids[number % 3]},{ids[(number + 1) % 3]}"')
    (audioset / "unbalanced_train_segments.csv").write_text("\n".join(lines) + "\n")
    return folder


def stage0(corpus: Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "egs/audiocaps/local/data.py", "--audiocaps_dir", str(corpus)]
    command += ["--out", str(corpus.parent / "data"), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("corpus", [False, True], indirect=True)
def test_files_of_all_names_and_formats_are_found(corpus):
    result = stage0(corpus)
    assert result.returncode == 0, result.stderr
    assert "train: 12 clips, 8 found, 1 missing, 3 unfit" in result.stderr
    clips = load_datadir(corpus.parent / "data" / "train")
    assert [clip.id for clip in clips] == [f"Y-tr_{i:07d}_{30 + i}" for i in range(8)]
    assert clips[3].captions == ("a sound, number 3",) and clips[3].labels == (clips[3].id,)
    for number, clip in enumerate(clips):
        spectrum = np.abs(np.fft.rfft(read_clip(clip.path, 16000)[2000:12000] * np.hanning(10000)))
        assert abs(spectrum.argmax() * 1.6 - (200 + 50 * number)) < 2, clip.path
    report = (corpus.parent / "data" / "audio.tsv").read_text().splitlines()
    assert report[0].startswith("split\tclip\tstatus\tfile\t") and len(report) == 1 + 12 + 4 + 4
    assert "train\tY-tr_0000009_39\tmissing\t\t" in report
    status = {line.split("\t")[1]: line.split("\t")[2] for line in report}
    for clip, problem in (
        ("8_38", "not readable"),
        ("10_40", "silent"),
        ("11_41", "12.0 s, more than a seg"),
    ):
        assert problem in status[f"Y-tr_{clip.zfill(10)}"]
    test = load_datadir(corpus.parent / "data" / "test")
    assert [len(clip.captions) for clip in test] == [5] * 4 and test[0].captions[0] == "words 0"
    check = [
        sys.executable,
        "utils/validate_data_dir.py",
        *(corpus.parent / "data" / s for s in ("train", "valid", "test")),
    ]
    assert subprocess.run(check, cwd=ROOT).returncode == 0
    again = stage0(corpus)
    assert "19 known, 0 to read" in again.stderr and "8 found, 1 missing, 3 unfit" in again.stderr
    write(corpus / "audio" / "-tr_0000010.wav", sound(100))
    assert "9 found, 1 missing, 2 unfit" in stage0(corpus).stderr
    (corpus.parent / "longer.yaml").write_text("max_seconds: 20.0")
    longer = stage0(corpus, "--conf", str(ROOT / "egs/audiocaps/conf/data.yaml"), str(corpus.parent / "longer.yaml"))
    assert "10 found, 1 missing, 1 unfit" in longer.stderr  # files are held against other limits


def test_events_come_from_audioset_and_clips_without_are_left_out(corpus):
    result = stage0(corpus, "--audioset_dir", str(corpus.parent / "AudioSet"))
    assert result.returncode == 0 and "1 clips are left out" in result.stderr
    clips = load_datadir(corpus.parent / "data" / "train")
    assert len(clips) == 7
    assert clips[1].events == ("male_speech_man_speaking", "rain") and clips[0].events == ("dog", "rain")
    assert stage0(corpus).returncode == 0
    assert load_datadir(corpus.parent / "data" / "train")[1].events == (clips[1].id,)  # no events of the run before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: (c / "val.csv").unlink(), "val.csv: not found"),
        (lambda c: (c / "test.csv").write_text("a,b\n1,2\n"), "test.csv: has no column audiocap_id, youtube_id"),
        (lambda c: write_csv(c / "test.csv", [(1, "x", "soon", "words")]), "test.csv:2: no youtube_id, start_time"),
        (lambda c: write_csv(c / "test.csv", []), "test.csv: lists no clips"),
        (lambda c: (c / "audio").rename(c / "other"), "audio: not a folder"),
        (lambda c: [f.unlink() for f in (c / "audio").glob("val*")], "valid: 0 of 4 clips have readable audio"),
        (lambda c: (c.parent / "AudioSet" / "ontology.json").write_text("{}"), "not AudioSet's ontology"),
        (lambda c: (c.parent / "AudioSet" / "x_segments.csv").write_text('a, 1, 2, "/m/cow"\n'), "x_segments.csv:1"),
        (lambda c: (c.parent / "AudioSet" / "x_segments.csv").write_bytes(b"\xe9"), "x_segments.csv: not UTF-8"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_and_nothing_written(corpus, damage, message):
    damage(corpus)
    result = stage0(corpus, "--audioset_dir", str(corpus.parent / "AudioSet"))
    assert result.returncode == 1 and message in result.stderr, result.stderr
    assert "README.md" in result.stderr and not (corpus.parent / "data" / "train").exists()


def test_m4a_is_as_long_and_as_loud_as_what_was_encoded(tmp_path):
    write(tmp_path / "a.m4a", sound(440, 2.0))
    clip = read_clip(tmp_path / "a.m4a", 16000)
    assert abs(len(clip) / 16000 - 2.0) < 0.1
    assert abs(np.sqrt(np.mean(clip[4000:-4000] ** 2)) - 0.3 / np.sqrt(2)) < 0.01


def test_half_an_m4a_is_refused(tmp_path):
    """With its index at the front, FFmpeg reads the first half without complaint."""
    write_m4a(tmp_path / "a.m4a", sound(440, 4.0), movflags="faststart")
    whole = (tmp_path / "a.m4a").read_bytes()
    assert len(read_clip(tmp_path / "a.m4a", 16000)) > 3.9 * 16000
    with av.open(str(tmp_path / "a.m4a")) as container:
        packets = [packet.pos + packet.size for packet in container.demux() if packet.size]
    for end, message in ((packets[len(packets) // 2], r"truncated, [12]\.\d+ of 4\.\d+ s"), (len(whole) // 2, "a.m4a")):
        (tmp_path / "a.m4a").write_bytes(whole[:end])
        with pytest.raises(DataError, match=message):
            read_clip(tmp_path / "a.m4a", 16000)


def test_half_a_webm_is_refused_and_a_whole_aac_is_not(tmp_path):
    """WebM announces its length for the whole file; raw AAC has no header, FFmpeg's guess is no announcement."""
    for name, codec in (("a.webm", "libopus"), ("a.aac", "aac")):
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream(codec, rate=48000, layout="mono")
            tone = np.sin(2 * np.pi * 440 * np.arange(4 * 48000) / 48000) * np.repeat([0.5, 0.001], 2 * 48000)
            frame = av.AudioFrame.from_ndarray(tone[None].astype("f"), format="fltp", layout="mono")
            frame.sample_rate = 48000
            resampler = av.AudioResampler(format=stream.format, layout="mono", rate=48000, frame_size=960)
            for part in [*resampler.resample(frame), *resampler.resample(None)] if codec == "libopus" else [frame]:
                for packet in stream.encode(part):
                    container.mux(packet)
            for packet in stream.encode(None):
                container.mux(packet)
        assert abs(len(read_clip(tmp_path / name, 16000)) / 16000 - 4.0) < 0.2
    whole = (tmp_path / "a.webm").read_bytes()
    (tmp_path / "a.webm").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="truncated"):
        read_clip(tmp_path / "a.webm", 16000)


def test_damaged_m4a_and_a_missing_decoder_are_named(tmp_path, monkeypatch):
    (tmp_path / "a.m4a").write_bytes(b"no audio at all")
    with pytest.raises(DataError, match="a.m4a: not readable as audio"):
        read_clip(tmp_path / "a.m4a", 16000)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match=r"pip install 'spclap\[m4a\]'"):
        read_clip(tmp_path / "a.m4a", 16000)


@pytest.mark.slow
def test_the_recipe_runs_to_seld_on_events(corpus, tmp_path):
    """Stages 0 to 2, and a SELD model that is built for clips of several events."""
    overlay, data, dump = tmp_path / "conf", tmp_path / "d", tmp_path / "dump"
    overlay.mkdir()
    shutil.copy(ROOT / "tests" / "tiny_conf" / "simu.yaml", overlay)
    (overlay / "feats.yaml").write_text(
        "{vocab_size: 60, statistics_scenes: 8, clips: {max_silence: null, dtype: int16}}"
    )
    command = ["./run.sh", "--corpus", "audiocaps", "--audiocaps_dir", corpus, "--audioset_dir", tmp_path / "AudioSet"]
    command += ["--datadir", data, "--dumpdir", dump, "--conf_overlay", overlay, "--stop_stage", "2"]
    environment = {**os.environ, "SPCLAP_PYTHON": sys.executable}
    result = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-3000:]
    train = ["spclap.bin.train", "--run", "concat_seld", "--data", data, "--dump", dump]
    result = run(*train, "--exp", tmp_path / "exp", "--", "--dry_run", "true")
    assert result.returncode == 0 and "out_features=9" in result.stderr, result.stderr[-3000:]  # 3 numbers, 3 events
