"""Where an incident goes and why, in words: for ``floorwatch rules route``. Pure."""

from __future__ import annotations

from collections.abc import Callable

from alerts.notice import Target
from alerts.oncall.policy import RotaFacts
from alerts.routing.matchers import matcher_text, value_of
from alerts.routing.policy import RoutePolicy, RoutingPolicy, Subject
from alerts.routing.routes import Asked, around, asked, entry_words, holds, routes_of, targets
from streams.core.durations import format_duration
from streams.core.formatting import instant

Words = Callable[[int], str]
"""A time in ms in words."""


def explain(policy: RoutingPolicy, subject: Subject, facts: RotaFacts, at_ms: int, words: Words = instant) -> list[str]:
    """Return in words, a line each: the entries asked, the routes taken and why, what holds, and whom each would tell when.

    Args:
        policy: The configuration.
        subject: The incident.
        facts: What the log says about schedules.
        at_ms: When (wall time).
        words: Says a time.
    """
    lines = [_asked_words(one, subject) for one in asked(policy.entries, subject)]
    if policy.entries and not any(one.taken for one in asked(policy.entries, subject)):
        lines.append("no entry of routing fits, so the rule's own route is taken")
    for match in routes_of(policy, subject):
        lines.append(f"route {match.route.name}: {match.why}")
        hold = holds(policy, match.route, subject, facts, at_ms)
        if hold is not None:
            until = "" if hold.until_ms is None else f" until {words(hold.until_ms)}"
            lines.append(f"  held: {hold.why} {hold.by}".rstrip() + until)
        lines += _told_words(policy, match.route, subject, 0, facts, at_ms) or ["  nobody is told"]
        lines += _tier_lines(policy, match.route, subject, facts, at_ms)
    return lines


def _asked_words(one: Asked, subject: Subject) -> str:
    said = f"{one.place} {entry_words(one.entry)}:"
    if one.failed is not None:
        value = value_of(subject, one.failed.name)
        shown = f"{one.failed.name} is {value}" if value else f"it has no {one.failed.name}"
        also = f" ({matcher_text(one.failed)})" if len(one.entry.match) > 1 else ""
        return f"{said} no, {shown}{also}"
    then = ", goes on" if one.entry.go_on else ""
    if not one.taken:
        return f"{said} yes{then}; the entries below it decide"
    return f"{said} yes{then}: {'the route of its rule' if one.route is None else f'route {one.route}'}"


def _told_words(
    policy: RoutingPolicy,
    route: RoutePolicy,
    subject: Subject,
    tier: int,
    facts: RotaFacts,
    at_ms: int,
    pad: str = "  ",
) -> list[str]:
    found = around(policy, subject, targets(policy, route, subject.severity, tier, facts, at_ms))
    return [f"{pad}{target_words(one)}" for one in found]


def target_words(target: Target) -> str:
    """Return a receiver in words: ``tells channel ops``, ``tells person mei by sms, ops (schedule kul-lead, layer 1)``."""
    kind, _, name = target.receiver.partition(":")
    if kind == "channel":
        return f"tells channel {name}"
    return f"tells {kind} {name} by {', '.join(target.channels)} ({target.why})"


def _tier_lines(policy: RoutingPolicy, route: RoutePolicy, subject: Subject, facts: RotaFacts, at_ms: int) -> list[str]:
    escalation = policy.escalations.get(route.escalation or "")
    lines: list[str] = []
    if escalation is None:
        for tier in policy.rule_tiers.get(subject.rule, ()):
            named = policy.routes.get(tier.route) or policy.routes["default"]
            lines.append(f"  if nobody acknowledges within {format_duration(tier.after_ms / 1000)}: route {named.name}")
            lines += _told_words(policy, named, subject, 0, facts, at_ms, "    ") or ["    nobody is told"]
        return lines
    after_ms = 0
    for number, one in enumerate(escalation.tiers, 1):
        begin = "at once" if number == 1 else f"if nobody acknowledges within {format_duration(after_ms / 1000)}"
        lines.append(f"  {begin}: step {number} of escalation {escalation.name}")
        lines += _told_words(policy, route, subject, number, facts, at_ms, "    ") or ["    nobody is told"]
        after_ms += one.ack_within_ms
    if escalation.repeat:
        lines.append(
            f"  and again from step 1, {escalation.repeat} times, each after {format_duration(after_ms / 1000)}"
        )
    return lines
