"""Vectors of recordings and captions from a trained model.

model = SpatialCLAP.from_pretrained("my_model")  # made by `spclap export`
audio = model.embed_audio(["street.wav"])
text = model.embed_text(["a dog barks on the left side, and rain falls in front"])
similarity = audio @ text.T
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from spclap.data.audio import check_stereo, read_stereo
from spclap.errors import DataError
from spclap.model.captioner import Captioner
from spclap.model.checkpoints import about, load_captioner, load_model
from spclap.model.features import SAMPLE_RATE
from spclap.model.spatial_clap import SpatialClap

Recording = str | Path | np.ndarray | torch.Tensor


class SpatialCLAP:
    """A trained Spatial-CLAP. Vectors are numpy arrays (n, dim) of unit length: cosines are matrix products."""

    sample_rate = SAMPLE_RATE

    def __init__(self, clap: SpatialClap, folder: Path | None = None):
        self.clap, self.folder = clap.eval(), folder

    @classmethod
    def from_pretrained(cls, folder: str | Path, device: str | torch.device = "cpu") -> "SpatialCLAP":
        """Load a model directory; DataError when it is none."""
        return cls(load_model(Path(folder), device), Path(folder))

    @property
    def device(self) -> torch.device:
        return self.clap.logit_scale.device

    @property
    def scene_seconds(self) -> float:
        """s, length of the scenes that the model learned from; DataError for a model directory that does not say."""
        if (seconds := about(self.folder).get("scene_seconds")) is None:
            raise DataError(f"{self.folder / 'config.yaml'}: has no scene_seconds; export it anew or give --window")
        return seconds

    @torch.inference_mode()
    def embed_audio(self, recordings: Sequence[Recording], sample_rate: int | None = None) -> np.ndarray:
        """Stereo recordings -> (n, dim).

        Args: recordings, files of any rate, or arrays (2, T), channel 0 left, at `sample_rate` Hz (needed for arrays
        alone). Raises DataError for a recording that is not stereo, empty, silent or not finite.
        """
        if not len(recordings):
            raise DataError("no recordings; give at least one")
        return np.stack([self._embed(recording, sample_rate, index) for index, recording in enumerate(recordings)])

    def _embed(self, recording: Recording, sample_rate: int | None, index: int) -> np.ndarray:
        if isinstance(recording, str | Path):
            stereo = read_stereo(Path(recording), self.sample_rate)
        elif sample_rate is None:
            raise DataError(f"recording {index} is an array; say its sample_rate in Hz")
        else:
            array = recording.cpu().numpy() if torch.is_tensor(recording) else np.asarray(recording)
            stereo = check_stereo(array, sample_rate, self.sample_rate, f"recording {index}")
        return self.clap.embed_audio(torch.from_numpy(stereo)[None].to(self.device))[0].float().cpu().numpy()

    @cached_property
    def captioner(self) -> Captioner:
        """DataError for a model directory without one."""
        return load_captioner(self.folder, self.clap.dim, self.device)

    @torch.inference_mode()
    def caption(self, recordings: Sequence[Recording], sample_rate: int | None = None, beams: int = 1) -> list[str]:
        """What stereo recordings, given as in `embed_audio`, are about, and where; greedy or with `beams`."""
        vectors = torch.from_numpy(self.embed_audio(recordings, sample_rate)).to(self.device)
        return self.captioner.generate(vectors, beams)

    @torch.inference_mode()
    def embed_text(self, captions: Sequence[str], batch_size: int = 256) -> np.ndarray:
        """Captions -> (n, dim). DataError for an empty list or caption."""
        for caption in captions:
            if not isinstance(caption, str) or not caption.strip():
                raise DataError(f"caption {caption!r} is not a text; give words")
        rows = []
        for first in range(0, len(captions), batch_size):
            ids = self.clap.text_encoder.tokenize(list(captions[first : first + batch_size]))
            rows.append(self.clap.embed_text(ids.to(self.device)).float().cpu().numpy())
        if not rows:
            raise DataError("no captions; give at least one")
        return np.concatenate(rows)
