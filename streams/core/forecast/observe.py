"""What a queue's rows say of its open work and its pace: the forecast's input, derived from panes the floor already keeps.

Panes are kept by due time, also ahead of the watermark: open tasks due in a pane are DUE - MET - LATE - OVERDUE. Nothing
is counted for the forecast alone; its sums follow every change of the panes, so they are what a fresh sum would give.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from streams.core import counters as c
from streams.core.counters import Counters, histogram
from streams.core.forecast.breach_times import BreachTimes, breach_times
from streams.core.forecast.demand import BUCKET_MS, BreachPrediction, OpenDue, bucketed, predict
from streams.core.forecast.first_late import HandleTimes, in_progress
from streams.core.forecast.planned import NOTHING_DONE, HourWork, MinuteWork, planned, work_between
from streams.core.forecast.supply import RecentWork, Supply, efficiency, recent_tasks_per_hour, steady
from streams.core.policy import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER_MS
from streams.core.time_text import rfc3339
from streams.core.window_names import same_window

FORECAST_WINDOW = "1h"
"""Rows of a queue's own scope carry the forecast in this window: pace is measured over an hour."""


@lru_cache(maxsize=64)
def has_forecast(window: str) -> bool:
    """Return whether the rows of a window carry the forecast: whether it is as long as ``FORECAST_WINDOW``; 60m is, too."""
    return same_window(FORECAST_WINDOW, (window,)) is not None


PAST_MS = HOUR_MS
"""Pace is measured over the last 60 minutes (docs/forecast.md, Pace)."""

FINE_AHEAD_MS = 3 * HOUR_MS
QUARTER_AHEAD_MS = DAY_MS
"""Due times are told by minute panes up to 3 h ahead, by quarter hours up to a day, by hours beyond."""

WAITING_MS = 2 * MINUTE_MS
"""Tasks completed in a step that had waited less than this on average say that people were waiting, not work."""

_WAITING_TIMES = 2
"""With fewer open tasks than this times those in progress nothing waits, and no due time ahead is looked at one by one."""

LOOK_AHEAD_MS = 14 * DAY_MS

_PANE_MS = (MINUTE_MS, QUARTER_MS, HOUR_MS)
_QUARTER, _HOUR = 1, 2
_DONE = (c.COMPLETED, c.TURNED, c.TURN_MS, c.HANDLE_MS, c.HANDLED, c.LABELS)
_WORK = (c.COMPLETED, c.LABELS, c.HANDLED, c.HANDLE_MS)


class QueueTally:
    """Running sums of one queue's panes: open tasks by due time, late ones, completions by minute.

    Attributes:
        open_due: By tier (minute, quarter hour, hour), open tasks not known to be late by the start of their due pane.
        overdue: Tasks open past their due time, by due hour.
        done: What was completed, by minute.
        hours: Work by hour, to know what one person completes.
        scheduled: Person-time in ms of the shifts that name the queue, by quarter hour.
        open_created: Open tasks by the pane of their creation, by tier.
        met: Tasks completed in time, by due minute.
    """

    __slots__ = ("done", "hours", "met", "open_created", "open_due", "overdue", "scheduled")

    def __init__(self) -> None:
        """Start empty."""
        self.open_due: tuple[dict[int, int], ...] = ({}, {}, {})
        self.overdue: dict[int, int] = {}
        self.done: dict[int, MinuteWork] = {}
        self.hours: dict[int, HourWork] = {}
        self.scheduled: dict[int, int] = {}
        self.open_created: tuple[dict[int, int], ...] = ({}, {}, {})
        self.met: dict[int, int] = {}

    @property
    def live(self) -> bool:
        """Whether the forecast moves with time alone: there is open work, or something was completed of late."""
        return bool(self.done or self.overdue or any(self.open_due))

    def note(self, tier: int, pane_ms: int, now: Counters, was: Counters) -> bool:
        """Follow one change of a pane of one source partition; return whether it concerns the forecast.

        Args:
            tier: Tier of the pane.
            pane_ms: Its start.
            now: Its counters now; empty once it is gone.
            was: Its counters before.
        """
        if tier > _HOUR:
            return False
        waiting = _still_open(now) - _still_open(was)
        _add(self.open_due[tier], pane_ms, waiting)
        _add(self.open_created[tier], pane_ms, now.get(c.OPEN, 0) - was.get(c.OPEN, 0))
        if tier == 0:
            _add(self.met, pane_ms, now.get(c.MET, 0) - was.get(c.MET, 0))
            return self._note_done(pane_ms, now, was) or waiting != 0
        if tier == _QUARTER:
            planned_ms = now.get(c.SCHEDULED_MS, 0) - was.get(c.SCHEDULED_MS, 0)
            _add(self.scheduled, pane_ms, planned_ms)
            return planned_ms != 0 or waiting != 0
        late = now.get(c.OVERDUE, 0) - was.get(c.OVERDUE, 0)
        _add(self.overdue, pane_ms, late)
        return self._note_hour(pane_ms, now, was) or late != 0 or waiting != 0

    def _note_done(self, pane_ms: int, now: Counters, was: Counters) -> bool:
        change = [now.get(counter, 0) - was.get(counter, 0) for counter in _DONE]
        if not any(change):
            return False
        known = self.done.get(pane_ms, NOTHING_DONE)
        total = MinuteWork(*(one + other for one, other in zip(known, change, strict=True)))
        if any(total):
            self.done[pane_ms] = total
        else:
            self.done.pop(pane_ms, None)
        return True

    def _note_hour(self, pane_ms: int, now: Counters, was: Counters) -> bool:
        change = [now.get(counter, 0) - was.get(counter, 0) for counter in _WORK]
        if not any(change):
            return False
        known = self.hours.get(pane_ms, (0, 0, 0, 0))
        total = HourWork(*(one + other for one, other in zip(known, change, strict=True)))
        if any(total):
            self.hours[pane_ms] = total
        else:
            self.hours.pop(pane_ms, None)
        return bool(self.scheduled)  # without a roster the recent rate is all the pace there is


