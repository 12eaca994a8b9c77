"""What sounds where, window by window, of vectors that are known."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.special import softmax
from small_clap import ANY_ARRAY, small_clap

from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.listening import Heard
from spclap.space.directions import DIRECTIONS
from spclap.timeline import LEAST, LETTER, LINES, Cell, Stretch, caption, fitting, picture, stretches

LABELS = ["a dog", "rain", "a bell"]


class Known(SpatialCLAP):
    """A model whose words are axes: label k at direction d is the k-th number of block d. It hears `vectors`."""

    clap, logit_scale = SimpleNamespace(has_blocks=True), 10.0

    def __init__(self, *vectors):
        self.vectors = vectors

    def embed_text(self, captions):
        assert captions[:2] == ["a dog on the left side", "a dog in the front-left"]
        return np.eye(15).reshape(5, 3, 15).transpose(1, 0, 2).reshape(15, 15)

    def windows(self, recording, window, hop, sampling_rate, array):
        for number, vector in enumerate(self.vectors):
            yield Heard(number, number + 1.5, vector, 1.0, vector is not None and vector[0] >= 0)


def vector(**blocks) -> np.ndarray:
    """Numbers of each block, by direction, of unit length."""
    rows = np.array([blocks.get(direction.replace("-", "_"), [0, 0, 0]) for direction in DIRECTIONS], dtype=float)
    return (rows / np.linalg.norm(rows)).ravel()


def test_a_cell_is_what_sounds_there():
    both = vector(left=[0.8, 0.2, 0], front_right=[0, 0.1, 0.7], right=[0.1, 0, 0])
    cells = list(Known(both, None, -both).timeline("a.wav", LABELS))
    assert [cell.direction for cell in cells] == 3 * list(DIRECTIONS)
    assert [(cell.start, cell.end) for cell in cells[::5]] == [(0, 1.5), (1, 2.5), (2, 3.5)]
    assert [cell.label for cell in cells[:5]] == ["a dog", None, None, "a bell", None]
    assert all(cell.label is cell.score is None for cell in cells[5:])  # silence; noise
    assert cells[0].score == pytest.approx(softmax(10 * both[:3])[0])
    assert cells[3].score == pytest.approx(softmax(10 * both[9:12])[2])


def test_windows_that_go_on_are_one_box():
    rows = [(0, "a dog", 0.8), (1, "a dog", 0.6), (2, None, None), (3, "a dog", 0.5), (4, "rain", 0.4)]
    cells = [Cell(t, t + 2.0, "front", label, score) for t, label, score in rows]
    assert stretches(cells) == [
        Stretch(0, 2, "front", "a dog", pytest.approx(0.7)),
        Stretch(3, 4, "front", "a dog", 0.5),
        Stretch(4, 6.0, "front", "rain", 0.4),
    ]


def test_a_real_model_fills_what_it_hears(tmp_path):
    model, rng = small_clap(tmp_path, ANY_ARRAY), np.random.default_rng(0)
    plain = 0.1 * rng.standard_normal(16000)
    x = np.concatenate([np.stack([plain, np.roll(plain, 4)]), np.zeros((2, 16000))], axis=1).astype("f")
    cells = list(model.timeline(x, LABELS, sampling_rate=16000))
    heard = model.embed_audio(x[:, :16000], 16000)[0]
    shares = np.square(heard.reshape(5, -1)).sum(axis=1)
    assert [cell.label is not None for cell in cells] == [*(shares >= LEAST), *5 * [False]]
    for cell in cells[:5]:
        if cell.label:
            best = model.classify(x[:, :16000], LABELS, cell.direction, sampling_rate=16000)[0]
            assert (cell.label, cell.score) == (best["label"], pytest.approx(best["score"], abs=1e-6))
    with pytest.raises(DataError, match="no block for each direction"):
        list(small_clap(tmp_path).timeline(x, LABELS, sampling_rate=16000))


def test_cells_make_a_caption():
    heard = vector(left=[0.8, 0.2, 0], front_right=[0, 0.1, 0.7])
    found = list(Known(heard).timeline("a.wav", LABELS))
    assert caption(found) == "a dog on the left side, and a bell in the front-right"
    assert caption(found[1:3]) == ""


def test_a_model_without_a_captioner_names_what_it_knows(tmp_path):
    model, plain = small_clap(tmp_path / "text", ANY_ARRAY), 0.1 * np.random.default_rng(0).standard_normal(16000)
    x = np.stack([plain, np.roll(plain, 4)]).astype("f")
    model.folder, model.about = tmp_path, {}
    with pytest.raises(DataError, match="config.yaml: not found"):  # neither
        model.caption(x, 16000)
    (tmp_path / "vocabulary.txt").write_text("\n".join(LABELS))
    expected = caption(model.timeline(x, LABELS, sampling_rate=16000))
    assert expected and model.caption(x, 16000) == [expected]
    assert [text for *_, text in model.caption_windows(x, sampling_rate=16000)] == [expected]


def test_words_fit_their_box_or_stay_out():
    for label in ("a dog", "a circular saw cuts wood", "thunderstorms"):
        for inches in np.arange(0.05, 3, 0.05):
            lines = fitting(label, inches).splitlines()
            assert len(lines) <= LINES and all(len(line) * LETTER <= inches for line in lines)
            assert not lines or " ".join(lines) == label
        assert fitting(label, 3) == label and fitting(label, 0.1) == ""


@pytest.mark.parametrize("seconds", [1, 21, pytest.param(3600, marks=pytest.mark.slow)])
def test_pictures_of_any_length(tmp_path, seconds):
    from matplotlib.image import imread

    cells = [
        Cell(t, t + 1.0, direction, f"$so\\und$ {t % 7}" if (t + k) % 3 else None, 0.5)
        for t in range(seconds)
        for k, direction in enumerate(DIRECTIONS)
    ]
    picture(cells, r"a$\\frac$.wav", tmp_path / "a.png")
    height, width, _ = imread(tmp_path / "a.png").shape
    assert width == 1500 and height <= 6500
    image = imread(tmp_path / "a.png")[:, :, :3]
    assert 0.01 < (image.min(axis=2) < 0.98).mean() < 0.9
