"""One partition of one stage: what is kept of it while this worker owns it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from streams.core.records import Record


class Processor(Protocol):
    """The work of one stage on one partition.

    Attributes:
        next: Offset of the next record to fold; None when the stage keeps no place of its own.
        dense: A hole in the offsets of its input is loss (False for compacted input).
    """

    dense: bool

    @property
    def next(self) -> int | None:
        """See above."""

    async def recover(self) -> None:
        """Restore the state from the log."""

    def fold(self, records: list[Record]) -> None:
        """Fold records in offset order."""

    async def flush(self) -> int | None:
        """Write and await everything folded so far; return the offset to commit, None when there is nothing new."""

    async def close(self) -> None:
        """Drop the state. Called after a last flush, or without one when another worker already owns the partition."""


class PartitionState:
    """One partition this worker owns.

    Attributes:
        behind: Records of the source not folded yet, as of the last batch.
        sought: Offset of the last seek back for a gap.
        sought_s: When that was.
        gap_end: First offset of the batch that showed the gap.
        since_s: When the partition was taken, on the monotonic clock.
        flushed_s: When its last flush began.
        unflushed: Records folded since the last flush began.
        unflushed_bytes: Their size.
        writing: Records whose flush is under way.
        begin: Where a stage without an offset in its state begins: at the committed offset. None where that is unknown.
        uncommitted: Flushed offset that the coordinator has not committed; the next flush tries again.
        committed_s: When its last commit was offered.
        work: The flush under way; it is cancelled if the partition is revoked while it waits.
        fenced_s: When the worker was fenced. The partition is neither folded nor flushed until it has been revoked and
            assigned again.
        parked: Between two assignments. It has been flushed, and is neither folded nor flushed until the next
            assignment is known.
        failed: A fold or a flush ended half-way, so memory and log differ. Nothing of it may be folded or flushed until
            it has recovered again. The worker is stopping, but its other tasks still run.
    """

    def __init__(self, partition: int, processor: Processor) -> None:
        """Start unrecovered."""
        self.partition = partition
        self.processor = processor
        self.ready = asyncio.Event()
        self.flushing = asyncio.Lock()
        self.unflushed = self.unflushed_bytes = self.writing = 0
        self.uncommitted: int | None = None
        self.begin: int | None = None
        self.fenced_s: float | None = None
        self.behind = 0
        self.sought: int | None = None
        self.sought_s = 0.0
        self.gap_end = 0
        self.committed_s = 0.0
        self.since_s = self.flushed_s = time.monotonic()
        self.closed = self.failed = self.parked = False
        self.work: asyncio.Future[int | None] | None = None
        self.recovery: asyncio.Task[None] | None = None

    @property
    def given_back(self) -> bool:
        """Whether the partition was given back meanwhile."""
        return self.closed


@contextmanager
def marked(owned: PartitionState) -> Iterator[None]:
    """Mark a partition as failed when the work inside is not completed."""
    try:
        yield
    except BaseException:
        owned.failed = True
        raise
