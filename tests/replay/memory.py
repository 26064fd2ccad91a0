"""A log in memory with the reader's interface, and simulated floors to put on it."""

from __future__ import annotations

import functools
import json
from collections.abc import AsyncGenerator, Iterable
from typing import Any

from floorwatch.replay.reader import Extent
from floorwatch.simulate.config import FloorConfig
from floorwatch.simulate.simulated_floor import simulate
from streams.core.floor import Floor
from streams.core.ledger_store import new_store
from streams.core.policy import CorePolicy
from streams.core.records import Record
from streams.core.tables import window_rows
from streams.models.acceptance import Refusal, parse_event
from streams.models.topics import partition_of

START_MS = 1_794_700_800_000


class MemoryLog:
    """Partitions as lists of records; offsets may begin above 0, as after the broker's retention."""

    topic = "memory"

    def __init__(self, partitions: list[list[Record]], batch: int = 700) -> None:
        self.parts = partitions
        self.partitions = list(range(len(partitions)))
        self._batch = batch

    async def extent(self, partition: int, end: int | None = None) -> Extent:
        records = self.parts[partition]
        begin = records[0].offset if records else 0
        last = records[-1].offset + 1 if records else 0
        return Extent(partition, begin, last if end is None else end, final=end is not None)

    async def read(self, extent: Extent) -> AsyncGenerator[list[Record], None]:
        records = [r for r in self.parts[extent.partition] if r.offset < extent.end]
        for at in range(0, len(records), self._batch):
            yield records[at : at + self._batch]

    def without_first(self, count: int) -> MemoryLog:
        """The same log after retention took the first records of every partition."""
        return MemoryLog([records[count:] for records in self.parts], self._batch)


@functools.cache
def floor_log(seed: int, partitions: int = 3, *, days: float = 1.0, rate: float = 0.02, **config: Any) -> MemoryLog:
    """The log of a simulated floor, stamped with the time each event arrived; the same floor is simulated once."""
    sent = simulate(FloorConfig(START_MS, days * 86_400, rate, faults=True, **config), seed)
    return log_of(((one.arrival_ms, one.value) for one in sent), partitions)


def log_of(stamped: Iterable[tuple[int, bytes]], partitions: int = 1) -> MemoryLog:
    """A log of (broker timestamp, event) in order; what intake would refuse is left out."""
    parts: list[list[Record]] = [[] for _ in range(partitions)]
    for stamp_ms, value in stamped:
        if isinstance(parse_event(value, None), Refusal):
            continue
        key = json.loads(value)["subject"].encode()
        part = parts[partition_of(key, partitions)]
        part.append(Record(len(part), stamp_ms, key, value))
    return MemoryLog(parts)


class PlainRun:
    """Stores and a floor that got a prefix of each partition and nothing else, in one batch."""

    def __init__(self, log: MemoryLog, until_ms: int | None = None, policy: CorePolicy | None = None) -> None:
        self.policy = policy or CorePolicy()
        self.floor = Floor(self.policy)
        flushed: list[tuple[bytes, bytes | None]] = []
        for partition, records in enumerate(log.parts):
            store = new_store(partition, self.policy)
            left = list(records)
            if until_ms is not None:
                left = left[: next((at for at, r in enumerate(left) if r.timestamp_ms > until_ms), len(left))]
            while left:
                left = left[store.ledger.fold(left) :]
            flush = store.collect()
            if flush is not None:
                flushed += [*flush.full, *flush.outputs, flush.watermark]
        # All at once: the floor's time is the least of its sources', and never goes back.
        self.floor.apply(flushed)

    def windows(self, table: str, window: str) -> dict[str, dict[str, Any]]:
        """Rows that are not empty, by scope key."""
        return {
            row.state.key: window_rows(row, self.floor.watermark_ms)[table]
            for row in self.floor.all_windows()
            if row.window == window and (row.counters or row.state.open_by_hour)
            if table == "accuracy" or not row.state.audits_only
        }
