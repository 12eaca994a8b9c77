"""The benchmarks that RESULTS and LOG quote."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_training import ROOT

from spclap.recipe.compose import Recipe


def benchmark(name: str):
    """A program of benchmarks/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", Recipe(ROOT / "conf").there("model"))
@torch.no_grad()
def test_every_architecture_is_measured(name):
    architectures = benchmark("architectures")
    model, stereo = architectures.build(name), torch.randn(2, 2, 16000, generator=torch.Generator().manual_seed(0))
    vectors = model.embed_audio(stereo)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    assert architectures.parameters(model) > 3e6
    assert ((vectors - model.embed_audio(stereo.flip(1))).abs().max() > 2e-5) == (name != "monaural")


def test_a_linear_read_out_finds_what_is_linear():
    rng = np.random.default_rng(0)
    azimuths = rng.uniform(-90, 90, (400, 2))
    scenes = [
        SimpleNamespace(sources=[SimpleNamespace(clip=clip, azimuth=a) for clip, a in zip("ab", row, strict=True)])
        for row in azimuths
    ]
    truth = np.concatenate([np.cos(np.deg2rad(azimuths)), np.sin(np.deg2rad(azimuths))], axis=1)
    vectors = truth @ rng.standard_normal((4, 8)) + 1.0
    read_out = benchmark("probes").read_out
    weights = read_out(vectors, scenes, {"a": 0, "b": 1, "never": 2}, {"a": {"a"}, "b": {"b"}, "never": {"z"}}, 1e-6)
    found = np.einsum("nd,dck->nck", np.pad(vectors, ((0, 0), (0, 1)), constant_values=1.0), weights)
    np.testing.assert_allclose(found[:, :2], truth.reshape(-1, 2, 2).transpose(0, 2, 1), atol=1e-3)
    assert not weights[:, 2].any()
