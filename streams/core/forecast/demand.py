"""Demand against supply: will a queue miss due times, when, and by how many tasks. Pure.

The test is the processor-demand criterion of real-time scheduling: work due by d must fit into the capacity until d
(Baruah, Rosier, Howell 1990, "Algorithms and complexity concerning the preemptive scheduling of periodic, real-time
tasks on one processor"; here in tasks instead of seconds). It presumes the best order, by due time: when it fails, no
order of work meets every due time. A team that works in another order can miss due times the test still allows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from msgspec import Struct

from streams.core.forecast.supply import Supply
from streams.core.policy import HOUR_MS, MINUTE_MS

BUCKET_MS = 5 * MINUTE_MS
"""Open tasks are kept by due time in buckets of five minutes; a bucket counts as due at its end."""

_TOLERANCE_TASKS = 1e-9


class OpenDue(NamedTuple):
    """Open tasks due at one time: ``due_ms`` is the end of their bucket."""

    due_ms: int
    tasks: int


class Arrivals(NamedTuple):
    """Tasks expected to come: ``tasks_per_hour`` of them, each due ``lead_ms`` after it is created."""

    lead_ms: int
    tasks_per_hour: float


class BreachPrediction(Struct, frozen=True):
    """What the test says of one queue at one moment.

    Attributes:
        now_ms: The watermark of the test.
        breach_at_ms: The first due time by which more tasks are due than can be completed; None without one.
        shortfall: max over d of N(d) - S(d) in tasks, 0 when everything fits.
        shortfall_at_ms: The d of the greatest shortfall; None when everything fits.
        open_tasks: Open tasks with a due time, overdue ones included.
        overdue: Those of them already past due; they are work like any other.
        spare: min over d of S(d) - N(d) in tasks: how many more tasks would still fit. None without open tasks.
    """

    now_ms: int
    breach_at_ms: int | None
    shortfall: float
    shortfall_at_ms: int | None
    open_tasks: int
    overdue: int
    spare: float | None

    @property
    def breach(self) -> bool:
        """Whether due times will be missed."""
        return self.breach_at_ms is not None


def bucketed(due: Iterable[tuple[int, int]], bucket_ms: int = BUCKET_MS) -> list[OpenDue]:
    """Return open tasks in ascending buckets of due time.

    Args:
        due: (due time in ms, tasks), in any order.
        bucket_ms: Length of a bucket.

    Returns:
        Buckets that hold tasks. A due time on a boundary belongs to the bucket that ends there.

    Example:
        >>> bucketed([(300_000, 2), (299_000, 1), (300_001, 4)])
        [OpenDue(due_ms=300000, tasks=3), OpenDue(due_ms=600000, tasks=4)]
    """
    counts: dict[int, int] = {}
    for due_ms, tasks in due:
        end_ms = -(-due_ms // bucket_ms) * bucket_ms
        counts[end_ms] = counts.get(end_ms, 0) + tasks
    return [OpenDue(end_ms, counts[end_ms]) for end_ms in sorted(counts) if counts[end_ms] > 0]


def predict(
    now_ms: int,
    demand: Sequence[OpenDue],
    supply: Supply,
    *,
    arrivals: Sequence[Arrivals] = (),
    arrivals_until_ms: int = 0,
) -> BreachPrediction:
    """Test whether the work due by every moment fits into the capacity until it.

    N(d) = open tasks due ≤ d; S(d) = capacity in (now, d]; breach_at = min{d: N(d) > S(d)};
    shortfall = max_d N(d) - S(d). Source: docs/forecast.md, In plain words. With ``arrivals``, N(d) also holds
    Σ rate · (d - now - lead): the tasks that will have come and be due by d if they go on coming as they do. The
    figures of docs/forecast.md are measured without them.

    Args:
        now_ms: The watermark.
        demand: Open tasks by due time, ascending; overdue ones too.
        supply: The capacity ahead.
        arrivals: Expected arrivals; none by default.
        arrivals_until_ms: How far ahead expected arrivals are followed, in ms since 1970.

    Returns:
        The prediction. Costs O(demand + arrivals · buckets ahead).

    Raises:
        ValueError: ``demand`` is not ascending.

    Example:
        >>> from streams.core.forecast.supply import steady
        >>> hour = 3_600_000
        >>> predict(0, [OpenDue(hour, 50), OpenDue(2 * hour, 80)], steady(0, 3 * hour, 60.0)).breach_at_ms == 2 * hour
        True
    """
    moments = _moments(now_ms, demand, arrivals, arrivals_until_ms)
    overdue = sum(bucket.tasks for bucket in demand if bucket.due_ms <= now_ms)
    supplied = supply.tasks_until(now_ms, moments)
    breach_at_ms: int | None = None
    shortfall, shortfall_at_ms, spare = 0.0, None, math.inf
    due, place = 0, 0
    for moment_ms, possible in zip(moments, supplied, strict=True):
        while place < len(demand) and demand[place].due_ms <= moment_ms:
            due += demand[place].tasks
            place += 1
        missing = due + _expected(arrivals, moment_ms - now_ms) - possible
        spare = min(spare, -missing)
        if missing <= _TOLERANCE_TASKS:
            continue
        if breach_at_ms is None:
            breach_at_ms = moment_ms
        if missing > shortfall:
            shortfall, shortfall_at_ms = missing, moment_ms
    total = sum(bucket.tasks for bucket in demand)
    return BreachPrediction(
        now_ms=now_ms,
        breach_at_ms=breach_at_ms,
        shortfall=shortfall,
        shortfall_at_ms=shortfall_at_ms,
        open_tasks=total,
        overdue=overdue,
        spare=None if spare is math.inf else spare,
    )


def _moments(now_ms: int, demand: Sequence[OpenDue], arrivals: Sequence[Arrivals], arrivals_until_ms: int) -> list[int]:
    """Return every d to test: due times ahead, and a grid where only arrivals fall due."""
    for one, next_one in pairwise(demand):
        if next_one.due_ms <= one.due_ms:
            raise ValueError(f"demand is not ascending: {next_one.due_ms} follows {one.due_ms}; use bucketed()")
    ahead = {bucket.due_ms for bucket in demand if bucket.due_ms > now_ms}
    if arrivals:
        first_ms = (now_ms // BUCKET_MS + 1) * BUCKET_MS
        ahead.update(range(first_ms, arrivals_until_ms + 1, BUCKET_MS))
    return sorted(ahead)


def _expected(arrivals: Sequence[Arrivals], ahead_ms: int) -> float:
    return math.fsum(a.tasks_per_hour * (ahead_ms - a.lead_ms) / HOUR_MS for a in arrivals if ahead_ms > a.lead_ms)
