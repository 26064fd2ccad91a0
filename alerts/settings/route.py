"""Settings of a route: whom it tells, and when."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Discriminator, Field, Tag

from alerts.routing.matchers import NAMES
from alerts.routing.policy import RoutePolicy
from alerts.settings.calendars import CalendarSettings, always_on
from alerts.settings.escalations import EscalationSettings
from alerts.settings.names import Known, Place, ReceiverText, named, needed, receiver_of, repeated, required, some
from alerts.settings.people import PersonSettings
from alerts.settings.schedules import ScheduleSettings
from alerts.settings.times import ClockTime, Zone, between, minute_of
from alerts.signals import Severity
from config.base import Section, SettingsFault, refuse_one
from config.durations import Seconds
from config.fault_text import shown
from config.nearest import choices
from streams.core.durations import seconds_to_ms


def _dimension(value: object) -> str:
    if not isinstance(value, str) or value not in NAMES:
        refuse_one(f"no incident has a {shown(value).strip(chr(34))}", choices(str(value), NAMES))
    return value


class DigestSettings(Section):
    """What is told together once a day, at a time of the route's zone. A page is never kept for it."""

    at: Annotated[ClockTime, required('write e.g. at: "09:00"')] = needed()
    severities: Annotated[tuple[Severity, ...], some("write [info], or [warn, info]")] = ("info",)


class RouteSettings(Section):
    """A route. Times are wall time.

    Attributes:
        notify: Whom it tells at the beginning: channels, ``person:mei``, ``schedule:kul-lead``.
        escalation: Its steps of escalation; the first is told with the beginning. None: its rules' tiers.
        group_by: Dimensions, ``kind``, ``rule`` or ``severity`` that keep messages apart.
        group_wait: How long the first message of a group waits for more; None: ``alerts.group_wait_s``.
        group_interval: The least time between two messages of a group.
        renotify: After how long what nobody acknowledges is told again; None: never.
        mute: Calendars in which nothing is told.
        quiet: Calendars in which only ``quiet_except`` is told.
        quiet_except: Severities that are told in quiet hours too.
        digest: What is told together once a day.
        zone: IANA name of the zone of its readers.
    """

    notify: tuple[ReceiverText, ...] = Field(default=(), max_length=100)
    escalation: str | None = None
    group_by: tuple[Annotated[str, BeforeValidator(_dimension)], ...] = Field(default=(), max_length=len(NAMES))
    group_wait: Annotated[Seconds, between(0, 3600)] | None = None
    group_interval: Annotated[Seconds, between(0, 86_400)] = 300.0
    renotify: Annotated[Seconds, between(300, 7 * 86_400)] | None = None
    mute: tuple[str, ...] = Field(default=(), max_length=50)
    quiet: tuple[str, ...] = Field(default=(), max_length=50)
    quiet_except: tuple[Severity, ...] = ()
    digest: DigestSettings | None = None
    zone: Zone | None = None

    def policy(self, name: str, group_wait_s: float, zone: str | None) -> RoutePolicy:
        """Return the route as the pure machines take it.

        Args:
            name: Its name.
            group_wait_s: Of a route that says nothing itself.
            zone: Of a route that says nothing itself.
        """
        return RoutePolicy(
            name,
            self.receivers(),
            escalation=self.escalation,
            group_by=self.group_by,
            group_wait_ms=seconds_to_ms(group_wait_s if self.group_wait is None else self.group_wait),
            group_interval_ms=seconds_to_ms(self.group_interval),
            renotify_ms=None if self.renotify is None else seconds_to_ms(self.renotify),
            mute=self.mute,
            quiet=self.quiet,
            quiet_except=self.quiet_except,
            digest_at_min=None if self.digest is None else minute_of(self.digest.at),
            digest_severities=() if self.digest is None else self.digest.severities,
            zone=self.zone or zone,
        )

    def receivers(self) -> tuple[str, ...]:
        """Return whom it tells at the beginning, each with its kind: ``channel:ops``."""
        return tuple(receiver_of(text) for text in self.notify)


def _form(value: Any) -> str | None:
    if isinstance(value, RouteSettings | dict):
        return "group"
    return "list" if isinstance(value, list | tuple) else None


AnyRoute = Annotated[
    Annotated[tuple[ReceiverText, ...], Tag("list")] | Annotated[RouteSettings, Tag("group")],
    Discriminator(
        _form,
        custom_error_type="route",
        custom_error_message="must be a list of receivers, or a group of settings",
        custom_error_context={"hint": "write [ops], or {notify: [ops], …}"},
    ),
]
"""A route as it is written: the list of whom it tells, or all of its settings."""


def whole(route: tuple[str, ...] | RouteSettings) -> RouteSettings:
    """Return all settings of a route that may be written as a list."""
    return route if isinstance(route, RouteSettings) else RouteSettings(notify=route)


def notify_place(name: str, route: tuple[str, ...] | RouteSettings) -> Place:
    """Return where a route says whom it tells, below ``alerts``."""
    return ("routes", name, "notify") if isinstance(route, RouteSettings) else ("routes", name)


