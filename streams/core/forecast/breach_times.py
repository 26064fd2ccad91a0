"""When a queue whose work does not fit will miss its first due time: what its panes say, brought together. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from streams.core.forecast.first_late import (
    EVEN,
    LONGEST_MS,
    Begun,
    Coming,
    Dated,
    HandleTimes,
    first_miss_by_arrival,
    first_miss_by_due,
)
from streams.core.forecast.planned import HourWork, MinuteWork, work_between
from streams.core.forecast.supply import RecentWork, Supply, recent_tasks_per_hour
from streams.core.policy import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER_MS

_MINUTES_KEPT_MS = HOUR_MS
"""Open tasks are known by the minute of their creation so far back; before that by the quarter of an hour."""

_LATELY_MS = 30 * MINUTE_MS
"""Pace and arrivals are those of so long. Chosen by simulation (``floorwatch sims breach_time``): with an hour, people who
leave are seen 10 minutes later."""

_AROUND_MS = 5 * MINUTE_MS
"""How long before and after a moment tasks are counted whose turn-around time is taken for that moment's."""

_SAME_PROMISE = 0.9
"""From this share of the longest promise on, the shortest one counts as the same. Ours: the longest is known to the minute of
the last due time, and the pace to some 10%."""

_OVERTAKEN = 0.15
"""With a smaller share of tasks that overtake, a queue counts as one with a single promise. Ours: more than the share that the
scatter of half an hour's waiting times feigns."""

_ENOUGH_TASKS = 60
"""With fewer tasks in half an hour its pace scatters by more than 1/√60 = 13%: then the hour's is taken."""

_CHANGED = 2.5
"""The handle times of the hour differ from the day's beyond chance when the means are so many standard errors apart: by chance
in 1.2% of hours (normal distribution)."""

_LEAST_FACTOR, _MOST_FACTOR = 0.5, 2.0
"""The pace of late is taken as no less and no more than so many times the hour's. Ours: beyond that, handle times are not what
was worked."""
_PANES_MS = (MINUTE_MS, QUARTER_MS, HOUR_MS)


class OpenTaskPanes(Protocol):
    """The running sums of a queue that the times are made of (``observe.QueueTally``)."""

    open_due: tuple[dict[int, int], ...]
    open_created: tuple[dict[int, int], ...]
    met: dict[int, int]
    done: dict[int, MinuteWork]
    hours: dict[int, HourWork]


_RANGE_Z = 1.6449
_EARLY, _LATE = math.log(0.95), math.log(0.05)
"""A range leaves out the first and the last twentieth, of the chance of the pace and of that of single handle times."""

_FEW_TASKS, _VERY_FEW_TASKS = 30, 20
"""With fewer tasks an hour a range is told: a single time is off by half an hour and more (docs/forecast.md, When). The former
is held against the mean of the last day's hours in which something was done, not against the pace ahead: that one is as
uncertain, and to tell single times whenever it is high would make them too late. The latter is held against the pace ahead."""


class BreachTimes(NamedTuple):
    """The first due time missed, in ms, by the order in which tasks are taken; None where none is within a day.

    Attributes:
        by_due_ms: Where the earliest due is taken first.
        by_arrival_ms: Where tasks are taken as they came.
        low_ms: Early end of the range of ``by_due_ms``, told where few tasks are done in an hour; None elsewhere.
        high_ms: Its late end; None where it lies after the due times that are known.
    """

    by_due_ms: int | None
    by_arrival_ms: int | None
    low_ms: int | None = None
    high_ms: int | None = None


class _Work(NamedTuple):
    """What is known of a queue's promises.

    Attributes:
        open: The promise of which open tasks are missed first (ms), and its share of them.
        coming: The shortest promise of tasks still to come (ms), and its share of them.
        per_hour: Tasks an hour still to come.
    """

    open: tuple[float, float]
    coming: tuple[float, float]
    per_hour: float


