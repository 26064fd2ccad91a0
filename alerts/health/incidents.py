"""Incidents about the stream itself: how they live, and the signals that open, keep and end them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import structs

from alerts.evaluate import runbook_path
from alerts.health.facts import HealthFacts, HealthLimits, StreamFault
from alerts.health.faults import STALLED
from alerts.incident import Incident
from alerts.kinds.stream_health import STREAM_KIND_OF, STREAM_KINDS
from alerts.lifecycle import EscalationTier, IncidentPolicy
from alerts.signals import Severity, Signal
from streams.core.policy import MINUTE_MS
from streams.core.scopes import scope_key

WINDOW = "1h"
"""What their signals say as window; no table is read."""
RESOLVE_AFTER = 2
"""Looks in a row without the fault that end an incident."""

Place = tuple[str, str]
"""Rule and scope key."""


def stream_policies(
    base: IncidentPolicy, tiers: Mapping[Severity, tuple[EscalationTier, ...]]
) -> dict[str, IncidentPolicy]:
    """Return by rule how incidents about the stream live.

    Args:
        base: What all incidents share.
        tiers: Steps of escalation by severity.
    """
    return {
        kind.rule: structs.replace(
            base,
            severity=kind.severity,
            open_after=1,
            resolve_after=RESOLVE_AFTER,
            tiers=tiers.get(kind.severity, ()),
        )
        for kind in STREAM_KINDS
    }


def place_of(fault: StreamFault) -> Place:
    """Return the rule and scope key of a fault."""
    return STREAM_KIND_OF[fault.kind].rule, scope_key(tuple(fault.scope), tuple(fault.scope.values()))


def stream_signals(faults: Iterable[StreamFault], live: Iterable[Incident], now_ms: int) -> dict[Place, Signal]:
    """Return what a look says: a signal that fires for each fault, and one that does not for each live incident without one.

    Args:
        faults: What is broken now, as far as it can be known.
        live: Incidents that are not over; those of other kinds are passed over.
        now_ms: Wall time, which stands for the watermark: that of the stream may stand still.
    """
    found = {place_of(fault): _firing(fault, now_ms) for fault in faults}
    for one in live:
        if one.kind in STREAM_KIND_OF:
            found.setdefault((one.rule, one.scope_key), _quiet(one, now_ms))
    return found


def worth_telling(
    faults: Iterable[StreamFault], live: Iterable[Incident], facts: HealthFacts, limits: HealthLimits
) -> list[StreamFault]:
    """Return the faults of which an incident is made: of numbers that stand still only once this owner has given rules time to look.

    After a planned outage they have not looked for long, and look a minute later. What is told already goes on. The sign of life has no
    such grace: it says that rules have looked.

    Args:
        faults: What is broken.
        live: Incidents that are not over.
        facts: What was looked at.
        limits: From when on something is a fault.
    """
    told = {(one.rule, one.scope_key) for one in live}
    settled = facts.now_ms - facts.watched_ms >= limits.stalled_ms
    return [fault for fault in faults if fault.kind != STALLED or settled or place_of(fault) in told]


def worth_saying(
    signals: Mapping[Place, Signal], said_ms: Mapping[Place, int], live: Iterable[Incident]
) -> list[Signal]:
    """Return the signals to write: all that change something, and once a minute those of faults that go on.

    Args:
        signals: What a look says.
        said_ms: When each was last written, wall time.
        live: Incidents that are not over.
    """
    known = {(one.rule, one.scope_key) for one in live}
    return [
        signal
        for place, signal in signals.items()
        if not signal.firing or place not in known or signal.watermark_ms - said_ms.get(place, -MINUTE_MS) >= MINUTE_MS
    ]


def _firing(fault: StreamFault, now_ms: int) -> Signal:
    rule, key = place_of(fault)
    return Signal(
        rule=rule,
        kind=fault.kind,
        scope=fault.scope,
        scope_key=key,
        firing=True,
        value=fault.lasting_ms / 1000,
        target=fault.limit_ms / 1000,
        evidence=fault.evidence,
        since_ms=fault.since_ms,
        watermark_ms=now_ms,
        window=WINDOW,
        runbook_path=runbook_path(fault.kind),
        figures=fault.figures,
    )


def _quiet(incident: Incident, now_ms: int) -> Signal:
    return Signal(
        rule=incident.rule,
        kind=incident.kind,
        scope=incident.scope,
        scope_key=incident.scope_key,
        firing=False,
        value=None,
        target=incident.target,
        evidence="The fault is over, or what it was about is configured no more.",
        since_ms=now_ms,
        watermark_ms=now_ms,
        window=WINDOW,
        runbook_path=runbook_path(incident.kind),
    )
