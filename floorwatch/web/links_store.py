"""What the pages of links read and remember in Redis: incidents, and what was done by which link."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec
from msgspec import Struct
from redis.asyncio import Redis
from redis.exceptions import RedisError

from floorwatch.web.behind import Behind, read_behind
from streams.models import formats

SENDING_S = 30
"""How long an action that is being sent keeps others of the same link out: longer than sending may take."""

KEPT_S = 30 * 86_400
"""How long it is remembered what a link has done."""


class StoreAway(Exception):
    """Redis does not answer, or holds what this release cannot read. Operator: `floorwatch doctor` says more."""


class LinkAct(Struct, frozen=True):
    """What was done by a link.

    Attributes:
        what: The purpose of the link.
        by: Who, as on the log.
        at_ms: Wall time.
        until_ms: End of a silence; None for all else.
        state: ``sending``: the broker has not confirmed it. ``written``: it is on the log.
        note: The comment; empty for all else.
    """

    what: str
    by: str
    at_ms: int
    until_ms: int | None = None
    state: Literal["sending", "written"] = "sending"
    note: str = ""


class LinksStore(Protocol):
    """What the pages need of Redis."""

    async def incident(self, key: str) -> dict[str, Any] | None:
        """Return the record of an incident that people see; None without one. Raises StoreAway."""

    async def told_of(self, notice: str, most: int) -> list[dict[str, Any]]:
        """Return the records of the incidents that a message told of, at most so many. Raises StoreAway."""

    async def behind(self, record: Mapping[str, Any]) -> Behind:
        """Return what stands behind an incident, as far as it can be read."""

    async def act(self, name: str) -> LinkAct | None:
        """Return what was done under a name; None if nothing. Raises StoreAway."""

    async def begin(self, name: str, act: LinkAct, *, over: LinkAct | None) -> bool:
        """Note that an action is being sent, where what is noted so far is ``over``; tell whether it was. Raises StoreAway."""

    async def written(self, name: str, act: LinkAct) -> None:
        """Note that it is on the log. Raises StoreAway."""

    async def undo(self, name: str, over: LinkAct | None) -> None:
        """Note again what was there before. Raises StoreAway."""


_acts: msgspec.json.Decoder[LinkAct] = msgspec.json.Decoder(LinkAct)

_BEGIN = """
local held = redis.call('GET', KEYS[1])
if (held or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1
"""
"""Compare and set, so that two requests at once act once."""

_TOLD = """
local part = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[3])
local found = {part[1]}
for at = 2, #part[2], 2 do
    if string.find(part[2][at], ARGV[2], 1, true) then found[#found + 1] = part[2][at] end
end
return found
"""
"""A part of the incidents: only those that hold a text come over the network. Redis is busy for a part at a time."""

_PART = 200


class RedisLinksStore:
    """A ``LinksStore`` in the Redis of the read model."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        """Use a client; ``prefix`` is that of the keys."""
        self._redis, self._prefix = redis, prefix

    async def incident(self, key: str) -> dict[str, Any] | None:
        """See the protocol."""
        try:
            found: Any = await self._redis.hget(f"{self._prefix}incidents", key)
            if found is None:
                return None
            formats.check_json(formats.INCIDENT, found, f"{self._prefix}incidents in Redis")
            record: dict[str, Any] = msgspec.json.decode(found, type=dict[str, Any])
        except (RedisError, OSError, msgspec.MsgspecError, formats.NewerFormat) as error:
            raise StoreAway(f"the incident cannot be read: {type(error).__name__}") from error
        return record

    async def told_of(self, notice: str, most: int) -> list[dict[str, Any]]:
        """See the protocol."""
        wanted, cursor = b'"notice":' + msgspec.json.encode(notice), b"0"
        found: dict[str, dict[str, Any]] = {}
        try:
            while len(found) < most:
                part: Any = await self._redis.eval(_TOLD, 1, f"{self._prefix}incidents", cursor, wanted, str(_PART))
                for value in part[1:]:
                    formats.check_json(formats.INCIDENT, value, f"{self._prefix}incidents in Redis")
                    record: dict[str, Any] = msgspec.json.decode(value, type=dict[str, Any])
                    found[record["key"]] = record  # a scan may come by one twice
                if (cursor := part[0]) in (b"0", "0"):
                    break
        except (RedisError, OSError, msgspec.MsgspecError, formats.NewerFormat) as error:
            raise StoreAway(f"the incidents of a message cannot be read: {type(error).__name__}") from error
        return list(found.values())[:most]

    async def behind(self, record: Mapping[str, Any]) -> Behind:
        """See the protocol."""
        return await read_behind(self._redis, self._prefix, record)

    async def act(self, name: str) -> LinkAct | None:
        """See the protocol."""
        try:
            found = await self._redis.get(self._key(name))
            return None if found is None else _acts.decode(found)
        except (RedisError, OSError, msgspec.MsgspecError) as error:
            raise StoreAway(f"what a link has done cannot be read: {type(error).__name__}") from error

    async def begin(self, name: str, act: LinkAct, *, over: LinkAct | None) -> bool:
        """See the protocol."""
        before = b"" if over is None else msgspec.json.encode(over)
        try:
            taken: Any = await self._redis.eval(
                _BEGIN, 1, self._key(name), before, msgspec.json.encode(act), str(SENDING_S)
            )
        except (RedisError, OSError) as error:
            raise StoreAway(f"it cannot be noted: {type(error).__name__}") from error
        return bool(taken)

    async def written(self, name: str, act: LinkAct) -> None:
        """See the protocol."""
        try:
            await self._redis.set(self._key(name), msgspec.json.encode(act), ex=KEPT_S)
        except (RedisError, OSError) as error:
            raise StoreAway(f"it cannot be noted: {type(error).__name__}") from error

    async def undo(self, name: str, over: LinkAct | None) -> None:
        """See the protocol."""
        if over is not None:
            await self.written(name, over)
            return
        try:
            await self._redis.delete(self._key(name))
        except (RedisError, OSError) as error:
            raise StoreAway(f"it cannot be noted: {type(error).__name__}") from error

    def _key(self, name: str) -> str:
        return f"{self._prefix}link:{name}"
