"""Routes as settings, and the channels built from the settings of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from pydantic import ConfigDict, Field, PrivateAttr

from alerts.channels.base import Channel, ChannelFault, UnusableChannel
from alerts.outbox import SendingRate
from alerts.outgoing import Notification
from alerts.routing.policy import RoutePolicy, RoutingEntry, RoutingPolicy, Subject
from alerts.routing.routes import routes_of
from alerts.settings.channels import (
    AlertmanagerSettings,
    AppriseSettings,
    ChannelSettings,
    ConsoleSettings,
    EmailSettings,
    PagerDutySettings,
    SlackSettings,
    WebhookSettings,
)
from alerts.settings.routes import RoutingEntrySettings
from alerts.signals import Severity
from config.base import Section
from config.nearest import choices
from streams.core.formatting import UTC_ZONE

DEFAULT_ROUTE = "default"


@dataclass(frozen=True)
class RoutingFault:
    """What keeps alerts from being delivered as configured.

    Attributes:
        field: Where, below ``alerts``: ``("channels", "ops", "url")``.
        reason: What is wrong.
        hint: How to mend it.
    """

    field: tuple[str | int, ...]
    reason: str
    hint: str

    def __str__(self) -> str:
        return f"alerts.{'.'.join(map(str, self.field))} {self.reason}"


class RoutingSettings(Section):
    """Channels by name, which of them each route uses, and which incidents take which route; ``default`` must exist.

    What no entry of ``routing`` fits takes the route that its rule names.
    ``route_zones`` names the time zone of who reads a route's messages; a channel's own ``zone`` comes first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: dict[str, ChannelSettings] = Field(default={"console": ConsoleSettings(type="console")})
    routes: dict[str, tuple[str, ...]] = Field(default={DEFAULT_ROUTE: ("console",)})
    route_zones: dict[str, str] = Field(default={})
    routing: tuple[RoutingEntrySettings, ...] = Field(default=())
    _unusable: dict[str, str] = PrivateAttr(default_factory=dict)

    def entries(self) -> tuple[RoutingEntry, ...]:
        """Return the routing as the pure machines take it."""
        return tuple(entry.policy() for entry in self.routing)

    def set_aside(self, channel: str, reason: str) -> None:
        """Note that a channel's settings cannot be read. Routes may still name the channel, but it delivers nothing."""
        self._unusable[channel] = reason

    def set_aside_because(self, channel: str) -> str | None:
        """Return why a channel's settings cannot be read, None where they can."""
        return self._unusable.get(channel)

    def unknown_channels(self) -> list[RoutingFault]:
        """Return the contradictions between routes and channels."""
        found = [
            RoutingFault(
                ("routes", route, place),
                f"there is no channel {name}",
                f"define it in alerts.channels; {choices(name, self.channels)}",
            )
            for route, names in self.routes.items()
            for place, name in enumerate(names)
            if name not in self.channels
        ]
        found += self._fallback_faults()
        if DEFAULT_ROUTE not in self.routes:
            found.append(
                RoutingFault(
                    ("routes",), "there is no default route", f"add  default: [{next(iter(self.channels), 'console')}]"
                )
            )
        return found

    def _fallback_faults(self) -> list[RoutingFault]:
        found = []
        for name, channel in self.channels.items():
            others = [other for other in self.channels if other != name]
            if channel.fallback is None or channel.fallback in others:
                continue
            reason = "is the channel itself" if channel.fallback == name else f"there is no channel {channel.fallback}"
            hint = choices(channel.fallback, others) if others else "define another channel in alerts.channels"
            found.append(RoutingFault(("channels", name, "fallback"), reason, f"{hint}, or leave fallback out"))
        return found


@dataclass(frozen=True)
class Channels:
    """Every configured channel, built.

    Attributes:
        by_name: All of them; one that cannot work is an ``UnusableChannel``.
        faults: What keeps alerts from being delivered as configured.
    """

    by_name: Mapping[str, Channel]
    faults: tuple[RoutingFault, ...]

    @property
    def usable(self) -> dict[str, Channel]:
        """Those that can work."""
        return {name: channel for name, channel in self.by_name.items() if not isinstance(channel, UnusableChannel)}


def build_channels(settings: RoutingSettings, clock: Callable[[], int]) -> Channels:
    """Build every channel and check whether each route can deliver. Only this function decides that.

    ``floorwatch config check``, ``doctor`` and the start of a worker all use it, so they agree. Nothing is sent and no
    connection is made.

    Args:
        settings: Checked settings.
        clock: Wall time in ms, for signatures.
    """
    built: dict[str, Channel] = {}
    faults: list[RoutingFault] = []
    for name, channel in settings.channels.items():
        try:
            built[name] = _build(name, channel, clock, settings.set_aside_because(name))
        except ChannelFault as fault:
            built[name] = UnusableChannel(name, fault)
            place = ("channels", name, *([fault.field] if fault.field else []))
            faults.append(RoutingFault(place, fault.reason, fault.hint))
    faults += settings.unknown_channels()
    for route, names in settings.routes.items():
        known = [name for name in names if name in built]
        if not names:
            hint = f"name a channel: [{next(iter(settings.channels), 'console')}]"
            faults.append(
                RoutingFault(("routes", route), "has no channel, so nobody would hear of what is sent here", hint)
            )
        elif known and all(isinstance(built[name], UnusableChannel) for name in known):
            reason = f"has no channel that works ({', '.join(known)}), so nobody would hear of what is sent here"
            faults.append(RoutingFault(("routes", route), reason, "mend one of its channels, or name another"))
    return Channels(built, tuple(faults))


