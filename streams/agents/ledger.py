"""Ledger stage: one partition of the log of events, kept as stamped rows."""

from __future__ import annotations

import asyncio
import gc
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from streams.adapters.topic_names import TopicNames
from streams.agents.dead_letters import dead_letter
from streams.core.ledger_store import ROW_BYTES, LedgerStore, new_store
from streams.core.policy import CorePolicy
from streams.core.records import CANNOT_PROCESS, CONTENT_ERRORS, Flush, Record, Rejected, told
from streams.core.sources import silence_of
from streams.core.tasks import TaskTable
from streams.engine.errors import Invariant
from streams.engine.log import Entry, LogReader, LogWriter, ProducerRecord
from streams.models import formats, topics
from streams.models.acceptance import Refusal
from telemetry.occasionally import Occasionally

log = logging.getLogger(__name__)

_SAY_AGAIN_S = 600.0

FACTS_AHEAD = 8_000
"""New facts, two segments of them. A partition that keeps up is flushed before it has that many."""


QUIET_S = 3.0
"""Seconds without a new record after which a changelog that earlier rules wrote is taken over."""

_LOOKS = 20
"""Readings after which it is taken over in any case, about a minute."""

_UNREADABLE = (
    "{}: a record of the changelog cannot be read ({}). Going on without it would count wrongly, so the worker stops. Was it "
    "written by a newer version of Floorwatch, start that one. Otherwise rebuild the state from the log of events: delete the "
    "changelog topic, create it again with `floorwatch topics create`, and start the workers."
)


