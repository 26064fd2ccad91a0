"""When will the first due time be missed? The time that a queue's forecast tells, against the task that is missed first.

One queue with people who each take the next task when they are free, earliest due first or in order of arrival. Its panes are
what a worker keeps of it, and the forecast is made and paged on as a worker does. What is told at the page, and every few minutes
from the shortest promise before the first miss on, is held against that miss: the first due time of a task that was missed after
it had waited for half its promise or longer. A task that is begun earlier and still missed took too long by itself; no pace of
the others would have helped it, and the forecast does not claim to know it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from heapq import heappop, heappush
from itertools import accumulate
from typing import Literal, NamedTuple

import numpy as np

from floorwatch.sims.breach import WorkerAlarm
from floorwatch.sims.lines import ReportLine, Z
from streams.core import counters as c
from streams.core.counters import Counters
from streams.core.forecast.observe import QueueTally, outlook, outlook_row
from streams.core.policy import HOUR_MS, MINUTE_MS, QUARTER_MS
from streams.models.timestamps import parse_rfc3339_ms

Order = Literal["due", "arrival"]
_TIERS = (MINUTE_MS, QUARTER_MS, HOUR_MS)
START_MS = 100 * HOUR_MS
_SETTLED_MIN = 120
_LONGEST_H = 48
"""A queue is followed until a due time is missed, or so long: an end before the late misses would leave the early ones."""

_ROSTER_H = _LONGEST_H + 48
_LOOKS = 12
_WAITED_SHARE = 0.5
"""A missed task that had waited for less of its promise was missed for its own length, not for the queue's."""

ROWS = (15,)
CPU_S = 365.0
RUNS, PAGED_RUNS = 200, 40
BIAS_MIN = 5.0
PAGE_BIAS_MIN = 15.0
"""With the page itself: it comes when the pace looks worst, so what is told with it is early."""


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


class ToldTimes(NamedTuple):
    """What was told at one moment, in ms; None where no due time was to be missed."""

    at_ms: int
    by_due_ms: int | None
    by_arrival_ms: int | None

    def of(self, order: Order) -> int | None:
        """Return what was told for an order of work."""
        return self.by_due_ms if order == "due" else self.by_arrival_ms


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


class Followed(NamedTuple):
    """One run.

    Attributes:
        shortest_ms: The shortest promise.
        told: What the forecast told, at the page and at every look.
        page_ms: When the alarm was raised; None where it was not, or no due time was missed.
        missed_ms: The first due time that was missed; None where none was.
    """

    shortest_ms: int
    told: list[ToldTimes]
    page_ms: int | None
    missed_ms: int | None

    def errors_min(self, order: Order) -> list[float]:
        """Return how late each time was, in minutes, that was told at most the shortest promise before the miss; negative: early."""
        return [
            (at_ms - self.missed_ms) / MINUTE_MS
            for one in self.told
            if (at_ms := one.of(order)) is not None
            and self.missed_ms is not None
            and 0 < self.missed_ms - one.at_ms <= self.shortest_ms
        ]

    def page_error_min(self, order: Order) -> float | None:
        """Return how late the time told with the page was, in minutes."""
        at_ms = next((one.of(order) for one in self.told if one.at_ms == self.page_ms), None)
        return None if at_ms is None or self.missed_ms is None else (at_ms - self.missed_ms) / MINUTE_MS


