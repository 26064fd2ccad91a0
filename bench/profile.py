"""Where a worker's CPU goes: the pure parts over workload W, without broker, Redis or clock.

Prints CPU microseconds per event of each part, and with ``--functions`` the functions that cost most (cProfile, which
slows small functions more than large ones: take its order, not its sums). Run it with ``-m``: as a file it would stand
before the standard library's own ``profile``, which cProfile imports.

    .venv/bin/python -m bench.profile --labels 200000
    .venv/bin/python -m bench.profile --labels 100000 --functions 40 --only ledger
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import pstats
import resource
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.workload import load
from streams.adapters.topic_names import TopicNames
from streams.agents.intake import Intake, IntakePolicy
from streams.core.floor import Floor
from streams.core.ledger_store import new_store
from streams.core.policy import CorePolicy
from streams.core.records import Record
from streams.core.tables import pane_json, window_json
from streams.models import topics
from streams.models.events import decode_log_event

REDUCED: tuple[tuple[str, ...], ...] = (("vendor",), ("queue",))
"""The scopes of the job that the peers do."""


class NullWriter:
    """Takes records and forgets them."""

    async def append(self, topic: str, partition: int, records: Any) -> None:  # noqa: ARG002
        """Look at every record, as a broker client must."""
        for _ in records:
            pass


class NullReader:
    """Reads from an empty log."""

    async def read(self, topic: str, partition: int) -> AsyncIterator[list[tuple[int, bytes, bytes | None]]]:  # noqa: ARG002
        """Yield nothing."""
        for nothing in ():
            yield nothing

    async def empty(self, topic: str, partition: int) -> bool:  # noqa: ARG002
        """Say that there is nothing."""
        return True


class NullMeter:
    """Counts nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_, **__: None


