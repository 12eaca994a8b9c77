"""The tokenizer that is trained on captions."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
import sentencepiece

from spclap.data.datadir import load_datadir, write_datadir
from spclap.data.stamp import Stamp
from spclap.engine.made import tokenizer
from spclap.errors import DataError
from spclap.scene.sampler import SceneSampler
from spclap.scene.sounds import SoundConf


def test_more_characters_than_the_vocabulary_are_told_with_a_size_that_fits(tmp_path, clips, bank):
    """900 different Chinese characters in 12 captions."""
    texts = ["".join(chr(0x4E00 + 75 * number + index) for index in range(75)) for number in range(12)]
    chinese = [replace(clip, captions=(text,)) for clip, text in zip(clips, texts, strict=True)]
    write_datadir(tmp_path / "train", chinese)
    sampler = SceneSampler(load_datadir(tmp_path / "train"), bank, [SoundConf(level_db=3.0)])
    Stamp(tmp_path / "rirs" / "train").write()
    feats = SimpleNamespace(vocab_size=400)
    corpus = SimpleNamespace(
        data=tmp_path, dump=tmp_path / "dump", sampler=lambda split: sampler, simu=SimpleNamespace(seed=0), feats=feats
    )
    with pytest.raises(
        DataError, match=r"train/text: 9\d\d different .* vocab_size 400; set .* more than 9\d\d"
    ) as error:
        tokenizer(corpus)
    assert "\n" not in str(error.value) and not list(corpus.dump.rglob("tokenizer.model"))
    feats.vocab_size = int(re.search(r"more than (\d+)", str(error.value))[1]) + 1
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer(corpus)))
    assert pieces.unk_id() not in pieces.encode(texts[0])
