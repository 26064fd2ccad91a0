"""Sources: how far each partition of the log of events has come, and how far the floor has come with them.

The floor's watermark is the least of the watermarks of the partitions that are not idle (ADR 0019). All of it is state on
``partials.v1``: a floor that reads the topic anew comes to the same watermark, or, while a partition with older events is
held back by nobody, to one at most an idle timeout earlier.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from streams.models import formats

WATERMARK_PREFIX = "~watermark|"

_FLOOR = "|floor"
"""End of the key of the record that says how far the floor had come when a partition was last found idle."""

_FULL = "|full"
"""End of the key of the record that says that a partition has refused scopes."""

_HEAD = 0x92
"""First byte of a watermark record of this version: an array of two."""

NO_TIME = -1
"""The watermark of a partition that has no events yet."""

_encode = msgspec.msgpack.Encoder().encode
_decode: Any = msgspec.msgpack.Decoder(tuple[int, int]).decode


class SourcePartition(NamedTuple):
    """What the floor knows of one partition.

    Attributes:
        stamp: Offset up to which the partition was folded when this was said.
        watermark_ms: Its watermark, ``NO_TIME`` without events.
        idle: The last record of its log was a tick that found it idle.
    """

    stamp: int
    watermark_ms: int
    idle: bool = False


def hidden(time_ms: int) -> int:
    """Return a time as a negative number, and such a number as its time.

    Workers before ADR 0019 read (stamp, watermark) and pass over a negative watermark, as that of a partition without events.
    So an idle partition holds back nobody there either, and the record stays readable during a rolling upgrade.
    """
    return -2 - time_ms


def watermark_record(partition: int, owner: str, source: SourcePartition) -> tuple[bytes, bytes]:
    """Return the record by which a ledger tells every floor how far it is."""
    shown_ms = hidden(source.watermark_ms) if source.idle and source.watermark_ms >= 0 else source.watermark_ms
    return f"{WATERMARK_PREFIX}{partition}|{owner}".encode(), _encode((source.stamp, shown_ms))


def floor_record(partition: int, owner: str, stamp: int, floor_ms: int) -> tuple[bytes, bytes]:
    """Return the record that says how far the floor had come when the partition was last found idle.

    It is written right before the watermark record with the same stamp, so that a worker before ADR 0019, which takes it for
    one, forgets it with the next record.
    """
    return floor_key(partition, owner), _encode((stamp, hidden(floor_ms)))


def floor_key(partition: int, owner: str) -> bytes:
    """Return the key of ``floor_record``."""
    return f"{WATERMARK_PREFIX}{partition}|{owner}{_FLOOR}".encode()


def full_record(partition: int, owner: str, stamp: int) -> tuple[bytes, bytes]:
    """Return the record that says that a partition has reached its cap on scopes: one of which it has no rows may be incomplete.

    It is written before the rows and the watermark record of the same stamp. Workers that do not know it take it for a watermark
    that holds back nobody, until that record comes. A flush without it says that the cap bites no more.
    """
    return full_key(partition, owner), _encode((stamp, hidden(0)))


def full_key(partition: int, owner: str) -> bytes:
    """Return the key of ``full_record``."""
    return f"{WATERMARK_PREFIX}{partition}|{owner}{_FULL}".encode()


def silence_of(partition: int) -> tuple[bytes, bytes]:
    """Return the watermark record of a source that has no events yet. It has no owner, for all of them say the same."""
    return watermark_record(partition, "", SourcePartition(0, NO_TIME))


class Sources:
    """The watermarks of all partitions of the log, as one floor has heard them.

    Attributes:
        heard: By partition, the newest that was said of it.
        watermark_ms: The floor's watermark; it never goes back.
        kept_from_ms: The least watermark of all partitions, idle ones too: no partition takes a change of what had expired by
            then. It goes back when a partition has its first events and they are older.
        behind: Partitions whose watermark is older than the floor's: idle ones, and those that came back from being idle with
            older events. By partition, the watermark.
    """

    def __init__(self, expected: int = 0) -> None:
        """Start without any.

        Args:
            expected: How many there are: until each has been heard there is no watermark, for nobody knows how old the events
                of the others are. 0 where the caller brings all of them in one call.
        """
        self._expected = expected
        self._floor_ms = NO_TIME
        self._full: dict[int, int] = {}
        self.heard: dict[int, SourcePartition] = {}
        self.watermark_ms = NO_TIME
        self.kept_from_ms = NO_TIME
        self.behind: dict[int, int] = {}

    def hear(self, key: str, value: bytes) -> None:
        """Take in one record whose key begins with ``WATERMARK_PREFIX``; an older one changes nothing."""
        if value[0] != _HEAD:
            formats.refuse_longer(formats.WATERMARK, value, 2)
        stamp, time_ms = _decode(value)
        if key.endswith(_FLOOR):
            self._floor_ms = max(self._floor_ms, hidden(time_ms))
            return
        idle = time_ms < NO_TIME
        partition = int(key[len(WATERMARK_PREFIX) :].partition("|")[0])
        if key.endswith(_FULL):
            self._full[partition] = max(stamp, self._full.get(partition, 0))
            return
        known = self.heard.get(partition)
        if known is None or stamp >= known.stamp:
            self.heard[partition] = SourcePartition(stamp, hidden(time_ms) if idle else time_ms, idle)

    @property
    def full(self) -> frozenset[int]:
        """Partitions that have reached their cap on scopes, as of what was last heard of them."""
        if not self._full:
            return frozenset()
        return frozenset(
            one for one, stamp in self._full.items() if one not in self.heard or stamp >= self.heard[one].stamp
        )

    @property
    def idle(self) -> bool:
        """Whether every partition that has events is idle: the last record of each log is a tick, so all of them are counted."""
        known = [source for source in self.heard.values() if source.watermark_ms >= 0]
        return bool(known) and len(self.heard) >= self._expected and all(source.idle for source in known)

    def advance(self) -> None:
        """Move the floor's watermark to what has been heard.

        It is the least watermark of the partitions that have events and are not idle. While all of them are idle it is the
        greatest: nothing is under way on any of them, and time goes on with the one whose events are the newest. It is never
        less than a floor has already shown, as far as that was told.
        """
        if len(self.heard) < self._expected:
            return
        known = [source for source in self.heard.values() if source.watermark_ms >= 0]
        if not known:
            return
        busy = [source.watermark_ms for source in known if not source.idle]
        reached_ms = min(busy) if busy else max(source.watermark_ms for source in known)
        self.watermark_ms = max(self.watermark_ms, reached_ms, self._floor_ms)
        self.kept_from_ms = min(source.watermark_ms for source in known)
        self.behind = {
            partition: source.watermark_ms
            for partition, source in self.heard.items()
            if 0 <= source.watermark_ms < self.watermark_ms
        }
