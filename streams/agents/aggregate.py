"""Aggregate stage: one partition of the partial rows, merged, windowed and published."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from itertools import chain
from typing import Any

import orjson

from streams.adapters.readmodel import ReadModel
from streams.adapters.topic_names import TopicNames
from streams.agents.dead_letters import REPORT, dead_letter
from streams.agents.publish_pace import PublishPace
from streams.agents.publish_schedule import PublishSchedule, PublishSlot
from streams.agents.shown_rows import EncodedRows, Shown, ShownRows
from streams.agents.table_rows import TableRows
from streams.core.floor import Floor
from streams.core.policy import HOUR_MS, CorePolicy
from streams.core.records import CANNOT_PROCESS, CONTENT_ERRORS, Record, told
from streams.core.scope_state import PaneRow, WindowRow
from streams.core.tables import TABLES, pane_json, window_json
from streams.engine.log import LogReader, LogWriter, ProducerRecord
from streams.models import formats, topics
from streams.models.refusal import Refusal

log = logging.getLogger(__name__)

_NOWHERE = -1
"""Offset of a row that was found unreadable long after it came."""

_LETTERS = 1_000
"""Most dead letters of unreadable rows that wait for a flush; of further ones only the log and the metric tell."""

_QUIET_S = 2.0
"""After this long without input, everything left is published at once."""

_PIECE = 1_500
"""Rows made before they are written, about 1 MB. Even on a floor of 50,000 scopes no more is in memory at once."""

_AT_A_STRETCH = 32
"""Windows and panes made before others get their turn, some 10 ms: a message to people waits for several turns."""

_LEDGER_FIRST_S = 20.0
"""Longest wait of a partition's first publication for the ledgers beside it."""

AfterPublish = Callable[[int, int, bool], Awaitable[None]]
"""(partition, watermark_ms, idle): called after each publication, with the watermark up to which all rows are out, and whether
the log says that no partition has anything under way."""


