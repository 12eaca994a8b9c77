"""Masks of directions against plane waves and brute force."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spclap.engine.batches import FreshScenes, Sealed
from spclap.engine.masks import MaskTraining
from spclap.model.content_encoder import YamNet
from spclap.model.direction_masks import FixedMasks, LearnedMasks, SteeredSpectrum, delays_of, mask_loss
from spclap.model.features import level_factor
from spclap.scene.rooms import SPEED_OF_SOUND
from spclap.scene.spatialize import spatialize
from spclap.space.directions import DIRECTIONS, center

SPACING = 0.17


def plane_wave(azimuth: float, samples: int = 16000, seed: int = 0) -> torch.Tensor:
    """(1, 2, T) noise from far away, by the delay of each microphone."""
    spectrum = np.fft.rfft(0.1 * np.random.default_rng(seed).standard_normal(samples))
    late = SPACING * np.sin(np.deg2rad(azimuth)) / SPEED_OF_SOUND / 2  # s, of the left one; the right is early
    omega = 2 * np.pi * np.fft.rfftfreq(samples, 1 / 16000)
    channels = [np.fft.irfft(spectrum * np.exp(-1j * omega * delay), samples) for delay in (late, -late)]
    return torch.tensor(np.stack(channels)[None], dtype=torch.float32)


@pytest.mark.parametrize("azimuth", [-80.0, -30.0, 0.0, 50.0])
def test_a_plane_wave_agrees_fully_with_its_own_direction_only(azimuth):
    looks = torch.tensor([azimuth, -azimuth if azimuth else 60.0])
    front = SteeredSpectrum(delays_of(looks, SPACING))
    real, imaginary, weight = front.cross(front.spectra(plane_wave(azimuth)))
    agreement = front.agreement(real, imaginary).sum(dim=(2, 3)) / weight.sum()
    assert agreement[0, 0] > 0.98 and agreement[0, 1] < 0.5


def test_steering_in_one_product_is_steering_bin_by_bin():
    front = SteeredSpectrum(torch.linspace(-4e-4, 4e-4, 3))
    real, imaginary, _ = front.cross(front.spectra(torch.cat([plane_wave(-20.0, 4000), plane_wave(70.0, 4000)])))
    expected = front.to_mel(front.agreement(real, imaginary))
    torch.testing.assert_close(front.steer(real, imaginary), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_fixed_masks_give_a_plane_wave_to_its_direction(direction):
    masks = FixedMasks(SPACING)(plane_wave(center(direction)))
    assert masks.mean(dim=(0, 2, 3)).argmax() == DIRECTIONS.index(direction)


@pytest.mark.parametrize("masks", [FixedMasks(), LearnedMasks(looks=3, channels=4, hidden=4).eval()])
@pytest.mark.parametrize("samples", [16000, 16100, 16250])
def test_masks_share_everything_out_over_the_cells_of_the_content_encoder(masks, samples):
    stereo = plane_wave(10.0, samples)
    with torch.no_grad():
        found = masks(stereo)
    assert found.shape == (1, 5, *YamNet().spectrum(stereo.mean(dim=1)).shape[1:])
    torch.testing.assert_close(found.sum(dim=1), torch.ones(found.shape[0], *found.shape[2:]))


def test_fronts_of_masks_and_content_encoder_hear_the_same():
    stereo, front = plane_wave(20.0), SteeredSpectrum(torch.zeros(1))
    expected = YamNet().spectrum(stereo.mean(dim=1))
    torch.testing.assert_close(front.to_mel(front.magnitude(front.spectra(stereo))), expected, atol=1e-5, rtol=1e-4)


def test_mask_loss_against_brute_force():
    rng = np.random.default_rng(0)
    logits, magnitudes = rng.normal(size=(2, 5, 3, 4)), rng.random((2, 5, 3, 4)) * (rng.random((2, 5, 3, 4)) > 0.5)
    total = weights = 0.0
    for n, t, m in np.ndindex(2, 3, 4):
        heard, scores = magnitudes[n, :, t, m], logits[n, :, t, m]
        weight, p = np.sqrt(heard.sum()), np.exp(scores) / np.exp(scores).sum()
        ideal = heard / max(heard.sum(), 1e-6)
        total += weight * sum(q * np.log(q / p[d]) for d, q in enumerate(ideal) if q > 0)
        weights += weight
    loss = mask_loss(torch.tensor(logits), torch.tensor(magnitudes))
    assert loss.item() == pytest.approx(total / weights, rel=1e-6)


@torch.no_grad()
def test_training_asks_for_the_shares_of_the_sources_alone(corpus, monkeypatch):
    batch = FreshScenes(corpus, {1: 1, 2: 2}, 1, 1, 0)[0]
    model, seen = MaskTraining(LearnedMasks(looks=3, channels=4, hidden=4)), []
    monkeypatch.setattr("spclap.engine.masks.mask_loss", lambda logits, heard: seen.append(heard) or logits.sum())
    model(sealed=Sealed(batch))
    factor, content = level_factor(model.stereo(batch)), YamNet()
    for row, sources in enumerate(batch.clauses):
        alone = [batch.sound[2][row : row + 1, k : k + 1] for k in range(len(sources))]
        for (_, direction), pair in zip(sources, alone, strict=True):
            mono = spatialize(*batch.sound[:2], pair).mean(dim=1) * factor[row]
            torch.testing.assert_close(seen[0][row, direction], content.spectrum(mono)[0], atol=1e-5, rtol=1e-3)
        empty = set(range(5)) - {direction for _, direction in sources}
        assert not seen[0][row, sorted(empty)].any()


def test_masks_learn_to_separate_two_plane_waves():
    torch.manual_seed(0)
    masks, front = LearnedMasks(looks=7, channels=8, hidden=8), SteeredSpectrum(torch.zeros(1))
    waves = torch.cat([plane_wave(center(d), 8000, seed) for seed, d in enumerate(DIRECTIONS)])
    pulses = (torch.arange(8000) // 1000 % 2).float()  # one sounds while the other is silent
    stereo = torch.cat([waves[k : k + 1] * pulses + waves[(k + 2) % 5][None] * (1 - pulses) for k in range(5)])
    heard = torch.zeros(5, 5, *front.to_mel(front.magnitude(front.spectra(waves))).shape[1:])
    for k in range(5):
        for direction, gate in ((k, pulses), ((k + 2) % 5, 1 - pulses)):
            heard[k, direction] = front.to_mel(front.magnitude(front.spectra(waves[direction][None] * gate)))[0]
    optimizer, losses = torch.optim.Adam(masks.parameters(), 1e-2), []
    for _ in range(60):
        losses.append(mask_loss(masks.logits(masks.front.spectra(stereo)), heard))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.3 * losses[0]
    right = (masks.eval()(stereo).argmax(dim=1) == heard.argmax(dim=1)).float()
    assert F.avg_pool2d(right, 2).mean() > 0.8
