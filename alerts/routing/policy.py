"""Routes as the pure machines take them."""

from __future__ import annotations

from typing import Literal, Self

from msgspec import Struct, field

from alerts.incident import Incident
from alerts.oncall.policy import CalendarPolicy, SchedulePolicy
from alerts.signals import Severity

DEFAULT_ROUTE = "default"


class Subject(Struct, frozen=True):
    """What routes look at: an incident, or one that somebody asks about."""

    key: str
    kind: str
    rule: str
    severity: Severity
    scope: dict[str, str]

    @classmethod
    def of(cls, incident: Incident) -> Self:
        """Return the subject of an incident."""
        return cls(incident.key, incident.kind, incident.rule, incident.severity, incident.scope)


class Matcher(Struct, frozen=True):
    """A condition on a dimension, ``severity``, ``kind`` or ``rule``. A missing dimension is the empty text.

    ``text`` is a value, or for ``=~`` and ``!~`` a regular expression that fits all of the value.
    """

    name: str
    op: Literal["=", "!=", "=~", "!~"]
    text: str


class TierPolicy(Struct, frozen=True):
    """A step of escalation: tell ``notify``; the next follows ``ack_within_ms`` (wall time) later, unless somebody acknowledges."""

    notify: tuple[str, ...]
    ack_within_ms: int


class EscalationPolicy(Struct, frozen=True):
    """Steps of escalation in their order, gone through ``1 + repeat`` times."""

    name: str
    tiers: tuple[TierPolicy, ...]
    repeat: int = 0


class PersonPolicy(Struct, frozen=True):
    """A person: the channels for each severity; one that is missing is told as ``warn``."""

    name: str
    zone: str
    channels: dict[str, tuple[str, ...]]


class RoutePolicy(Struct, frozen=True):
    """How a route tells. Times are wall time.

    Attributes:
        name: Its name.
        notify: Receivers: ``channel:ops``, ``person:mei``, ``schedule:kul-lead``.
        escalation: Name of its escalation; None: its rules' tiers.
        group_by: Dimensions, ``kind``, ``rule`` or ``severity`` that keep incidents apart; none: one group.
        group_wait_ms: How long the first message of a group waits for more; 0: until the next tick.
        group_interval_ms: The least time between two messages of a group.
        renotify_ms: After how long what is still open and not acknowledged is told again; None: never.
        mute: Calendars in which nothing is told.
        quiet: Calendars in which only ``quiet_except`` is told.
        quiet_except: Severities that are told in quiet hours too.
        digest_at_min: Minute of the local day at which ``digest_severities`` are told together; None: at once.
        digest_severities: Severities that wait for the digest.
        zone: IANA name of the zone of its readers; None: that of each channel.
    """

    name: str
    notify: tuple[str, ...]
    escalation: str | None = None
    group_by: tuple[str, ...] = ()
    group_wait_ms: int = 0
    group_interval_ms: int = 300_000
    renotify_ms: int | None = None
    mute: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    quiet_except: tuple[Severity, ...] = ()
    digest_at_min: int | None = None
    digest_severities: tuple[Severity, ...] = ()
    zone: str | None = None


class RoutingEntry(Struct, frozen=True):
    """One entry of the routing: what fits all of ``match`` takes its route, unless entries below it fit better.

    Attributes:
        match: All of them must fit; none: everything fits.
        route: Name of the route; None: that of the entry above, at the top the rule's own.
        go_on: The next entries are asked too.
        entries: Asked first; where one of them fits, the entry's own route is not taken.
    """

    match: tuple[Matcher, ...]
    route: str | None = None
    go_on: bool = False
    entries: tuple[RoutingEntry, ...] = ()


class RuleTier(Struct, frozen=True):
    """A step of escalation that a rule names: ``after_ms`` (wall time) after people were told, ``route`` is told too."""

    after_ms: int
    route: str


class MaintenancePolicy(Struct, frozen=True):
    """A maintenance window of the configuration: once from ``from_ms`` to ``to_ms``, or whenever ``calendar`` is on."""

    name: str
    match: tuple[Matcher, ...]
    from_ms: int | None = None
    to_ms: int | None = None
    calendar: str | None = None


class RoutingPolicy(Struct, frozen=True):
    """All that the configuration says about who is told, by name.

    Attributes:
        routes: ``default`` is among them.
        entries: The routing, first match first. Where none fits, the rule's own route, else ``default``.
        rule_routes: The route that each rule names.
        rule_tiers: The steps of escalation of each rule, for routes without an escalation.
        people: Persons.
        schedules: Rotas.
        calendars: Named times.
        escalations: Escalations.
        maintenance: Maintenance windows of the configuration; the log may have more.
        channels: Names of the channels there are.
        fallbacks: By channel, the one that is told what it could not deliver.
        apart: Channels whose receivers keep an alert for each incident: a group tells them of each by a message of its own.
    """

    routes: dict[str, RoutePolicy]
    entries: tuple[RoutingEntry, ...] = ()
    rule_routes: dict[str, str] = field(default_factory=dict)
    rule_tiers: dict[str, tuple[RuleTier, ...]] = field(default_factory=dict)
    people: dict[str, PersonPolicy] = field(default_factory=dict)
    schedules: dict[str, SchedulePolicy] = field(default_factory=dict)
    calendars: dict[str, CalendarPolicy] = field(default_factory=dict)
    escalations: dict[str, EscalationPolicy] = field(default_factory=dict)
    maintenance: tuple[MaintenancePolicy, ...] = ()
    channels: tuple[str, ...] = ()
    fallbacks: dict[str, str] = field(default_factory=dict)
    apart: frozenset[str] = frozenset()


class Match(Struct, frozen=True):
    """A route that an incident takes, and why in words: ``routing[1]: vendor=bpo-a``, ``rule sla-low names it``."""

    route: RoutePolicy
    why: str
