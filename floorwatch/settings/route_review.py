"""What routes do for the rules in force: which ones a rule's incidents may take, and what nothing ever takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from alerts.routing.policy import DEFAULT_ROUTE, RoutingEntry
from alerts.routing.reach import Reached, falls_through, reached
from alerts.routing.routes import entry_words
from alerts.rules import Rule
from floorwatch.settings.schema import FloorwatchConfig


def _known(rule: Rule) -> dict[str, str]:
    return {**rule.scope.exact, "rule": rule.name, "kind": rule.kind, "severity": rule.severity}


def _reached(config: FloorwatchConfig, rule: Rule) -> list[Reached]:
    return reached(config.alerts.entries(), _known(rule), rule.scope.by)


def routes_of_rule(config: FloorwatchConfig, rule: Rule) -> list[str]:
    """Return the names of the routes that incidents of a rule may take, the first match first."""
    found = [one.route or rule.route for one in _reached(config, rule)]
    if falls_through(config.alerts.entries(), _known(rule), rule.scope.by):
        found.append(rule.route)
    return list(dict.fromkeys(found))


def route_warnings(config: FloorwatchConfig) -> list[str]:
    """Return what of the routes is never used with the rules in force, as sentences."""
    alerts = config.alerts
    taken = {one.place for rule in config.rules for one in _reached(config, rule)}
    found = [
        f"alerts.{place} ({entry_words(entry)}): no rule in force has an incident that comes here; "
        "is a scope or severity of the rules meant?"
        for place, entry in _leaves(alerts.entries(), "routing")
        if place not in taken
    ]
    used = {route for rule in config.rules for route in routes_of_rule(config, rule)}
    used |= {tier.route for rule in config.rules for tier in rule.escalate or ()}
    unused = [name for name in alerts.routes if name not in used and name != DEFAULT_ROUTE]
    return found + [
        f"alerts.routes.{name}: nothing takes this route; name it in alerts.routing, in a rule or in escalate, or remove it"
        for name in unused
    ]


def _leaves(entries: Iterable[RoutingEntry], place: str) -> Iterator[tuple[str, RoutingEntry]]:
    """Yield the entries without entries below them, with their places."""
    for number, entry in enumerate(entries):
        here = f"{place}[{number}]"
        if entry.entries:
            yield from _leaves(entry.entries, f"{here}.routes")
        else:
            yield here, entry
