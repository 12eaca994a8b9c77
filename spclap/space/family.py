"""Families of arrays: words whose sizes may be ranges, such as `pair:0.08-0.30`."""

import re
from collections.abc import Iterable
from dataclasses import astuple

import numpy as np

from spclap.errors import DataError
from spclap.space.array import Array, array_of

RANGE = re.compile(r"(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)")


def member(family: str, where: float | np.random.Generator) -> Array:
    """An array of a family, its sizes at a share of each range, or drawn; DataError for words that name none."""

    def size(found: re.Match) -> str:
        low, high = map(float, found.groups())
        if low > high:
            raise DataError(f"array `{family}`: the range {found[0]} must go up; write {high:g}-{low:g}")
        share = where if isinstance(where, float) else where.random()
        return f"{low + (high - low) * share:.4g}"

    return array_of(family if family.startswith("head:") else RANGE.sub(size, family))


def belongs(array: Array, families: Iterable[str]) -> bool:
    """Whether an array is one of these families."""
    for family in families:
        low, high = member(family, 0.0), member(family, 1.0)
        if array in (low, high):
            return True
        if type(array) is type(low) and not family.startswith("head:"):
            if all(a <= b <= c for a, b, c in zip(*map(astuple, (low, array, high)), strict=True)):
                return True
    return False
