"""Alarms: what the passing of event time sets off in one partition: open tasks falling due, tasks expiring.

Nothing here is stored. After a restart both are made again from the tasks.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from streams.core.policy import HOUR_MS, MINUTE_MS

NEVER_MS = 1 << 62


class DueAlarms:
    """Due times of open tasks.

    Tasks wait in a list a minute: a heap of every open task would cost a hundred bytes each. Only the minute the
    watermark stands in is a heap.

    Attributes:
        due_ms: Due time by open task, also of tasks already overdue.
    """

    __slots__ = ("_by_minute", "_minutes", "_now", "due_ms")

    def __init__(self) -> None:
        """Start without alarms."""
        self.due_ms: dict[str, int] = {}
        self._by_minute: dict[int, list[str]] = {}
        self._minutes: list[int] = []
        self._now: list[tuple[int, str]] = []

    def set(self, task_id: str, due_ms: int, watermark_ms: int) -> None:
        """Set a task's due time; an alarm waits for it unless it has passed."""
        if self.due_ms.get(task_id) == due_ms:
            return
        self.due_ms[task_id] = due_ms
        if due_ms <= watermark_ms:
            return
        minute = due_ms // MINUTE_MS
        if minute <= watermark_ms // MINUTE_MS:
            heapq.heappush(self._now, (due_ms, task_id))
        elif (waiting := self._by_minute.get(minute)) is None:
            self._by_minute[minute] = [task_id]
            heapq.heappush(self._minutes, minute)
        else:
            waiting.append(task_id)

    def clear(self, task_id: str) -> None:
        """Forget a task that is open no more."""
        self.due_ms.pop(task_id, None)

    def next_ms(self) -> int:
        """Return the earliest time at which ``pop`` may have something; ``NEVER_MS`` without alarms."""
        now_ms = self._now[0][0] if self._now else NEVER_MS
        return min(now_ms, self._minutes[0] * MINUTE_MS) if self._minutes else now_ms

    def pop(self, watermark_ms: int) -> Iterator[tuple[str, int]]:
        """Yield (task, due_ms) of the tasks that have become overdue, each at most once per due time."""
        while self._minutes and self._minutes[0] * MINUTE_MS <= watermark_ms:
            minute = heapq.heappop(self._minutes)
            for task_id in self._by_minute.pop(minute):
                due_ms = self.due_ms.get(task_id)
                # A task whose due time has moved is on the list of its new minute too: this entry is void.
                if due_ms is not None and due_ms // MINUTE_MS == minute:
                    heapq.heappush(self._now, (due_ms, task_id))
        while self._now and self._now[0][0] <= watermark_ms:
            due_ms, task_id = heapq.heappop(self._now)
            if self.due_ms.get(task_id) == due_ms:
                # Overdue tasks keep no due time: a task may be set to the same one again, and is then overdue at once.
                del self.due_ms[task_id]
                yield task_id, due_ms


class Expiry:
    """Which tasks to look at when the watermark has left an hour the correction horizon behind."""

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
