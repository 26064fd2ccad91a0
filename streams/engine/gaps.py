"""Offsets without a gap: what comes next of a partition, and what is done when it is not what was fetched."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise

from streams.core.records import Record
from streams.engine.errors import Invariant
from streams.engine.partition_state import Gap, PartitionState

log = logging.getLogger(__name__)

Seek = Callable[[str, int, int], Awaitable[int]]
"""(topic, partition, offset) -> where the read position was moved to: the offset, or the beginning of the log if later."""

Committed = Callable[[str, int], Awaitable[int | None]]
"""(topic, partition) -> the group's offset; 0 where there is none yet, None where it cannot be told."""

_SEEK_PATIENCE_S = 5.0


class Gaps:
    """Holds the records of one stage against the offsets that should come."""

    def __init__(self, name: str, topic: str, seek: Seek, committed: Committed | None) -> None:
        """Remember the stage's name, its source, how to move its read position and how to ask what was committed."""
        self._name, self._topic = name, topic
        self._seek, self._committed = seek, committed

    async def expected(self, owned: PartitionState, first: int) -> int | None:
        """Return the offset of the next record to fold, None where any may be; ``first`` is the one that has come."""
        if owned.processor.next is not None:
            return owned.processor.next
        if owned.begin is not None and first > owned.begin and self._committed is not None:
            # A broker that has just come back may have answered at first that nothing is committed.
            owned.begin = max(owned.begin, await self._committed(self._topic, owned.partition) or 0)
        return owned.begin

    async def in_order(self, owned: PartitionState, records: list[Record], expected: int | None) -> list[Record]:
        """Return the records of a batch that may be folded: those from the one expected, none while some are missing.

        Raises:
            Invariant: The log has lost records, or has holes where it must not.
        """
        if expected is None:
            return records
        first, last = records[0].offset, records[-1].offset
        if last < expected:
            return []
        if owned.processor.dense and last - first + 1 != len(records):
            raise self._hole(owned, records)
        if first > expected and not await self._fill(owned, expected, first):
            return []
        return records if first >= expected else [record for record in records if record.offset >= expected]

    def _hole(self, owned: PartitionState, records: list[Record]) -> Invariant:
        """Return the error for a batch with missing offsets inside."""
        missing = next(a.offset + 1 for a, b in pairwise(records) if b.offset != a.offset + 1)
        return Invariant(
            f"{self._name}[{owned.partition}]: the log has no record {missing}. It must be neither compacted nor written "
            "by transactions: check cleanup.policy of the topic and who writes to it."
        )

    async def _fill(self, owned: PartitionState, expected: int, first: int) -> bool:
        """Handle records that are missing before a batch: seek back to them, unless the log begins here.

        Batches fetched before the seek may still come; they are dropped and the position is not moved again. If the
        seek brings the same batch again, a log that may have holes (compacted, or written by transactions) has a hole
        here.

        Returns:
            Whether the batch may be folded, because no record of the log is missing before it.
        """
        now_s = time.monotonic()
        gap = owned.gap
        if gap is not None and gap.sought == expected:
            if not owned.processor.dense and first <= gap.end:
                return True
            if now_s - gap.sought_s < _SEEK_PATIENCE_S:
                return False
        owned.gap = Gap(expected, now_s, first)
        begins = await self._seek(self._topic, owned.partition, expected)
        if begins >= first and (expected == 0 or not owned.processor.dense):
            return True
        if expected and begins > expected and owned.processor.dense:
            raise Invariant(
                f"{self._name}[{owned.partition}]: the log has no records {expected} to {begins - 1}. They were deleted "
                "before they were folded (retention too short or a topic recreated). Restore the topic, or accept the "
                "loss by starting with a new consumer group and empty changelog."
            )
        log.warning("%s[%d]: batch starts at %d, expected %d: gone back", self._name, owned.partition, first, expected)
        return False
