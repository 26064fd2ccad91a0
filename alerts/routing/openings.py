"""Whom an incident that opens at a time is told to, by all of its routes, and what follows while nobody acknowledges. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Protocol

from msgspec import Struct, structs

from alerts.incident import Hold
from alerts.notice import Target
from alerts.oncall.policy import RotaFacts
from alerts.routing.matchers import fits
from alerts.routing.policy import DEFAULT_ROUTE, Match, RoutePolicy, RoutingPolicy, Subject
from alerts.routing.routes import around, holds, routes_of, targets

MOST_HOLDS = 20
"""Holds that follow each other without a break and are looked at."""


class TellingPlan(Struct, frozen=True):
    """What a route tells, and when.

    Attributes:
        holds: What keeps it from being told, one after the other.
        at_ms: When it is told (wall time): when the last hold ends. None: no end of it is known.
        targets: Who is told then.
    """

    holds: tuple[Hold, ...]
    at_ms: int | None
    targets: tuple[Target, ...]


class Opening(Struct, frozen=True):
    """A route that an incident takes, and what it tells of the beginning.

    ``elsewhere`` are its receivers who are told by another route, so not by this one.
    """

    match: Match
    told: TellingPlan
    elsewhere: tuple[str, ...] = ()


class LaterStep(Struct, frozen=True):
    """A step of escalation after the beginning: ``route`` tells its ``tier`` ``after_ms`` after people were told.

    ``number`` counts the steps of an own escalation over its repetitions, and tiers of a rule from 1.
    """

    number: int
    after_ms: int
    route: RoutePolicy
    tier: int


class _RuleTier(Protocol):
    @property
    def after_ms(self) -> int: ...
    @property
    def route(self) -> str: ...


def steps_of(policy: RoutingPolicy, route: RoutePolicy, own: Iterable[_RuleTier]) -> list[LaterStep]:
    """Return the steps of escalation that follow the opening.

    The first step of a route's own escalation is told with the opening, so they begin with the second.

    Args:
        policy: The configuration.
        route: The route.
        own: The tiers that the rule names, for a route without an escalation.
    """
    escalation = policy.escalations.get(route.escalation or "")
    if escalation is None:
        return [LaterStep(number, one.after_ms, _named(policy, one.route), 0) for number, one in enumerate(own, 1)]
    found, after_ms = [], 0
    for number, one in enumerate(escalation.tiers * (1 + escalation.repeat), 1):
        if number > 1:
            found.append(LaterStep(number, after_ms, route, (number - 1) % len(escalation.tiers) + 1))
        after_ms += one.ack_within_ms
    return found


def _named(policy: RoutingPolicy, route: str) -> RoutePolicy:
    return policy.routes.get(route) or policy.routes[DEFAULT_ROUTE]


def opening_targets(
    policy: RoutingPolicy, route: RoutePolicy, subject: Subject, facts: RotaFacts, at_ms: int
) -> tuple[Target, ...]:
    """Return whom a route tells of a beginning: its receivers and those of the first step of its escalation, each once."""
    found = list(targets(policy, route, subject.severity, 0, facts, at_ms))
    if route.escalation is not None:
        found += targets(policy, route, subject.severity, 1, facts, at_ms)
    first: dict[str, Target] = {}
    for one in around(policy, subject, found):
        first.setdefault(one.receiver, one)
    return tuple(first.values())


def openings(policy: RoutingPolicy, subject: Subject, facts: RotaFacts, at_ms: int) -> list[Opening]:
    """Return what the routes of an incident tell that opens at a time, in their order.

    Everybody is told once: by the first route that nothing holds, else by the first one of all.

    Args:
        policy: The configuration.
        subject: The incident.
        facts: What the log says about schedules.
        at_ms: When it opens (wall time).
    """
    found = []
    for match in routes_of(policy, subject):
        held, told_ms = _held(policy, match.route, subject, facts, at_ms)
        when_ms = at_ms if told_ms is None else told_ms
        chosen = opening_targets(policy, match.route, subject, facts, when_ms)
        found.append(Opening(match, TellingPlan(held, told_ms, chosen)))
    by: dict[str, Opening] = {}
    for one in sorted(found, key=lambda one: bool(one.told.holds)):
        for target in one.told.targets:
            by.setdefault(target.receiver, one)
    return [_without(one, {name for name, other in by.items() if other is not one}) for one in found]


def _without(one: Opening, others: Collection[str]) -> Opening:
    chosen = tuple(target for target in one.told.targets if target.receiver not in others)
    elsewhere = tuple(target.receiver for target in one.told.targets if target.receiver in others)
    return Opening(one.match, structs.replace(one.told, targets=chosen), elsewhere)


def told_at(policy: RoutingPolicy, step: LaterStep, subject: Subject, facts: RotaFacts, at_ms: int) -> TellingPlan:
    """Return what a step of escalation tells that is due at a time."""
    held, told_ms = _held(policy, step.route, subject, facts, at_ms)
    when_ms = at_ms if told_ms is None else told_ms
    found = targets(policy, step.route, subject.severity, step.tier, facts, when_ms)
    return TellingPlan(held, told_ms, around(policy, subject, found))


def _held(
    policy: RoutingPolicy, route: RoutePolicy, subject: Subject, facts: RotaFacts, at_ms: int
) -> tuple[tuple[Hold, ...], int | None]:
    """Return what holds a route's messages from a time on without a break, and when the last of it ends."""
    found: list[Hold] = []
    while len(found) < MOST_HOLDS:
        hold = holds(policy, route, subject, facts, at_ms)
        if hold is None:
            return tuple(found), at_ms
        found.append(hold)
        if hold.until_ms is None:
            break
        at_ms = hold.until_ms
    return tuple(found), None


def depends_on_time(policy: RoutingPolicy, subject: Subject) -> bool:
    """Tell whether it depends on the time who is told of an incident, or when."""
    if any(all(fits(matcher, subject) for matcher in one.match) for one in policy.maintenance):
        return True
    for match in routes_of(policy, subject):
        steps = steps_of(policy, match.route, policy.rule_tiers.get(subject.rule, ()))
        for route in (match.route, *(one.route for one in steps)):
            escalation = policy.escalations.get(route.escalation or "")
            tiers = escalation.tiers if escalation is not None else ()
            receivers = (*route.notify, *(name for tier in tiers for name in tier.notify))
            if route.mute or route.quiet or any(name.startswith("schedule:") for name in receivers):
                return True
    return False


def told_channels(some: Iterable[Target]) -> tuple[str, ...]:
    """Return the channels of receivers, each once."""
    return tuple(dict.fromkeys(channel for one in some for channel in one.channels))


def told_people(some: Iterable[Target]) -> tuple[str, ...]:
    """Return the people among receivers."""
    return tuple(one.receiver.removeprefix("person:") for one in some if one.receiver.startswith("person:"))
