"""One queue through a day, in continuous time: people who each take the next task when they are free, and the panes a worker keeps.

Tasks are taken by due time or in order of arrival. The first miss is the first due time of a task that was missed after it had
waited for half its promise or longer (``breach_time``).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import accumulate
from typing import Literal, NamedTuple

import numpy as np

from streams.core import counters as c
from streams.core.counters import Counters
from streams.core.forecast.observe import QueueTally
from streams.core.policy import HOUR_MS, MINUTE_MS, QUARTER_MS

Order = Literal["due", "arrival"]
START_MS = 100 * HOUR_MS
LONGEST_H = 48
"""A queue is followed until a due time is missed, or so long: an end before the late misses would leave the early ones."""

_TIERS = (MINUTE_MS, QUARTER_MS, HOUR_MS)
_ROSTER_H = LONGEST_H + 48
_WAITED_SHARE = 0.5
"""A missed task that had waited for less of its promise was missed for its own length, not for the queue's."""


class Work(NamedTuple):
    """A queue's day.

    Attributes:
        words: What is special about it.
        promises: (minutes from creation to the due time, share of the tasks).
        people: How many work, by hour from the start; the last goes on.
        handle_min: Mean handle time in minutes, lognormal.
        load: Tasks that come over those that can be done, by hour from the start; the last goes on.
        sigma: Spread of the handle times' logarithm.
        batch: So many tasks come at a time, with the same due time where they have the same promise.
        roster: Whether shifts name the queue, so that the people of every hour are known ahead.
    """

    words: str
    promises: tuple[tuple[int, float], ...]
    people: tuple[int, ...]
    handle_min: float
    load: tuple[float, ...]
    sigma: float = 0.6
    batch: int = 1
    roster: bool = False


class QueuePanes:
    """The panes of one queue as a worker keeps them, with their running sums."""

    def __init__(self) -> None:
        """Start empty."""
        self._tally = QueueTally()
        self._counters: tuple[dict[int, Counters], ...] = ({}, {}, {})
        self._before: dict[tuple[int, int], Counters] = {}

    def add(self, time_ms: int, *counts: tuple[c.Counter, int]) -> None:
        """Count something at a time, in the panes of every tier."""
        for tier, size_ms in enumerate(_TIERS):
            pane_ms = time_ms // size_ms * size_ms
            now = self._counters[tier].setdefault(pane_ms, {})
            if (tier, pane_ms) not in self._before:
                self._before[tier, pane_ms] = dict(now)
            for counter, amount in counts:
                now[counter] = now.get(counter, 0) + amount

    @property
    def tally(self) -> QueueTally:
        """The running sums, which have followed every change."""
        for (tier, pane_ms), was in self._before.items():
            self._tally.note(tier, pane_ms, self._counters[tier][pane_ms], was)
        self._before.clear()
        return self._tally

    def handled(self, now_ms: int) -> Counters:
        """Return the counters of the last hour."""
        found: Counters = {}
        for at in range(now_ms - HOUR_MS, now_ms, MINUTE_MS):
            for counter, amount in self._counters[0].get(at, {}).items():
                found[counter] = found.get(counter, 0) + amount
        return found


class Task(NamedTuple):
    """A task and its times in ms."""

    created_ms: int
    due_ms: int


