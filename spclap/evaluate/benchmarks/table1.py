"""The protocols of the paper's Table 1, beside the paper's figures."""

import logging
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spclap.data.config import load_config
from spclap.data.datadir import load_datadir
from spclap.evaluate import markdown
from spclap.evaluate.embedder import Embedder, OfClap
from spclap.evaluate.figures import Values, mean_over_seeds
from spclap.evaluate.frozen import RenderedSet
from spclap.evaluate.intervals import Clusters, shown
from spclap.evaluate.protocols import Embeddings, assignment, captions_of_clips, direction, own_retrieval
from spclap.scene.corpus import Corpus
from spclap.scene.grid import Grid


@dataclass(frozen=True)
class Table1Conf:
    """conf/table1.yaml."""

    seed: int
    protocol: str
    captions: str
    columns: list[str]
    rows: list[dict]  # name; model and fusion that are this row; paper: column -> figure


def observations(grid: Grid, metric: str) -> list[tuple[str, ...]]:
    """The recordings that each value of a metric is made of: of a clip, a pair or a triple."""
    if metric.endswith(("_fixed", "_captions")):
        return [(clip.source,) for clip in grid.clips]
    size = int(re.search(r"_(\d)src", metric)[1])
    return [tuple(clip.source for clip in group) for group in grid.groups(size)]


def figure(grid: Grid, values: Values, metric: str) -> str:
    """A cell of the table, in percent."""
    return shown(*Clusters(observations(grid, metric)).mean(values[metric], whole=100.0))


def of_groups(outcomes: np.ndarray, groups: int) -> np.ndarray:
    """Outcomes of queries, those of one clip or group after the other -> percent of each."""
    return 100.0 * outcomes.reshape(groups, -1).mean(axis=1)


def score(embedder: Embedder, corpus: Corpus, grid: Grid) -> Values:
    """All columns of Table 1, the mean of each clip, pair or triple, and the retrieval with all captions of a clip."""
    values, text = {}, {}

    def heard(name: str, scenes: list) -> Embeddings:
        sounds = RenderedSet.of(name, scenes, corpus, grid.bank, "test", corpus.simu.scenes.seconds)
        return Embeddings(embedder, text).hear(sounds)

    fixed = heard("fixed RIR", grid.fixed_rir())
    galleries = {"fixed": (fixed, len(grid.clips))}
    for size in (1, 2):
        galleries[f"{size}src_grid"] = (heard(f"{size}src grid", grid.every_direction(size)), len(grid.groups(size)))
    for name, (scenes, groups) in galleries.items():
        for way, ranks in zip(("a2t", "t2a"), own_retrieval(scenes), strict=True):
            values[f"r1_{way}_{name}"] = of_groups(ranks == 0, groups)
    own = np.cumsum([len(clip.captions) for clip in grid.clips])[:-1]  # the captions of a clip are one observation
    a2t, t2a = captions_of_clips(fixed)
    for k in (1, 5, 10):
        values[f"r{k}_a2t_captions"] = 100.0 * (a2t < k)
        values[f"r{k}_t2a_captions"] = np.array([100.0 * (ranks < k).mean() for ranks in np.split(t2a, own)])
    for size in (1, 2, 3):
        scenes = heard(f"{size}src", grid.every_order(3) if size == 3 else grid.one_direction(size))
        if size < 3:
            values[f"direction_{size}src"] = 100.0 * direction(scenes)[0]
        if size > 1:
            values[f"assignment_{size}src"] = of_groups(assignment(scenes), len(grid.groups(size)))
    return values


def rows_of(fusions: dict[str, str], rows: list[dict]) -> dict[str, str]:
    """Model, with its fusion -> the row of the paper's table that it is."""
    known = {(row["model"], row["fusion"]): row["name"] for row in rows}
    keys = {tag: (tag.removeprefix("concat_"), fusion) for tag, fusion in fusions.items()}
    return {tag: known[key] for tag, key in keys.items() if key in known}


def table(
    paper: Table1Conf, names: dict[str, str], models: dict[str, Values], seeds: dict[str, int], grid: Grid
) -> str:
    """Markdown: for each row of the paper's table, its figures and under them those of the model that is that row; then
    those of models that are none."""
    columns, none, lines = paper.columns, "(none)", []
    for name, own in {**{row["name"]: row["paper"] for row in paper.rows}, none: None}.items():
        if own is not None:
            lines.append([name, "paper", 1, *(own.get(column, "-") for column in columns)])
        for tag in (tag for tag in models if names.get(tag, none) == name):
            lines.append([name, tag, seeds[tag], *(figure(grid, models[tag], column) for column in columns)])
    return markdown.table(["row", "of", "seeds", *columns], lines)


def report(scored: dict[str, list[Values]], fusions: dict[str, str], paper: Table1Conf, grid: Grid) -> str:
    """Both tables, with the size of every gallery; of each model the values of its seeds."""
    models = {tag: mean_over_seeds(found) for tag, found in scored.items()}
    rows, seeds = rows_of(fusions, paper.rows), {tag: len(found) for tag, found in scored.items()}
    several = [name for name in next(iter(models.values())) if name.endswith("_captions")]
    counts = dict.fromkeys(str(count(len(clip.captions) for clip in grid.clips)) for count in (min, max))
    clips, pairs, triples = (len(grid.groups(size)) for size in (1, 2, 3))
    lines = [[tag, *(figure(grid, values, name) for name in several)] for tag, values in models.items()]
    return "\n\n".join([
        table(paper, rows, models, seeds, grid),
        f"{clips} clips, {pairs} pairs, {triples} triples. Queries, and captions or recordings that each ranks: fixed "
        f"{clips}, {clips}; 1src_grid {5 * clips}, {5 * clips}; 2src_grid {20 * pairs}, {20 * pairs}; direction_1src "
        f"{clips}, 5; direction_2src {pairs}, 25; assignment_2src {pairs}, 2; assignment_3src {6 * triples}, 6. One "
        f"caption a clip. Intervals: 95%, over recordings. {' '.join(paper.protocol.split())}",
        f"All captions of a clip (LAION's protocol for Clotho): {' '.join(paper.captions.split())} Captions per clip: "
        f"{'-'.join(counts)}; {clips} clips, {sum(len(clip.captions) for clip in grid.clips)} captions; t2a: mean over "
        f"clips of the mean over their captions.",
        markdown.table(["model", *several], lines),
    ])  # fmt: skip


def run(models: dict[str, Embedder], corpus: Corpus, conf: list[Path]) -> tuple[Values, str]:
    """Values, `model/metric`, and the tables; models of one folder name in several folders are seeds."""
    paper = load_config(Table1Conf, *conf)
    grid = Grid(load_datadir(corpus.data / "test"), corpus.bank("test"), paper.seed, [corpus.simu.scenes.rooms])
    values, scored, fusions = {}, defaultdict(list), {}
    for name, embedder in models.items():
        logging.info("scoring %s", name)
        found, tag = score(embedder, corpus, grid), Path(name).name
        scored[tag].append(found)
        values |= {f"{name}/{metric}": own for metric, own in found.items()}
        if isinstance(embedder, OfClap):
            fusions[tag] = embedder.clap.hears["fusion"][0]
    return values, report(scored, fusions, paper, grid)
