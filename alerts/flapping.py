"""Incidents that resolve and reopen too often: when one begins to flap, and when it is steady again. Pure.

All is counted in event time, so a worker that was away finds the same as one that was not.
"""

from __future__ import annotations

from msgspec import Struct, structs

from alerts.incident import Flapping, Incident
from streams.core.policy import HOUR_MS

FLAPPING = "flapping"
"""Beginning of the step that tells it."""


class FlapPolicy(Struct, frozen=True):
    """An incident flaps from its ``reopened``-th reopening within ``within_ms`` (event time) on; 0: never.

    It is steady when it has stayed open, or over, for ``steady_ms`` (event time).
    """

    reopened: int = 4
    within_ms: int = 6 * HOUR_MS
    steady_ms: int = HOUR_MS


def after_reopening(incident: Incident, at_ms: int, policy: FlapPolicy) -> Incident:
    """Return an incident that has just reopened: its reopening is noted, and it may flap from now on.

    Args:
        incident: It, with ``reopened`` counted up.
        at_ms: Watermark of the signal that reopened it.
        policy: From when on it flaps.
    """
    if policy.reopened == 0:
        return structs.replace(incident, reopened_at_ms=(), flapping=None)
    times = (*incident.reopened_at_ms, at_ms)[-policy.reopened :]
    often = len(times) == policy.reopened and times[-1] - times[0] <= policy.within_ms
    flapping = incident.flapping
    if flapping is None and often:
        flapping = Flapping(incident.reopened, policy.steady_ms)
    return structs.replace(incident, reopened_at_ms=times, flapping=flapping)


def steadied(incident: Incident, watermark_ms: int | None) -> Incident:
    """Return an incident that flaps no more, where nothing has changed for long enough; else the same.

    Args:
        incident: The incident.
        watermark_ms: Event time; None where it is not known.
    """
    if incident.flapping is None or watermark_ms is None:
        return incident
    changed_ms = max((*incident.reopened_at_ms[-1:], incident.resolved_ms or 0))
    if watermark_ms - changed_ms < incident.flapping.steady_ms:
        return incident
    # Escalation counts from when people are told that it is open, not from when they were told that it flaps.
    return structs.replace(incident, flapping=None, timer_ms=None)


def opening_step(incident: Incident) -> str:
    """Return the step that tells of the present firing: ``open``, ``reopened-2``, ``flapping-4``."""
    if incident.flapping is not None:
        return f"{FLAPPING}-{incident.flapping.number}"
    return f"reopened-{incident.reopened}" if incident.reopened else "open"


def is_flapping(step: str) -> bool:
    """Tell whether a step says that an incident flaps."""
    return step.startswith(FLAPPING)


def is_owed(incident: Incident) -> bool:
    """Tell whether people who know of an incident are still to be told that it flaps, or that it is open now and flaps no more."""
    if incident.flapping is not None:
        return all(one.step != opening_step(incident) for one in incident.told_people)
    told = (
        one.step for one in reversed(incident.told_people) if one.step.startswith((FLAPPING, "reopened", "resolved"))
    )
    return is_flapping(next(told, ""))


def know(incident: Incident, told: frozenset[str]) -> set[str]:
    """Return who is not to be told of the present opening, because they were.

    Args:
        incident: The incident.
        told: Receivers that were told of the present firing.
    """
    if incident.flapping is not None:
        return {one.receiver for one in incident.told_people if one.step == opening_step(incident)}
    last = {one.receiver: one.step for one in incident.told_people}
    return {name for name in told if not is_flapping(last[name])}
