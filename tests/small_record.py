"""A frozen set and a record of its scoring that no model made, with texts that would break a page."""

import numpy as np

from spclap.evaluate.frozen import SceneSet, write_frozen
from spclap.model.folders import SUMS, sha256
from spclap.scene.scene import Scene, Source

HOSTILE = """<script>alert("x")</script>"><img src=x onerror='alert(1)'> a|b & {{ 7 * 7 }}"""
FIRST, SECOND = "exp/<b>mini</b>/scl", "my:model"
METRICS = ["r1_a2t_1src", "direction_1src", "r1_a2t_2src", "assignment_2src"]


class Noise(SceneSet):
    def waves(self, rows):
        rng = np.random.default_rng(len(self.name) + rows.start)
        return rng.uniform(-0.5, 0.5, (1, 2, 800)).astype("float32")


def scene(id, *sources) -> Scene:
    made = (Source(f"c-{words[:1]}", words, ("l",), 0, where, 0.0, 0.0, 0.0) for words, where in sources)
    return Scene(id, "room", tuple(made))


def write_set(folder) -> None:
    """Two scenes of one source and one of two, with noise."""
    one = [scene("1src-0", (HOSTILE, "left")), scene("1src-1", ("a dog", "front"))]
    two = [scene("2src-0", ("a dog", "front"), ("rain", "right"))]
    sets = [
        Noise(f"{n}src", own, [("a",)] * len(own), [f"arr<i>{len(own)}</i>"] * len(own), [{}] * len(own))
        for n, own in enumerate((one, two), 1)
    ]
    write_frozen(folder, sets, [], {})


def figures(start: float) -> dict:
    """Figures that all differ, of 3 to 90%."""
    return {
        metric: {"value": start + 7 * i, "low": start + 7 * i - 2.25, "high": start + 7 * i + 4.13, "n": 60}
        for i, metric in enumerate(METRICS)
    }


def model(start: float) -> dict:
    points = ["+2 to +6 dB", "-12 to -6 dB", "-6 to -2 dB"]
    under = {m: figures(start + 16.9)[m] for m in ("direction_1src", "assignment_2src")}
    return {
        "figures": figures(start),
        "controls": {"mono": under, "exchanged": {m: figures(start + 1.7)[m] for m in under}},
        "curves": {
            "level": {point: {**figures(start + 3 * i)["r1_a2t_1src"], "n": 11 + i} for i, point in enumerate(points)},
            "array": {"ortf": figures(start)["assignment_2src"]},
        },
        "confusion": [[i * 5 + j + int(start) for j in range(5)] for i in range(5)],
        "ranked": {
            "1src-0": [["a dog in front", 0.91234], [f"{HOSTILE} on the left side", 0.5]],
            "1src-1": [["a dog in front", 0.8], ["rain in front", 0.1]],
            "2src-0": [["a dog in front", 0.7]],
        },
    }


def record_of(frozen) -> dict:
    """What a scoring of two models on that set could leave."""
    difference = {"first": FIRST, "second": SECOND, "n": 60}
    return {
        "format": 1,
        "about": {"scenes": str(frozen), "sha256": sha256(frozen / SUMS), "protocol": {"rank_a2t": "how <it> is asked"},
                  "environment": {"command": "spclap score <x>"}},
        "sets": [{"name": "1src", "scenes": 2, "arrays": ["ortf"]}, {"name": "2src", "scenes": 1, "arrays": ["a<b>"]}],
        "warnings": [f"{FIRST}: direction_1src of control mono is above chance"],
        "models": {FIRST: model(31.3), SECOND: model(12.6)},
        "differences": [
            {**difference, "metric": "direction_1src", "value": 5.5, "low": 1.1, "high": 9.9},
            {**difference, "metric": "assignment_2src", "value": 4.4, "low": -1.2, "high": 8.8},
        ],
    }  # fmt: skip
