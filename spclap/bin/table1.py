"""Score trained models by the protocols of the paper's Table 1, beside the paper's figures."""

import argparse
import json
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spclap.bin import environment, require_gpus, run_main
from spclap.data.config import load_config
from spclap.data.datadir import load_datadir
from spclap.data.files import atomic_write_text
from spclap.data.stamp import corpus_digest, digest, require_corpus, scenes_digest
from spclap.errors import DataError
from spclap.evaluate import markdown
from spclap.evaluate.embedder import OfClap
from spclap.evaluate.intervals import Clusters, shown
from spclap.evaluate.protocols import Embeddings, assignment, captions_of_clips, direction, own_retrieval
from spclap.evaluate.results import Values, mean_over_seeds, read_scored
from spclap.scene.corpus import Corpus
from spclap.scene.grid import Grid

PROTOCOL = 1  # another number when the code below scores otherwise: figures kept by an older one are not used any more


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


def score(model, corpus: Corpus, grid: Grid, what: str) -> Values:
    """All columns of Table 1, the mean of each clip, pair or triple, and the retrieval with all captions of a clip."""
    pack, bank, values = corpus.pack("test"), grid.bank, {}

    def embedded(name: str, scenes: list) -> Embeddings:
        found = Embeddings(OfClap(model.clap))
        found.add(scenes, model.embed_scenes(scenes, pack, bank, corpus.samples, f"{what} {name}"))
        return found

    fixed = embedded("fixed RIR", grid.fixed_rir())
    galleries = {"fixed": (fixed, len(grid.clips))}
    for size in (1, 2):
        galleries[f"{size}src_grid"] = (embedded(f"{size}src grid", grid.every_direction(size)), len(grid.groups(size)))
    for name, (scenes, groups) in galleries.items():
        for way, ranks in zip(("a2t", "t2a"), own_retrieval(scenes), strict=True):
            values[f"r1_{way}_{name}"] = of_groups(ranks == 0, groups)
    own = np.cumsum([len(clip.captions) for clip in grid.clips])[:-1]  # the captions of a clip are one observation
    a2t, t2a = captions_of_clips(fixed)
    for k in (1, 5, 10):
        values[f"r{k}_a2t_captions"] = 100.0 * (a2t < k)
        values[f"r{k}_t2a_captions"] = np.array([100.0 * (ranks < k).mean() for ranks in np.split(t2a, own)])
    for size in (1, 2, 3):
        scenes = embedded(f"{size}src", grid.every_order(3) if size == 3 else grid.one_direction(size))
        if size < 3:
            values[f"direction_{size}src"] = 100.0 * direction(scenes)[0]
        if size > 1:
            values[f"assignment_{size}src"] = of_groups(assignment(scenes), len(grid.groups(size)))
    return values


def kept_score(folder: Path, corpus: Corpus, grid: Grid, ngpu: int) -> dict:
    """`values`, `fusion` and `environment` of a model.

    They stay in its folder as table1.json and are read from there as long as nothing has changed, also when its weights
    are gone; DataError when these are gone and something has changed.
    """
    from spclap.engine.trained import load_training, require_clap

    path = folder / "table1.json"
    made_from = {"scenes": scenes_digest(corpus.data), "grid": grid.seed, "protocol": PROTOCOL}
    if has_weights := (folder / "done.json").is_file():
        made_from.update(model=digest(folder / "done.json"), corpus=corpus_digest(corpus.data, corpus.dump))
    kept = read_scored(path)
    changed = [key for key, value in made_from.items() if kept.get(key) != value]
    if changed and kept and not has_weights:
        raise DataError(f"{path}: of another {' and '.join(changed)}, and no weights are there; leave this model out")
    if changed:
        require_clap(folder)
        model, args = load_training(folder, corpus, ngpu)
        values = {metric: found.tolist() for metric, found in score(model, corpus, grid, str(folder)).items()}
        kept = {**made_from, "fusion": args.fusion, "environment": environment(), "values": values}
        atomic_write_text(path, json.dumps(kept) + "\n")
    return kept


def origins(scored: dict[str, list[dict]], seeds: dict[str, str]) -> str:
    """Markdown: which models were scored by what."""
    models = defaultdict(list)
    for tag, found in scored.items():
        for seed, one in zip(seeds[tag].split("+"), found, strict=True):
            where = "; ".join(f"{key}: {value}" for key, value in one["environment"].items() if key != "command")
            models[where].append(f"{tag} {seed}")
    return "\n".join(f"- scored by {where}: {', '.join(names)}" for where, names in models.items())


def rows_of(fusions: dict[str, str], rows: list[dict]) -> dict[str, str]:
    """Model, with its fusion -> the row of the paper's table that it is."""
    known = {(row["model"], row["fusion"]): row["name"] for row in rows}
    keys = {tag: (tag.removeprefix("concat_"), fusion) for tag, fusion in fusions.items()}
    return {tag: known[key] for tag, key in keys.items() if key in known}


def table(
    paper: Table1Conf, names: dict[str, str], models: dict[str, Values], seeds: dict[str, str], grid: Grid
) -> str:
    """Markdown: for each row of the paper's table, its figures and under them those of the model that is that row."""
    columns = paper.columns
    lines = []
    for row in paper.rows:
        lines.append([row["name"], "paper", 1, *(row["paper"].get(column, "-") for column in columns)])
        for tag in (tag for tag, name in names.items() if name == row["name"]):
            lines.append([row["name"], tag, seeds[tag], *(figure(grid, models[tag], column) for column in columns)])
    return markdown.table(["row", "of", "seeds", *columns], lines)


def report(scored: dict[str, list[dict]], seeds: dict[str, str], paper: Table1Conf, grid: Grid) -> str:
    """Both tables, with the size of every gallery, of what `kept_score` gives for each model and seed."""
    models = {tag: mean_over_seeds([one["values"] for one in found]) for tag, found in scored.items()}
    rows = rows_of({tag: found[0]["fusion"] for tag, found in scored.items()}, paper.rows)
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
        origins(scored, seeds),
    ]) + "\n"  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data/<corpus>")
    parser.add_argument("--dump", type=Path, required=True, help="dump/<corpus>")
    parser.add_argument("--models", type=Path, nargs="+", required=True, help="folders; those of one name are seeds")
    parser.add_argument("--out", type=Path, required=True, help="Markdown, written")
    parser.add_argument("--conf", type=Path, nargs="+", default=[Path("conf/table1.yaml")])
    parser.add_argument("--ngpu", type=int, default=0, help="1: encode on a GPU")
    args = parser.parse_args()
    require_gpus(args.ngpu)
    paper, corpus = load_config(Table1Conf, *args.conf), Corpus(args.data, args.dump)
    require_corpus(args.data, args.dump)
    folders: dict[str, list[Path]] = defaultdict(list)
    for folder in args.models:
        folders[folder.name].append(folder)
    grid = Grid(load_datadir(args.data / "test"), corpus.bank("test"), paper.seed, [corpus.simu.scenes.rooms])
    seeds = {tag: "+".join(f.parent.name.removeprefix("seed") for f in found) for tag, found in folders.items()}
    scored = {tag: [kept_score(folder, corpus, grid, args.ngpu) for folder in found] for tag, found in folders.items()}
    text = report(scored, seeds, paper, grid)
    atomic_write_text(args.out, text)
    print(text)


if __name__ == "__main__":
    run_main(main)
