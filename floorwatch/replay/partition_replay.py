"""Partition replay: folds one partition of the log through the ledger and reports the outcome of each record.

The ledger decides whether a record is counted, repeated, late or refused, and its own counts show it. There is no
second implementation here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, NamedTuple

import msgspec

from streams.core.facts import Fact, fact_of
from streams.core.floor import Floor
from streams.core.ledger_store import new_store
from streams.core.policy import CorePolicy
from streams.core.records import CANNOT_PROCESS, CONTENT_ERRORS, Record
from streams.models.events import decode_log_event

_FLUSH_EVERY = 50_000


class RecordOutcome(StrEnum):
    """What the ledger did with a record."""

    counted = "counted"
    duplicate = "duplicate"
    conflict = "conflicting duplicate"
    late = "late"
    refused = "not an event"
    tick = "clock"
    set_aside = "set aside"


class ReplayedRecord(NamedTuple):
    """One record and what became of it.

    Attributes:
        partition: Partition of the log.
        record: The record.
        event: The decoded event; None where the record holds none.
        fact: The fact made of it; None for a clock event and for what is not an event.
        outcome: What the ledger did.
        anew: The ledger did not know the task (any more): facts before this one no longer count.
    """

    partition: int
    record: Record
    event: Any
    fact: Fact | None
    outcome: RecordOutcome
    anew: bool


Observer = Callable[[ReplayedRecord], None]


def _fact(offset: int, event: Any) -> Fact | None:
    try:
        return fact_of(offset, event)
    except CONTENT_ERRORS:  # the ledger has set it aside
        return None


class PartitionReplay:
    """One partition's ledger in memory, and the floor its rows go to.

    Attributes:
        told_time: The record that tells the floor this partition's watermark. The caller applies those of all
            partitions in one call. The floor's watermark is the least of its sources' and never goes back, so a
            partition that is applied before the others would push it too far.
        told_floor: The records, if any, that tell how far the floor was ahead of this partition and that it refuses scopes; they
            belong to ``told_time``.
    """

    def __init__(
        self,
        partition: int,
        policy: CorePolicy,
        floor: Floor | None = None,
        observer: Observer | None = None,
        *,
        rows: bool = True,
    ) -> None:
        """Start before the first record.

        Args:
            partition: Number of the partition.
            policy: What shapes the numbers.
            floor: Takes the rows; None when only single tasks are of interest.
            rows: Hand rows to the floor.
            observer: Told of every record; without one records are folded in batches, several times as fast.
        """
        self.partition = partition
        # A record's outcome does not depend on the scopes. Without scopes the ledger keeps no rows.
        self._store = new_store(partition, policy if rows else replace(policy, scopes=(), audit_scopes=()))
        self._floor, self._observer = floor, observer
        self._rows = rows
        self.records = 0
        self.told_time: tuple[bytes, bytes] | None = None
        self.told_floor: list[tuple[bytes, bytes]] = []
        self._unflushed = 0

    @property
    def watermark_ms(self) -> int:
        """The partition's watermark so far, -1 before any event."""
        return self._store.ledger.watermark_ms

    def knows(self, task_id: str) -> bool:
        """Tell whether the ledger holds the task at this point of the log."""
        return task_id in self._store.ledger.tasks

    def feed(self, records: Sequence[Record]) -> None:
        """Fold records that follow those fed before."""
        if self._observer is None:
            self._fold(records)
        else:
            for record in records:
                self._observer(self._one(record))
        self.records += len(records)
        self._unflushed += len(records)
        if self._unflushed >= _FLUSH_EVERY:
            self.flush()

    def _fold(self, records: Sequence[Record], decode: Callable[[bytes], Any] = decode_log_event) -> None:
        left = records
        while left:
            folded = self._store.ledger.fold(left, decode)
            left = left[folded:]
            if left:
                self.flush()  # fewer records folded than given: the ledger is at a barrier

    def _one(self, record: Record) -> ReplayedRecord:
        ledger = self._store.ledger
        try:
            event = decode_log_event(record.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._fold([record])
            return ReplayedRecord(self.partition, record, None, None, RecordOutcome.refused, anew=False)
        fold_counts = ledger.fold_counts
        before = (fold_counts.ticks, fold_counts.duplicates, fold_counts.conflicts, fold_counts.late)
        anew = event.subject not in ledger.tasks
        self._fold([record], lambda _: event)
        fold_counts = ledger.fold_counts
        after = (fold_counts.ticks, fold_counts.duplicates, fold_counts.conflicts, fold_counts.late)
        outcome = RecordOutcome.counted
        if after != before:
            moved = next(i for i in range(4) if after[i] != before[i])
            outcome = (RecordOutcome.tick, RecordOutcome.duplicate, RecordOutcome.conflict, RecordOutcome.late)[moved]
        if ledger.rejected and ledger.rejected[-1][:2] == (record.offset, CANNOT_PROCESS):
            outcome = RecordOutcome.set_aside
        return ReplayedRecord(self.partition, record, event, _fact(record.offset, event), outcome, anew)

    def flush(self) -> None:
        """Update the floor's rows with the records fed so far; ``told_time`` has their watermark."""
        self._unflushed = 0
        flush = self._store.collect()
        if flush is None:
            return
        self.told_time, self.told_floor = flush.watermark, [*flush.full, *flush.floor]
        if self._floor is not None and self._rows:
            self._floor.apply(flush.outputs)