def _still_open(counters: Counters) -> int:
    get = counters.get
    return get(c.DUE, 0) - get(c.MET, 0) - get(c.LATE, 0) - get(c.OVERDUE, 0)


def _add(counts: dict[int, int], key: int, amount: int) -> None:
    total = counts.get(key, 0) + amount
    if total:
        counts[key] = total
    else:
        counts.pop(key, None)


class Outlook(Struct, frozen=True):
    """A queue's open work, its pace and what follows from them.

    Attributes:
        demand: Open tasks by due time, ascending; overdue ones stand at or before the watermark.
        past: The last hour in steps of five minutes.
        basis: "roster" where a roster said who will work, else "recent rate"; "unknown" without any completion to go by.
        tasks_per_hour: The pace now; None where unknown.
        prediction: The test's result; None where the pace is unknown.
        supply: The capacity the test went by; None where the pace is unknown.
        by_due_ms: The first due time that will be missed where the earliest due is taken first; None where none is.
        by_arrival_ms: The same where tasks are taken as they came.
        low_ms: Early end of the range of ``by_due_ms``, told where few tasks are done in an hour; None elsewhere.
        high_ms: Its late end; None where it lies after the due times that are known.
    """

    demand: tuple[OpenDue, ...]
    past: tuple[RecentWork, ...]
    basis: str
    tasks_per_hour: float | None
    prediction: BreachPrediction | None
    supply: Supply | None
    by_due_ms: int | None = None
    by_arrival_ms: int | None = None
    low_ms: int | None = None
    high_ms: int | None = None


