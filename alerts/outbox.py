"""Durable outbox in Redis: notifications wait here until every channel of their route has them.

Each channel has its own queue, attempts and dead list, so a channel that is down does not delay others. Keys (prefix
``floorwatch:{outbox}:``; the braces keep them in one slot of a cluster)::

    item:<id>        hash   payload, state (waiting|done), queued_ms, open (channels still to serve), and by channel s, a, t, r, w, u
    due              zset   id → ms: enqueued, and its route's channels not chosen yet
    due:<channel>    zset   id → ms from which it may be claimed; a claimed one is due again when its lease ends
    dead:<channel>   zset   id → ms at which the channel was given up for it
    channel:<name>   hash   sent, failed, dead (counts), sent_ms, failed_ms, failing_since_ms, reason;
                            of `floorwatch notifications test`: tested_ms, test_failed_ms, test_reason
    channels         set    every channel that has or had a queue
    notes:<key>      zset   ids of an incident's notifications → ms

The channels of a route are chosen at delivery, not when a notification is enqueued, so a changed configuration also
applies to what waits. Every step is one Lua script, so a crash leaves an item either before or after the step. A claim
counts as an attempt, so an item that kills its worker each time also ends in a dead list. Needs a Redis that persists
(appendfsync everysec) to survive its own crash.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import Struct

from alerts import outbox_scripts as lua
from alerts.outgoing import Notification, decode_notification, encode_notification, within
from streams.models.formats import NewerFormat

if TYPE_CHECKING:
    from redis.asyncio import Redis

NO_CHANNEL: Final = "(no channel)"
"""The name used for the channel of a notification whose route has none."""


class OutboxSettings(Struct, frozen=True):
    """How often and how long the outbox tries.

    With these, a receiver that is down is tried for about 7 hours. ``keep_ms`` is how long a finished id is remembered as seen;
    keep it above the longest replay of the log. A notification without a channel waits ``unrouted_ms`` for one. One that a newer
    version wrote is left to a worker of that version: another looks at it every ``newer_pause_ms``.
    """

    max_attempts: int = 36
    backoff_first_ms: int = 1_000
    backoff_most_ms: int = 900_000
    keep_ms: int = 30 * 86_400_000
    unrouted_ms: int = 86_400_000
    unrouted_pause_ms: int = 10_000
    newer_pause_ms: int = 600_000
    max_payload_bytes: int = 65_536


class Lease(Struct, frozen=True):
    """A notification claimed for one channel until the lease ends; ``token`` identifies the claim.

    ``unsure``: an earlier attempt may have arrived (its worker died, or the receiver did not answer in time).
    """

    id: str
    channel: str
    token: str
    note: Notification
    attempts: int
    unsure: bool = False


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
        self.redis = redis
        self.clock = clock
        self._settings = settings or OutboxSettings()
        self.prefix = prefix + "{outbox}:"
        self._token = token
        self._adopted = False

    async def enqueue(self, note: Notification) -> bool:
        """Enqueue a notification. False if its id was enqueued before, even if it was delivered long ago."""
        payload = within(note, self._settings.max_payload_bytes)
        keys = [self._item(note.id), self.key("due"), self.key(f"notes:{incident_of_id(note.id)}")]
        args = (note.id, encode_notification(payload), self.clock(), self._settings.keep_ms)
        return bool(await self._run(lua.ENQUEUE, keys, *args))

    async def route(self, channels_of: Callable[[Notification], Iterable[str]]) -> bool:
        """Choose the channels of the notification that has waited longest for that. False when none waits.

        Args:
            channels_of: Names of the channels of a notification's route. Without any it waits for a changed configuration, a
                day at most, and is then listed as dead.
        """
        due, now_ms = self.key("due"), self.clock()
        if not self._adopted:
            keys = [self.key("dead"), self.key(f"dead:{NO_CHANNEL}"), self.key("channels")]
            await self._run(lua.ADOPT_DEAD, keys, self.prefix, now_ms, NO_CHANNEL)
            self._adopted = True
        found = await self._run(lua.UNROUTED, [due], now_ms, self.prefix)
        if found is None:
            return False
        name, payload, queued_ms = _text(found[0]), found[1], int(found[2])
        try:
            note = decode_notification(payload)
        except msgspec.DecodeError as error:
            # It was written by another version or by hand. It must not stop the others and must not be retried for
            # ever.
            await self._bury_unrouted(name, f"its payload cannot be read: {error}")
            return True
        except NewerFormat:
            # For a worker of that version: during a rolling upgrade there is one, or will be.
            await self.redis.zadd(due, {name: now_ms + self._settings.unrouted_pause_ms}, xx=True)
            return True
        names = list(dict.fromkeys(channels_of(note)))
        if names:
            keys = [due, self._item(name), self.key("channels"), self.key(f"sent:{name}")]
            await self._run(lua.ROUTE, keys, name, now_ms, self.prefix, self._settings.keep_ms, *names)
        elif now_ms - queued_ms >= self._settings.unrouted_ms:
            await self._bury_unrouted(name, f"no channel serves route {note.route}; name one in alerts.routes")
        else:
            await self.redis.zadd(due, {name: now_ms + self._settings.unrouted_pause_ms}, xx=True)
        return True

    async def claim(self, channel: str, lease_s: float) -> Lease | None:
        """Claim the notification that has been due longest for a channel, for ``lease_s`` seconds. None when none is due."""
        now_ms, token = self.clock(), self._token()
        limits = (self._settings.max_attempts, self._settings.keep_ms, self.prefix, channel)
        keys = [self.key(f"due:{channel}"), self.key(f"dead:{channel}"), self.key("channels")]
        while True:
            found = await self._run(lua.CLAIM, keys, now_ms, now_ms + int(lease_s * 1000), token, *limits)
            if found is None:
                return None
            name, payload, attempts, unsure = found
            try:
                note = decode_notification(payload)
            except msgspec.DecodeError as error:
                await self._bury(_text(name), channel, token, f"its payload cannot be read: {error}")
                continue
            except NewerFormat as error:
                due_ms = now_ms + self._settings.newer_pause_ms
                retry = [self._item(_text(name)), self.key(f"due:{channel}"), self.key(f"channel:{channel}")]
                await self._run(lua.RETRY, retry, _text(name), token, channel, now_ms, due_ms, str(error), 0)
                continue
            return Lease(_text(name), channel, token, note, int(attempts), bool(unsure))

    async def sent(self, lease: Lease) -> bool:
        """Record that the channel has it. False if the lease has ended and another worker claimed it."""
        keys = [self._item(lease.id), self.key(f"due:{lease.channel}"), self.key(f"channel:{lease.channel}")]
        args = (lease.id, lease.token, lease.channel, self.clock(), self._settings.keep_ms)
        return bool(await self._run(lua.SENT, keys, *args))

    async def retry(self, lease: Lease, reason: str, after_ms: int | None = None, *, unsure: bool = False) -> bool:
        """Return it to the queue, due after a doubling wait (or ``after_ms`` if longer). After the last attempt it is dead.

        Args:
            lease: What was claimed.
            reason: Why it was not delivered.
            after_ms: How long the receiver asks to wait.
            unsure: The receiver may have the notification.

        Returns:
            False when the lease has ended and someone else took it.
        """
        if self.exhausted(lease):
            return await self.bury(lease, reason)
        now_ms = self.clock()
        wait_ms = max(backoff_ms(lease.attempts, self._settings), after_ms or 0)
        keys = [self._item(lease.id), self.key(f"due:{lease.channel}"), self.key(f"channel:{lease.channel}")]
        args = (lease.id, lease.token, lease.channel, now_ms, now_ms + wait_ms, reason, int(unsure))
        return bool(await self._run(lua.RETRY, keys, *args))

    def exhausted(self, lease: Lease) -> bool:
        """Tell whether this was the last attempt."""
        return lease.attempts >= self._settings.max_attempts

    async def bury(self, lease: Lease, reason: str) -> bool:
        """Move it to the channel's dead list. False if the lease has ended and another worker claimed it."""
        return await self._bury(lease.id, lease.channel, lease.token, reason)

    async def revive(self, notification_id: str, channel: str) -> bool:
        """Try a dead notification again with fresh attempts; False when it is not dead on that channel."""
        routed = channel != NO_CHANNEL
        due = self.key(f"due:{channel}" if routed else "due")
        keys = [self._item(notification_id), self.key(f"dead:{channel}"), due]
        return bool(await self._run(lua.REVIVE, keys, notification_id, channel, self.clock(), int(routed)))

    async def move(self, channel: str, waiting_s: float) -> int:
        """Return what waits for a channel that is no longer configured, so that it is routed again. Returns how many.

        Args:
            channel: Its name.
            waiting_s: Only what has been due this long, because another worker may still have the channel.
        """
        now_ms = self.clock()
        keys = [self.key(f"due:{channel}"), self.key("due")]
        args = (now_ms - round(waiting_s * 1000), now_ms, self.prefix, channel)
        return int(await self._run(lua.MOVE, keys, *args))

    async def tested(self, channel: str, reason: str | None = None) -> None:
        """Record the result of a test message.

        Args:
            channel: Its name.
            reason: Why the receiver did not take it; None: it did.
        """
        key, now_ms = self.key(f"channel:{channel}"), str(self.clock())
        named = ("tested_ms", now_ms) if reason is None else ("test_failed_ms", now_ms, "test_reason", reason)
        await self.redis.hset(key, items=[*named])

    async def channels(self) -> list[str]:
        """Names of all channels that have or had a queue."""
        found = await cast("Awaitable[set[Any]]", self.redis.smembers(self.key("channels")))
        return sorted(_text(name) for name in found)

    async def _bury(self, name: str, channel: str, token: str, reason: str) -> bool:
        keys = [self._item(name), self.key(f"due:{channel}"), self.key(f"channel:{channel}")]
        keys += [self.key(f"dead:{channel}"), self.key("channels")]
        args = (name, token, channel, self.clock(), self._settings.keep_ms, reason, lua.DEAD_KEPT)
        return bool(await self._run(lua.BURY, keys, *args))

    async def _bury_unrouted(self, name: str, reason: str) -> None:
        keys = [self.key("due"), self._item(name), self.key(f"dead:{NO_CHANNEL}"), self.key("channels")]
        await self._run(lua.BURY_UNROUTED, keys, name, self.clock(), self._settings.keep_ms, reason, NO_CHANNEL)

    def key(self, name: str) -> str:
        """Return the full name of a key."""
        return self.prefix + name

    def _item(self, notification_id: str) -> str:
        return self.key(f"item:{notification_id}")

    async def _run(self, script: str, keys: list[str], *args: object) -> Any:
        # EVAL, not EVALSHA: some hundred bytes a call, and nothing to reload after a Redis restart.
        return await self.redis.eval(script, len(keys), *keys, *cast("tuple[str, ...]", args))


def backoff_ms(attempts: int, settings: OutboxSettings) -> int:
    """Wait after the ``attempts``-th failed attempt (from 1): doubling from the first to the most."""
    # The exponent is bounded, because attempts may be large and a shifted int has no limit.
    doublings = min(max(0, attempts - 1), 32)
    return min(settings.backoff_most_ms, settings.backoff_first_ms << doublings)


def incident_of_id(notification_id: str) -> str:
    """Return the incident key of a notification's id (``<key>:<step>``)."""
    return notification_id.partition(":")[0]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
