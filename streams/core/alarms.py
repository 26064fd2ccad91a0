"""Timers of one partition in event time: open tasks that fall due, and tasks that expire.

Timers are not stored. After a restart both kinds are made again from the tasks.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence

from streams.core.facts import Fact
from streams.core.policy import HOUR_MS, MINUTE_MS
from streams.core.task_view import TaskView

NEVER_MS = 1 << 62


def open_due_ms(facts: Sequence[Fact]) -> int | None:
    """Return when a task is due; None if it is complete, cancelled or without a due time.

    Args:
        facts: The task's facts in log order.
    """
    view = TaskView(facts)
    if view.cancelled or view.completing() is not None:
        return None
    return view.promise()[1]


class DueAlarms:
    """Which open tasks to look at when their due time comes.

    Tasks wait in one list per minute, eight bytes each; only the minute of the watermark is a heap. When a minute has
    come, the facts of a task say when it is due and whether it is still open. So no timer needs to be cancelled; a task
    may wait in a minute that no longer matters, or twice in the same one.
    """

    __slots__ = ("_by_minute", "_minutes", "_now")

    def __init__(self) -> None:
        """Start without alarms."""
        self._by_minute: dict[int, list[str]] = {}
        self._minutes: list[int] = []
        self._now: list[tuple[int, str]] = []

    def set(self, task_id: str, due_ms: int, watermark_ms: int) -> None:
        """Look at a task when a due time comes, unless it has passed."""
        if due_ms <= watermark_ms:
            return
        minute = due_ms // MINUTE_MS
        if minute <= watermark_ms // MINUTE_MS:
            heapq.heappush(self._now, (due_ms, task_id))
        else:
            self.wait(task_id, minute)

    def wait(self, task_id: str, minute: int) -> None:
        """Look at a task when a minute has begun that the watermark has not reached yet."""
        waiting = self._by_minute.get(minute)
        if waiting is None:
            self._by_minute[minute] = [task_id]
            heapq.heappush(self._minutes, minute)
        else:
            waiting.append(task_id)

    def next_ms(self) -> int:
        """Return the earliest time at which ``pop`` may have something; ``NEVER_MS`` without alarms."""
        now_ms = self._now[0][0] if self._now else NEVER_MS
        return min(now_ms, self._minutes[0] * MINUTE_MS) if self._minutes else now_ms

    def pop(self, watermark_ms: int, due_of: Callable[[str], int | None]) -> Iterator[tuple[str, int]]:
        """Yield (task, due_ms) of the open tasks that have become overdue, each at most once per due time.

        Args:
            watermark_ms: The time that has come.
            due_of: Returns when a task is due, None for one that is not open or promises nothing.
        """
        while self._minutes and self._minutes[0] * MINUTE_MS <= watermark_ms:
            minute = heapq.heappop(self._minutes)
            for task_id in dict.fromkeys(self._by_minute.pop(minute)):
                due_ms = due_of(task_id)
                # A task whose due time has moved is also on the list of its new minute, so this entry is ignored.
                if due_ms is not None and due_ms // MINUTE_MS == minute:
                    heapq.heappush(self._now, (due_ms, task_id))
        last: tuple[int, str] | None = None
        while self._now and self._now[0][0] <= watermark_ms:
            alarm = heapq.heappop(self._now)
            due_ms, task_id = alarm
            if alarm != last and due_of(task_id) == due_ms:
                yield task_id, due_ms
            last = alarm


class Expiry:
    """Which tasks to look at when an hour is a correction horizon behind the watermark."""

    __slots__ = ("_by_hour",)

    def __init__(self) -> None:
        """Start empty."""
        self._by_hour: dict[int, list[str]] = {}

    def watch(self, task_id: str, last_ms: int) -> None:
        """Look at a task when the hour of ``last_ms`` is a horizon behind."""
        self.watched(last_ms).append(task_id)

    def watched(self, last_ms: int) -> list[str]:
        """Return the tasks to look at when the hour of ``last_ms`` is a horizon behind, to be added to."""
        found = self._by_hour.get(last_ms // HOUR_MS)
        if found is None:
            found = self._by_hour[last_ms // HOUR_MS] = []
        return found

    def take(self, upto_hour: int) -> Iterator[str]:
        """Yield, and forget, the tasks watched for hours up to ``upto_hour``; a task may come more than once."""
        for hour in sorted(hour for hour in self._by_hour if hour <= upto_hour):
            yield from self._by_hour.pop(hour)
