"""The routes of an incident, the group it is told with, and whom a route tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

from msgspec import Struct, structs

from alerts.incident import Hold
from alerts.notice import Target
from alerts.oncall.duty import active, on_duty
from alerts.oncall.policy import RotaFacts
from alerts.routing.matchers import MatcherFault, fits, matcher_text, planned_matcher, value_of
from alerts.routing.policy import DEFAULT_ROUTE, Match, Matcher, RoutePolicy, RoutingEntry, RoutingPolicy, Subject
from alerts.signals import Severity

_CHANNEL, _PERSON, _SCHEDULE = "channel:", "person:", "schedule:"
FALLBACK_SEVERITY: Severity = "warn"
"""The severity whose channels a person is told by where that of the incident names none."""


class Asked(Struct, frozen=True):
    """An entry of the routing that was asked about an incident.

    Attributes:
        place: Where it stands: ``routing[1]``, below it ``routing[1].routes[0]``.
        entry: The entry.
        failed: The first matcher that does not fit; None: it fits.
        route: The route that it gives; None where it does not fit, an entry below it fits, or the rule's own route is taken.
        taken: It is the last that fits on its way, so it gives the route.
    """

    place: str
    entry: RoutingEntry
    failed: Matcher | None
    route: str | None = None
    taken: bool = False


def asked(entries: Iterable[RoutingEntry], subject: Subject) -> list[Asked]:
    """Return which entries are asked about an incident, in their order, with what each says.

    As in Alertmanager: the first that fits is taken, later ones are asked only after ``continue``; entries below one that fits are
    asked before it is taken itself.
    """
    found: list[Asked] = []
    _ask(entries, subject, "routing", None, found)
    return found


def _ask(entries: Iterable[RoutingEntry], subject: Subject, place: str, above: str | None, found: list[Asked]) -> bool:
    """Ask entries of one level; return whether any fits."""
    fitted = False
    for number, entry in enumerate(entries):
        here = f"{place}[{number}]"
        failed = next((one for one in entry.match if not fits(one, subject)), None)
        if failed is not None:
            found.append(Asked(here, entry, failed))
            continue
        fitted = True
        route = entry.route if entry.route is not None else above
        at = len(found)
        below = _ask(entry.entries, subject, f"{here}.routes", route, found)
        found.insert(at, Asked(here, entry, None, None if below else route, taken=not below))
        if not entry.go_on:
            break
    return fitted


def entry_words(entry: RoutingEntry) -> str:
    """Return what an entry asks for: ``vendor=bpo-a, severity=page``."""
    return ", ".join(matcher_text(one) for one in entry.match) or "everything"


def routes_of(policy: RoutingPolicy, subject: Subject) -> tuple[Match, ...]:
    """Return the routes that an incident takes, the first match first; the default route where nothing else fits.

    A route that is reached twice is taken once. A route that is configured no more is the default one.
    """
    own = _own(policy, subject)
    taken = [
        own if one.route is None else Match(_named(policy, one.route), f"{one.place}: {entry_words(one.entry)}")
        for one in asked(policy.entries, subject)
        if one.taken
    ]
    first: dict[str, Match] = {}
    for match in taken or [own]:
        first.setdefault(match.route.name, match)
    return tuple(first.values())


def _own(policy: RoutingPolicy, subject: Subject) -> Match:
    named = policy.rule_routes.get(subject.rule)
    if named is not None and named in policy.routes:
        return Match(policy.routes[named], f"rule {subject.rule} names it")
    return Match(policy.routes[DEFAULT_ROUTE], "it is the default")


def _named(policy: RoutingPolicy, route: str) -> RoutePolicy:
    return policy.routes.get(route) or policy.routes[DEFAULT_ROUTE]


def labels_of(route: RoutePolicy, subject: Subject) -> dict[str, str]:
    """Return the values by which a route keeps groups apart; the empty text where a dimension is missing."""
    return {name: value_of(subject, name) for name in route.group_by}


def group_id(route: RoutePolicy, subject: Subject) -> str:
    """Return the id of the group that a route tells an incident with: 32 hex digits (blake2b-128)."""
    # Neither names nor values hold control characters.
    parts = (route.name, *(f"{name}\x1e{value}" for name, value in sorted(labels_of(route, subject).items())))
    return blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def targets(
    policy: RoutingPolicy, route: RoutePolicy, severity: Severity, tier: int, facts: RotaFacts, at_ms: int
) -> tuple[Target, ...]:
    """Return whom a route tells, with the channels of each.

    Args:
        policy: The configuration.
        route: The route.
        severity: Of the incident; people choose channels by it.
        tier: 0: the route's own receivers; then those of the steps of its escalation.
        facts: What the log says about schedules.
        at_ms: Wall time of a record of the log.

    Returns:
        Each receiver once; none where nobody can be told.
    """
    escalation = policy.escalations.get(route.escalation or "")
    tiers = escalation.tiers if escalation is not None else ()
    receivers = route.notify if tier == 0 else tiers[tier - 1].notify if tier <= len(tiers) else ()
    found: dict[str, Target] = {}
    for receiver in receivers:
        for one in _resolved(policy, route, receiver, severity, facts, at_ms):
            if one.channels:
                found.setdefault(one.receiver, one)
    return tuple(found.values())


def around(policy: RoutingPolicy, subject: Subject, found: Iterable[Target]) -> tuple[Target, ...]:
    """Return whom to tell of an incident: of a channel that fails nobody on that channel.

    Where nobody is left, its fallback gets it, else the channels of the default route, else any other channel.

    Args:
        policy: The configuration.
        subject: The incident.
        found: Whom its route tells.
    """
    failing = subject.scope.get("channel") if subject.kind == "receiver_failing" else None
    if failing is None:
        return tuple(found)
    left = [structs.replace(one, channels=tuple(name for name in one.channels if name != failing)) for one in found]
    if reached := tuple(one for one in left if one.channels):
        return reached
    named = (name.removeprefix(_CHANNEL) for name in policy.routes[DEFAULT_ROUTE].notify if name.startswith(_CHANNEL))
    ways = ([policy.fallbacks.get(failing, "")], named, policy.channels[:1], policy.channels[1:2])
    others = (tuple(name for name in _known(policy, way) if name != failing) for way in ways)
    names = next(filter(None, others), ())
    return tuple(Target(f"{_CHANNEL}{name}", (name,), f"channel {failing} fails") for name in names)


def _resolved(
    policy: RoutingPolicy, route: RoutePolicy, receiver: str, severity: Severity, facts: RotaFacts, at_ms: int
) -> Iterator[Target]:
    why = f"route {route.name}"
    if receiver.startswith(_CHANNEL):
        yield Target(receiver, _known(policy, [receiver.removeprefix(_CHANNEL)]), why)
    elif receiver.startswith(_PERSON):
        yield Target(receiver, _of_person(policy, receiver.removeprefix(_PERSON), severity), why)
    elif receiver.startswith(_SCHEDULE):
        name = receiver.removeprefix(_SCHEDULE)
        schedule = policy.schedules.get(name)
        duties = () if schedule is None else on_duty(schedule, facts, at_ms)
        told = [Target(f"{_PERSON}{one.person}", _of_person(policy, one.person, severity), one.why) for one in duties]
        reached = [one for one in told if one.channels]
        yield from reached
        if not reached:
            yield Target(receiver, _of_gap(policy, route), f"nobody on duty in {name}")


def _known(policy: RoutingPolicy, channels: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in channels if name in policy.channels))


def _of_person(policy: RoutingPolicy, name: str, severity: Severity) -> tuple[str, ...]:
    person = policy.people.get(name)
    if person is None:
        return ()
    return _known(policy, person.channels.get(severity) or person.channels.get(FALLBACK_SEVERITY, ()))


def _of_gap(policy: RoutingPolicy, route: RoutePolicy) -> tuple[str, ...]:
    """Return the channels told where a schedule names nobody: the route's own, else those of the default route."""
    for one in (route, policy.routes[DEFAULT_ROUTE]):
        named = [name.removeprefix(_CHANNEL) for name in one.notify if name.startswith(_CHANNEL)]
        if found := _known(policy, named):
            return found
    return ()


