"""Sends the journal to the broker: all writers' records, merged by the time of acceptance, in each writer's order.

``python -m floorwatch.embedded.shipper`` runs one per stack. Its positions belong to one broker epoch: a new broker is
empty, so a new epoch begins at the start. Records are sent with their time of acceptance and a header that says so, so
that intake decides the same on a replay as the first time.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import json
import logging
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from floorwatch.embedded.frames import JournalRecord
from floorwatch.embedded.journal import wall_ms
from floorwatch.embedded.journal_segments import (
    START,
    Chunk,
    Position,
    SegmentDamage,
    drop_older_than,
    end_of,
    has_writer,
    read_from,
    set_aside,
    writers_of,
)
from floorwatch.embedded.state import replace_private
from floorwatch.output.logs import set_up_logging
from streams.models.kafka_producer import open_producer
from streams.models.topics import ACCEPTED_MARK, partition_of
from telemetry.shutdown import ShutdownWatchdog

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer
    from aiokafka.producer.message_accumulator import BatchBuilder

_log = logging.getLogger("floorwatch.shipper")

CHUNK_BYTES = 2 * 1024 * 1024
BATCH_BYTES = 512 * 1024
POLL_S = 0.02
SAVE_INTERVAL_S = 0.1
STALL_S = 5.0
RETENTION_INTERVAL_S = 600.0
_HEADERS = [ACCEPTED_MARK]
_STOP_S = 4.0
"""Longest time a stop may take; the supervisor kills it a second later."""


@dataclass
class WriterTail:
    """One writer's state: what was read but not sent yet, and where the sent records end."""

    folder: Path
    sent: Position
    read: Position
    pending: list[JournalRecord] = field(default_factory=list)
    more: bool = False
    stalled_at_s: float | None = None
    no_writer: bool = False


class Merge:
    """Reads all writers and merges them. Pure bookkeeping over files; knows no broker."""

    def __init__(self, journal: Path, positions: Mapping[str, Position]) -> None:
        """Begin at the given positions; a writer without one begins at its start."""
        self._journal = journal
        self._positions = dict(positions)
        self.damages: list[SegmentDamage] = []
        self.tails: dict[str, WriterTail] = {}

    def find_writers(self) -> None:
        """Take up writers that appeared since the last call."""
        for name in writers_of(self._journal):
            if name not in self.tails:
                position = self._positions.get(name, START)
                self.tails[name] = WriterTail(self._journal / name, position, position)

    def next_records(self, chunk_bytes: int = CHUNK_BYTES) -> list[JournalRecord]:
        """Return the next records in the order of acceptance, as far as it is certain.

        If a writer has more on disk than was read, the others are sent only up to its last time read. The caller sends
        all of them and then calls :meth:`sent`. Damage is skipped and added to ``damages``.
        """
        for tail in self.tails.values():
            while not tail.pending:
                chunk: Chunk = read_from(tail.folder, tail.read, chunk_bytes, no_writer=tail.no_writer)
                tail.pending, tail.read, tail.more = chunk.records, chunk.position, chunk.more
                if chunk.damage is None:
                    break
                self.damages.append(chunk.damage)
        bound = min((t.pending[-1].accepted_ms for t in self.tails.values() if t.more and t.pending), default=None)
        runs: list[list[JournalRecord]] = []
        for tail in self.tails.values():
            run = tail.pending if bound is None else _up_to(tail.pending, bound)
            tail.pending = tail.pending[len(run) :]
            if run:
                runs.append(run)
        if len(runs) == 1:
            return runs[0]
        return list(heapq.merge(*runs, key=lambda record: record.accepted_ms))

    def sent(self) -> dict[str, Position]:
        """Note that all records returned are with the broker.

        Returns:
            Where to begin after a crash, by writer; everything before it has been sent. A writer with records that were
            held back keeps its earlier position, so some of its records are sent again.
        """
        for tail in self.tails.values():
            if not tail.pending:
                tail.sent = tail.read
        return {name: tail.sent for name, tail in self.tails.items()}


def _up_to(records: list[JournalRecord], bound_ms: int) -> list[JournalRecord]:
    if records and records[-1].accepted_ms <= bound_ms:
        return records
    cut = next((index for index, record in enumerate(records) if record.accepted_ms > bound_ms), len(records))
    return records[:cut]


