"""Sections owned by other packages, embedded so that one file and one loader hold everything."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from alerts.kinds.registry import ALL_KINDS, AnyRule
from alerts.kinds.stream_health import STREAM_RULES
from alerts.routes import DEFAULT_ROUTE, RoutingSettings, build_channels
from alerts.rules import Escalation, Rule, Tiers
from alerts.rules_file import default_rules
from alerts.settings.channels import AlertmanagerSettings, ChannelSettings, ConsoleSettings
from alerts.settings.flapping import FlappingSettings
from alerts.settings.health import HealthSettings, HeartbeatSettings
from alerts.settings.route import AnyRoute, RouteSettings
from alerts.settings.routes import RoutingEntrySettings, routing_faults
from alerts.settings.times import known_zones
from alerts.signals import Severity
from config.addresses import web_base
from config.base import SettingsFault
from config.durations import Seconds
from config.nearest import choices
from config.people import ExposureSettings
from config.zone_names import hint as zone_hint
from gateway.settings import GatewaySettings
from streams.core.window_names import same_window

__all__ = ["AlertSettings", "GatewaySettings"]

WebBase = Annotated[str, AfterValidator(web_base)]
Rules = tuple[AnyRule, ...]


_ANY_CHANNEL = (("alerts", "channels", ""),)
"""Of a fault that depends on whether the channels can be read at all."""
_ITSELF = (("",),)
"""Of a fault that depends on nothing but the setting it names."""
_WINDOWS, _SCOPES = (("tables", "windows"),), (("tables", "scopes"),)


def _route(name: str) -> tuple[tuple[str, ...], ...]:
    return (("alerts", "routes", name),)


class AlertSettings(RoutingSettings):
    """Alert rules, and where notifications go."""

    rules: Rules | None = Field(
        default=None,
        description="null takes those of alerts/defaults.yaml that watch what the tables keep; a list replaces all.",
    )
    escalate: dict[Severity, Tiers] = Field(
        default={"page": (Escalation(after=1800, route=DEFAULT_ROUTE),)},
        description="By severity, of rules that say nothing themselves: the route told too when nobody acknowledges for so "
        "long. A page is told again once; name a lead's route here.",
    )
    group_wait_s: Seconds = Field(
        default=0,
        le=3600,
        description="How long the first message of a group waits for more, so that they are told together and a wider scope "
        "may speak for a narrower one; rules look once a minute, so 90s covers one that opens a minute later.",
    )
    board_url: WebBase = Field(
        default="", description="Your Grafana, put before the path of the board in messages; none sends no link."
    )
    runbook_url: WebBase = Field(
        default="",
        description="Where docs/runbooks can be read, with or without this path; none takes the pages of web.url, where that is set.",
    )
    channels: dict[str, ChannelSettings] = Field(
        default={"console": ConsoleSettings(type="console")},
        description="By name; console prints, because no other channel works without an address of yours.",
    )
    routes: dict[str, AnyRoute] = Field(
        default={DEFAULT_ROUTE: ("console",)},
        description="Whom each route that a rule may name tells, as a list or with all that says how; default is that of rules "
        "which name none.",
    )
    routing: tuple[RoutingEntrySettings, ...] = Field(
        default=(),
        max_length=1000,
        description="Which incidents take which route, the first match first, e.g. {match: [vendor=bpo-a], route: bpo-a}; what "
        "nothing fits takes its rule's route (docs/routing.md).",
    )
    route_zones: dict[str, str] = Field(
        default={},
        description="Time zone of who reads a route, e.g. {default: Asia/Kuala_Lumpur}; a channel's own zone comes first, and "
        "without either times are UTC.",
    )

    heartbeat: HeartbeatSettings | None = Field(
        default=None,
        description="A sign of life to somebody outside while all of the way from an event to a person works, e.g. "
        "{url_file: heartbeat.url, every: 1m} (docs/alerts.md); none: nobody hears when Floorwatch is dead.",
    )
    health_route: str = Field(
        default=DEFAULT_ROUTE,
        description="Who is told of faults of the stream itself: a channel that fails, numbers that stand still.",
    )
    flapping: FlappingSettings = Field(
        default=FlappingSettings(),
        description="An incident that reopens so often is told once as flapping, then nothing until it is steady.",
    )
    health: HealthSettings = Field(
        default=HealthSettings(), description="From when on something about the stream itself is a fault."
    )

    def rule_names(self) -> list[str]:
        """Return the names of all rules, also of those that are not in force and of those about the stream."""
        written = self.rules if self.rules is not None else default_rules().rules
        return [*(rule.name for rule in written), *sorted(STREAM_RULES)]

    def in_force(self, windows: list[str], scopes: list[tuple[str, ...]], exposure: ExposureSettings) -> Rules:
        """Return the rules written here, else those shipped that watch something the tables keep.

        Args:
            windows: Windows that are kept.
            scopes: Kinds of scopes that are kept, each in the order of the dimensions.
            exposure: What counts as exposure, where a rule does not say it itself.
        """
        rules = tuple(rule.completed(exposure).on_windows(windows) for rule in self.rules or default_rules().rules)
        if self.rules is None:
            rules = tuple(rule for rule in rules if not _unreachable(rule, (), windows, scopes))
        elif not self.rules:
            return ()
        return tuple(self._with_tiers(rule) for rule in rules)

    def _with_tiers(self, rule: Rule) -> Rule:
        if rule.escalate is not None:
            return rule
        return rule.model_copy(update={"escalate": self.escalate.get(rule.severity, ())})

    def faults(
        self, windows: list[str], scopes: list[tuple[str, ...]], exposure: ExposureSettings
    ) -> list[SettingsFault]:
        """Return what keeps a written rule from ever working.

        Args:
            windows: Windows that are kept.
            scopes: Kinds of scopes that are kept, each in the order of the dimensions.
            exposure: What counts as exposure, where a rule does not say it itself.
        """
        found = [
            SettingsFault(("alerts", *fault.field), fault.reason, fault.hint, _ANY_CHANNEL)
            for fault in self.unknown_channels()
        ]
        found += [
            fault
            # What nobody wrote has no place to point to: its route is the default one, whose absence is told above.
            for severity, tiers in (self.escalate.items() if "escalate" in self.model_fields_set else ())
            for fault in self._unknown_routes(("alerts", "escalate", severity), tiers)
        ]
        found += self._zone_faults()
        found += self._heartbeat_faults()
        known = self.rule_names()
        found += self.oncall_faults(list(ALL_KINDS), known)
        found += routing_faults(self.entries(), self.routes, list(ALL_KINDS), known)
        if self.health_route not in (*self.routes, DEFAULT_ROUTE):  # a missing default route is told above
            hint = choices(self.health_route, self.routes)
            reason = f"there is no route {self.health_route}"
            found.append(SettingsFault(("alerts", "health_route"), reason, hint, _route(self.health_route)))
        names: set[str] = set()
        for index, rule in enumerate(self.rules or ()):
            place = ("alerts", "rules", index)
            if rule.name in names:
                hint = "rename one: an incident is told by its rule's name"
                found.append(SettingsFault((*place, "name"), f"two rules are named {rule.name}", hint, _ITSELF))
            names.add(rule.name)
            if rule.name in STREAM_RULES:
                reason = f"{rule.name} is the name of incidents about the stream itself"
                found.append(SettingsFault((*place, "name"), reason, "choose another name", _ITSELF))
            if rule.route not in self.routes:
                reason = f"there is no route {rule.route}"
                found.append(
                    SettingsFault((*place, "route"), reason, choices(rule.route, self.routes), _route(rule.route))
                )
            found += self._unknown_routes((*place, "escalate"), rule.escalate or ())
            found += _unreachable(rule.completed(exposure), place, windows, scopes)
        return found

    def _zone_faults(self) -> list[SettingsFault]:
        """Return the zones of channels and routes that there are not, and routes with a zone that there are not."""
        named: list[tuple[tuple[str, ...], str]]
        named = [(("channels", name, "zone"), channel.zone) for name, channel in self.channels.items() if channel.zone]
        named += [(("route_zones", route), zone) for route, zone in self.route_zones.items()]
        found = [
            SettingsFault(("alerts", *place), f'there is no time zone "{zone}"', zone_hint(zone), _ITSELF)
            for place, zone in named
            if zone not in known_zones()
        ]
        found += [
            SettingsFault(
                ("alerts", "route_zones", name),
                f"route {name} has a zone of its own",
                "remove one of them",
                (("alerts", "routes", name, "zone"),),
            )
            for name, route in self.routes.items()
            if isinstance(route, RouteSettings) and route.zone is not None and name in self.route_zones
        ]
        return found + [
            SettingsFault(
                ("alerts", "route_zones", route),
                f"there is no route {route}",
                choices(route, self.routes),
                _route(route),
            )
            for route in self.route_zones
            if route not in self.routes
        ]

    def _heartbeat_faults(self) -> list[SettingsFault]:
        """Return what keeps the heartbeat from ever being heard."""
        beat, place = self.heartbeat, ("alerts", "heartbeat")
        if beat is None:
            return []
        if beat.url is None and not beat.alertmanager:
            return [
                SettingsFault(place, "names nobody who would hear it", "add url, or alertmanager: [CHANNEL]", _ITSELF)
            ]
        found = []
        if beat.url is not None:
            from alerts.channels.base import ChannelFault  # as of channels: aiohttp is for who calls somebody
            from alerts.channels.http_post import check_url

            try:
                check_url(beat.url.get_secret_value(), "the heartbeat")
            except ChannelFault as fault:
                found.append(SettingsFault((*place, "url"), fault.reason, fault.hint, _ITSELF))
        known = [name for name, one in self.channels.items() if isinstance(one, AlertmanagerSettings)]
        for number, name in enumerate(beat.alertmanager):
            if name not in known:
                reason = (
                    f"{name} is a channel of another type" if name in self.channels else f"there is no channel {name}"
                )
                hint = choices(name, known) if known else "define a channel of type alertmanager in alerts.channels"
                found.append(SettingsFault((*place, "alertmanager", number), reason, hint, _ANY_CHANNEL))
        return found

    def delivery_faults(self) -> list[SettingsFault]:
        """Build every channel and return what keeps alerts from being delivered, as :func:`alerts.routes.build_channels` finds it."""
        built = build_channels(self, lambda: 0)
        return [SettingsFault(("alerts", *fault.field), fault.reason, fault.hint, _ITSELF) for fault in built.faults]

    def _unknown_routes(self, place: tuple[str | int, ...], tiers: tuple[Escalation, ...]) -> list[SettingsFault]:
        return [
            SettingsFault(
                (*place, index, "route"),
                f"there is no route {tier.route}",
                choices(tier.route, self.routes),
                _route(tier.route),
            )
            for index, tier in enumerate(tiers)
            if tier.route not in self.routes
        ]


def _unreachable(
    rule: Rule, place: tuple[str | int, ...], windows: list[str], scopes: list[tuple[str, ...]]
) -> list[SettingsFault]:
    """Return faults of a rule on rows that nobody writes: on a window or scope that no table keeps, or what its kind lacks."""
    found = []
    if same_window(rule.window, windows) is None:
        reason = f"window {rule.window} is not among tables.windows, so the rule would never fire"
        hint = f"{choices(rule.window, windows)}, or add it to tables.windows"
        found.append(SettingsFault((*place, "window"), reason, hint, _WINDOWS))
    reference = getattr(rule, "reference", None)
    if reference is not None and same_window(reference, windows) is None:
        reason = f"reference {reference} is not among tables.windows, so there would be nothing to compare with"
        hint = f"{choices(reference, windows)}, or add it to tables.windows"
        found.append(SettingsFault((*place, "reference"), reason, hint, _WINDOWS))
    if rule.scope.names not in [frozenset(kind) for kind in scopes]:
        shown = ", ".join(sorted(rule.scope.names))
        reason = f"scope [{shown}] is not among tables.scopes, so the rule would never fire"
        found.append(SettingsFault((*place, "scope"), reason, f"add [{shown}] to tables.scopes", _SCOPES))
    found += [
        SettingsFault((*place, *fault.field), fault.reason, fault.hint, (*_WINDOWS, *_SCOPES, ("people",)))
        for fault in rule.unmet(windows, [frozenset(kind) for kind in scopes], written=bool(place))
    ]
    return found
