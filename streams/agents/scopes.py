"""Scopes stage: one partition of the partial rows, merged, windowed and published."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from itertools import chain
from typing import Any

import orjson

from streams.adapters.publish import Topics
from streams.adapters.readmodel import ReadModel
from streams.agents.intake import REPORT, dead_letter
from streams.agents.timetable import Timetable, Turn
from streams.core.floor import Floor
from streams.core.policy import HOUR_MS, CorePolicy
from streams.core.records import CANNOT_PROCESS, CONTENT_ERRORS, Record, told
from streams.core.rowcodec import json_bytes
from streams.core.scope_state import PaneRow, WindowRow
from streams.core.sources import Source
from streams.core.tables import TABLES, pane_rows, window_rows
from streams.engine.log import LogReader, LogWriter, Outgoing
from streams.models import topics
from streams.models.refusal import Refusal

log = logging.getLogger(__name__)

_NOWHERE = -1
"""Offset of a row that was found unreadable long after it came."""

_LETTERS = 1_000
"""Dead letters of unreadable rows that wait for a flush; the log and the metric tell of more."""

_DUTY = 3
"""Rows of the shortest window take at most one part in this many of a worker's CPU time to work out; writing comes on top."""

_REST_DUTY = 6
"""The same for the slower slices of all partitions together."""

_CATCH_UP_DUTY = 10
_CATCH_UP_PACE = 3.0
"""Event time that goes by this much faster than the clock is a catch-up, which nobody watches by the second."""

_QUIET_S = 2.0
"""After this long without input all that is left to show is shown at once."""

_COSTS = 8
"""Publications whose mean cost sets the pause."""

_GATHER_S = 0.5
"""Longest wait for the sources that have not flushed since the last publication while others have."""

_LONGEST_PAUSE_S = 5.0
_CATCH_UP_PAUSE_S = 10.0

_BACKLOG_PAUSE_S = 30.0
"""Time between two publications while this worker has a backlog. They take more than a third of its CPU time otherwise, for
rows that are old already; without them the backlog is over the sooner."""

_PACE_OVER_S = 8.0
_SURE_PACE = 30.0
_SURE_AFTER_S = 1.0
"""A pace that no jerk of a live floor makes is believed sooner."""

_PIECE = 1_500
"""Rows made before they are written, about 1 MB: of a floor of 50,000 scopes no more is held at once."""

_LEDGER_FIRST_S = 20.0
"""Longest wait of a partition's first publication for the ledgers beside it."""

