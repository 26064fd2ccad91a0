"""Limits how many requests each sender may make."""

from __future__ import annotations

import math
from collections.abc import Callable

_MOST_BUCKETS = 10_000
"""Without tokens each address has a bucket, and there may be many."""


class TokenBuckets:
    """A token bucket for each sender: ``burst`` requests at once, ``per_s`` a second on average."""

    def __init__(self, per_s: float, burst: int, clock_ms: Callable[[], int]) -> None:
        """Begin with full buckets; ``per_s`` 0 sets no limit."""
        self._per_ms = per_s / 1000
        self._burst = float(burst)
        self._clock_ms = clock_ms
        self._held: dict[str, tuple[float, int]] = {}

    def wait_s(self, name: str) -> int:
        """Take one request from a sender's bucket. Returns 0, or the seconds until there is room again."""
        if not self._per_ms:
            return 0
        now_ms = self._clock_ms()
        held, since_ms = self._held.pop(name, (self._burst, now_ms))
        while len(self._held) >= _MOST_BUCKETS:
            del self._held[next(iter(self._held))]  # the one used longest ago; a new bucket begins full
        held = min(self._burst, held + max(0, now_ms - since_ms) * self._per_ms)
        if held >= 1:
            self._held[name] = (held - 1, now_ms)
            return 0
        self._held[name] = (held, now_ms)
        return max(1, math.ceil((1 - held) / self._per_ms / 1000))
