"""Durable outbox in Redis: notifications wait here until every channel of their route has them.

Keys (prefix ``floorwatch:{outbox}:``; the braces keep them in one slot of a cluster)::

    item:<id>   hash   payload, state (waiting|done|dead), attempts, token, reason
    sent:<id>   set    channels that have it already: a retry goes only to the others
    due         zset   id → ms from which it may be claimed; a claimed one is due again when its lease ends
    dead        list   JSON {id, reason, attempts, at_ms}, newest first

Every step is one Lua script, so a process killed anywhere leaves an item as it was or moved on. A claim counts as an
attempt: an item that kills its worker each time ends in the dead list too. Needs a Redis that persists (appendfsync
everysec) to survive its own crash.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import Struct

from alerts.outgoing import Notification, decode_notification, encode_notification

if TYPE_CHECKING:
    from redis.asyncio import Redis

_ENQUEUE: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'payload', ARGV[2], 'state', 'waiting', 'attempts', 0)
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 1
"""

# KEYS due, dead; ARGV now_ms, lease_until_ms, token, max_attempts, keep_ms, prefix. The item keys are made from the
# prefix: they share the hash tag of the declared keys.
_CLAIM: Final = """
for _ = 1, 100 do
  local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1)
  local id = ids[1]
  if not id then return nil end
  local item = ARGV[6] .. 'item:' .. id
  local payload = redis.call('HGET', item, 'payload')
  if not payload then
    redis.call('ZREM', KEYS[1], id)
  else
    local attempts = tonumber(redis.call('HGET', item, 'attempts'))
    if attempts >= tonumber(ARGV[4]) then
      local reason = redis.call('HGET', item, 'reason') or 'its worker died each time'
      redis.call('ZREM', KEYS[1], id)
      redis.call('HSET', item, 'state', 'dead', 'token', '', 'reason', reason)
      redis.call('PEXPIRE', item, ARGV[5])
      local dead = {id = id, reason = reason, attempts = attempts, at_ms = tonumber(ARGV[1])}
      redis.call('LPUSH', KEYS[2], cjson.encode(dead))
      redis.call('LTRIM', KEYS[2], 0, 9999)
    else
      redis.call('HSET', item, 'attempts', attempts + 1, 'token', ARGV[3])
      redis.call('ZADD', KEYS[1], ARGV[2], id)
      return {id, payload, attempts + 1, redis.call('SMEMBERS', ARGV[6] .. 'sent:' .. id)}
    end
  end
end
return nil
"""

_SENT: Final = """
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""

_DONE: Final = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], 'state', 'done', 'token', '')
redis.call('HDEL', KEYS[1], 'payload')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
"""

_RETRY: Final = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'token', '', 'reason', ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 1
"""

_DEAD: Final = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[2] then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HSET', KEYS[1], 'state', 'dead', 'token', '', 'reason', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
local attempts = tonumber(redis.call('HGET', KEYS[1], 'attempts'))
local dead = {id = ARGV[1], reason = ARGV[3], attempts = attempts, at_ms = tonumber(ARGV[4])}
redis.call('LPUSH', KEYS[3], cjson.encode(dead))
redis.call('LTRIM', KEYS[3], 0, 9999)
return 1
"""

_REVIVE: Final = """
if redis.call('HGET', KEYS[1], 'state') ~= 'dead' then return 0 end
redis.call('HSET', KEYS[1], 'state', 'waiting', 'attempts', 0)
redis.call('HDEL', KEYS[1], 'reason')
redis.call('PERSIST', KEYS[1])
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return 1
"""


class OutboxSettings(Struct, frozen=True):
    """How patient the outbox is.

    ``keep_ms`` is how long a finished id is remembered as seen; keep it above the longest replay of the log.
    """

    max_attempts: int = 12
    backoff_first_ms: int = 1_000
    backoff_most_ms: int = 900_000
    keep_ms: int = 30 * 86_400_000


class Lease(Struct, frozen=True):
    """A claimed notification: ours until the lease ends; ``token`` proves it."""

    id: str
    token: str
    note: Notification
    attempts: int
    sent: frozenset[str]


class DeadNotification(Struct, frozen=True):
    """A notification nobody got, and why."""

    id: str
    reason: str
    attempts: int
    at_ms: int


