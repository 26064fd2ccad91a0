"""The journal's format on disk: segments of framed records, each checked by a CRC.

A segment is ``MAGIC`` followed by frames. A frame, little-endian::

    u32 length of the body · u32 CRC-32 of the body
    body: i64 accepted_ms · u16 topic length · u32 key length · topic · key · value

CRC-32 and not CRC-32C: zlib has it in C everywhere Python runs, and for a torn write both find the same.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from streams.models import formats, topics

MAGIC = b"FWJRNL%d\n" % formats.JOURNAL.version
_VERSION = re.compile(rb"FWJRNL(\d)\n")
MAX_BODY_BYTES = 64 * 1024 * 1024
"""A greater length can only be damage, because the gateway refuses much smaller events."""

_TOPIC_NAMES = frozenset(spec.name.encode() for spec in topics.topic_specs("", 1))
_PREFIX = struct.Struct("<II")
_BODY = struct.Struct("<qHI")
_FRAME = struct.Struct("<IIqHI")


class JournalRecord(NamedTuple):
    """One accepted record.

    Attributes:
        accepted_ms: When it was accepted, in Unix milliseconds; never falls within one writer.
        topic: Topic without the prefix.
        key: Record key; the task id for events.
        value: Record value.
    """

    accepted_ms: int
    topic: str
    key: bytes
    value: bytes


class SegmentTail(Enum):
    """Why reading stopped."""

    CLEAN = "clean"
    """At the end of a frame, or in the middle of an unfinished frame."""
    BAD = "bad"
    """At a frame whose length or CRC is wrong."""


@dataclass(frozen=True)
class Parsed:
    """What a piece of a segment held.

    Attributes:
        records: Complete, checked records in order.
        end: Offset in the buffer after the last of them.
        tail: Why it ends there.
    """

    records: list[JournalRecord]
    end: int
    tail: SegmentTail


def check_version(head: bytes, path: Path) -> None:
    """Refuse a segment of a newer version; what is not a segment at all is left to others.

    Args:
        head: The file's first bytes.
        path: The file, for the message.

    Raises:
        NewerFormat: A newer version of Floorwatch wrote it.
    """
    found = _VERSION.fullmatch(head)
    if found is not None:
        formats.check(formats.JOURNAL, int(found[1]), str(path))


def encode(accepted_ms: int, topic: bytes, key: bytes, value: bytes) -> bytes:
    """Return one frame. Cost: about 1 microsecond.

    Raises:
        ValueError: The record is larger than ``MAX_BODY_BYTES``.
    """
    body = _BODY.pack(accepted_ms, len(topic), len(key)) + topic + key + value
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"a record of {len(value)} bytes is too large for the journal; send at most 60 MiB")
    return _PREFIX.pack(len(body), crc32(body)) + body


def parse(buffer: bytes, at: int = 0, max_records: int = 1_000_000) -> Parsed:
    """Read the complete frames of a buffer. Cost: about 1.5 microseconds a record.

    Args:
        buffer: Bytes of a segment, beginning at a frame.
        at: Offset of the first frame.
        max_records: Stop after so many.

    Returns:
        The records, and where and why reading ended.
    """
    view = memoryview(buffer)
    records: list[JournalRecord] = []
    size = len(buffer)
    names: dict[bytes, str] = {}
    while len(records) < max_records and size - at >= _FRAME.size:
        length, crc, accepted_ms, topic_bytes, key_bytes = _FRAME.unpack_from(buffer, at)
        head = at + _FRAME.size
        if not _BODY.size + topic_bytes + key_bytes <= length <= MAX_BODY_BYTES:
            return Parsed(records, at, SegmentTail.BAD)
        end = at + _PREFIX.size + length
        if end > size:
            break
        if crc32(view[at + _PREFIX.size : end]) != crc:
            return Parsed(records, at, SegmentTail.BAD)
        split = head + topic_bytes
        raw_topic = buffer[head:split]
        topic = names.get(raw_topic)
        if topic is None:
            topic = names[raw_topic] = raw_topic.decode()
        records.append(
            JournalRecord(accepted_ms, topic, buffer[split : split + key_bytes], buffer[split + key_bytes : end])
        )
        at = end
    return Parsed(records, at, SegmentTail.CLEAN)


def next_frame(buffer: bytes, bad_at: int, names: Iterable[bytes] = ()) -> int | None:
    """Return where the next intact frame after a bad one begins; None if there is none.

    Frames are found by the topic's name in each of them, so the search is as fast as ``bytes.find``.

    Args:
        buffer: Bytes of a segment.
        bad_at: Offset of the bad frame.
        names: Topics beside the product's own.
    """
    found: int | None = None
    for name in {*_TOPIC_NAMES, *names}:
        at = buffer.find(name, bad_at + 1 + _FRAME.size)
        while at >= 0 and (found is None or at - _FRAME.size < found):
            start = at - _FRAME.size
            length, _, _, topic_bytes, key_bytes = _FRAME.unpack_from(buffer, start)
            fits = _BODY.size + topic_bytes + key_bytes <= length <= len(buffer) - start - _PREFIX.size
            if fits and topic_bytes == len(name) and parse(buffer, start, max_records=1).records:
                found = start
                break
            at = buffer.find(name, at + 1)
    return found


def is_unfinished(rest: bytes) -> bool:
    """Return whether the bytes after the last intact frame of a file were never acknowledged.

    A process that dies during a write leaves an unfinished frame; a power cut may leave zeros in its place. Such a
    frame was never synced, so no sender was answered. Everything else is damage: a complete frame that fails its check,
    also if its length is the damaged part.
    """
    if len(rest) < _FRAME.size or rest.endswith(b"\0"):
        return True
    length, crc = _PREFIX.unpack_from(rest)
    return bool(_PREFIX.size + length > len(rest) and crc32(memoryview(rest)[_PREFIX.size :]) != crc)


def frame_ends(frames: list[bytes], written: int) -> int:
    """Return how many of ``written`` bytes are whole frames, given the frames that were being written."""
    whole = 0
    for frame in frames:
        if whole + len(frame) > written:
            break
        whole += len(frame)
    return whole
