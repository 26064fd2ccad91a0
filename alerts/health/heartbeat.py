"""Signs of life to somebody outside, who rings when they stay away: a url, and an alert of an Alertmanager that fires all the time.

Only an outsider can tell that Floorwatch is dead. So a sign is given only while all of the way from an event to a person works.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

import msgspec
from msgspec import Struct
from pydantic import SecretStr

from alerts.channels.alertmanager import AlertmanagerChannel
from alerts.channels.base import ChannelError
from alerts.channels.http_post import HttpPost
from alerts.settings.health import HeartbeatSettings
from streams.core.formatting import rfc3339
from streams.models import formats

HEARTBEAT = "heartbeat"
"""Name under which the read model keeps how the heartbeat fares."""
WATCHDOG = "FloorwatchWatchdog"
"""Name of the alert that always fires."""
URL = "url"
"""Name of the receiver that is a url; others are called as their channel."""
_STANDS = 3
"""For how many pauses the watchdog's alert stands: one sign that is lost does not ring."""
_MOST_SAID = 10_000


class Beat(Struct, frozen=True):
    """How the signs to one receiver fare. Times are wall ms.

    Attributes:
        to: ``url``, or the name of a channel.
        ok_ms: When it last took a sign of life.
        failed_ms: When it last did not answer, or refused.
        reason: Why; empty where it took the last.
    """

    to: str
    ok_ms: int | None = None
    failed_ms: int | None = None
    reason: str = ""


class HeartbeatState(Struct, frozen=True):
    """How the heartbeat fares: what is broken, in sentences (none: all works), and each receiver."""

    at_ms: int
    broken: tuple[str, ...] = ()
    beats: tuple[Beat, ...] = ()


class BeatMeter(Protocol):
    """Where signs are counted; ``telemetry.engine_metrics.EngineMetrics`` is one."""

    def heartbeat(self, to: str, outcome: str, at_ms: int) -> None:
        """Count a sign: ``alive``, ``broken`` (told what is broken) or ``failed`` (the receiver did not take it)."""


class _Receiver(Protocol):
    async def tell(self, broken: Sequence[str], now_ms: int) -> bool:
        """Tell that all works, or what does not; return whether anything was sent."""

    async def close(self) -> None: ...


class Heartbeat:
    """Tells every receiver, and remembers how that went."""

    def __init__(
        self,
        settings: HeartbeatSettings,
        channels: Mapping[str, Any],
        clock: Callable[[], int],
        meter: BeatMeter | None = None,
    ) -> None:
        """Check the url; no connection is made.

        Args:
            settings: Whom to tell how often.
            channels: The channels by name; those of another type than alertmanager are passed over.
            clock: Wall time in ms.
            meter: Where signs are counted.

        Raises:
            ChannelFault: The url cannot be used.
        """
        self._clock, self._meter = clock, meter
        self._receivers: dict[str, _Receiver] = {}
        if settings.url is not None:
            self._receivers[URL] = _Url(settings, clock)
        for name in settings.alertmanager:
            if isinstance(channel := channels.get(name), AlertmanagerChannel):
                self._receivers[name] = _Watchdog(channel, round(settings.every * 1000) * _STANDS)
        self.state = HeartbeatState(0, beats=tuple(Beat(name) for name in self._receivers))

    async def tell(self, broken: Sequence[str]) -> HeartbeatState:
        """Give a sign of life, or say what is broken; return how it went. A receiver that fails hinders no other."""
        now_ms = self._clock()
        beats = [await self._told(beat, broken, now_ms) for beat in self.state.beats]
        self.state = HeartbeatState(now_ms, tuple(broken), tuple(beats))
        return self.state

    async def _told(self, beat: Beat, broken: Sequence[str], now_ms: int) -> Beat:
        try:
            sent = await self._receivers[beat.to].tell(broken, now_ms)
        except ChannelError as error:
            self._count(beat.to, "failed", now_ms)
            return msgspec.structs.replace(beat, failed_ms=now_ms, reason=error.reason)
        if not sent:
            return beat
        self._count(beat.to, "broken" if broken else "alive", now_ms)
        return msgspec.structs.replace(beat, ok_ms=beat.ok_ms if broken else now_ms, reason="")

    def _count(self, to: str, outcome: str, now_ms: int) -> None:
        if self._meter is not None:
            self._meter.heartbeat(to, outcome, now_ms)

    async def close(self) -> None:
        """Close the connections; the channels are not the heartbeat's to close."""
        for receiver in self._receivers.values():
            await receiver.close()


