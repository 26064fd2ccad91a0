"""Sums of many integers by key, exact and fast."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_DENSE_LIMIT = 8_000_000
_BINS_PER_KEY = 16
_DENSE_ALWAYS = 65_536
_EXACT_FLOAT = 2.0**53
_EXACT_INT = 2.0**62


class Sums:
    """Sums in ascending order of key.

    Attributes:
        keys: Ascending keys, every one that was given.
        amounts: Their sums, as objects where 64 bits may not hold them; zero where amounts cancel each other out.
    """

    __slots__ = ("amounts", "keys")

    def __init__(self, keys: Ints, amounts: Ints) -> None:
        """Hold keys and sums of the same length."""
        self.keys = keys
        self.amounts = amounts

    def pairs(self) -> Iterator[tuple[int, int]]:
        """Yield (key, sum)."""
        return zip(self.keys.tolist(), self.amounts.tolist(), strict=True)

    def by_key(self) -> dict[int, int]:
        """Return sums by key."""
        return dict(self.pairs())

    def by_place(self, span: int) -> Iterator[tuple[int, list[int], list[int]]]:
        """Split keys ``place * span + inner`` and yield (place, inner, sums), places ascending."""
        if not len(self.keys):
            return
        place, inner = np.divmod(self.keys, span)
        starts = np.flatnonzero(place[1:] != place[:-1]) + 1
        inner_list, amount_list = inner.tolist(), self.amounts.tolist()
        begin = 0
        firsts = place[np.concatenate([[0], starts])].tolist()
        for number, end in zip(firsts, [*starts.tolist(), len(inner_list)], strict=True):
            yield number, inner_list[begin:end], amount_list[begin:end]
            begin = end


def count_by_key(keys: Ints, size: int) -> Sums:
    """Count keys, at a third of the price of summing ones.

    Args:
        keys: Integers in 0..size-1.
        size: Number of possible keys.
    """
    if _few(len(keys), size):
        counts = np.bincount(keys, minlength=size)
        touched = np.flatnonzero(counts)
        return Sums(touched, counts[touched])
    return sum_by_key(keys, np.ones(len(keys), dtype=np.int64), size)


def _few(keys: int, size: int) -> bool:
    """Tell whether one bin per possible key is cheap."""
    return keys > 0 and size <= max(_DENSE_ALWAYS, _BINS_PER_KEY * keys) and size <= _DENSE_LIMIT


def sum_by_key(keys: Ints, amounts: Ints, size: int) -> Sums:
    """Sum amounts by key.

    One bin per possible key where that is cheap (float sums, exact below 2**53), else by sorting.

    Args:
        keys: Integers in 0..size-1.
        amounts: One per key, of any sign; a zero alone may be left out of the result.
        size: Number of possible keys.
    """
    # Added up as floats: the sum of integers may pass 64 bits and come out small.
    total = float(np.abs(amounts).sum(dtype=np.float64))
    if _few(len(keys), size) and total < _EXACT_FLOAT:
        sums = np.bincount(keys, weights=amounts, minlength=size)
        touched = np.flatnonzero(np.bincount(keys, minlength=size) if amounts.min() < 0 else sums)
        return Sums(touched, sums[touched].astype(np.int64))
    order = np.argsort(keys, kind="stable")
    keys, amounts = keys[order], amounts[order]
    if not len(keys):
        return Sums(keys, amounts)
    if total >= _EXACT_INT:
        amounts = amounts.astype(object)  # Python's integers have no bound
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return Sums(keys[starts], np.add.reduceat(amounts, starts))
