"""Search in the windows of an index by matrix product: every window is compared, none is passed over."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch

from spclap.data.recordings import Recording, either_rate
from spclap.errors import DataError
from spclap.inference import SpatialCLAP
from spclap.search.listing import Listing, read_listing
from spclap.search.shards import MOST, Shards

EXACT = 8192  # windows that are compared in float64 at once
ROUNDING = 2**-11 + 1e-4  # of a product of unit vectors in half precision, and of the sums within
LEAST = -2.0  # below every cosine


@dataclass(frozen=True)
class Hit:
    """A window of a recording: path, from `start` to `end` s; score, its cosine with the query; something, whether more
    than noise is heard in it; file, what became of the file since: same, changed or gone."""

    path: str
    start: float
    end: float
    score: float
    something: bool
    file: str


class Index:
    """What `update` heard of a folder, memory-mapped. It may be searched while a run brings it up to date."""

    def __init__(self, listing: Listing, shards: Shards, model: SpatialCLAP | None = None):
        """Args: model, the one that heard, for queries in words; loaded when it is needed if not given."""
        self.listing, self._given, self._vectors = listing, model, [part.vectors for part in shards.parts]
        names: dict[bytes, list[str]] = {}
        for name, file in listing.files.items():
            names.setdefault(bytes.fromhex(file.content), []).append(name)
        self._names, self._content = [], np.full(shards.count, -1)  # of each content; of each row, -1: not listed
        for content, (first, last) in shards.contents.items():
            if content in names:
                self._content[first:last] = len(self._names)
                self._names.append(names[content])
        self.unheard = [name for content, own in names.items() if content not in shards.contents for name in own]
        self._passed = self._content < 0
        self._starts = np.flatnonzero(np.diff(self._content, prepend=-2))
        self._spans = np.concatenate([np.empty((0, 2)), *(part.spans.numpy() for part in shards.parts)])
        self._waves = np.concatenate([np.empty(0, bool), *(part.waves.numpy() for part in shards.parts)])

    @classmethod
    def open(cls, out: Path | str, model: SpatialCLAP | None = None) -> "Index":
        """DataError for a folder that is no index, for one without vectors, and for a model that it was not made
        with."""
        listing = read_listing(Path(out))
        if model is not None:
            listing.require(model)
        index = cls(listing, Shards(Path(out), listing.dim), model)
        if index._passed.all():
            raise DataError(f"{out}: has no vectors yet; `spclap index {listing.folder} --out {out}` makes them")
        return index

    @cached_property
    def model(self) -> SpatialCLAP:
        """The one that the index was made with; DataError where it is gone or changed."""
        if self._given is not None:
            return self._given
        told = self.listing.model
        if told and not Path(told).is_dir():
            raise DataError(f"{told}: the index was made with this model, which is not there; say where it is now")
        model = SpatialCLAP.from_pretrained(told or None)
        self.listing.require(model)
        return model

    def search(
        self, queries: str | Sequence[str] | np.ndarray, top: int = 10, every_window: bool = False
    ) -> list[list[Hit]]:
        """For each query, a caption or a vector (dim,) of the model, the `top` recordings, the best first, each with
        its best window, or with `every_window` the `top` windows. Equal scores go by path, then time.

        Scores are exact: cosines of the kept vectors, which are rounded to half precision.
        """
        if top < 1:
            raise DataError(f"top is {top}; it must be 1 or more")
        words = isinstance(queries, str) or (len(queries) and isinstance(queries[0], str))
        vectors = np.atleast_2d(self.model.embed_text(queries) if words else np.asarray(queries, np.float64))
        lengths = np.linalg.norm(vectors, axis=1)
        if vectors.shape[1] != self.listing.dim or not (np.isfinite(lengths) & (lengths > 0)).all():
            raise DataError(
                f"queries have shape {vectors.shape}; give captions, or finite vectors (n, {self.listing.dim})"
            )
        return [
            self._search(vector / length, top, every_window) for vector, length in zip(vectors, lengths, strict=True)
        ]

    @either_rate
    def like(
        self, recordings: Recording | Sequence[Recording], sampling_rate: int | None = None, top: int = 10,
        every_window: bool = False,
    ) -> list[list[Hit]]:  # fmt: skip
        """For each recording, in any form that `SpatialCLAP.embed_audio` takes and through the array that the index was
        heard through, what sounds like it, where it sounds; as `search`."""
        return self.search(self.model.embed_audio(recordings, sampling_rate, self.listing.array), top, every_window)

    def _search(self, query: np.ndarray, top: int, every_window: bool) -> list[Hit]:
        """All windows in half precision, then those exactly that may be among the best, whatever was rounded."""
        half = torch.from_numpy(query).half()
        rough = self._rough(half)
        best = rough if every_window else np.maximum.reduceat(rough, self._starts)
        least = np.partition(best, -top)[-top] if top < len(best) else -np.inf
        away = np.linalg.norm(query - half.double().numpy()) + ROUNDING
        rows = np.flatnonzero(rough >= max(least - 2 * away, LEAST))
        scores, found, done = self._exact(rows, query), [], set()
        for place in np.lexsort((rows, -scores)):
            row, content = rows[place], self._content[rows[place]]
            if every_window or content not in done:
                done.add(content)
                found += [(-scores[place], name, row) for name in self._names[content]]
            if len(found) >= top and scores[place] < -found[top - 1][0]:
                break
        return [self._hit(name, row, -score) for score, name, row in sorted(found)[:top]]

    def _rough(self, half: torch.Tensor) -> np.ndarray:
        """(windows,) products in half precision, -inf for windows of what is not listed."""
        blocks = [block for vectors in self._vectors for block in vectors.split(MOST)]
        with ThreadPoolExecutor(
            torch.get_num_threads()
        ) as pool:  # torch has one thread for a product of half precision
            rough = torch.cat(list(pool.map(lambda block: block @ half, blocks)))
        rough = rough.float().numpy()
        rough[self._passed] = -np.inf
        return rough

    def _exact(self, rows: np.ndarray, query: np.ndarray) -> np.ndarray:
        """(rows,) in float64; equal vectors have equal scores to the bit, wherever they lie."""
        scores, first = [np.empty(0)], 0
        for vectors in self._vectors:
            own = rows[slice(*np.searchsorted(rows, (first, first + len(vectors))))] - first
            for part in torch.from_numpy(own).split(EXACT):
                scores.append((vectors[part].double().numpy() * query).sum(axis=1))
            first += len(vectors)
        return np.concatenate(scores)

    def _hit(self, name: str, row: int, score: float) -> Hit:
        path, (start, end) = self.listing.path(name), self._spans[row].tolist()
        return Hit(str(path), start, end, float(score), bool(self._waves[row]), self.listing.state(name))
