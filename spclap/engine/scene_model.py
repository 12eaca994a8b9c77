"""What the ESPnet side of every model shares: batch in, (loss, stats, weight) out; validation over whole sets."""

from collections.abc import Iterable

import torch
from espnet2.torch_utils.device_funcs import force_gatherable
from espnet2.train.abs_espnet_model import AbsESPnetModel
from torch.utils.data import Dataset

from spclap.engine.batches import Batch, FixedScenes, FreshScenes, Sealed


class SceneModel(AbsESPnetModel):
    """Mixtures are rendered on the device that trains, encoders may run in bfloat16: `kinds`, see precision.py."""

    def __init__(self, kinds: tuple[str, ...] = ()):
        super().__init__()
        self.kinds = kinds

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def autocast(self, kind: str) -> torch.autocast:
        """Context in which losses run encoders; scoring stays in float32."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=kind in self.kinds)

    def collect_feats(self, **batch) -> dict[str, torch.Tensor]:
        return {}

    def forward(self, sealed: Sealed, **_) -> tuple[torch.Tensor, dict, torch.Tensor]:
        loss, stats, weight = self.losses(sealed.batch.to(self.device))
        stats = {name: value.detach() for name, value in {**stats, "loss": loss}.items()}
        return force_gatherable((loss, stats, weight), loss.device)

    def losses(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor], int]:
        """Loss, its parts, and what it is a mean over."""
        raise NotImplementedError

    def stereo(self, batch: Batch) -> torch.Tensor:
        """(N, 2, T) recordings of a batch."""
        with torch.no_grad():
            return batch.stereo()

    def listen(self, scenes: FreshScenes | FixedScenes) -> Dataset:
        """The batches of `scenes` as this model can be given them, heard before if nothing that hears is trained."""
        return scenes

    def validate(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Figures over all batches together."""
        raise NotImplementedError
