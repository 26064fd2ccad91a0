"""Planned capacity of a queue whose shifts name it: who is scheduled, times what one of them completes. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from streams.core.forecast.supply import MAX_EFFICIENCY, Stretch, Supply
from streams.core.policy import DAY_MS, HOUR_MS, MINUTE_MS, QUARTER_MS


class HourWork(NamedTuple):
    """What one hour pane of a queue holds: completed tasks, labels, timed labels and the time of those in ms."""

    completed: int
    labels: int
    handled: int
    handle_ms: int

    @property
    def busy_ms(self) -> float:
        """Handle time of all labels in ms; those without a start count like the timed ones.

        Source: ours; the sum times labels/timed labels.
        """
        return self.handle_ms * self.labels / self.handled if self.handled else 0.0


class MinuteWork(NamedTuple):
    """What one minute pane of a queue holds, or several together.

    Attributes:
        completed: Tasks completed.
        turned: Those of them with a turn-around time.
        turn_ms: The sum of these.
        handle_ms: Time of the labels with a start.
        handled: How many labels that is of.
        labels: All labels, those without a start too.
    """

    completed: int = 0
    turned: int = 0
    turn_ms: int = 0
    handle_ms: int = 0
    handled: int = 0
    labels: int = 0

    @property
    def waited_ms(self) -> float | None:
        """Mean time from a task's creation to the beginning of work on it, in ms; None without a turn-around time.

        Source: ours; mean turn-around less mean handle time of a label.
        """
        return self.turn_ms / self.turned - self.handle_ms / max(1, self.handled) if self.turned else None


NOTHING_DONE = MinuteWork()


def work_between(done: Mapping[int, MinuteWork], from_ms: int, until_ms: int) -> MinuteWork:
    """Return the work of the minutes from one time (included) to another, both at the beginning of a minute."""
    minutes = [found for at in range(from_ms, until_ms, MINUTE_MS) if (found := done.get(at))]
    return MinuteWork(*(sum(column) for column in zip(*minutes, strict=True)))


def planned(scheduled: Mapping[int, int], hours: Mapping[int, HourWork], now_ms: int, until_ms: int) -> Supply | None:
    """Return the planned capacity of a queue from an hour before now, in tasks per hour.

    Capacity = people scheduled x tasks that one completes in an hour of handling, measured over the last 24 full hours.
    Source: docs/forecast.md, Pace: planned capacity. The pace of one person is measured.
    After the end of the last shift known, its last 24 hours are repeated: nobody has planned these yet.

    Args:
        scheduled: Scheduled person-time in ms by start of quarter hour.
        hours: Work of the queue by start of hour.
        now_ms: The watermark.
        until_ms: How far ahead the capacity must reach.

    Returns:
        None where the roster cannot say what will be done: no shift names the queue, no handle time is known, the work of
        its scheduled hours took more than 110% of the time scheduled (others work there too), it ended a day ago, or it
        would have to be repeated before it has been sent for a day.
    """
    if not scheduled:
        return None
    end_ms = max(scheduled) + QUARTER_MS
    if end_ms <= now_ms - DAY_MS or (end_ms < until_ms and min(scheduled) > end_ms - DAY_MS):
        return None
    tasks_per_head_hour = _pace(scheduled, hours, now_ms)
    if tasks_per_head_hour is None:
        return None
    from_ms = (now_ms - HOUR_MS) // QUARTER_MS * QUARTER_MS
    return Supply(
        Stretch(start_ms, start_ms + QUARTER_MS, time_ms / QUARTER_MS * tasks_per_head_hour)
        for start_ms, time_ms in _ahead(scheduled, from_ms, until_ms, end_ms)
    )


def _pace(scheduled: Mapping[int, int], hours: Mapping[int, HourWork], now_ms: int) -> float | None:
    """Return tasks per hour of handling over the last 24 full hours; None where the roster does not account for the work."""
    ended_ms = now_ms // HOUR_MS * HOUR_MS
    completed, busy, in_shifts, planned_ms = 0, [], [], 0
    for hour_ms in range(ended_ms - DAY_MS, ended_ms, HOUR_MS):
        work = hours.get(hour_ms)
        on_ms = sum(scheduled.get(at, 0) for at in range(hour_ms, hour_ms + HOUR_MS, QUARTER_MS))
        planned_ms += on_ms
        if work is not None:
            completed += work.completed
            busy.append(work.busy_ms)
            if on_ms:
                in_shifts.append(work.busy_ms)
    busy_ms = math.fsum(busy)
    if not completed or busy_ms <= 0 or math.fsum(in_shifts) > MAX_EFFICIENCY * planned_ms:
        return None
    return completed * HOUR_MS / busy_ms


def _ahead(scheduled: Mapping[int, int], from_ms: int, until_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """Yield (start, person-time) of every quarter with people; after ``end_ms`` those of the 24 hours before it again."""
    for start_ms in range(from_ms, until_ms, QUARTER_MS):
        days = max(0, (start_ms - end_ms) // DAY_MS + 1)
        time_ms = scheduled.get(start_ms - days * DAY_MS, 0)
        if time_ms > 0:
            yield start_ms, time_ms