class AggregateStage:
    """Merges source partitions; its input topic, compacted, is also what it recovers from."""

    dense = False

    def __init__(
        self,
        partition: int,
        policy: CorePolicy,
        out: TopicNames,
        writer: LogWriter,
        reader: LogReader,
        read_model: ReadModel,
        meter: Any,
        *,
        publish_interval_s: float,
        shown: Shown,
        after_publish: AfterPublish | None = None,
        siblings: Callable[[], int] = lambda: 1,
        ledgers_ready: Callable[[], bool] = lambda: True,
        backlog: Callable[[], bool] = lambda: False,
        publish_slot: PublishSlot | None = None,
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
            shown: Rows that are kept for the metrics.
            after_publish: Called after each publication.
            siblings: How many partitions share this worker's time for publishing.
            ledgers_ready: Tells whether this worker's ledger partitions have recovered. The first publication, of every row,
                waits for them: readers still have the rows of before, and new ones need the ledger.
            backlog: Tells whether this worker is far behind with its events.
            publish_slot: What those partitions share to publish their slower slices one after the other.
        """
        self._partition, self._policy = partition, policy
        self._out, self._writer, self._reader, self._meter = out, writer, reader, meter
        self._read_model, self._after_publish = read_model, after_publish
        self._ledgers_ready, self._waits_until_s = ledgers_ready, time.monotonic() + _LEDGER_FIRST_S
        sizes_ms = [*(window.size_ms for window in policy.windows), HOUR_MS]
        self._publish_schedule = PublishSchedule(sizes_ms, publish_interval_s)
        self._pace = PublishPace(
            publish_interval_s, siblings, backlog, publish_slot or PublishSlot(), now_s=time.monotonic()
        )
        self.next: int = 0
        self._seen, self._seen_s = 0, 0.0
        self._waiting: list[Record] = []
        self._making = False
        self.floor = Floor(policy, sources=out.partitions)
        self._watermark_ms = -1
        self._publish_all = True
        self._shown = ShownRows(shown)
        self._letters: list[ProducerRecord] = []
        self._place = f"{out.name(topics.PARTIALS)}[{partition}]"

    async def recover(self) -> None:
        """Read the whole partition: the rows with the highest stamps are the state."""
        async for records in self._reader.read(self._out.name(topics.PARTIALS), self._partition):
            with formats.read_from(self._place):
                self.floor.apply((key, value) for _, key, value in records)
            self._note_unreadable([Record(offset, 0, key, value) for offset, key, value in records])
            self.next = records[-1][0] + 1

    async def close(self) -> None:
        """Drop the state; the series of this partition go with it."""
        self.floor = Floor(self._policy, sources=self._out.partitions)
        self._shown.clear()

    def fold(self, records: list[Record]) -> None:
        """Take in partial rows. Rows that come during a publication wait until it ends, so that each row is as of one watermark."""
        self.next = records[-1].offset + 1
        self._pace.input_came(time.monotonic())
        self._waiting.extend(records)
        if not self._making:
            self._take_in()

    def _take_in(self) -> None:
        waiting, self._waiting = self._waiting, []
        with formats.read_from(self._place):
            self.floor.apply((record.key or b"", record.value) for record in waiting)
        self._note_unreadable(waiting)

    def _note_unreadable(self, records: list[Record]) -> None:
        """Set aside the rows that could not be read. The next flush writes a dead letter for each.

        Args:
            records: The records taken in last. A row that was found unreadable only when it was needed is usually not
                among them.
        """
        for key, value, reason in self.floor.take_unreadable():
            found = next((one for one in records if one.value == value and one.key == key), None)
            record = Record(_NOWHERE, 0, key, value) if found is None else found
            place = f"{self._out.name(topics.PARTIALS)}[{self._partition}]"
            log.error("%s offset %d, row %r set aside: %s", place, record.offset, (record.key or b"")[:200], reason)
            self._meter.set_aside("scopes")
            refusal = Refusal(
                CANNOT_PROCESS, None, f"a partial row cannot be read ({reason}): it is not counted", REPORT
            )
            if len(self._letters) < _LETTERS:
                letter = dead_letter("scopes", self._out.name(topics.PARTIALS), self._partition, record, refusal)
                self._letters.append(letter if found is not None else ProducerRecord(key, letter.value))

    async def flush(self) -> int | None:
        """Publish what is due; the offset to commit once everything below it has been published."""
        now_s = time.monotonic()
        if self._letters:
            letters, self._letters = self._letters, []
            await self._writer.append(self._out.name(topics.DEAD_LETTERS), self._partition, letters)
        if self.next != self._seen:
            self._seen, self._seen_s = self.next, now_s
        if self._publish_all and now_s < self._waits_until_s and not self._ledgers_ready():
            return None
        due = self._due(now_s)
        rest = not due and self._pace.rest_begins(now_s)
        if rest:
            due = self._publish_schedule.late(now_s, self.floor.watermark_ms)
        if not due:
            return None
        everything = self._publish_all or await self._read_model.lost(self._partition)
        if everything:
            due = self._publish_schedule.all_bits
        gone = await self._gone() if everything else {}
        upto = self.next
        held, cpu_s = await self._publish(due, gone, everything=everything)
        # Redis may have been emptied, or written to by a worker that lost this partition, in the middle of it.
        self._publish_all = not held
        self._pace.ended(now_s, cpu_s, rest=rest)
        self._meter.rows("scopes", self._partition, self.floor.rows)
        if self.floor.watermark_ms >= 0:
            self._meter.floor_watermark(self._partition, self.floor.watermark_ms)
        if not held:
            return None
        before = self._publish_schedule.upto
        self._publish_schedule.published(due, now_s, upto, self._watermark_ms)
        return self._publish_schedule.upto if self._publish_schedule.upto > before else None

    def _due(self, now_s: float) -> int:
        """Return the bits of the slices to publish now, 0 for none: those of the short windows, as a rule."""
        done = self._publish_schedule.upto == self.next and not self.floor.pending
        quiet = now_s - self._seen_s >= _QUIET_S
        if not self._pace.begins(now_s, self.floor, at_once=self._publish_all, quiet=quiet, done=done):
            return 0
        return self._publish_schedule.prompt(now_s) if self._pace.rest_due else self._publish_schedule.all_bits

    async def _publish(self, due: int, gone: dict[str, set[str]], *, everything: bool) -> tuple[bool, float]:
        """Make and write the rows of some slices.

        Args:
            due: Bits of the slices.
            gone: Scopes to be ended, by window.
            everything: Every row, not only those that changed.

        Returns:
            Whether the read model holds these rows and all before them, and the CPU seconds it took to make them.
        """
        spent = -time.thread_time()
        if everything:
            windows, panes = self.floor.all_windows(), self.floor.all_panes()
            self.floor.take_changes()
        else:
            windows, changed = self.floor.take_changes(due)
            panes = iter(changed)
        self._watermark_ms = watermark_ms = self.floor.watermark_ms
        shown_ms, idle = self._publish_schedule.watermark_with(due, watermark_ms), self.floor.sources.idle
        held, written, self._making = True, False, True
        for rows in self._pieces(windows, panes, gone, watermark_ms):
            spent += time.thread_time()
            if rows is None:
                await asyncio.sleep(0)
            else:
                held = await self._write(rows, held=held)
                written = True
            spent -= time.thread_time()
        spent += time.thread_time()
        self._making = False
        self._take_in()
        if written:
            await self._tell(shown_ms)
        held = held and await self._read_model.put(self._partition, {}, shown_ms)
        if self._after_publish is not None:
            await self._after_publish(self._partition, shown_ms, idle)
        return held, spent

    async def _gone(self) -> dict[str, set[str]]:
        """Return, by window, the scopes of this partition that were published and have no data left.

        Their last panes may have expired while the partition moved here, so nobody has deleted their rows. The read
        model knows what was published; if it was emptied meanwhile, the topic does.
        """
        if await self._read_model.forgotten(self._partition):
            shown = await self._shown_on_topic()
        else:
            shown = {}
            for window in self._policy.windows:
                keys = await self._read_model.patient_scopes(TABLES[0], window.name)
                shown[window.name] = {key for key in keys if self._out.partition_of(key.encode()) == self._partition}
        return {name: keys - self.floor.scopes.keys() for name, keys in shown.items()}

    async def _shown_on_topic(self) -> dict[str, set[str]]:
        """Return, by window, the scopes that have a row on the table topic that holds one of every scope."""
        shown: dict[str, set[str]] = {window.name: set() for window in self._policy.windows}
        async for records in self._reader.read(self._out.name(topics.TABLE_TOPICS[TABLES[0]]), self._partition):
            for _, key, value in records:
                scope_key, _, name = key.decode().rpartition("|")
                if name in shown:
                    (shown[name].discard if value is None else shown[name].add)(scope_key)
        return shown

    def _pieces(
        self, windows: list[WindowRow], panes: Iterator[PaneRow], gone: dict[str, set[str]], watermark_ms: int
    ) -> Iterator[TableRows | None]:
        """Yield the rows to write in pieces of bounded size, and keep the rows of the metrics; None where others get their turn."""
        rows = TableRows()
        for name, scope_keys in gone.items():
            for scope_key in scope_keys:
                for table in TABLES:
                    rows.window(table, name, scope_key, None)
        both: Iterator[WindowRow | PaneRow] = chain(windows, panes)
        for number, row in enumerate(both, 1):
            try:
                self._add_row(rows, row, watermark_ms)
            except CONTENT_ERRORS as error:
                self._row_aside(rows, row, error)
            if rows.count >= _PIECE:
                yield rows
                rows = TableRows()
            elif number % _AT_A_STRETCH == 0:
                yield None
        if rows.count:
            yield rows

    def _add_row(self, rows: TableRows, row: WindowRow | PaneRow, watermark_ms: int) -> None:
        if isinstance(row, WindowRow):
            self._add_window(rows, row, watermark_ms)
            return
        for table, value in pane_json(row, watermark_ms, self.floor.sources.behind).items():
            rows.pane(table, f"{row.state.key}|3600|{row.start_ms}", _stamped(value))

    def _row_aside(self, rows: TableRows, row: WindowRow | PaneRow, error: Exception) -> None:
        """Delete the row of a window that cannot be computed. If the old row stayed, readers would take it for the present one."""
        window = row.window if isinstance(row, WindowRow) else "pane"
        log.error("row %r of window %s set aside: %s", row.state.key, window, told(error), exc_info=error)
        self._meter.set_aside("scopes")
        if isinstance(row, WindowRow):
            self._shown.drop(window, row.state.key)
            for table in TABLES:
                rows.window(table, window, row.state.key, None)

    def _add_window(self, rows: TableRows, window: WindowRow, watermark_ms: int) -> None:
        behind = self.floor.sources.behind
        values: Mapping[str, bytes | None] = {
            table: _stamped(value) for table, value in window_json(window, watermark_ms, behind).items()
        }
        if not window.counters and not window.state.open_by_hour:
            values = dict.fromkeys(values)
        self._shown.keep(window.window, window.state.scope, window.state.key, values.values())
        for table, value in values.items():
            rows.window(table, window.window, window.state.key, value)

    async def _write(self, rows: TableRows, *, held: bool) -> bool:
        """Write rows to the topics, and to the read model unless it has lost some; tell whether it holds all so far."""
        await asyncio.gather(
            *(
                self._writer.append(self._out.name(topics.TABLE_TOPICS[table]), self._partition, outgoing)
                for table, outgoing in rows.of_topic.items()
                if outgoing
            )
        )
        # A read model that has lost rows must not be marked as complete. The next publication writes all of them.
        return held and await self._read_model.put(self._partition, rows.of_model)

    async def _tell(self, watermark_ms: int) -> None:
        """Write to every table topic that all rows up to a watermark are published."""
        # Last and alone: readers learn how far the rows go, and the embedded broker its end offset.
        told = [ProducerRecord(b"~watermark", orjson.dumps({"watermark_ms": watermark_ms}))]
        names = [self._out.name(topics.TABLE_TOPICS[table]) for table in TABLES]
        await asyncio.gather(*(self._writer.append(name, self._partition, told) for name in names))

    def shown_rows(self) -> EncodedRows:
        """Return the rows of the metrics as last published: those of now, whatever is published while they are read."""
        return self._shown.rows()


def _stamped(value: bytes) -> bytes:
    return formats.stamped_json(formats.TABLE_ROW, value)