def open_by_due(tally: QueueTally, watermark_ms: int) -> list[OpenDue]:
    """Return the open tasks of a queue by due time.

    Args:
        tally: The queue's sums.
        watermark_ms: The watermark; everything open past its due time stands in one bucket that ends there.

    Returns:
        Ascending buckets of 5 minutes, of 15 beyond 3 hours ahead and of 60 beyond a day, each at its end. Costs one
        look at every pane with open tasks.
    """
    fine_until_ms = _up(watermark_ms + FINE_AHEAD_MS, QUARTER_MS)
    quarters_until_ms = _up(watermark_ms + QUARTER_AHEAD_MS, HOUR_MS)
    ranges = (
        (watermark_ms // MINUTE_MS * MINUTE_MS, fine_until_ms),
        (fine_until_ms, quarters_until_ms),
        (quarters_until_ms, watermark_ms + LOOK_AHEAD_MS),
    )
    due = [
        (_due_ms(tier, pane_ms, watermark_ms), tasks)
        for tier, (from_ms, until_ms) in enumerate(ranges)
        for pane_ms, tasks in tally.open_due[tier].items()
        if from_ms <= pane_ms < until_ms
    ]
    overdue = sum(tally.overdue.values()) + _not_yet_judged(tally, watermark_ms)
    late = [OpenDue(watermark_ms, overdue)] if overdue > 0 else []
    return late + [bucket for bucket in bucketed(due) if bucket.due_ms > watermark_ms]


def _not_yet_judged(tally: QueueTally, watermark_ms: int) -> int:
    """Count open tasks due before the watermark's minute whose own partition, idle, is not so far yet: they are overdue too."""
    hour_ms = watermark_ms // HOUR_MS * HOUR_MS
    earlier = sum(tasks for pane_ms, tasks in tally.open_due[_HOUR].items() if pane_ms < hour_ms)
    until_ms = watermark_ms // MINUTE_MS * MINUTE_MS
    return earlier + sum(tasks for pane_ms, tasks in tally.open_due[0].items() if hour_ms <= pane_ms < until_ms)


def _due_ms(tier: int, pane_ms: int, watermark_ms: int) -> int:
    """Return when the tasks of a pane count as due.

    A minute's at its start, for due times are round and a full hour must not count as five past; those of longer panes,
    far ahead, at the end, or a whole hour's work would seem to be due an hour early.
    """
    return max(pane_ms, watermark_ms + 1) if tier == 0 else pane_ms + _PANE_MS[tier]


def _up(time_ms: int, pane_ms: int) -> int:
    return -(-time_ms // pane_ms) * pane_ms


def worked(
    tally: QueueTally, watermark_ms: int, oldest_open_ms: int | None, rostered: Supply | None = None
) -> list[RecentWork]:
    """Return what a queue completed in the last hour, in steps of five minutes up to the last full minute.

    A step counts as backlogged when its completed tasks had waited, mean turn-around less mean handle time, for two
    minutes or more; or when none was completed while an older task was open.

    Source: ours; docs/forecast.md, Pace: only steps in which work was waiting.

    Args:
        tally: The queue's sums.
        watermark_ms: The watermark.
        oldest_open_ms: When its oldest open task was created; None without one.
        rostered: Planned capacity of the past hour, where there is a roster.
    """
    end_ms = watermark_ms // MINUTE_MS * MINUTE_MS
    found: list[RecentWork] = []
    for start_ms in range(end_ms - PAST_MS, end_ms, BUCKET_MS):
        work = work_between(tally.done, start_ms, start_ms + BUCKET_MS)
        if work.completed:
            backlogged = (work.waited_ms or 0.0) >= WAITING_MS
        else:
            backlogged = oldest_open_ms is not None and oldest_open_ms < start_ms
        planned = rostered.tasks_until(start_ms, [start_ms + BUCKET_MS])[0] if rostered is not None else 0.0
        found.append(RecentWork(start_ms, BUCKET_MS, work.completed, planned, backlogged))
    return found


def outlook(
    tally: QueueTally, watermark_ms: int, oldest_open_ms: int | None, handled: Counters | None = None
) -> Outlook:
    """Return a queue's open work and the prediction that follows, as of the beginning of the watermark's minute.

    So a row says the same for a whole minute unless its counts change, and is shown anew whenever its window moves.
    Where shifts name the queue the roster goes on, times the efficiency of the last hour; else the recent rate does, also
    while tasks are completed though nobody was scheduled.

    Args:
        tally: The queue's sums.
        watermark_ms: The watermark.
        oldest_open_ms: When its oldest open task was created; None without one.
        handled: Counters of the last hour, with the handle times of its labels.
    """
    watermark_ms = watermark_ms // MINUTE_MS * MINUTE_MS
    demand = open_by_due(tally, watermark_ms)
    until_ms = max(watermark_ms + HOUR_MS, demand[-1].due_ms if demand else 0)
    rostered = planned(tally.scheduled, tally.hours, watermark_ms, until_ms)
    past = worked(tally, watermark_ms, oldest_open_ms, rostered)
    found = judged(watermark_ms, demand, past, rostered)
    if found.prediction is None or found.supply is None:
        return found
    times = _times(tally, watermark_ms, found.prediction, found.supply, past, handled or {})
    return replace(
        found,
        by_due_ms=times.by_due_ms,
        by_arrival_ms=times.by_arrival_ms,
        low_ms=times.low_ms,
        high_ms=times.high_ms,
    )


def judged(watermark_ms: int, demand: list[OpenDue], past: list[RecentWork], rostered: Supply | None) -> Outlook:
    """Return which pace holds for a queue and whether its open work fits at it, without the times of the first miss.

    Source: docs/forecast.md, Pace.

    Args:
        watermark_ms: The watermark, at the beginning of a minute.
        demand: Open tasks by due time, ascending; overdue ones too.
        past: What happened in the last hour.
        rostered: Planned capacity from an hour ago on; None without a roster.
    """
    busy = any(step.completed for step in past)
    if rostered is not None and (any(step.rostered for step in past) if busy else demand):
        supply, basis = rostered.scaled(efficiency(past)), "roster"
        rate: float | None = supply.tasks_until(watermark_ms, [watermark_ms + HOUR_MS])[0]
    else:
        rate = recent_tasks_per_hour(past)
        if not rate and not busy and not any(step.backlogged for step in past):
            return Outlook(tuple(demand), tuple(past), "unknown", None, None, None)
        supply, basis = steady(watermark_ms, watermark_ms + LOOK_AHEAD_MS, rate or 0.0), "recent rate"
    return Outlook(tuple(demand), tuple(past), basis, rate, predict(watermark_ms, demand, supply), supply)


def _times(
    tally: QueueTally,
    watermark_ms: int,
    prediction: BreachPrediction,
    supply: Supply,
    past: list[RecentWork],
    handled: Counters,
) -> BreachTimes:
    """Return when the first due time is missed, where work does not fit."""
    handle = HandleTimes((c.bucket_value_ms(at), n) for at, n in histogram(handled, c.HANDLE_HISTOGRAM))
    waiting_from = _WAITING_TIMES * in_progress(supply, watermark_ms, handle.mean_ms)
    if not prediction.breach and prediction.open_tasks <= waiting_from:
        return BreachTimes(None, None)
    return breach_times(tally, prediction.overdue, supply, past, handle, watermark_ms)


def outlook_row(found: Outlook) -> dict[str, Any]:
    """Return the ``forecast`` object of an SLA row.

    Args:
        found: A queue's outlook.

    Returns:
        ``open_by_due`` [[due time, tasks], ...] ascending, each due time the end of its bucket; ``tasks_per_hour`` and
        ``basis``; ``pace_ahead`` [[from when on, tasks per hour], ...], empty where nothing is known of the pace;
        ``breach_at`` null where every due time can be met or nothing is known, ``breach_at_by_arrival`` the same where tasks are
        taken as they came; ``breach_at_low`` and ``breach_at_high`` the range of ``breach_at`` where few tasks are done in an
        hour, null elsewhere, and the latter also where it lies after the due times that are known; ``shortfall``
        and ``spare`` in tasks to one
        decimal; ``overdue`` tasks.
    """
    prediction = found.prediction
    # Where the test fails no order of work meets every due time; its own time is told where the finer look does not see it.
    by_test_ms = None if prediction is None else prediction.breach_at_ms
    by_due_ms = found.by_due_ms or by_test_ms
    low_ms = None if by_due_ms is None or found.low_ms is None else min(found.low_ms, by_due_ms)
    rate = found.tasks_per_hour
    return {
        "open_by_due": [[rfc3339(bucket.due_ms), bucket.tasks] for bucket in found.demand],
        "basis": found.basis,
        "tasks_per_hour": None if rate is None else round(rate, 1),
        "pace_ahead": []
        if found.supply is None or prediction is None
        else _pace_ahead(found.supply, prediction.now_ms),
        "breach_at": _instant(by_due_ms),
        "breach_at_low": _instant(low_ms),
        "breach_at_high": _instant(found.high_ms if low_ms is not None else None),
        "breach_at_by_arrival": _instant(found.by_arrival_ms or (by_test_ms and by_due_ms)),
        "shortfall": None if prediction is None else round(prediction.shortfall, 1),
        "shortfall_at": None if prediction is None else _instant(prediction.shortfall_at_ms),
        "spare": None if prediction is None or prediction.spare is None else round(prediction.spare, 1),
        "overdue": sum(
            bucket.tasks for bucket in found.demand[:1] if prediction and bucket.due_ms <= prediction.now_ms
        ),
    }


def _pace_ahead(supply: Supply, now_ms: int) -> list[list[Any]]:
    """Return [from when on, tasks per hour] wherever the pace, to one decimal, changes."""
    steps: list[tuple[int, float]] = []
    at_ms = now_ms
    for stretch in supply.stretches:
        if stretch.to_ms > now_ms:
            from_ms = max(now_ms, stretch.from_ms)
            if from_ms > at_ms:
                steps.append((at_ms, 0.0))
            steps.append((from_ms, round(stretch.tasks_per_hour, 1)))
            at_ms = stretch.to_ms
    paces = [None, *(pace for _, pace in steps)]
    return [[rfc3339(from_ms), pace] for (from_ms, pace), before in zip(steps, paces, strict=False) if pace != before]


def _instant(time_ms: int | None) -> str | None:
    return None if time_ms is None else rfc3339(time_ms)
