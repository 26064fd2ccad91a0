"""Ledger: folds one partition of the log of events into task facts and rows.

The fold is a pure function of the log: every decision (late, overdue, expired) uses the partition's own watermark at
that offset, never a clock, so a replay decides the same. Time that passes without events is itself an event, the tick.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence

import msgspec

from streams.core.accumulate import Accumulator
from streams.core.cells import COMPLETED, NO_SLA
from streams.core.effects import (
    OPEN_GROUP,
    Group,
    Groups,
    TaskView,
    contributions,
    label_cells,
    merged,
    promise_kept,
    turn_cells,
)
from streams.core.facts import Claimed, Created, Fact, Label, fact_of, same_content
from streams.core.policy import HOUR_MS, MINUTE_MS, CorePolicy
from streams.core.records import Record, Rejected
from streams.core.rows import RowStore
from streams.core.scopes import ScopeIndex
from streams.models.events import decode_log_event

NO_TIME = -1
"""The watermark before any event."""


class Task:
    """One task: its facts and what of them is needed often."""

    __slots__ = ("dirty", "due_ms", "facts", "last_ms", "plain", "stamp")

    def __init__(self, facts: list[Fact], stamp: int, last_ms: int, *, plain: bool) -> None:
        """Hold facts as of a stamp.

        Args:
            facts: The facts in log order; the list is kept.
            stamp: The row holds every event of the task below this offset.
            last_ms: Latest time any fact speaks of; the task expires a horizon after it.
            plain: No fact but creations and claims.
        """
        self.facts = facts
        self.stamp = stamp
        self.dirty = False
        self.due_ms: int | None = None
        self.last_ms = last_ms
        self.plain = plain

    @classmethod
    def restored(cls, facts: list[Fact], stamp: int) -> Task:
        """Return a task read back from the changelog."""
        plain = all(type(fact) in (Created, Claimed) for fact in facts)
        return cls(facts, stamp, max((last_of(fact) for fact in facts), default=NO_TIME), plain=plain)


def last_of(fact: Fact) -> int:
    """Return the latest time a fact speaks of, in ms: its own, or the due time it promises."""
    due_ms = fact.due_ms if type(fact) is Created or type(fact) is Label else None
    return fact.time_ms if due_ms is None or due_ms < fact.time_ms else due_ms


class Counters(msgspec.Struct):
    """What one partition has seen, exact under replay because it is stamped with the meta row."""

    events: int = 0
    duplicates: int = 0
    conflicts: int = 0
    late: int = 0
    rejected: int = 0
    ticks: int = 0
    orphans: int = 0


class Ledger:
    """State of one partition of the log.

    Attributes:
        next: Offset of the next event to fold.
        watermark_ms: Greatest event time folded, ``NO_TIME`` before the first.
        last_record_ms: Broker timestamp of the last record, for pacing ticks.
        rejected: Records refused since the caller last took them.
        replay_until: While ``next`` is below it, some rows may already hold the events being folded.
        hour_offset: Offset at which the watermark entered its present hour; what had expired by then has ended.
    """

    def __init__(self, partition: int, policy: CorePolicy) -> None:
        """Start empty at offset 0."""
        self.partition = partition
        self.policy = policy
        self.next = 0
        self.watermark_ms = NO_TIME
        self.last_record_ms = NO_TIME
        self.counters = Counters()
        self.tasks: dict[str, Task] = {}
        self.scopes = ScopeIndex(policy)
        self.rows = RowStore(policy)
        self.rejected: list[Rejected] = []
        self.late: list[Rejected] = []
        self.replay_until = 0
        self.hour_offset = -1
        self.dirty_tasks: list[str] = []
        self.ended_tasks: list[str] = []
        self._pending = Accumulator(self.scopes)
        self._due: list[tuple[int, str]] = []
        self._expiry: dict[int, list[str]] = {}
        self._resuming = False

    def fold(self, records: Sequence[Record], decode: Callable[[bytes], object] = decode_log_event) -> int:
        """Fold consecutive records, the first of them at ``next``, until the end or a barrier.

        Folding any split of a log into batches leaves the same state. A barrier stands where tasks expire: a flush must
        be complete there before anything is folded after it, because a task that begins anew would overwrite the row
        with the past that a replay from before the barrier still needs.

        Args:
            records: Records in offset order without holes.
            decode: Decoder of one event, replaced in tests.

        Returns:
            How many were folded; fewer than given only at a barrier.
        """
        if self.ended_tasks:
            return 0
        fold_one = self._fold_one
        for count, record in enumerate(records, 1):
            fold_one(record, decode)
            self.next = record.offset + 1
            self.last_record_ms = record.timestamp_ms
            if record.offset < self.replay_until:
                self._drain(record.offset)
            if self.ended_tasks:
                return count
        return len(records)

    def _fold_one(self, record: Record, decode: Callable[[bytes], object]) -> None:
        value = record.value or b""
        try:
            event = decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            self.counters.rejected += 1
            reason = f"the log holds no event here: {error}"
            self.rejected.append(Rejected(record.offset, "not_an_event", reason, value))
            return
        offset = record.offset
        counters = self.counters
        counters.events += 1
        fact = fact_of(offset, event)
        if fact is None:
            counters.ticks += 1
            time_ms = int(event.time.timestamp() * 1000.0 + 5e-4)  # type: ignore[attr-defined]
        elif self._accept(offset, event.subject, fact, value):  # type: ignore[attr-defined]
            time_ms = fact.time_ms
        else:
            return
        if time_ms > self.watermark_ms:
            self._advance(time_ms, offset)

    # -- one fact ------------------------------------------------------------------------------------------------

    def _accept(self, offset: int, task_id: str, fact: Fact, value: bytes) -> bool:
        """Fold a fact into its task; False when it is a duplicate, a conflict or late."""
        task = self.tasks.get(task_id)
        known: list[Fact] = [] if task is None else task.facts
        held = task is not None and task.stamp > offset
        if held:
            known = [earlier for earlier in known if earlier.offset < offset]
        identity = fact.identity
        for earlier in known:
            if earlier.identity == identity:
                self._repeated(offset, earlier, fact, value)
                return False
        if type(fact) is Label and self._expired(fact.time_ms):
            return self._too_late(offset, value)
        if not held and type(fact) is Label and (task is None or task.plain) and self._first_label(known, fact):
            self._keep(task_id, task, fact)
            if task is not None:
                task.due_ms = None
            return True
        before = contributions(task_id, known, self.watermark_ms) if known else {}
        after = contributions(task_id, [*known, fact], self.watermark_ms)
        if self._all_expired(before, after):
            return self._too_late(offset, value)
        self._change(before, after)
        if not held:
            self._keep(task_id, task, fact)
        self._promise(task_id, [*known, fact] if held else None)
        return True

    def _repeated(self, offset: int, earlier: Fact, fact: Fact, value: bytes) -> None:
        if same_content(earlier, fact):
            self.counters.duplicates += 1
            return
        self.counters.conflicts += 1
        source, _, event_id = fact.identity.partition("\x00")
        reason = (
            f"conflicting duplicate: event id {event_id!r} of source {source!r} was already folded at offset "
            f"{earlier.offset} with other content; the first one stands. Give each event an id of its own, and send a "
            "change as a new event."
        )
        self.rejected.append(Rejected(offset, "conflicting_duplicate", reason, value))

    def _too_late(self, offset: int, value: bytes) -> bool:
        self.counters.late += 1
        days = self.policy.horizon_ms / 86_400_000
        reason = f"late: concerns a pane that ended more than {days:g} days before the watermark (correction horizon)"
        self.late.append(Rejected(offset, "late", reason, value))
        return False

    def _expired(self, time_ms: int) -> bool:
        end_ms = time_ms - time_ms % HOUR_MS + HOUR_MS
        return end_ms + self.policy.horizon_ms <= self.watermark_ms

    def _all_expired(self, before: Groups, after: Groups) -> bool:
        changed = [
            group
            for name in before.keys() | after.keys()
            if name != OPEN_GROUP and before.get(name) != after.get(name)
            for group in (before.get(name), after.get(name))
            if group is not None
        ]
        return bool(changed) and all(self._expired(group.time_ms) for group in changed)

    def _first_label(self, known: list[Fact], fact: Label) -> bool:
        """Fold the common case, the one label of a task nobody has labelled, at a third of the general cost.

        Equal by test to the difference of ``contributions``; False leaves the case to it.
        """
        created = None
        for earlier in known:
            if type(earlier) is Created:
                created = earlier
        watermark_ms = self.watermark_ms
        time_ms = fact.time_ms
        cells = label_cells(fact)
        closed = time_ms - time_ms % MINUTE_MS + MINUTE_MS <= watermark_ms
        revises = 2 * closed
        if created is None:
            if fact.created_ms is not None or fact.due_ms is not None:
                return False
            group = Group(fact.dims, time_ms, (*cells, COMPLETED, 1, NO_SLA, 1))
        else:
            if created.required_labels != 1 or created.due_ms is None:
                return False
            dims = fact.dims
            if None in dims:
                dims = merged(dims, created.dims)
            task_dims = merged(created.dims, fact.dims)
            done = turn_cells(created.time_ms, time_ms, promised=True)
            self._change(*promise_kept(created, task_dims, time_ms, watermark_ms))
            if task_dims != dims:
                self._pending.add(Group(task_dims, time_ms, done), +1, revises=int(closed))
                done, revises = (), int(closed)
            group = Group(dims, time_ms, cells + done)
        self._pending.add(group, +1, revises=revises)
        return True

    def _keep(self, task_id: str, task: Task | None, fact: Fact) -> None:
        time_ms = last_of(fact)
        if task is None:
            task = self.tasks[task_id] = Task([fact], 0, time_ms, plain=type(fact) in (Created, Claimed))
        else:
            task.facts.append(fact)
            if task.plain and type(fact) not in (Created, Claimed):
                task.plain = False
            task.last_ms = max(task.last_ms, time_ms)
        if not task.dirty:
            task.dirty = True
            self.dirty_tasks.append(task_id)
        self._watch_expiry(task_id, task)

    def _change(self, before: Groups, after: Groups) -> None:
        """Replace the groups of before by those of after."""
        add, watermark_ms = self._pending.add, self.watermark_ms
        for name, group in before.items():
            if after.get(name) != group:
                closed = group.time_ms - group.time_ms % MINUTE_MS + MINUTE_MS <= watermark_ms
                add(group, -1, revises=int(closed and name not in after))
        for name, group in after.items():
            if before.get(name) != group:
                closed = group.time_ms - group.time_ms % MINUTE_MS + MINUTE_MS <= watermark_ms
                add(group, +1, revises=int(closed))

    # -- time ----------------------------------------------------------------------------------------------------

    def _advance(self, time_ms: int, offset: int) -> None:
        """Move the watermark and let time do what it does: make open tasks overdue, end panes and tasks."""
        crossed_minute = time_ms // MINUTE_MS != self.watermark_ms // MINUTE_MS
        if crossed_minute:
            self._drain(offset)
        crossed_hour = time_ms // HOUR_MS != self.watermark_ms // HOUR_MS
        self.watermark_ms = time_ms
        due = self._due
        while due and due[0][0] <= time_ms:
            due_ms, task_id = heapq.heappop(due)
            self._overdue(task_id, due_ms, offset)
        if crossed_minute:
            self._drain(offset)
            self.rows.expire(time_ms)
        if crossed_hour:
            self.hour_offset = offset
            self._expire_tasks()

    def _overdue(self, task_id: str, due_ms: int, offset: int) -> None:
        task = self.tasks.get(task_id)
        if task is None or task.due_ms != due_ms:
            return
        task.due_ms = None
        facts = [fact for fact in task.facts if fact.offset <= offset] if task.stamp > offset else task.facts
        self._change(
            contributions(task_id, facts, due_ms - 1),
            contributions(task_id, facts, self.watermark_ms),
        )

    def _promise(self, task_id: str, held: list[Fact] | None) -> None:
        """Keep an alarm at the due time of an open task.

        Args:
            task_id: The task.
            held: The facts as of this offset when the task row is ahead of the replay, else None.
        """
        task = self.tasks[task_id]
        facts = task.facts if held is None else held
        view = TaskView(facts)
        _, due_ms = view.promise()
        is_open = due_ms is not None and not view.cancelled and view.completing() is None
        if not is_open or due_ms is None:
            task.due_ms = None
        elif task.due_ms != due_ms:
            task.due_ms = due_ms
            if due_ms > self.watermark_ms:
                heapq.heappush(self._due, (due_ms, task_id))

    def _watch_expiry(self, task_id: str, task: Task) -> None:
        hour = task.last_ms // HOUR_MS
        watched = self._expiry.get(hour)
        if watched is None:
            self._expiry[hour] = [task_id]
        elif watched[-1] != task_id:
            watched.append(task_id)

    def _expire_tasks(self) -> None:
        """Let go of tasks all of whose facts lie beyond the correction horizon."""
        limit = (self.watermark_ms - self.policy.horizon_ms) // HOUR_MS - 1
        for hour in sorted(hour for hour in self._expiry if hour <= limit):
            for task_id in self._expiry.pop(hour):
                task = self.tasks.get(task_id)
                if task is None or task.last_ms // HOUR_MS > limit:
                    continue
                if self._resuming and task.facts[0].offset > self.hour_offset:
                    self._watch_expiry(task_id, task)  # came after that hour began: the next hour ends it
                else:
                    self._end_task(task_id, task)

    def _end_task(self, task_id: str, task: Task) -> None:
        view = TaskView(task.facts)
        if not self._resuming and any(target not in view.labels for target, _ in view.audits.values()):
            self.counters.orphans += 1
        del self.tasks[task_id]
        self.ended_tasks.append(task_id)

    def drain(self) -> None:
        """Bring all rows up to ``next``."""
        self._drain(self.next - 1)

    def _drain(self, offset: int) -> None:
        apply, watermark_ms = self.rows.apply, self.watermark_ms
        for minute, scope, amounts in self._pending.drain():
            apply(minute, scope, amounts, watermark_ms, offset)

    # -- recovery ------------------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Make the restored state ready to fold: find rows ahead of it, set the alarms, end what has expired."""
        ahead = [task.stamp for task in self.tasks.values()]
        for place, row in self.rows.places():
            if row.stamp > self.next:
                # Of an unfinished flush: the replay will not touch it, and its output may not have been written.
                ahead.append(row.stamp)
                row.dirty = True
                self.rows.dirty.append((place, row))
        self.replay_until = max([0, *ahead])
        self.rows.expire(self.watermark_ms)
        for task_id, task in self.tasks.items():
            facts = [fact for fact in task.facts if fact.offset < self.next] if task.stamp > self.next else task.facts
            self._watch_expiry(task_id, task)
            if facts:
                self._promise(task_id, facts)
        self._resuming = True
        self._expire_tasks()
        self._resuming = False
