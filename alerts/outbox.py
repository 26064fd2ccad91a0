"""Durable outbox in Redis: notifications wait here until every channel of their route has them.

Each channel has its own queue, attempts and dead list, so a channel that is down does not delay others. Keys (prefix
``floorwatch:{outbox}:``; the braces keep them in one slot of a cluster)::

    item:<id>        hash   payload, state (waiting|done), queued_ms, open (channels to serve), and by channel s, a, t, r, w, u, i, f
    due              zset   id → ms: enqueued, and its route's channels not chosen yet
    due:<channel>    zset   id → ms from which it may be claimed; a claimed one is due again when its lease ends
    urgent:<channel> zset   id → ms: pages and what another channel never got; claimed before all else that is due
    rate:<channel>   hash   tokens, at_ms: what the channel may still send (a token bucket), where its rate is limited
    dead:<channel>   zset   id → ms at which the channel was given up for it
    channel:<name>   hash   sent, failed, dead (counts), sent_ms, failed_ms, failing_since_ms, reason;
                            of `floorwatch notifications test`: tested_ms, test_failed_ms, test_reason
    channels         set    every channel that has or had a queue
    notes:<key>      zset   ids of an incident's notifications → ms
    owed             zset   receipts that the log could not take → ms
    whole            string that the outbox is as it was left, and on which server (``alerts/outbox_rebuild.py``)

The channels of a route are chosen at delivery, not when a notification is enqueued, so a changed configuration also
applies to what waits. Every step is one Lua script, so a crash leaves an item either before or after the step. A claim
counts as an attempt, so an item that kills its worker each time also ends in a dead list. What became of a notification is
written to the log as a receipt before the outbox notes it, so that an outbox that is lost is filled again (ADR 51).
"""

from __future__ import annotations

import secrets
import time
import zlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import Struct

from alerts import outbox_scripts as lua
from alerts.codec import encode_input
from alerts.incident import Outcome, Receipt
from alerts.outbox_rebuild import OutboxRebuild, incident_of_id
from alerts.outgoing import Notification, decode_notification, encode_notification, within
from alerts.receipts import NO_CHANNEL
from streams.models.formats import NewerFormat

if TYPE_CHECKING:
    from redis.asyncio import Redis

MOST_OWED: Final = 50_000
"""Receipts kept while the log cannot take them; the oldest beyond are forgotten."""
_MOST_REASON: Final = 500
"""Characters of a receipt's reason."""
PAGE: Final = "page"
"""The severity that is claimed first."""


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


WriteReceipt = Callable[[Receipt], Awaitable[bool]]
"""Writes a receipt to the log. False if the log cannot take it now."""


class Outbox(OutboxRebuild):
    """The outbox over one Redis. All times come from ``clock`` (wall time in ms)."""

    def __init__(
        self,
        redis: Redis,
        clock: Callable[[], int],
        settings: OutboxSettings | None = None,
        prefix: str = "floorwatch:",
        token: Callable[[], str] = lambda: secrets.token_hex(8),
        receipts: WriteReceipt | None = None,
    ) -> None:
        """Connects to nothing yet. ``receipts`` writes what becomes of each notification; None: nothing is written."""
        self._settings = settings or OutboxSettings()
        super().__init__(redis, clock, prefix + "{outbox}:", self._settings.keep_ms)
        self._token = token
        self._receipts = receipts
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
            await self._gone(note, names)
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
        keys = [self.key(f"due:{channel}"), self.key(f"urgent:{channel}"), self.key(f"rate:{channel}")]
        args = (self._settings.max_attempts, self.prefix, channel, rate.per_minute, rate.burst)
        while True:
            found = await self._run(lua.CLAIM, keys, now_ms, now_ms + int(lease_s * 1000), token, *args)
            if found is None:
                return None
            name, payload, attempts, unsure, instead_of = _text(found[0]), found[1], int(found[2]), found[3], found[4]
            if attempts > self._settings.max_attempts:  # the worker of its last attempt died
                reason = _text(instead_of) or "its worker died each time"
                await self._bury(name, channel, _text(unsure), reason, fallback=fallback)
                continue
            try:
                note = decode_notification(payload)
            except msgspec.DecodeError as error:
                await self._bury(name, channel, token, f"its payload cannot be read: {error}", fallback="")
                continue
            except NewerFormat as error:
                due_ms = now_ms + self._settings.newer_pause_ms
                retry = [self._item(name), self.key(f"due:{channel}"), self.key(f"channel:{channel}")]
                await self._run(lua.RETRY, retry, name, token, channel, now_ms, due_ms, str(error), 0)
                continue
            return Lease(name, channel, token, note, attempts, bool(unsure), _text(instead_of))

    async def sent(self, lease: Lease, ref: str = "") -> bool:
        """Record that the channel has it, first on the log. False if the lease has ended and another worker claimed it.

        Args:
            lease: What was claimed.
            ref: What the receiver calls the message.
        """
        await self._receipt(lease.id, lease.channel, "sent", ref=ref)
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
        done = int(await self._run(lua.RETRY, keys, *args))
        if done == lua.NEW_REASON:
            await self._receipt(lease.id, lease.channel, "failing", reason=reason)
        return bool(done)

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

    async def owed(self, most: int = 500) -> list[bytes]:
        """Return receipts that the log could not take when they were made, as records of signals.v1, oldest first."""
        found = await self.redis.zrange(self.key("owed"), 0, most - 1)
        return [_text(cast("bytes | str", one)).encode() for one in found]

    async def paid(self, receipts: Sequence[bytes]) -> None:
        """Forget receipts that the log has by now."""
        await self.redis.zrem(self.key("owed"), *receipts)

    async def _receipt(
        self,
        name: str,
        channel: str,
        outcome: Outcome,
        *,
        reason: str = "",
        ref: str = "",
        instead: tuple[str, ...] = (),
    ) -> None:
        """Write what became of a notification to the log; keep it where the log cannot take it now."""
        if self._receipts is None:
            return
        now_ms = self.clock()
        made = Receipt(name, incident_of_id(name), channel, outcome, now_ms, reason[:_MOST_REASON], ref, instead)
        if await self._receipts(made):
            return
        key = self.key("owed")
        await self.redis.zadd(key, {encode_input(made): now_ms})
        await self.redis.zremrangebyrank(key, 0, -1 - MOST_OWED)

    async def _gone(self, note: Notification, names: Sequence[str]) -> None:
        """Tell of channels that a notification was decided for and that are configured no more."""
        others = tuple(name for name in names if name not in note.channels)
        for gone in note.channels:
            if gone not in names:
                await self._receipt(note.id, gone, "gone", reason="it is configured no more", instead=others)

    async def _bury(self, name: str, channel: str, token: str, reason: str, *, fallback: str) -> bool:
        others = (fallback,) if fallback and fallback != channel else ()
        await self._receipt(name, channel, "given_up", reason=reason, instead=others)
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
        await self._receipt(name, NO_CHANNEL, "given_up", reason=reason)
        keys = [self.key("due"), self._item(name), self.key(f"dead:{NO_CHANNEL}"), self.key("channels")]
        await self._run(lua.BURY_UNROUTED, keys, name, self.clock(), self._settings.keep_ms, reason, NO_CHANNEL)


def wall_ms() -> int:
    """Return the wall time in ms."""
    return int(time.time() * 1000)


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


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