def holds(policy: RoutingPolicy, route: RoutePolicy, subject: Subject, facts: RotaFacts, at_ms: int) -> Hold | None:
    """Return what holds an incident's messages on a route at a time: maintenance, mute time or quiet hours; None: nothing.

    Maintenance comes before mute time, and that before quiet hours. Of several of one kind, it is the one that ends last.
    """
    quiet = () if subject.severity in route.quiet_except else route.quiet
    for found in (
        [*_maintenance(policy, subject, facts, at_ms)],
        [*_calendars(policy, "muted", route.mute, facts, at_ms)],
        [*_calendars(policy, "quiet", quiet, facts, at_ms)],
    ):
        if found:
            return max(found, key=lambda hold: (hold.until_ms is None, hold.until_ms or 0, hold.by))
    return None


def _maintenance(policy: RoutingPolicy, subject: Subject, facts: RotaFacts, at_ms: int) -> Iterator[Hold]:
    for one in policy.maintenance:
        if not all(fits(matcher, subject) for matcher in one.match):
            continue
        if one.calendar is not None:
            for hold in _calendars(policy, "muted", (one.calendar,), facts, at_ms):
                yield Hold("maintenance", one.name, hold.until_ms)
        elif (one.from_ms is None or one.from_ms <= at_ms) and (one.to_ms is None or at_ms < one.to_ms):
            yield Hold("maintenance", one.name, one.to_ms)
    for key, planned in facts.maintenance.items():
        if not planned.removed and planned.from_ms <= at_ms < planned.to_ms and _all_fit(planned.match, subject):
            yield Hold("maintenance", key, planned.to_ms)


def _all_fit(texts: Iterable[str], subject: Subject) -> bool:
    """Tell whether matchers of the log fit; what may not be planned fits nothing, so that it hides nothing."""
    try:
        return all(fits(planned_matcher(text), subject) for text in texts)
    except MatcherFault:
        return False


def _calendars(policy: RoutingPolicy, why: str, names: Iterable[str], facts: RotaFacts, at_ms: int) -> Iterator[Hold]:
    for name in names:
        calendar = policy.calendars.get(name)
        span = None if calendar is None else active(calendar, facts, at_ms)
        if span is not None:
            yield Hold("quiet" if why == "quiet" else "muted", name, span.to_ms)
