"""Tokenizers and language models that others made, loaded without running code that they bring."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from torch import nn

from spclap.errors import DataError

WORDS = "a dog barks on the left side and rain falls in front"
SHOWN = 60  # characters of a caption in an error


@contextmanager
def loading(what: str, hint: str) -> Iterator[None]:
    """DataError `what: reason; hint` for whatever reading files of others raises inside."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # transformers, tokenizers, safetensors and the hub have no common one
        reason = str(error) or type(error).__name__
        if "trust_remote_code" in reason:
            reason = "it brings code of its own (auto_map), which is never run here"
        raise DataError(f"{what}: {reason}; {hint}") from error


@contextmanager
def without_bar() -> Iterator[None]:
    """transformers shows no bar for weights that it loads inside, which takes a moment; downloads keep theirs."""
    from transformers.utils.logging import set_tqdm_hook

    before = set_tqdm_hook(lambda make, args, options: make(*args, **{**options, "disable": True}))
    try:
        yield
    finally:
        set_tqdm_hook(before)


def safely(name: str) -> dict[str, bool]:
    """Options with which transformers runs no code of `name` and asks the hub only for what is no folder."""
    return {"trust_remote_code": False, "local_files_only": Path(name).is_dir()}


def transformers_model(auto: type, name: str, pretrained: bool):
    """`auto` model of transformers in float32 with its weights, or untrained with the same configuration.

    DataError for weights that do not fill it; a pooler may be new. To be called inside `loading`.
    """
    from transformers import AutoConfig

    if not pretrained:
        config = AutoConfig.from_pretrained(name, **safely(name))
        return auto.from_config(config, trust_remote_code=False).float()
    with without_bar():
        model, about = auto.from_pretrained(name, output_loading_info=True, weights_only=True, **safely(name))
    absent = sorted(key for key in about["missing_keys"] if not key.startswith("pooler."))
    if absent:
        raise DataError(f"{name}: lacks the weights {', '.join(absent[:3])} ({len(absent)} in all); give another model")
    if about["missing_keys"]:
        logging.warning("%s has no pooler: it starts untrained", name)
    return model.float()  # many are stored in half precision


def transformers_tokenizer(name: str, rows: int):
    """Tokenizer of a model with `rows` token embeddings. To be called inside `loading`.

    DataError for one that does not fit them, or knows no word: transformers makes such a stub where the files of a
    tokenizer are missing.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(name, **safely(name))
    if (last := max(tokenizer.get_vocab().values(), default=0)) >= rows:
        raise DataError(f"{name}: its tokenizer has a token {last}, the model {rows} tokens; they do not fit")
    known = set(tokenizer(WORDS, add_special_tokens=False)["input_ids"]) - {tokenizer.unk_token_id}
    if not known:
        raise DataError(f"{name}: its tokenizer knows no word of `{WORDS}`; tokenizer.json or vocabulary is missing")
    return tokenizer


def sentencepiece_model(path: str):
    """The tokenizer that a training made; DataError for a file that is missing or none."""
    import sentencepiece

    if not Path(path).is_file():
        raise DataError(f"{path}: tokenizer missing; rerun the training that makes it")
    with loading(path, "delete it and rerun the training that makes it"):
        return sentencepiece.SentencePieceProcessor(model_file=str(path))


def positions(model: nn.Module) -> int:
    """Tokens that a model of transformers can read."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding):
            unused = 0 if module.padding_idx is None else module.padding_idx + 1  # RoBERTa counts from behind it
            return module.num_embeddings - unused
    return getattr(model.config, "max_position_embeddings", None) or 10**9


def require_room(captions: Sequence[str], rows: Sequence[Sequence[int]], limit: int, hint: str) -> None:
    """DataError for the first of `captions` whose tokens, `rows`, are none or more than `limit`.

    Cut, two captions could become equal: what is on the right is said last.
    """
    for caption, ids in zip(captions, rows, strict=True):
        if 0 < len(ids) <= limit:
            continue
        shown = caption if len(caption) <= SHOWN else f"{caption[:SHOWN]}..."
        if ids:
            raise DataError(f"caption `{shown}` has {len(ids)} tokens, at most {limit} can be read; shorten it{hint}")
        raise DataError(f"caption {shown!r} has no words that the tokenizer knows; give words")


@contextmanager
def offline() -> Iterator[None]:
    """Inside, no library of the hub connects to it, whatever a configuration names."""
    from huggingface_hub import constants

    before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before
