"""Segments: the facts of a partition on its changelog, as they were kept, flush by flush.

A fact is a pure function of the log, so a segment never changes. Its key carries the first offset it may hold and its
owner; segments of several owners may overlap (a worker that stalled, or died before its flush was complete) and then
say the same. A segment is deleted when every fact in it has been dropped.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

import msgspec

from streams.core.facts import repacked
from streams.core.records import KeptFact
from streams.models import formats

_FACTS_PER_SEGMENT = 4_000

_BYTES_PER_SEGMENT = 1_048_576
"""An eighth of what a record may hold: one fact has 64 values of 256 characters at most, 66 kB."""

_offset = itemgetter(0)
_encode = msgspec.msgpack.Encoder().encode


def _size(fact: KeptFact) -> int:
    return len(fact[1]) + len(fact[5])


def _fitting(facts: list[KeptFact]) -> int:
    """Return how many facts, one at least, fill a segment."""
    total = 0
    for count, fact in enumerate(facts):
        total += _size(fact)
        if total > _BYTES_PER_SEGMENT:
            return max(1, count)
    return len(facts)


class _Segment(msgspec.Struct, array_like=True, gc=False):
    """One segment: all facts kept of the events from ``begin`` up to ``end``."""

    end: int
    begin: int
    facts: list[KeptFact]
    version: int = formats.FIRST


_decode: Any = msgspec.msgpack.Decoder(_Segment).decode


def _decoded(value: bytes) -> _Segment:
    """Return a segment.

    Raises:
        NewerFormat: A newer version of Floorwatch wrote it.
        msgspec.DecodeError: It is none.
    """
    try:
        segment: _Segment = _decode(value)
    except msgspec.ValidationError:
        formats.check(formats.SEGMENT, formats.member(value, 3))
        raise
    formats.check(formats.SEGMENT, segment.version)
    return segment


class Segments:
    """What is known of the segments on the changelog: where each begins and how many of its facts live.

    A quiet floor writes a few facts per flush, which makes millions of segments within the correction horizon. So they
    are kept in arrays, 26 bytes each.

    Attributes:
        replaced: By offset, the task of a recalled fact and how version 1 had packed it, where it is packed differently now; None
            while nobody needs it.
    """

    def __init__(self) -> None:
        """Start with none."""
        self._begins = array("q")  # ascending: offsets from here to the next entry's are this segment's
        self._key_begins = array("q")
        self._owners = array("H")
        self._live = array("q")
        self._owner_numbers: dict[str, int] = {}
        self._dead: list[bytes] = []
        self._covered = -1
        self.replaced: dict[int, tuple[str, bytes]] | None = None

    def add(self, facts: list[KeptFact], begin: int, end: int, owner: str) -> list[tuple[bytes, bytes]]:
        """Return the (key, value) records of the facts kept in one flush.

        Args:
            facts: In log order.
            begin: Offset after the flush before.
            end: The flush's stamp.
            owner: Whose records these are.
        """
        records: list[tuple[bytes, bytes]] = []
        at = 0
        while at < len(facts):
            part = facts[at : at + _FACTS_PER_SEGMENT]
            if sum(map(_size, part)) > _BYTES_PER_SEGMENT:
                part = part[: _fitting(part)]
            at += len(part)
            after = facts[at] if at < len(facts) else None
            until = end if after is None else after[0]
            key = segment_key(begin, owner)
            records.append((key, _encode(_Segment(until, begin, part, formats.SEGMENT.version))))
            self._know(begin, begin, owner, len(part))
            begin = until
        return records

    def _know(self, begin: int, key_begin: int, owner: str, live: int) -> None:
        self._begins.append(begin)
        self._key_begins.append(key_begin)
        self._owners.append(self._owner_numbers.setdefault(owner, len(self._owner_numbers)))
        self._live.append(live)

    def let_go(self, offsets: Iterable[int]) -> list[bytes]:
        """Count dropped facts. Returns the keys of segments that hold none any more."""
        begins, live = self._begins, self._live
        emptied = False
        for offset in offsets:
            at = bisect_right(begins, offset) - 1
            live[at] -= 1
            emptied = emptied or not live[at]
        dead, self._dead = self._dead, []
        if emptied:
            names = list(self._owner_numbers)
            entries = zip(begins, self._key_begins, self._owners, live, strict=True)
            self._begins, self._key_begins, self._owners, self._live = array("q"), array("q"), array("H"), array("q")
            for begin, key_begin, owner, count in entries:
                if count:
                    self._know(begin, key_begin, names[owner], count)
                else:
                    dead.append(segment_key(key_begin, names[owner]))
        return dead

    def _repacked(self, fact: KeptFact) -> KeptFact:
        """Return a fact of version 1 as it is packed now; ``replaced`` keeps what it was."""
        packed = repacked(fact[5])
        if packed is fact[5]:
            return fact
        if self.replaced is not None:
            self.replaced[fact[0]] = (fact[1], fact[5])
        return (*fact[:5], packed)

    def recall(self, key: bytes, value: bytes, resume: int) -> list[KeptFact]:
        """Return what a segment adds to those recalled before it: facts below ``resume``, in log order, each once.

        Segments must come in the order of the changelog, without a gap, because the writer of a segment had read or
        written all segments before it.

        Args:
            key: The segment's key.
            value: The segment.
            resume: The offset from which to fold: facts at or above it will be met again.
        """
        segment = _decoded(value)
        facts: list[KeptFact] = segment.facts
        first = self._covered + 1
        # Facts ahead belong to a flush that may still be completed by a worker that lost the partition. They are never
        # dropped here, because recovery may start after them.
        end = bisect_left(facts, resume, key=_offset)
        new = facts[bisect_left(facts, first, hi=end, key=_offset) : end]
        if new:
            self._covered = new[-1][0]
            if segment.version == formats.FIRST:
                new = list(map(self._repacked, new))
            owner = key.rpartition(b"|")[2].decode()
            self._know(max(first, segment.begin), segment.begin, owner, len(new) + len(facts) - end)
        elif end == len(facts):
            self._dead.append(key)
        return new


def segment_key(begin: int, owner: str) -> bytes:
    """Return the changelog key of a segment; keys sort by offset."""
    return f"s|{begin:016d}|{owner}".encode()
