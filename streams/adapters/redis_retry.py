"""Retries work on Redis until it succeeds, with growing pauses, and measures the wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from redis.exceptions import RedisError, ResponseError

log = logging.getLogger(__name__)

_Result = TypeVar("_Result")


class RedisMeter(Protocol):
    """Where waits for Redis are counted; ``telemetry.engine_metrics.EngineMetrics`` is one."""

    def wait_began(self, on: str) -> float:
        """Note that a wait begins."""

    def wait_ended(self, on: str, began: float) -> None:
        """Note that it is over."""

    def redis_retry(self) -> None:
        """Count one more try."""


class RedisRetry:
    """Waits for Redis without a limit. What must be written is not lost; what depends on it becomes slower."""

    def __init__(self, meter: RedisMeter | None = None, *, first_s: float = 0.5, most_s: float = 5.0) -> None:
        """Set the pauses.

        Args:
            meter: Where waits are counted.
            first_s: Seconds to wait after the first failure; each later pause is twice as long.
            most_s: Longest pause, seconds.
        """
        self._meter = meter
        self._first_s, self._most_s = first_s, most_s

    async def until_done(self, what: str, work: Callable[[], Awaitable[_Result]]) -> _Result:
        """Return what ``work`` returns, trying again while Redis is away, full or loading.

        Args:
            what: What Redis does not do, for the log: "take rows".
            work: Must do no harm when done twice.

        Raises:
            ResponseError: Redis understood and refused (wrong type of key, no right): trying again would not help.
        """
        with self.measured():
            return await self._try(what, work)

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure a wait for Redis that is not tried again."""
        began = None if self._meter is None else self._meter.wait_began("redis")
        try:
            yield
        finally:
            if self._meter is not None and began is not None:
                self._meter.wait_ended("redis", began)

    async def _try(self, what: str, work: Callable[[], Awaitable[_Result]]) -> _Result:
        pause_s = self._first_s
        while True:
            try:
                return await work()
            except (RedisError, OSError, TimeoutError) as error:
                if isinstance(error, ResponseError) and not passes(error):
                    raise
                log.warning("Redis does not %s (%s); trying again in %.1f s", what, error, pause_s)
                if self._meter is not None:
                    self._meter.redis_retry()
                await asyncio.sleep(pause_s)
                pause_s = min(self._most_s, pause_s * 2)


_PASSING = ("OOM", "LOADING", "BUSY", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MISCONF", "NOREPLICAS")


def passes(error: ResponseError) -> bool:
    """Return whether Redis refused because of its own state (full, loading, a replica), not because of the request."""
    return str(error).startswith(_PASSING)
