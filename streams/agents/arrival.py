"""When an event arrived, and which events an earlier run refused by the clock.

An event dated well after its arrival is refused. Where the broker stamps records (``LogAppendTime``, as on Floorwatch's
own topics), arrival is on the log and a replay decides as the first run did. On other topics a record's time is what
its sender says, so intake reads a clock. No other clock decides about an event. A replay reads the clock later and
would accept what was refused before. So an intake that takes over first reads which records already have a dead letter,
and refuses those again. The opposite cannot happen: an event that was acceptable stays acceptable as time passes.
"""

from __future__ import annotations

import time

from streams.agents.dead_letters import letter_key
from streams.engine.log import LogReader


def wall_ms() -> int:
    """Return the wall clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def arrival_ms(record_ms: int, now_ms: int, *, trusted: bool) -> int:
    """Return when a record arrived whose time is what its sender says.

    Args:
        record_ms: The record's time; any 64-bit number.
        now_ms: The clock.
        trusted: The record has the mark of the shipper (``streams.models.topics.ACCEPTED_MARK``) and the configuration
            believes it. Its time is used unless it is ahead of the clock or before 1970.
    """
    return record_ms if trusted and 0 <= record_ms <= now_ms else now_ms


async def refused_before(
    reader: LogReader, dead_letters: tuple[str, int], source: tuple[str, int], first: int
) -> frozenset[int]:
    """Return the offsets from ``first`` on that have a dead letter already.

    Args:
        reader: Reads partitions whole. Only keys are looked at: about 300,000 letters a second.
        dead_letters: Full topic name and partition of the dead letters.
        source: The same of the raw topic.
        first: The first offset that is folded again.
    """
    prefix = letter_key(*source, 0)[:-1]
    found: set[int] = set()
    async for records in reader.read(*dead_letters):
        for _, key, _ in records:
            if key.startswith(prefix) and (offset := key[len(prefix) :]).isdigit() and int(offset) >= first:
                found.add(int(offset))
    return frozenset(found)
