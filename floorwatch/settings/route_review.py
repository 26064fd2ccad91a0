"""What routes do for the rules in force: which ones a rule's incidents may take, and what nothing ever takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from alerts.kinds.stream_health import STREAM_KINDS
from alerts.routing.matchers import fits_anything, fits_value, parse_matcher
from alerts.routing.policy import DEFAULT_ROUTE, Matcher, RoutingEntry
from alerts.routing.reach import Reached, falls_through, reached
from alerts.routing.routes import entry_words
from alerts.rules import Rule
from alerts.settings.calendars import always_on
from alerts.settings.names import named
from alerts.settings.route import held_by, whole
from floorwatch.settings.alert_settings import AlertSettings
from floorwatch.settings.schema import FloorwatchConfig


def _known(rule: Rule) -> dict[str, str]:
    return {**rule.scope.exact, "rule": rule.name, "kind": rule.kind, "severity": rule.severity}


def _reached(config: FloorwatchConfig, rule: Rule) -> list[Reached]:
    return reached(config.alerts.entries(), _known(rule), rule.scope.by)


def _reached_of_stream(config: FloorwatchConfig) -> list[Reached]:
    """Return the entries of the routing that incidents about the stream itself may take."""
    known = ({"rule": kind.rule, "kind": kind.name, "severity": kind.severity} for kind in STREAM_KINDS)
    return [found for one in known for found in reached(config.alerts.entries(), one, ())]


def routes_of_rule(config: FloorwatchConfig, rule: Rule) -> list[str]:
    """Return the names of the routes that incidents of a rule may take, the first match first."""
    found = [one.route or rule.route for one in _reached(config, rule)]
    if falls_through(config.alerts.entries(), _known(rule), rule.scope.by):
        found.append(rule.route)
    return list(dict.fromkeys(found))


def route_warnings(config: FloorwatchConfig) -> list[str]:
    """Return what of the routes is never used with the rules in force, as sentences."""
    alerts = config.alerts
    of_stream = _reached_of_stream(config)
    taken = {one.place for rule in config.rules for one in _reached(config, rule)} | {one.place for one in of_stream}
    found = [
        f"alerts.{place} ({entry_words(entry)}): no rule in force has an incident that comes here; "
        "is a scope or severity of the rules meant?"
        for place, entry in _leaves(alerts.entries(), "routing")
        if place not in taken
    ]
    used = {route for rule in config.rules for route in routes_of_rule(config, rule)}
    used |= {alerts.health_route, *(one.route for one in of_stream if one.route is not None)}
    used |= {tier.route for rule in config.rules for tier in rule.escalate or ()}
    unused = [name for name in alerts.routes if name not in used and name != DEFAULT_ROUTE]
    found += [
        f"alerts.routes.{name}: nothing takes this route; name it in alerts.routing, in a rule or in escalate, or remove it"
        for name in unused
    ]
    return found + _unused_oncall(alerts) + [said for rule in config.rules if (said := _never_told(config, rule))]


def _never_told(config: FloorwatchConfig, rule: Rule) -> str | None:
    """Return in a sentence that maintenance, mute times and quiet hours leave no time to tell of a rule; None: there is some."""
    alerts, names = config.alerts, []
    known = _known(rule)
    windows = [
        one
        for one in alerts.maintenance
        if one.calendar is not None
        and one.calendar in alerts.calendars
        and all(_surely_fits(parse_matcher(text), known, rule.scope.by) for text in one.match)
    ]
    for route in routes_of_rule(config, rule):
        held = held_by(whole(alerts.routes[route]), rule.severity) if route in alerts.routes else []
        times = [one.calendar for one in windows] + [name for _, _, name in held]
        if not always_on(alerts.calendars[name] for name in times if name in alerts.calendars):
            return None
        names += [f"maintenance {one.name}" for one in windows]
        names += [f"{setting}: [{name}] of route {route}" for setting, _, name in held]
    by = ", ".join(dict.fromkeys(names))
    return f"alerts.rules: nobody is ever told of {rule.name}, because this is on all the time: {by}; shorten one of these times"


def _surely_fits(matcher: Matcher, known: Mapping[str, str], many: Iterable[str]) -> bool:
    """Tell whether a matcher fits all incidents of a rule, whose dimensions ``many`` have any value."""
    if matcher.name in many and matcher.name not in known:
        return fits_anything(matcher, present=True) or (matcher.op == "!=" and not matcher.text)
    return fits_value(matcher, known.get(matcher.name, ""))


def _unused_oncall(alerts: AlertSettings) -> list[str]:
    """Return which escalations, schedules and people are never used, as sentences."""
    routes = alerts.whole_routes()
    taken = {route.escalation for route in routes.values()}
    told = [one for name in routes for one in alerts.receivers_of_route(name)]
    # People of a schedule that nobody is told by are the schedule's matter: it is told below.
    people = {*named(told, "person"), *(name for one in alerts.schedules.values() for name in one.people())}
    anybody = any(one.ical is not None for one in alerts.schedules.values())
    in_tiers = [text for one in alerts.escalations.values() for tier in one.tiers for text in tier.receivers()]
    people.update(named(in_tiers, "person"))
    on = {name for route in routes.values() for name in (*route.mute, *route.quiet)}
    on.update(one.calendar for one in alerts.maintenance if one.calendar is not None)
    return [
        *(
            f"alerts.calendars.{name}: nothing takes this calendar; name it in a route or in maintenance, or remove it"
            for name in alerts.calendars
            if name not in on
        ),
        *(
            f"alerts.escalations.{name}: no route takes this escalation; name it in a route, or remove it"
            for name in alerts.escalations
            if name not in taken
        ),
        *(
            f"alerts.schedules.{name}: nobody is told by this schedule; name schedule:{name} in a route or an escalation, "
            "or remove it"
            for name in alerts.schedules
            if name not in named(told, "schedule")
        ),
        *(
            f"alerts.people.{name}: nothing tells this person; name them in a route, a schedule or an escalation, or remove them"
            for name in alerts.people
            if name not in people and not anybody
        ),
    ]


def rules_fitted(config: FloorwatchConfig, match: Iterable[Matcher]) -> list[str]:
    """Return the names of the rules in force that may have an incident which all of some matchers fit."""
    entry = RoutingEntry(tuple(match))
    return [rule.name for rule in config.rules if reached((entry,), _known(rule), rule.scope.by)]


def _leaves(entries: Iterable[RoutingEntry], place: str) -> Iterator[tuple[str, RoutingEntry]]:
    """Yield the entries without entries below them, with their places."""
    for number, entry in enumerate(entries):
        here = f"{place}[{number}]"
        if entry.entries:
            yield from _leaves(entry.entries, f"{here}.routes")
        else:
            yield here, entry
