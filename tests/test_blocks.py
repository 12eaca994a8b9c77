"""The space of blocks, its text side and its targets."""

import numpy as np
import pytest
import torch

from spclap.model.blocks import (
    DIRECTION_COUNT,
    ClauseTargets,
    ContentBlocks,
    DirectionQueries,
    block_size,
    distance,
    places_of,
)
from spclap.model.content_encoder import SmallCnn
from spclap.model.fusion.directions import Directions
from spclap.model.fusion.frames import Frames
from spclap.model.spatial_encoder import ContentAwareSpatialEncoder
from spclap.model.text_encoder import HFText
from spclap.space.directions import DIRECTIONS


def noise(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype("f"))


def test_blocks_are_the_words_of_the_scenes():
    assert DIRECTION_COUNT == len(DIRECTIONS)
    assert block_size(510) == 102
    with pytest.raises(ValueError, match="512"):
        block_size(512)


@torch.no_grad()
def test_targets_put_each_source_into_the_block_of_its_direction():
    targets = ClauseTargets(7, 20)
    contents = noise(4, 7)
    found = targets(contents, torch.tensor([0, 1, 1, 1]), places_of([3, 0, 4, 4])).unflatten(1, (5, 4))
    blocks = targets.projection(contents)
    expected = torch.zeros(2, 5, 4)
    expected[0, 3], expected[1, 0], expected[1, 4] = blocks[0], blocks[1], blocks[2] + blocks[3]
    torch.testing.assert_close(found, expected)


@torch.no_grad()
def test_a_scene_and_its_swap_differ_before_any_training():
    torch.manual_seed(0)
    targets, contents = ClauseTargets(7, 50), noise(2, 7)
    both = [targets(contents, torch.zeros(2).long(), places_of(places)) for places in ((0, 4), (4, 0))]
    assert torch.cosine_similarity(*both).item() < 0.9
    assert distance(both[0], both[0]).item() == pytest.approx(0, abs=1e-6)
    assert distance(both[0], 2 * both[0]).item() == pytest.approx(np.log(2) ** 2, rel=1e-4)
    assert distance(both[0], -both[0]).item() == pytest.approx(2, rel=1e-4)


