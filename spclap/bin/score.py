"""Stage 5: score every trained model of a folder, with intervals, paired differences and pictures."""

import argparse
import json
import logging
import re
from pathlib import Path

import numpy as np
import torch

from spclap.bin import environment, require_gpus, run_main
from spclap.data.config import load_config
from spclap.data.files import atomic_write_text
from spclap.data.lock import lock_folder
from spclap.data.stamp import corpus_digest, digest, require_corpus, scenes_digest
from spclap.errors import DataError
from spclap.evaluate import plots
from spclap.evaluate.ceilings import CEILINGS, ceilings
from spclap.evaluate.results import (
    FixedSet,
    ScoreConf,
    Values,
    figures,
    kept_values,
    load_values,
    merge_results,
    pairs_of,
    pooled_rows,
    read_scored,
    save_values,
    set_name,
)
from spclap.scene.conf import CLEAN
from spclap.scene.corpus import Corpus

PROTOCOL = {
    "retrieval": "queries are all scenes of one size; texts, their captions, each once; right is every caption that is "
    "true of a recording: what is at each direction has that caption among its own, or that label",
    "direction": "known contents; 5 captions for one source, 25 ordered direction pairs for two",
    "assignment": "captions of all permutations of the scene; right when the true one alone is best",
    "real": "what ends in it: scenes with pauses, noise and levels further apart, the `real` sounds of conf/simu.yaml",
    "reworded": "what begins with it: asked in words, orders of clauses and hours of the clock that training never has",
    "interval": "95%, over recordings: scenes that share one hang together",
    **CEILINGS,
}


@torch.no_grad()
def outcomes(folder: Path, corpus: Corpus, ngpu: int, known: dict | None = None) -> dict[str, np.ndarray]:
    """Metric -> outcome of each fixed test scene, bool or rank for `rank_*`, of one model.

    Args: known, what other models have read before, see `FrozenLayers`.
    """
    from spclap.engine.trained import load_training

    model, _ = load_training(folder, corpus, ngpu)
    model.remember({} if known is None else known)
    (folder / "images").mkdir(exist_ok=True)
    logging.info("scoring %s", folder)
    parts = [model.outcomes(corpus, *which, folder / "images") for which in fixed_sets(corpus)]
    return {metric: values for part in parts for metric, values in part.items()}


def fixed_sets(corpus: Corpus) -> list[tuple[int, str]]:
    """Numbers of sources and sounds of the fixed test scenes."""
    return [(size, sounds) for sounds in corpus.simu.scenes.fixed for size in corpus.fixed_counts("test", sounds)]


def score(folder: Path, corpus: Corpus, common: dict, ngpu: int, known: dict) -> Values:
    """Values per scene of a model; those of an earlier scoring if nothing has changed."""
    made_from = {
        "model": digest(folder / "done.json"), "scenes": scenes_digest(corpus.data),
        "corpus_digest": corpus_digest(corpus.data, corpus.dump), "protocol": PROTOCOL, "tag": folder.name, **common,
    }  # fmt: skip
    path = folder / "scores.json"
    old = read_scored(path)
    if {key: old.get(key) for key in made_from} == made_from:
        logging.info("%s: scored before", folder)
        return load_values(folder)[0]
    with lock_folder(folder):
        path.unlink(missing_ok=True)
        values = figures(outcomes(folder, corpus, ngpu, known))
        save_values(folder, values, made_from["scenes"])
        about = {**made_from, "outcomes": digest(folder / "outcomes.npz"), **environment()}
        atomic_write_text(path, json.dumps(about, indent=1) + "\n")
    logging.info("%s: scored", folder)
    return values


def add_results(folder: Path, rows: list[dict]) -> None:
    """The figures in scores.json of a model, beside what they were made from."""
    path = folder / "scores.json"
    about = json.loads(path.read_text(encoding="utf-8"))
    if about.get("results") != rows:
        atomic_write_text(path, json.dumps({**about, "results": rows}, indent=1) + "\n")


def draw(exp: Path, rows: list[dict], histories: dict[str, list[dict]]) -> None:
    """Pictures that compare models."""
    (exp / "images").mkdir(exist_ok=True)
    bars = [
        (row["tag"], int(found[1]), row["value"], row["low"], row["high"])
        for row in rows
        if (found := re.fullmatch(r"assignment_(\d)src", row["metric"])) and "-" not in row["tag"]
    ]
    plots.assignment_bars(bars, exp / "images" / "assignment.png")
    plots.training_curves(histories, exp / "images" / "training_curves.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data/<corpus>")
    parser.add_argument("--dump", type=Path, required=True, help="dump/<corpus>")
    parser.add_argument("--exp", type=Path, required=True, help="folder whose subfolders are models")
    parser.add_argument("--results", type=Path, required=True, help="results.json of all corpora, added to")
    parser.add_argument("--corpus", required=True, help="name of the corpus, written beside the figures")
    parser.add_argument("--seed", type=int, default=0, help="training seed, written beside the figures")
    parser.add_argument("--conf", type=Path, nargs="+", required=True, help="YAML files, later ones on top")
    parser.add_argument("--ngpu", type=int, default=0, help="1: encode on a GPU")
    args = parser.parse_args()
    from spclap.engine.trained import history, same_corpus, scored_folders, task_of

    require_gpus(args.ngpu)
    conf, corpus = load_config(ScoreConf, *args.conf), Corpus(args.data, args.dump)
    require_corpus(args.data, args.dump)
    folders = scored_folders(args.exp)
    if not folders:
        raise DataError(f"{args.exp}: no trained model; run stages 3 and 4 (train) first")
    common, scenes = {"corpus": args.corpus, "seed": args.seed}, scenes_digest(args.data)
    fixed = {which: corpus.fixed("test", *which) for which in fixed_sets(corpus)}
    test, values = (
        FixedSet({set_name(*which): corpus.recordings(own) for which, own in fixed.items()}),
        kept_values(args.exp, scenes),
    )
    known: dict = {}
    for folder in folders:
        if not same_corpus(folder, corpus):
            logging.warning("%s was trained before %s was made anew; rerun stages 3 and 4", folder, args.data)
        values[folder.name] = score(folder, corpus, common, args.ngpu, known)
    rows = []
    for tag, own in values.items():
        rows += (results := test.rows(tag, own, common))
        add_results(args.exp / tag, results)
    rows += test.difference_rows(values, pairs_of(values, conf.pairs), common)
    draw(args.exp, rows, {folder.name: history(folder) for folder in folders if task_of(folder) == "clap"})
    for own in (own for (_, sounds), own in fixed.items() if sounds == CLEAN):
        for tag, found in ceilings(own, corpus.bank("test")).items():
            exact = {metric: dict.fromkeys(("value", "low", "high"), scenes.mean()) for metric, scenes in found.items()}
            rows += [{"tag": tag, "metric": m, "n": len(own), **figure, **common} for m, figure in exact.items()]
    merge_results(args.results, rows + pooled_rows(args.exp.parent, args.corpus, scenes, test, conf.pairs))


if __name__ == "__main__":
    run_main(main)
