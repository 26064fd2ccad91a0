"""Notifier: claims notifications from the outbox and delivers them to the channels of their route."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress

from redis.exceptions import RedisError

from alerts.channels.base import Channel, ChannelError
from alerts.outbox import Lease, Outbox
from alerts.routes import DEFAULT_ROUTE

log = logging.getLogger(__name__)

LEASE_S = 60.0
POLL_S = 0.5
_SEND_SHARE = 0.8
"""Part of a lease the channels may use together, so that the lease is still ours when the result is written."""


class Notifier:
    """Delivers until told to stop. Several may run on one outbox."""

    def __init__(
        self,
        outbox: Outbox,
        routes: Mapping[str, Sequence[Channel]],
        *,
        lease_s: float = LEASE_S,
        poll_s: float = POLL_S,
    ) -> None:
        """``routes`` gives the channels of each route; ``default`` serves unknown ones."""
        self._outbox = outbox
        self._routes = routes
        self._lease_s = lease_s
        self._poll_s = poll_s

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until ``stop`` is set. An unreachable Redis is waited for, never given up on."""
        while not stop.is_set():
            try:
                worked = await self.deliver_one()
            except (RedisError, OSError) as error:
                log.warning("the outbox in Redis cannot be reached (%s); notifications wait", type(error).__name__)
                worked = False
            if not worked:
                with suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), self._poll_s)

    async def drain(self) -> int:
        """Deliver all that is due now; returns how many were tried."""
        tried = 0
        while await self.deliver_one():
            tried += 1
        return tried

    async def deliver_one(self) -> bool:
        """Claim one notification and deliver it; False when none is due."""
        lease = await self._outbox.claim(self._lease_s)
        if lease is None:
            return False
        channels = self._routes.get(lease.note.route) or self._routes.get(DEFAULT_ROUTE) or ()
        if not channels:
            await self._outbox.bury(lease, f"no channel serves route {lease.note.route}; define it or a default route")
            return True
        faults = await self._send_all(lease, channels)
        if not faults:
            await self._outbox.done(lease)
            return True
        reason = "; ".join(fault.reason for fault in faults)
        if all(fault.permanent for fault in faults):
            log.error("notification %s is given up: %s", lease.id, reason)
            await self._outbox.bury(lease, reason)
            return True
        log.warning("notification %s will be tried again (attempt %d): %s", lease.id, lease.attempts, reason)
        wishes = [fault.retry_after_ms for fault in faults if fault.retry_after_ms is not None]
        await self._outbox.retry(lease, reason, max(wishes, default=None))
        return True

    async def _send_all(self, lease: Lease, channels: Sequence[Channel]) -> list[ChannelError]:
        """Send to the channels that do not have it yet, side by side: a slow one must not starve the others."""
        todo = [channel for channel in channels if channel.name not in lease.sent]
        results = await asyncio.gather(*(self._send(lease, channel) for channel in todo), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, ChannelError):
                # Redis is gone: all channels have finished, the lease will end, what was sent may be sent again.
                raise result
        return [result for result in results if isinstance(result, ChannelError)]

    async def _send(self, lease: Lease, channel: Channel) -> ChannelError | None:
        try:
            async with asyncio.timeout(self._lease_s * _SEND_SHARE):
                await channel.send(lease.note, f"{lease.id}:{channel.name}")
        except ChannelError as fault:
            return fault
        except TimeoutError:
            return ChannelError(f"channel {channel.name}: no answer within {self._lease_s * _SEND_SHARE:g} s")
        except Exception as error:  # noqa: BLE001 - see below
            # A faulty channel must cost neither the others nor the notifier. No traceback: it may hold a token.
            log.error(  # noqa: TRY400
                "channel %s failed in an unexpected way: %s", channel.name, type(error).__name__
            )
            return ChannelError(f"channel {channel.name}: unexpected {type(error).__name__}")
        await self._outbox.mark_sent(lease, channel.name)
        return None
