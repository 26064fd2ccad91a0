"""Supply: how many tasks a queue's people can complete from now until a moment. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from streams.core.policy import HOUR_MS

MIN_EFFICIENCY = 0.2
"""Below a fifth of the roster something other than pace is wrong (an outage), and it seldom lasts until a due time."""

MAX_EFFICIENCY = 1.1
"""People do not work faster than planned for hours on end."""

NOMINAL_EFFICIENCY = 1.0

_NOTHING = 1e-9
"""Tasks per hour that rounding leaves behind where stretches end."""


class Stretch(NamedTuple):
    """A constant capacity: ``tasks_per_hour`` from ``from_ms`` (included) to ``to_ms`` (excluded)."""

    from_ms: int
    to_ms: int
    tasks_per_hour: float


class RecentWork(NamedTuple):
    """What happened in one short stretch of the past.

    Attributes:
        start_ms: Its beginning.
        length_ms: Its length.
        completed: Tasks completed in it.
        rostered: Tasks the roster could complete in it; 0 without a roster.
        backlogged: Whether work was waiting all the while, so that completions tell of people and not of arrivals.
    """

    start_ms: int
    length_ms: int
    completed: int
    rostered: float
    backlogged: bool


class Supply:
    """Capacity ahead, as steps.

    Attributes:
        stretches: In order of time, without overlaps; outside of them nobody works.
    """

    __slots__ = ("stretches",)

    def __init__(self, stretches: Iterable[Stretch]) -> None:
        """Hold stretches of capacity; those that overlap add up.

        Raises:
            ValueError: A stretch ends before it begins or has a negative rate.
        """
        given = [stretch for stretch in stretches if stretch.to_ms != stretch.from_ms]
        for stretch in given:
            if stretch.to_ms < stretch.from_ms or stretch.tasks_per_hour < 0:
                raise ValueError(f"{stretch}: a stretch ends after it begins and completes 0 or more tasks an hour")
        edges = sorted({edge for stretch in given for edge in (stretch.from_ms, stretch.to_ms)})
        change: dict[int, list[float]] = {edge: [] for edge in edges}
        for stretch in given:
            change[stretch.from_ms].append(stretch.tasks_per_hour)
            change[stretch.to_ms].append(-stretch.tasks_per_hour)
        rate = 0.0
        self.stretches: list[Stretch] = []
        for from_ms, to_ms in pairwise(edges):
            rate += math.fsum(change[from_ms])
            if rate > _NOTHING:
                self.stretches.append(Stretch(from_ms, to_ms, rate))

    def tasks_until(self, now_ms: int, moments_ms: Sequence[int]) -> list[float]:
        """Return S(d), the tasks that can be completed in (now, d], for each d.

        Source: S(d) of docs/forecast.md.

        Args:
            now_ms: The watermark.
            moments_ms: Ascending moments d.

        Returns:
            One number per moment, never falling; 0 for moments not after now. Costs O(stretches + moments).
        """
        found: list[float] = []
        done, at_ms, place = 0.0, now_ms, 0
        for moment_ms in moments_ms:
            while place < len(self.stretches) and at_ms < moment_ms:
                stretch = self.stretches[place]
                from_ms, to_ms = max(at_ms, stretch.from_ms), min(moment_ms, stretch.to_ms)
                if to_ms > from_ms:
                    done += stretch.tasks_per_hour * (to_ms - from_ms) / HOUR_MS
                if stretch.to_ms > moment_ms:
                    break
                place += 1
            at_ms = max(at_ms, moment_ms)
            found.append(done)
        return found

    def scaled(self, factor: float) -> Supply:
        """Return the same stretches with every rate times ``factor``."""
        return Supply(stretch._replace(tasks_per_hour=stretch.tasks_per_hour * factor) for stretch in self.stretches)


def steady(now_ms: int, until_ms: int, tasks_per_hour: float) -> Supply:
    """Return one constant rate from now until a moment: the supply of a queue nobody sends a roster for."""
    return Supply([Stretch(now_ms, until_ms, tasks_per_hour)])


def efficiency(past: Iterable[RecentWork], known: float | None = None) -> float:
    """Return completions over rostered capacity while work was waiting, clipped to [0.2, 1.1].

    Source: docs/forecast.md, Pace: efficiency = completed / planned over 60 minutes in which work was waiting.

    Args:
        past: What happened in the last 60 minutes.
        known: The efficiency held before; it stands while the past hour had no backlog to measure it on.

    Returns:
        The efficiency; ``known`` (or 1, the roster as planned) when nothing was both backlogged and rostered.

    Example:
        >>> efficiency([RecentWork(0, 300_000, 8, 10.0, True), RecentWork(300_000, 300_000, 1, 10.0, False)])
        0.8
    """
    measured = [worked for worked in past if worked.backlogged and worked.rostered > 0]
    rostered = math.fsum(worked.rostered for worked in measured)
    if rostered <= 0:
        return NOMINAL_EFFICIENCY if known is None else known
    completed = sum(worked.completed for worked in measured)
    return min(MAX_EFFICIENCY, max(MIN_EFFICIENCY, completed / rostered))


def recent_tasks_per_hour(past: Iterable[RecentWork], known: float | None = None) -> float | None:
    """Return the rate at which tasks were completed while work was waiting.

    Source: docs/forecast.md, Pace: the recent rate, used without a roster.

    Args:
        past: What happened in the last 60 minutes.
        known: The rate held before, for an hour without backlog.

    Returns:
        Tasks per hour; without any backlog the greater of ``known`` and the plain rate of the hour, which arrivals have
        limited and which is therefore the least the people can do; None without a past.
    """
    stretches = list(past)
    measured = [worked for worked in stretches if worked.backlogged]
    if measured:
        return _rate(measured)
    plain = _rate(stretches) if stretches else None
    if known is None or plain is None:
        return known if plain is None else plain
    return max(known, plain)


def _rate(stretches: list[RecentWork]) -> float:
    length_ms = sum(worked.length_ms for worked in stretches)
    return sum(worked.completed for worked in stretches) * HOUR_MS / length_ms if length_ms else 0.0