def breach_times(
    panes: OpenTaskPanes, overdue: int, supply: Supply, past: Sequence[RecentWork], handle: HandleTimes, now_ms: int
) -> BreachTimes:
    """Return when the first due time will be missed, by due time and in order of arrival.

    Source: docs/forecast.md, When.

    Args:
        panes: The queue's sums.
        overdue: Open tasks past their due time.
        supply: The capacity of the processor-demand test.
        past: What happened in the last hour.
        handle: Handle times of the last hour.
        now_ms: The watermark, at the beginning of a minute.
    """
    due = [Dated(at, tasks) for at, tasks in sorted(panes.open_due[0].items()) if at >= now_ms]
    created = open_by_creation(panes.open_created, now_ms)
    if not due or not created:
        return BreachTimes(None, None)
    # A roster reaches as far as the last open task's due time, a recent rate for days.
    known_ms = max(due[-1].at_ms + MINUTE_MS, supply.stretches[-1].to_ms if supply.stretches else 0)
    until_ms = min(known_ms, now_ms + LONGEST_MS)
    pace = supply.scaled(_finer(panes, past, handle, now_ms))
    begun = Begun(now_ms, pace, handle.mean_ms, until_ms)
    due_until_ms = min(until_ms, due[-1].at_ms + HOUR_MS)
    work = _promises(panes, due, created, begun.in_progress, now_ms)
    late = [Dated(now_ms, overdue)] if overdue else []
    # One promise: the order of arrival is that of the due times, and who comes later stands behind.
    single = work.coming[1] >= 1
    coming = [] if single else [Coming(work.per_hour * work.coming[1], work.coming[0])]

    def miss(at_pace: Begun, log_none_is: float = EVEN) -> int | None:
        return first_miss_by_due([*late, *due], coming, at_pace, handle, now_ms, due_until_ms, log_none_is)

    by_due_ms = miss(begun)
    by_arrival_ms = (
        by_due_ms
        if single
        else first_miss_by_arrival(created, work.open, work.coming, work.per_hour, begun, handle, now_ms)
    )
    if not _few(panes, pace, now_ms):
        return BreachTimes(by_due_ms, by_arrival_ms)
    off = _RANGE_Z * _pace_spread(panes, pace, past, handle, now_ms, by_due_ms or due[-1].at_ms)
    low_ms = miss(Begun(now_ms, pace.scaled(max(0.0, 1 - off)), handle.mean_ms, until_ms), _EARLY)
    high_ms = miss(Begun(now_ms, pace.scaled(1 + off), handle.mean_ms, until_ms), _LATE)
    return BreachTimes(
        by_due_ms,
        by_arrival_ms,
        min((at_ms for at_ms in (low_ms, by_due_ms) if at_ms is not None), default=None),
        None if high_ms is None or by_due_ms is None else max(high_ms, by_due_ms),
    )


def _few(panes: OpenTaskPanes, pace: Supply, now_ms: int) -> bool:
    """Return whether so few tasks are done in an hour that a range is told; the hour that is running counts in part."""
    day = {at: hour.completed for at, hour in panes.hours.items() if at > now_ms - DAY_MS and hour.completed > 0}
    hours = sum(min(HOUR_MS, max(MINUTE_MS, now_ms - at)) for at in day) / HOUR_MS
    ahead = pace.tasks_until(now_ms, [now_ms + HOUR_MS])[0]
    return ahead < _VERY_FEW_TASKS or (hours > 0 and sum(day.values()) / hours < _FEW_TASKS)


def _pace_spread(
    panes: OpenTaskPanes, pace: Supply, past: Sequence[RecentWork], handle: HandleTimes, now_ms: int, until_ms: int
) -> float:
    """Return the standard deviation of the pace until a time, as a share of it.

    Of n tasks the time they take scatters by cv/√n around n means: of those the pace is measured from, and of those still to
    be done until then.

    Source: Cox 1962, "Renewal Theory", 3.3: the variance of the number of renewals.

    Args:
        panes: The queue's sums.
        pace: The pace ahead.
        past: What happened in the last hour.
        handle: Handle times of the last hour.
        now_ms: Now.
        until_ms: Until when work is to be done.
    """
    if not handle.mean_ms:
        return 0.0
    lately = sum(step.completed for step in _lately([step for step in past if step.backlogged], now_ms))
    day = sum(hour.completed for at, hour in panes.hours.items() if at > now_ms - DAY_MS)
    ahead = pace.tasks_until(now_ms, [max(until_ms, now_ms + MINUTE_MS)])[0]
    known = sum(1 / max(1.0, tasks) for tasks in (lately, day, ahead))
    return handle.spread_ms / handle.mean_ms * math.sqrt(known)