class Outbox:
    """The outbox over one Redis. All times come from ``clock`` (wall time in ms)."""

    def __init__(
        self,
        redis: Redis,
        clock: Callable[[], int],
        settings: OutboxSettings | None = None,
        prefix: str = "floorwatch:",
        token: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        """Connects to nothing yet."""
        self._redis = redis
        self._clock = clock
        self._settings = settings or OutboxSettings()
        self._prefix = prefix + "{outbox}:"
        self._token = token

    async def enqueue(self, note: Notification) -> bool:
        """Put a notification in; False when its id was put in before, even when it is long delivered."""
        args = (note.id, encode_notification(note), self._clock())
        return bool(await self._run(_ENQUEUE, [self._item(note.id), self._key("due")], *args))

    async def claim(self, lease_s: float) -> Lease | None:
        """Take the notification that is due longest, for ``lease_s`` seconds; None when none is due."""
        now_ms, token = self._clock(), self._token()
        until_ms = now_ms + int(lease_s * 1000)
        limits = (self._settings.max_attempts, self._settings.keep_ms, self._prefix)
        keys = [self._key("due"), self._key("dead")]
        found = await self._run(_CLAIM, keys, now_ms, until_ms, token, *limits)
        if found is None:
            return None
        name, payload, attempts, sent = found
        try:
            note = decode_notification(payload)
        except msgspec.DecodeError as error:
            # Written by another version, or by hand. It must neither stop the others nor be tried for ever.
            await self._bury(_text(name), token, f"its payload cannot be read: {error}")
            return await self.claim(lease_s)
        return Lease(_text(name), token, note, int(attempts), frozenset(_text(channel) for channel in sent))

    async def mark_sent(self, lease: Lease, channel: str) -> None:
        """Remember that a channel has it, so that a retry skips the channel."""
        await self._run(_SENT, [self._key(f"sent:{lease.id}")], channel, self._settings.keep_ms)

    async def done(self, lease: Lease) -> bool:
        """Finish it; False when the lease has ended and someone else took it."""
        args = (lease.id, lease.token, self._settings.keep_ms)
        return bool(await self._run(_DONE, [self._item(lease.id), self._key("due")], *args))

    async def retry(self, lease: Lease, reason: str, after_ms: int | None = None) -> bool:
        """Give it back, due after a doubling wait (or ``after_ms`` if longer); dead at the last attempt.

        Returns:
            False when the lease has ended and someone else took it.
        """
        if lease.attempts >= self._settings.max_attempts:
            return await self.bury(lease, reason)
        wait_ms = max(backoff_ms(lease.attempts, self._settings), after_ms or 0)
        args = (lease.id, lease.token, self._clock() + wait_ms, reason)
        return bool(await self._run(_RETRY, [self._item(lease.id), self._key("due")], *args))

    async def bury(self, lease: Lease, reason: str) -> bool:
        """Give it up: to the dead list. False when the lease has ended and someone else took it."""
        return await self._bury(lease.id, lease.token, reason)

    async def revive(self, notification_id: str) -> bool:
        """Try a dead notification again with fresh attempts; False when it is not dead."""
        keys = [self._item(notification_id), self._key("due")]
        return bool(await self._run(_REVIVE, keys, notification_id, self._clock()))

    async def dead(self, limit: int = 100) -> list[DeadNotification]:
        """The newest notifications that are dead and not revived since."""
        found = await cast("Awaitable[list[Any]]", self._redis.lrange(self._key("dead"), 0, limit - 1))
        entries = {
            entry.id: entry for entry in reversed([msgspec.json.decode(raw, type=DeadNotification) for raw in found])
        }
        still = []
        for entry in reversed(entries.values()):
            state = await cast("Awaitable[Any]", self._redis.hget(self._item(entry.id), "state"))
            if state is not None and _text(state) == "dead":
                still.append(entry)
        return still

    async def waiting(self) -> int:
        """How many are not finished: waiting, or claimed."""
        count: int = await self._redis.zcard(self._key("due"))
        return count

    async def next_due_ms(self) -> int | None:
        """Wall time at which the next one is due, or None when the outbox is empty."""
        found = await self._redis.zrange(self._key("due"), 0, 0, withscores=True)
        return int(found[0][1]) if found else None

    async def _bury(self, name: str, token: str, reason: str) -> bool:
        keys = [self._item(name), self._key("due"), self._key("dead")]
        return bool(await self._run(_DEAD, keys, name, token, reason, self._clock(), self._settings.keep_ms))

    def _key(self, name: str) -> str:
        return self._prefix + name

    def _item(self, notification_id: str) -> str:
        return self._key(f"item:{notification_id}")

    async def _run(self, script: str, keys: list[str], *args: object) -> Any:
        # EVAL, not EVALSHA: a few hundred bytes a call, and nothing to reload after a Redis restart.
        return await self._redis.eval(script, len(keys), *keys, *cast("tuple[str, ...]", args))


def backoff_ms(attempts: int, settings: OutboxSettings) -> int:
    """Wait after the ``attempts``-th failed attempt (from 1): doubling from the first to the most."""
    # The exponent is bounded: attempts may be large, and an int shifted has no limit.
    doublings = min(max(0, attempts - 1), 32)
    return min(settings.backoff_most_ms, settings.backoff_first_ms << doublings)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
