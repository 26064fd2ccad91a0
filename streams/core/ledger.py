"""Ledger: folds one partition of the log of events into task facts and rows.

The fold is a pure function of the log: every decision (late, overdue, expired) uses the partition's own watermark at
that offset, never a clock, so a replay decides the same. If time passes without events, that is an event too, the tick.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from msgspec import UNSET

from streams.core.accumulate import DRAIN_AT, Accumulator
from streams.core.alarms import open_due_ms
from streams.core.effects import Groups, contributions
from streams.core.facts import (
    Audit,
    Claimed,
    Created,
    Fact,
    Label,
    Packed,
    appended,
    holds_one_label,
    last_of,
    made,
    pack,
    plain_label,
    same_content,
    unpack,
    unpack_one,
)
from streams.core.grants import judge, newly_refused
from streams.core.policy import HOUR_MS, CorePolicy
from streams.core.records import (
    CONTENT_ERRORS,
    FoldCounts,
    KeptFact,
    Record,
    Rejected,
    conflicting,
    not_countable,
    not_permitted,
    outline,
    too_late,
)
from streams.core.recount import Recount
from streams.core.rows import RowStore
from streams.core.scopes import ScopeIndex
from streams.core.sources import NO_TIME
from streams.core.steps import Step, all_before, created_steps, difference, first_label_steps
from streams.core.task_timers import TaskTimers
from streams.core.task_view import TaskView
from streams.core.tasks import TaskTable
from streams.models.events import AuditCompleted, LabelSubmitted, Tick, decode_log_event
from streams.models.timestamps import to_ms


class Ledger:
    """State of one partition of the log.

    Attributes:
        next: Offset of the next event to fold.
        watermark_ms: Greatest event time folded, as far as events had arrived by then; ``NO_TIME`` before the first.
        last_record_ms: Broker timestamp of the last record, for pacing ticks.
        idle: Whether the last record folded was a tick that found the partition idle.
        floor_ms: The floor's watermark in the latest such tick that found it ahead; ``NO_TIME`` without one.
        tasks: Packed facts by task.
        rejected: Records refused since the caller last took them.
        new_facts: Facts kept since the last flush.
        ended_facts: Offsets of facts dropped since the last flush.
        hour_offset: Offset at which the watermark entered its present hour. What had expired by then has been dropped.
        recount: What a restored ledger of an earlier version has still to be brought over; None for any other.
        fast_paths: Use the fast paths for common cases; tests switch them off to compare.
    """

    def __init__(self, partition: int, policy: CorePolicy, tasks: TaskTable | None = None) -> None:
        """Start empty at offset 0; ``tasks`` holds the facts (all in memory by default)."""
        self.partition = partition
        self.policy = policy
        self.next = 0
        self.watermark_ms = NO_TIME
        self.last_record_ms = NO_TIME
        self.idle = False
        self.floor_ms = NO_TIME
        self._idle_at = NO_TIME
        self.fold_counts = FoldCounts()
        self.tasks = TaskTable() if tasks is None else tasks
        self.scopes = ScopeIndex(policy)
        self.rows = RowStore(policy)
        self.rejected: list[Rejected] = []
        self.late: list[Rejected] = []
        self.hour_offset = -1
        self.new_facts: list[KeptFact] = []
        self.ended_facts: list[int] = []
        self.recount: Recount | None = None
        self.fast_paths = True
        self._pending = Accumulator(self.scopes, policy)
        self._timers = TaskTimers(self.tasks, policy)
        self._stops: list[int] = []

    def fold(self, records: Sequence[Record], decode: Callable[[bytes], Any] = decode_log_event) -> int:
        """Fold consecutive records, the first of them at ``next``.

        Folding any split of a log into batches leaves the same state.

        Args:
            records: Records in offset order without holes.
            decode: Decoder of one event, replaced in tests.

        Returns:
            How many were folded: all of them.
        """
        if not records:
            return 0
        if self.recount is not None and (self.recount.at_once or not self._stops):
            self._change_rules()
        begin = 0
        # A restored row may hold events up to its stamp, so sums must stop there (see RowStore.apply).
        while self._stops and self._stops[0] <= records[-1].offset:
            stop = self._stops.pop(0)
            end = begin
            while records[end].offset < stop:
                end += 1
            self._fold(records[begin:end], decode)
            self._drain(stop - 1)
            begin = end
        self._fold(records[begin:] if begin else records, decode)
        last = records[-1]
        self.next = last.offset + 1
        self.last_record_ms = last.timestamp_ms
        self.idle = self._idle_at == last.offset
        if len(self._pending) >= DRAIN_AT:
            self.drain()
        return len(records)

    def _fold(self, records: Sequence[Record], decode: Callable[[bytes], Any]) -> None:
        """Fold records between two stops.

        The two most common events have fast paths, equal by test to ``_accept``: a task's only label, and its first audit.
        """
        tasks, hot, fast_append, keep = self.tasks, self.tasks.hot, self._pending.labels.extend, self.new_facts.append
        split_dims, timers, watched = self.scopes.split_dims, self._timers, self._timers.watched
        plain, audit = (LabelSubmitted, AuditCompleted) if self.fast_paths and self.recount is None else (None, None)
        self.fold_counts.events += len(records)
        for record in records:
            offset, value = record.offset, record.value or b""
            try:
                event = decode(value)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                self._not_an_event(offset, value, error)
                continue
            try:
                time_ms = to_ms(event.time)
                kind, task_id = type(event), event.subject
                if (
                    kind is plain
                    and task_id not in hot
                    and time_ms >= timers.late_before_ms
                    and (not tasks.cold_tasks or task_id not in tasks)
                    and (found := plain_label(offset, event, time_ms))
                ):
                    dims, handle_ms, active_ms, packed = found
                    who, what = split_dims(dims)
                    fast_append((who, what, time_ms, handle_ms, active_ms, self.watermark_ms))
                    hot[task_id] = packed
                    keep((offset, task_id, True, False, time_ms, packed))
                    watched(time_ms).append(task_id)
                elif kind is Tick:
                    self._tick(offset, time_ms, event)
                    fast_append = self._pending.labels.extend
                elif not (kind is audit and self._first_audit(offset, event)) and not self._accept(
                    offset, event, value
                ):
                    continue
            except CONTENT_ERRORS as error:
                self._set_aside(offset, value, error)
                continue
            if time_ms > self.watermark_ms:
                if 0 < record.timestamp_ms < time_ms:
                    # A sender's clock that is ahead moves the watermark to when the event arrived, and never back.
                    time_ms = max(self.watermark_ms, record.timestamp_ms)
                if time_ms >= timers.advance_at_ms:
                    self._advance(time_ms, offset)
                self.watermark_ms = time_ms

    def _tick(self, offset: int, time_ms: int, event: Tick) -> None:
        """Note that the partition is idle, and the floor's watermark if it is ahead of the partition's."""
        self.fold_counts.ticks += 1
        if event.data.idle:
            self._idle_at = offset
        floor_ms = NO_TIME if event.data.floor_at is None else to_ms(event.data.floor_at)
        if floor_ms > max(time_ms, self.floor_ms):
            self._drain(offset - 1)
            self.floor_ms = self._pending.shown_ms = floor_ms

    def _not_an_event(self, offset: int, value: bytes, error: Exception) -> None:
        self.fold_counts.events -= 1  # counted with all records
        self.fold_counts.rejected += 1
        self.rejected.append(Rejected(offset, "not_an_event", f"the log holds no event here: {error}", value))

    def _set_aside(self, offset: int, value: bytes, error: Exception) -> None:
        """Refuse an event whose effect cannot be computed. State is unchanged, because effects are computed before any is applied."""
        self.fold_counts.events -= 1
        self.fold_counts.set_aside += 1
        self.rejected.append(not_countable(offset, error, value))

    # -- one fact ------------------------------------------------------------------------------------------------

    def _accept(self, offset: int, event: Any, value: bytes | None) -> bool:
        """Fold an event into its task; False when it is a duplicate, a conflict or late."""
        task_id, fact = event.subject, made(offset, event)
        packed = self.tasks.get(task_id)
        known: list[Any] = [] if packed is None else unpack(packed)
        identity, granted = fact.identity, fact.grant
        for earlier in known:
            if earlier.identity == identity:
                self._repeated(offset, earlier, fact, value or b"")
                return False
            granted = earlier.grant if granted is None else granted
        if type(fact) is Label and fact.time_ms < self._timers.late_before_ms:
            return self._too_late(offset, value or b"")
        all_count = granted is None or len(judge([*known, fact]).permitted) == len(known) + 1
        short = self.fast_paths and all_count and self.recount is None
        steps = self._short_way(task_id, known, fact) if short else None
        if steps is None:
            refused = [] if all_count else self._not_permitted(task_id, known, fact, value or b"")
            taken = self._long_way(offset, task_id, known, fact, value or b"")
            if taken:
                self.rejected.extend(refused)
            return taken
        one, last_ms = pack(fact), last_of(fact)
        self._pending.add_all(steps, self.watermark_ms)
        self._keep(task_id, packed, fact, one, last_ms)
        return True

    def _not_permitted(self, task_id: str, known: list[Fact], fact: Fact, value: bytes) -> list[Rejected]:
        """Return the refusals that a fact causes: its own, or those of facts that waited for it."""
        return [
            not_permitted(one.offset, reason, value if one is fact else outline(task_id, one))
            for one, reason in newly_refused(known, fact)
        ]

    def _first_audit(self, offset: int, event: Any) -> bool:
        """Fold the first audit of a task that is a single label in memory. For any other event do nothing and return False."""
        task_id = event.subject
        packed = self.tasks.hot.get(task_id)
        if packed is None or event.floorwatchgrant is not UNSET or not holds_one_label(packed):
            return False
        label, audit = unpack_one(packed), made(offset, event)
        if type(audit) is not Audit or label.identity == audit.identity or label.time_ms < self._timers.late_before_ms:
            return False
        if audit.label_id is not None and audit.label_id != label.label_id:
            return False
        one, last_ms = pack(audit), last_of(audit)
        self._pending.add_first_audit(task_id, label, audit, self.watermark_ms)
        self._keep(task_id, packed, audit, one, last_ms)
        return True

    def _short_way(self, task_id: str, known: list[Fact], fact: Fact) -> list[Step] | None:
        """Return the steps of the common cases, None for all others. Due alarms are set here too."""
        kind = type(fact)
        if kind is Claimed:
            return []
        if kind is Created and not known:
            steps = created_steps(fact, self.watermark_ms)  # type: ignore[arg-type]
            if any(group.time_ms < self._timers.late_before_ms for group, _, _ in steps):
                return None
            if fact.due_ms is not None:  # type: ignore[attr-defined]
                self._timers.set_due(task_id, fact.due_ms, self.watermark_ms)  # type: ignore[attr-defined]
            return steps
        if kind is Label and all(type(earlier) in (Created, Claimed) for earlier in known):
            created = next((earlier for earlier in reversed(known) if type(earlier) is Created), None)
            return first_label_steps(created, fact, self.watermark_ms)  # type: ignore[arg-type]
        return None

    def _long_way(self, offset: int, task_id: str, known: list[Fact], fact: Fact, value: bytes) -> bool:
        """Fold a fact by the difference between the task with it and the task without it."""
        count = self._rules()
        before = count(task_id, known, self.watermark_ms) if known else {}
        after = count(task_id, [*known, fact], self.watermark_ms)
        if all_before(before, after, self._timers.late_before_ms):
            return self._too_late(offset, value)
        packed, one, last_ms = self.tasks.get(task_id), pack(fact), last_of(fact)
        due_ms = open_due_ms([*known, fact])
        self._pending.add_all(difference(before, after), self.watermark_ms)
        self._keep(task_id, packed, fact, one, last_ms)
        if due_ms is not None:
            self._timers.set_due(task_id, due_ms, self.watermark_ms)
        return True

    def _repeated(self, offset: int, earlier: Fact, fact: Fact, value: bytes) -> None:
        if same_content(earlier, fact):
            self.fold_counts.duplicates += 1
            return
        self.fold_counts.conflicts += 1
        self.rejected.append(conflicting(offset, earlier.offset, fact.identity, value))

    def _too_late(self, offset: int, value: bytes) -> bool:
        self.fold_counts.late += 1
        self.late.append(too_late(offset, self.policy.horizon_ms, value))
        return False

    def _keep(self, task_id: str, packed: Packed | None, fact: Fact, one: bytes, last_ms: int) -> None:
        """Append a fact to those of its task. ``one`` is the packed fact, ``last_ms`` the latest time in it."""
        self.tasks.put(task_id, one if packed is None else appended(packed, one))
        promises = type(fact) is Created or (type(fact) is Label and fact.due_ms is not None)
        self.new_facts.append((fact.offset, task_id, packed is None, promises, last_ms, one))
        self._timers.watch(task_id, last_ms)

    # -- time ----------------------------------------------------------------------------------------------------

    def _advance(self, time_ms: int, offset: int) -> None:
        """Move the watermark and apply its effects: open tasks become overdue, old tasks expire."""
        crossed_hour = time_ms // HOUR_MS != self.watermark_ms // HOUR_MS
        self.watermark_ms = time_ms
        for task_id, due_ms in self._timers.overdue(time_ms, self._task_aside):
            try:
                self._overdue(task_id, due_ms)
            except CONTENT_ERRORS as error:
                self._task_aside(task_id, error)
        if crossed_hour:
            self.hour_offset = offset
            for task_id, facts in self._timers.expired(time_ms):
                self._end_task(task_id, facts, count=True)
        self._timers.plan(time_ms)

    def _overdue(self, task_id: str, due_ms: int) -> None:
        facts = unpack(self.tasks.peek(task_id) or ())
        count = self._rules()
        before = count(task_id, facts, due_ms - 1)
        after = count(task_id, facts, self.watermark_ms)
        self._pending.add_all(difference(before, after), self.watermark_ms)

    def _task_aside(self, task_id: str, error: Exception) -> None:
        """Report that the effect of time on a task could not be computed. The task stays as it is; all others continue."""
        packed = self.tasks.peek(task_id) or ()
        last = packed if type(packed) is bytes else packed[-1]
        self.fold_counts.set_aside += 1
        self.rejected.append(not_countable(unpack_one(last).offset, error, b""))

    def _end_task(self, task_id: str, facts: list[Fact], *, count: bool) -> None:
        if count:
            try:
                view = TaskView(facts)
                self.fold_counts.orphans += any(target not in view.labels for target, _ in view.audits.values())
            except CONTENT_ERRORS as error:
                self._task_aside(task_id, error)
        self.tasks.remove(task_id)
        self.ended_facts.extend(fact.offset for fact in facts)

    def drain(self) -> None:
        """Update all rows with what has been folded, drop expired ones, and keep memory bounded."""
        self._drain(self.next - 1)
        self.rows.expire(self.watermark_ms)
        self.tasks.cool()

    def _drain(self, offset: int) -> None:
        apply = self.rows.apply
        for change in self._pending.drain():
            apply(change, offset)

    def _rules(self) -> Callable[[str, Sequence[Fact], int], Groups]:
        """Return what tells the contributions of a task: until all rows ahead are passed, as who wrote them counted."""
        return contributions if self.recount is None else self.recount.contributions

    def _change_rules(self) -> None:
        """Bring the rows of an earlier version over to the present rules. The record that is folded next stamps them anew."""
        if self.recount is not None:
            self._drain(self.next - 1)
            for change in self.recount.changes(self.tasks.items, self.scopes, self.policy, self.watermark_ms):
                self.rows.apply(change, self.next)
            # What waited before knows labelers by numbers that may have been forgotten.
            self.recount, self._pending = None, Accumulator(self.scopes, self.policy)
            self._pending.shown_ms = self.floor_ms

    def recall(self, facts: Iterable[KeptFact]) -> None:
        """Take in facts kept before, below ``next`` and in log order; may be called again with those after them."""
        self.ended_facts.extend(self._timers.recall(facts, self.watermark_ms))

    def resume(self) -> None:
        """Make the restored state ready to fold: expiries, and where sums must stop."""
        stops = set()
        for place, row in self.rows.places():
            if row.stamp > self.next:
                # The row is of an unfinished flush. The replay will not change it, and its output may not have been
                # written.
                stops.add(row.stamp)
                row.dirty = True
                self.rows.dirty.append((place, row))
        self._stops = sorted(stops)
        self._pending.shown_ms = self.floor_ms
        self.rows.expire(self.watermark_ms)
        for task_id, facts in self._timers.expired(self.watermark_ms, self.hour_offset):
            self._end_task(task_id, facts, count=False)
        self.tasks.cool()
        self._timers.plan(self.watermark_ms)