@dataclass(frozen=True)
class Progress:
    """What the shipper has brought to one broker.

    Attributes:
        epoch: The broker's start this is about.
        positions: Where the sent records end, by writer.
        records: Records sent since the shipper began.
        at_ms: When this was written, Unix milliseconds.
    """

    epoch: str
    positions: dict[str, Position]
    records: int
    at_ms: int


def load_progress(path: Path) -> Progress | None:
    """Read a progress file; None if there is none or it is not whole (then everything is sent again)."""
    try:
        data = json.loads(path.read_bytes())
        positions = {name: Position(int(at[0]), int(at[1])) for name, at in data["positions"].items()}
        return Progress(data["epoch"], positions, int(data["records"]), int(data["at_ms"]))
    except (OSError, ValueError, KeyError, TypeError, IndexError):
        return None


def save_progress(path: Path, progress: Progress) -> None:
    """Replace the progress file in one step."""
    data = {"epoch": progress.epoch, "positions": progress.positions, "records": progress.records}
    replace_private(path, json.dumps({**data, "at_ms": progress.at_ms}))


def is_shipped(journal: Path, progress_path: Path, epoch: str) -> bool:
    """Return whether everything in the journal now has reached the broker of this epoch."""
    progress = load_progress(progress_path)
    if progress is None or progress.epoch != epoch:
        return False
    ends = {name: end_of(journal / name) for name in writers_of(journal)}
    return all(end == START or progress.positions.get(name, START) >= end for name, end in ends.items())


@dataclass(frozen=True)
class Job:
    """What one shipper does. Paths: the journal's folder and the progress file; ages in milliseconds."""

    journal: Path
    progress: Path
    brokers: str
    prefix: str
    partitions: int
    epoch: str
    keep_ms: int | None = None


class Shipper:
    """Sends merged records with acks from all replicas, one round at a time, so that order is kept."""

    def __init__(self, job: Job, producer: AIOKafkaProducer) -> None:
        """Take the job and a started aiokafka producer (``acks="all"``)."""
        self._job = job
        self._producer = producer
        known = load_progress(job.progress)
        positions = known.positions if known is not None and known.epoch == job.epoch else {}
        self.merge = Merge(job.journal, positions)
        self.records = 0
        self._saved_at_s = 0.0
        self._saved: dict[str, Position] | None = None
        self._unsaved = False
        self._dropped_at_s: float | None = None

    async def run(self) -> None:
        """Ship until cancelled.

        Raises:
            KafkaError: The broker refused or vanished; the process ends and the supervisor decides.
        """
        while True:
            sent = await self.step()
            now_s = time.monotonic()
            if not sent:
                self._save(now_s, force=True)
                self._drop_old(now_s)
                self._watch_stalls(now_s)
                await asyncio.sleep(POLL_S)
            else:
                self._save(now_s)

    async def step(self) -> int:
        """Send one round and wait until the broker has it; return how many records it held."""
        self.merge.find_writers()
        records = self.merge.next_records()
        self._set_aside()
        if records:
            await self._send(records)
            self.records += len(records)
        return len(records)

    def _set_aside(self) -> None:
        """Keep and report what could not be read."""
        damages, self.merge.damages = self.merge.damages, []
        for damage in damages:
            tell = _log.error if damage.acknowledged else _log.warning
            what = (
                "records that were acknowledged may be lost: restore the segment from a backup and start the stack again"
                if damage.acknowledged
                else "it was never acknowledged, and its sender sends it again"
            )
            kept = f"kept in {damage.aside}" if damage.content else "nothing of it is left"
            try:
                set_aside(damage)
            except OSError as error:
                kept = f"still in the segment, for it cannot be copied ({error.strerror or error})"
            tell(
                "%s, byte %d: %s; %d bytes passed over, %s; %s",
                damage.path, damage.offset, damage.said, len(damage.content), kept, what,
            )  # fmt: skip

    async def _send(self, records: Sequence[JournalRecord]) -> None:
        by_partition: dict[tuple[str, int], list[JournalRecord]] = defaultdict(list)
        partitions = self._job.partitions
        for record in records:
            by_partition[record.topic, partition_of(record.key, partitions)].append(record)
        await asyncio.gather(
            *(self._send_partition(topic, part, one_partition) for (topic, part), one_partition in by_partition.items())
        )

    async def _send_partition(self, topic: str, partition: int, records: list[JournalRecord]) -> None:
        """Send one partition's records in order. Batches of one partition go one after another, as aiokafka does."""
        name = self._job.prefix + topic
        acknowledged = []
        batch = self._producer.create_batch()
        for record in records:
            if not _fits(batch, record):
                acknowledged.append(await self._producer.send_batch(batch, name, partition=partition))
                batch = self._producer.create_batch()
                if not _fits(batch, record):
                    # Larger than a batch: aiokafka's ordinary path takes one record up to max_request_size.
                    acknowledged.append(
                        await self._producer.send(
                            name,
                            record.value,
                            record.key,
                            partition=partition,
                            timestamp_ms=record.accepted_ms,
                            headers=_HEADERS,
                        )
                    )
        if batch.record_count():
            acknowledged.append(await self._producer.send_batch(batch, name, partition=partition))
        await asyncio.gather(*acknowledged)

    def _save(self, now_s: float, *, force: bool = False) -> None:
        if not force and now_s - self._saved_at_s < SAVE_INTERVAL_S:
            self.merge.sent()
            return
        positions = self.merge.sent()
        if positions != self._saved:
            self._write(Progress(self._job.epoch, positions, self.records, wall_ms()))
        self._saved_at_s = now_s

    def _write(self, progress: Progress) -> None:
        """Save positions. If that fails, go on: a restarted shipper sends again everything after the last saved positions."""
        try:
            save_progress(self._job.progress, progress)
        except OSError as error:
            if not self._unsaved:
                _log.error("%s cannot be written (%s); shipping goes on", self._job.progress, error.strerror or error)
            self._unsaved = True
            return
        if self._unsaved:
            _log.info("%s is written again", self._job.progress)
        self._unsaved, self._saved = False, progress.positions

    def _drop_old(self, now_s: float) -> None:
        if self._job.keep_ms is None:
            return
        if self._dropped_at_s is not None and now_s - self._dropped_at_s < RETENTION_INTERVAL_S:
            return
        self._dropped_at_s = now_s
        for tail in self.merge.tails.values():
            dropped = drop_older_than(tail.folder, wall_ms() - self._job.keep_ms)
            if dropped:
                _log.info("%s: dropped %d segments older than the correction horizon", tail.folder, dropped)

    def _watch_stalls(self, now_s: float) -> None:
        """Skip unreadable bytes at a journal's end when no writer is there to complete them."""
        for tail in self.merge.tails.values():
            if tail.read >= end_of(tail.folder):
                tail.stalled_at_s, tail.no_writer = None, False
            elif tail.stalled_at_s is None:
                tail.stalled_at_s = now_s
            elif now_s - tail.stalled_at_s > STALL_S:
                tail.stalled_at_s = now_s
                tail.no_writer = not has_writer(tail.folder)


