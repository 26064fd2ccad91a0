"""A writer's folder of segments: names, order, repair of a torn end, reading from a position, retention.

Invariant: a complete frame, once visible in a segment, is never removed from it (only whole segments are, by age). So a
    reader never has to go back.

A part that fails its check is skipped. The reader is told, keeps the part in a file beside the segment, and goes on
with the next intact frame. The segment itself is not changed.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from floorwatch.embedded.frames import (
    MAGIC,
    JournalRecord,
    Parsed,
    SegmentTail,
    check_version,
    is_unfinished,
    next_frame,
    parse,
)

SUFFIX = ".seg"
LOCK = "lock"
"""File in a writer's folder that its process holds locked."""
_ASIDE = ".damaged-"


@dataclass(frozen=True)
class SegmentDamage:
    """A part of a segment that cannot be read.

    Attributes:
        path: The segment.
        offset: Where the part begins.
        content: Its bytes; empty if they no longer exist.
        acknowledged: It may hold records that were acknowledged; False for the torn end that a crash leaves.
        said: What is wrong, in words.
    """

    path: Path
    offset: int
    content: bytes
    acknowledged: bool
    said: str

    @property
    def aside(self) -> Path:
        """Where the part is kept: a file beside the segment."""
        return self.path.with_name(f"{self.path.name}{_ASIDE}{self.offset:08d}")


class Position(NamedTuple):
    """A place in a writer's journal: segment number and byte offset in it, always at a frame's start."""

    segment: int
    offset: int


START = Position(0, len(MAGIC))


@dataclass(frozen=True)
class Chunk:
    """Records read from a position.

    Attributes:
        records: In the order they were accepted.
        position: Where to read on.
        more: Whether there was more to read than was asked for.
        damage: What had to be skipped to get to ``position``.
    """

    records: list[JournalRecord]
    position: Position
    more: bool
    damage: SegmentDamage | None = None


def segment_path(folder: Path, number: int) -> Path:
    """Return the path of a writer's segment."""
    return folder / f"{number:08d}{SUFFIX}"


def segment_numbers(folder: Path) -> list[int]:
    """Return the numbers of a writer's segments in order; none if the folder does not exist."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(name[: -len(SUFFIX)]) for name in names if name.endswith(SUFFIX) and name[:8].isdigit())


@dataclass(frozen=True)
class Inspection:
    """What a writer finds in the segment it left behind.

    Attributes:
        cut: Bytes of a torn end that were cut off.
        damaged: Whether there is damage. It stays in the segment; the reader sets it aside.
        last_ms: When the last intact record was accepted; 0 if there is none.
        size: Bytes left.
    """

    cut: int
    damaged: bool
    last_ms: int
    size: int


def mend(path: Path) -> Inspection:
    """Cut the torn end off a segment that its writer left behind. Damage is left as it is.

    Args:
        path: The writer's last segment. Only the writer that holds the folder's lock may call this.
    """
    content = path.read_bytes()
    check_version(content[: len(MAGIC)], path)
    whole = content[: len(MAGIC)] == MAGIC
    damaged = len(content) >= len(MAGIC) and not whole
    end, last_ms = min(len(MAGIC), len(content)) if len(content) >= len(MAGIC) else 0, 0
    for parsed in _stretches(content):
        end = parsed.end
        if parsed.records:
            last_ms = parsed.records[-1].accepted_ms
        damaged = damaged or (parsed.end < len(content) and next_frame(content, parsed.end) is not None)
    left = len(content) - end
    if left and (end == 0 or is_unfinished(content[end:])):
        with path.open("r+b") as segment:
            segment.truncate(end)
            os.fsync(segment.fileno())
        return Inspection(left, damaged, last_ms, end)
    return Inspection(0, damaged or left > 0, last_ms, len(content))


def _stretches(content: bytes) -> Iterator[Parsed]:
    """Yield the intact frames of a segment, stretch by stretch between damaged parts."""
    at: int | None = len(MAGIC)
    while at is not None and at < len(content):
        parsed = parse(content, at)
        yield parsed
        at = next_frame(content, parsed.end) if parsed.end < len(content) else None


def read_from(folder: Path, position: Position, max_bytes: int, *, no_writer: bool = False) -> Chunk:
    """Read on from a position, over the ends of segments and over damage.

    Args:
        folder: The writer's folder.
        position: Where to begin; ``START`` reads everything there is.
        max_bytes: About how much to read; a longer record is still read whole.
        no_writer: Nobody writes here now, so an unfinished record at the very end will never be completed.

    Returns:
        Records and the next position; or no records, and the damage that lies before the next position. An unfinished record
        at the very end is left for the next call.
    """
    # List the segments first: if a later one existed before the read found nothing more, the current one is finished.
    numbers = segment_numbers(folder)
    if not numbers:
        return Chunk([], position, more=False)
    if position.segment not in numbers:
        later = [number for number in numbers if number > position.segment]
        if not later:
            return Chunk([], position, more=False)
        position = Position(later[0], len(MAGIC))
    while True:
        last = position.segment == numbers[-1]
        chunk = _read_segment(
            segment_path(folder, position.segment), position, max_bytes, last=last, no_writer=no_writer
        )
        if chunk.records or chunk.more or chunk.damage is not None or last:
            if last and chunk.damage is not None and not chunk.more:
                # The next writer begins another segment, whether or not the end of this one is cut off.
                return replace(chunk, position=Position(position.segment + 1, len(MAGIC)))
            return chunk
        position = Position(next(n for n in numbers if n > position.segment), len(MAGIC))


def _read_segment(path: Path, position: Position, max_bytes: int, *, last: bool, no_writer: bool) -> Chunk:
    """Read records, or damage, at a position of one segment. Only the last segment still grows."""
    try:
        with path.open("rb") as segment:
            size = os.fstat(segment.fileno()).st_size
            if size < position.offset and size >= len(MAGIC):
                said = f"it ends {position.offset - size} bytes before a place that had been read"
                return Chunk([], position._replace(offset=size), True, SegmentDamage(path, size, b"", True, said))
            check_version(segment.read(len(MAGIC)), path)
            segment.seek(position.offset)
            buffer = segment.read(max_bytes)
            parsed = parse(buffer)
            if not parsed.records and buffer:
                # A record longer than max_bytes, or damage: take all there is.
                buffer += segment.read()
                parsed = parse(buffer, max_records=1)
    except FileNotFoundError:
        return Chunk([], position, more=False)  # retention removed it since it was listed
    offset = position.offset + parsed.end
    if parsed.records or not buffer:
        more = position.offset + len(buffer) < size or (bool(parsed.records) and parsed.tail is SegmentTail.BAD)
        return Chunk(parsed.records, Position(position.segment, offset), more)
    following = next_frame(buffer, 0)
    if following is not None:
        damage = SegmentDamage(path, offset, buffer[:following], True, "a record fails its check")
        return Chunk([], position._replace(offset=offset + following), True, damage)
    if last and not no_writer:
        return Chunk([], position, more=False)
    torn = last and is_unfinished(
        buffer
    )  # a writer that goes on in another segment has cut off the torn end of this one
    said = "the last record is unfinished" if torn else "the last record is damaged or cut short"
    damage = SegmentDamage(path, offset, buffer, not torn, said)
    return Chunk([], position._replace(offset=position.offset + len(buffer)), False, damage)


def has_writer(folder: Path) -> bool:
    """Return whether a process holds a writer's folder now."""
    try:
        fd = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False


