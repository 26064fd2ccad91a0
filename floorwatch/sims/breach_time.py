"""When will the first due time be missed? The time that a queue's forecast tells, against the task that is missed first.

One queue with people who each take the next task when they are free, earliest due first or in order of arrival. Its panes are
what a worker keeps of it, and the forecast is made and paged on as a worker does. What is told at the page, and every few minutes
from the shortest promise before the first miss on, is held against that miss: the first due time of a task that was missed after
it had waited for half its promise or longer. A task that is begun earlier and still missed took too long by itself; no pace of
the others would have helped it, and the forecast does not claim to know it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from floorwatch.sims.breach import WorkerAlarm
from floorwatch.sims.lines import ReportLine, Z
from floorwatch.sims.queue_day import LONGEST_H, START_MS, Order, QueueFloor, QueuePanes, Work
from streams.core.forecast.observe import outlook, outlook_row
from streams.core.policy import HOUR_MS, MINUTE_MS
from streams.models.timestamps import parse_rfc3339_ms

ROWS = (15,)
CPU_S = 365.0
RUNS, PAGED_RUNS = 200, 40
BIAS_MIN = 5.0
RANGE_COVERS = 0.8
"""Where few tasks are done in an hour a range is told: of the times told on a day, in so many it holds the miss."""

_OFTEN = 0.1
"""Of what was told, the share of ranges from which on they are reported."""

PAGE_BIAS_MIN = 15.0
"""With the page itself: it comes when the pace looks worst, so what is told with it is early."""

_SETTLED_MIN = 120
_LOOKS = 12


class ToldTimes(NamedTuple):
    """What was told at one moment, in ms; None where no due time was to be missed, or no range was told."""

    at_ms: int
    by_due_ms: int | None
    by_arrival_ms: int | None
    low_ms: int | None = None
    high_ms: int | None = None

    def of(self, order: Order) -> int | None:
        """Return what was told for an order of work."""
        return self.by_due_ms if order == "due" else self.by_arrival_ms


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

    def ranges(self) -> list[bool]:
        """Return, of each range told at most the shortest promise before the miss, whether it held the miss.

        Times are told by the minute. A range without a late end is open: the miss may come at any time after the early end.
        """
        return [
            one.low_ms <= self.missed_ms + MINUTE_MS
            and (one.high_ms is None or self.missed_ms <= one.high_ms + MINUTE_MS)
            for one in self.told
            if one.low_ms is not None
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
    last_ms = START_MS + LONGEST_H * HOUR_MS if missed_ms is None else missed_ms
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
            told.append(ToldTimes(now_ms, *(_ms(row[name]) for name in _TOLD)))
        page_ms = now_ms if up else page_ms
    return Followed(shortest_min * MINUTE_MS, told, page_ms, missed_ms)


_TOLD = ("breach_at", "breach_at_by_arrival", "breach_at_low", "breach_at_high")


def _first_miss(floor: QueueFloor) -> int | None:
    for now_ms in range(START_MS + MINUTE_MS, START_MS + LONGEST_H * HOUR_MS, MINUTE_MS):
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

    The alarm is followed too on 40 days of each queue with one promise. Where most of what was told were ranges, the row of the
    issue is judged by the ranges; the bias of the single times is printed then, but not judged as such.
    """
    runs, alarms = max(8, round(RUNS * scale)), max(8, round(PAGED_RUNS * scale))
    lines = []
    for number, work in enumerate(SINGLE):
        found = [follow([seed, 15, number, at], work, "due", paged=at < alarms) for at in range(runs)]
        held = [one.ranges() for one in found]
        share = sum(map(len, held)) / max(1, sum(len(one.errors_min("due")) for one in found))
        lines += [
            _bias(
                f"one promise of {work.words}: from a promise before on",
                [one.errors_min("due") for one in found],
                row=15 if share < 0.5 else None,
                most=BIAS_MIN if share < 0.5 else PAGE_BIAS_MIN,
            ),
            *([_covers(f"one promise of {work.words}: the range told", held)] if share > _OFTEN else []),
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


def _covers(name: str, held: list[list[bool]]) -> ReportLine:
    """Return how many of the ranges told held the miss, each run counting once, with its 99% interval."""
    means = [sum(of_run) / len(of_run) for of_run in held if of_run]
    if len(means) < 2:
        return ReportLine(
            f"{name}: holds the miss", "at least", RANGE_COVERS, 0.0, 0.0, 1.0, "too few were told", row=15
        )
    mean = sum(means) / len(means)
    half = _student(len(means) - 1) * float(np.std(means, ddof=1)) / math.sqrt(len(means))
    low, high = max(0.0, mean - half), min(1.0, mean + half)
    return ReportLine(f"{name} ({len(means)} days): holds the miss", "at least", RANGE_COVERS, mean, low, high, row=15)


def _student(degrees: int) -> float:
    """Return Student's t for ``Z``, by its expansion in 1/degrees (Abramowitz & Stegun 1964, 26.7.5)."""
    first = (Z**3 + Z) / 4
    second = (5 * Z**5 + 16 * Z**3 + 3 * Z) / 96
    third = (3 * Z**7 + 19 * Z**5 + 17 * Z**3 - 15 * Z) / 384
    return Z + first / degrees + second / degrees**2 + third / degrees**3