class QueueFloor:
    """People at one queue, in continuous time."""

    def __init__(self, seed: Sequence[int], work: Work, order: Order, panes: QueuePanes | None = None) -> None:
        """Start with nothing open, and count what happens in ``panes``."""
        self._rng, self._work, self._panes = np.random.default_rng(seed), work, panes
        self._key: Callable[[Task], tuple[int, int]] = (
            (lambda task: (task.due_ms, task.created_ms))
            if order == "due"
            else (lambda task: (task.created_ms, task.due_ms))
        )
        self.waiting: list[tuple[tuple[int, int], Task]] = []
        self._busy: list[tuple[int, int, Task]] = []
        self._overdue: list[Task] = []
        self._open: set[Task] = set()
        self._begun: dict[Task, int] = {}
        self._shares = list(accumulate(share for _, share in work.promises))[:-1]
        self._next_ms = self._arrival_after(START_MS)
        self.first_late_ms: int | None = None
        for quarter in range(_ROSTER_H * 4 if work.roster else 0):
            at_ms = START_MS + quarter * QUARTER_MS
            self._count(at_ms, (c.SCHEDULED_MS, int(self._hour(work.people, at_ms)) * QUARTER_MS))

    def _hour(self, series: tuple[float, ...] | tuple[int, ...], time_ms: int) -> float:
        return series[min(len(series) - 1, (time_ms - START_MS) // HOUR_MS)]

    def _arrival_after(self, time_ms: int) -> int:
        work = self._work
        per_hour = work.people[0] * 60 / work.handle_min * self._hour(work.load, time_ms) / work.batch
        return time_ms + max(work.batch, round(self._rng.exponential(HOUR_MS / per_hour)))

    def _count(self, time_ms: int, *counts: tuple[c.Counter, int]) -> None:
        if self._panes is not None:
            self._panes.add(time_ms, *counts)

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
        for number in range(self._work.batch):
            at = 0 if len(self._work.promises) == 1 else bisect_right(self._shares, self._rng.random())
            created_ms = now_ms + number
            task = Task(created_ms, created_ms + self._work.promises[at][0] * MINUTE_MS)
            heappush(self.waiting, (self._key(task), task))
            self._open.add(task)
            heappush(self._overdue, Task(task.due_ms, task.created_ms))
            self._count(task.created_ms, (c.OPEN, 1))
            self._count(task.due_ms, (c.DUE, 1))

    def _start(self, now_ms: int) -> None:
        while self.waiting and len(self._busy) < self._hour(self._work.people, now_ms):
            _, task = heappop(self.waiting)
            sigma = self._work.sigma
            handle_min = self._work.handle_min * math.exp(self._rng.normal(-sigma * sigma / 2, sigma))
            self._begun[task] = now_ms
            heappush(self._busy, (now_ms + max(1, round(handle_min * MINUTE_MS)), now_ms, task))

    def _complete(self, done_ms: int, started_ms: int, task: Task) -> None:
        self._open.remove(task)
        self._count(task.created_ms, (c.OPEN, -1))
        turn_ms = done_ms - task.created_ms
        handle_ms = done_ms - started_ms
        late = done_ms > task.due_ms
        if late and self._overdue_known(task):
            self._count(task.due_ms, (c.OVERDUE, -1), (c.LATE, 1))
        else:
            self._count(task.due_ms, (c.LATE if late else c.MET, 1))
        if late:
            self._missed(task)
        del self._begun[task]
        self._count(
            done_ms,
            (c.COMPLETED, 1),
            (c.TURNED, 1),
            (c.TURN_MS, turn_ms),
            (c.LABELS, 1),
            (c.HANDLED, 1),
            (c.HANDLE_MS, handle_ms),
            (c.HANDLE_HISTOGRAM + c.bucket(handle_ms), 1),
        )

    def _overdue_known(self, task: Task) -> bool:
        return task.due_ms <= self._judged_ms

    _judged_ms = 0

    def _missed(self, task: Task) -> None:
        waited_ms = self._begun.get(task, task.due_ms) - task.created_ms
        if waited_ms < _WAITED_SHARE * (task.due_ms - task.created_ms):
            return
        if self.first_late_ms is None or task.due_ms < self.first_late_ms:
            self.first_late_ms = task.due_ms

    def _note_overdue(self, now_ms: int) -> None:
        self._judged_ms = now_ms
        while self._overdue and self._overdue[0].created_ms <= now_ms:
            due_ms, created_ms = heappop(self._overdue)
            task = Task(created_ms, due_ms)
            if task in self._open:
                self._count(due_ms, (c.OVERDUE, 1))
                self._missed(task)

    @property
    def open(self) -> int:
        """Tasks not completed."""
        return len(self._open)

    @property
    def oldest_ms(self) -> int | None:
        """When the oldest open task was created."""
        return min((task.created_ms for task in self._open), default=None)
