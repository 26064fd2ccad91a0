"""A queue's rows of the read model as the load that "what if" moves people between. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from floorwatch.analysis.forecast.moves import QueueLoad
from streams.core.forecast.demand import OpenDue
from streams.core.forecast.observe import LOOK_AHEAD_MS
from streams.core.forecast.supply import Stretch, Supply
from streams.core.policy import HOUR_MS
from streams.models.timestamps import parse_rfc3339_ms


def load_of(sla_row: Mapping[str, Any], throughput_row: Mapping[str, Any] | None) -> QueueLoad | None:
    """Return a queue's load from its rows of the last hour, for "what if".

    Heads are the labellers who were at work on it in the hour, each giving it an equal part of its pace. One who does
    nothing else completes as many tasks an hour as the queue completed per hour of handling.

    Source: ours; time per task = mean handle time · labels/completed tasks, pace alone = 1 h/time per task.

    Args:
        sla_row: The queue's SLA row with its forecast.
        throughput_row: The queue's throughput row of the same window.

    Returns:
        The load; None where the forecast or the pace is not known.
    """
    forecast = sla_row.get("forecast")
    if not forecast or not forecast.get("tasks_per_hour"):
        return None
    now_ms = parse_rfc3339_ms(sla_row["watermark"])
    rate = float(forecast["tasks_per_hour"])
    supply = _supply(forecast.get("pace_ahead") or [(sla_row["watermark"], rate)], now_ms + LOOK_AHEAD_MS)
    demand = [OpenDue(parse_rfc3339_ms(due), int(tasks)) for due, tasks in forecast["open_by_due"]]
    row = throughput_row or {}
    handled, handle_ms = int(row.get("handled") or 0), int(row.get("handle_ms_sum") or 0)
    labels, completed = int(row.get("labels") or 0), int(sla_row.get("completed") or 0)
    if not handled or not handle_ms or not labels or not completed:
        return None
    handle_per_task_ms = handle_ms / handled * labels / completed
    heads = max(1, int(row.get("active_labelers") or 0))
    full_time = max(rate / heads, HOUR_MS / handle_per_task_ms)
    return QueueLoad(str(sla_row["scope"].get("queue", "")), demand, supply, rate / heads, heads, full_time)


def _supply(pace_ahead: Sequence[tuple[str, float]], until_ms: int) -> Supply:
    """Return a row's pace as capacity; the last one goes on."""
    starts = [parse_rfc3339_ms(start) for start, _ in pace_ahead]
    return Supply(
        Stretch(start_ms, end_ms, float(pace))
        for start_ms, end_ms, (_, pace) in zip(starts, [*starts[1:], until_ms], pace_ahead, strict=False)
    )
