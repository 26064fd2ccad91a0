"""Routes, channels and whom they tell, as settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ConfigDict, Field, PrivateAttr

from alerts.routing.policy import DEFAULT_ROUTE, RoutingEntry
from alerts.settings.calendars import Calendars, calendar_faults
from alerts.settings.channels import ChannelSettings, ConsoleSettings
from alerts.settings.escalations import Escalations, escalation_faults
from alerts.settings.maintenance import MaintenanceSettings, maintenance_faults
from alerts.settings.names import Known, named
from alerts.settings.people import People, people_faults
from alerts.settings.route import (
    AnyRoute,
    RouteSettings,
    all_receivers,
    channels_reached,
    notify_place,
    route_faults,
    whole,
)
from alerts.settings.routes import RoutingEntrySettings
from alerts.settings.schedules import Schedules, schedule_faults
from config.base import Section, SettingsFault
from config.nearest import choices


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
    """Channels by name, whom each route tells, and which incidents take which route; ``default`` must exist.

    What no entry of ``routing`` fits takes the route that its rule names.
    ``route_zones`` names the time zone of who reads a route's messages; a channel's own ``zone`` comes first.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: dict[str, ChannelSettings] = Field(default={"console": ConsoleSettings(type="console")})
    routes: dict[str, AnyRoute] = Field(default={DEFAULT_ROUTE: ("console",)})
    route_zones: dict[str, str] = Field(default={})
    routing: tuple[RoutingEntrySettings, ...] = Field(default=())
    people: People = Field(
        default={},
        max_length=1000,
        description="Who can be told as person:NAME, each by which channels, e.g. {mei: {channels: {page: [sms], warn: [ops]}}}.",
    )
    schedules: Schedules = Field(
        default={},
        max_length=200,
        description="Who is on call; a route tells schedule:NAME (docs/routing.md).",
    )
    escalations: Escalations = Field(
        default={},
        max_length=200,
        description="Whom a route tells next while nobody acknowledges; a route names one as its escalation.",
    )
    calendars: Calendars = Field(
        default={},
        max_length=200,
        description="Named times, for quiet hours and mute times of routes and for maintenance.",
    )
    maintenance: tuple[MaintenanceSettings, ...] = Field(
        default=(),
        max_length=500,
        description="When nobody is told of what fits, e.g. {name: kul-move, match: [site=kul], from: …, to: …} or with a calendar.",
    )
    _unusable: dict[str, str] = PrivateAttr(default_factory=dict)

    def entries(self) -> tuple[RoutingEntry, ...]:
        """Return the routing as the pure machines take it."""
        return tuple(entry.policy() for entry in self.routing)

    def whole_routes(self) -> dict[str, RouteSettings]:
        """Return the routes by name, also those that are written as lists."""
        return {name: whole(route) for name, route in self.routes.items()}

    def channels_of_route(self, name: str) -> tuple[str, ...]:
        """Return the channels that a route may use at any time; none of a route that there is not."""
        return channels_reached(self.receivers_of_route(name), self.people, self.schedules)

    def receivers_of_route(self, name: str) -> tuple[str, ...]:
        """Return whom a route may tell, at the beginning or later, each with its kind: ``channel:ops``."""
        return all_receivers(whole(self.routes.get(name, ())), self.escalations)

    def known(self) -> Known:
        """Return the names that there are."""
        return Known(
            {
                "channel": self.channels,
                "person": self.people,
                "schedule": self.schedules,
                "escalation": self.escalations,
                "calendar": self.calendars,
            }
        )

    def oncall_faults(self, kinds: Sequence[str], rules: Sequence[str]) -> list[SettingsFault]:
        """Return what names nobody, or what there is not, among routes, people, schedules, escalations and times.

        Args:
            kinds: Kinds of rules that there are.
            rules: Names of the rules, also of those that are not in force.
        """
        known = self.known()
        return [
            *route_faults(self.routes, known, self.calendars, self.route_zones),
            *people_faults(self.people, known),
            *schedule_faults(self.schedules, known),
            *escalation_faults(self.escalations, known),
            *calendar_faults(self.calendars),
            *maintenance_faults(self.maintenance, known, self.calendars, kinds, rules),
        ]

    def set_aside(self, channel: str, reason: str) -> None:
        """Note that a channel's settings cannot be read. Routes may still name the channel, but it delivers nothing."""
        self._unusable[channel] = reason

    def set_aside_because(self, channel: str) -> str | None:
        """Return why a channel's settings cannot be read, None where they can."""
        return self._unusable.get(channel)

    def unknown_channels(self) -> list[RoutingFault]:
        """Return the contradictions between routes and channels."""
        known = self.known()
        found = [
            RoutingFault((*notify_place(route, written), place), f"there is no channel {name}", self._hint(name, known))
            for route, written in self.routes.items()
            for place, text in enumerate(whole(written).receivers())
            for name in named([text], "channel")
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

    def _hint(self, name: str, known: Known) -> str:
        """Return what was probably meant by a name that is no channel."""
        other = next((kind for kind in ("person", "schedule") if known.has(kind, name)), None)
        if other is not None:
            return f"write {other}:{name}"
        return f"define it in alerts.channels; {choices(name, self.channels)}"

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
