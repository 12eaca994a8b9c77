"""A Spatial-CLAP with random weights that hears and reads at once, for tests of what surrounds it."""

from pathlib import Path

import torch
from tiny_models import tiny_roberta

from spclap.inference import SpatialCLAP
from spclap.model.spatial_clap import SpatialClap


def small_clap(folder: Path) -> SpatialCLAP:
    """Of scenes of one second; its text encoder lies in `folder`."""
    tiny_roberta(folder)
    torch.manual_seed(0)
    clap = SpatialClap(
        content_encoder="cnn", content_encoder_conf={"channels": 4, "dim": 16},
        spatial_encoder_conf={"channels": 4, "hidden": 8, "input": {"bins": 64}},
        text_encoder_conf={"name": str(folder), "pooling": "mean", "train_layers": 1}, dim=16,
    )  # fmt: skip
    return SpatialCLAP(clap, scene_seconds=1.0)


class Echo:
    """A captioner that says the first number of a vector."""

    def generate(self, vectors: torch.Tensor, beams: int = 1) -> list[str]:
        return [f"sound {float(vector[0]):.4f}" for vector in vectors]