def channels_of(settings: RoutingSettings) -> Callable[[Notification], tuple[str, ...]]:
    """Return a function from a notification to its channels: those decided for it that are still configured, else those of its routes.

    ``default`` replaces a missing route.
    """
    routes = _routes_of(settings)

    def chosen(note: Notification) -> tuple[str, ...]:
        if decided := tuple(name for name in note.channels if name in settings.channels):
            return decided
        fallback = settings.routes.get(DEFAULT_ROUTE, ())
        names = [name for route in routes(note) for name in settings.routes.get(route) or fallback]
        return tuple(dict.fromkeys(name for name in names if name in settings.channels))

    return chosen


_OWN_STEPS = ("open", "reopened", "resolved")
"""Beginnings of the steps that are told on the incident's own routes; others are of a tier, which names its route."""


def _routes_of(settings: RoutingSettings) -> Callable[[Notification], tuple[str, ...]]:
    """Return a function from a notification to its routes: those of the routing, else of its rule, then those of tiers."""
    entries = settings.entries()
    routes = {name: RoutePolicy(name, ()) for name in (DEFAULT_ROUTE, *settings.routes)}

    def chosen(note: Notification) -> tuple[str, ...]:
        subject = _subject(note) if entries and note.step.startswith(_OWN_STEPS) else None
        if subject is None:
            return (note.route, *note.also)
        policy = RoutingPolicy(routes, entries, {subject.rule: note.route})
        return (*(match.route.name for match in routes_of(policy, subject)), *note.also)

    return chosen


def _subject(note: Notification) -> Subject | None:
    """Return what routes look at; None where the notification holds no record of an incident."""
    record = note.incident
    names = [record.get(name) for name in ("key", "kind", "rule")]
    scope = record.get("scope")
    if not all(isinstance(name, str) for name in names) or not isinstance(scope, dict):
        return None
    key, kind, rule = (str(name) for name in names)
    severity = cast("Severity", note.severity)
    return Subject(key, kind, rule, severity, {str(name): str(value) for name, value in scope.items()})


def zone_of(settings: RoutingSettings) -> Callable[[Notification, str], str]:
    """Return a function from a channel to the zone in which its readers see times: the channel's, else its route's, else UTC."""
    routes = _routes_of(settings)

    def chosen(note: Notification, channel: str) -> str:
        own = settings.channels[channel].zone if channel in settings.channels else None
        if own is not None:
            return own
        for route in routes(note):
            named = route if route in settings.routes else DEFAULT_ROUTE
            if channel in settings.routes.get(named, ()) and named in settings.route_zones:
                return settings.route_zones[named]
        return UTC_ZONE

    return chosen


def rates_of(settings: RoutingSettings) -> dict[str, SendingRate]:
    """Return what each limited channel may send."""
    limited = {name: channel.rate for name, channel in settings.channels.items() if channel.rate is not None}
    return {name: SendingRate(rate.per_minute, rate.burst) for name, rate in limited.items()}


def fallbacks_of(settings: RoutingSettings) -> dict[str, str]:
    """Return by channel the one that gets what it was given up for."""
    named = {name: channel.fallback for name, channel in settings.channels.items()}
    return {name: other for name, other in named.items() if other is not None and other in settings.channels}


def _build(
    name: str,
    settings: ChannelSettings,
    clock: Callable[[], int],
    set_aside: str | None,
) -> Channel:
    if set_aside is not None:
        raise ChannelFault(set_aside, "mend its settings: floorwatch config check shows the place")
    # Imported here: a floor with only a console needs neither aiohttp nor apprise.
    if isinstance(settings, WebhookSettings):
        from alerts.channels.webhook import WebhookChannel

        return WebhookChannel(name, settings.url, clock, secret=settings.secret, timeout_s=settings.timeout_s)
    if isinstance(settings, AppriseSettings):
        from alerts.channels.apprise import AppriseChannel

        return AppriseChannel(name, settings.url)
    if isinstance(settings, EmailSettings):
        from alerts.channels.email import EmailChannel

        return EmailChannel(name, settings, clock)
    if isinstance(settings, PagerDutySettings):
        from alerts.channels.pagerduty import PagerDutyChannel

        return PagerDutyChannel(name, settings, clock)
    if isinstance(settings, SlackSettings):
        from alerts.channels.slack import SlackChannel

        return SlackChannel(name, settings, clock)
    if isinstance(settings, AlertmanagerSettings):
        from alerts.channels.alertmanager import AlertmanagerChannel

        return AlertmanagerChannel(name, settings, clock)
    from alerts.channels.console import ConsoleChannel

    return ConsoleChannel(name)