def _fits(batch: BatchBuilder, record: JournalRecord) -> bool:
    """Add a record with its time of acceptance, marked as such, to a batch; return whether there was room."""
    added = batch.append(key=record.key, value=record.value, timestamp=record.accepted_ms, headers=_HEADERS)
    return added is not None


async def ship(job: Job) -> None:
    """Run a shipper with its own producer until cancelled. Raises as :meth:`Shipper.run`."""
    connection, limits = (
        {"bootstrap_servers": job.brokers},
        {"batch_bytes": BATCH_BYTES, "request_bytes": 64 * 1024 * 1024},
    )
    async with open_producer(connection, timeout_ms=10_000, **limits) as producer:
        await Shipper(job, producer).run()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the shipper as a process until SIGTERM; returns the exit code."""
    parser = argparse.ArgumentParser(prog="floorwatch.embedded.shipper", description="Bring the journal to the broker.")
    for name in ("journal", "progress", "brokers", "prefix", "epoch"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--keep-ms", type=int, default=None)
    given = parser.parse_args(arguments)
    set_up_logging("info")
    job = Job(
        journal=Path(given.journal),
        progress=Path(given.progress),
        brokers=given.brokers,
        prefix=given.prefix,
        partitions=given.partitions,
        epoch=given.epoch,
        keep_ms=given.keep_ms,
    )
    watchdog = ShutdownWatchdog("the shipper", _STOP_S)
    try:
        return asyncio.run(_until_signal(job, watchdog))
    finally:
        watchdog.disarm()


async def _until_signal(job: Job, watchdog: ShutdownWatchdog) -> int:
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(ship(job))

    def stop() -> None:
        watchdog.begin(0)  # records after the last saved position are sent again
        task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        await task
    except asyncio.CancelledError:
        return 0
    finally:
        watchdog.begin()
    return 0


if __name__ == "__main__":
    sys.exit(main())
