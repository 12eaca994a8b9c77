"""Captions of the fixed test scenes by trained captioners, scored as in the paper's Table 2: stage 6."""

import logging

import numpy as np

from spclap.evaluate import markdown
from spclap.evaluate.captioning import STATISTICS, BertScore, CaptionConf, TextSimilarity, caption_scores, notes
from spclap.evaluate.description import DEFINITIONS
from spclap.evaluate.figures import Values, pairs_of
from spclap.evaluate.frozen import fixed_sets
from spclap.evaluate.intervals import Clusters, shown
from spclap.scene.caption import from_left_to_right
from spclap.scene.corpus import Corpus
from spclap.scene.scene import Scene

Said = dict[str, dict[str, str]]  # model -> scene id -> caption
SHUFFLED = ", vectors shuffled"  # after the name of a model that speaks of another scene's vector
DETAILS = {
    "bleu4": "BLEU of the whole corpus with n-grams of 1 to 4 words",
    "meteor": "mean over captions",
    "cider": "weights of words from the references of the scenes of that size",
    "bertscore": "F1 without idf and rescaling, best of the references",
    "sbert": "cosine of MiniLM's vectors, best of the references",
    **DEFINITIONS,
}


def references(scene: Scene) -> list[str]:
    """From left to right, the scene's own captions first, then one for each further caption of its clips, all clips
    stepping together."""
    where = [source.direction for source in scene.sources]
    texts = [source.every_caption for source in scene.sources]
    steps = ([text[min(i, len(text) - 1)] for text in texts] for i in range(max(map(len, texts))))
    return [from_left_to_right(list(zip(step, where, strict=True))) for step in steps]


class Truth:
    """The test scenes of a corpus, by their number of sources, with what captions are compared with."""

    def __init__(self, corpus: Corpus, conf: CaptionConf):
        sets = {own.scenes[0].size: own for own in fixed_sets(corpus)}
        self.scenes = {size: own.scenes for size, own in sets.items()}
        self.clusters = {size: Clusters(own.recordings) for size, own in sets.items()}
        self.similarity = TextSimilarity()
        self.bertscore = BertScore(**conf.bertscore) if conf.bertscore else None

    def scores(self, said: dict[str, str]) -> dict[int, Values]:
        """Number of sources -> values per scene."""
        values = {}
        for size, scenes in self.scenes.items():
            sources = [[(source.every_caption, source.direction) for source in scene.sources] for scene in scenes]
            texts, own = [references(scene) for scene in scenes], [said[scene.id] for scene in scenes]
            values[size] = caption_scores(sources, texts, own, self.similarity, self.bertscore)
        return values

    def counts(self, size: int) -> str:
        """Number of references of scenes of that size."""
        counts = [len(references(scene)) for scene in self.scenes[size]]
        return f"{min(counts)}-{max(counts)}" if min(counts) < max(counts) else str(counts[0])


def table(models: dict[str, dict[int, Values]], conf: CaptionConf, truth: Truth) -> str:
    """Markdown in the columns of the paper's Table 2: a line per model and number of sources, then differences."""
    metrics = list(next(iter(next(iter(models.values())).values())))
    lines = []
    for name, sizes in models.items():
        for size, values in sizes.items():
            cells = [_figure(truth.clusters[size], m, values[m]) for m in metrics]
            lines.append([name, size, *cells, len(values[metrics[0]]), truth.counts(size)])
    for first, second in pairs_of(models, conf.pairs):
        for size, values in models[first].items():
            cells = [_figure(truth.clusters[size], m, values[m], models[second][size][m]) for m in metrics]
            lines.append([f"{first}-{second}", size, *cells, "", ""])
    return markdown.table(["model", "sources", *metrics, "n", "references"], lines)


def _figure(clusters: Clusters, metric: str, values: np.ndarray, other: np.ndarray | None = None) -> str:
    """A score, or what it is above that of another model, with its interval."""
    if (statistic := STATISTICS.get(metric)) is None:
        interval = clusters.mean(values) if other is None else clusters.difference(values, other)
    elif other is None:
        interval = clusters.statistic(values, statistic)
    else:
        both = np.stack([values, other], axis=1)
        interval = clusters.statistic(both, lambda rows: statistic(rows[:, 0]) - statistic(rows[:, 1]))
    return shown(*interval, digits=3)


def examples(truth: Truth, said: Said, first: str, values: Values, count: int) -> str:
    """Markdown: scenes of two sources with what every model says, half of them `first`'s best by dw_sbert, half its
    worst."""
    order = np.argsort(values["dw_sbert"], kind="stable")
    count = min(count, len(order))
    chosen = [*order[::-1][: count - count // 2], *order[: count // 2]]
    scenes = [truth.scenes[2][index] for index in chosen]
    lines = [[s.id, references(s)[0], *(captions[s.id] for captions in said.values())] for s in scenes]
    return markdown.table(["scene", "reference", *said], lines)


def report(said: Said, shuffled: Said, corpus: Corpus, conf: CaptionConf, made: str) -> str:
    """All of captions.md.

    Args: said, model -> scene id -> its caption; shuffled, the same of those that spoke of other scenes' vectors too;
    made, how they were.
    """
    truth, missing = Truth(corpus, conf), notes(conf.bertscore)
    for note in missing:
        logging.warning("%s", note)
    models = {}
    for name, captions in said.items():
        models[name] = truth.scores(captions)
        if name in shuffled:
            models[name + SHUFFLED] = truth.scores(shuffled[name])
    parts = [
        table(models, conf, truth),
        "Intervals: 95%, over recordings. References name the sounds from left to right.",
    ]
    metrics = {metric for sizes in models.values() for values in sizes.values() for metric in values}
    parts.append("\n".join(f"- {name}: {words}" for name, words in DETAILS.items() if name in metrics))
    parts += ["\n".join(f"- not computed: {note}" for note in missing)] if missing else []
    parts.append(f"- {made}")
    if 2 in truth.scenes:
        first = next((name for name in conf.control if name in said), next(iter(said)))
        parts.append(f"Scenes of two sources, the best and the worst of {first} by dw_sbert:")
        parts.append(examples(truth, said, first, models[first][2], conf.examples))
    return "\n\n".join(parts) + "\n"
