"""Channels built from their settings, and what each notification goes through."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from alerts.channels.base import Channel, ChannelFault, UnusableChannel
from alerts.channels.slack_posts import SlackExtras
from alerts.outbox import SendingRate
from alerts.outgoing import Notification
from alerts.routing.policy import DEFAULT_ROUTE, RoutePolicy, RoutingPolicy, Subject
from alerts.routing.routes import routes_of
from alerts.settings.channels import (
    AlertmanagerSettings,
    AppriseSettings,
    ChannelSettings,
    EmailSettings,
    PagerDutySettings,
    SlackSettings,
    WebhookSettings,
)
from alerts.settings.names import named
from alerts.settings.route import whole
from alerts.settings.routing import RoutingFault, RoutingSettings
from alerts.signals import Severity
from streams.core.formatting import UTC_ZONE

__all__ = ["DEFAULT_ROUTE", "Channels", "RoutingFault", "RoutingSettings"]


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


def build_channels(settings: RoutingSettings, clock: Callable[[], int], slack: SlackExtras | None = None) -> Channels:
    """Build every channel and check whether each route can deliver. Only this function decides that.

    ``floorwatch config check``, ``doctor`` and the start of a worker all use it, so they agree. Nothing is sent and no
    connection is made.

    Args:
        settings: Checked settings.
        clock: Wall time in ms, for signatures.
        slack: What channels of Slack need besides their settings; None: no buttons, and each step is a message.
    """
    built: dict[str, Channel] = {}
    faults: list[RoutingFault] = []
    for name, channel in settings.channels.items():
        try:
            built[name] = _build(name, channel, clock, settings.set_aside_because(name), slack)
        except ChannelFault as fault:
            built[name] = UnusableChannel(name, fault)
            place = ("channels", name, *([fault.field] if fault.field else []))
            faults.append(RoutingFault(place, fault.reason, fault.hint))
    faults += settings.unknown_channels()
    for route, written in settings.routes.items():
        known = [name for name in settings.channels_of_route(route) if name in built]
        if not settings.receivers_of_route(route) and whole(written).escalation is None:
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
    own = {name: named(route.notify, "channel") for name, route in settings.whole_routes().items()}

    def chosen(note: Notification) -> tuple[str, ...]:
        if decided := tuple(name for name in note.channels if name in settings.channels):
            return decided
        names = [name for route in routes(note) for name in own.get(route) or own.get(DEFAULT_ROUTE, ())]
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
    """Return a function from a notification and a channel to the zone in which the channel's readers see times: always the same one."""
    zones = channel_zones(settings)
    return lambda _note, channel: zones.get(channel, UTC_ZONE)


def channel_zones(settings: RoutingSettings) -> dict[str, str]:
    """Return the zone of each channel whose readers have one; the others read UTC.

    It is the channel's own; else that of the people who alone have it, if they agree; else that of the first route of the
    configuration that reaches it and has one; else that of the people who have it, if they agree. So whoever reads a channel reads one
    zone, whichever route a message came by.
    """
    public = {name for route in settings.routes for name in named(settings.receivers_of_route(route), "channel")}
    of_people = _zones_of_people(settings)
    of_routes: dict[str, str] = {}
    by_route = zones_of_routes(settings)
    for route in settings.routes:
        for channel in settings.channels_of_route(route) if route in by_route else ():
            of_routes.setdefault(channel, by_route[route])
    alone = {channel: zone for channel, zone in of_people.items() if channel not in public}
    own = {name: channel.zone for name, channel in settings.channels.items() if channel.zone is not None}
    return of_people | of_routes | alone | own


def _zones_of_people(settings: RoutingSettings) -> dict[str, str]:
    """Return the zones of channels whose people all have the same one."""
    of_people: dict[str, set[str | None]] = {}
    for person in settings.people.values():
        for channel in (name for some in person.channels.values() for name in some):
            of_people.setdefault(channel, set()).add(person.zone)
    sole = {channel: next(iter(zones)) for channel, zones in of_people.items() if len(zones) == 1}
    return {channel: zone for channel, zone in sole.items() if zone is not None}


def zones_of_routes(settings: RoutingSettings) -> dict[str, str]:
    """Return the zones of the routes that have one."""
    return dict(settings.route_zones) | {
        name: route.zone for name, route in settings.whole_routes().items() if route.zone
    }


def rates_of(settings: RoutingSettings) -> dict[str, SendingRate]:
    """Return what each limited channel may send."""
    limited = {name: channel.rate for name, channel in settings.channels.items() if channel.rate is not None}
    return {name: SendingRate(rate.per_minute, rate.burst) for name, rate in limited.items()}


def fallbacks_of(settings: RoutingSettings) -> dict[str, str]:
    """Return by channel the one that gets what it was given up for."""
    named = {name: channel.fallback for name, channel in settings.channels.items()}
    return {name: other for name, other in named.items() if other is not None and other in settings.channels}


def apart_of(settings: RoutingSettings) -> frozenset[str]:
    """Return the channels that get a message for each incident of a group, because their receivers open and close alerts one by one.

    An Alertmanager is none: it gets the incidents of a group in one request, and again from ``alerts.mirror``.
    """
    return frozenset(name for name, channel in settings.channels.items() if isinstance(channel, PagerDutySettings))


def _build(
    name: str,
    settings: ChannelSettings,
    clock: Callable[[], int],
    set_aside: str | None,
    slack: SlackExtras | None,
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

        return SlackChannel(name, settings, clock, slack)
    if isinstance(settings, AlertmanagerSettings):
        from alerts.channels.alertmanager import AlertmanagerChannel

        return AlertmanagerChannel(name, settings, clock)
    from alerts.channels.console import ConsoleChannel

    return ConsoleChannel(name)
