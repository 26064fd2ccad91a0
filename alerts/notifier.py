"""Notifier: brings notifications from the outbox to the channels of their route, each channel at its own pace."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

from redis.exceptions import RedisError, ResponseError

from alerts.channels.base import Channel, ChannelError
from alerts.channels.message import marked_instead, marked_repeat
from alerts.outbox import UNLIMITED, Lease, Outbox, SendingRate
from alerts.outgoing import Notification, in_zone, linked
from alerts.receipt_log import ReceiptLog
from streams.adapters.redis_retry import passes
from streams.core.formatting import UTC_ZONE

log = logging.getLogger(__name__)

LEASE_S = 60.0
POLL_S = 0.5
AT_ONCE = 4
"""Notifications under way to one channel at the same time."""
ORPHANED_S = 60.0
"""A notification that waits this long for a channel that this worker does not have is routed again. Another worker with
that channel would have taken it."""
_SEND_SHARE = 0.8
"""Share of a lease that a send may take, so that the lease has not ended when the result is written."""
_SAY_AGAIN_S = 60.0

ChannelsOf = Callable[[Notification], Iterable[str]]
ZoneOf = Callable[[Notification, str], str]
LinkOf = Callable[[str], Callable[[str, str, str], str] | None]
"""From a channel to how its links are signed: from (purpose, incident key, notice id) to a URL."""


class DeliveryMeter(Protocol):
    """Where deliveries are counted; ``telemetry.engine_metrics.EngineMetrics`` is one."""

    def notification(self, channel: str, outcome: str) -> None:
        """Count an attempt: ``sent``, ``failed`` or ``dead`` (failed, and given up)."""


class Notifier:
    """Delivers until told to stop. Several may run on one outbox.

    Its parts (``loops``) run side by side, each its own task: one chooses channels, one serves each channel. So neither
    a receiver that hangs nor an error in one channel delays another.
    """

    def __init__(
        self,
        outbox: Outbox,
        channels: Mapping[str, Channel],
        channels_of: ChannelsOf,
        *,
        zone_of: ZoneOf = lambda _note, _channel: UTC_ZONE,
        link_of: LinkOf = lambda _channel: None,
        rates: Mapping[str, SendingRate] | None = None,
        fallbacks: Mapping[str, str] | None = None,
        meter: DeliveryMeter | None = None,
        receipts: ReceiptLog | None = None,
        lease_s: float = LEASE_S,
        poll_s: float = POLL_S,
        at_once: int = AT_ONCE,
    ) -> None:
        """Deliver from ``outbox`` by ``channels``.

        ``channels_of`` gives the names of a notification's channels, ``zone_of`` the zone of a channel's readers: ``alerts.routes``.
        ``link_of`` gives how the links of a channel's messages are signed, None for messages without.
        ``rates`` names what the limited channels may send, ``fallbacks`` the channel that gets what one is given up for.
        ``receipts`` takes those that the log could not take when they were made.
        """
        self._outbox = outbox
        self._channels = channels
        self._channels_of, self._zone_of, self._link_of = channels_of, zone_of, link_of
        self._rates, self._fallbacks = rates or {}, fallbacks or {}
        self._meter, self._receipts = meter, receipts
        self._lease_s, self._poll_s, self._at_once = lease_s, poll_s, at_once
        self._away = _Away()
        self._turned_s: dict[str, float] = {}

    def turns(self) -> dict[str, float]:
        """Return by part when it last finished a turn in which Redis answered, in seconds of ``time.monotonic``."""
        return dict(self._turned_s)

    def _turned(self, part: str) -> None:
        self._turned_s[part] = time.monotonic()

    def loops(self) -> dict[str, Callable[[asyncio.Event], Awaitable[None]]]:
        """Return the loops by name; each runs until its event is set."""
        served = {f"channel {name}": self._lane(channel) for name, channel in self._channels.items()}
        owed = {} if self._receipts is None else {"receipts": partial(self._pay_forever, self._receipts)}
        return {"routing": self._route_forever, **owed, **served}

    async def run(self, stop: asyncio.Event) -> None:
        """Run all parts until ``stop`` is set: for tests and small programs; a worker supervises each on its own."""
        async with asyncio.TaskGroup() as group:
            for loop in self.loops().values():
                group.create_task(_as_coroutine(loop(stop)))

    async def drain(self) -> int:
        """Deliver all that is due now; returns how many deliveries were tried."""
        while await self._outbox.route(self._channels_of):
            pass
        tried = 0
        for channel in self._channels.values():
            while (lease := await self._claim(channel)) is not None:
                await self.deliver(lease, channel)
                tried += 1
        return tried

    async def _route_forever(self, stop: asyncio.Event) -> None:
        moved_s = float("-inf")
        while not stop.is_set():
            async with self._away.told():
                while await self._outbox.route(self._channels_of):
                    self._turned("routing")  # ten thousand take longer than a notifier may be still
                if time.monotonic() - moved_s >= ORPHANED_S / 4:
                    moved_s = time.monotonic()
                    await self._move_orphans()
                self._turned("routing")
            await _pause(stop, self._poll_s)

    async def _pay_forever(self, receipts: ReceiptLog, stop: asyncio.Event) -> None:
        """Write to the log the receipts that it could not take."""
        while not stop.is_set():
            async with self._away.told():
                while (owed := await self._outbox.owed()) and await receipts.write_all(owed):
                    await self._outbox.paid(owed)
                    self._turned("receipts")
                self._turned("receipts")
            await _pause(stop, self._poll_s)

    async def _move_orphans(self) -> None:
        """Route again what waits for a channel that is no longer configured."""
        for name in await self._outbox.channels():
            if name in self._channels:
                continue
            moved = await self._outbox.move(name, ORPHANED_S)
            if moved:
                log.warning("channel %s is configured no more: %d waiting notifications are routed anew", name, moved)

    def _lane(self, channel: Channel) -> Callable[[asyncio.Event], Awaitable[None]]:
        async def serve(stop: asyncio.Event) -> None:
            under_way: set[asyncio.Task[None]] = set()
            try:
                while not stop.is_set():
                    await self._fill(channel, under_way)
                    await _any_done_or(stop, under_way, self._poll_s)
                    _raise_first(under_way)
            finally:
                await _end(under_way, self._poll_s)

        return serve

    async def _fill(self, channel: Channel, under_way: set[asyncio.Task[None]]) -> None:
        """Claim as long as something is due and there is room."""
        async with self._away.told():
            while len(under_way) < self._at_once:
                lease = await self._claim(channel)
                if lease is None:
                    break
                under_way.add(asyncio.create_task(self._deliver_patiently(lease, channel)))
            self._turned(f"channel {channel.name}")

    async def _claim(self, channel: Channel) -> Lease | None:
        rate, fallback = self._rates.get(channel.name, UNLIMITED), self._fallbacks.get(channel.name, "")
        return await self._outbox.claim(channel.name, self._lease_s, rate=rate, fallback=fallback)

    async def _deliver_patiently(self, lease: Lease, channel: Channel) -> None:
        async with self._away.told():  # if Redis is away, the lease ends and the notification may be sent again
            await self.deliver(lease, channel)

    async def deliver(self, lease: Lease, channel: Channel) -> None:
        """Send one claimed notification and record the result."""
        fault = await self._send(lease, channel)
        if not isinstance(fault, ChannelError):
            await self._outbox.sent(lease, fault)
            self._count(channel, "sent")
            return
        given_up = fault.permanent or self._outbox.exhausted(lease)
        self._count(channel, "dead" if given_up else "failed")
        if given_up:
            log.error("notification %s is given up on channel %s: %s", lease.id, channel.name, fault.reason)
            await self._outbox.bury(lease, fault.reason, fallback=self._fallbacks.get(channel.name, ""))
            return
        log.warning("notification %s will be tried again (attempt %d): %s", lease.id, lease.attempts, fault.reason)
        await self._outbox.retry(lease, fault.reason, fault.retry_after_ms, unsure=fault.unsure)

    async def _send(self, lease: Lease, channel: Channel) -> ChannelError | str:
        """Return why it was not delivered, else what the receiver calls the message."""
        link = self._link_of(channel.name)
        note = lease.note if link is None else linked(lease.note, link)
        note = in_zone(note, self._zone_of(lease.note, channel.name))
        note = marked_repeat(note) if lease.unsure and not channel.idempotent else note
        note = marked_instead(note, lease.instead_of) if lease.instead_of else note
        most_s = self._lease_s * _SEND_SHARE
        try:
            async with asyncio.timeout(most_s):
                return await channel.send(note, f"{lease.id}:{channel.name}") or ""
        except ChannelError as fault:
            return fault
        except TimeoutError:
            return ChannelError(f"channel {channel.name}: no answer within {most_s:g} s", unsure=True)
        except Exception as error:  # noqa: BLE001 - see below
            # A faulty channel must stop neither the others nor the notifier. There is no traceback, because it may hold
            # a token.
            log.error(  # noqa: TRY400
                "channel %s failed in an unexpected way: %s", channel.name, type(error).__name__
            )
            return ChannelError(f"channel {channel.name}: unexpected {type(error).__name__}")

    def _count(self, channel: Channel, outcome: str) -> None:
        if self._meter is not None:
            self._meter.notification(channel.name, outcome)


class _Away:
    """Logs that Redis is away and that it is back, at most once a minute and not at every retry."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._said_s = float("-inf")
        self._told = False

    @contextlib.asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Do some work with Redis. If Redis is away, log that and go on."""
        try:
            yield
        except (RedisError, OSError) as error:
            if isinstance(error, ResponseError) and not passes(error):
                raise  # Redis answers and refuses the request. Waiting does not help, so this loop ends with the error
            self._away(type(error).__name__)
        else:
            if self._told:
                log.info("the outbox in Redis answers again")
            self._since_s, self._told = None, False

    def _away(self, kind: str) -> None:
        now_s = time.monotonic()
        self._since_s = now_s if self._since_s is None else self._since_s
        if now_s - self._said_s >= _SAY_AGAIN_S:
            self._said_s, self._told = now_s, True
            lasting_s = now_s - self._since_s
            log.warning(
                "the outbox in Redis cannot be reached (%s), for %.0f s now; notifications wait", kind, lasting_s
            )


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    # Not wait_for: in Python 3.11 it may swallow a cancellation that comes as its time ends.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def _any_done_or(stop: asyncio.Event, under_way: set[asyncio.Task[None]], seconds: float) -> None:
    """Wait until a delivery is done, ``stop`` is set or the time is over."""
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({stopped, *under_way}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()


def _raise_first(under_way: set[asyncio.Task[None]]) -> None:
    """Forget finished deliveries. An unexpected error in one ends this loop, and its supervisor starts it again."""
    for task in [task for task in under_way if task.done()]:
        under_way.discard(task)
        task.result()


async def _end(under_way: set[asyncio.Task[None]], seconds: float) -> None:
    """Give deliveries some time to end. One that is cancelled is sent again when its lease ends."""
    if under_way:
        await asyncio.wait(under_way, timeout=seconds)
    for task in under_way:
        task.cancel()
    await asyncio.gather(*under_way, return_exceptions=True)


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work
