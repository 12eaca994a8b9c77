"""Class scores beside the content, and scenes told by the names of classes."""

import numpy as np
import pytest
import torch

from spclap.engine.batches import Batch, FreshScenes
from spclap.engine.clap import ClapTraining, class_scores
from spclap.engine.renamed import STRENGTH, Names, Renaming
from spclap.errors import DataError
from spclap.model.class_scores import HEARD, LOUDNESS, SHARPNESS, ChosenClasses, ClassScores
from spclap.model.spatial_clap import SpatialClap
from spclap.model.text_encoder import HFText
from spclap.scene.meaning import caption_width, fits, statements
from spclap.space.directions import DIRECTIONS, PHRASES

CLASSES, INPUTS = 12, 30


@pytest.fixture
def scores() -> ClassScores:
    generator = torch.Generator().manual_seed(0)
    made = ClassScores(torch.randn(CLASSES, INPUTS, generator=generator), torch.randn(CLASSES, generator=generator))
    contents = 40 + 5 * torch.rand(400, INPUTS, generator=generator)
    made.learn(contents[:, None], torch.ones(400, 1))
    return made.eval()


def relative(content: torch.Tensor, scores: ClassScores) -> np.ndarray:
    """Of the formula: a score against the other classes of the same sound."""
    own = content.numpy() @ scores.weight.numpy().T + scores.bias.numpy()
    return (own - own.mean(axis=-1, keepdims=True)) / own.std(axis=-1, keepdims=True)


