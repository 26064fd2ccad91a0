"""A writer's folder of segments: names, order, mending a torn end, reading on from a position, retention.

Invariant: a complete frame, once visible in a segment, is never removed from it (only whole segments are, by age). So a
reader that has passed a frame never has to go back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from floorwatch.embedded.frames import MAGIC, Record, Tail, next_frame_is_valid, parse, valid_frame_follows

SUFFIX = ".seg"


class JournalCorrupt(Exception):
    """A segment is damaged where it was once whole. Operator: follow the message; nothing was changed on disk."""

    def __init__(self, path: Path, offset: int) -> None:
        super().__init__(
            f"{path} is damaged at byte {offset}: a record there fails its check, and it is not the torn end that a "
            f"crash leaves. Restore the file from a backup, or move it out of the folder to go on without its records."
        )
        self.path = path
        self.offset = offset


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
    """

    records: list[Record]
    position: Position
    more: bool


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


def mend(path: Path) -> int:
    """Cut the torn end off a segment that its writer left behind, so that new records can follow.

    Args:
        path: The writer's last segment. Only the writer that holds the folder's lock may call this.

    Returns:
        Bytes cut off; 0 for a whole segment.

    Raises:
        JournalCorrupt: A bad record is followed by good ones, or the file is no segment.
    """
    content = path.read_bytes()
    if len(content) < len(MAGIC):
        good = 0
    elif not content.startswith(MAGIC):
        raise JournalCorrupt(path, 0)
    else:
        parsed = parse(content, len(MAGIC))
        good = parsed.end
        if valid_frame_follows(content, good):
            raise JournalCorrupt(path, good)
    if good < len(content):
        with path.open("r+b") as segment:
            segment.truncate(good)
            os.fsync(segment.fileno())
    return len(content) - good


def read_from(folder: Path, position: Position, max_bytes: int) -> Chunk:
    """Read on from a position, moving to the next segment where one ends.

    Args:
        folder: The writer's folder.
        position: Where to begin; ``START`` reads everything there is.
        max_bytes: About how much to read; a longer record is still read whole.

    Returns:
        Records and the next position. An unfinished record at the very end is left for the next call.

    Raises:
        JournalCorrupt: A record is damaged, or a segment ends within a record although a later segment exists.
    """
    # Numbers first: if a later segment existed before the read found nothing more, the current one is finished.
    numbers = segment_numbers(folder)
    if not numbers:
        return Chunk([], position, more=False)
    if position.segment not in numbers:
        later = [number for number in numbers if number > position.segment]
        if not later:
            return Chunk([], position, more=False)
        position = Position(later[0], len(MAGIC))
    while True:
        finished = position.segment != numbers[-1]
        chunk = _read_segment(segment_path(folder, position.segment), position, max_bytes, finished=finished)
        if chunk.records or chunk.more or not finished:
            return chunk
        position = Position(next(n for n in numbers if n > position.segment), len(MAGIC))


def _read_segment(path: Path, position: Position, max_bytes: int, *, finished: bool) -> Chunk:
    try:
        with path.open("rb") as segment:
            size = os.fstat(segment.fileno()).st_size
            segment.seek(position.offset)
            buffer = segment.read(max_bytes)
            parsed = parse(buffer)
            if not parsed.records and parsed.tail is Tail.CLEAN and position.offset + len(buffer) < size:
                # A record longer than max_bytes: take all there is.
                buffer += segment.read()
                parsed = parse(buffer, max_records=1)
    except FileNotFoundError:
        return Chunk([], position, more=False)  # retention removed it since it was listed
    offset = position.offset + parsed.end
    if parsed.tail is Tail.BAD and (finished or next_frame_is_valid(buffer, parsed.end)):
        raise JournalCorrupt(path, offset)
    more = position.offset + len(buffer) < size and bool(parsed.records)
    if finished and not parsed.records and size > offset:
        raise JournalCorrupt(path, offset)
    return Chunk(parsed.records, Position(position.segment, offset), more)


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
        first = _first_accepted_ms(segment_path(folder, following))
        # Times never fall within a writer, so the next segment's first record bounds all of this one's.
        if first is None or first >= accepted_before_ms:
            break
        segment_path(folder, number).unlink()
        dropped += 1
    return dropped


def _first_accepted_ms(path: Path) -> int | None:
    with path.open("rb") as segment:
        segment.seek(len(MAGIC))
        parsed = parse(segment.read(256 * 1024), max_records=1)
        if not parsed.records:
            segment.seek(len(MAGIC))
            parsed = parse(segment.read(), max_records=1)
    return parsed.records[0].accepted_ms if parsed.records else None
