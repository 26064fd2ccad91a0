"""Read model in Redis: the latest rows for CLI, boards and alerts. Kafka is the truth; this can be lost and rebuilt."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from streams.adapters.patience import Patience

_Item = TypeVar("_Item")

_CHUNK = 2_000
"""Rows of one pipeline, about 2 MB: what waits in the client for Redis to read it."""


class ReadModel:
    """Writes rows; when Redis is away it tries again with growing pauses, which slows publishing and loses nothing."""

    def __init__(
        self, redis: Redis, prefix: str, *, partitions: int = 1, patience: Patience | None = None, retry_s: float = 0.5
    ) -> None:
        """Use a Redis connection.

        Args:
            redis: The client; the caller closes it.
            prefix: Put before each key.
            partitions: How many partitions publish.
            patience: How to wait for Redis; one that measures nothing and begins with ``retry_s`` by default.
            retry_s: See above.
        """
        self._redis, self._prefix, self._partitions = redis, prefix, partitions
        self._patience = patience or Patience(first_s=retry_s)

    async def lost(self, partition: int) -> bool:
        """Tell whether Redis has forgotten what this partition had written (flushed or restarted empty)."""
        try:
            return not await self._redis.exists(f"{self._prefix}held:{partition}")
        except (RedisError, OSError):
            return False

    async def put(
        self, partition: int, rows: Mapping[tuple[str, str], Mapping[str, bytes | None]], watermark_ms: int
    ) -> None:
        """Store rows by (table, window) and scope key; None deletes. Waits until Redis has them.

        Args:
            partition: The scopes partition writing.
            rows: JSON by scope key by (table, window).
            watermark_ms: The watermark the rows are as of.
        """
        await self._patience.until_done("take rows", lambda: self._put_once(partition, rows, watermark_ms))

    async def _put_once(
        self, partition: int, rows: Mapping[tuple[str, str], Mapping[str, bytes | None]], watermark_ms: int
    ) -> None:
        pipe = self._redis.pipeline(transaction=False)
        queued = 0
        for (table, window), by_scope in rows.items():
            key = f"{self._prefix}rows:{table}:{window}"
            for part in batched(by_scope.items(), _CHUNK):
                kept: dict[Any, Any] = {scope: value for scope, value in part if value is not None}
                gone = [scope for scope, value in part if value is None]
                if kept:
                    pipe.hset(key, mapping=kept)
                if gone:
                    pipe.hdel(key, *gone)
                queued += len(part)
                if queued >= _CHUNK:
                    await pipe.execute()
                    queued = 0
        pipe.set(f"{self._prefix}held:{partition}", watermark_ms)
        pipe.mget([f"{self._prefix}held:{number}" for number in range(self._partitions)])
        # What readers may rely on is what every partition has published.
        published = [int(value) for value in (await pipe.execute())[-1] if value is not None]
        least_ms = min((value for value in published if value >= 0), default=-1)
        if least_ms >= 0:
            body = {"watermark_ms": least_ms, "at_ms": int(time.time() * 1000)}
            await self._redis.set(f"{self._prefix}watermark", orjson.dumps(body))

    async def rows(self, table: str, window: str) -> dict[str, dict[str, Any]]:
        """Return the rows of a table and window by scope key.

        Raises:
            RedisError: Redis cannot be asked; ``patient_rows`` waits instead.
        """
        found: dict[bytes, bytes] = await self._redis.hgetall(f"{self._prefix}rows:{table}:{window}")  # type: ignore[assignment]
        return {key.decode(): orjson.loads(value) for key, value in found.items()}

    async def patient_rows(self, table: str, window: str) -> dict[str, dict[str, Any]]:
        """Return the rows of a table and window by scope key, waiting for Redis as long as it takes."""
        return await self._patience.until_done("give rows", lambda: self.rows(table, window))


def batched(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Yield lists of up to ``size`` items.

    Example:
        >>> list(batched("abcde", 2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
