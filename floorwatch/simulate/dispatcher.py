"""Work by due time: tasks that are ready lie on a desk per queue, and whoever is free takes the one that is due first."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Any

from floorwatch.simulate.chance import Chance
from floorwatch.simulate.people import Availability, Labeler

_NEVER_MS = 1 << 62


class Dispatcher:
    """Ready tasks of every queue, ordered by due time; those without one come last."""

    def __init__(self, roster: Availability, queues: int) -> None:
        self._roster = roster
        self._ready: list[list[tuple[int, int, Any]]] = [[] for _ in range(queues)]
        self._known: dict[str, list[int]] = {}

    def put(self, task: Any, queue_index: int, due_ms: int | None, serial: int) -> None:
        """Lay down a task; ``serial`` decides between those due at one time."""
        heappush(self._ready[queue_index], (_NEVER_MS if due_ms is None else due_ms, serial, task))

    def matched(self, queue_index: int, now_ms: int, chance: Chance) -> list[tuple[Any, Labeler]]:
        """Give the tasks of a queue to those who know it and are idle, the earliest due first."""
        ready = self._ready[queue_index]
        idle = [p for p in self._roster.candidates(queue_index, now_ms) if p.free_at_ms <= now_ms]
        found = []
        while ready and idle:
            labeler = chance.one_of(idle)
            idle.remove(labeler)
            found.append((heappop(ready)[2], labeler))
        return found

    def taken_by(self, labeler: Labeler, now_ms: int) -> list[tuple[Any, Labeler]]:
        """Let somebody who is free take the task due first in all queues they know; none when off shift."""
        if labeler.free_at_ms > now_ms or not self._roster.can_work(labeler, now_ms):
            return []
        known = self._known.get(labeler.labeler_id)
        if known is None:
            known = self._known[labeler.labeler_id] = self._roster.queues_of(labeler)
        waiting = [index for index in known if self._ready[index]]
        if not waiting:
            return []
        best = min(waiting, key=lambda index: self._ready[index][0][:2])
        return [(heappop(self._ready[best])[2], labeler)]
