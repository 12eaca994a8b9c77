"""Stage 5: score every trained model of a folder, with intervals, paired differences and pictures."""

import argparse
import json
import logging
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from spclap.bin import environment, require_gpus, run_main
from spclap.data.config import load_config
from spclap.data.files import atomic_write_text
from spclap.data.lock import lock_folder
from spclap.data.stamp import digest, require_dump, scenes_digest
from spclap.errors import DataError
from spclap.evaluate import plots
from spclap.evaluate.ceilings import CEILINGS, ceilings
from spclap.evaluate.protocols import Embeddings, assignment, direction, require_finite, retrieval
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
)
from spclap.evaluate.seld import seld_outcomes
from spclap.scene.corpus import Corpus
from spclap.scene.directions import DIRECTIONS

PROTOCOL = {
    "retrieval": "queries are all scenes of one size; texts, their captions, each once; right is every caption that is "
    "true of a recording: what is at each direction has that caption among its own, or that label",
    "direction": "known contents; 5 captions for one source, 25 ordered direction pairs for two",
    "assignment": "captions of all permutations of the scene; right when the true one alone is best",
    "interval": "95%, over recordings: scenes that share one hang together",
    **CEILINGS,
}


FIXED_AT_ONCE = 32  # scenes that are encoded together


class Scorer:
    """Outcomes per scene of one model on all fixed test sets of a corpus."""

    def __init__(self, folder: Path, corpus: Corpus, ngpu: int = 0):
        from spclap.engine.trained import load_training

        self.folder, self.corpus = folder, corpus
        self.model, self.args = load_training(folder, corpus, ngpu)
        self.outcomes: dict[str, np.ndarray] = {}

    @torch.no_grad()
    def run(self) -> dict[str, np.ndarray]:
        """Metric name -> outcomes: bool per scene, or ranks for `rank_*`."""
        for size in self.corpus.fixed_counts("test"):
            vectors, scenes = self._vectors(size)
            if hasattr(self.model, "seld"):
                found = seld_outcomes(scenes, vectors, self.model.classes_of)
                self.outcomes.update(
                    {f"{name}_{size}src": value for name, value in found.items() if size < 3 or name != "direction"}
                )
            else:
                self._score_clap(size, scenes, vectors)
        return self.outcomes

    def _vectors(self, size: int) -> tuple[np.ndarray, list]:
        """What the model makes of each scene: audio vectors, or azimuth vectors of SELD."""
        from spclap.engine.iterators import FixedScenes, moved
        from spclap.engine.scene_task import frozen_content

        fixed = FixedScenes(self.corpus, "test", [size], FIXED_AT_ONCE, frozen_content(self.args))
        rows, scenes, device = [], [], next(self.model.parameters()).device
        for index in tqdm(range(len(fixed)), desc=f"{self.folder.name} {size}src"):
            batch = moved(fixed[index][1], device)
            stereo = self.model.stereo(batch)
            if hasattr(self.model, "seld"):
                rows.append(self.model.seld(stereo)[1])
            else:
                rows.append(self.model.clap.embed_audio(stereo, batch.get("content")))
            scenes += batch["scenes"]
        vectors, table = require_finite(torch.cat(rows).cpu().numpy(), "audio"), self.corpus.fixed("test", size)
        if len(vectors) != len(table) or scenes != table:
            raise DataError(
                f"{self.folder}: {len(vectors)} vectors of {len(scenes)} scenes, the table has {len(table)}"
            )
        return vectors, scenes

    def _score_clap(self, size: int, scenes: list, audio: np.ndarray) -> None:
        embeddings = Embeddings(self.model.clap)
        embeddings.add(scenes, audio)
        a2t, t2a, similarity = retrieval(embeddings)
        self.outcomes.update({f"rank_a2t_{size}src": a2t, f"rank_t2a_{size}src": t2a})
        images = self.folder / "images"
        images.mkdir(exist_ok=True)
        plots.similarity_matrix(similarity, images / f"similarity_{size}src.png")
        if size <= 2:
            correct, confusion = direction(embeddings)
            self.outcomes[f"direction_{size}src"] = correct
            plots.direction_confusion(confusion, list(DIRECTIONS), images / f"direction_{size}src.png")
        if size >= 2:
            self.outcomes[f"assignment_{size}src"] = assignment(embeddings)


def score(folder: Path, corpus: Corpus, common: dict, ngpu: int) -> Values:
    """Values per scene of a model; those of an earlier scoring if nothing has changed."""
    made_from = {
        "model": digest(folder / "done.json"), "scenes": scenes_digest(corpus.data),
        "dump": digest(corpus.dump / "done.json"), "protocol": PROTOCOL, "tag": folder.name, **common,
    }  # fmt: skip
    path = folder / "scores.json"
    old = read_scored(path)
    if {key: old.get(key) for key in made_from} == made_from:
        logging.info("%s: scored before", folder)
        return load_values(folder)[0]
    with lock_folder(folder):
        path.unlink(missing_ok=True)
        values = figures(Scorer(folder, corpus, ngpu).run())
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
        (row["tag"], int(row["metric"][-4]), row["value"], row["low"], row["high"])
        for row in rows
        if row["metric"].startswith("assignment") and "-" not in row["tag"]
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
    from spclap.engine.trained import history, same_dump, task_of, trained_folders

    require_gpus(args.ngpu)
    conf, corpus = load_config(ScoreConf, *args.conf), Corpus(args.data, args.dump)
    require_dump(args.data, args.dump)
    folders = [folder for folder in trained_folders(args.exp) if task_of(folder) in ("seld", "clap")]
    if not folders:
        raise DataError(f"{args.exp}: no trained model; run stages 3 and 4 (train) first")
    common, scenes = {"corpus": args.corpus, "seed": args.seed}, scenes_digest(args.data)
    fixed = {size: corpus.fixed("test", size) for size in corpus.fixed_counts("test")}
    test, values = (
        FixedSet({size: corpus.recordings(own) for size, own in fixed.items()}),
        kept_values(args.exp, scenes),
    )
    for folder in folders:
        if not same_dump(folder, args.dump):
            logging.warning("%s was trained before %s was made anew; rerun stages 3 and 4", folder, args.dump)
        values[folder.name] = score(folder, corpus, common, args.ngpu)
    rows = []
    for tag, own in values.items():
        rows += (results := test.rows(tag, own, common))
        add_results(args.exp / tag, results)
    rows += test.difference_rows(values, pairs_of(values, conf.pairs), common)
    draw(args.exp, rows, {folder.name: history(folder) for folder in folders if task_of(folder) == "clap"})
    for own in fixed.values():
        for tag, found in ceilings(own, corpus.bank("test")).items():
            exact = {metric: dict.fromkeys(("value", "low", "high"), scenes.mean()) for metric, scenes in found.items()}
            rows += [{"tag": tag, "metric": m, "n": len(own), **figure, **common} for m, figure in exact.items()]
    merge_results(args.results, rows + pooled_rows(args.exp.parent, args.corpus, scenes, test, conf.pairs))


if __name__ == "__main__":
    run_main(main)
