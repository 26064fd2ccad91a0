"""Read model in Redis: the latest rows for CLI, boards and alerts. Kafka is the truth; this can be lost and rebuilt.

Redis may be emptied at any moment, also in the middle of a write, and a worker that was stalled may write rows of a
partition that another worker owns by now. A *mark* per partition shows both. A worker that writes all rows of a
partition first puts its own mark there, and checks it before and after each later write. If the mark is missing or is
another worker's, Redis does not hold what it should. Then the mark is deleted; the owner finds it missing and writes
all rows again.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, TypeVar

import orjson
from redis.asyncio import Redis
from redis.exceptions import RedisError

from streams.adapters.redis_retry import RedisRetry
from streams.models import formats

log = logging.getLogger(__name__)

_Item = TypeVar("_Item")

_CHUNK = 2_000
"""Rows of one pipeline, about 2 MB: what waits in the client for Redis to read it."""


class ReadModel:
    """Writes rows; when Redis is away it tries again with growing pauses, which slows publishing and loses nothing."""

    def __init__(
        self,
        redis: Redis,
        prefix: str,
        *,
        partitions: int = 1,
        redis_retry: RedisRetry | None = None,
        retry_s: float = 0.5,
    ) -> None:
        """Use a Redis connection.

        Args:
            redis: The client; the caller closes it.
            prefix: Put before each key.
            partitions: How many partitions publish.
            redis_retry: How to wait for Redis; one that measures nothing and begins with ``retry_s`` by default.
            retry_s: See above.
        """
        self._redis, self._prefix, self._partitions = redis, prefix, partitions
        self._redis_retry = redis_retry or RedisRetry(first_s=retry_s)
        self._marks: dict[int, bytes] = {}
        self._idle_at_ms: int | None = -1  # not known yet what was said last

    def begin(self, partition: int) -> None:
        """Take a partition anew: its next ``put`` holds every row."""
        self._marks.pop(partition, None)

    async def lost(self, partition: int) -> bool:
        """Tell whether Redis does not hold what this partition had written: then the next ``put`` must hold every row."""
        mine, key = self._marks.get(partition), self._mark_key(partition)
        try:
            with self._redis_retry.measured():  # a Redis that stands still answers this one first
                found = None if mine is None else await self._redis.get(key)
                if mine is not None and found == mine:
                    return False
                if found is not None:
                    # One of the two workers is a zombie. If it is this one, it may have put old rows on the table
                    # topics and may be killed before it writes to Redis. So the mark is deleted now, and the owner
                    # writes all rows again.
                    await self._redis.set(key, b"nobody")
        except (RedisError, OSError):
            return False
        self._marks.pop(partition, None)
        return True

    async def forgotten(self, partition: int) -> bool:
        """Tell whether Redis knows of no worker that has written this partition: it is new, or was emptied since. Waits for it."""

        async def ask() -> bool:
            return await self._redis.get(self._mark_key(partition)) is None

        return await self._redis_retry.until_done("say who wrote", ask)

    async def put(
        self,
        partition: int,
        rows: Mapping[tuple[str, str], Mapping[str, bytes | None]],
        watermark_ms: int | None = None,
    ) -> bool:
        """Store rows by (table, window) and scope key; None deletes. Waits until Redis has them.

        A publication of many rows is several calls, the watermark with the last. Once one has returned False, the rest of
        that publication must be left out: rows put after it would seem to be all there are.

        Args:
            partition: The scopes partition writing.
            rows: JSON by scope key by (table, window).
            watermark_ms: The watermark up to which all rows are here with these; None while some are missing.

        Returns:
            Whether Redis holds these rows and all before them; if not, ``lost`` says so too.
        """
        return await self._redis_retry.until_done("take rows", lambda: self._put_once(partition, rows, watermark_ms))

    def _mark_key(self, partition: int) -> str:
        return f"{self._prefix}held:{partition}:by"

    async def _disown(self, partition: int) -> bool:
        """Wipe the mark: what this worker has written since the mark went may be older than what is there."""
        self._marks.pop(partition, None)
        await self._redis.set(self._mark_key(partition), b"nobody")
        return False

    async def _put_once(
        self, partition: int, rows: Mapping[tuple[str, str], Mapping[str, bytes | None]], watermark_ms: int | None
    ) -> bool:
        key = self._mark_key(partition)
        mine = self._marks.get(partition)
        if mine is not None and await self._redis.get(key) != mine:
            return await self._disown(partition)
        pipe = self._redis.pipeline(transaction=False)
        if mine is None:
            mine = secrets.token_hex(8).encode()
            pipe.set(key, mine)
        found = await self._write(pipe, partition, rows, watermark_ms)
        if found != mine:
            return await self._disown(partition)
        self._marks[partition] = mine
        return True

    async def _write(
        self,
        pipe: Any,
        partition: int,
        rows: Mapping[tuple[str, str], Mapping[str, bytes | None]],
        watermark_ms: int | None,
    ) -> bytes | None:
        """Write rows and watermark; return the mark found after them."""
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
        if watermark_ms is not None:
            pipe.set(f"{self._prefix}held:{partition}", watermark_ms)
        helds = [f"{self._prefix}held:{number}" for number in range(self._partitions)]
        pipe.mget([self._mark_key(partition), *helds])
        mark, *held = (await pipe.execute())[-1]
        # What readers may rely on is what every partition has published.
        published = [int(value) for value in held if value is not None]
        least_ms = min((value for value in published if value >= 0), default=-1)
        if watermark_ms is not None and least_ms >= 0:
            body = {"watermark_ms": least_ms, "at_ms": int(time.time() * 1000)}
            await self._redis.set(f"{self._prefix}watermark", orjson.dumps(body))
        found: bytes | None = mark
        return found

    async def rows(
        self, table: str, window: str, unreadable: dict[str, str] | None = None
    ) -> dict[str, dict[str, Any]]:
        """Return the rows of a table and window by scope key.

        Args:
            table: The table.
            window: The window.
            unreadable: Takes the reason by key for rows that cannot be read; without it they are logged.

        Raises:
            RedisError: Redis cannot be asked; ``patient_rows`` waits instead.
        """
        found: dict[bytes, bytes] = await self._redis.hgetall(f"{self._prefix}rows:{table}:{window}")  # type: ignore[assignment]
        rows: dict[str, dict[str, Any]] = {}
        for key, value in found.items():
            try:
                rows[key.decode()] = table_row(value)
            except ValueError as error:  # somebody else's, or damaged: it must not hide all others
                if unreadable is not None:
                    unreadable[key.decode(errors="replace")] = f"its row in Redis cannot be read: {error}"
                    continue
                log.warning("table %s: row %r in Redis cannot be read and is set aside: %s", table, key[:200], error)
        return rows

    async def watermark_ms(self) -> int | None:
        """Return the watermark in Unix ms up to which every partition has published its rows; None before the first."""
        found = await self._redis.get(f"{self._prefix}watermark")
        return None if found is None else int(orjson.loads(found)["watermark_ms"])

    async def say_idle(self, watermark_ms: int | None) -> None:
        """Keep at which watermark no partition of the log of events had anything more, waiting for Redis as long as it takes.

        Args:
            watermark_ms: The watermark; None while events come.
        """
        if watermark_ms == self._idle_at_ms:
            return

        async def put() -> None:
            key = f"{self._prefix}idle"
            await (self._redis.delete(key) if watermark_ms is None else self._redis.set(key, watermark_ms))

        await self._redis_retry.until_done("say whether events come", put)
        self._idle_at_ms = watermark_ms

    async def idle(self, watermark_ms: int | None) -> bool:
        """Return whether nothing newer had come when everything was published up to this watermark."""
        found = await self._redis.get(f"{self._prefix}idle")
        return found is not None and watermark_ms is not None and int(found) == watermark_ms

    async def patient_scopes(self, table: str, window: str) -> set[str]:
        """Return the keys of the scopes that have a row in a table and window, waiting for Redis as long as it takes."""

        async def ask() -> set[str]:
            found: list[bytes] = await self._redis.hkeys(f"{self._prefix}rows:{table}:{window}")  # type: ignore[assignment]
            return {key.decode() for key in found}

        return await self._redis_retry.until_done("give scopes", ask)

    async def keep(self, name: str, value: bytes) -> None:
        """Keep bytes under a name of their own, waiting for Redis as long as it takes."""

        async def put() -> None:
            await self._redis.set(f"{self._prefix}kept:{name}", value)

        await self._redis_retry.until_done("keep what the rules learnt", put)

    async def kept(self, name: str) -> bytes | None:
        """Return what was kept under a name, None if nothing is, waiting for Redis as long as it takes."""

        async def ask() -> bytes | None:
            found: bytes | None = await self._redis.get(f"{self._prefix}kept:{name}")  # type: ignore[assignment]
            return found

        return await self._redis_retry.until_done("give what the rules learnt", ask)

    async def say(self, name: str, value: bytes) -> None:
        """Keep bytes under a name, as ``keep`` does, without waiting for Redis.

        Raises:
            RedisError: Redis did not take them.
        """
        await self._redis.set(f"{self._prefix}kept:{name}", value)

    async def asked(self, name: str) -> bytes | None:
        """Return what was kept under a name, None if nothing is, without waiting for Redis.

        Raises:
            RedisError: Redis cannot be asked; ``kept`` waits instead.
        """
        found: bytes | None = await self._redis.get(f"{self._prefix}kept:{name}")  # type: ignore[assignment]
        return found

    async def patient_rows(
        self, table: str, window: str, unreadable: dict[str, str] | None = None
    ) -> dict[str, dict[str, Any]]:
        """Return the rows of a table and window by scope key, as ``rows`` does, waiting for Redis as long as it takes."""
        return await self._redis_retry.until_done("give rows", lambda: self.rows(table, window, unreadable))


def table_row(value: bytes | str) -> dict[str, Any]:
    """Return a row of a table as it was before it was given its version.

    Args:
        value: JSON as it stands in a table topic or in the read model.

    Raises:
        NewerFormat: A newer version of Floorwatch wrote it.
        ValueError: It is no JSON object.
    """
    row: dict[str, Any] = orjson.loads(value)
    version = row.pop(formats.FIELD, formats.FIRST) if isinstance(row, dict) else None
    if not isinstance(version, int):
        raise ValueError("no row of a table")  # noqa: TRY004 - what it holds is wrong, not how it was called
    formats.check(formats.TABLE_ROW, version)
    return row


def batched(items: Iterable[_Item], size: int) -> Iterator[list[_Item]]:
    """Yield lists of up to ``size`` items.

    Example:
        >>> list(batched("abcde", 2))
        [['a', 'b'], ['c', 'd'], ['e']]
    """
    iterator = iter(items)
    while part := list(islice(iterator, size)):
        yield part