@dataclass
class Sections:
    """CPU seconds by part, and what each part handled.

    Attributes:
        profile: Collects functions too, when asked.
        only: Parts that ``profile`` looks at; empty is all of them.
    """

    profile: cProfile.Profile | None = None
    only: str = ""
    cpu_s: dict[str, float] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the CPU seconds of a part."""
        watched = self.profile if self.profile is not None and self.only in name else None
        if watched is not None:
            watched.enable()
        began = time.process_time()
        try:
            yield
        finally:
            self.cpu_s[name] = self.cpu_s.get(name, 0.0) + time.process_time() - began
            if watched is not None:
                watched.disable()

    def table(self, events: int, summed: tuple[str, ...]) -> str:
        """Return CPU microseconds per event of each part, and their sum over ``summed``."""
        lines = [f"{'part':34}{'CPU us/event':>14}{'CPU s per million':>20}   note"]
        for name, cpu_s in self.cpu_s.items():
            each = cpu_s / events * 1e6
            lines.append(f"{name:34}{each:>14.2f}{each:>20.2f}   {self.notes.get(name, '')}")
        total = sum(cpu_s for name, cpu_s in self.cpu_s.items() if name in summed) / events * 1e6
        lines.append(f"{'sum of ' + ', '.join(n.split(':')[0] for n in summed)[:27]:34}{total:>14.2f}{total:>20.2f}")
        return "\n".join(lines)


def batches(records: list[Record], size: int) -> Iterator[list[Record]]:
    """Yield runs of at most ``size`` records."""
    for start in range(0, len(records), size):
        yield records[start : start + size]


def by_partition(labels: int, labelers: int, partitions: int) -> list[list[Record]]:
    """Return the workload as the records of each partition of the log."""
    found: list[list[Record]] = [[] for _ in range(partitions)]
    now_ms = int(time.time() * 1000)
    for key, value in load(labels, labelers=labelers):
        records = found[topics.partition_of(key, partitions)]
        records.append(Record(len(records), now_ms, key, value))
    return found


def run_intake(parts: list[list[Record]], sections: Sections, batch: int) -> None:
    """Check every event and hand it on."""
    out = TopicNames("profile.", len(parts))
    loop = asyncio.new_event_loop()
    for partition, records in enumerate(parts):
        stage = Intake("raw", partition, out, NullWriter(), NullReader(), IntakePolicy(), NullMeter())
        for chunk in batches(records, batch):
            with sections.part("intake: fold"):
                stage.fold(chunk)
            with sections.part("intake: flush (null writer)"):
                loop.run_until_complete(stage.flush())
    loop.close()


def run_decode(parts: list[list[Record]], sections: Sections) -> None:
    """Decode alone, what any fold of these bytes costs at least."""
    with sections.part("decode: decode_log_event alone"):
        for records in parts:
            for record in records:
                decode_log_event(record.value or b"")


def run_core(parts: list[list[Record]], sections: Sections, policy: CorePolicy, given: argparse.Namespace) -> None:
    """Ledger, flush, merge and tables of all partitions in turns, as a catching-up worker does."""
    stores = [new_store(partition, policy) for partition in range(len(parts))]
    floor = Floor(policy)
    chunks = [list(batches(records, given.batch)) for records in parts]
    per_flush = max(1, given.flush_every // given.batch)
    rows = flushed = published = written = flushes = 0
    changelog: list[list[tuple[bytes, bytes | None]]] = [[] for _ in parts]
    for number in range(max(map(len, chunks))):
        for partition, store in enumerate(stores):
            if number >= len(chunks[partition]):
                continue
            pending = chunks[partition][number]
            while pending:
                with sections.part("ledger: fold"):
                    folded = store.ledger.fold(pending)
                pending = pending[folded:]
                last = number + 1 == len(chunks[partition])
                if not pending and (number + 1) % per_flush and not last:
                    continue
                with sections.part("ledger: collect (encode flush)"):
                    flush = store.collect()
                if flush is None:
                    continue
                flushes += 1
                flushed += len(flush.rows)
                rows += len(flush.outputs)
                changelog[partition].extend(flush.rows)
                changelog[partition].append(flush.meta)
                with sections.part("scopes: apply (merge)"):
                    floor.apply([*flush.full, *flush.outputs, flush.watermark])
        if (number + 1) % (per_flush * given.publish_flushes) == 0 or number + 1 == max(map(len, chunks)):
            count, size = publish(floor, sections)
            published, written = published + count, written + size
    sections.notes["ledger: collect (encode flush)"] = f"{flushes} flushes, {flushed} changelog rows, {rows} partials"
    sections.notes["scopes: window_rows/pane_rows+JSON"] = f"{published} rows, {written / 1e6:.0f} MB of JSON"
    run_restore(changelog, sections, policy)


def publish(floor: Floor, sections: Sections) -> tuple[int, int]:
    """Take what changed and make the rows people see; return how many and how many bytes."""
    count = size = 0
    with sections.part("scopes: take_changes (windows)"):
        windows, panes = floor.take_changes()
    with sections.part("scopes: window_rows/pane_rows+JSON"):
        for window in windows:
            for value in window_json(window, floor.watermark_ms).values():
                size += len(value)
                count += 1
        for pane in panes:
            for value in pane_json(pane, floor.watermark_ms).values():
                size += len(value)
                count += 1
    return count, size


def run_restore(changelog: list[list[tuple[bytes, bytes | None]]], sections: Sections, policy: CorePolicy) -> None:
    """Read the changelog back, uncompacted."""
    rows = sum(map(len, changelog))
    began = time.process_time()
    for partition, entries in enumerate(changelog):
        with sections.part("ledger: restore (not in the sum)"):
            new_store(partition, policy).restore(entries)
    spent_s = max(1e-9, time.process_time() - began)
    sections.notes["ledger: restore (not in the sum)"] = f"{rows} rows, {rows / spent_s:,.0f} rows per CPU second"


def main() -> None:
    """Run the parts and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--labels", type=int, default=200_000, help="labels of W; audits come on top")
    options.add_argument("--labelers", type=int, default=500)
    options.add_argument("--partitions", type=int, default=4)
    options.add_argument("--batch", type=int, default=5_000, help="records of one fold")
    options.add_argument("--flush-every", type=int, default=50_000, help="records of a partition between flushes")
    options.add_argument("--publish-flushes", type=int, default=2, help="flushes between publications")
    options.add_argument("--reduced", action="store_true", help="two scopes, the job of the peers")
    options.add_argument("--functions", type=int, default=0, help="print this many functions by own time")
    options.add_argument("--only", default="", help="with --functions: only parts whose name holds this")
    given = options.parse_args()
    parts = by_partition(given.labels, given.labelers, given.partitions)
    events = sum(map(len, parts))
    gc.collect()
    gc.freeze()  # the workload itself is not part of what is measured
    sections = Sections(cProfile.Profile() if given.functions else None, given.only)
    policy = CorePolicy(scopes=REDUCED, audit_scopes=()) if given.reduced else CorePolicy()
    run_intake(parts, sections, given.batch)
    run_decode(parts, sections)
    run_core(parts, sections, policy, given)
    summed = tuple(name for name in sections.cpu_s if not name.startswith("decode") and "restore" not in name)
    print(f"{events:,} events, {given.partitions} partitions, {len(policy.scopes)} scope kinds")
    print(sections.table(events, summed))
    print(f"peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB, the workload's own bytes included")
    if sections.profile is not None:
        pstats.Stats(sections.profile).sort_stats("tottime").print_stats(given.functions)


if __name__ == "__main__":
    main()
