"""The fixed scenes of a corpus as stage 5 asks them: what is found is kept with each model, so that models are paired
and seeds pooled."""

import json
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from spclap.data.files import atomic_write_text
from spclap.data.lock import lock_folder
from spclap.data.stamp import corpus_digest, digest, scenes_digest
from spclap.errors import DataError
from spclap.evaluate import plots
from spclap.evaluate.benchmarks.scenes import ASKED, hardest, plain
from spclap.evaluate.ceilings import CEILINGS, ceilings
from spclap.evaluate.embedder import Embedder
from spclap.evaluate.figures import Figures, Outcomes, Values, check_pairs, figures, pairs_of, pooled_rows, rows_of
from spclap.evaluate.frozen import FixedSet, fixed_sets
from spclap.evaluate.protocols import Embeddings
from spclap.evaluate.record import keep, kept, kept_about, merge_results
from spclap.scene.caption import true_caption
from spclap.scene.conf import CLEAN
from spclap.scene.corpus import Corpus
from spclap.space.directions import DIRECTIONS

PROTOCOL = {
    **ASKED,
    "real": "what ends in it: scenes with pauses, noise and levels further apart, the `real` sounds of conf/simu.yaml",
    **CEILINGS,
}
Scorer = Callable[[Sequence[FixedSet], Path], Outcomes]  # of a model; pictures go into the folder


@dataclass(frozen=True)
class ScoreConf:
    """conf/score.yaml."""

    pairs: list[list[str]]  # tags whose difference is reported, first minus second; the first may be a pattern, scl_*

    def __post_init__(self):
        check_pairs(self.pairs)


def outcomes(embedder: Embedder, sets: Sequence[FixedSet], images: Path) -> Outcomes:
    """All of ASKED of clean scenes, the hardest of others; pictures of similarities and directions."""
    out, text = {}, {}
    for sounds in sets:
        found = Embeddings(embedder, text).hear(sounds)
        if sounds.sounds != CLEAN:
            out |= {f"{metric}_{sounds.sounds}": own for metric, own in hardest(found).items()}
            continue
        own, confusion = plain(found)
        out |= own
        shown = slice(plots.SHOWN)
        similarity = found.similarity(list(map(true_caption, found.scenes[shown])), shown)
        plots.similarity_matrix(similarity, len(found.scenes), images / f"similarity_{sounds.name}.png")
        if confusion is not None:
            plots.direction_confusion(confusion, list(DIRECTIONS), images / f"direction_{sounds.name}.png")
    return out


def score(folder: Path, load: Callable[[], Scorer], sets: Sequence[FixedSet], about: dict, made: dict) -> None:
    """Keep the values of a model, unless they are there and nothing of `about` has changed since; made, how they are
    made besides."""
    about = {"model": digest(folder / "done.json"), "tag": folder.name, **about}
    old = kept_about(folder)
    if {key: old.get(key) for key in about} == about:
        logging.info("%s: scored before", folder)
        return
    with lock_folder(folder):
        (folder / "scores.json").unlink(missing_ok=True)
        logging.info("scoring %s", folder)
        keep(folder, figures(load()(sets, folder / "images")), {**about, **made})
    logging.info("%s: scored", folder)


def all_kept(corpus_folder: Path, scenes: str) -> dict[int, dict[str, Values]]:
    """Seed -> tag -> values of what was kept, of weights that are not there any more too."""
    seeds: dict[int, dict[str, Values]] = {}
    for path in sorted(corpus_folder.glob("seed*/*/scores.json")):
        seed = re.fullmatch(r"seed(\d+)", path.parts[-3])
        if seed is not None and ".old" not in path.parent.name:
            seeds.setdefault(int(seed[1]), {})[path.parent.name] = kept(path.parent, scenes, PROTOCOL)
    return seeds


def limits(sets: Sequence[FixedSet], common: dict) -> list[dict]:
    """Rows of what could be had on clean scenes, without intervals."""
    rows = []
    for own in (own for own in sets if own.sounds == CLEAN):
        for tag, found in ceilings(own.scenes, own.bank).items():
            exact = {m: {**dict.fromkeys(("value", "low", "high"), v.mean()), "n": len(v)} for m, v in found.items()}
            rows += rows_of({tag: exact}, common)
    return rows


def draw(rows: list[dict], path: Path) -> None:
    """A picture that compares models."""
    found = [(row, re.fullmatch(r"assignment_(\d)src", row["metric"])) for row in rows if "-" not in row["tag"]]
    bars = [(row["tag"], int(size[1]), *(row[k] for k in ("value", "low", "high"))) for row, size in found if size]
    plots.assignment_bars(bars, path)


def run(
    exp: Path, models: dict[Path, Callable[[], Scorer]], corpus: Corpus, conf: ScoreConf, results: Path, made: dict
) -> None:  # fmt: skip
    """Score trainings of `exp`, <corpus>/seed<n>, and put all rows into `results`.

    Args: made, what is kept of how they were scored. DataError for another name of `exp`.
    """
    if (named := re.fullmatch(r"seed(\d+)", exp.name)) is None:
        raise DataError(f"{exp}: a folder of trainings is named <corpus>/seed<n>, such as exp/mini/seed0")
    seed, scenes = int(named[1]), scenes_digest(corpus.data)
    common, sets = {"corpus": exp.parent.name, "seed": seed}, fixed_sets(corpus, corpus.simu.scenes.fixed)
    about = {"scenes": scenes, "corpus_digest": corpus_digest(corpus.data, corpus.dump), "protocol": PROTOCOL, **common}
    for folder, load in models.items():
        score(folder, load, sets, about, made)
    test, every = Figures({own.name: own.recordings for own in sets}), all_kept(exp.parent, scenes)
    seeds = {number: {tag: own for tag, own in found.items() if own} for number, found in every.items()}
    trained = [folder.name for folder in models]
    gone = [tag for tag in seeds.get(seed, ()) if tag not in trained and not (exp / tag / "done.json").exists()]
    values = {tag: every[seed][tag] for tag in [*gone, *trained]}
    found = {tag: test.of(own) for tag, own in values.items()}
    for tag in trained:
        add_results(exp / tag, rows_of({tag: found[tag]}, common))
    rows = rows_of({**found, **test.compared(values, pairs_of(values, conf.pairs))}, common)
    draw(rows, exp / "images" / "assignment.png")
    pooled = pooled_rows(seeds, test, conf.pairs, common["corpus"])

    def stale(row: dict) -> bool:
        own = [every.get(row["seed"], {}).get(tag) for tag in row["tag"].split("-")]
        return any(there is not None and row["metric"] not in there for there in own)

    merge_results(results, [*rows, *limits(sets, common), *pooled], stale)


def add_results(folder: Path, rows: list[dict]) -> None:
    """The figures in scores.json of a model, beside what they were made from."""
    if (about := kept_about(folder)).get("results") != rows:
        atomic_write_text(folder / "scores.json", json.dumps({**about, "results": rows}, indent=1) + "\n")
