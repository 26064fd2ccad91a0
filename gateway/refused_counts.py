"""Counts what this gateway refuses, by source and code, and adds it to the counts of all gateways in Redis now and then.

Nothing waits for Redis: what it does not take is counted the next time.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from redis.exceptions import RedisError

from gateway.authenticator import ClockMs
from streams.adapters.refused_requests import refused_name
from streams.adapters.source_counts import SourceTally

WRITE_EVERY_S = 2.0
_REDIS_S = 5.0
_FLOW_CONTROL = 429
"""Too many at once is no fault of a set-up: the sender is to wait, and does."""


class RefusedStore(Protocol):
    """Takes counts; ``streams.adapters.refused_requests.refused_store`` gives one."""

    async def write(self, tally: SourceTally, now_ms: int) -> None:
        """Add what was counted."""


class RefusedCounts:
    """Counts in memory, by names of configured sources and codes of ours only, and writes."""

    def __init__(self, store: RefusedStore, clock_ms: ClockMs) -> None:
        """Take where counts go, and the wall clock in Unix milliseconds."""
        self._store, self._clock_ms = store, clock_ms
        self._tally = SourceTally()

    def add(self, sender: str, status: int, code: str) -> None:
        """Count one refused request of a source."""
        if status != _FLOW_CONTROL:
            self._tally.add((refused_name(sender, status, code),), self._clock_ms())

    async def write_forever(self) -> None:
        """Write every ``WRITE_EVERY_S`` until cancelled."""
        while True:
            await asyncio.sleep(WRITE_EVERY_S)
            await self.write()

    async def write(self) -> None:
        """Write what was counted; what Redis does not take stays counted."""
        try:
            async with asyncio.timeout(_REDIS_S):
                await self._store.write(self._tally, self._clock_ms())
        except (RedisError, OSError, TimeoutError):
            return