AfterPublish = Callable[[int, int, bool], Awaitable[None]]
"""(partition, watermark_ms, idle): called after each publication, with the watermark up to which all rows are out, and whether
the log says that no partition has anything under way."""


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
        ledgers_ready: Callable[[], bool] = lambda: True,
        backlog: Callable[[], bool] = lambda: False,
        turn: Turn | None = None,
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
            ledgers_ready: Tells whether this worker's ledger partitions have recovered. The first publication, of every row,
                waits for them: readers still have the rows of before, and new ones need the ledger.
            backlog: Tells whether this worker is far behind with its events.
            turn: What those partitions share to publish their slower slices one after the other.
        """
        self._partition, self._policy = partition, policy
        self._out, self._writer, self._reader, self._meter = out, writer, reader, meter
        self._read_model, self._after_publish = read_model, after_publish
        self._interval_s, self._siblings = publish_interval_s, siblings
        self._ledgers_ready, self._waits_until_s = ledgers_ready, time.monotonic() + _LEDGER_FIRST_S
        self._backlog, self._published_s = backlog, time.monotonic()
        self._next_publish = 0.0
        self._marks: list[tuple[float, int]] = []
        sizes_ms = [*(window.size_ms for window in policy.windows), HOUR_MS]
        self._timetable, self._turn = Timetable(sizes_ms, publish_interval_s), turn or Turn()
        self._costs_s: deque[float] = deque(maxlen=_COSTS)
        self.next: int = 0
        self._seen, self._seen_s = 0, 0.0
        self._next_rest, self._hurried, self._rest_due = 0.0, False, False
        self._since_s: float | None = None
        self._published: dict[int, Source] = {}
        self._expected: set[int] = set()
        self._waiting: list[Record] = []
        self._making = False
        self.floor = Floor(policy, sources=out.partitions)
        self._watermark_ms = -1
        self._publish_all = True
        self._shown_window = shown_window
        self._shown: dict[str, list[dict[str, Any]]] = {}
        self._letters: list[Outgoing] = []

    async def recover(self) -> None:
        """Read the whole partition: the rows with the highest stamps are the state."""
        async for records in self._reader.read(self._out.name(topics.PARTIALS), self._partition):
            self.floor.apply((key, value) for _, key, value in records)
            self._note_unreadable([Record(offset, 0, key, value) for offset, key, value in records])
            self.next = records[-1][0] + 1

    async def close(self) -> None:
        """Drop the state; the series of this partition go with it."""
        self.floor = Floor(self._policy, sources=self._out.partitions)
        self._shown = {}

    def fold(self, records: list[Record]) -> None:
        """Take in partial rows; those that come amid a publication wait for its end, lest a row be as of two moments."""
        self.next = records[-1].offset + 1
        if self._since_s is None:
            self._since_s = time.monotonic()
        self._waiting.extend(records)
        if not self._making:
            self._take_in()

    def _take_in(self) -> None:
        waiting, self._waiting = self._waiting, []
        self.floor.apply((record.key or b"", record.value) for record in waiting)
        self._note_unreadable(waiting)

    def _note_unreadable(self, records: list[Record]) -> None:
        """Set aside the rows that could not be read; a dead letter tells of each with the next flush.

        Args:
            records: Those taken in last; a row found unreadable only when it was needed is none of them, as a rule.
        """
        for key, value, reason in self.floor.take_unreadable():
            found = next((one for one in records if one.value == value and one.key == key), None)
            record = Record(_NOWHERE, 0, key, value) if found is None else found
            place = f"{self._out.name(topics.PARTIALS)}[{self._partition}]"
            log.error("%s offset %d, row %r set aside: %s", place, record.offset, (record.key or b"")[:200], reason)
            self._meter.set_aside("scopes")
            refusal = Refusal(
                CANNOT_PROCESS, None, f"a partial row that cannot be read ({reason}): it counts as nothing", REPORT
            )
            if len(self._letters) < _LETTERS:
                letter = dead_letter("scopes", self._out.name(topics.PARTIALS), self._partition, record, refusal)
                self._letters.append(letter if found is not None else Outgoing(key, letter.value))

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
        rest = not due and self._rest_due
        if rest:
            due = self._rest(now_s)
        if not due:
            return None
        everything = self._publish_all or await self._read_model.lost(self._partition)
        if everything:
            due = self._timetable.all_bits
        gone = await self._gone() if everything else {}
        upto = self.next
        held, cpu_s = await self._publish(due, gone, everything=everything)
        # Redis may have been emptied, or written to by a worker that lost this partition, in the middle of it.
        self._publish_all = not held
        self._pause(rest, now_s, cpu_s)
        self._meter.rows("scopes", self._partition, self.floor.rows)
        if self.floor.watermark_ms >= 0:
            self._meter.floor_watermark(self._partition, self.floor.watermark_ms)
        if not held:
            return None
        before = self._timetable.upto
        self._timetable.published(due, now_s, upto, self._watermark_ms)
        return self._timetable.upto if self._timetable.upto > before else None

    def _due(self, now_s: float) -> int:
        """Return the bits of the slices to publish now, 0 for none: those of the short windows, as a rule."""
        done = self._timetable.upto == self.next and not self.floor.pending
        quiet = now_s - self._seen_s >= _QUIET_S
        early = now_s < self._next_publish and not quiet
        if not self._publish_all and (early or done or not self._round_over(now_s)):
            return 0
        backlog = self._backlog()
        if backlog and not self._publish_all and now_s < self._published_s + _BACKLOG_PAUSE_S:
            return 0
        self._hurried, self._published_s = self._catching_up(now_s) or backlog, now_s
        self._expected, self._published, self._since_s = self._heard(), dict(self.floor.watermarks), None
        self._rest_due = not (self._publish_all or self._hurried or quiet)
        return self._timetable.prompt(now_s) if self._rest_due else self._timetable.all_bits

    def _rest(self, now_s: float) -> int:
        """Return the bits of slower slices to publish now, 0 for none.

        They come with the call after that of the short windows, when the other partitions of the worker have had theirs, and of
        one partition at a time: nobody's short windows wait for the long ones of all.
        """
        if now_s < max(self._next_rest, self._turn.free_s):
            return 0
        self._rest_due = False
        return self._timetable.late(now_s)

    def _pause(self, rest: bool, now_s: float, cpu_s: float) -> None:
        """Set when the next publication may begin: pauses follow what publications cost.

        Args:
            rest: Whether it was one of the slower slices.
            now_s: When it began, on the monotonic clock.
            cpu_s: CPU seconds it took.
        """
        if rest:
            # The turn is everybody's: who has had it lets the others have it first.
            self._turn.free_s = now_s + min(_LONGEST_PAUSE_S, _REST_DUTY * cpu_s)
            self._next_rest = now_s + min(_LONGEST_PAUSE_S, _REST_DUTY * cpu_s * self._siblings())
            return
        self._costs_s.append(cpu_s)
        duty, longest_s = (_CATCH_UP_DUTY, _CATCH_UP_PAUSE_S) if self._hurried else (_DUTY, _LONGEST_PAUSE_S)
        pause_s = duty * self._siblings() * sum(self._costs_s) / len(self._costs_s)
        self._next_publish = now_s + min(longest_s, max(self._interval_s, pause_s))

    def _heard(self) -> set[int]:
        """Return the sources that have flushed since the last publication."""
        return {source for source, held in self.floor.watermarks.items() if self._published.get(source) != held}

    def _round_over(self, now_s: float) -> bool:
        """Tell whether every source that flushed before the last publication has flushed again.

        What is published right after the last of them is as fresh as it can be; between two of them half of the rows would be
        published twice for little news. A source that falls silent is waited for once, and not for long.
        """
        since_s = max(self._next_publish, self._since_s or 0.0)
        return self._expected <= self._heard() or now_s >= since_s + _GATHER_S

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
        shown_ms, idle = self._timetable.watermark_with(due, watermark_ms), self.floor.sources.idle
        held, written, self._making = True, False, True
        for rows in self._pieces(windows, panes, gone, watermark_ms):
            spent += time.thread_time()
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

    def _catching_up(self, now_s: float) -> bool:
        """Tell whether event time goes by much faster than the clock.

        Over some seconds: a live floor's watermark too moves by jerks, one each flush of the ledger.
        """
        marks, watermark_ms = self._marks, self.floor.watermark_ms
        if watermark_ms < 0:
            return False
        marks.append((now_s, watermark_ms))
        while marks[1:] and marks[1][0] <= now_s - _PACE_OVER_S:
            marks.pop(0)
        since_s = now_s - marks[0][0]
        gained_s = (watermark_ms - marks[0][1]) / 1000
        if since_s < _PACE_OVER_S / 2:
            return since_s >= _SURE_AFTER_S and gained_s > _SURE_PACE * since_s
        return gained_s > _CATCH_UP_PACE * since_s

    async def _gone(self) -> dict[str, set[str]]:
        """Return, by window, scopes of this partition that were shown and of which nothing is left.

        Their last panes may have expired while the partition was on its way here, so nobody has ended their rows. The read model
        knows what was shown, and where it was emptied meanwhile the topic does.
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
    ) -> Iterator[_Rows]:
        """Yield what to write, bounded piece after bounded piece, and keep the rows of the metrics window."""
        rows = _Rows()
        for name, scope_keys in gone.items():
            for scope_key in scope_keys:
                for table in TABLES:
                    rows.window(table, name, scope_key, None)
        both: Iterator[WindowRow | PaneRow] = chain(windows, panes)
        for row in both:
            try:
                self._add_row(rows, row, watermark_ms)
            except CONTENT_ERRORS as error:
                self._row_aside(rows, row, error)
            if rows.count >= _PIECE:
                yield rows
                rows = _Rows()
        if rows.count:
            yield rows

    def _add_row(self, rows: _Rows, row: WindowRow | PaneRow, watermark_ms: int) -> None:
        if isinstance(row, WindowRow):
            self._add_window(rows, row, watermark_ms)
            return
        shown = {
            table: json_bytes(found) for table, found in pane_rows(row, watermark_ms, self.floor.sources.behind).items()
        }
        for table, value in shown.items():
            rows.pane(table, f"{row.state.key}|3600|{row.start_ms}", value)

    def _row_aside(self, rows: _Rows, row: WindowRow | PaneRow, error: Exception) -> None:
        """Withdraw the row of a window that cannot be worked out: as it was it would be taken for what it is now."""
        window = row.window if isinstance(row, WindowRow) else "pane"
        log.error("row %r of window %s set aside: %s", row.state.key, window, told(error), exc_info=error)
        self._meter.set_aside("scopes")
        if isinstance(row, WindowRow):
            if window == self._shown_window:
                self._show(row.state.key, None)
            for table in TABLES:
                rows.window(table, window, row.state.key, None)

    def _add_window(self, rows: _Rows, window: WindowRow, watermark_ms: int) -> None:
        found = window_rows(window, watermark_ms, self.floor.sources.behind)
        empty = not window.cells and not window.state.open_by_hour
        values = {table: None if empty else json_bytes(row) for table, row in found.items()}
        if window.window == self._shown_window:
            self._show(window.state.key, None if empty else list(found.values()))
        for table, value in values.items():
            rows.window(table, window.window, window.state.key, value)

    async def _write(self, rows: _Rows, *, held: bool) -> bool:
        """Write rows to the topics, and to the read model unless it has lost some; tell whether it holds all so far."""
        await asyncio.gather(
            *(
                self._writer.append(self._out.name(topics.TABLE_TOPICS[table]), self._partition, outgoing)
                for table, outgoing in rows.of_topic.items()
                if outgoing
            )
        )
        # A model that has lost rows must not be marked as whole: all of them come with the next publication.
        return held and await self._read_model.put(self._partition, rows.of_model)

    async def _tell(self, watermark_ms: int) -> None:
        """Say on every table that all rows up to a watermark are out."""
        # Last and alone: readers learn how far the rows go, and the embedded broker its end offset.
        told = [Outgoing(b"~watermark", orjson.dumps({"watermark_ms": watermark_ms}))]
        names = [self._out.name(topics.TABLE_TOPICS[table]) for table in TABLES]
        await asyncio.gather(*(self._writer.append(name, self._partition, told) for name in names))

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

    def __init__(self) -> None:
        self.count = 0
        self.of_topic: dict[str, list[Outgoing]] = {table: [] for table in TABLES}
        self.of_model: dict[tuple[str, str], dict[str, bytes | None]] = {}

    def window(self, table: str, window: str, scope_key: str, value: bytes | None) -> None:
        """Add the row of a window; None ends it."""
        self.count += 1
        self.of_topic[table].append(Outgoing(f"{scope_key}|{window}".encode(), value))
        self.of_model.setdefault((table, window), {})[scope_key] = value

    def pane(self, table: str, key: str, value: bytes) -> None:
        """Add the row of an hour pane: history, which only the topics keep."""
        self.count += 1
        self.of_topic[table].append(Outgoing(key.encode(), value))