class LedgerStage:
    """Folds events into facts and rows; flushes rows downstream and to the changelog, the meta row last."""

    dense = True

    def __init__(
        self,
        partition: int,
        policy: CorePolicy,
        out: TopicNames,
        writer: LogWriter,
        reader: LogReader,
        meter: Any,
        *,
        owner: str | None = None,
        make_tasks: Callable[[int], TaskTable] = lambda _: TaskTable(),
        facts_ahead: int = FACTS_AHEAD,
        row_bytes: int = ROW_BYTES,
    ) -> None:
        """Own partition ``partition`` of the log of events.

        Args:
            partition: The partition.
            policy: What shapes the numbers.
            out: Topic names.
            writer: Appends rows.
            reader: Reads the changelog on recovery.
            meter: Where counts go.
            owner: Name of this holding of the partition; a random one by default.
            make_tasks: Makes what holds the facts of a partition.
            facts_ahead: New facts beyond which they are written without waiting for the flush.
            row_bytes: Largest row that is written with what is counted by name.
        """
        self._partition, self._policy = partition, policy
        self._out, self._writer, self._reader, self._meter = out, writer, reader, meter
        self._row_bytes, self._make_tasks = row_bytes, make_tasks
        self.store: LedgerStore = new_store(partition, policy, owner, make_tasks(partition), row_bytes)
        self._facts_ahead = facts_ahead
        self._appending: asyncio.Future[None] | None = None
        self._silent = False
        self._seen_duplicates = 0
        self._seen_late = 0
        self._seen_refused = 0
        self._refused_said = Occasionally(_SAY_AGAIN_S, time.monotonic)
        self._seen_aside = 0

    @property
    def next(self) -> int | None:
        """Offset of the next event to fold."""
        return self.store.ledger.next

    async def recover(self) -> None:
        """Read the changelog partition and resume where its meta row says.

        A changelog by earlier rules is read until it is quiet. The last flush of a worker that was ended can still be
        arriving, and which of its rows this owner then counts on from could not be told afterwards (ADR 0027).
        """
        end = await self._read_changelog()
        for _ in range(_LOOKS):
            if self.store.ledger.recount is None:
                break
            await asyncio.sleep(QUIET_S)
            self.store.ledger.tasks.close()
            tasks = self._make_tasks(self._partition)
            self.store = new_store(self._partition, self._policy, self.store.name, tasks, self._row_bytes)
            before, end = end, await self._read_changelog()
            if end == before:
                break
        else:
            log.warning(
                "the changelog of partition %d is still written by another worker after %d s; going on. Is a worker of the "
                "earlier release stuck? End it. Rows of its last minute may then be wrong until their panes end; to be rid of "
                "them, rebuild the state (docs/upgrading.md, Going back).",
                self._partition,
                _LOOKS * QUIET_S,
            )
        events = self._out.name(topics.EVENTS)
        self._silent = self.store.ledger.next == 0 and await self._reader.empty(events, self._partition)
        fold_counts = self.store.ledger.fold_counts
        self._seen_duplicates, self._seen_late = fold_counts.duplicates, fold_counts.late
        self._seen_refused = self.store.ledger.scopes.refused
        self._seen_aside = fold_counts.set_aside
        gc.freeze()  # restored rows are long-lived: keep the collector from walking them again and again

    async def _read_changelog(self) -> int:
        """Fill the store from the changelog, read a second time if its facts are many; return the offset after the last record."""
        changelog, store, end = self._out.name(topics.LEDGER), self.store, 0
        try:
            with formats.read_from(f"{changelog}[{self._partition}]"):
                async for records in self._reader.read(changelog, self._partition):
                    store.read_rows((key, value) for _, key, value in records)
                    end = records[-1][0] + 1 if records else end
                if store.reads_again:
                    async for records in self._reader.read(changelog, self._partition):
                        store.read_facts((key, value) for _, key, value in records)
                for part in store.in_hand():
                    store.read_facts(part)
                    await asyncio.sleep(0)
                store.resume()
        except CONTENT_ERRORS as error:
            raise Invariant(_UNREADABLE.format(f"{changelog}[{self._partition}]", told(error))) from error
        return end

    async def close(self) -> None:
        """Drop the state."""
        if self._appending is not None:
            self._appending.cancel()
        self.store.ledger.tasks.close()
        self.store = new_store(self._partition, self._policy, row_bytes=self._row_bytes)

    def fold(self, records: list[Record]) -> None:
        """Fold events in offset order. When there are many new facts, some are written to the changelog while more are folded."""
        self.store.ledger.fold(records)
        if len(self.store.ledger.new_facts) >= self._facts_ahead:
            self._append(self.store.facts_ahead())

    def _append(self, rows: Sequence[tuple[bytes, bytes | None]]) -> asyncio.Future[None]:
        """Append to the changelog after all appends under way, because recovery reads segments in the order of the log.

        A failed append fails all appends after it, and so the flush.
        """
        self._appending = asyncio.ensure_future(self._append_after(self._appending, rows))
        return self._appending

    async def _append_after(
        self, before: asyncio.Future[None] | None, rows: Sequence[tuple[bytes, bytes | None]]
    ) -> None:
        if before is not None:
            await before
        if rows:
            entries: list[Entry] = [(key, value, None) for key, value in rows]
            await self._writer.append(self._out.name(topics.LEDGER), self._partition, entries)

    async def flush(self) -> int | None:
        """Write rows, then the meta row alone; the offset to commit."""
        ledger = self.store.ledger
        rejected, ledger.rejected = ledger.rejected, []
        late, ledger.late = ledger.late, []
        flush = self.store.collect()
        if flush is None:
            await self._say_silent()
            return None
        for key in flush.cut:
            log.error(
                "row %r of partition %d had more than %d bytes and keeps nothing by name from here on: no count of labellers, no "
                "confusion pairs, no examples. Look for a sender whose labeler_id or values never repeat.",
                key[:200].decode(errors="replace"),
                self._partition,
                self._row_bytes,
            )
        rows = self._append(flush.rows)  # taken before the first await, so that facts folded meanwhile come after these
        await self._write_refused(rejected, topics.DEAD_LETTERS)
        await self._write_refused(late, topics.LATE)
        await asyncio.gather(self._write_outputs(flush), rows)
        await self._append([flush.meta])
        self._report()
        return flush.stamp

    async def _say_silent(self) -> None:
        """Tell the floor once that this source has no events yet, so that it does not wait for the first one."""
        if self._silent:
            self._silent = False
            told = [ProducerRecord(*silence_of(self._partition))]
            partials = self._out.name(topics.PARTIALS)
            await asyncio.gather(*(self._writer.append(partials, p, told) for p in range(self._out.partitions)))

    async def _write_outputs(self, flush: Flush) -> None:
        """Write partial rows to the partitions of their scopes, then the watermark to every partition."""
        by_partition: dict[int, list[ProducerRecord]] = defaultdict(list)
        for key, value in flush.outputs:
            scope_key = key.rsplit(b"|", 4)[0]
            by_partition[self._out.partition_of(scope_key)].append(ProducerRecord(key, value))
        partials = self._out.name(topics.PARTIALS)

        async def write(partition: int) -> None:
            full = [ProducerRecord(*told) for told in flush.full]
            gone = [ProducerRecord(key, None) for key in flush.old_watermarks]
            if rows := [*full, *by_partition.get(partition, ()), *gone]:
                await self._writer.append(partials, partition, rows)
            await self._writer.append(
                partials, partition, [ProducerRecord(*told) for told in (*flush.floor, flush.watermark)]
            )

        await asyncio.gather(*(write(partition) for partition in range(self._out.partitions)))

    async def _write_refused(self, refused: list[Rejected], topic: str) -> None:
        if not refused:
            return
        events = self._out.name(topics.EVENTS)
        letters = []
        for offset, code, reason, value in refused:
            if topic == topics.DEAD_LETTERS:
                self._meter.dead_letter("ledger", code)
            if code == CANNOT_PROCESS:
                log.error("%s[%d] offset %d set aside: %s", events, self._partition, offset, reason)
            record = Record(offset, self.store.ledger.last_record_ms, None, value)
            letters.append(dead_letter("ledger", events, self._partition, record, Refusal(code, None, reason, "")))
        await self._writer.append(self._out.name(topic), self._partition, letters)

    @property
    def partition(self) -> int:
        """Of the log of events."""
        return self._partition

    @property
    def scopes_refused(self) -> int:
        """How often the cap on scopes has kept a new one out."""
        return self.store.ledger.scopes.refused

    def _warn_of_refused(self, more: int) -> None:
        if more > 0 and self._refused_said.due("refused"):
            log.warning(
                "partition %d has reached tables.max_scopes (%d): new scopes are not counted (%d times so far). Rows that may "
                "lack something for it are marked partial; metrics and alert rules leave them out. Look for the sender "
                "whose teams, queues or labelers never repeat; how to raise the cap: FloorwatchScopesRefused in "
                "prometheus/runbooks.md",
                self._partition,
                self._policy.max_scopes,
                self.scopes_refused,
            )

    def _report(self) -> None:
        ledger, meter, partition = self.store.ledger, self._meter, self._partition
        fold_counts = ledger.fold_counts
        meter.duplicates(partition, fold_counts.duplicates - self._seen_duplicates)
        meter.late(partition, fold_counts.late - self._seen_late)
        self._seen_duplicates, self._seen_late = fold_counts.duplicates, fold_counts.late
        meter.scopes_refused(max(0, ledger.scopes.refused - self._seen_refused))
        self._warn_of_refused(ledger.scopes.refused - self._seen_refused)
        self._seen_refused = ledger.scopes.refused
        meter.set_aside("ledger", max(0, fold_counts.set_aside - self._seen_aside))
        self._seen_aside = fold_counts.set_aside
        meter.interned(partition, ledger.scopes.tuples)
        if ledger.watermark_ms >= 0:
            meter.watermark(partition, ledger.watermark_ms, idle=ledger.idle)
        meter.rows("ledger", partition, len(ledger.rows))
        meter.tasks(partition, len(ledger.tasks), ledger.tasks.cold_tasks, ledger.tasks.refused)
