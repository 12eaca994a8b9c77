"""Spatial captioning (PAPER, Table 2): the audio vector becomes a prefix that a causal language model continues."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from spclap.errors import DataError
from spclap.model.language import (
    loading,
    require_room,
    sentencepiece_model,
    transformers_model,
    transformers_tokenizer,
)
from spclap.model.spatial_clap import part

IGNORED = -100  # label that transformers' loss leaves out


class SmallDecoder(nn.Module):
    """A small GPT-2 trained from scratch on the recipe's sentencepiece tokens."""

    needs = "tokenizer"

    def __init__(self, tokenizer: str, dim: int = 192, layers: int = 3, heads: int = 4, positions: int = 192):
        super().__init__()
        from transformers import GPT2Config, GPT2LMHeadModel

        self.pieces = sentencepiece_model(tokenizer)
        self.end = self.pieces.vocab_size()  # one token more than there are pieces, for padding too
        self.model = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=self.end + 1, n_positions=positions, n_embd=dim, n_layer=layers, n_head=heads,
                bos_token_id=self.end, eos_token_id=self.end, pad_token_id=self.end,
                resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,  # with dropout binding takes longer, see docs/LOG.md
            )
        )  # fmt: skip

    def encode(self, captions: list[str]) -> list[list[int]]:
        return [[*self.pieces.encode(caption), self.end] for caption in captions]

    def decode(self, ids: list[int]) -> str:
        return self.pieces.decode([i for i in ids if i != self.end])

    def save_configuration(self, folder: Path) -> dict:
        """Write what building this decoder without weights needs; returns the options for that."""
        folder.mkdir()
        (folder / "tokenizer.model").write_bytes(self.pieces.serialized_model_proto())
        return {"tokenizer": f"{folder.name}/tokenizer.model"}


class HFDecoder(nn.Module):
    """A causal language model of transformers, such as gpt2 (the paper's).

    Args: name, hub id or folder. pretrained: false builds the network of that configuration untrained. DataError for a
    model that cannot be loaded.
    """

    needs = "name"

    def __init__(self, name: str = "gpt2", pretrained: bool = True):
        super().__init__()
        from transformers import AutoModelForCausalLM

        hint = "give a folder with config.json, weights and tokenizer of a causal language model"
        with loading(f"decoder {name}", f"{hint}, or unset HF_HUB_OFFLINE to fetch it"):
            self.model = transformers_model(AutoModelForCausalLM, name, pretrained)
            self.tokenizer = transformers_tokenizer(name, self.model.get_input_embeddings().num_embeddings)
        self.end = self.tokenizer.eos_token_id
        if self.end is None:
            raise DataError(f"decoder {name}: its tokenizer has no eos_token; give another causal language model")

    def encode(self, captions: list[str]) -> list[list[int]]:
        return [[*ids, self.end] for ids in self.tokenizer(captions, add_special_tokens=False)["input_ids"]]

    def decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode([i for i in ids if i != self.end], skip_special_tokens=True).strip()

    def save_configuration(self, folder: Path) -> dict:
        self.tokenizer.save_pretrained(folder)
        self.model.config.save_pretrained(folder)
        return {"name": folder.name, "pretrained": False}


DECODERS = {"small": SmallDecoder, "hf": HFDecoder}


class Captioner(nn.Module):
    """Audio vectors -> captions.

    Args: dim of the vectors; decoder, a key of DECODERS, with its options; prefix, number of embeddings that a vector
    becomes. These begin about as large as the decoder's token embeddings. DataError for values that do not fit.
    """

    def __init__(self, dim: int, decoder: str = "small", decoder_conf: dict | None = None, prefix: int = 4):
        super().__init__()
        if not isinstance(prefix, int) or prefix < 1:
            raise DataError(f"prefix is {prefix}; it must be a whole number of 1 or more")
        self.decoder, self.prefix_length = part(DECODERS, decoder, decoder_conf), prefix
        tokens = self.decoder.model.get_input_embeddings()
        self.prefix = nn.Linear(dim, prefix * tokens.embedding_dim)
        # for vectors of unit length; a Linear's weights alone begin with a third of the variance of its inputs
        self.register_buffer("size", tokens.weight.detach().std() * (3 * dim) ** 0.5)

    def embeddings(self, vectors: torch.Tensor) -> torch.Tensor:
        """(N, dim) -> (N, prefix, width)."""
        return (self.prefix(vectors) * self.size).unflatten(1, (self.prefix_length, -1))

    @property
    def room(self) -> int:
        """Tokens that a caption can have, the end included."""
        return getattr(self.decoder.model.config, "max_position_embeddings", 1024) - self.prefix_length

    def encode(self, captions: Sequence[str]) -> list[list[int]]:
        """Tokens of captions, the end included; DataError for the first one that the decoder has no room for."""
        rows = self.decoder.encode(list(captions))
        require_room(captions, rows, self.room, " or give a decoder with more positions")
        return rows

    def forward(self, vectors: torch.Tensor, captions: list[str]) -> torch.Tensor:
        """Mean cross-entropy per token of N captions, given vectors (N, dim)."""
        rows = [torch.tensor(ids, device=vectors.device) for ids in self.encode(captions)]
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=self.decoder.end)
        labels = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=IGNORED)
        prefix = self.embeddings(vectors)
        inputs = torch.cat([prefix, self.decoder.model.get_input_embeddings()(ids).to(prefix.dtype)], dim=1)
        labels = torch.cat([labels.new_full(prefix.shape[:2], IGNORED), labels], dim=1)
        return self.decoder.model(inputs_embeds=inputs, labels=labels).loss

    @torch.no_grad()
    def generate(self, vectors: torch.Tensor, beams: int = 1, max_tokens: int = 64) -> list[str]:
        """Captions of vectors (N, dim), no longer than the decoder's positions allow: greedy with one beam, else beam
        search."""
        prefix = self.embeddings(vectors)
        found = self.decoder.model.generate(
            inputs_embeds=prefix, attention_mask=torch.ones(prefix.shape[:2], device=prefix.device),
            num_beams=beams, do_sample=False, max_new_tokens=min(max_tokens, self.room),
            eos_token_id=self.decoder.end, pad_token_id=self.decoder.end,
        )  # fmt: skip
        return [self.decoder.decode(row.tolist()) for row in found]
