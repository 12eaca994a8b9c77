"""What parts of a model need of a corpus, made when the first of them asks: a tokenizer, statistics of inputs."""

import io
import unicodedata
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from safetensors.torch import load_file, save
from torch import nn

from spclap.data.datadir import load_datadir
from spclap.data.progress import progress
from spclap.data.stamp import digest, list_files, made_once
from spclap.errors import DataError
from spclap.model.features import StereoMaps, joint_level
from spclap.scene.caption import scene_caption
from spclap.scene.corpus import Corpus
from spclap.scene.spatialize import render
from spclap.space.directions import DIRECTIONS
from spclap.space.words import TRAINING

SPECIAL = 10  # tokens that are no characters: unknown, begin, end and their like, generously


def tokenizer(corpus: Corpus) -> Path:
    """dump/<corpus>/tokenizer/tokenizer.model: sentencepiece on training captions with places.

    DataError for a vocabulary that is too small for the characters of the captions.
    """
    rooms, lists = corpus.data / "rirs" / "train" / "done.json", list_files(corpus.data, ["train"])

    def make() -> dict[str, bytes]:
        return {"tokenizer.model": _train_tokenizer(corpus)}

    inputs = {"vocab_size": corpus.feats.vocab_size, "made_of": digest(rooms, *lists)}
    return made_once(corpus.dump / "tokenizer", make, **inputs)["tokenizer.model"]


def _train_tokenizer(corpus: Corpus) -> bytes:
    sampler, vocab_size = corpus.sampler("train"), corpus.feats.vocab_size
    scenes = [sampler.draw(np.random.default_rng([corpus.simu.seed, i]), 1 + i % 2, "") for i in range(4000)]
    captions = [caption for clip in load_datadir(corpus.data / "train") for caption in clip.captions]
    captions += [scene_caption(scene, range(scene.size)) for scene in scenes]
    captions += [phrase for direction in DIRECTIONS for phrase in TRAINING.phrases(direction)]
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(captions), model_writer=model, vocab_size=vocab_size, hard_vocab_limit=False,
            minloglevel=2, num_threads=1,
        )  # fmt: skip
    except RuntimeError as error:
        characters = len(set(unicodedata.normalize("NFKC", "".join(captions))))
        raise DataError(
            f"{corpus.data / 'train' / 'text'}: {characters} different characters do not fit into a vocabulary of "
            f"vocab_size {vocab_size}; set vocab_size in conf/feats.yaml to more than {characters + SPECIAL} and rerun "
            "stage 2"
        ) from error
    return model.getvalue()


def normalise_inputs(model: nn.Module, corpus: Corpus) -> None:
    """Give every spatial input of a model that wants them the mean and deviation of training scenes."""
    for maps in model.modules():
        if isinstance(maps, StereoMaps) and maps.statistics:
            tables = load_file(_statistics(corpus, maps))
            maps.set_statistics(tables["mean"], tables["std"])


def _statistics(corpus: Corpus, maps: StereoMaps) -> Path:
    """dump/<corpus>/statistics/<input>/statistics.safetensors: mean and std per map and bin, each (4, bins)."""
    place = corpus.dump / "statistics" / f"{maps.kind}_{maps.n_fft}_{maps.hop}_{maps.bins}"
    stamps = [corpus.dump / "clips" / "done.json", corpus.data / "rirs" / "train" / "done.json"]

    def make() -> dict[str, bytes]:
        return {"statistics.safetensors": save(_measure(corpus, maps))}

    inputs = {"scenes": corpus.feats.statistics_scenes, "made_of": digest(*stamps, *list_files(corpus.data, ["train"]))}
    return made_once(place, make, **inputs)["statistics.safetensors"]


@torch.no_grad()
def _measure(corpus: Corpus, maps: StereoMaps) -> dict[str, torch.Tensor]:
    sampler, pack, bank = corpus.sampler("train"), corpus.pack("train"), corpus.bank("train")
    parts = []
    for index in progress(range(corpus.feats.statistics_scenes), desc=f"statistics of {maps.kind}", unit="scene"):
        scene = sampler.draw(np.random.default_rng([corpus.simu.seed, 1, index]), 1 + index % 2, f"statistics-{index}")
        parts.append(maps.maps(joint_level(render(scene, pack, bank, corpus.samples)[None]))[0])
    frames = torch.cat(parts, dim=1)  # (4, frames, bins)
    return {"mean": frames.mean(dim=1).contiguous(), "std": frames.std(dim=1).contiguous()}
