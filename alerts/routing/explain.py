"""Where an incident goes and why, in words: for ``floorwatch rules route``. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from alerts.incident import Hold
from alerts.notice import Target
from alerts.oncall.policy import RotaFacts
from alerts.routing.matchers import matcher_text, value_of
from alerts.routing.openings import Opening, TellingPlan, openings, steps_of, told_at
from alerts.routing.policy import RoutePolicy, RoutingPolicy, Subject
from alerts.routing.routes import Asked, asked, entry_words
from streams.core.durations import format_duration
from streams.core.formatting import instant

Words = Callable[[int], str]
"""A time in ms in words."""


def explain(policy: RoutingPolicy, subject: Subject, facts: RotaFacts, at_ms: int, words: Words = instant) -> list[str]:
    """Return in words, a line each: the entries asked, the routes taken and why, what holds, and whom each would tell when.

    Nobody is named twice for the beginning: who is told by another route already is not told by this one.

    Args:
        policy: The configuration.
        subject: The incident.
        facts: What the log says about schedules.
        at_ms: When it opens (wall time).
        words: Says a time.
    """
    lines = [_asked_words(one, subject) for one in asked(policy.entries, subject)]
    if policy.entries and not any(one.taken for one in asked(policy.entries, subject)):
        lines.append("no entry of routing fits, so the rule's own route is taken")
    for one in openings(policy, subject, facts, at_ms):
        lines.append(f"route {one.match.route.name}: {one.match.why}")
        lines += _opening_lines(one, words)
        lines += _step_lines(policy, one, subject, facts, at_ms, words)
        lines += _ways(one.match.route, subject)
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


def target_words(target: Target) -> str:
    """Return a receiver in words: ``tells channel ops``, ``tells person mei by sms, ops (schedule kul-lead, layer 1)``."""
    kind, _, name = target.receiver.partition(":")
    if kind == "channel":
        return f"tells channel {name}"
    return f"tells {kind} {name} by {', '.join(target.channels)} ({target.why})"


def hold_words(hold: Hold, words: Words) -> str:
    """Return what holds a message, in words: ``held: quiet nights until Mon 7 Dec 07:00 UTC+8``."""
    until = "" if hold.until_ms is None else f" until {words(hold.until_ms)}"
    return f"held: {hold.why} {hold.by}".rstrip() + until


def _told_lines(told: TellingPlan, words: Words, pad: str) -> Iterator[str]:
    yield from (f"{pad}{hold_words(one, words)}" for one in told.holds)
    yield from (f"{pad}{target_words(one)}" for one in told.targets)


def _opening_lines(one: Opening, words: Words) -> Iterator[str]:
    yield from _told_lines(one.told, words, "  ")
    if not one.told.targets:
        yield "  nobody else is told" if one.elsewhere else "  nobody is told"


def _step_lines(
    policy: RoutingPolicy, one: Opening, subject: Subject, facts: RotaFacts, at_ms: int, words: Words
) -> Iterator[str]:
    route = one.match.route
    escalation = policy.escalations.get(route.escalation or "")
    steps = steps_of(policy, route, policy.rule_tiers.get(subject.rule, ()))
    begin_ms = at_ms if one.told.at_ms is None else one.told.at_ms
    for step in steps if escalation is None else steps[: len(escalation.tiers) - 1]:
        what = (
            f"route {step.route.name}" if escalation is None else f"step {step.number} of escalation {escalation.name}"
        )
        yield f"  if nobody acknowledges within {_duration(step.after_ms)}: {what}"
        told = told_at(policy, step, subject, facts, begin_ms + step.after_ms)
        lines = list(_told_lines(told, words, "    "))
        yield from lines if told.targets else [*lines, "    nobody is told"]
    if escalation is not None and escalation.repeat:
        again_ms = sum(tier.ack_within_ms for tier in escalation.tiers)
        times = "once" if escalation.repeat == 1 else f"{escalation.repeat} times"
        yield f"  and again from step 1, {times}, each after {_duration(again_ms)}"


def _duration(ms: int) -> str:
    return format_duration(ms / 1000)


def _ways(route: RoutePolicy, subject: Subject) -> Iterator[str]:
    """Yield what else a route says about an incident: when it is told again, and what waits for a digest."""
    if route.renotify_ms is not None:
        yield f"  told again each {_duration(route.renotify_ms)} while it is open and nobody acknowledges"
    if route.digest_at_min is not None and subject.severity in route.digest_severities:
        clock = f"{route.digest_at_min // 60:02}:{route.digest_at_min % 60:02}"
        yield f"  waits for the digest of {clock} ({route.zone})"
