"""When a predicted breach becomes an alarm: two tests in a row raise it, six in a row without end it. Pure, O(1)."""

from __future__ import annotations

from msgspec import Struct

from streams.core.forecast.demand import BreachPrediction

FIRE_AFTER = 2
CLEAR_AFTER = 6
"""Consecutive evaluations. Source: docs/forecast.md, How good it is."""


class BreachAlarm(Struct, frozen=True):
    """State of one queue's alarm.

    Attributes:
        firing: Whether the alarm is raised.
        streak: Evaluations in a row that speak against the present state.
        since_ms: First evaluation of the streak that raised it; None while quiet.
        evaluated_ms: The last evaluation taken in; one not after it changes nothing, so a replay is harmless.
    """

    firing: bool = False
    streak: int = 0
    since_ms: int | None = None
    evaluated_ms: int = -1


def advance(
    alarm: BreachAlarm, prediction: BreachPrediction, *, fire_after: int = FIRE_AFTER, clear_after: int = CLEAR_AFTER
) -> BreachAlarm:
    """Take in one evaluation.

    Args:
        alarm: The state before.
        prediction: What the test said.
        fire_after: Breaches in a row that raise the alarm, 1 or more.
        clear_after: Evaluations in a row without a breach that end it, 1 or more.

    Returns:
        The state after; the same object for an evaluation already taken in.

    Example:
        >>> from streams.core.forecast.demand import OpenDue, predict
        >>> from streams.core.forecast.supply import steady
        >>> late = [predict(now, [OpenDue(10, 1)], steady(0, 10, 0.0)) for now in (1, 2)]
        >>> advance(advance(BreachAlarm(), late[0]), late[1]).firing
        True
    """
    if prediction.now_ms <= alarm.evaluated_ms:
        return alarm
    now_ms = prediction.now_ms
    if prediction.breach == alarm.firing:
        since_ms = alarm.since_ms if alarm.firing else None
        return BreachAlarm(alarm.firing, 0, since_ms, now_ms)
    streak = alarm.streak + 1
    since_ms = alarm.since_ms if alarm.firing or alarm.streak else now_ms
    if streak < (clear_after if alarm.firing else fire_after):
        return BreachAlarm(alarm.firing, streak, since_ms, now_ms)
    return BreachAlarm(not alarm.firing, 0, None if alarm.firing else since_ms, now_ms)
