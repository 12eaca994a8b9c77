"""Layers of a text encoder that are not trained read each caption once."""

import pytest
import torch
from tiny_models import tiny_roberta

from spclap.model.text_encoder import HFText

CAPTIONS = ["a dog on the left side", "a cat", "a dog", "a cat on the left side"]


@pytest.fixture(params=["mean", "pooler"])
def encoders(request, tmp_path):
    """Two of the same weights, the second one with its frozen layers apart."""
    tiny_roberta(tmp_path / "roberta")
    made = []
    for _ in range(2):
        torch.manual_seed(0)  # of a pooler that the folder may lack
        made.append(HFText(str(tmp_path / "roberta"), train_layers=1, pooling=request.param))
    made[1].remember()
    assert made[0].frozen_layers is None and made[1].frozen_layers is not None
    return made


@pytest.mark.parametrize("at_once", [2, 32])
def test_states_and_gradients_are_those_of_the_whole_model(encoders, at_once, monkeypatch):
    monkeypatch.setattr("spclap.model.frozen_layers.AT_ONCE", at_once)
    found = []
    for encoder in encoders:
        encoder.eval()
        states, mask = encoder.states(encoder.tokenize(CAPTIONS))
        encoder.pool(states, mask).square().sum().backward()
        found.append((states[mask.bool()], {n: p.grad for n, p in encoder.named_parameters() if p.grad is not None}))
    (whole, gradients), (apart, own) = found
    torch.testing.assert_close(apart, whole)
    assert gradients and own.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(own[name], gradient, msg=name)


def test_what_is_trained_is_not_kept(encoders):
    whole, apart = encoders
    ids = apart.eval().tokenize(CAPTIONS)
    before = apart.states(ids)[0]
    for encoder in encoders:
        with torch.no_grad():
            for weight in (p for p in encoder.parameters() if p.requires_grad):
                weight.mul_(1.5)
    states, mask = apart.states(ids)
    assert not torch.allclose(states, before, atol=1e-3)
    torch.testing.assert_close(states[mask.bool()], whole.eval().states(ids)[0][mask.bool()])


def test_a_caption_is_read_once_without_dropout_whoever_asks(encoders, tmp_path):
    first = encoders[1].train()
    read = []
    embeddings = first.model.get_input_embeddings()
    embeddings.register_forward_hook(lambda module, given, out: read.append(len(given[0])))
    ids = first.tokenize(CAPTIONS)
    first.states(ids)
    assert sum(read) == len(CAPTIONS) and first.training and first.model.training
    second = HFText(str(tmp_path / "roberta"), train_layers=1, pooling=first.pooling)
    second.remember(first.frozen_layers.known)
    kept = {row: states.clone() for row, states in first.frozen_layers.known.items()}
    second.eval().states(ids)
    first.states(ids)
    assert sum(read) == len(CAPTIONS)
    assert all(torch.equal(first.frozen_layers.known[row], states) for row, states in kept.items())
    row = tuple(first.encode(["a cat"])[0])
    alone = encoders[0].eval().model(torch.tensor([row]), output_hidden_states=True).hidden_states[-2][0]
    torch.testing.assert_close(kept[first.frozen_layers.mark, row], alone)


def test_no_more_than_a_number_of_captions_are_kept(encoders, monkeypatch):
    monkeypatch.setattr("spclap.model.frozen_layers.MOST", 3)
    whole, apart = (encoder.eval() for encoder in encoders)
    for captions in (CAPTIONS, CAPTIONS[:1], ["a dog a cat", *CAPTIONS[2:]]):
        ids = apart.tokenize(captions)
        states, mask = apart.states(ids)
        torch.testing.assert_close(states[mask.bool()], whole.states(ids)[0][mask.bool()])
        assert len(apart.frozen_layers.known) <= 3


def test_in_training_what_is_kept_has_dropout(encoders):
    apart = encoders[1]
    ids = apart.tokenize(CAPTIONS)
    apart.eval().states(ids)
    given = []
    apart._trained[0].register_forward_pre_hook(lambda layer, args: given.append(args[0]))
    apart.eval().states(ids)
    apart.train().states(ids)
    kept, dropped = given
    gone = (dropped == 0) & (kept != 0)
    assert 0.05 < gone.float().mean() / (kept != 0).float().mean() < 0.15
    torch.testing.assert_close(dropped[~gone] * 0.9, kept[~gone])


def test_other_weights_read_anew(encoders):
    first, second = encoders
    with torch.no_grad():
        first.model.get_input_embeddings().weight[:] *= 2
    first.remember(second.frozen_layers.known)
    ids = first.eval().tokenize(CAPTIONS)
    second.eval().states(ids)
    states, mask = first.states(ids)
    first.frozen_layers = None
    torch.testing.assert_close(states[mask.bool()], first.states(ids)[0][mask.bool()])


def test_layers_that_cannot_be_called_one_by_one_stay_together(encoders):
    whole = encoders[0].eval()
    plain = whole._trained[0].forward
    whole._trained[0].forward = lambda states, mask, *given, **named: plain(states, mask, *given, **named) + len(given)
    whole.remember()
    assert whole.frozen_layers is None
    trained_all = HFText(whole.model.name_or_path, pooling=whole.pooling)
    trained_all.remember()
    assert trained_all.frozen_layers is None
