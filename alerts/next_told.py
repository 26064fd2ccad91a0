"""Who is told next of an incident while nobody takes it, and when. Pure: from the incident and the configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import Struct

from alerts.dues import asked_step, last_told_ms, told_by, told_now, told_tier
from alerts.incident import Hold, Incident, ToldReceiver
from alerts.notice import Target
from alerts.oncall.policy import RotaFacts
from alerts.routing.openings import steps_of, told_at
from alerts.routing.policy import Match, RoutingPolicy, Subject
from alerts.routing.routes import group_id, routes_of


class NextTelling(Struct, frozen=True):
    """What a route tells next.

    Attributes:
        what: A ``tier`` of escalation, or a ``reminder`` that it is still open.
        at_ms: When (wall time); None: no end of what holds it is known.
        targets: Who is told then, by what is planned now.
        number: Of the tier; 0 of a reminder.
        holds: What keeps it from being told when it is due.
    """

    what: Literal["tier", "reminder"]
    at_ms: int | None
    targets: tuple[Target, ...]
    number: int = 0
    holds: tuple[Hold, ...] = ()


def next_told(policy: RoutingPolicy, facts: RotaFacts, incident: Incident, now_ms: int) -> list[NextTelling]:
    """Return what each route of an incident tells next, unless somebody acknowledges it first; in order of time.

    A route that has not told of its beginning is not among them: ``held`` of the incident says what it waits for.

    Args:
        policy: The configuration.
        facts: What the log says about schedules.
        incident: The incident.
        now_ms: Wall time.

    Returns:
        Nothing where somebody has it, it is over, it comes and goes, or another incident speaks for it.
    """
    if not incident.live or incident.state == "acknowledged" or incident.merged_into or incident.flapping:
        return []
    subject = Subject.of(incident)
    quiet_ms = max(incident.silenced_until_ms or 0, 0 if incident.snooze is None else incident.snooze.until_ms)
    found: list[NextTelling] = []
    for match in routes_of(policy, subject):
        if group_id(match.route, subject) in incident.groups:
            found += _tier(policy, facts, incident, match, max(quiet_ms, now_ms))
            found += _reminder(incident, match, quiet_ms)
    if incident.snooze is not None:
        found.append(NextTelling("reminder", incident.snooze.until_ms, _again(told_now(incident))))
    far = max((one.at_ms or 0 for one in found), default=0)
    return sorted(found, key=lambda one: (far + 1 if one.at_ms is None else max(one.at_ms, now_ms), one.what != "tier"))


def is_tier_left(policy: RoutingPolicy, incident: Incident) -> bool:
    """Tell whether one of the routes of an incident has a tier of escalation that it has not told yet.

    Args:
        policy: The configuration.
        incident: The incident.
    """
    subject = Subject.of(incident)
    for match in routes_of(policy, subject):
        done = told_tier(incident, group_id(match.route, subject))
        steps = steps_of(policy, match.route, policy.rule_tiers.get(incident.rule, ()))
        if any(step.number > max(done, 0) for step in steps):
            return True
    return False


def _tier(
    policy: RoutingPolicy, facts: RotaFacts, incident: Incident, match: Match, least_ms: int
) -> Iterator[NextTelling]:
    subject = Subject.of(incident)
    done = told_tier(incident, group_id(match.route, subject))
    steps = steps_of(policy, match.route, policy.rule_tiers.get(incident.rule, ()))
    step = next((one for one in steps if one.number > done), None)
    asked = asked_step(incident, [one.number for one in steps])
    if step is None or (incident.timer_ms is None and step.number > asked):
        return
    due_ms = 0 if incident.timer_ms is None or step.number <= asked else incident.timer_ms + step.after_ms
    plan = told_at(policy, step, subject, facts, max(due_ms, least_ms))
    yield NextTelling("tier", plan.at_ms, plan.targets, step.number, plan.holds)


def _reminder(incident: Incident, match: Match, quiet_ms: int) -> Iterator[NextTelling]:
    if match.route.renotify_ms is None:
        return
    told = told_by(incident, group_id(match.route, Subject.of(incident)))
    if told:
        due_ms = min(last_told_ms(incident, name) for name in told) + match.route.renotify_ms
        yield NextTelling("reminder", max(due_ms, quiet_ms), _again(told))


def _again(told: Mapping[str, ToldReceiver]) -> tuple[Target, ...]:
    return tuple(Target(one.receiver, one.channels, one.why) for one in told.values())
