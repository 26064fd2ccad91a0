"""The notifier's place in a worker: channels built, parts supervised, what the outbox holds measured and shown."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from msgspec import structs
from redis.exceptions import RedisError, ResponseError

from alerts.channels.base import UnusableChannel
from alerts.channels.slack_posts import RedisPosts, SlackExtras
from alerts.deliveries import ChannelState, channel_states
from alerts.health.facts import ChannelHealth, NotifierTurn
from alerts.incident import Incident
from alerts.links import LinkSigner
from alerts.mirror import Mirror, alertmanagers
from alerts.notifier import LinkOf, Notifier
from alerts.outbox import Outbox
from alerts.receipt_log import ReceiptLog
from alerts.routes import Channels, RoutingSettings, build_channels, channels_of, fallbacks_of, rates_of, zone_of
from alerts.settings.channels import ConsoleSettings
from streams.adapters.redis_retry import passes
from streams.core.formatting import rfc3339
from telemetry.background import BackgroundTasks
from telemetry.engine_metrics import EngineMetrics

log = logging.getLogger(__name__)

_LOOK_EVERY_S = 5.0
_STATUS_S = 3.0


def clock_ms() -> int:
    """Return the wall time in ms."""
    return int(time.time() * 1000)


def _link_of(settings: RoutingSettings, signer: LinkSigner | None) -> LinkOf:
    """Return how the links of each channel are signed. A console has none: whoever may read the log could act by them."""

    def link_of(channel: str) -> Callable[[str, str, str], str] | None:
        if signer is None or isinstance(settings.channels.get(channel), ConsoleSettings):
            return None
        return signer.for_receiver(channel, clock_ms())

    return link_of


class NotificationService:
    """Everything of a worker that brings notifications to people."""

    def __init__(
        self,
        settings: RoutingSettings,
        outbox: Outbox,
        metrics: EngineMetrics,
        tasks: BackgroundTasks,
        signer: LinkSigner | None = None,
        incidents: Callable[[int], list[Incident] | None] = lambda _since_ms: None,
        receipts: ReceiptLog | None = None,
        *,
        buttons: bool = False,
    ) -> None:
        """Build the channels and say what is wrong with them; :meth:`start` begins to deliver.

        ``signer`` makes links that act. ``incidents`` returns those to be kept alive in an Alertmanager (``alerts.mirror``).
        ``receipts`` takes what became of notifications. With ``buttons`` messages in Slack have some, because somebody listens to them.
        """
        self._outbox, self._metrics, self._tasks = outbox, metrics, tasks
        self.channels = build_channels(
            settings, clock_ms, SlackExtras(buttons, RedisPosts(outbox.redis, outbox.prefix))
        )
        self.routes: Mapping[str, tuple[str, ...]] = {
            name: settings.channels_of_route(name) for name in settings.routes
        }
        self._began_s = time.monotonic()
        self._states: list[ChannelState] = []
        self._looked_ms: int | None = None
        for fault in self.channels.faults:
            log.error("ALERTS ARE NOT DELIVERED AS CONFIGURED: %s. Fix: %s", fault, fault.hint)
        usable = {name: name in self.channels.usable for name in self.channels.by_name}
        silent = sum(not self.channels.usable.keys() & set(names) for names in self.routes.values())
        metrics.channels(usable, silent)
        link_of = _link_of(settings, signer)
        self._mirror = Mirror(
            alertmanagers(self.channels.by_name),
            incidents,
            clock_ms,
            zone_of=zone_of(settings),
            link_of=link_of,
            meter=metrics,
        )
        self._notifier = Notifier(
            outbox,
            self.channels.by_name,
            channels_of(settings),
            zone_of=zone_of(settings),
            link_of=link_of,
            rates=rates_of(settings),
            fallbacks=fallbacks_of(settings),
            meter=metrics,
            receipts=receipts,
        )

    def start(self, stopping: asyncio.Event) -> None:
        """Start every part as a background task of its own."""
        for name, loop in self._notifier.loops().items():
            self._tasks.start(f"notifier: {name}", partial(_until_stopped, loop, stopping))
        self._tasks.start("notifier: watch", self._watch)
        if self._mirror.needed:
            self._tasks.start("notifier: mirror", self._mirror.run)

    async def close(self) -> None:
        """Release what the channels hold open."""
        for channel in self.channels.by_name.values():
            await channel.close()

    async def status(self) -> dict[str, Any]:
        """Return how delivery fares, for ``/statusz``; what was last known where Redis does not answer."""
        answers = True
        try:
            async with asyncio.timeout(_STATUS_S):
                await self._look()
        except (RedisError, OSError, TimeoutError):
            answers = False
        states = {state.name: state for state in self._states}
        names = list(dict.fromkeys([*self.channels.by_name, *states]))
        return {
            "outbox": {"answers": answers, "as_of": None if self._looked_ms is None else rfc3339(self._looked_ms)},
            "routes": {route: list(names) for route, names in self.routes.items()},
            "faults": [f"{fault}. Fix: {fault.hint}" for fault in self.channels.faults],
            "channels": [channel_status(self.channels, name, states.get(name, ChannelState(name))) for name in names],
        }

    def turn(self, worker: str) -> NotifierTurn:
        """Return how this worker's notifier fares: when the part that has been still the longest last did something."""
        turns, now_s, now_ms = self._notifier.turns(), time.monotonic(), clock_ms()
        still_s, part = max((now_s - turns.get(part, self._began_s), part) for part in self._notifier.loops())
        return NotifierTurn(worker, now_ms, now_ms - round(still_s * 1000), part)

    async def channel_health(self) -> tuple[ChannelHealth, ...]:
        """Return how every configured channel fares, over all workers.

        Raises:
            RedisError: Redis cannot be asked.
        """
        states = {state.name: state for state in await channel_states(self._outbox, self.channels.by_name)}
        for name, (since_ms, reason) in self._mirror.failing().items():
            state = states.get(name, ChannelState(name))
            if state.failing_since_ms is None:
                states[name] = structs.replace(state, failing_since_ms=since_ms, reason=reason)
        usable = self.channels.usable
        return tuple(
            _health(states.get(name, ChannelState(name)), usable=name in usable) for name in self.channels.by_name
        )

    async def _watch(self) -> None:
        """Keep the gauges: they must show a channel that is down, or a Redis that fills up."""
        while True:
            try:
                await self._look()
            except (RedisError, OSError) as error:
                if isinstance(error, ResponseError) and not passes(error):
                    raise
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _look(self) -> None:
        self._states = await channel_states(self._outbox, self.channels.by_name)
        self._looked_ms = clock_ms()
        gone = {state.name for state in self._states}
        for state in self._states:
            oldest_s = (state.oldest_waiting_ms or 0) / 1000
            self._metrics.notifications(state.name, state.waiting, state.dead, oldest_s)
        self._metrics.forget_notifications(gone)
        self._metrics.outbox(sum(state.waiting for state in self._states))


