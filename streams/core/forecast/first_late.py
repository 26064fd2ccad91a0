"""When the first due time will be missed: by due time, and in order of arrival. Pure.

The processor-demand test tells when more is due than can be done. The first task is late before that: people finish what they
are at, each task takes its own time, and of many that are nearly late one takes long. So each task has the chance that its
handle time is longer than the time left when somebody begins it, and the time told is the one by which a task has been missed
with a chance of one half: the median of the first miss. Beginnings follow the pace, a task in rank k being begun when all but
those in progress before it are done.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from streams.core.forecast.supply import Supply
from streams.core.policy import DAY_MS, HOUR_MS, MINUTE_MS

LONGEST_MS = DAY_MS
"""How far ahead a first miss is looked for."""

EVEN = math.log(0.5)
"""Logarithm of the chance that no task has been missed by the time told: the median of the first miss."""

_PARTS = 12
"""The tasks of one minute are looked at in so many parts at most: a batch of hundreds differs little within a twelfth."""


class Dated(NamedTuple):
    """Open tasks of one minute: of their creation, or of their due time."""

    at_ms: int
    tasks: int


class Coming(NamedTuple):
    """Tasks still to come: so many an hour, each due so long after it comes."""

    tasks_per_hour: float
    promise_ms: float


class HandleTimes:
    """How long a task takes once it is begun, as a distribution."""

    def __init__(self, found: Iterable[tuple[float, int]]) -> None:
        """Take (handle time in ms, how many), ascending."""
        self._times: list[float] = []
        self._below: list[int] = []
        total, time_sum = 0, 0.0
        self._held: list[tuple[float, int]] = list(found)
        for time_ms, count in self._held:
            self._times.append(time_ms)
            self._below.append(total)
            total += count
            time_sum += time_ms * count
        self._total = total
        self.longest_ms = self._times[-1] if self._times else 0.0
        self.mean_ms = time_sum / total if total else 0.0
        squares = math.fsum((time_ms - self.mean_ms) ** 2 * count for time_ms, count in self._held)
        self.spread_ms = math.sqrt(squares / total) if total else 0.0

    def longer(self, time_ms: float) -> float:
        """Return the share of tasks that take longer than a time; of none seen, 1 where no time is left.

        Source: docs/forecast.md, When.
        """
        if not self._total:
            return 1.0 if time_ms < 0 else 0.0
        at = bisect_left(self._times, time_ms)
        return 1 - self._below[at] / self._total if at < len(self._times) else 0.0

    def left_longer(self, time_ms: float) -> float:
        """Return the share of tasks in progress that take longer than a time from now: Σ(t − time)⁺/Σt over those seen.

        Source: docs/forecast.md, When; the residual life of a renewal process.
        """
        if not self.mean_ms or time_ms <= 0:
            return self.longer(time_ms)
        left = math.fsum((t - time_ms) * n for t, n in self._held if t > time_ms)
        return left / (self._total * self.mean_ms)


def in_progress(supply: Supply, now_ms: int, handle_ms: float) -> float:
    """Return how many tasks are in progress at a pace: those an hour from now on times the mean handle time.

    Source: Little 1961, "A proof for the queuing formula L = λW".
    """
    return supply.tasks_until(now_ms, [now_ms + HOUR_MS])[0] * handle_ms / HOUR_MS


class Begun:
    """When the task of a rank is begun at a pace."""

    def __init__(self, now_ms: int, supply: Supply, handle_ms: float, until_ms: int) -> None:
        """Follow a supply until it is not known further, to the full minute; about ``handle_ms`` of it are always in progress."""
        self._now_ms, self.until_ms = now_ms, until_ms
        end_ms = now_ms + -(-(until_ms - now_ms) // MINUTE_MS) * MINUTE_MS
        edges = {edge for stretch in supply.stretches for edge in stretch[:2] if now_ms < edge < end_ms}
        self._moments = sorted({now_ms, end_ms, *edges})
        self._done = supply.tasks_until(now_ms, self._moments)
        self.in_progress = in_progress(supply, now_ms, handle_ms)

    def at_ms(self, rank: float) -> float:
        """Return when the task of a rank is begun; infinity where it is not until the end.

        Source: docs/forecast.md, When.
        """
        before = rank - self.in_progress
        if before <= 0:
            return float(self._now_ms)
        at = bisect_left(self._done, before)
        if at >= len(self._done):
            return math.inf
        step = (self._done[at] - before) / (self._done[at] - self._done[at - 1])
        return self._moments[at] - (self._moments[at] - self._moments[at - 1]) * step


def first_miss_by_due(
    due: Sequence[Dated],
    coming: Sequence[Coming],
    begun: Begun,
    handle: HandleTimes,
    now_ms: int,
    until_ms: int,
    log_none_is: float = EVEN,
) -> int | None:
    """Return the median of the first due time missed where the earliest due is taken first, or another quantile.

    Source: docs/forecast.md, When.

    Args:
        due: Open tasks by due minute, ascending; those before now are overdue and stand in front.
        coming: What is still to come; a task that comes later is in front of those due after it.
        begun: When ranks are begun.
        handle: How long tasks take.
        now_ms: Now.
        until_ms: How far to look.
        log_none_is: Logarithm of the chance that no task has been missed by the time told.

    Returns:
        A due time in ms; None where the work fits at the pace: each task is done, on average, before it is due. For a later
        quantile than the median None also where that chance is never so small.
    """
    ahead = {one.at_ms: float(one.tasks) for one in due if one.at_ms > now_ms}
    rank = float(sum(one.tasks for one in due if one.at_ms <= now_ms))
    log_none = 0.0
    found: int | None = None
    for minute_ms in range(now_ms // MINUTE_MS * MINUTE_MS, until_ms, MINUTE_MS):
        tasks = ahead.get(minute_ms, 0.0)
        for one in coming:
            if minute_ms >= now_ms + one.promise_ms:
                tasks += one.tasks_per_hour / 60
        if not tasks:
            continue
        due_ms = minute_ms + MINUTE_MS / 2
        rank += tasks
        if due_ms - begun.at_ms(rank) > handle.longest_ms:
            continue  # the last of them has time enough, whatever it takes: almost always so
        log_none += _log_none_of(rank - tasks, tasks, 1.0, due_ms, begun, handle)
        if found is None and log_none <= log_none_is:
            found = minute_ms
        if log_none_is < EVEN:
            if found:
                return found
        elif begun.at_ms(rank - min(1.0, tasks) / 2) + handle.mean_ms > due_ms:
            return found or minute_ms
    return None


def first_miss_by_arrival(
    created: Sequence[Dated],
    held: tuple[float, float],
    coming: tuple[float, float],
    per_hour: float,
    begun: Begun,
    handle: HandleTimes,
    now_ms: int,
) -> int | None:
    """Return the median of the first due time missed where tasks are taken as they came.

    All wait alike then, so those with the shortest promise are missed first. What is due after ``begun.until_ms`` is not
    judged: nothing is known of the pace there. Source: docs/forecast.md, When.

    Args:
        created: Open tasks by minute of creation, ascending.
        held: Their shortest promise in ms, and its share of them.
        coming: The same of tasks still to come.
        per_hour: How many of these come in an hour.
        begun: When ranks are begun.
        handle: How long tasks take.
        now_ms: Now.

    Returns:
        A due time in ms; None where what is due until then fits at the pace.
    """
    rank = log_none = 0.0
    found: int | None = None
    ahead = [(at, per_hour / 60, coming) for at in range(now_ms, now_ms + LONGEST_MS, MINUTE_MS)]
    for at_ms, tasks, (promise_ms, share) in [*((at, float(n), held) for at, n in created), *ahead]:
        rank += tasks
        due_ms = at_ms + promise_ms
        if not now_ms < due_ms <= begun.until_ms:
            continue
        judged_ms = due_ms + MINUTE_MS / 2
        if judged_ms - begun.at_ms(rank) > handle.longest_ms:
            continue
        log_none += _log_none_of(rank - tasks, tasks, share, judged_ms, begun, handle)
        if found is None and log_none <= EVEN:
            found = round(due_ms)
        if begun.at_ms(rank - min(1.0, tasks) / 2) + handle.mean_ms > judged_ms:
            return found or round(due_ms)
    return None


def _log_none_of(before: float, tasks: float, share: float, due_ms: float, begun: Begun, handle: HandleTimes) -> float:
    """Return the logarithm of the chance that none of a minute's tasks is late; of many, the last are begun much later.

    Args:
        before: Tasks in front of them.
        tasks: How many there are.
        share: Which share of them is due at ``due_ms``.
        due_ms: When they are due.
        begun: When ranks are begun.
        handle: How long tasks take.
    """
    parts = max(1, min(_PARTS, math.ceil(tasks)))
    each = tasks / parts
    found = 0.0
    for part in range(parts):
        rank = before + (part + 1) * each
        late = handle.longer if rank > begun.in_progress else handle.left_longer
        chance = late(due_ms - begun.at_ms(rank - each / 2))
        found += each * share * math.log1p(-min(chance, 1 - 1e-12))
    return found
