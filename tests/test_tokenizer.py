"""The tokenizer that stage 2 trains on captions."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import sentencepiece

from spclap.bin.extract import train_tokenizer
from spclap.data.datadir import load_datadir, write_datadir
from spclap.errors import DataError
from spclap.scene.conf import SceneConf
from spclap.scene.sampler import SceneSampler


def test_more_characters_than_the_vocabulary_are_told_with_a_size_that_fits(tmp_path, clips, bank):
    """900 different Chinese characters in 12 captions."""
    texts = ["".join(chr(0x4E00 + 75 * number + index) for index in range(75)) for number in range(12)]
    chinese = [replace(clip, captions=(text,)) for clip, text in zip(clips, texts, strict=True)]
    write_datadir(tmp_path / "train", chinese)
    sampler = SceneSampler(load_datadir(tmp_path / "train"), bank, SceneConf(seconds=1.0, level_db=3.0, fixed={}))
    corpus = SimpleNamespace(data=tmp_path, dump=tmp_path, sampler=lambda split: sampler, simu=SimpleNamespace(seed=0))
    with pytest.raises(
        DataError, match=r"train/text: 9\d\d different .* vocab_size 400; set .* more than 9\d\d"
    ) as error:
        train_tokenizer(corpus, SimpleNamespace(vocab_size=400))
    assert "\n" not in str(error.value) and not (tmp_path / "tokenizer.model").exists()
    train_tokenizer(corpus, SimpleNamespace(vocab_size=int(str(error.value).split()[-1]) + 1))
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "tokenizer.model"))
    assert tokenizer.unk_id() not in tokenizer.encode(texts[0])
