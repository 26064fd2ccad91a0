"""What time alone does to the tasks of a partition: open ones fall due, old ones expire.

Timers are in event time and are not stored; after a restart they are made again from the tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from streams.core.alarms import DueAlarms, Expiry, open_due_ms
from streams.core.facts import Fact, appended, last_of, unpack
from streams.core.policy import HOUR_MS, CorePolicy, late_before_ms
from streams.core.records import CONTENT_ERRORS, KeptFact
from streams.core.sources import NO_TIME
from streams.core.tasks import TaskTable

_COOL_EVERY = 16_384


class TaskTimers:
    """The timers of the tasks of one partition.

    Attributes:
        late_before_ms: Event times before this are beyond the correction horizon.
        advance_at_ms: The next watermark that has an effect: an alarm, an hour that ends, a new ``late_before_ms``.
    """

    def __init__(self, tasks: TaskTable, policy: CorePolicy) -> None:
        """Start without timers.

        Args:
            tasks: The tasks of the partition.
            policy: Has the correction horizon.
        """
        self._tasks, self._policy = tasks, policy
        self._due = DueAlarms()
        self._expiry = Expiry()
        self.late_before_ms = self.advance_at_ms = NO_TIME
        self.watch = self._expiry.watch
        self.watched = self._expiry.watched

    def plan(self, watermark_ms: int) -> None:
        """Find the next time at which moving the watermark has an effect."""
        horizon_ms = self._policy.horizon_ms
        self.late_before_ms = late_before_ms(watermark_ms, horizon_ms)
        next_hour_ms = watermark_ms - watermark_ms % HOUR_MS + HOUR_MS
        next_late_ms = self.late_before_ms + HOUR_MS + horizon_ms
        self.advance_at_ms = min(next_hour_ms, next_late_ms, self._due.next_ms())

    def set_due(self, task_id: str, due_ms: int, watermark_ms: int) -> None:
        """Look at a task when it is due, unless that has passed."""
        self._due.set(task_id, due_ms, watermark_ms)
        self.advance_at_ms = min(self.advance_at_ms, self._due.next_ms())

    def overdue(self, watermark_ms: int, aside: Callable[[str, Exception], None]) -> Iterator[tuple[str, int]]:
        """Yield (task, due_ms) of the open tasks that have become overdue.

        Args:
            watermark_ms: The time that has come.
            aside: Told of a task whose due time cannot be computed, and of the error. It is given here and not kept, because
                a circle of references would keep a partition's state in memory (see ``gc.freeze`` in the ledger stage).
        """

        def due_of(task_id: str) -> int | None:
            packed = self._tasks.peek(task_id)
            try:
                return None if packed is None else open_due_ms(unpack(packed))
            except CONTENT_ERRORS as error:
                aside(task_id, error)
                return None

        return self._due.pop(watermark_ms, due_of)

    def expired(self, watermark_ms: int, ended_offset: int | None = None) -> Iterator[tuple[str, list[Fact]]]:
        """Yield the tasks whose facts are all older than the correction horizon. The caller drops them.

        Args:
            watermark_ms: The watermark.
            ended_offset: In a recovery, the offset at which the watermark entered its present hour: tasks that began
                after it wait for the end of that hour, as they did before the restart.
        """
        limit = (watermark_ms - self._policy.horizon_ms) // HOUR_MS - 1
        later: list[tuple[str, int]] = []
        for task_id in self._expiry.take(limit):
            packed = self._tasks.peek(task_id)
            if packed is None:
                continue
            facts = unpack(packed)
            last_ms = max(map(last_of, facts))
            if last_ms // HOUR_MS > limit:
                continue
            if ended_offset is not None and facts[0].offset > ended_offset:
                later.append((task_id, last_ms))
            else:
                yield task_id, facts
        for task_id, last_ms in later:
            self._expiry.watch(task_id, last_ms)

    def recall(self, facts: Iterable[KeptFact], watermark_ms: int) -> Iterator[int]:
        """Put facts kept before a restart back into their tasks, in log order, with their timers.

        Yields:
            Offsets of the facts of a former task of the same id, which had ended.
        """
        tasks, watched = self._tasks, self._expiry.watched
        for count, (_, task_id, begins, promises, last_ms, packed) in enumerate(facts):
            before = tasks.hot.get(task_id) or (tasks.get(task_id) if tasks.cold_tasks else None)
            if before is None:
                tasks.hot[task_id] = packed
            elif begins:
                yield from (fact.offset for fact in unpack(before))
                tasks.put(task_id, packed)
            else:
                tasks.put(task_id, appended(before, packed))
            if promises:
                self._due.set(task_id, last_ms, watermark_ms)
            watched(last_ms).append(task_id)
            if count % _COOL_EVERY == 0:
                tasks.cool()
