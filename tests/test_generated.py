"""Scores of generated recordings against brute force and simulation."""

import subprocess
import sys

import numpy as np
import pytest

from spclap.errors import DataError
from spclap.evaluate import spatial_clap_score
from spclap.evaluate.intervals import Clusters

FREE = {"torch", "espnet", "espnet2", "pandas", "matplotlib", "transformers"}


def cosine(first: np.ndarray, second: np.ndarray) -> float:
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def drawn(count: int, seed: int = 0, width: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Recordings near their prompts, of many lengths."""
    rng = np.random.default_rng(seed)
    prompts = rng.standard_normal((count, width))
    lengths = rng.uniform(0.1, 9, (2, count, 1))
    return (prompts + rng.standard_normal((count, width))) * lengths[0], prompts * lengths[1]


def test_scores_against_brute_force():
    count = 300  # more than are multiplied at once
    audio, prompts = drawn(count)
    prompts[250:] = prompts[7] * np.linspace(0.3, 3, 50)[:, None]  # one prompt, many recordings
    one = {7, *range(250, count)}
    rng = np.random.default_rng(1)
    exchanged, mono = audio + rng.standard_normal(audio.shape), audio + 2 * rng.standard_normal(audio.shape)
    found = spatial_clap_score(audio, prompts, exchanged=exchanged, mono=mono)
    table = np.array([[cosine(a, p) for p in prompts] for a in audio])
    other = {i: [j for j in range(count) if j != i and not {i, j} <= one] for i in range(count)}
    own, clusters = np.diag(table), Clusters([(str(i),) for i in range(count)])
    expected = {
        "other_prompts": np.array([table[i, other[i]].mean() for i in range(count)]),
        "exchanged": np.array(list(map(cosine, exchanged, prompts))),
        "mono": np.array(list(map(cosine, mono, prompts))),
    }
    assert found.scores == pytest.approx(own) and found.mean == pytest.approx(clusters.mean(own))
    first = np.array([all(own[i] > table[i, j] for j in other[i]) for i in range(count)])
    assert 0.1 < first.mean() < 0.9 and found.recall_at_1 == pytest.approx(clusters.mean(100.0 * first, 100))
    assert found.controls.keys() == expected.keys() and found.warnings == ()
    of_prompts = np.array([table[other[i], i].mean() for i in range(count)])
    for name, control in found.controls.items():
        assert control.scores == pytest.approx(expected[name]) and control.mean == pytest.approx(
            clusters.mean(expected[name])
        )
        shared = of_prompts - of_prompts.mean() if name == "other_prompts" else 0
        assert control.difference == pytest.approx(clusters.mean(own - expected[name] - shared))
        assert control.difference[0] == pytest.approx(found.mean[0] - control.mean[0])
        above = np.mean([a > b for a, b in zip(own, expected[name], strict=True)])
        assert control.above[0] == pytest.approx(100 * above) and 50 < 100 * above
        assert control.above[1] < control.above[0] <= control.above[2]


def test_the_best_may_be_below_zero():
    """Two prompts 20 degrees apart, each with a recording 120 degrees from it and 140 from the other."""
    angles = np.deg2rad([[0, 20], [-120, 140]])
    prompts, audio = np.stack([np.cos(angles), np.sin(angles)], axis=-1)
    found = spatial_clap_score(audio, prompts)
    assert found.scores == pytest.approx(-0.5) and found.recall_at_1[0] == 100


def test_the_mean_over_all_shifts_is_the_control():
    audio, prompts = drawn(9)
    shifts = [[cosine(a, p) for a, p in zip(audio, np.roll(prompts, k, axis=0), strict=True)] for k in range(1, 9)]
    assert spatial_clap_score(audio, prompts).controls["other_prompts"].scores == pytest.approx(np.mean(shifts, axis=0))


def test_the_same_in_both_is_warned_of():
    audio, prompts = drawn(40)
    found = spatial_clap_score(audio, prompts, mono=audio, exchanged=-audio)
    assert len(found.warnings) == 1 and "not above mono" in found.warnings[0]
    assert found.controls["mono"].difference == pytest.approx((0, 0, 0)) and found.controls["mono"].above[0] == 0
    assert "difference 0.000 [0.000, 0.000]" in found.warnings[0]
    unrelated = spatial_clap_score(np.random.default_rng(3).standard_normal(audio.shape), prompts)
    assert len(unrelated.warnings) == 1 and "not above other_prompts" in unrelated.warnings[0]
    seeds = (spatial_clap_score(*drawn(40, seed)[:1], drawn(40, seed + 50)[1]) for seed in range(20))
    by_chance = [x for x in seeds if x.controls["other_prompts"].difference[0] > 0]
    assert 3 < len(by_chance) < 17 and sum(bool(x.warnings) for x in by_chance) >= len(by_chance) - 2
    lower = spatial_clap_score(-audio, prompts)
    assert "not above other_prompts" in lower.warnings[0] and lower.controls["other_prompts"].difference[2] < 0


@pytest.mark.parametrize("matching", [1.0, 0.0])
def test_95_percent_of_differences_hold_the_truth(matching):
    """Prompts have effects of their own, with all recordings (hubs), and with their own or not (`matching`)."""
    rng, held, count, margin = np.random.default_rng(5), 0, 60, 0.1
    for _ in range(300):
        hub = 0.1 * rng.standard_normal(count)
        table = 0.1 * rng.standard_normal((count, 1)) + hub + 0.02 * rng.standard_normal((count, count))
        np.fill_diagonal(table, np.diag(table) + margin - (1 - matching) * hub)
        # Vectors with just these cosines: prompts at right angles, and recordings of the rest in one more dimension.
        rest = np.sqrt(1 - np.square(table / 4).sum(axis=1, keepdims=True))
        audio, prompts = np.hstack([table / 4, rest]), np.eye(count, count + 1)
        _, low, high = spatial_clap_score(audio, prompts).controls["other_prompts"].difference
        held += 4 * low <= margin <= 4 * high
    assert 0.91 <= held / 300 <= 0.985  # 95% within 3 sd


def test_items_made_of_the_same_have_wider_intervals():
    audio, prompts = (np.repeat(x, 4, axis=0) for x in drawn(12))
    audio = audio + 0.01 * np.random.default_rng(2).standard_normal(audio.shape)
    names = [f"prompt {row // 4}" for row in range(48)]
    apart, together = spatial_clap_score(audio, prompts), spatial_clap_score(audio, prompts, groups=names)
    assert apart.mean[0] == together.mean[0]
    assert together.mean[2] - together.mean[0] > 1.8 * (apart.mean[2] - apart.mean[0])
    several = spatial_clap_score(audio, prompts, groups=[(name, "everything") for name in names])
    assert several.mean == pytest.approx(Clusters([(name, "everything") for name in names]).mean(several.scores))
    assert together.mean == pytest.approx(Clusters([(name,) for name in names]).mean(together.scores))
    difference = together.controls["other_prompts"].difference
    assert difference[2] - difference[0] > 0.01


def with_row(vectors: np.ndarray, value: float) -> np.ndarray:
    changed = vectors.copy()
    changed[3] = value
    return changed


@pytest.mark.parametrize("name", ["audio", "prompts", "exchanged", "mono"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:-1], "shape"),
        (lambda x: x[:, :-1], "shape"),
        (lambda x: x[0], "shape"),
        (lambda x: x[None], "shape"),
        (lambda x: with_row(x, 0.0), "vector 3 of 10 is zero"),
        (lambda x: with_row(x, np.nan), "vector 3 of 10 is not finite"),
        (lambda x: with_row(x, np.inf), "vector 3 of 10 is not finite"),
        (lambda x: [["a", "b"]] * 10, "no array of numbers"),
        (lambda x: [[1.0], [1.0, 2.0]], "no array of numbers"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(name, change, message):
    audio, prompts = drawn(10)
    given = {"audio": audio, "prompts": prompts, "exchanged": audio, "mono": audio}
    spatial_clap_score(**given)
    with pytest.raises(DataError, match=message):
        spatial_clap_score(**(given | {name: change(given[name])}))


def test_too_little_to_compare_is_refused():
    audio, prompts = drawn(10)
    for few in (0, 1):
        with pytest.raises(DataError):
            spatial_clap_score(audio[:few], prompts[:few])
    with pytest.raises(DataError, match="all 10 prompts are one"):
        spatial_clap_score(audio, np.repeat(prompts[:1], 10, axis=0))
    with pytest.raises(DataError, match="shape"):
        spatial_clap_score(audio[:, :0], prompts[:, :0])
    with pytest.raises(DataError, match="9 were made of"):
        spatial_clap_score(audio, prompts, groups=["a"] * 9)
    with pytest.raises(DataError, match="nothing of item 4"):
        spatial_clap_score(audio, prompts, groups=["a"] * 4 + [()] + ["b"] * 5)


def test_importing_it_is_cheap():
    """In a process of its own: this one has loaded everything."""
    code = "import sys; from spclap.evaluate import spatial_clap_score; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "spclap.evaluate.generated" in loaded and not FREE & set(loaded)
    alone = subprocess.run(
        [sys.executable, "-c", "import sys, spclap.evaluate; print(*sys.modules)"], capture_output=True, text=True
    )
    assert alone.returncode == 0 and not (FREE | {"numpy", "scipy"}) & set(alone.stdout.split())