def follow(seed: Sequence[int], work: Work, order: Order, *, paged: bool) -> Followed:
    """Follow one queue until a due time is missed.

    It is worked through twice alike: to know the miss, and to look before it.

    Args:
        seed: Source of chance.
        work: The queue.
        order: In which order tasks are taken.
        paged: Look every minute, and raise the alarm as a worker does; else only shortly before the miss.
    """
    shortest_min = min(minutes for minutes, _ in work.promises)
    missed_ms = _first_miss(QueueFloor(seed, work, order))
    panes, alarm, told, page_ms = QueuePanes(), WorkerAlarm(), [], None
    floor = QueueFloor(seed, work, order, panes)
    step_min = max(5, shortest_min // _LOOKS)
    last_ms = START_MS + _LONGEST_H * HOUR_MS if missed_ms is None else missed_ms
    for now_ms in range(START_MS + MINUTE_MS, last_ms, MINUTE_MS):
        floor.until(now_ms)
        minute = (now_ms - START_MS) // MINUTE_MS
        near = last_ms - now_ms <= shortest_min * MINUTE_MS and minute % step_min == 0
        if minute < _SETTLED_MIN or not (near or (paged and page_ms is None)):
            continue
        found = outlook(panes.tally, now_ms, floor.oldest_ms, panes.handled(now_ms))
        up = paged and page_ms is None and alarm.take(now_ms // MINUTE_MS, found)
        if near or up:
            row = outlook_row(found)
            told.append(ToldTimes(now_ms, *(_ms(row[name]) for name in ("breach_at", "breach_at_by_arrival"))))
        page_ms = now_ms if up else page_ms
    return Followed(shortest_min * MINUTE_MS, told, page_ms, missed_ms)


def _first_miss(floor: QueueFloor) -> int | None:
    for now_ms in range(START_MS + MINUTE_MS, START_MS + _LONGEST_H * HOUR_MS, MINUTE_MS):
        floor.until(now_ms)
        if floor.first_late_ms is not None:
            return floor.first_late_ms
    return None


def _ms(instant: str | None) -> int | None:
    return None if instant is None else parse_rfc3339_ms(instant)


SINGLE = (
    Work("4 h, load 1.6, five people, 5 min", ((240, 1.0),), (5,), 5.0, (0.9, 0.9, 1.6)),
    Work("2 h, load 2, ten people, 10 min", ((120, 1.0),), (10,), 10.0, (0.9, 0.9, 2.0)),
    Work("4 h, four of ten people leave", ((240, 1.0),), (10, 10, 10, 6), 10.0, (0.95,)),
    Work("3 h, load 1.4, four people, 10 min", ((180, 1.0),), (4,), 10.0, (0.9, 0.9, 1.4), 0.8),
    Work("4 h, load 1.6 in batches of 30, five people, 5 min", ((240, 1.0),), (5,), 5.0, (0.9, 0.9, 1.6), batch=30),
    Work("3 h, a shift of four of ten ends as scheduled", ((180, 1.0),), (10,) * 7 + (6,), 10.0, (0.95,), roster=True),
)
SEVERAL = (
    Work("30 min and 4 h, load 1.4", ((30, 0.4), (240, 0.6)), (10,), 5.0, (0.9, 0.9, 1.4)),
    Work("1 h and 6 h, load 1.5, 10 min", ((60, 0.3), (360, 0.7)), (10,), 10.0, (0.9, 0.9, 1.5)),
)


def run(scale: float, seed: int) -> list[ReportLine]:
    """Follow 200 days of each queue (at scale 1): those with one promise by due time, those with two in either order.

    The alarm is followed too on 40 days of each queue with one promise.
    """
    runs, alarms = max(8, round(RUNS * scale)), max(8, round(PAGED_RUNS * scale))
    lines = []
    for number, work in enumerate(SINGLE):
        found = [follow([seed, 15, number, at], work, "due", paged=at < alarms) for at in range(runs)]
        lines += [
            _bias(f"one promise of {work.words}: from a promise before on", [one.errors_min("due") for one in found]),
            _bias(
                f"one promise of {work.words}: told with the page",
                [[error] for one in found if (error := one.page_error_min("due")) is not None],
                row=None,
                most=PAGE_BIAS_MIN,
            ),
        ]
    for number, work in enumerate(SEVERAL):
        for order, words in _ORDERS.items():
            errors = [follow([seed, 16, number, at], work, order, paged=False).errors_min(order) for at in range(runs)]
            lines.append(_bias(f"promises of {work.words}, {words}: from a promise before on", errors))
    return lines


_ORDERS: dict[Order, str] = {"due": "earliest due first", "arrival": "in order of arrival"}


def _bias(name: str, errors: list[list[float]], row: int | None = 15, most: float = BIAS_MIN) -> ReportLine:
    """Return the size of the mean error, each run counting once, with its 99% interval."""
    means = [sum(of_run) / len(of_run) for of_run in errors if of_run]
    count = len(means)
    if count < 2:
        return ReportLine(
            f"{name}: bias, min", "at most", most, math.inf, math.inf, math.inf, "too few were told", row=row
        )
    mean = sum(means) / count
    half = _student(count - 1) * float(np.std(means, ddof=1)) / math.sqrt(count)
    low = max(0.0, abs(mean) - half)
    return ReportLine(
        f"{name}: bias ({mean:+.1f} min of {count})", "at most", most, abs(mean), low, abs(mean) + half, row=row
    )


def _student(degrees: int) -> float:
    """Return Student's t for ``Z``, by its expansion in 1/degrees (Abramowitz & Stegun 1964, 26.7.5)."""
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    third = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    return Z + first / degrees + second / degrees**2 + third / degrees**3
