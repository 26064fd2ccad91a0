"""Read model in Redis: the latest rows for CLI, boards and alerts. Kafka is the truth; this can be lost and rebuilt."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

_CHUNK = 2_000


class ReadModel:
    """Writes rows; when Redis is away it retries with growing pauses, which slows publishing and loses nothing."""

    def __init__(
        self, redis: Redis, prefix: str, *, partitions: int = 1, retry_s: float = 0.5, max_retry_s: float = 5.0
    ) -> None:
        """Use a Redis connection, a key prefix and the number of partitions that publish."""
        self._redis, self._prefix, self._partitions = redis, prefix, partitions
        self._retry_s, self._max_retry_s = retry_s, max_retry_s

    async def lost(self, partition: int) -> bool:
        """Tell whether Redis has forgotten what this partition had written (flushed or restarted empty)."""
        try:
            return not await self._redis.exists(f"{self._prefix}held:{partition}")
        except RedisError:
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
        pause_s = self._retry_s
        while True:
            try:
                await self._put_once(partition, rows, watermark_ms)
                return
            except (RedisError, OSError) as error:
                log.warning("Redis does not take rows (%s); trying again in %.1f s", error, pause_s)
                await asyncio.sleep(pause_s)
                pause_s = min(self._max_retry_s, pause_s * 2)

    async def _put_once(
        self, partition: int, rows: Mapping[tuple[str, str], Mapping[str, bytes | None]], watermark_ms: int
    ) -> None:
        pipe = self._redis.pipeline(transaction=False)
        queued = 0
        for (table, window), by_scope in rows.items():
            key = f"{self._prefix}rows:{table}:{window}"
            kept: dict[Any, Any] = {scope: value for scope, value in by_scope.items() if value is not None}
            gone = [scope for scope, value in by_scope.items() if value is None]
            if kept:
                pipe.hset(key, mapping=kept)
            if gone:
                pipe.hdel(key, *gone)
            queued += len(by_scope)
            if queued > _CHUNK:
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
        """Return the rows of a table and window by scope key."""
        found: dict[bytes, bytes] = await self._redis.hgetall(f"{self._prefix}rows:{table}:{window}")  # type: ignore[assignment]
        return {key.decode(): orjson.loads(value) for key, value in found.items()}
