"""How many events came of each source, and when the last: counted by intake, kept in Redis.

Redis may be emptied: what is usual is then learnt anew. Counts are of arrivals, so a replay after a crash counts some twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from redis.asyncio import Redis

QUARTER_MS = 900_000
MOST_SOURCES = 1_000
"""Sources that are counted: those heard of last. A sender that invents a name for each event hides none of the others from the log."""


class SourceTally:
    """What the intake of this process has counted since it was last written; sources past ``MOST_SOURCES`` are not counted."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._counts: dict[int, Counter[str]] = {}
        self._last_ms: dict[str, int] = {}

    def add(self, sources: Iterable[str], arrived_ms: int) -> None:
        """Count the sources of events that arrived at about one time."""
        found = Counter(sources)
        if len(self._last_ms) >= MOST_SOURCES:
            found = Counter({name: number for name, number in found.items() if name in self._last_ms})
        self._counts.setdefault(arrived_ms // QUARTER_MS, Counter()).update(found)
        for name in found:
            self._last_ms[name] = max(arrived_ms, self._last_ms.get(name, 0))

    def take(self) -> tuple[dict[int, Counter[str]], dict[str, int]]:
        """Return counts by quarter and the last arrival of each source, and begin anew."""
        taken = self._counts, self._last_ms
        self._counts, self._last_ms = {}, {}
        return taken

    def give_back(self, counts: Mapping[int, Counter[str]], last_ms: Mapping[str, int]) -> None:
        """Count again what could not be written."""
        for quarter, found in counts.items():
            self._counts.setdefault(quarter, Counter()).update(found)
        for name, at_ms in last_ms.items():
            self._last_ms[name] = max(at_ms, self._last_ms.get(name, 0))


class SourceStore:
    """The counts of all workers in one Redis."""

    def __init__(self, redis: Redis, prefix: str, kept_ms: int) -> None:
        """Use a Redis connection, which the caller closes; ``kept_ms`` is how long counts are kept."""
        self._redis, self._prefix, self._kept_ms = redis, f"{prefix}sources:", kept_ms

    async def write(self, tally: SourceTally, now_ms: int) -> None:
        """Add what was counted. What Redis does not take is counted the next time.

        Raises:
            RedisError: Redis did not take it.
        """
        counts, last_ms = tally.take()
        if not last_ms:
            return
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.set(f"{self._prefix}since", now_ms, nx=True)
                for quarter, found in counts.items():
                    key = f"{self._prefix}{quarter}"
                    for name, number in found.items():
                        pipe.hincrby(key, name, number)
                    pipe.pexpire(key, self._kept_ms)
                # gt: a worker that reads a backlog must not take a source's last event back.
                pipe.zadd(f"{self._prefix}last", last_ms, gt=True)
                pipe.zremrangebyscore(f"{self._prefix}last", 0, now_ms - self._kept_ms)
                pipe.zremrangebyrank(f"{self._prefix}last", 0, -MOST_SOURCES - 1)
                await pipe.execute()
        except BaseException:
            tally.give_back(counts, last_ms)
            raise

    async def last(self) -> tuple[int | None, dict[str, int]]:
        """Return since when events are counted, and by source when its last came (wall ms).

        Raises:
            RedisError: Redis cannot be asked.
        """
        since = await self._redis.get(f"{self._prefix}since")
        found: list[Any] = await self._redis.zrange(f"{self._prefix}last", 0, -1, withscores=True)
        return None if since is None else int(since), {name.decode(): int(at_ms) for name, at_ms in found}

    async def counts(self, wanted: Mapping[int, list[str]]) -> dict[int, dict[str, int]]:
        """Return the events of some quarters and sources.

        Raises:
            RedisError: Redis cannot be asked.
        """
        if not wanted:
            return {}
        async with self._redis.pipeline(transaction=False) as pipe:
            for quarter, names in wanted.items():
                pipe.hmget(f"{self._prefix}{quarter}", names)
            found = await pipe.execute()
        return {
            quarter: {name: int(number) for name, number in zip(names, numbers, strict=True) if number is not None}
            for (quarter, names), numbers in zip(wanted.items(), found, strict=True)
        }
