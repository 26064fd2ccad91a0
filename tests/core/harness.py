"""Runs events through the pure core alone: ledger partitions, flushes, floor. No broker, no clock."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from streams.core.floor import Floor
from streams.core.ledger_store import LedgerStore, new_store
from streams.core.policy import CorePolicy
from streams.core.records import Record
from streams.core.tables import pane_rows, window_rows
from streams.models.measures import TABLES
from streams.models.measures.records import Family
from streams.models.topics import partition_of

Tables = dict[str, dict[tuple[str, Any], dict[str, Any]]]


def encode(event: dict[str, Any] | bytes) -> tuple[bytes, bytes]:
    """Return (task id, JSON) of a contract event."""
    value = event if isinstance(event, bytes) else json.dumps(event).encode()
    return json.loads(value)["subject"].encode(), value


def tick(watermark_ms: int) -> bytes:
    """Return a clock event of the log."""
    from streams.core.time_text import rfc3339

    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"tick-{watermark_ms}",
            "source": "floorwatch",
            "type": "floorwatch.clock.tick.v1",
            "subject": "clock",
            "time": rfc3339(watermark_ms),
            "data": {},
        }
    ).encode()


class CoreRun:
    """The core over ``partitions`` partitions, flushed into one floor whenever asked."""

    def __init__(self, partitions: int = 1, policy: CorePolicy | None = None) -> None:
        self.policy = policy or CorePolicy()
        self.stores: list[LedgerStore] = [new_store(p, self.policy) for p in range(partitions)]
        self.floor = Floor(self.policy)
        self.ends = [0] * partitions

    def send(self, events: Iterable[dict[str, Any] | bytes], flush_every: int = 0) -> None:
        """Fold events, flushing after every ``flush_every`` of a partition (0: only when told)."""
        waiting: list[list[Record]] = [[] for _ in self.stores]
        for event in events:
            key, value = encode(event)
            p = partition_of(key, len(self.stores))
            waiting[p].append(Record(self.ends[p], 0, key, value))
            self.ends[p] += 1
            if flush_every and len(waiting[p]) >= flush_every:
                self.stores[p].ledger.fold(waiting[p])
                waiting[p] = []
                self.flush(p)
        for p, records in enumerate(waiting):
            self.stores[p].ledger.fold(records)

    def flush(self, partition: int) -> None:
        """Hand a partition's changed rows to the floor."""
        flush = self.stores[partition].collect()
        if flush is not None:
            self.floor.apply([*flush.full, *flush.outputs, flush.watermark])

    def finish(self) -> None:
        """End the input: every partition learns the greatest event time, then everything is flushed."""
        watermark_ms = max(store.ledger.watermark_ms for store in self.stores)
        for p, store in enumerate(self.stores):
            store.ledger.fold([Record(self.ends[p], 0, b"clock", tick(watermark_ms))])
            self.ends[p] += 1
            self.flush(p)

    def panes(self) -> Tables:
        """Return flat rows by table and (scope key, hour start in ms)."""
        found: Tables = {"accuracy": {}, "throughput": {}, "sla": {}}
        for pane in self.floor.all_panes():
            for table, row in pane_rows(pane, self.floor.watermark_ms).items():
                found[table][(pane.state.key, pane.start_ms)] = flat(row)
        return found

    def windows(self) -> Tables:
        """Return flat rows by table and (scope key, window)."""
        found: Tables = {"accuracy": {}, "throughput": {}, "sla": {}}
        for window in self.floor.all_windows():
            for table, row in window_rows(window, self.floor.watermark_ms).items():
                found[table][(window.state.key, window.window)] = flat(row)
        return found


def flat(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with its families of counters as flat fields, the form the oracle speaks."""
    out = dict(row)
    for name, measure in TABLES[row["table"]].measures.items():
        if isinstance(measure.source, Family):
            for key, value in out.pop(name, {}).items():
                out[f"{name}.{key}"] = value
    return out
