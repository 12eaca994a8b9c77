"""Stage 6, second half: captions of the fixed test scenes by trained captioners, scored as in the paper's Table 2."""

import argparse
import json
import logging
from pathlib import Path

import numpy as np
import torch

from spclap.bin import run_main
from spclap.data.config import load_config
from spclap.data.datadir import atomic_write_text, load_datadir
from spclap.data.stamp import require_dump
from spclap.errors import DataError
from spclap.evaluate.captioning import TextSimilarity, Values, caption_scores
from spclap.evaluate.description import DEFINITIONS
from spclap.evaluate.metrics import bootstrap, paired_difference, shown
from spclap.scene.caption import caption_at
from spclap.scene.conf import CaptionConf
from spclap.scene.corpus import Corpus
from spclap.scene.scene import Scene

SUFFIX = "_captions"  # of the folder of a captioner, after the name of the model that it listens to


def references(scene: Scene, captions: dict[str, tuple[str, ...]]) -> list[str]:
    """The scene's own caption first, then one for each further caption of its clips, all clips stepping together."""
    where = [source.direction for source in scene.sources]
    texts = [[source.caption, *(c for c in captions[source.clip] if c != source.caption)] for source in scene.sources]
    count = max(map(len, texts))
    return [caption_at([text[min(i, len(text) - 1)] for text in texts], where) for i in range(count)]


class Listener:
    """A trained captioner and the test scenes."""

    def __init__(self, folder: Path, corpus: Corpus, conf: CaptionConf, ngpu: int = 0):
        from spclap.engine.trained import load_training

        self.folder, self.corpus, self.conf = folder, corpus, conf
        self.model, _ = load_training(folder, corpus, ngpu)

    def captions(self, size: int, shuffled: bool) -> tuple[list[Scene], list[str]]:
        """Scenes of `size` sources and what is said of them; `shuffled`: of another scene's vector, a control."""
        corpus, scenes = self.corpus, self.corpus.fixed("test", size)
        sounds = (corpus.pack("test"), corpus.bank("test"), corpus.samples)
        vectors = self.model.embed_scenes(scenes, *sounds, f"{self.folder.name} {size}src")
        if shuffled:
            vectors = vectors[np.random.default_rng(0).permutation(len(vectors))]
        vectors = torch.from_numpy(vectors).to(self.model.clap.logit_scale.device)
        said: list[str] = []
        for first in range(0, len(vectors), 64):
            said += self.model.captioner.generate(vectors[first : first + 64], self.conf.beams, self.conf.max_tokens)
        return scenes, said

    def score(self, similarity: TextSimilarity, shuffled: bool = False) -> tuple[dict[int, Values], list[dict]]:
        """Number of sources -> values per scene, and a record of each scene."""
        known = {clip.id: clip.captions for clip in load_datadir(self.corpus.data / "test")}
        values, records = {}, []
        for size in self.corpus.fixed_counts("test"):
            scenes, said = self.captions(size, shuffled)
            sources = [[(source.caption, source.direction) for source in scene.sources] for scene in scenes]
            texts = [references(scene, known) for scene in scenes]
            values[size] = caption_scores(sources, texts, said, similarity)
            for index, scene in enumerate(scenes):
                figures = {name: float(found[index]) for name, found in values[size].items()}
                records.append(
                    {"scene": scene.id, "sources": size, "references": texts[index], "caption": said[index], **figures}
                )
        return values, records


def table(models: dict[str, dict[int, Values]], conf: CaptionConf) -> str:
    """Markdown in the columns of the paper's Table 2: a line per model and number of sources, then differences."""
    metrics = list(next(iter(next(iter(models.values())).values())))
    lines = ["| model | sources | " + " | ".join(metrics) + " | n |", "|---|---|" + "---|" * (len(metrics) + 1)]
    for name, sizes in models.items():
        for size, values in sizes.items():
            cells = [shown(*bootstrap(values[metric], conf.bootstrap), digits=3) for metric in metrics]
            lines.append(f"| {name} | {size} | " + " | ".join(cells) + f" | {len(values[metrics[0]])} |")
    for first, second in conf.pairs:
        if first in models and second in models:
            for size in models[first]:
                pairs = [(models[first][size][metric], models[second][size][metric]) for metric in metrics]
                cells = [shown(*paired_difference(*pair, conf.bootstrap), digits=3) for pair in pairs]
                lines.append(f"| {first}-{second} | {size} | " + " | ".join(cells) + " | |")
    return "\n".join(lines)


def examples(records: dict[str, list[dict]], count: int) -> str:
    """Markdown: `count` scenes of two sources with what every model says of them, best and worst of the first model."""
    first = next(iter(records.values()))
    chosen = sorted((r for r in first if r["sources"] == 2), key=lambda record: (record["dw_sbert"], record["scene"]))
    chosen = chosen[-(count // 2) :][::-1] + chosen[: count - count // 2]
    by_scene = {name: {record["scene"]: record["caption"] for record in found} for name, found in records.items()}
    head = "| reference | " + " | ".join(records) + " |\n|---|" + "---|" * len(records)
    rows = [
        f"| {record['references'][0]} | " + " | ".join(found[record["scene"]] for found in by_scene.values()) + " |"
        for record in chosen
    ]
    return "\n".join([head, *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data/<corpus>")
    parser.add_argument("--dump", type=Path, required=True, help="dump/<corpus>")
    parser.add_argument("--exp", type=Path, required=True, help="folder whose subfolders are models")
    parser.add_argument("--conf", type=Path, nargs="+", required=True, help="YAML files, later ones on top")
    parser.add_argument("--ngpu", type=int, default=0, help="1: encode and decode on a GPU")
    args = parser.parse_args()
    from spclap.engine.trained import task_of, trained_folders

    conf, corpus = load_config(CaptionConf, *args.conf), Corpus(args.data, args.dump)
    require_dump(args.data, args.dump)
    folders = [folder for folder in trained_folders(args.exp) if task_of(folder) == "caption"]
    if not folders:
        raise DataError(f"{args.exp}: no trained captioner; run stage 6 of run.sh")
    similarity, models, records = TextSimilarity(), {}, {}
    for folder in folders:
        name, listener = folder.name.removesuffix(SUFFIX), Listener(folder, corpus, conf, args.ngpu)
        models[name], records[name] = listener.score(similarity)
        lines = "".join(json.dumps(record) + "\n" for record in records[name])
        atomic_write_text(folder / "captions.jsonl", lines)
        if name == conf.control:
            models[f"{name}, vectors shuffled"] = listener.score(similarity, shuffled=True)[0]
    counts = sorted({len(record["references"]) for found in records.values() for record in found})
    text = table(models, conf)
    text += f"\n\nReferences per scene: {counts[0]}-{counts[-1]}. bleu4 is of the corpus. Intervals: 95%, bootstrap.\n"
    text += "".join(f"- {name}: {words}\n" for name, words in DEFINITIONS.items())
    text += f"\nScenes of two sources, the best and the worst of {next(iter(records))} by dw_sbert:\n\n"
    text += examples(records, conf.examples) + "\n"
    atomic_write_text(args.exp / "captions.md", text)
    logging.info("%s: written", args.exp / "captions.md")
    print(text)


if __name__ == "__main__":
    run_main(main)
