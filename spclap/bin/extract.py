"""Stage 2, second half: tokenizer, normalisation statistics, frozen content features of the fixed scenes."""

import argparse
import io
import logging
import unicodedata
from dataclasses import asdict
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from safetensors.torch import save
from tqdm import tqdm

from spclap.bin import run_main
from spclap.data.config import load_config
from spclap.data.datadir import SPLITS, load_datadir
from spclap.data.files import atomic_path
from spclap.data.stamp import Stamp, digest, require_complete, require_simulated, scenes_digest
from spclap.errors import DataError
from spclap.model.content_encoder import CONTENT_ENCODERS
from spclap.model.features import KINDS, StereoMaps, joint_level
from spclap.scene.caption import scene_caption
from spclap.scene.conf import FeatsConf
from spclap.scene.corpus import Corpus
from spclap.scene.spatialize import render

SPECIAL = 10  # tokens that are no characters: unknown, begin, end and their like, generously
DUMPABLE = ("yamnet",)  # content encoders that hear something without training or options


def train_tokenizer(corpus: Corpus, conf: FeatsConf) -> None:
    """dump/<corpus>/tokenizer.model: sentencepiece on training captions with places.

    Raises DataError for a vocabulary that is too small for the characters of the captions.
    """
    sampler = corpus.sampler("train")
    scenes = [sampler.draw(np.random.default_rng([corpus.simu.seed, i]), 1 + i % 2, "") for i in range(4000)]
    captions = [caption for clip in load_datadir(corpus.data / "train") for caption in clip.captions]
    captions += [scene_caption(scene, range(scene.size)) for scene in scenes]
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(captions), model_writer=model, vocab_size=conf.vocab_size, hard_vocab_limit=False,
            minloglevel=2, num_threads=1,
        )  # fmt: skip
    except RuntimeError as error:
        characters = len(set(unicodedata.normalize("NFKC", "".join(captions))))
        raise DataError(
            f"{corpus.data / 'train' / 'text'}: {characters} different characters do not fit into a vocabulary of "
            f"vocab_size {conf.vocab_size}; set vocab_size in conf/feats.yaml to more than {characters + SPECIAL}"
        ) from error
    with atomic_path(corpus.dump / "tokenizer.model") as temporary:
        temporary.write_bytes(model.getvalue())


def measure_statistics(corpus: Corpus, conf: FeatsConf) -> None:
    """dump/<corpus>/statistics.safetensors: mean and deviation per map and bin of every spatial input."""
    sampler, pack, bank = corpus.sampler("train"), corpus.pack("train"), corpus.bank("train")
    encoders = {kind: StereoMaps(kind, conf.n_fft, conf.hop, conf.n_fft // 2 + 1) for kind in KINDS}
    maps: dict[str, list[torch.Tensor]] = {kind: [] for kind in KINDS}
    for index in tqdm(range(conf.statistics_scenes), desc="statistics", unit="scene"):
        rng = np.random.default_rng([corpus.simu.seed, 1, index])
        scene = sampler.draw(rng, 1 + index % 2, f"statistics-{index}")
        stereo = joint_level(render(scene, pack, bank, corpus.samples)[None])
        for kind, encoder in encoders.items():
            maps[kind].append(encoder.maps(stereo)[0])
    tables = {}
    for kind, parts in maps.items():
        frames = torch.cat(parts, dim=1)  # (4, frames, bins)
        name = f"{kind}.{conf.n_fft}.{conf.hop}"
        tables[f"{name}.mean"] = frames.mean(dim=1).contiguous()
        tables[f"{name}.std"] = frames.std(dim=1).contiguous()
    with atomic_path(corpus.dump / "statistics.safetensors") as temporary:
        temporary.write_bytes(save(tables))


@torch.no_grad()
def dump_content(corpus: Corpus, conf: FeatsConf) -> list[Path]:
    """dump/<corpus>/content/<set>.npy: frozen content features (scenes, dim) of the fixed scenes; returns the files."""
    encoder = CONTENT_ENCODERS[conf.content_encoder]().eval()
    made = []
    for split in ("valid", "test"):
        pack, bank = corpus.pack(split), corpus.bank(split)
        for n_sources in corpus.fixed_counts(split):
            name = f"{split}_{n_sources}src"
            rows = [
                encoder(joint_level(render(scene, pack, bank, corpus.samples)[None]).mean(dim=1))
                for scene in tqdm(corpus.fixed(split, n_sources), desc=f"content {name}", unit="scene")
            ]
            made.append(corpus.content_path(split, n_sources))
            with atomic_path(made[-1]) as temporary, temporary.open("wb") as file:
                np.save(file, torch.cat(rows).numpy())
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data/<corpus>, made by stages 0 and 1")
    parser.add_argument("--dump", type=Path, required=True, help="dump/<corpus>, written")
    parser.add_argument("--conf", type=Path, nargs="+", required=True, help="YAML files, later ones on top")
    args = parser.parse_args()
    conf, corpus = load_config(FeatsConf, *args.conf), Corpus(args.data, args.dump)
    require_simulated(args.data)
    require_complete(args.dump / "clips", "stage 2 (pack)")
    if conf.content_encoder not in (None, *DUMPABLE):
        raise DataError(f"content_encoder `{conf.content_encoder}` is not {' or '.join(DUMPABLE)}, nor null")
    names = ("text", "caption2clip", "utt2label", "utt2event")
    lists = [path for split in SPLITS for name in names if (path := args.data / split / name).is_file()]
    clips = digest(args.dump / "clips" / "done.json", *lists)
    rooms = digest(*(args.data / "rirs" / split / "done.json" for split in SPLITS))
    stamp = Stamp(args.dump, conf=asdict(conf), clips=clips, rooms=rooms, scenes=scenes_digest(args.data))
    if stamp.fresh():
        logging.info("%s: up to date", args.dump)
        return
    stamp.begin()
    train_tokenizer(corpus, conf)
    measure_statistics(corpus, conf)
    content = dump_content(corpus, conf) if conf.content_encoder else []
    stamp.write([args.dump / "tokenizer.model", args.dump / "statistics.safetensors", *content])


if __name__ == "__main__":
    run_main(main)
