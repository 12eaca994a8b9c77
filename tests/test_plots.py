"""Pictures: readable PNG files, written whole or not at all."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from spclap.errors import DataError
from spclap.evaluate import plots

NAMES = ["left", "front-left", "front", "front-right", "right"]
BARS = [(tag, size, 60.0, 55.0, 64.0) for size in (2, 3) for tag in ("single", "scl")]


def history(epochs):
    return [{"epoch": epoch, "train_loss": 3 / epoch, "valid_score": 10.0 * epoch} for epoch in range(1, epochs + 1)]


@pytest.fixture
def figures(monkeypatch):
    """Every figure that was saved."""
    saved, savefig = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *a, **k: (saved.append(self), savefig(self, *a, **k))[1])
    return saved


def test_training_curves_have_a_line_per_model_and_whole_epochs(tmp_path, figures):
    assigned = [{**entry, "valid_assignment_2src": 60.0} for entry in history(1)]
    plots.training_curves({"seld": history(13), "scl": assigned}, tmp_path / "a.png")
    loss, score, assignment = figures[0].axes
    assert [line.get_label() for line in loss.lines] == ["seld", "scl"]
    np.testing.assert_allclose(loss.lines[0].get_ydata(), [3 / epoch for epoch in range(1, 14)])
    np.testing.assert_allclose(score.lines[0].get_ydata(), [10.0 * epoch for epoch in range(1, 14)])
    np.testing.assert_allclose(assignment.lines[0].get_ydata(), [60])
    assert all(tick == int(tick) for axis in figures[0].axes for tick in axis.get_xticks())
    assert imread(tmp_path / "a.png").shape[1] > 600


def test_direction_confusion_shows_percent_of_each_true_direction(tmp_path, figures):
    matrix = np.array([[3, 1, 0, 0, 0], [0, 4, 0, 0, 0], [0, 0, 0, 0, 0], [2, 0, 0, 2, 0], [0, 0, 0, 0, 7]])
    plots.direction_confusion(matrix, NAMES, tmp_path / "a.png")
    axis = figures[0].axes[0]
    texts = np.array([text.get_text() for text in axis.texts]).reshape(5, 5)
    assert texts[0].tolist() == ["75", "25", "0", "0", "0"] and texts[2].tolist() == ["0"] * 5
    assert [label.get_text() for label in axis.get_yticklabels()] == NAMES
    assert axis.get_xlabel() == "chosen direction" and "19" in axis.get_title()


def test_similarity_matrix_shows_the_matrix(tmp_path, figures):
    similarity = np.random.default_rng(0).standard_normal((7, 7))
    plots.similarity_matrix(similarity, 40, tmp_path / "a.png")
    np.testing.assert_array_equal(figures[0].axes[0].images[0].get_array(), similarity)
    assert figures[0].axes[0].get_title() == "Similarity, 7 of a gallery of 40"


def test_places_have_a_point_for_all_that_was_told_there(tmp_path, figures):
    rows = [
        ("17 cm", "its own", "direction_1src", 90.0, 85.0, 94.0),
        ("17 cm", "its own", "assignment_2src", 80.0, 70.0, 85.0),
        ("XY", "its own", "direction_1src", 80.0, 75.0, 84.0), ("XY", "its own", "assignment_2src", 75.0, 70.0, 79.0),
        ("XY", "ortf", "direction_1src", 40.0, 35.0, 44.0), ("XY", "ortf", "assignment_2src", 55.0, 50.0, 60.0),
    ]  # fmt: skip
    plots.places_told(rows, tmp_path / "a.png")
    one, two = figures[0].axes
    assert [axis.get_title() for axis in (one, two)] == ["direction_1src", "assignment_2src"]
    assert [label.get_text() for label in one.get_yticklabels()] == ["17 cm", "XY"]
    own, told = (container.lines[0] for container in two.containers)
    assert list(own.get_xdata()) == [80, 75] and list(told.get_xdata()) == [55] and round(told.get_ydata()[0]) == 1
    bars = two.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose([bar[:, 0] for bar in bars], [[70, 85], [70, 79]])
    plots.places_told([*rows, ("four", "its own", "assignment_4src", 20, 15, 25)], tmp_path / "b.png")
    assert [len(axis.containers) for axis in figures[1].axes] == [2, 2, 2]
    assert [len(bars.lines[0].get_xdata()) for bars in figures[1].axes[2].containers] == [1, 0]


def test_assignment_bars_show_values_intervals_and_chance(tmp_path, figures):
    plots.assignment_bars(BARS, tmp_path / "a.png")
    for axis, chance in zip(figures[0].axes, (50, 100 / 6), strict=True):
        assert [bar.get_width() for bar in axis.patches] == [60, 60]
        assert [text.get_text() for text in axis.texts] == ["60.0", "60.0"]
        (errors,) = [lines for lines in axis.collections if len(lines.get_segments()) == 2]
        np.testing.assert_allclose([segment[:, 0] for segment in errors.get_segments()], [[55, 64]] * 2)
        (line,) = [line for line in axis.lines if line.get_label() == "chance"]
        np.testing.assert_allclose(line.get_xdata(), chance)


def test_nothing_to_draw_is_no_picture(tmp_path):
    plots.assignment_bars([], tmp_path / "a.png")
    plots.training_curves({}, tmp_path / "b.png")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_save_leaves_the_old_picture_and_no_other_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(figure, target, **options):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(DataError, match="a.png.*No space"):
        plots.assignment_bars(BARS, path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
