"""When will the first due time be missed? The time that a queue's forecast tells, against the task that is missed first.

One queue with people who each take the next task when they are free, earliest due first or in order of arrival. Its panes are
what a worker keeps of it, and the forecast is made and paged on as a worker does. What is told at the page, and every quarter
of an hour after it, is held against the first task that then really misses its due time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush
from typing import Literal, NamedTuple

import numpy as np

from floorwatch.sims.breach import WorkerAlarm
from floorwatch.sims.lines import ReportLine
from streams.core import counters as c
from streams.core.counters import Counters
from streams.core.forecast.observe import Outlook, QueueTally, outlook
from streams.core.policy import HOUR_MS, MINUTE_MS, QUARTER_MS

Order = Literal["due", "arrival"]
_TIERS = (MINUTE_MS, QUARTER_MS, HOUR_MS)
START_MS = 100 * HOUR_MS


class Work(NamedTuple):
    """A queue's day.

    Attributes:
        words: What is special about it.
        promises: (minutes from creation to the due time, share of the tasks).
        people: How many work, by hour from the start; the last goes on.
        handle_min: Mean handle time in minutes, lognormal.
        sigma: Its spread.
        load: Tasks that come over those that can be done, by hour from the start; the last goes on.
        hours: How long it is followed.
    """

    words: str
    promises: tuple[tuple[int, float], ...]
    people: tuple[int, ...]
    handle_min: float
    load: tuple[float, ...]
    sigma: float = 0.6
    hours: int = 14


class Panes:
    """The panes of one queue as a worker keeps them, with their running sums."""

    def __init__(self) -> None:
        """Start empty."""
        self.tally = QueueTally()
        self._counters: tuple[dict[int, Counters], ...] = ({}, {}, {})

    def add(self, time_ms: int, *counts: tuple[c.Counter, int]) -> None:
        """Count something at a time, in the panes of every tier."""
        for tier, size_ms in enumerate(_TIERS):
            pane_ms = time_ms // size_ms * size_ms
            now = self._counters[tier].setdefault(pane_ms, {})
            was = dict(now)
            for counter, amount in counts:
                now[counter] = now.get(counter, 0) + amount
            self.tally.note(tier, pane_ms, now, was)


class Task(NamedTuple):
    """A task and its times in ms."""

    created_ms: int
    due_ms: int


class Told(NamedTuple):
    """What was told at one moment, in ms; None where no due time was to be missed."""

    at_ms: int
    breach_ms: int | None
    by_arrival_ms: int | None


class Floor:
    """People at one queue, in continuous time."""

    def __init__(self, rng: np.random.Generator, work: Work, order: Order) -> None:
        """Start with nothing open."""
        self._rng, self._work = rng, work
        self._key: Callable[[Task], tuple[int, int]] = (
            (lambda task: (task.due_ms, task.created_ms)) if order == "due" else (lambda task: (task.created_ms, task.due_ms))
        )
        self.panes = Panes()
        self.waiting: list[tuple[tuple[int, int], Task]] = []
        self._busy: list[tuple[int, int, Task]] = []
        self._overdue: list[Task] = []
        self._open: dict[Task, int] = {}
        self._next_ms = self._arrival_after(START_MS)
        self.first_late_ms: int | None = None

    def _hour(self, series: tuple[float, ...] | tuple[int, ...], time_ms: int) -> float:
        return series[min(len(series) - 1, (time_ms - START_MS) // HOUR_MS)]

    def _arrival_after(self, time_ms: int) -> int:
        work = self._work
        per_hour = work.people[0] * 60 / work.handle_min * self._hour(work.load, time_ms)
        return time_ms + max(1, round(self._rng.exponential(HOUR_MS / per_hour)))

    def until(self, end_ms: int) -> None:
        """Let time pass."""
        while True:
            done_ms = self._busy[0][0] if self._busy else math.inf
            at_ms = min(done_ms, self._next_ms)
            if at_ms >= end_ms:
                break
            if done_ms <= self._next_ms:
                self._complete(*heappop(self._busy))
            else:
                self._arrive(self._next_ms)
                self._next_ms = self._arrival_after(self._next_ms)
            self._start(int(at_ms))
        self._start(end_ms)
        self._note_overdue(end_ms)

    def _arrive(self, now_ms: int) -> None:
        minutes, shares = zip(*self._work.promises, strict=True)
        task = Task(now_ms, now_ms + int(minutes[self._rng.choice(len(minutes), p=shares)]) * MINUTE_MS)
        heappush(self.waiting, (self._key(task), task))
        self._open[task] = self._open.get(task, 0) + 1
        heappush(self._overdue, Task(task.due_ms, task.created_ms))
        self.panes.add(now_ms, (c.OPEN, 1))
        self.panes.add(task.due_ms, *due_counters(task, 1))

    def _start(self, now_ms: int) -> None:
        while self.waiting and len(self._busy) < self._hour(self._work.people, now_ms):
            _, task = heappop(self.waiting)
            sigma = self._work.sigma
            handle_min = self._work.handle_min * math.exp(self._rng.normal(-sigma * sigma / 2, sigma))
            heappush(self._busy, (now_ms + max(1, round(handle_min * MINUTE_MS)), now_ms, task))

    def _complete(self, done_ms: int, started_ms: int, task: Task) -> None:
        del self._open[task]
        self.panes.add(task.created_ms, (c.OPEN, -1))
        turn_ms = done_ms - task.created_ms
        handle_ms = done_ms - started_ms
        late = done_ms > task.due_ms
        if late and self._overdue_known(task):
            self.panes.add(task.due_ms, (c.OVERDUE, -1), (c.LATE, 1))
        else:
            self.panes.add(task.due_ms, (c.LATE if late else c.MET, 1))
        if late:
            self._missed(task)
        self.panes.add(
            done_ms,
            (c.COMPLETED, 1), (c.TURNED, 1), (c.TURN_MS, turn_ms), (c.LABELS, 1), (c.HANDLED, 1), (c.HANDLE_MS, handle_ms),
            (c.HANDLE_HISTOGRAM + c.bucket(handle_ms), 1),
        )

    def _overdue_known(self, task: Task) -> bool:
        return task.due_ms <= self._judged_ms

    _judged_ms = 0

    def _missed(self, task: Task) -> None:
        if self.first_late_ms is None or task.due_ms < self.first_late_ms:
            self.first_late_ms = task.due_ms

    def _note_overdue(self, now_ms: int) -> None:
        self._judged_ms = now_ms
        while self._overdue and self._overdue[0].created_ms <= now_ms:
            due_ms, created_ms = heappop(self._overdue)
            task = Task(created_ms, due_ms)
            if task in self._open:
                self.panes.add(due_ms, (c.OVERDUE, 1))
                self._missed(task)

    @property
    def open(self) -> int:
        """Tasks not completed."""
        return len(self._open)

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest open task was created."""
        return min((task.created_ms for task in self._open), default=None)


def due_counters(task: Task, count: int) -> list[tuple[c.Counter, int]]:
    """Return what a task with a due time counts for at it."""
    return [(c.DUE, count)]


def follow(rng: np.random.Generator, work: Work, order: Order) -> tuple[list[Told], int | None]:
    """Return what was told from the page on, and the first due time missed; None where none was or before the page."""
    floor, alarm, told = Floor(rng, work, order), WorkerAlarm(), []
    for minute in range(1, work.hours * 60 + 1):
        now_ms = START_MS + minute * MINUTE_MS
        floor.until(now_ms)
        if floor.first_late_ms is not None:
            break
        if minute < 60:
            continue
        found = outlook(floor.panes.tally, now_ms, floor.oldest_ms)
        if alarm.take(now_ms // MINUTE_MS, found):
            told.append(told_of(found, now_ms))
    return told, floor.first_late_ms


def told_of(found: Outlook, now_ms: int) -> Told:
    """Return the times that a forecast tells."""
    prediction = found.prediction
    return Told(now_ms, None if prediction is None else prediction.breach_at_ms, None)