def test_averages_are_those_of_all_that_was_heard():
    scores = ClassScores(torch.randn(CLASSES, INPUTS), torch.randn(CLASSES))
    content, share = torch.rand(50, 5, INPUTS), torch.rand(50, 5) / 4
    for rows in (slice(0, 7), slice(7, 8), slice(8, 50)):
        scores.learn(content[rows], share[rows])
    heard = relative(content, scores)[(share > HEARD).numpy()]
    np.testing.assert_allclose(scores.mean, heard.mean(axis=0), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(scores.deviation, heard.std(axis=0), rtol=1e-3)
    before = scores.mean.clone()
    scores.learn(content, share * 0)  # nothing sounds
    scores(content + 1)
    torch.testing.assert_close(scores.mean, before)


def test_scores_are_standardised_against_the_other_classes_and_by_their_averages(scores):
    content = torch.rand(3, 5, INPUTS)
    wanted = (relative(content, scores) - scores.mean.numpy()) / scores.deviation.numpy()
    np.testing.assert_allclose(scores(content), wanted, atol=1e-4)


def test_a_changed_content_is_of_its_new_class(scores):
    content = 40 + 5 * torch.rand(8, INPUTS, generator=torch.Generator().manual_seed(1))  # far above 0: nothing is cut
    classes, strength = torch.arange(8), torch.linspace(3, 6, 8)
    changed = scores.changed(content, classes, strength)
    own = scores(changed).gather(1, classes[:, None])[:, 0]
    assert (own > 0.5 * strength).all() and (own < 1.3 * strength).all()  # the spread shrinks meanwhile
    assert (scores(content).argmax(dim=1) != scores(changed).argmax(dim=1)).any()
    assert scores.changed(torch.zeros(1, INPUTS), torch.tensor([2]), torch.tensor([9.0])).min() >= 0


@pytest.fixture
def heard(corpus) -> Batch:
    """A batch of two and three sources with permutations, and some content at each direction."""
    batch = FreshScenes(corpus, {1: 2, 2: 3}, 6, 1, 0)[0]
    content = 40 + 5 * torch.rand(len(batch), len(DIRECTIONS), INPUTS)
    share = torch.full((len(batch), len(DIRECTIONS)), 0.2)
    words = statements(batch.items, caption_width(batch.scenes))
    return Batch(batch.items, *words, heard=(content, share))


def test_renamed_scenes_sound_as_they_are_told(scores, heard):
    names = Names([f"Noise {number}, sound {number} (thing)" for number in range(CLASSES)])
    renamed = Renaming(scores, names)(heard)
    scenes = list(dict.fromkeys(scene.id for scene in heard.scenes))
    assert [scene.id for scene in renamed.scenes] == scenes and len(renamed) == 5
    rows = [[scene.id for scene in heard.scenes].index(name) for name in scenes]
    low, high = STRENGTH
    for item, (row, caption, clauses) in enumerate(zip(rows, renamed.captions, renamed.clauses, strict=True)):
        told = dict((where, what) for what, where in clauses)
        for where in range(len(DIRECTIONS)):
            before, after = heard.heard[0][row, where], renamed.heard[0][item, where]
            if where not in told:
                torch.testing.assert_close(before, after)
                continue
            number = int(told[where].split()[-1])
            assert f"{told[where]} {PHRASES[DIRECTIONS[where]]}" in caption
            assert scores(before)[number] < scores(after)[number] > 0.5 * low and not torch.equal(before, after)
    assert fits(renamed.said, renamed.true).diagonal().all()
    again = Renaming(scores, names)(heard)
    assert again.captions == renamed.captions and torch.equal(again.heard[0], renamed.heard[0])


def test_names_are_words():
    names = Names(["Baby cry, infant cry", "Whimper (dog)", "Roaring cats (lions, tigers)"])
    assert names.words == [["baby cry", "infant cry"], ["whimper"], ["roaring cats"]]
    assert set(names.captions(0)) == {f"{start}{cry}" for start in ("", "the sound of ") for cry in names.words[0]}


def test_vectors_of_names_are_the_means_of_their_captions():
    encoder, names = HFText(train_layers=2).train(), Names(["Baby cry, infant cry", "Dog"])
    found = names.vectors(encoder)
    assert encoder.training  # and dropout had no part in it
    with torch.no_grad():
        for vector, number in zip(found, (0, 1), strict=True):
            own = [encoder.eval()(encoder.tokenize([caption]))[0] for caption in names.captions(number)]
            mean = torch.stack([one / one.norm() for one in own]).sum(dim=0)
            torch.testing.assert_close(vector, mean / mean.norm(), atol=1e-5, rtol=1e-4)


def test_before_learning_sounds_and_captions_are_as_near_as_scores_and_names(scores):
    """With blocks that have room for all classes but the one that the others determine."""
    names = torch.nn.functional.normalize(torch.randn(CLASSES, 7, generator=torch.Generator().manual_seed(2)), dim=1)
    size, captions = CLASSES, names + 0.01
    heard, read = scores.vectors(size), ChosenClasses(scores, names, size)
    sounds = torch.nn.functional.normalize(scores(torch.rand(9, INPUTS)), dim=1)
    choice = np.exp(SHARPNESS * torch.nn.functional.normalize(captions, dim=1).numpy() @ names.numpy().T)
    choice = choice / choice.sum(axis=1, keepdims=True) - 1 / CLASSES
    wanted = sounds.numpy() @ (choice / np.linalg.norm(choice, axis=1, keepdims=True)).T
    with torch.no_grad():
        np.testing.assert_allclose(heard(sounds) @ read(captions).T / LOUDNESS**2, wanted, atol=1e-4)
    with pytest.raises(ValueError, match="tells 12 classes apart"):
        scores.vectors(13)


def test_names_need_class_scores():
    with pytest.raises(DataError, match="classes: true"):
        Renaming(None, Names(["a"]))


def test_a_training_learns_from_names_too(corpus):
    """Their loss is one more, and reaches what reads and what hears."""
    conf = {
        "spatial_encoder": "masks", "spatial_encoder_conf": {"looks": 5, "channels": 4, "hidden": 8},
        "fusion": "directions", "fusion_conf": {"depth": 7, "classes": True}, "text_head": "queries", "dim": 20,
        "text_encoder_conf": {"train_layers": 1}, "frozen": ["content_encoder", "spatial_encoder"],
    }  # fmt: skip
    torch.manual_seed(0)
    clap = SpatialClap(**conf).train()
    batch = FreshScenes(corpus, {1: 2, 2: 2}, 2, 1, 0)[0]
    with_names, without = (ClapTraining(clap, clause_weight=1.0, names_weight=weight) for weight in (0.5, 0.0))
    with_names.clauses = without.clauses
    for training in (with_names, without):
        training.eval()  # no dropout, averages as they are
    loss, stats, _ = with_names.losses(batch)
    torch.testing.assert_close(loss, without.losses(batch)[0] + 0.5 * stats["names"])
    stats["names"].backward()
    for part in (clap.fusion.blocks.projection[0], clap.text_head.projection[0]):
        assert part.weight.grad.abs().max() > 0
    assert ClassScores is type(class_scores(clap)) and class_scores(clap).seen == 0
    with_names.train().losses(batch)
    content, share = clap.hear(batch.stereo(), batch.arrays)
    assert class_scores(clap).seen == (share > HEARD).sum()  # what nobody recorded has no part in the averages


def test_a_class_whose_weights_are_below_the_mean_of_all_is_raised_too(scores):
    """Its weights point away from what it has beyond the others; moves along that once went the wrong way."""
    weight = scores.weight + 1
    weight[2] = 0.5 * weight.mean(dim=0)
    scores = ClassScores(weight, scores.bias)
    content = 40 + 5 * torch.rand(8, INPUTS, generator=torch.Generator().manual_seed(1))
    changed = scores.changed(content, torch.full((8,), 2), torch.full((8,), 4.0))
    assert (scores(changed)[:, 2] > scores(content)[:, 2] + 0.5).all()
