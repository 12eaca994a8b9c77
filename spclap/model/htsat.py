"""HTSAT of LAION-CLAP, the paper's content encoder, through transformers' implementation."""

from functools import partial
from pathlib import Path

import torch
import torchaudio
from torch import nn
from torch.utils.checkpoint import checkpoint
from torchaudio.functional import spectrogram

from spclap.errors import DataError
from spclap.model.language import loading, safely, without_bar
from spclap.space.array import SAMPLE_RATE

CLAP_RATE = 48000  # Hz, what LAION-CLAP hears
WINDOW = 10 * CLAP_RATE  # samples
STFT = {"n_fft": 1024, "win_length": 1024, "hop_length": 480}
MEL = {
    "num_mel_filters": 64, "min_frequency": 50.0, "max_frequency": 14000.0, "mel_scale": "slaney", "norm": "slaney"
}  # fmt: skip
OTHER_PARTS = ("text_model.", "text_projection.", "logit_scale_")  # of a CLAP checkpoint, not wanted here


def fit_windows(mono: torch.Tensor, length: int = WINDOW) -> torch.Tensor:
    """(N, T) -> (N, windows, length). A short recording is repeated as often as it fits and padded with zeros, as CLAP
    does it; a long one is cut into consecutive windows, of which the last ends with the recording."""
    samples = mono.shape[1]
    if samples <= length:
        repeated = mono.repeat(1, length // samples)
        return nn.functional.pad(repeated, (0, length - repeated.shape[1]))[:, None]
    starts = [*range(0, samples - length, length), samples - length]
    return torch.stack([mono[:, start : start + length] for start in starts], dim=1)


class LogMel(nn.Module):
    """What transformers' ClapFeatureExtractor makes of 48 kHz windows (its `rand_trunc` filters), on any device."""

    def __init__(self):
        super().__init__()
        from transformers.audio_utils import mel_filter_bank

        filters = mel_filter_bank(STFT["n_fft"] // 2 + 1, sampling_rate=CLAP_RATE, **MEL)
        self.register_buffer("filters", torch.from_numpy(filters))

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """(N, 480000) -> decibels (N, 1, 1001, 64) float32, computed in float64 as transformers does it."""
        # made here since trainers cast buffers: a window rounded to float32 is 0.01 dB off where little sounds
        hann = torch.hann_window(STFT["win_length"], dtype=torch.float64, device=windows.device)
        with torch.autocast(windows.device.type, enabled=False):
            power = spectrogram(windows.double(), pad=0, window=hann, power=2.0, normalized=False, **STFT)
            mel = power.transpose(1, 2) @ self.filters.double()
            return 10 * mel.clamp_min(1e-10).log10().float()[:, None]


class Htsat(nn.Module):
    """HTSAT-tiny (768-d) or HTSAT-base (1024-d) on the mean of both channels, 16 kHz -> 48 kHz.

    Args:
        name: hub id or folder of a transformers CLAP model without feature fusion; `laion/larger_clap_general` is
            HTSAT-base, `laion/clap-htsat-unfused` HTSAT-tiny. pretrained: false builds the network of that
            configuration untrained. checkpointing: trade a second forward pass for memory in training.
    Raises DataError for a model that cannot be loaded whole and for one with feature fusion.
    """

    needs = "name"

    def __init__(
        self, name: str = "laion/larger_clap_general", pretrained: bool = True, checkpointing: bool = False
    ):  # fmt: skip
        super().__init__()
        from transformers import ClapAudioConfig

        hint = "give a folder with config.json and weights of a CLAP model (saved by transformers, or by "
        with loading(f"content encoder {name}", f"{hint}`spclap convert-laion`), or unset HF_HUB_OFFLINE to fetch it"):
            config = ClapAudioConfig.from_pretrained(name, **safely(name))
            if config.enable_fusion:
                raise DataError(f"{name} fuses several views of long recordings; take an unfused CLAP")
            self.tower = _load(name) if pretrained else _untrained(config)
        if checkpointing:  # transformers' own switch knows only its language models
            for stage in self.tower.audio_encoder.layers:
                stage.forward = partial(checkpoint, stage.forward, use_reentrant=False)
        self.resample = torchaudio.transforms.Resample(SAMPLE_RATE, CLAP_RATE)
        self.front = LogMel()
        self.dim = config.hidden_size
        for module in self.tower.modules():  # computed, not learned: an average of checkpoints would add it up
            if hasattr(module, "relative_position_index"):
                module.register_buffer("relative_position_index", module.relative_position_index, persistent=False)

    def forward(self, mono: torch.Tensor) -> torch.Tensor:
        """(N, T) at 16 kHz -> (N, dim), the mean over windows of 10 s."""
        with torch.autocast(mono.device.type, enabled=False):
            windows = fit_windows(self.resample(mono.float()))
        pooled = self.tower(input_features=self.front(windows.flatten(0, 1))).pooler_output
        return pooled.unflatten(0, windows.shape[:2]).mean(dim=1)

    def save_configuration(self, folder: Path) -> dict:
        """Write what building this encoder without weights needs; returns the options for that."""
        self.tower.config.save_pretrained(folder)
        return {"name": folder.name, "pretrained": False, "checkpointing": False}


def _untrained(config) -> nn.Module:
    from transformers import ClapAudioModel

    return ClapAudioModel(config)


def _load(name: str) -> nn.Module:
    """The audio tower of a CLAP model; DataError unless the checkpoint has all of it and nothing unknown."""
    from transformers import ClapAudioModelWithProjection

    load = ClapAudioModelWithProjection.from_pretrained
    with without_bar():
        model, info = load(name, output_loading_info=True, weights_only=True, **safely(name))
    unknown = [key for key in info["unexpected_keys"] if not key.startswith(OTHER_PARTS)]
    if info["missing_keys"] or info["mismatched_keys"] or unknown:
        raise DataError(
            f"content encoder {name}: weights do not fit its config.json; missing {sorted(info['missing_keys'])[:3]}, "
            f"of another shape {sorted(info['mismatched_keys'])[:3]}, unknown {sorted(unknown)[:3]}"
        )
    return model.audio_model.float()