def set_aside(damage: SegmentDamage) -> None:
    """Keep a damaged part in a file beside its segment, unless that file exists already.

    Raises:
        OSError: It cannot be written. Nothing is lost: the part is in the segment too.
    """
    if damage.aside.exists() or not damage.content:
        return
    partial = damage.aside.with_suffix(".tmp")
    fd = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(damage.content)
    partial.replace(damage.aside)


def parts_aside(journal: Path) -> list[Path]:
    """Return the files of damaged parts of a journal, of all writers."""
    return sorted(path for path in journal.glob(f"*/*{SUFFIX}{_ASIDE}*") if not path.name.endswith(".tmp"))


def end_of(folder: Path) -> Position:
    """Return the position behind everything a writer has written so far, an unfinished record included."""
    numbers = segment_numbers(folder)
    if not numbers:
        return START
    return Position(numbers[-1], max(len(MAGIC), segment_path(folder, numbers[-1]).stat().st_size))


def writers_of(journal: Path) -> list[str]:
    """Return the names of the writers that have ever written to a journal, in order."""
    try:
        return sorted(entry.name for entry in os.scandir(journal) if entry.is_dir())
    except FileNotFoundError:
        return []


def drop_older_than(folder: Path, accepted_before_ms: int) -> int:
    """Remove segments all of whose records were accepted before a time. The last segment always stays.

    Args:
        folder: The writer's folder.
        accepted_before_ms: Unix milliseconds.

    Returns:
        How many segments were removed.
    """
    numbers = segment_numbers(folder)
    dropped = 0
    for number, following in pairwise(numbers):
        first = first_accepted_ms(segment_path(folder, following))
        # Times never fall within a writer, so the next segment's first record bounds all of this one's.
        if first is None or first >= accepted_before_ms:
            break
        path = segment_path(folder, number)
        for aside in folder.glob(f"{path.name}{_ASIDE}*"):
            aside.unlink()
        path.unlink()
        dropped += 1
    return dropped


def first_accepted_ms(path: Path) -> int | None:
    """Return when the first readable record of a segment was accepted, Unix ms; None where there is none."""
    with path.open("rb") as segment:
        segment.seek(len(MAGIC))
        parsed = parse(segment.read(256 * 1024), max_records=1)
    if parsed.records:
        return parsed.records[0].accepted_ms
    # The record is long or damaged: use the time of the next one, which was accepted later.
    return next((parsed.records[0].accepted_ms for parsed in _stretches(path.read_bytes()) if parsed.records), None)