class _Url:
    def __init__(self, settings: HeartbeatSettings, clock: Callable[[], int]) -> None:
        url = "" if settings.url is None else settings.url.get_secret_value()

        def client(address: str) -> HttpPost:
            return HttpPost(
                "heartbeat",
                SecretStr(address),
                clock,
                timeout_s=settings.timeout_s,
                what="the heartbeat",
                method=settings.method,
            )

        self._alive = client(url)
        self._fail = client(fail_url(url)) if settings.on_fault == "fail" else None

    async def tell(self, broken: Sequence[str], now_ms: int) -> bool:  # noqa: ARG002 - part of the protocol
        if broken and self._fail is None:
            return False
        said = "\n".join(broken).encode()[:_MOST_SAID] or b"all works"
        client = self._fail if broken and self._fail is not None else self._alive
        await client.post(said, {"Content-Type": "text/plain; charset=utf-8"})
        return True

    async def close(self) -> None:
        await self._alive.close()
        if self._fail is not None:
            await self._fail.close()


class _Watchdog:
    """The alert fires while it is told; it ends by itself once nothing is told, and at once when something is broken."""

    def __init__(self, channel: AlertmanagerChannel, stands_ms: int) -> None:
        self._channel, self._stands_ms = channel, stands_ms
        self._began_ms: int | None = None

    async def tell(self, broken: Sequence[str], now_ms: int) -> bool:
        began_ms = self._began_ms = now_ms if self._began_ms is None else self._began_ms
        await self._channel.post([watchdog_alert(broken, began_ms, now_ms, self._stands_ms)])
        if broken:
            self._began_ms = None
        return True

    async def close(self) -> None:
        """Nothing of its own."""


def watchdog_alert(broken: Sequence[str], began_ms: int, now_ms: int, stands_ms: int) -> dict[str, Any]:
    """Return the alert that fires while all works, for Alertmanager's API v2.

    Args:
        broken: What does not work; then the alert ends now.
        began_ms: Since when it fires.
        now_ms: Wall time.
        stands_ms: How long it fires when nothing more is heard.
    """
    said = "All of the way from an event to a person works. This alert fires all the time: somebody must ring when it does not."
    return {
        "labels": {"alertname": WATCHDOG, "severity": "none", "service": "floorwatch"},
        "annotations": {"summary": " ".join(broken) or said},
        "startsAt": rfc3339(min(began_ms, now_ms)),
        "endsAt": rfc3339(now_ms if broken else now_ms + stands_ms),
    }


def fail_url(url: str) -> str:
    """Return the url that is asked for where something is broken: ``/fail`` behind the path, as healthchecks.io has it.

    Example:
        >>> fail_url("https://hc.example/ping/1234/?run=a")
        'https://hc.example/ping/1234/fail?run=a'
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return url  # no url at all: what checks it says so
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/fail"))


def encode_state(state: HeartbeatState) -> bytes:
    """Return how the heartbeat fares as JSON."""
    return formats.stamped_json(formats.HEALTH, msgspec.json.encode(state))


def decode_state(value: bytes | str) -> HeartbeatState | None:
    """Return how the heartbeat fares; None where another version wrote it."""
    try:
        formats.check_json(formats.HEALTH, value)
        return msgspec.json.decode(value, type=HeartbeatState)
    except (msgspec.MsgspecError, formats.NewerFormat):
        return None