def _health(state: ChannelState, *, usable: bool) -> ChannelHealth:
    return ChannelHealth(
        state.name,
        failing_since_ms=state.failing_since_ms,
        reason=state.reason,
        usable=usable,
        waiting=state.waiting,
        dead=state.dead,
    )


def channel_status(channels: Channels, name: str, state: ChannelState) -> dict[str, Any]:
    """Return how one channel fares as plain values."""
    channel = channels.by_name.get(name)
    unusable = channel.fault.reason if isinstance(channel, UnusableChannel) else None
    return {
        "name": name,
        "usable": channel is not None and unusable is None,
        "why_not": unusable if channel is not None else "it is configured no more",
        "waiting": state.waiting,
        "oldest_waiting_s": None if state.oldest_waiting_ms is None else state.oldest_waiting_ms // 1000,
        "dead": state.dead,
        "sent": state.sent,
        "failed_attempts": state.failed,
        "last_success": _time(state.sent_ms),
        "last_failure": _time(state.failed_ms),
        "failing_since": _time(state.failing_since_ms),
        "last_failure_reason": state.reason or None,
        "last_test_success": _time(state.tested_ms),
        "last_test_failure": _time(state.test_failed_ms),
        "last_test_failure_reason": state.test_reason or None,
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)


async def _until_stopped(loop: Callable[[asyncio.Event], Awaitable[None]], stopping: asyncio.Event) -> None:
    await loop(stopping)
    if stopping.is_set():
        await asyncio.Event().wait()  # asked to end: not an end that must be undone
