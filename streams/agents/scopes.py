"""Scopes stage: one partition of the partial rows, merged, windowed and published."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from streams.adapters.publish import Topics
from streams.adapters.readmodel import ReadModel
from streams.core.floor import Floor, PaneRow, WindowRow
from streams.core.policy import CorePolicy
from streams.core.records import Record
from streams.core.tables import TABLES, pane_rows, window_rows
from streams.engine.log import LogReader, LogWriter, Outgoing
from streams.models import topics

_DUTY = 3
"""What to show takes at most one part in this many of a worker's CPU time to work out; writing it comes on top."""

_CATCH_UP_DUTY = 10
_CATCH_UP_PACE = 3.0
"""Event time that goes by this much faster than the clock is a catch-up, which nobody watches by the second."""

_LONGEST_PAUSE_S = 5.0
_CATCH_UP_PAUSE_S = 10.0

_PARTS_OF_WINDOW = 3600
_LONGEST_S = 10.0

AfterPublish = Callable[[int, int], Awaitable[None]]
"""(partition, watermark_ms): called after each publication."""


class ScopesStage:
    """Merges source partitions; its input topic, compacted, is also what it recovers from."""

    dense = False

    def __init__(
        self,
        partition: int,
        policy: CorePolicy,
        out: Topics,
        writer: LogWriter,
        reader: LogReader,
        read_model: ReadModel,
        meter: Any,
        *,
        publish_interval_s: float,
        shown_window: str,
        after_publish: AfterPublish | None = None,
        siblings: Callable[[], int] = lambda: 1,
    ) -> None:
        """Own partition ``partition`` of the partial rows.

        Args:
            partition: The partition.
            policy: What shapes the numbers.
            out: Topic names.
            writer: Appends table rows.
            reader: Reads the partition on recovery.
            read_model: Where readers look.
            meter: Where counts go.
            publish_interval_s: Least time between two publications.
            shown_window: Rows of this window are kept for the metrics.
            after_publish: Called after each publication.
            siblings: How many partitions share this worker's time for publishing.
        """
        self._partition, self._policy = partition, policy
        self._out, self._writer, self._reader, self._meter = out, writer, reader, meter
        self._read_model, self._after_publish = read_model, after_publish
        self._interval_s, self._siblings = publish_interval_s, siblings
        self._next_publish = 0.0
        self._last_publish: tuple[float, int] = (0.0, -1)
        self._next_due = [0.0] * len(policy.windows)
        self.next: int | None = 0
        self._published: int | None = 0
        self.floor = Floor(policy)
        self._publish_all = True
        self._shown_window = shown_window
        self._shown: dict[str, list[dict[str, Any]]] = {}

    async def recover(self) -> None:
        """Read the whole partition: the rows with the highest stamps are the state."""
        async for records in self._reader.read(self._out.name(topics.PARTIALS), self._partition):
            self.floor.apply((key, value) for _, key, value in records)
            self.next = records[-1][0] + 1

    async def close(self) -> None:
        """Drop the state; the series of this partition go with it."""
        self.floor = Floor(self._policy)
        self._shown = {}

    def fold(self, records: list[Record]) -> None:
        """Take in partial rows."""
        self.floor.apply((record.key or b"", record.value) for record in records)
        self.next = records[-1].offset + 1

    async def flush(self) -> int | None:
        """Publish if it is time; the offset to commit once everything below it has been published."""
        began = time.monotonic()
        quiet = self.next == self._published
        if not self._publish_all and (began < self._next_publish or (quiet and not self.floor.pending)):
            return None
        upto = self.next
        everything = self._publish_all or await self._read_model.lost(self._partition)
        gone = await self._gone() if everything else {}
        cpu_s = time.thread_time()
        if everything:
            windows, panes = self.floor.all_windows(), self.floor.all_panes()
            self.floor.take_changes()
        else:
            windows, panes = self.floor.take_changes(self.floor.all_bits if quiet else self._due(began))
        rows = self._rows(windows, panes, gone)
        cpu_s = time.thread_time() - cpu_s
        held = await self._write(rows)
        # Redis may have been emptied, or written to by a worker that lost this partition, in the middle of it.
        self._publish_all, self._published = not held, upto
        self._next_publish = time.monotonic() + self._pause_s(began, cpu_s)
        self._meter.rows("scopes", self._partition, self.floor.rows)
        return None if self.floor.pending or self._publish_all else upto

    def _pause_s(self, now_s: float, cpu_s: float) -> float:
        """Return how long to wait before publishing again.

        Args:
            now_s: When this publication began, on the monotonic clock.
            cpu_s: CPU time it took to work out what to show.
        """
        (before_s, before_ms), self._last_publish = self._last_publish, (now_s, self.floor.watermark_ms)
        pace = (self.floor.watermark_ms - before_ms) / 1000 / max(0.001, now_s - before_s)
        catching_up = pace > _CATCH_UP_PACE
        duty, longest_s = (_CATCH_UP_DUTY, _CATCH_UP_PAUSE_S) if catching_up else (_DUTY, _LONGEST_PAUSE_S)
        return min(longest_s, max(self._interval_s, duty * cpu_s * self._siblings()))

    def _due(self, now_s: float) -> int:
        """Return the bits of the windows to publish now: nobody watches a week's window by the second."""
        if now_s >= max(self._next_due):
            bits = self.floor.all_bits
        else:
            bits = sum(1 << i for i, due_s in enumerate(self._next_due) if now_s >= due_s)
        for i, window in enumerate(self._policy.windows):
            if bits >> i & 1:
                part_s = window.size_ms / 1000 / _PARTS_OF_WINDOW if window.size_ms else _LONGEST_S
                self._next_due[i] = now_s + min(_LONGEST_S, max(self._interval_s, part_s))
        return bits

    async def _gone(self) -> dict[str, set[str]]:
        """Return, by window, scopes of this partition that were shown and of which nothing is left.

        Their last panes may have expired while the partition was on its way here, so nobody has ended their rows.
        """
        found: dict[str, set[str]] = {}
        for window in self._policy.windows:
            shown = await self._read_model.patient_scopes(TABLES[0], window.name)
            mine = {key for key in shown if self._out.partition_of(key.encode()) == self._partition}
            found[window.name] = mine - self.floor.scopes.keys()
        return found

    def _rows(self, windows: list[WindowRow], panes: list[PaneRow], gone: dict[str, set[str]]) -> _Rows:
        """Return what to write, and keep the rows of the metrics window."""
        watermark_ms = self.floor.watermark_ms
        rows = _Rows(watermark_ms)
        for name, scope_keys in gone.items():
            for scope_key in scope_keys:
                for table in TABLES:
                    rows.window(table, name, scope_key, None)
        for window in windows:
            found = window_rows(window, watermark_ms)
            empty = not window.cells and not window.state.open_by_hour
            if window.window == self._shown_window:
                self._show(window.state.key, None if empty else list(found.values()))
            for table, row in found.items():
                rows.window(table, window.window, window.state.key, None if empty else orjson.dumps(row))
        for pane in panes:
            for table, row in pane_rows(pane, watermark_ms).items():
                rows.pane(table, f"{pane.state.key}|3600|{pane.start_ms}", orjson.dumps(row))
        return rows

    async def _write(self, rows: _Rows) -> bool:
        """Write rows; tell whether the read model holds these and all before them."""
        watermark_ms = rows.watermark_ms
        published = Outgoing(b"~watermark", orjson.dumps({"watermark_ms": watermark_ms}))
        for table, outgoing in rows.of_topic.items():
            if outgoing:
                topic = self._out.name(topics.TABLE_TOPICS[table])
                await self._writer.append(topic, self._partition, outgoing)
                # Last and alone: readers learn how far the rows go, and the embedded broker its end offset.
                await self._writer.append(topic, self._partition, [published])
        held = await self._read_model.put(self._partition, rows.of_model, watermark_ms)
        if self._after_publish is not None:
            await self._after_publish(self._partition, watermark_ms)
        return held

    def _show(self, scope_key: str, rows: list[dict[str, Any]] | None) -> None:
        if rows is None:
            self._shown.pop(scope_key, None)
        else:
            self._shown[scope_key] = rows

    def shown_rows(self) -> list[dict[str, Any]]:
        """Return the rows of the metrics window as last published. Safe to call from a scrape's thread."""
        return [row for rows in list(self._shown.values()) for row in rows]


class _Rows:
    """Rows on their way out: to the table topics, and to the read model by (table, window) and scope."""

    def __init__(self, watermark_ms: int) -> None:
        self.watermark_ms = watermark_ms
        self.of_topic: dict[str, list[Outgoing]] = {table: [] for table in TABLES}
        self.of_model: dict[tuple[str, str], dict[str, bytes | None]] = {}

    def window(self, table: str, window: str, scope_key: str, value: bytes | None) -> None:
        """Add the row of a window; None ends it."""
        self.of_topic[table].append(Outgoing(f"{scope_key}|{window}".encode(), value))
        self.of_model.setdefault((table, window), {})[scope_key] = value

    def pane(self, table: str, key: str, value: bytes) -> None:
        """Add the row of an hour pane: history, which only the topics keep."""
        self.of_topic[table].append(Outgoing(key.encode(), value))
