"""The routes of an incident, the group it is told with, and whom a route tells."""

from __future__ import annotations

from hashlib import blake2b

from alerts.incident import Hold
from alerts.notice import Target
from alerts.oncall.policy import RotaFacts
from alerts.routing.policy import DEFAULT_ROUTE, Match, RoutePolicy, RoutingPolicy, Subject
from alerts.signals import Severity

_CHANNEL = "channel:"


def routes_of(policy: RoutingPolicy, subject: Subject) -> tuple[Match, ...]:
    """Return the routes that an incident takes, the first match first; the default route where nothing else fits."""
    named = policy.rule_routes.get(subject.rule)
    if named is not None and named in policy.routes:
        return (Match(policy.routes[named], f"rule {subject.rule} names it"),)
    return (Match(policy.routes[DEFAULT_ROUTE], "it is the default"),)


def labels_of(route: RoutePolicy, subject: Subject) -> dict[str, str]:
    """Return the values by which a route keeps groups apart; the empty text where a dimension is missing."""
    own = {"kind": subject.kind, "rule": subject.rule, "severity": subject.severity}
    return {name: own.get(name, subject.scope.get(name, "")) for name in route.group_by}


def group_id(route: RoutePolicy, subject: Subject) -> str:
    """Return the id of the group that a route tells an incident with: 32 hex digits (blake2b-128)."""
    # Neither names nor values hold control characters.
    parts = (route.name, *(f"{name}\x1e{value}" for name, value in sorted(labels_of(route, subject).items())))
    return blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def targets(
    policy: RoutingPolicy,
    route: RoutePolicy,
    severity: Severity,  # noqa: ARG001 - as of facts and at_ms: there are no people and schedules yet
    tier: int,
    facts: RotaFacts,  # noqa: ARG001
    at_ms: int,  # noqa: ARG001
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
    known = [one for one in dict.fromkeys(receivers) if one.removeprefix(_CHANNEL) in policy.channels]
    return tuple(Target(one, (one.removeprefix(_CHANNEL),), f"route {route.name}") for one in known)


def holds(
    policy: RoutingPolicy,  # noqa: ARG001 - as of all: nothing of the configuration holds a message yet
    route: RoutePolicy,  # noqa: ARG001
    subject: Subject,  # noqa: ARG001
    facts: RotaFacts,  # noqa: ARG001
    at_ms: int,  # noqa: ARG001
) -> Hold | None:
    """Return what holds an incident's messages on a route at a time: maintenance, mute time or quiet hours; None: nothing."""
    return None


def explain(policy: RoutingPolicy, subject: Subject, facts: RotaFacts, at_ms: int) -> list[str]:
    """Return in words, a line each: the routes taken and why, what holds, and whom each would tell."""
    lines = []
    for match in routes_of(policy, subject):
        lines.append(f"route {match.route.name}: {match.why}")
        hold = holds(policy, match.route, subject, facts, at_ms)
        lines += [f"  held: {hold.why} {hold.by}".rstrip()] if hold is not None else []
        told = targets(policy, match.route, subject.severity, 0, facts, at_ms)
        lines += [f"  {one.receiver} by {', '.join(one.channels)}: {one.why}" for one in told] or ["  nobody"]
    return lines
