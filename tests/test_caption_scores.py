"""Scores of captions."""

import os

import numpy as np
import pytest
import torch
from tiny_models import tiny_roberta

from spclap.errors import DataError
from spclap.evaluate import captioning
from spclap.evaluate.captioning import BertScore, TextSimilarity, bleu_counts, caption_scores, corpus_bleu
from spclap.evaluate.intervals import Clusters

SOURCES = [[(["a dog", "an animal"], "left")], [(["rain"], "front"), (["a bell"], "right")]]
TRUTH = [["a dog on the left side", "an animal on the left side"], ["rain in front, and a bell on the right side"]]


@pytest.mark.slow
def test_scores_of_right_and_wrong_captions():
    right = caption_scores(SOURCES, TRUTH, [texts[0] for texts in TRUTH], TextSimilarity())
    for name in ("sbert", "dw_sbert", "spatial_accuracy"):
        np.testing.assert_allclose(right[name], 1, atol=1e-5)
    swapped = ["a dog in front", "rain on the right side, and a bell in front"]
    wrong = caption_scores(SOURCES, TRUTH, swapped, TextSimilarity())
    assert wrong["spatial_accuracy"].tolist() == [0, 0] and wrong["dw_sbert"][0] == 0 and wrong["sbert"].min() > 0.6
    second = caption_scores(SOURCES[:1], TRUTH[:1], ["an animal on the left side"], TextSimilarity())
    assert second["sbert"][0] == pytest.approx(1, abs=1e-5)  # the best of the references counts


@pytest.mark.slow
@pytest.mark.skipif(captioning.coco_missing() != "", reason=captioning.coco_missing())
def test_scores_of_pycocoevalcap():
    values = captioning.coco_scores([*TRUTH, ["rain in front"]], [TRUTH[0][1], "a car", ""])
    assert all(values[name][2] == 0 for name in ("rouge_l", "meteor", "cider"))  # saying nothing
    assert values["rouge_l"][0] == pytest.approx(1) and values["rouge_l"][1] < 0.4
    assert values["meteor"][0] > 0.9 > values["meteor"][1] and values["cider"][0] > values["cider"][1]
    assert values["bleu4"].shape == (3, 10) and corpus_bleu(values["bleu4"][:1]) == pytest.approx(1)
    assert corpus_bleu(values["bleu4"]) < 0.5  # half of what there is to say is not said


@pytest.mark.slow
@pytest.mark.skipif(captioning.coco_missing() != "", reason=captioning.coco_missing())
def test_scores_do_not_depend_on_the_locale(monkeypatch):
    """Turkish has a decimal comma and another small I; Java is told of it as the system's locale would tell it."""
    truth, said = [["Überall bellen Hunde IN FRONT"], TRUTH[0]], ["überall bellen hunde in front", TRUTH[0][1]]
    options = "-Duser.language=tr -Duser.country=TR -Dfile.encoding=US-ASCII"
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", options)
    found = [captioning.coco_scores(truth, said)]
    assert os.environ["JAVA_TOOL_OPTIONS"] == options
    monkeypatch.delenv("JAVA_TOOL_OPTIONS")
    found.append(captioning.coco_scores(truth, said))
    assert "JAVA_TOOL_OPTIONS" not in os.environ
    for values in found:
        assert values["rouge_l"][0] == pytest.approx(1)  # nothing of the umlaut is lost
        for name, value in found[0].items():
            np.testing.assert_array_equal(values[name], value)


def test_bleu_of_a_corpus_is_that_of_pycocoevalcap():
    from pycocoevalcap.bleu.bleu import Bleu

    rng, words = np.random.default_rng(0), "a dog barks on the left side and rain".split()
    truth = {i: [" ".join(rng.choice(words, rng.integers(5, 12))) for _ in range(3)] for i in range(40)}
    said = {i: [f"{texts[0]} rain"] if i % 2 else [" ".join(rng.choice(words, 9))] for i, texts in truth.items()}
    expected = Bleu(4).compute_score(truth, said, verbose=0)[0][3]
    counts = bleu_counts(truth, said)
    assert corpus_bleu(counts) == pytest.approx(expected, rel=1e-5) and 0.1 < expected < 0.9
    value, low, high = Clusters([(str(i),) for i in range(40)]).statistic(counts, corpus_bleu)
    assert value == corpus_bleu(counts) and low < value < high
    resampled = [corpus_bleu(counts[rng.integers(40, size=40)]) for _ in range(400)]
    assert high - low == pytest.approx(4.0 * np.std(resampled), rel=0.2)


def test_bertscore_against_a_loop(tmp_path):
    tiny_roberta(tmp_path / "roberta")
    score = BertScore(str(tmp_path / "roberta"), 1)
    captions, references = ["a dog on the left", ""], [["a dog in front", "rain"], ["rain"]]
    found = score(references, captions)

    def f1(reference, caption):
        ids = [score.encoder.tokenize([text]) for text in (reference, caption or ".")]
        with torch.no_grad():
            there, said = (score.encoder.model(i, output_hidden_states=True).hidden_states[1][0, 1:-1] for i in ids)
        cosines = torch.nn.functional.cosine_similarity(said[:, None], there[None], dim=2).numpy()
        precision = np.mean([max(row) for row in cosines])
        recall = np.mean([max(column) for column in cosines.T])
        return 2 * precision * recall / (precision + recall)

    expected = [max(f1(text, caption) for text in texts) for texts, caption in zip(references, captions, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    with pytest.raises(DataError, match="layer is 99"):
        BertScore(str(tmp_path / "roberta"), 99)


def test_missing_java_is_noted_and_the_other_scores_stay(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    values = caption_scores(SOURCES, TRUTH, [texts[0] for texts in TRUTH], TextSimilarity())
    note, *_ = captioning.notes({})
    assert "Java" in note and "SPICE and SPIDEr" in note and set(values) == {"sbert", "dw_sbert", "spatial_accuracy"}
