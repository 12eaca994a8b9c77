"""What is found in an index is what brute force finds, window by window."""

from pathlib import Path

import numpy as np
import pytest
import torch

from spclap.errors import DataError
from spclap.listening import Heard
from spclap.search import Index
from spclap.search.listing import File, Listing
from spclap.search.shards import Shards, join, windows_of, write_shard

DIM = 24


def made(out: Path, contents: dict[str, np.ndarray], shards: int = 3) -> None:
    """An index of these vectors (windows, DIM), a recording each, in some shards."""
    out.mkdir()
    keys = {name: bytes([index % 256, index // 256]) * 16 for index, name in enumerate(contents)}
    parts = [
        windows_of(keys[name], [Heard(i, i + 1.0, row, 1.0, True) for i, row in enumerate(vectors)])
        for name, vectors in contents.items()
    ]
    for number in range(shards):
        write_shard(out, parts[number::shards])
    files = {name: File(key.hex(), 0, 0) for name, key in sorted(keys.items())}
    Listing(str(out), "", "", "ortf", 1.0, DIM, files).write(out)


def brute_force(contents: dict[str, np.ndarray], query: np.ndarray, top: int, every: bool) -> list[tuple]:
    query = query / np.linalg.norm(query)
    rows = []
    for name, vectors in contents.items():
        scores = (vectors.astype(np.float16).astype(np.float64) * query).sum(axis=1)
        own = sorted((-score, name, float(start)) for start, score in enumerate(scores))
        rows += own if every else own[:1]
    return sorted(rows)[:top]


def units(rng: np.random.Generator, count: int) -> np.ndarray:
    vectors = rng.standard_normal((count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def close_ones(rng: np.random.Generator, count: int, query: np.ndarray) -> np.ndarray:
    """Vectors whose cosines with a query differ by less than half precision tells, some of them equal."""
    vectors = np.resize(query / np.linalg.norm(query), (count, DIM)).astype(np.float16)
    bits = vectors.view(np.uint16)
    bits[np.arange(count), rng.integers(DIM, size=count)] ^= 1
    return vectors.astype(np.float32)


@pytest.mark.parametrize("every", [False, True])
@pytest.mark.parametrize("close", [False, True])
def test_search_is_brute_force(tmp_path, every, close):
    rng = np.random.default_rng(0)
    query = rng.standard_normal(DIM)
    names = [f"{number:03d}" for number in rng.permutation(300)]
    contents = {}
    for name in names:
        count = rng.integers(1, 12)
        contents[name] = close_ones(rng, count, query) if close else units(rng, count)
    made(tmp_path / "i", contents)
    index = Index.open(tmp_path / "i")
    for top in (1, 10, 299, 10**5):
        (hits,) = index.search(query, top, every)
        found = [(-hit.score, Path(hit.path).name, hit.start) for hit in hits]
        assert found == brute_force(contents, query, top, every)
    for own, hits in zip((query, -query), index.search(np.stack([query, -3 * query]), 5), strict=True):
        assert [hit.path for hit in hits] == [hit.path for hit in index.search(own, 5)[0]]


def test_equal_scores_go_by_path_wherever_they_lie(tmp_path):
    vector = units(np.random.default_rng(0), 1)
    names = ["q", "b", "z", "a", "m", "c"]
    made(tmp_path / "i", {name: np.repeat(vector, 2, axis=0) for name in names})
    for top in range(1, 7):
        (hits,) = Index.open(tmp_path / "i").search(vector, top)
        assert [(Path(hit.path).name, hit.start) for hit in hits] == [(name, 0.0) for name in sorted(names)[:top]]


def test_queries_that_fit_nothing_are_refused(tmp_path):
    made(tmp_path / "i", {"a": units(np.random.default_rng(0), 3)})
    index = Index.open(tmp_path / "i")
    for query in (np.ones(DIM + 1), np.zeros(DIM), np.full(DIM, np.nan), [], [[1.0]]):
        with pytest.raises(DataError, match=r"queries have shape .*; give captions, or finite vectors \(n, 24\)"):
            index.search(query)
    with pytest.raises(DataError, match="top is 0"):
        index.search(np.ones(DIM), top=0)


def test_shards_are_joined_without_what_is_not_wanted(tmp_path):
    rng = np.random.default_rng(0)
    contents = {f"{number:03d}": units(rng, 3) for number in range(60)}
    made(tmp_path / "i", contents, shards=20)
    before = Shards(tmp_path / "i", DIM)
    wanted = set(list(before.contents)[:50])
    join(tmp_path / "i", DIM, wanted)
    after = Shards(tmp_path / "i", DIM)
    assert len(after.paths) == 1 and set(after.contents) == wanted and after.count == 150
    join(tmp_path / "i", DIM, set(list(wanted)[:26]))
    assert Shards(tmp_path / "i", DIM).count == 150  # most are wanted
    join(tmp_path / "i", DIM, few := set(list(wanted)[:10]))
    last = Shards(tmp_path / "i", DIM)
    assert set(last.contents) == few and last.count == 30

    def rows(shards: Shards, content: bytes) -> torch.Tensor:
        first, end = shards.contents[content]
        return torch.cat([part.vectors for part in shards.parts])[first:end]

    for content in few:
        assert torch.equal(rows(before, content), rows(last, content))


def test_windows_that_lie_twice_are_found_once(tmp_path):
    made(tmp_path / "i", {"a": units(np.random.default_rng(0), 3)}, shards=1)
    write_shard(tmp_path / "i", Shards(tmp_path / "i", DIM).parts)  # as a kill in `join` leaves them
    (hits,) = Index.open(tmp_path / "i").search(np.ones(DIM), every_window=True)
    assert sorted(hit.start for hit in hits) == [0.0, 1.0, 2.0]