@torch.no_grad()
def test_queries_ignore_padding():
    encoder = HFText(train_layers=0).eval()
    head = DirectionQueries(encoder.dim, 10)
    both = head(encoder, encoder.tokenize(["a dog on the left side", "a cat in front, and a bell on the right side"]))
    alone = head(encoder, encoder.tokenize(["a dog on the left side"]))
    assert both.shape == (2, 10)
    torch.testing.assert_close(both[:1], alone, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_content_blocks_move_with_the_content():
    torch.manual_seed(0)
    blocks, content, share = ContentBlocks(6, 20), noise(3, 5, 6), torch.rand(3, 5)
    order = [4, 2, 0, 1, 3]
    moved = blocks(content[:, order], share[:, order])
    torch.testing.assert_close(moved.unflatten(1, (5, 4)), blocks(content, share).unflatten(1, (5, 4))[:, order])


@torch.no_grad()
def test_the_share_of_the_energy_makes_and_scales_the_block_of_its_direction_alone():
    torch.manual_seed(0)
    blocks, content, share = ContentBlocks(6, 20), noise(2, 5, 6), torch.rand(2, 5)
    found = blocks(content, share).unflatten(1, (5, 4))
    for item, where in np.ndindex(2, 5):
        level = (share[item, where] + 1e-4).log()[None]
        made = blocks.projection(torch.cat([blocks.norm(content[item, where]), level]))
        torch.testing.assert_close(found[item, where], made * (1 + blocks.gate(level).exp()).log())
    share[0, 2] = share[0, 2] / 10
    changed = (blocks(content, share).unflatten(1, (5, 4)) != found).all(dim=2)
    assert changed.nonzero().tolist() == [[0, 2]]


class Given(torch.nn.Module):
    """A spatial encoder whose masks are known."""

    def __init__(self, masks):
        super().__init__()
        self.masks = masks

    def forward(self, stereo, arrays):
        return self.masks


@torch.no_grad()
def test_frames_weigh_cells_beside_an_empty_one():
    torch.manual_seed(0)
    content, stereo = SmallCnn(channels=4, dim=8).eval(), noise(2, 2, 8000)
    space = ContentAwareSpatialEncoder(input={"n_fft": 512, "hop": 256, "bins": 64}, channels=4, hidden=8).eval()
    fusion = Frames(content, space, 20)
    heard = []
    fusion.blocks.register_forward_hook(lambda module, inputs, output: heard.append(inputs))
    assert fusion(*fusion.hear(content, space, stereo, [])).shape == (2, 20)
    fusion.empty[3] = 1e3  # nothing is heard from there
    fusion(*fusion.hear(content, space, stereo, []))
    fusion.empty[3] = -1e3  # everything is
    fusion(*fusion.hear(content, space, stereo, []))
    shares = torch.stack([share for _, share in heard])
    assert ((shares[0] > 0) & (shares[0] < 1)).all()
    assert (shares[1, :, 3] == 0).all() and (heard[1][0][:, 3] == 0).all()
    torch.testing.assert_close(shares[2, :, 3], torch.ones(2))
    torch.testing.assert_close(shares[1:, :, :3], shares[:1, :, :3].expand(2, -1, -1))


def loudly(content, maps: torch.Tensor, depth: int, masked: torch.Tensor) -> torch.Tensor:
    """Mean over time of the upper layers, each step weighted by the level of the frames of `masked` that it stands for;
    (1, channels, frames, bands), (1, frames, bands) -> (dim,)."""
    found, frames = content.layers[depth:](maps)[0].mean(dim=2), masked.shape[1]
    levels, steps = masked[0].square().sum(dim=1).sqrt(), found.shape[1]
    spans = [levels[k * frames // steps : -(-(k + 1) * frames // steps)] for k in range(steps)]
    weights = torch.stack([span.mean() for span in spans]) + 1e-6
    return (found * weights).sum(dim=1) / weights.sum()


@pytest.mark.parametrize("depth", [0, 4, 8])
@torch.no_grad()
def test_a_mask_of_one_hears_the_mixture_and_one_of_zero_hears_silence(depth):
    torch.manual_seed(0)
    content, stereo = SmallCnn(channels=4, dim=8).eval(), noise(2, 2, 8000)
    spectrum = content.spectrum(stereo.mean(dim=1))
    masks = torch.zeros(2, 5, *spectrum.shape[1:])
    masks[0, 1], masks[1, 3] = 1, 1
    fusion = Directions(content, Given(masks), 20, depth)
    heard = []
    fusion.blocks.register_forward_hook(lambda module, inputs, output: heard.extend(inputs))
    fusion(*fusion.hear(content, Given(masks), stereo, []))
    expected = content.embed(torch.zeros_like(spectrum[:1])).expand(2, 5, -1).clone()
    for item, where in ((0, 1), (1, 3)):
        whole = spectrum[item : item + 1]
        expected[item, where] = loudly(content, content.lower(whole, depth), depth, whole)
    torch.testing.assert_close(heard[0], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(heard[1], masks.mean(dim=(2, 3)))
    with pytest.raises(ValueError, match="depth is 99"):
        Directions(content, Given(masks), 20, 99)


@pytest.mark.parametrize("depth", [0, 4])
@torch.no_grad()
def test_soft_masks_share_the_mixture_out(depth):
    """Against a loop over recordings and directions."""
    torch.manual_seed(0)
    content, stereo = SmallCnn(channels=4, dim=8).eval(), noise(2, 2, 8000)
    spectrum = content.spectrum(stereo.mean(dim=1))
    masks = noise(2, 5, *spectrum.shape[1:], seed=1).softmax(dim=1)
    fusion, heard = Directions(content, Given(masks), 20, depth), []
    fusion.blocks.register_forward_hook(lambda module, inputs, output: heard.extend(inputs))
    fusion(*fusion.hear(content, Given(masks), stereo, []))
    for item, where in np.ndindex(2, 5):
        mask, whole = masks[item, where], spectrum[item : item + 1]
        maps = content.lower(mask * whole, depth)
        if depth:
            maps, silence = content.lower(whole, depth), content.lower(0 * whole, depth)
            part = torch.nn.functional.adaptive_avg_pool2d(mask[None], maps.shape[2:])
            maps = part * maps + (1 - part) * silence
        expected = loudly(content, maps, depth, mask * whole)
        torch.testing.assert_close(heard[0][item, where], expected, atol=1e-5, rtol=1e-4)
    energy = (masks * spectrum[:, None]).square().sum(dim=(2, 3))
    torch.testing.assert_close(heard[1], energy / energy.sum(dim=1, keepdim=True))
