"""The incident machine: pending → open → acknowledged, escalated → resolved (→ reopened). Pure.

It says what happens to one incident. Whom that is told, and when, is decided by ``alerts/telling.py`` at the ticks of the same
log, and noted in the incident. A replayed input at or below the stored stamp does nothing.

The caller must keep the last incident of each (rule, scope_key) even when it is resolved, because it holds the episode
number and the reopen window.
"""

from __future__ import annotations

from msgspec import Struct, structs

from alerts.acts import as_act, at_tick, on_act
from alerts.flapping import FlapPolicy, after_reopening, steadied
from alerts.incident import (
    Ack,
    Act,
    Incident,
    Silence,
    Stamp,
    Tick,
    incident_key,
)
from alerts.rules import Rule
from alerts.signals import Severity, Signal
from streams.core.policy import DAY_MS, HOUR_MS, QUARTER_MS
from streams.core.window_names import window_ms

UNHEARD = "nothing more was heard of it: its scope has no data any more, or its rule is gone"


class EscalationTier(Struct, frozen=True):
    """One step of escalation: ``after_ms`` since people were told (wall time) without an ack, tell ``route``."""

    after_ms: int
    route: str


class IncidentPolicy(Struct, frozen=True):
    """How incidents of one rule live.

    ``stale_after_ms`` is how long (event time) an incident may get no signal before it resolves, because its scope has
    no rows any more. ``tiers`` are those of the rule; a route that has an escalation uses that instead.
    """

    severity: Severity = "warn"
    open_after: int = 1
    resolve_after: int = 1
    reopen_within_ms: int = 3 * DAY_MS
    stale_after_ms: int = DAY_MS
    tiers: tuple[EscalationTier, ...] = ()
    flapping: FlapPolicy = FlapPolicy()
    board_base_url: str = ""
    runbook_base_url: str = ""


def policy_of(rule: Rule, base: IncidentPolicy | None = None) -> IncidentPolicy:
    """The policy of a rule: its own severity, counts and tiers over the settings all rules share."""
    shared = base or IncidentPolicy()
    own = rule.escalate
    return structs.replace(
        shared,
        tiers=shared.tiers
        if own is None
        else tuple(EscalationTier(round(tier.after * 1000), tier.route) for tier in own),
        severity=rule.severity,
        open_after=rule.for_evaluations,
        resolve_after=rule.resolve_for,
        stale_after_ms=2 * window_ms(rule.window),
    )


def step(
    incident: Incident | None,
    event: Signal | Ack | Silence | Act | Tick,
    policy: IncidentPolicy,
    *,
    stamp: Stamp | None = None,
) -> Incident | None:
    """One input to one incident.

    Args:
        incident: The last incident of the (rule, scope), or None.
        event: What happened.
        policy: The rule's policy.
        stamp: Place of the event in its log; None where there is no log.

    Returns:
        The incident after; without any change the same object.

    Raises:
        ValueError: An action that is not whole (``alerts.acts.check``).
    """
    if incident is not None and _seen(incident, stamp):
        return incident
    match event:
        case Signal():
            after = _on_signal(incident, event, policy)
        case Ack() | Silence() | Act() | Tick() if incident is None:
            return None
        case Ack() | Silence():
            after = on_act(incident, as_act(event))
        case Act():
            after = on_act(incident, event)
        case Tick():
            after = _on_tick(incident, event, policy)
    if after is None or after == incident:
        return incident
    return after if stamp is None else structs.replace(after, stamp=stamp)


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
    opened = structs.replace(
        current,
        state="open",
        streak=0,
        opened_ms=signal.watermark_ms if incident.opened_ms is None else incident.opened_ms,
        since_ms=signal.since_ms if reopening else current.since_ms,
        resolved_ms=None,
        reopened=incident.reopened + reopening,
        tier=0,
        # Still announced if its end has not been told. For its readers it never ended, so it does not begin again.
        groups=incident.groups if incident.announced else (),
        held=incident.held if incident.announced else (),
        timer_ms=None,
        acknowledged_by=None,
    )
    if not reopening:
        return opened
    flapping = steadied(incident, signal.watermark_ms).flapping
    return after_reopening(structs.replace(opened, flapping=flapping), signal.watermark_ms, policy.flapping)


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
        since_ms=_since_ms(incident, signal) if signal.dated else incident.since_ms,
        updated_ms=max(incident.updated_ms, signal.watermark_ms),
        board_url=joined(policy.board_base_url, signal.board_path) if policy.board_base_url else "",
        runbook_url=joined(policy.runbook_base_url, signal.runbook_path),
        streak=0,
    )


def _since_ms(incident: Incident, signal: Signal) -> int:
    """Return when a dated change began: what the signal says, unless it only no longer knows the minute.

    Minute panes are forgotten after hours and quarters after days; the date then goes back to the begin of its quarter or hour.
    """
    lost_ms = incident.since_ms - signal.since_ms
    return incident.since_ms if 0 < lost_ms < HOUR_MS and signal.since_ms % QUARTER_MS == 0 else signal.since_ms


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
        incident,
        state="resolved",
        resolved_ms=at_ms,
        streak=0,
        tier=0,
        timer_ms=None,
        updated_ms=at_ms,
        held=(),
        snooze=None,
        woken_ms=None,
        asked_tier=0,
    )


def _on_tick(incident: Incident, tick: Tick, policy: IncidentPolicy) -> Incident:
    incident = steadied(at_tick(incident, tick.at_ms), tick.watermark_ms)
    if not incident.live:
        return incident
    if incident.announced and incident.timer_ms is None and incident.flapping is None:
        # It reopened before its end was told, so nobody is told of that. Escalation counts from here.
        incident = structs.replace(incident, timer_ms=tick.at_ms)
    if tick.watermark_ms is not None and tick.watermark_ms - incident.updated_ms > policy.stale_after_ms:
        gone = structs.replace(incident, evidence=UNHEARD, value=None)
        return _resolve(gone, tick.watermark_ms)
    return incident
