"""A Spatial-CLAP with random weights that hears and reads at once, for tests of what surrounds it."""

from pathlib import Path

import torch
from tiny_models import tiny_roberta

from spclap.inference import SpatialCLAP
from spclap.model.spatial_clap import SpatialClap

ONE_ARRAY = {"spatial_encoder_conf": {"channels": 4, "hidden": 8, "input": {"bins": 64}}, "dim": 16}
ANY_ARRAY = {
    "spatial_encoder": "masks", "spatial_encoder_conf": {"looks": 5, "channels": 4, "hidden": 4},
    "fusion": "directions", "fusion_conf": {"depth": 4}, "dim": 20,
}  # fmt: skip


CONF = {
    "content_encoder": "cnn", "content_encoder_conf": {"channels": 4, "dim": 16},
    "text_encoder_conf": {"pooling": "mean", "train_layers": 1},
}  # fmt: skip


def conf(folder: Path) -> dict:
    """With the text encoder that lies in `folder`."""
    return {**CONF, "text_encoder_conf": {**CONF["text_encoder_conf"], "name": str(folder)}}


def small_conf(folder: Path, hearing: dict | None = None) -> dict:
    """Arguments of a `SpatialClap` whose text encoder is written into `folder`."""
    tiny_roberta(folder)
    return {**conf(folder), **(hearing or ONE_ARRAY)}


def small_clap(folder: Path, hearing: dict | None = None) -> SpatialCLAP:
    """Of scenes of one second; its text encoder lies in `folder`."""
    made = small_conf(folder, hearing)
    torch.manual_seed(0)
    return SpatialCLAP(SpatialClap(**made), scene_seconds=1.0)


class Echo:
    """A captioner that says the first number of a vector."""

    def generate(self, vectors: torch.Tensor, beams: int = 1) -> list[str]:
        return [f"sound {float(vector[0]):.4f}" for vector in vectors]
