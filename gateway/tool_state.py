"""Remembers what upstream tools leave out of their messages: a deleted annotation's task, a label's first values."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from streams.models import formats

_log = logging.getLogger(__name__)

Remembered = dict[str, Any]
"""One record: ids, times, dimensions and choices only."""


_decode: Any = msgspec.json.Decoder(Remembered).decode


class ToolStateUnavailable(Exception):
    """The tool state cannot be read or written. Operator: is Redis up? Hooks wait in the spool until it is."""


class ToolState(Protocol):
    """Remembers records by key."""

    async def get(self, keys: Sequence[str]) -> dict[str, Remembered]:
        """Return the records of those keys that are known.

        Raises:
            ToolStateUnavailable: It cannot be asked now.
        """

    async def put(self, records: Mapping[str, Remembered]) -> None:
        """Remember records, all or none, each for the whole time to live again.

        Raises:
            ToolStateUnavailable: Whether they were remembered is unknown; asking for one of them tells.
        """


class RedisToolState:
    """In Redis, under ``<prefix>gateway:``, with a time to live."""

    def __init__(self, redis: Redis, prefix: str, ttl_s: float) -> None:
        """Use a client that the caller closes.

        Args:
            redis: The client.
            prefix: Put before each key.
            ttl_s: Seconds after which a record that nobody touched is forgotten.
        """
        self._redis = redis
        self._prefix = f"{prefix}gateway:"
        self._ttl_s = max(1, round(ttl_s))

    async def get(self, keys: Sequence[str]) -> dict[str, Remembered]:
        """Ask for all keys at once; see the port."""
        if not keys:
            return {}
        try:
            found = await self._redis.mget([self._prefix + key for key in keys])
        except (RedisError, OSError) as error:
            raise ToolStateUnavailable(f"Redis cannot be asked: {type(error).__name__}") from error
        records: dict[str, Remembered] = {}
        for key, raw in zip(keys, found, strict=True):
            if raw is not None:
                try:
                    formats.check_json(formats.TOOL_STATE, raw, f"{self._prefix}{key} in Redis")
                    records[key] = _decode(raw)
                except formats.NewerFormat as error:
                    raise ToolStateUnavailable(str(error)) from error
                except msgspec.DecodeError:
                    _log.warning("%s%s in Redis is not a record of the gateway; taken as unknown", self._prefix, key)
        return records

    async def put(self, records: Mapping[str, Remembered]) -> None:
        """Write all records in one transaction; see the port."""
        if not records:
            return
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                for key, record in records.items():
                    pipe.set(self._prefix + key, msgspec.json.encode(record), ex=self._ttl_s)
                await pipe.execute()
        except (RedisError, OSError) as error:
            raise ToolStateUnavailable(f"Redis cannot be written: {type(error).__name__}") from error
