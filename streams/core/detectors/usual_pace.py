"""The usual pace of an hour: that of the same hour of earlier days that were like the same day of the week.

One week lies before each hour where corrections reach back fourteen days. The same hour of that week is one count, and says
little where twelve labels come in an hour. So the same hour of the days between is counted too, where the day as a whole and the hour
itself were like those a week ago: a Tuesday is judged by Monday as well, and a Saturday is not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from streams.core.detectors.watch import Panes
from streams.models.timestamps import DAY_MS, HOUR_MS

HOUR_TIER = 2

_DAYS_OF_WEEK = 7
_QUARTERS = 4

_APART = 0.2
_APART_ERRORS = 1.5
"""Days (or hours) are alike whose paces differ by less than 20% and 1.5 standard errors of their counts."""


class WorkDone(NamedTuple):
    """Labels, and the time in which they could be made.

    Attributes:
        done: Labels.
        exposure: Scheduled person-time in ms, or quarters of an hour where there is no roster.
    """

    done: int
    exposure: int


_NO_WORK = WorkDone(0, 0)


class Usual(NamedTuple):
    """What was done before in hours like one.

    Attributes:
        done: Labels in them, above 0.
        exposure: Time in them.
        by_roster: Whether time is scheduled person-time.
    """

    done: int
    exposure: int
    by_roster: bool

    def expected(self, exposure: int) -> float:
        """Return the labels to expect in a time.

        Source: their labels · time/their time.
        """
        return self.done * exposure / self.exposure


class _Before(NamedTuple):
    """The days before one: starts of the same weekday in the weeks before, and of others like it without a roster and with one."""

    weekly: list[int]
    like: tuple[list[int], list[int]]


class PastHours:
    """The hours of a scope, as far as they are needed, and what they lead to expect."""

    __slots__ = ("_before", "_day_of", "_days", "_first_ms", "_hours", "_labels", "_scheduled", "_weeks")

    def __init__(self, labels: int, scheduled: int, day_of: Callable[[int], int]) -> None:
        """Start with nothing known.

        Args:
            labels: Counter that counts labels.
            scheduled: Counter that sums scheduled person-time.
            day_of: Returns the start of the scope's day that an instant lies in.
        """
        self._labels, self._scheduled = labels, scheduled
        self._day_of = day_of
        self._hours: dict[int, WorkDone] = {}
        self._days: dict[int, tuple[WorkDone, WorkDone]] = {}
        self._before: dict[int, _Before] = {}
        self._first_ms = 0
        self._weeks = 0

    def forget(self, hour_ms: int) -> None:
        """Forget an hour that has changed, its day, and what was made of it."""
        self._hours.pop(hour_ms, None)
        self._days.pop(self.day_of(hour_ms), None)
        self._before = {day_ms: found for day_ms, found in self._before.items() if day_ms <= hour_ms}

    def forget_all(self) -> None:
        """Forget everything."""
        self._hours.clear()
        self._days.clear()
        self._before.clear()

    def begin(self, panes: Panes) -> None:
        """Look how far the hours reach back, before ``usual`` is asked."""
        self._first_ms = min(panes.starts(HOUR_TIER), default=0)
        self._weeks = panes.kept_ms(HOUR_TIER) // DAY_MS // _DAYS_OF_WEEK - 1

    def day_of(self, hour_ms: int) -> int:
        """Return the first hour of the scope's day that an hour lies in; where days begin at half past, the hour after."""
        return -(-self._day_of(hour_ms) // HOUR_MS) * HOUR_MS

    def usual(self, panes: Panes, hour_ms: int) -> Usual | None:
        """Return what was done before in hours like one; None where there is nothing to judge by.

        Hours with a roster are compared with hours with one, by scheduled time, and others with others.
        The same hour of the weeks before says which.

        Args:
            panes: The scope's panes.
            hour_ms: Start of the hour.
        """
        today_ms = self.day_of(hour_ms)
        before = self._before.get(today_ms)
        if before is None:
            before = self._before[today_ms] = self._days_before(panes, today_ms)
        into_ms = hour_ms - today_ms
        if not before.weekly or before.weekly[-1] + into_ms < self._first_ms:
            return None
        weekly = [self._hour(panes, day_ms + into_ms) for day_ms in before.weekly]
        by_roster = any(scheduled.exposure for _, scheduled in weekly)
        same = _sum([hour[by_roster] for hour in weekly])
        if same.exposure <= 0:
            return None
        done, exposure = same
        for day_ms in before.like[by_roster]:
            work = self._hour(panes, day_ms + into_ms)[by_roster]
            if _alike(work, same):
                done, exposure = done + work.done, exposure + work.exposure
        return Usual(done, exposure, by_roster) if done else None

    def _days_before(self, panes: Panes, today_ms: int) -> _Before:
        """Return the same weekday of the weeks before, and the other days that were like it."""
        days = [self.day_of(today_ms - n * DAY_MS + DAY_MS // 2) for n in range(1, _DAYS_OF_WEEK * self._weeks + 1)]
        weekly = days[_DAYS_OF_WEEK - 1 :: _DAYS_OF_WEEK]
        others = [day_ms for day_ms in days if day_ms not in weekly]
        like = []
        for kind in (0, 1):
            same = _sum([self._day(panes, day_ms)[kind] for day_ms in weekly])
            like.append([day_ms for day_ms in others if _alike(self._day(panes, day_ms)[kind], same)])
        return _Before(weekly, (like[0], like[1]))

    def _hour(self, panes: Panes, hour_ms: int) -> tuple[WorkDone, WorkDone]:
        """Return the work of an hour, as one without a roster and as one with a roster; one of them has no exposure."""
        held = self._hours.get(hour_ms)
        if held is None:
            counters = panes.counters(HOUR_TIER, hour_ms)
            held = WorkDone(counters.get(self._labels, 0), counters.get(self._scheduled, 0))
            self._hours[hour_ms] = held
        if held.exposure > 0:
            return _NO_WORK, held
        return WorkDone(held.done, _QUARTERS), _NO_WORK

    def _day(self, panes: Panes, day_ms: int) -> tuple[WorkDone, WorkDone]:
        held = self._days.get(day_ms)
        if held is None:
            until_ms = self.day_of(day_ms + DAY_MS + DAY_MS // 2)
            hours = [self._hour(panes, hour_ms) for hour_ms in range(day_ms, until_ms, HOUR_MS)]
            held = _sum([hour[0] for hour in hours]), _sum([hour[1] for hour in hours])
            self._days[day_ms] = held
        return held


def _sum(works: Sequence[WorkDone]) -> WorkDone:
    return WorkDone(sum([work.done for work in works]), sum([work.exposure for work in works]))


def _alike(one: WorkDone, other: WorkDone) -> bool:
    """Whether two paces differ by no more than ``_APART`` and ``_APART_ERRORS``.

    Source: the variance of the log of a Poisson count, by the delta method, with half a label added.
    """
    if one.exposure <= 0 or other.exposure <= 0:
        return False
    apart = math.log((one.done + 0.5) * other.exposure / ((other.done + 0.5) * one.exposure))
    error = math.sqrt(1.0 / (one.done + 1.0) + 1.0 / (other.done + 1.0))
    return abs(apart) <= _APART + _APART_ERRORS * error