def open_by_creation(open_created: Sequence[Mapping[int, int]], now_ms: int) -> list[Dated]:
    """Return open tasks by minute of creation, those of longer ago spread evenly over their quarter of an hour or hour.

    Args:
        open_created: By tier (minute, quarter hour, hour), open tasks by the pane of their creation.
        now_ms: Now.
    """
    minutes_ms = (now_ms - _MINUTES_KEPT_MS) // HOUR_MS * HOUR_MS
    quarters_ms = (now_ms - DAY_MS) // HOUR_MS * HOUR_MS
    ranges = ((minutes_ms, math.inf), (quarters_ms, minutes_ms), (-math.inf, quarters_ms))
    found = []
    for size_ms, panes, (from_ms, until_ms) in zip(_PANES_MS, open_created, ranges, strict=True):
        for pane_ms, tasks in panes.items():
            if tasks > 0 and from_ms <= pane_ms < until_ms:
                steps = min(tasks, size_ms // MINUTE_MS)
                found += [
                    Dated(pane_ms + step * size_ms // steps, tasks * (step + 1) // steps - tasks * step // steps)
                    for step in range(steps)
                ]
    return sorted(found)


def _finer(panes: OpenTaskPanes, past: Sequence[RecentWork], handle: HandleTimes, now_ms: int) -> float:
    """Return the pace of late over that of the last hour, the former without the chance of single handle times.

    Completions of an hour scatter as handle times do. The time that people worked does not: people at work, times what one
    completes in an hour of handling over the last day. A label without a start took a label's mean time.
    """
    shown = recent_tasks_per_hour(past)
    lately = _lately([step for step in past if step.backlogged], now_ms)
    length_ms = sum(step.length_ms for step in lately)
    work = [work_between(panes.done, step.start_ms, step.start_ms + step.length_ms) for step in lately]
    day = [hour for at, hour in panes.hours.items() if at > now_ms - DAY_MS]
    completed, labels = sum(hour.completed for hour in day), sum(hour.labels for hour in day)
    label_ms = _label_ms(panes, day, handle, now_ms)
    if not shown or not length_ms or not completed or not label_ms:
        return 1.0
    busy_ms = sum(one.handle_ms + (one.labels - one.handled) * label_ms for one in work)
    factor = busy_ms / length_ms * HOUR_MS / (label_ms * labels / completed) / shown
    return min(_MOST_FACTOR, max(_LEAST_FACTOR, factor)) if busy_ms else 1.0


def _label_ms(panes: OpenTaskPanes, day: Sequence[HourWork], handle: HandleTimes, now_ms: int) -> float:
    """Return the mean handle time of a label: the last day's, or the last hour's where both differ beyond chance.

    Then the tool or the work has changed. 0 where no label has a start.
    """
    timed = sum(hour.handled for hour in day)
    if not timed:
        return 0.0
    label_ms = math.fsum(hour.handle_ms for hour in day) / timed
    hour = work_between(panes.done, now_ms - HOUR_MS, now_ms)
    if not hour.handled:
        return label_ms
    hour_ms = hour.handle_ms / hour.handled
    changed = abs(hour_ms - label_ms) > _CHANGED * handle.spread_ms / math.sqrt(hour.handled)
    return hour_ms if changed else label_ms


def _lately(waiting: list[RecentWork], now_ms: int) -> list[RecentWork]:
    """Return the steps of the last half hour, or of the hour where too little was completed in the half."""
    half = [step for step in waiting if step.start_ms >= now_ms - _LATELY_MS]
    return half if sum(step.completed for step in half) >= _ENOUGH_TASKS else waiting


def _promises(
    panes: OpenTaskPanes, due: Sequence[Dated], created: Sequence[Dated], in_progress: float, now_ms: int
) -> _Work:
    """Tell the promises of a queue from what is open, by creation and by due time.

    The oldest open task and the one due first are the same where all have one promise, and where tasks are taken as they came
    they are a promise apart that is the shortest. Where the earliest due is taken first they are the longest apart, as the latest due
    is from now; then tasks with a shorter promise overtake, so what is completed waited less than the oldest open one has.
    """
    count = sum(one.tasks for one in created)
    rank = min(20, count // 50)
    head_ms, first_ms, last_ms = _at(created, rank), _at(due, rank), _at(due[::-1], rank)
    apart_ms, longest_ms = float(first_ms - head_ms), float(last_ms + MINUTE_MS - now_ms)
    if apart_ms < _SAME_PROMISE * longest_ms:
        per_hour = _arrivals_per_hour(panes, count, now_ms)
        short = sum(one.tasks for one in due if one.at_ms <= now_ms + apart_ms)
        share = min(1.0, max(0.02, short / max(1, count)))
        # Some are in progress, the oldest for long: where waiting begins, tasks and their due times are nearer to a promise apart.
        busy = min(count // 2, round(in_progress))
        nearer_ms = float(_at(due, round(busy * share)) - _at(created, busy)) - (1 / share - 1) * HOUR_MS / max(
            1.0, per_hour
        )
        promise_ms = min(apart_ms, max(apart_ms / 2, nearer_ms))
        return _Work((promise_ms, share), (promise_ms, share), per_hour)
    lately = work_between(panes.done, now_ms - _LATELY_MS, now_ms)
    late = sum(one.tasks for one in due if one.at_ms > last_ms - _LATELY_MS)
    long_per_hour = late * HOUR_MS / _LATELY_MS
    waited_ms = max(0.0, lately.waited_ms or 0.0)
    age_ms = now_ms - head_ms - lately.handle_ms / max(1, lately.handled)
    overtaking = 1 - waited_ms / age_ms if age_ms > 0 else 0.0
    if overtaking < _OVERTAKEN + _LATELY_MS / 2 / max(1.0, age_ms) or not lately.completed:
        return _Work((longest_ms, 1.0), (longest_ms, 1.0), long_per_hour)
    shorter_ms = _shortest_promise_ms(panes, now_ms, last_ms)
    if shorter_ms is None:
        return _Work((longest_ms, 1.0), (longest_ms, 1.0), long_per_hour)
    # Those with the shorter promise wait too, once work is at tasks that are due sooner than that.
    short_waits_ms = max(0.0, shorter_ms - (first_ms - now_ms))
    share = min(1.0, overtaking / max(0.1, 1 - short_waits_ms / age_ms))
    short_per_hour = share * lately.completed * HOUR_MS / _LATELY_MS
    per_hour = short_per_hour + long_per_hour
    return _Work((longest_ms, 1.0), (shorter_ms, short_per_hour / per_hour), per_hour)


def _shortest_promise_ms(panes: OpenTaskPanes, now_ms: int, last_ms: int) -> float | None:
    """Return the shorter of two promises: that far ahead of now, fewer tasks begin to be due, those done already included.

    The moment at which two Poisson rates, of which the first is the greater, are most likely to part.

    Source: Hinkley 1970, "Inference about the change-point in a sequence of random variables".
    """
    minutes = range(now_ms, last_ms, MINUTE_MS)
    due = [panes.open_due[0].get(at, 0) + panes.met.get(at, 0) for at in minutes]
    total, before, best, found = sum(due), 0, 0.0, None
    for ahead in range(1, len(due)):
        before += due[ahead - 1]
        left = len(due) - ahead
        if before * left <= (total - before) * ahead:
            continue
        gain = _log_likelihood(before, ahead) + _log_likelihood(total - before, left)
        if found is None or gain > best:
            best, found = gain, ahead
    return None if found is None else float(found * MINUTE_MS)


def _log_likelihood(count: int, minutes: int) -> float:
    return count * math.log(count / minutes) if count else 0.0


def _arrivals_per_hour(panes: OpenTaskPanes, count: int, now_ms: int) -> float:
    """Return how many tasks came in an hour, where they are taken as they come.

    Those completed half an hour ago came when their turn-around began; all that came since are completed since or open.
    """
    since_ms = now_ms - _LATELY_MS
    then = work_between(panes.done, since_ms - _AROUND_MS, since_ms + _AROUND_MS)
    since = work_between(panes.done, since_ms, now_ms)
    return (since.completed + count) * HOUR_MS / (_LATELY_MS + then.turn_ms / max(1, then.turned))


def _at(dated: Sequence[Dated], rank: int) -> int:
    """Return the time of the task of a rank, counted from the front."""
    for one in dated:
        rank -= one.tasks
        if rank < 0:
            return one.at_ms
    return dated[-1].at_ms
