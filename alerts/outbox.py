"""Durable outbox in Redis: notifications wait here until every channel of their route has them.

Each channel has its own queue, attempts and dead list, so a channel that is down does not delay others. Keys (prefix
``floorwatch:{outbox}:``; the braces keep them in one slot of a cluster)::

    item:<id>        hash   payload, state (waiting|done), queued_ms, open (channels still to serve), and by channel s, a, t, r, w, u, i
    due              zset   id → ms: enqueued, and its route's channels not chosen yet
    due:<channel>    zset   id → ms from which it may be claimed; a claimed one is due again when its lease ends
    urgent:<channel> zset   id → ms: pages and what another channel never got; claimed before all else that is due
    rate:<channel>   hash   tokens, at_ms: what the channel may still send (a token bucket), where its rate is limited
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
import zlib
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import Struct

from alerts import outbox_scripts as lua
from alerts.outgoing import Notification, decode_notification, encode_notification, within
from streams.models.formats import NewerFormat

if TYPE_CHECKING:
    from redis.asyncio import Redis

PAGE: Final = "page"
"""The severity that is claimed first."""
NO_CHANNEL: Final = "(no channel)"
"""The name used for the channel of a notification whose route has none."""


class OutboxSettings(Struct, frozen=True):
    """How often and how long the outbox tries.

    With these, a receiver that is down is tried for about 7 hours. ``keep_ms`` is how long a finished id is remembered as seen;
    keep it above the longest replay of the log. A notification without a channel waits ``unrouted_ms`` for one. One that a newer
    version wrote is left to a worker of that version: another looks at it every ``newer_pause_ms``.
    """

    max_attempts: int = 48
    backoff_first_ms: int = 1_000
    backoff_most_ms: int = 900_000
    keep_ms: int = 30 * 86_400_000
    unrouted_ms: int = 86_400_000
    unrouted_pause_ms: int = 10_000
    newer_pause_ms: int = 600_000
    max_payload_bytes: int = 65_536


class SendingRate(Struct, frozen=True):
    """How many notifications a channel sends: a token bucket of ``burst`` that fills by ``per_minute``; 0 is no limit."""

    per_minute: float = 0.0
    burst: int = 1


UNLIMITED: Final = SendingRate()


class Lease(Struct, frozen=True):
    """A notification claimed for one channel until the lease ends; ``token`` identifies the claim.

    ``unsure``: an earlier attempt may have arrived (its worker died, or the receiver did not answer in time).
    ``instead_of``: the channel that never got it and why, where this one is its fallback; else empty.
    """

    id: str
    channel: str
    token: str
    note: Notification
    attempts: int
    unsure: bool = False
    instead_of: str = ""


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
            await self._run(
                lua.ROUTE, keys, name, now_ms, self.prefix, self._settings.keep_ms, int(note.severity == PAGE), *names
            )
        elif now_ms - queued_ms >= self._settings.unrouted_ms:
            await self._bury_unrouted(name, f"no channel serves route {note.route}; name one in alerts.routes")
        else:
            await self.redis.zadd(due, {name: now_ms + self._settings.unrouted_pause_ms}, xx=True)
        return True

    async def claim(
        self, channel: str, lease_s: float, *, rate: SendingRate = UNLIMITED, fallback: str = ""
    ) -> Lease | None:
        """Claim what a channel is to send next, for ``lease_s`` seconds: a page first, else what has been due longest.

        Args:
            channel: Its name.
            lease_s: Seconds until another worker may claim it.
            rate: How much the channel may send; every claim counts, so attempts that fail do too.
            fallback: The channel that gets what this one is given up for, here after the worker of its last attempt died.

        Returns:
            None when nothing is due or the rate allows nothing yet.
        """
        now_ms, token = self.clock(), self._token()
        limits = (self._settings.max_attempts, self._settings.keep_ms, self.prefix, channel, fallback)
        keys = [self.key(f"due:{channel}"), self.key(f"dead:{channel}"), self.key("channels")]
        keys += [self.key(f"urgent:{channel}"), self.key(f"rate:{channel}")]
        args = (*limits, rate.per_minute, rate.burst)
        while True:
            found = await self._run(lua.CLAIM, keys, now_ms, now_ms + int(lease_s * 1000), token, *args)
            if found is None:
                return None
            name, payload, attempts, unsure, instead_of = found
            try:
                note = decode_notification(payload)
            except msgspec.DecodeError as error:
                await self._bury(_text(name), channel, token, f"its payload cannot be read: {error}", fallback="")
                continue
            except NewerFormat as error:
                due_ms = now_ms + self._settings.newer_pause_ms
                retry = [self._item(_text(name)), self.key(f"due:{channel}"), self.key(f"channel:{channel}")]
                await self._run(lua.RETRY, retry, _text(name), token, channel, now_ms, due_ms, str(error), 0)
                continue
            return Lease(_text(name), channel, token, note, int(attempts), bool(unsure), _text(instead_of))

    async def sent(self, lease: Lease) -> bool:
        """Record that the channel has it. False if the lease has ended and another worker claimed it."""
        keys = [self._item(lease.id), self.key(f"due:{lease.channel}"), self.key(f"channel:{lease.channel}")]
        args = (lease.id, lease.token, lease.channel, self.clock(), self._settings.keep_ms)
        return bool(await self._run(lua.SENT, keys, *args))

    async def retry(self, lease: Lease, reason: str, after_ms: int | None = None, *, unsure: bool = False) -> bool:
        """Return it to the queue, due after a doubling wait (or ``after_ms`` if longer), spread by :func:`spread_ms`.

        After the last attempt it is dead.

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
        wait_ms = spread_ms(backoff_ms(lease.attempts, self._settings), after_ms or 0, lease)
        keys = [self._item(lease.id), self.key(f"due:{lease.channel}"), self.key(f"channel:{lease.channel}")]
        args = (lease.id, lease.token, lease.channel, now_ms, now_ms + wait_ms, reason, int(unsure))
        return bool(await self._run(lua.RETRY, keys, *args))

    def exhausted(self, lease: Lease) -> bool:
        """Tell whether this was the last attempt."""
        return lease.attempts >= self._settings.max_attempts

    async def bury(self, lease: Lease, reason: str, *, fallback: str = "") -> bool:
        """Move it to the channel's dead list. False if the lease has ended and another worker claimed it.

        Args:
            lease: What was claimed.
            reason: Why the channel is given up for it.
            fallback: The channel that gets it instead, if it did not get it already; none if empty.
        """
        return await self._bury(lease.id, lease.channel, lease.token, reason, fallback=fallback)

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

    async def _bury(self, name: str, channel: str, token: str, reason: str, *, fallback: str) -> bool:
        keys = [self._item(name), self.key(f"due:{channel}"), self.key(f"channel:{channel}")]
        keys += [self.key(f"dead:{channel}"), self.key("channels")]
        args = (
            name,
            token,
            channel,
            self.clock(),
            self._settings.keep_ms,
            reason,
            lua.DEAD_KEPT,
            self.prefix,
            fallback,
        )
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


def spread_ms(wait_ms: int, after_ms: int, lease: Lease) -> int:
    """Return how long to wait, spread so that many notifications do not come back at the same moment.

    The wait is between its half and its whole ("equal jitter", M. Brooker, Exponential Backoff And Jitter, 2015); what a receiver
    asks for is never cut short, and prolonged by a tenth at most. The same attempt always gets the same wait.

    Args:
        wait_ms: The doubling wait in ms.
        after_ms: How long the receiver asks to wait in ms; 0 where it does not ask.
        lease: The attempt that failed.
    """
    seed = zlib.crc32(f"{lease.id}|{lease.channel}|{lease.attempts}".encode()) / 2**32
    return max(round(wait_ms * (1 + seed) / 2), round(after_ms * (1 + seed / 10)))


def incident_of_id(notification_id: str) -> str:
    """Return the incident key of a notification's id (``<key>:<step>``)."""
    return notification_id.partition(":")[0]


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
