"""The incident machine: pending → open → acknowledged → escalated(n) → resolved (→ reopened). Pure.

The caller's order makes a crash safe anywhere: step, carry out the effects (enqueueing is idempotent by id), and only
then persist the incident. A replayed input at or below the stored stamp does nothing. An input above it whose effects
were carried out before the crash makes the same notification id again, which the outbox knows.

The caller must keep the last incident of each (rule, scope_key) even when it is resolved, because it holds the episode
number and the reopen window.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from msgspec import Struct, structs

from alerts.incident import (
    ACTIONS_KEPT,
    HIDDEN,
    Ack,
    Effect,
    Incident,
    Notify,
    OperatorAction,
    Publish,
    Silence,
    Stamp,
    Tick,
    incident_key,
)
from alerts.rules import Rule
from alerts.scopes import Scope, is_parent
from alerts.signals import Severity, Signal
from streams.core.policy import DAY_MS
from streams.core.window_names import window_ms

UNHEARD = "nothing more was heard of it: its scope has no data any more, or its rule is gone"


class EscalationTier(Struct, frozen=True):
    """One step of escalation: ``after_ms`` since people were told (wall time) without an ack, tell ``route``."""

    after_ms: int
    route: str


class IncidentPolicy(Struct, frozen=True):
    """How incidents of one rule live.

    ``stale_after_ms`` is how long (event time) an incident may get no signal before it resolves, because its scope has
    no rows any more. ``group_wait_ms`` (wall time) delays the first message of a narrower scope, so that a wider
    incident that opens a moment later can inhibit it. With 0 the message is sent at once.
    """

    severity: Severity = "warn"
    route: str = "default"
    open_after: int = 1
    resolve_after: int = 1
    reopen_within_ms: int = 3 * DAY_MS
    stale_after_ms: int = DAY_MS
    group_wait_ms: int = 0
    tiers: tuple[EscalationTier, ...] = ()
    board_base_url: str = ""
    runbook_base_url: str = ""


def policy_of(rule: Rule, base: IncidentPolicy | None = None) -> IncidentPolicy:
    """The policy of a rule: its own severity, route, counts and tiers over the settings all rules share."""
    shared = base or IncidentPolicy()
    own = rule.escalate
    return structs.replace(
        shared,
        tiers=shared.tiers
        if own is None
        else tuple(EscalationTier(round(tier.after * 1000), tier.route) for tier in own),
        severity=rule.severity,
        route=rule.route,
        open_after=rule.for_evaluations,
        resolve_after=rule.resolve_for,
        stale_after_ms=2 * window_ms(rule.window),
    )


def step(
    incident: Incident | None,
    event: Signal | Ack | Silence | Tick,
    policy: IncidentPolicy,
    *,
    stamp: Stamp | None = None,
    inhibited: bool = False,
) -> tuple[Incident | None, list[Effect]]:
    """One input to one incident.

    Args:
        incident: The last incident of the (rule, scope), or None.
        event: What happened.
        policy: The rule's policy.
        stamp: Place of the event in its log; None where there is no log.
        inhibited: An incident of a wider scope inhibits this one (see :func:`inhibit`).

    Returns:
        (incident after, effects). Without any change the same incident object and no effects.
    """
    if incident is not None and _seen(incident, stamp):
        return incident, []
    match event:
        case Signal():
            after = _on_signal(incident, event, policy)
        case Ack() | Silence() | Tick() if incident is None:
            return None, []
        case Ack():
            after = _on_ack(incident, event)
        case Silence():
            after = _on_silence(incident, event)
        case Tick():
            after = _on_tick(incident, event, policy)
    if after is None:
        return None, []
    wall_ms = None if isinstance(event, Signal) else event.at_ms
    after, effects = _tell(incident, after, policy, inhibited=inhibited, wall_ms=wall_ms)
    if stamp is not None:
        after = structs.replace(after, stamp=stamp)
    told = [*_unsaid_end(incident, after, policy), *(structs.replace(effect, incident=after) for effect in effects)]
    return (incident if after == incident else after), told


def inhibit(incidents: Iterable[Incident]) -> set[str]:
    """Keys of live incidents that a live incident of the same kind on a wider scope inhibits.

    They are still recorded and shown; only their messages are held, and sent when the wider incident ends first. Linear in
    the incidents: wider scopes are the few subsets of a scope.
    """
    live = [incident for incident in incidents if incident.live]
    speaking = {(incident.kind, frozenset(incident.scope.items())) for incident in live}
    return {child.key for child in live if any((child.kind, wider) in speaking for wider in _wider(child.scope))}


def _wider(scope: Scope) -> Iterator[frozenset[tuple[str, str]]]:
    for size in range(len(scope)):
        for part in combinations(scope.items(), size):
            yield frozenset(part)


def inhibited_by(scope: dict[str, str], kind: str, incidents: Iterable[Incident]) -> bool:
    """Whether a live incident of the kind on a wider scope would inhibit ``scope``. Called before the narrower one opens."""
    return any(other.live and other.kind == kind and is_parent(other.scope, scope) for other in incidents)


def _seen(incident: Incident, stamp: Stamp | None) -> bool:
    held = incident.stamp
    return held is not None and stamp is not None and held.partition == stamp.partition and stamp.offset <= held.offset


def _on_signal(incident: Incident | None, signal: Signal, policy: IncidentPolicy) -> Incident | None:
    if incident is None:
        return _fire(_begin(signal, policy, episode=1), signal, policy) if signal.firing else None
    if incident.live:
        current = _told(incident, signal, policy) if signal.firing else _quieter(incident, signal)
        return _resolve(current, signal.watermark_ms) if current.streak >= policy.resolve_after else current
    if not signal.firing:
        return structs.replace(incident, state="quiet" if incident.state == "pending" else incident.state, streak=0)
    if incident.state == "resolved" and incident.resolved_ms is not None:
        if signal.watermark_ms - incident.resolved_ms > policy.reopen_within_ms:
            incident = _begin(signal, policy, episode=incident.episode + 1, stamp=incident.stamp)
    elif incident.state == "quiet":
        incident = _begin(signal, policy, episode=incident.episode, stamp=incident.stamp)
    return _fire(incident, signal, policy)


def _begin(signal: Signal, policy: IncidentPolicy, *, episode: int, stamp: Stamp | None = None) -> Incident:
    return Incident(
        key=incident_key(signal.rule, signal.scope_key, episode),
        rule=signal.rule,
        kind=signal.kind,
        severity=policy.severity,
        scope=signal.scope,
        scope_key=signal.scope_key,
        episode=episode,
        state="pending",
        evidence=signal.evidence,
        value=signal.value,
        target=signal.target,
        window=signal.window,
        since_ms=signal.since_ms,
        updated_ms=signal.watermark_ms,
        stamp=stamp,
    )


def _fire(incident: Incident, signal: Signal, policy: IncidentPolicy) -> Incident:
    """One more firing evaluation of an incident that is not live; opens at ``open_after`` in a row."""
    streak = incident.streak + 1
    reopening = incident.state == "resolved"
    if reopening and streak < policy.open_after:
        return structs.replace(incident, streak=streak)  # stays resolved, with the evidence it was resolved on
    current = structs.replace(_told(incident, signal, policy), streak=streak)
    if streak < policy.open_after:
        return current
    return structs.replace(
        current,
        state="open",
        streak=0,
        opened_ms=signal.watermark_ms if incident.opened_ms is None else incident.opened_ms,
        since_ms=signal.since_ms if reopening else current.since_ms,
        resolved_ms=None,
        reopened=incident.reopened + reopening,
        tier=0,
        # Still True if a silence suppressed the resolve message. For its readers it never ended, so it does not begin
        # again.
        announced=incident.announced,
        timer_ms=None,
        acknowledged_by=None,
    )


def _told(incident: Incident, signal: Signal, policy: IncidentPolicy) -> Incident:
    return structs.replace(
        incident,
        severity=policy.severity,
        evidence=signal.evidence,
        value=signal.value,
        target=signal.target,
        figures=signal.figures,
        contributors=signal.contributors,
        examples=signal.examples,
        # The first start seen is kept, unless a detector dates the change; a corrected audit may move that date.
        since_ms=signal.since_ms if signal.dated else incident.since_ms,
        updated_ms=max(incident.updated_ms, signal.watermark_ms),
        board_url=joined(policy.board_base_url, signal.board_path) if policy.board_base_url else "",
        runbook_url=joined(policy.runbook_base_url, signal.runbook_path),
        streak=0,
    )


def joined(base: str, path: str) -> str:
    """Return a path below a base.

    If the base ends with the beginning of the path, that part is not repeated. Without a base, the path.

    Example:
        >>> joined("https://wiki.example/docs/runbooks/", "docs/runbooks/backlog_age.md")
        'https://wiki.example/docs/runbooks/backlog_age.md'
    """
    if not base or not path:
        return path
    above, below = base.rstrip("/").split("/"), path.lstrip("/").split("/")
    # The scheme and host are the first three parts: they never belong to the path.
    shared = next((n for n in range(min(len(above) - 3, len(below) - 1), 0, -1) if above[-n:] == below[:n]), 0)
    return "/".join((*above, *below[shared:]))


def _quieter(incident: Incident, signal: Signal) -> Incident:
    # Contributors and examples of the last firing stay: they are what the reader will ask about.
    return structs.replace(
        incident,
        evidence=signal.evidence,
        value=signal.value,
        figures=signal.figures,
        updated_ms=max(incident.updated_ms, signal.watermark_ms),
        # Without evidence of recovery it stays open.
        streak=0 if signal.holds else incident.streak + 1,
    )


def _resolve(incident: Incident, at_ms: int) -> Incident:
    return structs.replace(
        incident, state="resolved", resolved_ms=at_ms, streak=0, tier=0, timer_ms=None, updated_ms=at_ms
    )


def _on_ack(incident: Incident, ack: Ack) -> Incident:
    if ack.key != incident.key or not incident.live:
        return incident
    act = OperatorAction("ack", ack.by, ack.at_ms, ack.note)
    return structs.replace(incident, state="acknowledged", acknowledged_by=ack.by, acts=_with_action(incident, act))


def _on_silence(incident: Incident, silence: Silence) -> Incident:
    if silence.key != incident.key:
        return incident
    act = OperatorAction("silence", silence.by, silence.at_ms, silence.note, silence.until_ms)
    return structs.replace(incident, silenced_until_ms=silence.until_ms, acts=_with_action(incident, act))


def _with_action(incident: Incident, act: OperatorAction) -> tuple[OperatorAction, ...]:
    return (*incident.acts, act)[-ACTIONS_KEPT:]


def _on_tick(incident: Incident, tick: Tick, policy: IncidentPolicy) -> Incident:
    if incident.silenced_until_ms is not None and tick.at_ms >= incident.silenced_until_ms:
        incident = structs.replace(incident, silenced_until_ms=None)
    if not incident.live:
        return incident
    if tick.watermark_ms is not None and tick.watermark_ms - incident.updated_ms > policy.stale_after_ms:
        gone = structs.replace(incident, evidence=UNHEARD, value=None)
        return _resolve(gone, tick.watermark_ms)
    if incident.timer_ms is None:
        return structs.replace(incident, timer_ms=tick.at_ms)
    due = sum(tick.at_ms - incident.timer_ms >= tier.after_ms for tier in policy.tiers)
    told = incident.announced and incident.silenced_until_ms is None
    if due > incident.tier and told and incident.state != "acknowledged":
        return structs.replace(incident, state="escalated", tier=due)
    return incident


def _tell(
    before: Incident | None, after: Incident, policy: IncidentPolicy, *, inhibited: bool, wall_ms: int | None
) -> tuple[Incident, list[Effect]]:
    """Decide which messages the step from ``before`` to ``after`` sends."""
    effects: list[Effect] = []
    silenced = after.silenced_until_ms is not None
    # Somebody has acknowledged it already. Those who were not told that it opened are not told that it is over.
    untold = after.live and not after.announced and after.state != "acknowledged"
    if untold and not inhibited and not silenced and _waited(after, policy, wall_ms):
        # Nobody can have acknowledged it before anybody was told, so the tiers count from here.
        after = structs.replace(after, announced=True, timer_ms=wall_ms)
        name = f"reopened-{after.reopened}" if after.reopened else "open"
        effects.append(_notify(after, name, policy.route))
    elif before is not None and after.tier > before.tier:
        for tier in range(before.tier + 1, after.tier + 1):
            route = policy.tiers[tier - 1].route
            after = structs.replace(after, told=tuple(dict.fromkeys((*after.told, route))))
            effects.append(_notify(after, f"escalated-{after.reopened}-{tier}", route))
    elif after.state == "resolved" and after.announced and not silenced:
        effects.append(_over(after, policy))
        after = structs.replace(after, announced=False, told=())
    seen = _visible(after)
    if seen is not None and seen != _visible(before):
        effects.append(Publish(after))
    return after, effects


def _unsaid_end(before: Incident | None, after: Incident, policy: IncidentPolicy) -> list[Effect]:
    """Send the resolve message that a silence still holds back when a new episode begins. The old episode gets no more inputs."""
    if before is None or before.key == after.key or not before.announced:
        return []
    over = structs.replace(before, announced=False, silenced_until_ms=None)
    return [_over(over, policy), Publish(structs.replace(over, told=()))]


def _waited(incident: Incident, policy: IncidentPolicy, wall_ms: int | None) -> bool:
    if not incident.scope or policy.group_wait_ms == 0:
        return True
    return wall_ms is not None and incident.timer_ms is not None and wall_ms - incident.timer_ms >= policy.group_wait_ms


def _over(incident: Incident, policy: IncidentPolicy) -> Notify:
    """Tell the end to everybody who was told of the beginning: the rule's route, and the routes of the tiers that were told."""
    also = tuple(route for route in incident.told if route != policy.route)
    return structs.replace(_notify(incident, f"resolved-{incident.reopened}", policy.route), also=also)


def _notify(incident: Incident, name: str, route: str) -> Notify:
    return Notify(f"{incident.key}:{name}", name, route, incident)


def _visible(incident: Incident | None) -> Incident | None:
    """What people see of the incident; None while they see nothing."""
    if incident is None or incident.state in HIDDEN:
        return None
    return structs.replace(incident, streak=0, timer_ms=None, stamp=None)
