"""One partition of one stage: what is kept of it while this worker owns it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import NamedTuple, Protocol

from streams.core.records import Record
from streams.engine.errors import Invariant


class Gap(NamedTuple):
    """A seek back for missing records: the offset, when it was, and the first offset of the batch that showed the gap."""

    sought: int
    sought_s: float
    end: int


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


class Phase(Enum):
    """Where a partition is between being taken and being given back.

    Attributes:
        RECOVERING: Its state is being restored; nothing is folded yet.
        ACTIVE: It is folded and flushed.
        PARKED: Between two assignments. It has been flushed, and is neither folded nor flushed until the next assignment
            is known.
        FENCED: The group no longer knows this worker. The partition is neither folded nor flushed until it has been
            revoked and assigned again.
        FAILED: A fold or a flush ended half-way, so memory and log differ. Nothing of it may be folded or flushed until it
            has recovered again. The worker is stopping, but its other tasks still run.
        CLOSED: It was given back; a flush that is still under way writes nothing more.
    """

    RECOVERING = "recovering"
    ACTIVE = "active"
    PARKED = "parked"
    FENCED = "fenced"
    FAILED = "failed"
    CLOSED = "closed"


TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.RECOVERING: frozenset({Phase.ACTIVE, Phase.FENCED, Phase.CLOSED}),
    Phase.ACTIVE: frozenset({Phase.PARKED, Phase.FENCED, Phase.FAILED, Phase.CLOSED}),
    Phase.PARKED: frozenset({Phase.ACTIVE, Phase.FENCED, Phase.FAILED, Phase.CLOSED}),
    Phase.FENCED: frozenset({Phase.FAILED, Phase.CLOSED}),
    Phase.FAILED: frozenset({Phase.CLOSED}),
    Phase.CLOSED: frozenset(),
}
"""What may follow each phase. Only a new assignment, with a new state, comes back from FENCED and FAILED."""


class PartitionState:
    """One partition this worker owns.

    Attributes:
        phase: Where it is; changed by ``to`` and the methods that use it.
        ready: Set once it has recovered.
        behind: Records of the source not folded yet, as of the last batch.
        gap: The latest seek back for records that were missing.
        since_s: When the partition was taken, on the monotonic clock.
        flushed_s: When its last flush began.
        unflushed: Records folded since the last flush began.
        unflushed_bytes: Their size.
        writing: Records whose flush is under way.
        begin: Where a stage without an offset in its state begins: at the committed offset. None where that is unknown.
        uncommitted: Flushed offset that the coordinator has not committed; the next flush tries again.
        committed_s: When its last commit was offered.
        work: The flush under way; it is cancelled if the partition is revoked while it waits.
        fenced_s: When the worker was fenced.
    """

    def __init__(self, partition: int, processor: Processor) -> None:
        """Start unrecovered."""
        self.partition = partition
        self.processor = processor
        self.phase = Phase.RECOVERING
        self.ready = asyncio.Event()
        self.flushing = asyncio.Lock()
        self.unflushed = self.unflushed_bytes = self.writing = 0
        self.uncommitted: int | None = None
        self.begin: int | None = None
        self.fenced_s = 0.0
        self.behind = 0
        self.gap: Gap | None = None
        self.committed_s = 0.0
        self.since_s = self.flushed_s = time.monotonic()
        self.work: asyncio.Future[int | None] | None = None
        self.recovery: asyncio.Task[None] | None = None

    def to(self, phase: Phase) -> None:
        """Enter a phase.

        Raises:
            Invariant: It must not follow the present one.
        """
        if phase not in TRANSITIONS[self.phase]:
            raise Invariant(
                f"partition {self.partition} is {self.phase.value} and cannot become {phase.value}. This is a fault of the "
                "program: please report it. The worker must be started again: it recovers exactly."
            )
        self.phase = phase

    def recovered(self) -> None:
        """Note that the state is restored. A worker that was fenced meanwhile stays fenced."""
        if self.phase is Phase.RECOVERING:
            self.to(Phase.ACTIVE)
        self.ready.set()

    def reassigned(self) -> None:
        """Continue after a rebalance that left the partition here; one that is fenced or has failed stays so."""
        if self.phase is Phase.PARKED:
            self.to(Phase.ACTIVE)
        self.gap = None

    def park(self) -> bool:
        """Wait for the next assignment; return False for a partition whose state must be dropped instead.

        The caller holds ``flushing``, so that no flush is under way or begins in between.
        """
        if self.phase is Phase.ACTIVE:
            self.to(Phase.PARKED)
        return self.phase is Phase.PARKED

    def fence(self, now_s: float) -> bool:
        """Stop because the group no longer knows this worker; return False where it had stopped before."""
        if Phase.FENCED not in TRANSITIONS[self.phase]:
            return False
        self.to(Phase.FENCED)
        self.fenced_s = now_s
        return True

    def fail(self) -> None:
        """Note that memory and log differ. That is of no interest once the partition is given back."""
        if self.phase not in (Phase.FAILED, Phase.CLOSED):
            self.to(Phase.FAILED)

    def close(self) -> None:
        """Note that the partition is given back, and break off a flush that waits. A second call does nothing."""
        if self.phase is Phase.CLOSED:
            return
        self.to(Phase.CLOSED)
        if self.work is not None:
            self.work.cancel()

    @property
    def active(self) -> bool:
        """Whether it may be folded and flushed now."""
        return self.phase is Phase.ACTIVE

    @property
    def given_back(self) -> bool:
        """Whether the partition was given back meanwhile."""
        return self.phase is Phase.CLOSED


@contextmanager
def marked(owned: PartitionState) -> Iterator[None]:
    """Mark a partition as failed when the work inside is not completed."""
    try:
        yield
    except BaseException:
        owned.fail()
        raise
