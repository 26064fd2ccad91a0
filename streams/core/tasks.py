"""Tasks of one partition: the recently used in memory within a bound, the rest in a cold store behind a port.

The changelog is the truth of both, so a cold store may forget everything at a restart; it only must not be wrong while
it is open.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Protocol

from streams.core.facts import Packed

_KEPT_SHARE = 0.9
"""Of the bound, how much stays hot after cooling: many tasks at once cost less each."""


class ColdStore(Protocol):
    """Where tasks beyond the bound go."""

    def get(self, task_id: str) -> Packed | None:
        """Return a task, None where there is none."""

    def put_many(self, tasks: Iterable[tuple[str, Packed]]) -> bool:
        """Store tasks; False when there is no room: nothing may have been stored then, and the tasks stay hot."""

    def delete(self, task_id: str) -> None:
        """Forget a task."""

    def items(self) -> Iterator[tuple[str, Packed]]:
        """Yield every task."""

    def close(self) -> None:
        """Let go of everything."""


class TaskTable:
    """Packed facts by task.

    Attributes:
        hot: The tasks in memory, least recently changed first.
        hot_limit: Tasks kept hot; more are moved to the cold store by ``cool``.
        cold_tasks: How many tasks are cold.
        refused: How often the cold store had no room.
    """

    __slots__ = ("_cold", "cold_tasks", "hot", "hot_limit", "refused")

    def __init__(self, cold: ColdStore | None = None, hot_limit: int = 1 << 60) -> None:
        """Start empty.

        Args:
            cold: Where tasks beyond ``hot_limit`` go; None keeps all in memory.
            hot_limit: Tasks kept in memory.
        """
        self.hot: dict[str, Packed] = {}
        self.hot_limit = hot_limit
        self.cold_tasks = 0
        self.refused = 0
        self._cold = cold

    def __len__(self) -> int:
        """Return how many tasks are held, hot and cold."""
        return len(self.hot) + self.cold_tasks

    def __contains__(self, task_id: str) -> bool:
        """Tell whether a task is held; a cold one becomes hot, for it is about to change."""
        return task_id in self.hot or self._warm(task_id) is not None

    def get(self, task_id: str) -> Packed | None:
        """Return a task's facts, None for a task not held; a cold one becomes hot."""
        found = self.hot.get(task_id)
        return found if found is not None else self._warm(task_id)

    def peek(self, task_id: str) -> Packed | None:
        """Return a task's facts without making it hot."""
        found = self.hot.get(task_id)
        if found is None and self._cold is not None and self.cold_tasks:
            found = self._cold.get(task_id)
        return found

    def put(self, task_id: str, packed: Packed) -> None:
        """Set a task's facts; it is now the most recently changed."""
        self.hot.pop(task_id, None)
        self.hot[task_id] = packed

    def remove(self, task_id: str) -> None:
        """Let go of a task."""
        if self.hot.pop(task_id, None) is None and self._warm(task_id) is not None:
            del self.hot[task_id]

    def items(self) -> Iterator[tuple[str, Packed]]:
        """Yield every task."""
        yield from self.hot.items()
        if self._cold is not None and self.cold_tasks:
            yield from self._cold.items()

    def cool(self) -> None:
        """Move the least recently changed tasks out of memory where there are more than ``hot_limit``.

        A full disk moves nothing: numbers stay right, memory grows, and ``refused`` says so.
        """
        if self._cold is None or len(self.hot) <= self.hot_limit:
            return
        leaving = list(islice(self.hot.items(), len(self.hot) - int(self.hot_limit * _KEPT_SHARE)))
        if not self._cold.put_many(leaving):
            self.refused += 1
            return
        self.cold_tasks += len(leaving)
        for task_id, _ in leaving:
            del self.hot[task_id]

    def close(self) -> None:
        """Let go of the cold store."""
        if self._cold is not None:
            self._cold.close()

    def _warm(self, task_id: str) -> Packed | None:
        if self._cold is None or not self.cold_tasks:
            return None
        found = self._cold.get(task_id)
        if found is not None:
            self._cold.delete(task_id)
            self.cold_tasks -= 1
            self.hot[task_id] = found
        return found
