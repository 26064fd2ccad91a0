"""Keeps every incident that goes on alive in an Alertmanager, which forgets an alert that it does not hear of again.

It goes by the incidents themselves, which come back from the log: so the alerts are there again after a restart of a worker or of the
Alertmanager, and whatever becomes of the outbox in Redis.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol

from msgspec import Struct

from alerts.channels.alertmanager import AlertmanagerChannel
from alerts.channels.base import ChannelError
from alerts.dues import is_end, told_now
from alerts.incident import Incident, Notify, ToldReceiver
from alerts.notifier import LinkOf, ZoneOf
from alerts.outgoing import Notification, in_zone, linked, notification

log = logging.getLogger(__name__)

LOOK_S = 5.0
"""The pause between two looks at what has changed."""
ENDS_MS = 15 * 60_000
"""For how long an end is posted again: Alertmanagers lose some (prometheus/alertmanager#2570)."""
MOST_AT_ONCE = 100
"""Alerts in one request."""
_SAY_AGAIN_S = 60.0


class MirrorMeter(Protocol):
    """Where posts are counted; ``telemetry.engine_metrics.EngineMetrics`` is one."""

    def mirrored(self, channel: str, alerts: int, outcome: str) -> None:
        """Note how many alerts go on in a channel, and whether the last post was ``sent`` or ``failed``."""


class _Posted(Struct, frozen=True):
    step: str
    at_s: float


class _Failing(Struct, frozen=True):
    since_ms: int
    reason: str


def to_mirror(incidents: Iterable[Incident], channel: str, now_ms: int) -> Iterator[tuple[Incident, ToldReceiver]]:
    """Yield the incidents that an Alertmanager must hear of, each with what its readers were told of it last.

    Those are the ones that its channel was told of and that go on, and those whose end it was told in the last ``ENDS_MS``. What is
    held back (silenced, inhibited, muted) is not told here either.

    Args:
        incidents: What is known of incidents.
        channel: Name of the channel.
        now_ms: Wall time.
    """
    for one in incidents:
        if one.live:
            told = [entry for entry in told_now(one).values() if channel in entry.channels]
            if told:
                yield one, told[-1]
        elif one.told_people:
            last = next((entry for entry in reversed(one.told_people) if channel in entry.channels), None)
            if last is not None and is_end(last.step) and now_ms - last.at_ms < ENDS_MS:
                yield one, last


class Mirror:
    """Posts alerts to Alertmanagers, as the owner of the incidents."""

    def __init__(
        self,
        channels: Iterable[AlertmanagerChannel],
        incidents: Callable[[int], list[Incident] | None],
        clock: Callable[[], int],
        *,
        zone_of: ZoneOf,
        link_of: LinkOf,
        meter: MirrorMeter | None = None,
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """Post to ``channels``.

        Args:
            channels: The Alertmanagers.
            incidents: Given a wall time: returns the incidents that go on or were told of since; None while another worker owns them.
            clock: Wall time in ms.
            zone_of: The zone of a channel's readers.
            link_of: How the links of a channel's messages are signed.
            meter: Where posts are counted.
            clock_s: Seconds that only go up.
        """
        self._channels = tuple(channels)
        self._incidents, self._clock, self._clock_s = incidents, clock, clock_s
        self._zone_of, self._link_of, self._meter = zone_of, link_of, meter
        self._posted: dict[str, dict[str, _Posted]] = {}
        self._failing: dict[str, _Failing] = {}
        self._said_s: dict[str, float] = {}

    @property
    def needed(self) -> bool:
        """Whether there is an Alertmanager."""
        return bool(self._channels)

    def failing(self) -> Mapping[str, tuple[int, str]]:
        """Return by channel since when (wall ms) it takes nothing, and why."""
        return {name: (one.since_ms, one.reason) for name, one in self._failing.items()}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.turn()
            await asyncio.sleep(LOOK_S)

    async def turn(self) -> None:
        """Post what an Alertmanager does not know yet, and what is to be said again."""
        now_ms = self._clock()
        incidents = self._incidents(now_ms - ENDS_MS)
        if incidents is None:  # whoever owns them posts them
            self._posted.clear()
            self._failing.clear()
            return
        await asyncio.gather(*(self._post(channel, incidents, now_ms) for channel in self._channels))

    async def _post(self, channel: AlertmanagerChannel, incidents: list[Incident], now_ms: int) -> None:
        before, now_s = self._posted.get(channel.name, {}), self._clock_s()
        wanted = list(to_mirror(incidents, channel.name, now_ms))
        posted = {one.key: before[one.key] for one, _ in wanted if one.key in before}
        due = [pair for pair in wanted if self._is_due(posted.get(pair[0].key), pair[1].step, channel, now_s)]
        try:
            for begin in range(0, len(due), MOST_AT_ONCE):
                some = due[begin : begin + MOST_AT_ONCE]
                await channel.post_notes([self._note(one, told, channel.name) for one, told in some])
                posted.update({one.key: _Posted(told.step, now_s) for one, told in some})
        except ChannelError as error:
            self._failed(channel.name, error.reason, now_ms)
            self._count(channel.name, len(posted), "failed")
        else:
            self._failing.pop(channel.name, None)
            if due:
                self._count(channel.name, sum(one.live for one, _ in wanted), "sent")
        self._posted[channel.name] = posted

    @staticmethod
    def _is_due(posted: _Posted | None, step: str, channel: AlertmanagerChannel, now_s: float) -> bool:
        return posted is None or posted.step != step or now_s - posted.at_s >= channel.resend_s

    def _note(self, incident: Incident, told: ToldReceiver, channel: str) -> Notification:
        note = notification(Notify(told.notice, told.step, "", incident))
        link = self._link_of(channel)
        note = note if link is None else linked(note, link)
        return in_zone(note, self._zone_of(note, channel))

    def _failed(self, channel: str, reason: str, now_ms: int) -> None:
        known = self._failing.get(channel)
        self._failing[channel] = _Failing(now_ms if known is None else known.since_ms, reason)
        now_s = self._clock_s()
        if now_s - self._said_s.get(channel, float("-inf")) >= _SAY_AGAIN_S:
            self._said_s[channel] = now_s
            log.warning("incidents cannot be kept alive on channel %s: %s", channel, reason)

    def _count(self, channel: str, alerts: int, outcome: str) -> None:
        if self._meter is not None:
            self._meter.mirrored(channel, alerts, outcome)


def alertmanagers(channels: Mapping[str, Any]) -> list[AlertmanagerChannel]:
    """Return the channels that are Alertmanagers."""
    return [channel for channel in channels.values() if isinstance(channel, AlertmanagerChannel)]
