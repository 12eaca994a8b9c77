"""Masks of directions against plane waves and brute force."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from spclap.engine.batches import FreshScenes, Sealed
from spclap.engine.masks import MaskTraining
from spclap.model.content_encoder import YamNet
from spclap.model.direction_masks import FREQUENCIES, FixedMasks, LearnedMasks, MatchedSpectrum, mask_loss
from spclap.model.features import level_factor
from spclap.scene.spatialize import spatialize
from spclap.space.array import Array, array_of
from spclap.space.directions import DIRECTIONS, center

PAIR = array_of("pair:0.17")


def plane_wave(azimuth: float, samples: int = 16000, seed: int = 0, array: Array = PAIR) -> torch.Tensor:
    """(1, 2, T) noise from far away."""
    spectrum = np.fft.rfft(0.1 * np.random.default_rng(seed).standard_normal(samples))
    response = array.responses(np.array([azimuth]), np.fft.rfftfreq(samples, 1 / 16000))[0]
    return torch.tensor(np.fft.irfft(spectrum * response, samples)[None], dtype=torch.float32)


def matches(front: MatchedSpectrum, audio: torch.Tensor, arrays: list) -> torch.Tensor:
    """(N, looks), over the whole recording."""
    powers, weight = front.powers(front.spectra(audio))
    return front.matched(powers, arrays).sum(dim=(2, 3)) / weight.sum(dim=(1, 2))[:, None]


@pytest.mark.parametrize("text", ["pair:0.17", "pair:0.08", "ortf", "xy:90", "sphere:0.0875"])
@pytest.mark.parametrize("azimuth", [-80.0, -30.0, 0.0, 50.0])
def test_a_plane_wave_matches_its_own_look_fully_and_others_less(azimuth, text):
    front, array = MatchedSpectrum([azimuth, -azimuth if azimuth else 60.0]), array_of(text)
    own, other = matches(front, plane_wave(azimuth, array=array), [array])[0]
    assert own > 0.98 and other < own - 0.05


def test_a_wrong_array_takes_a_wave_for_one_from_elsewhere():
    front, wave = MatchedSpectrum(np.linspace(-90, 90, 37)), plane_wave(60.0, array=array_of("pair:0.08"))
    told, wrong = (matches(front, wave, [array_of(text)])[0].argmax() for text in ("pair:0.08", "pair:0.17"))
    assert front.looks[told] == 60 and abs(front.looks[wrong] - 24) <= 5  # asin(0.08 sin(60) / 0.17)


def test_each_item_is_matched_with_its_own_array():
    front = MatchedSpectrum([-60.0, 0.0, 45.0])
    arrays = [array_of("pair:0.1"), array_of("xy:90"), array_of("sphere:0.08")]
    audio = torch.cat([plane_wave(45.0, 4000, array=array) for array in arrays])
    together = matches(front, audio, arrays)
    apart = torch.cat([matches(front, audio[n : n + 1], [array]) for n, array in enumerate(arrays)])
    torch.testing.assert_close(together, apart)
    assert (together.argmax(dim=1) == 2).all()
    torch.testing.assert_close(matches(front, audio, arrays[:1]), matches(front, audio, arrays[:1] * 3))


def test_inputs_are_matches_averaged_over_bands_and_20_ms():
    masks, arrays = LearnedMasks(looks=3, channels=4, hidden=4), [array_of("ortf"), array_of("pair:0.1")]
    audio = torch.cat([plane_wave(-20.0, 4000), plane_wave(70.0, 4000, 1)])
    spectra = masks.front.spectra(audio)
    found = masks.inputs(spectra, arrays)
    for item, array in enumerate(arrays):
        responses = array.responses(np.array(masks.front.looks), np.array(FREQUENCIES))
        x = spectra[item].numpy().transpose(0, 2, 1)
        length = np.sqrt(np.square(np.abs(x)).sum(axis=0))
        explained = np.square(np.abs(np.einsum("kcf,cft->kft", responses.conj(), x)))
        match = explained / np.square(np.abs(responses)).sum(axis=1)[..., None] / np.square(length).clip(1e-12)
        bands, steps = masks.front.bands.numpy(), length.shape[1] // 2
        pairs = [slice(2 * step, 2 * step + 2) for step in range(steps)]
        for step, both in enumerate(pairs):
            weight = np.einsum("ft,fm->m", length[:, both], bands)
            expected = np.einsum("kft,ft,fm->km", match[..., both], length[:, both], bands) / weight
            np.testing.assert_allclose(found[item, :3, step], expected, atol=1e-3)
            np.testing.assert_allclose(found[item, 3, step], np.log(weight / 2 + 1e-3) / 2 + 1, atol=1e-4)


@pytest.mark.parametrize("text", ["pair:0.17", "pair:0.3", "ortf", "sphere:0.0875", "panned"])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_fixed_masks_give_a_plane_wave_to_its_direction(direction, text):
    array = array_of(text)
    masks = FixedMasks()(plane_wave(center(direction), array=array), [array])
    assert masks.mean(dim=(0, 2, 3)).argmax() == DIRECTIONS.index(direction)


@pytest.mark.parametrize("masks", [FixedMasks(), LearnedMasks(looks=3, channels=4, hidden=4).eval()])
@pytest.mark.parametrize("samples", [16000, 16100, 16250])
def test_masks_share_everything_out_over_the_cells_of_the_content_encoder(masks, samples):
    stereo = plane_wave(10.0, samples)
    with torch.no_grad():
        found = masks(stereo, [PAIR])
    assert found.shape == (1, 5, *YamNet().spectrum(stereo.mean(dim=1)).shape[1:])
    torch.testing.assert_close(found.sum(dim=1), torch.ones(found.shape[0], *found.shape[2:]))


def test_fronts_of_masks_and_content_encoder_hear_the_same():
    stereo, front = plane_wave(20.0), MatchedSpectrum([0.0])
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
    masks, front = LearnedMasks(looks=7, channels=8, hidden=8), MatchedSpectrum([0.0])
    waves = torch.cat([plane_wave(center(d), 8000, seed) for seed, d in enumerate(DIRECTIONS)])
    pulses = (torch.arange(8000) // 1000 % 2).float()  # one sounds while the other is silent
    stereo = torch.cat([waves[k : k + 1] * pulses + waves[(k + 2) % 5][None] * (1 - pulses) for k in range(5)])
    heard = torch.zeros(5, 5, *front.to_mel(front.magnitude(front.spectra(waves))).shape[1:])
    for k in range(5):
        for direction, gate in ((k, pulses), ((k + 2) % 5, 1 - pulses)):
            heard[k, direction] = front.to_mel(front.magnitude(front.spectra(waves[direction][None] * gate)))[0]
    optimizer, losses = torch.optim.Adam(masks.parameters(), 1e-2), []
    for _ in range(60):
        losses.append(mask_loss(masks.logits(masks.front.spectra(stereo), [PAIR]), heard))
        optimizer.zero_grad()
        losses[-1].backward()
        optimizer.step()
    assert losses[-1] < 0.3 * losses[0]
    right = (masks.eval()(stereo, [PAIR]).argmax(dim=1) == heard.argmax(dim=1)).float()
    assert F.avg_pool2d(right, 2).mean() > 0.8
