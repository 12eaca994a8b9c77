"""Layers of a text encoder below those that are trained: what they make of a caption is the same for ever."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice

import torch
from torch import nn

MOST = 40_000  # captions whose states are kept, 1.2 GB with MiniLM; the oldest go
AT_ONCE = 32  # captions that are read together, those of one length with each other


class _Reached(Exception):
    """The first trained layer, with its input."""


@contextmanager
def _without_dropout(model: nn.Module) -> Iterator[None]:
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


class FrozenLayers:
    """Reads each caption once and keeps the states; only the trained layers run every time.

    In training what was kept has a layer's dropout once, in place of that in each frozen layer; without any, `single`
    had 5 points less of direction in one run (docs/LOG.md).

    Args: model of transformers; trained, its last layers, each called as layer(states, mask); padding, a token;
    known, states by weights and tokens, which models can share (30 KB a caption with MiniLM).
    """

    def __init__(self, model: nn.Module, trained: Sequence[nn.Module], padding: int, known: dict | None = None):
        self.model, self.trained, self.padding = model, list(trained), padding
        self.known: dict[tuple[bytes, tuple[int, ...]], torch.Tensor] = {} if known is None else known
        self.mark = self._digest()
        self.dropout = getattr(model.config, "hidden_dropout_prob", 0.0)

    def _digest(self) -> bytes:
        """Of all weights that the states depend on."""
        total, learn = hashlib.sha256(), {id(weight) for layer in self.trained for weight in layer.parameters()}
        for name, weight in self.model.named_parameters():
            if id(weight) not in learn:
                total.update(name.encode() + weight.detach().cpu().contiguous().numpy().tobytes())
        return total.digest()

    def states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token ids and mask (N, L), 1 for tokens and 0 for padding -> (N, L, dim) after the last layer."""
        lengths = mask.sum(dim=1).tolist()
        rows = [(self.mark, tuple(row[:length])) for row, length in zip(ids.tolist(), lengths, strict=True)]
        self._read(sorted({row for mark, row in rows if (mark, row) not in self.known}, key=len), ids)
        known = [self.known[row].to(ids.device) for row in rows]
        for oldest in list(islice(self.known, max(len(self.known) - MOST, 0))):
            del self.known[oldest]
        order, found = sorted(range(len(rows)), key=lengths.__getitem__), []
        for first in range(0, len(rows), AT_ONCE):
            part = order[first : first + AT_ONCE]
            found.append(self._above([known[row] for row in part], mask[part, : lengths[part[-1]]]))
        found, there = torch.cat(found), mask[order].bool().unsqueeze(2)
        whole = found.new_zeros(*mask.shape, found.shape[1]).masked_scatter(there, found)
        return whole[sorted(range(len(rows)), key=order.__getitem__)]

    def _above(self, known: list[torch.Tensor], mask: torch.Tensor) -> torch.Tensor:
        """States of captions of about one length -> (their tokens, dim) after the trained layers: padded to the longest
        of all captions, they would take longer."""
        states = nn.utils.rnn.pad_sequence(known, batch_first=True)
        states = nn.functional.dropout(states, self.dropout, self.model.training)
        unseen = torch.zeros(mask.shape, device=mask.device).masked_fill(mask == 0, torch.finfo(torch.float32).min)
        for layer in self.trained:
            states = layer(states, unseen[:, None, None].to(states.dtype))
        return states[mask.bool()]

    @torch.no_grad()
    def _read(self, rows: list[tuple[int, ...]], like: torch.Tensor) -> None:
        with _without_dropout(self.model):
            for first in range(0, len(rows), AT_ONCE):
                part = rows[first : first + AT_ONCE]
                ids = nn.utils.rnn.pad_sequence([like.new_tensor(row) for row in part], True, self.padding)
                found = zip(part, self._below(ids), strict=True)
                self.known.update(((self.mark, row), states[: len(row)].float().clone()) for row, states in found)

    def _below(self, ids: torch.Tensor) -> torch.Tensor:
        """(N, L, dim), what the first trained layer is given."""

        def stop(_, given: tuple) -> None:
            raise _Reached(given[0])

        hook = self.trained[0].register_forward_pre_hook(stop)
        try:
            self.model(input_ids=ids, attention_mask=(ids != self.padding).long())
        except _Reached as reached:
            return reached.args[0]
        finally:
            hook.remove()
        raise AssertionError("the model never called its first trained layer")

    @torch.no_grad()
    def fit(self, ids: torch.Tensor) -> bool:
        """Whether the layers of this model can be called one by one: as a whole it gives the same states."""
        mask = (ids != self.padding).long()
        with _without_dropout(self.model):
            whole = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
            try:
                apart = FrozenLayers(self.model, self.trained, self.padding).states(ids, mask)
            except (TypeError, AttributeError, AssertionError, RuntimeError, IndexError):
                return False
        there = mask.bool()
        return torch.is_tensor(apart) and torch.allclose(whole[there], apart[there], atol=1e-4)
