"""Fast draws for the simulated floor: one seeded source of randomness, log-normal times from a table."""

from __future__ import annotations

from collections.abc import Sequence
from math import exp
from random import Random
from statistics import NormalDist
from typing import TypeVar

T = TypeVar("T")

_POINTS = 4096
_NORMAL = [NormalDist().inv_cdf((i + 0.5) / _POINTS) for i in range(_POINTS)]


class Chance:
    """All randomness of one simulation; the same seed draws the same."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.random = self.rng.random
        self._tables: dict[float, list[float]] = {}

    def happens(self, share: float) -> bool:
        """True with probability ``share``."""
        return self.random() < share

    def between(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + self.random() * (high - low)

    def around(self, median: float, sigma: float) -> float:
        """Log-normal around ``median``; drawn from 4,096 quantiles, because the exact draw is ten times dearer."""
        table = self._tables.get(sigma)
        if table is None:
            table = self._tables[sigma] = [exp(sigma * z) for z in _NORMAL]
        return median * table[int(self.random() * _POINTS)]

    def one_of(self, items: Sequence[T]) -> T:
        """One item, all equally likely."""
        return items[int(self.random() * len(items))]