def all_receivers(route: RouteSettings, escalations: Mapping[str, EscalationSettings]) -> tuple[str, ...]:
    """Return whom a route may tell, at the beginning or later, each with its kind."""
    escalation = escalations.get(route.escalation or "")
    tiers = escalation.tiers if escalation is not None else ()
    return tuple(dict.fromkeys([*route.receivers(), *(one for tier in tiers for one in tier.receivers())]))


def channels_reached(
    receivers: tuple[str, ...], people: Mapping[str, PersonSettings], schedules: Mapping[str, ScheduleSettings]
) -> tuple[str, ...]:
    """Return the channels by which receivers may be told, whoever is on duty."""
    persons = list(named(receivers, "person"))
    for name in named(receivers, "schedule"):
        schedule = schedules.get(name)
        # A calendar may name anybody.
        persons += [] if schedule is None else people if schedule.ical is not None else schedule.people()
    known = [people[name] for name in persons if name in people]
    of_people = [channel for person in known for some in person.channels.values() for channel in some]
    return tuple(dict.fromkeys([*named(receivers, "channel"), *of_people]))


def route_faults(
    routes: Mapping[str, tuple[str, ...] | RouteSettings],
    known: Known,
    calendars: Mapping[str, CalendarSettings],
    zones: Mapping[str, str],
) -> Iterator[SettingsFault]:
    """Yield what routes name that there is not, and times that never or always hold. Channels are looked at where they are built.

    Args:
        routes: The routes.
        known: The names that there are.
        calendars: The calendars.
        zones: Zones of routes that stand elsewhere.
    """
    for name, written in routes.items():
        route, place = whole(written), ("alerts", *notify_place(name, written))
        if isinstance(written, RouteSettings):  # a list could always repeat a channel
            yield from repeated(place, route.receivers())
        for at, text in enumerate(route.notify):
            kind, _, receiver = receiver_of(text).partition(":")
            if kind != "channel":
                yield from known.unknown((*place, at), kind, receiver)
        if route.escalation is not None:
            yield from known.unknown(("alerts", "routes", name, "escalation"), "escalation", route.escalation)
        yield from repeated(("alerts", "routes", name, "group_by"), route.group_by)
        yield from _hold_faults(("alerts", "routes", name), route, known, calendars)
        yield from _digest_faults(("alerts", "routes", name), route, name in zones)


def _hold_faults(
    place: Place, route: RouteSettings, known: Known, calendars: Mapping[str, CalendarSettings]
) -> Iterator[SettingsFault]:
    for setting, names in (("mute", route.mute), ("quiet", route.quiet)):
        for at, name in enumerate(names):
            yield from known.unknown((*place, setting, at), "calendar", name)
    yield from _silence_faults(place, route, calendars)
    if route.quiet_except and not route.quiet:
        reason = "there are no quiet hours that they would be excepted from"
        yield SettingsFault(
            (*place, "quiet_except"), reason, "name calendars in  quiet:, or remove it", ((*place, "quiet"),)
        )


def held_by(route: RouteSettings, severity: Severity | None) -> list[tuple[str, int, str]]:
    """Return the calendars that hold back incidents of a severity (None: of all), each with its setting and place there."""
    settings = [("mute", route.mute)]
    if severity not in route.quiet_except if severity is not None else not route.quiet_except:
        settings.append(("quiet", route.quiet))
    return [(setting, at, name) for setting, names in settings for at, name in enumerate(names)]


def _silence_faults(
    place: Place, route: RouteSettings, calendars: Mapping[str, CalendarSettings]
) -> Iterator[SettingsFault]:
    """Yield calendars that leave no time to tell anything, each by itself, else all together."""
    held = [one for one in held_by(route, None) if one[2] in calendars]
    alone = [one for one in held if always_on([calendars[one[2]]])]
    for setting, at, name in alone:
        reason = f"calendar {name} is on all the time, so nothing would ever be told here"
        hint = f"remove it, or shorten {name}"
        yield SettingsFault((*place, setting, at), reason, hint, (("alerts", "calendars", name),))
    if held and not alone and always_on(calendars[name] for _, _, name in held):
        (setting, at, _), names = held[-1], list(dict.fromkeys(name for _, _, name in held))
        reason = f"calendars {' and '.join(names)} together are on all the time, so nothing would ever be told here"
        reads = tuple(("alerts", "calendars", name) for name in names)
        yield SettingsFault((*place, setting, at), reason, "remove one of them, or shorten it", reads)


def _digest_faults(place: Place, route: RouteSettings, has_zone: bool) -> Iterator[SettingsFault]:
    if route.digest is None:
        return
    if "page" in route.digest.severities:
        reason = "a page would wait for the next digest, up to a day"
        at = (*place, "digest", "severities", route.digest.severities.index("page"))
        yield SettingsFault(at, reason, "remove page", (place,))
    if route.zone is None and not has_zone:
        reason = f"{route.digest.at} is a local time, and the route has no zone"
        hint = "add e.g.  zone: Asia/Kuala_Lumpur  to the route"
        yield SettingsFault((*place, "digest", "at"), reason, hint, (place, ("alerts", "route_zones")))
    if route.digest.at == "24:00":
        yield SettingsFault((*place, "digest", "at"), "24:00 is the end of a day", 'write "00:00"', (place,))
