"""Journals on disk, written, read and damaged."""

from __future__ import annotations

import asyncio
from pathlib import Path

from floorwatch.embedded.frames import encode
from floorwatch.embedded.journal import JournalWriter
from floorwatch.embedded.journal_segments import (
    START,
    Position,
    SegmentDamage,
    read_from,
)


def write(journal: Path, *appends: list[tuple[bytes, bytes]], **options) -> None:
    async def run() -> None:
        async with JournalWriter(journal, "w", **options) as writer:
            for records in appends:
                await writer.publish(records)

    asyncio.run(run())


def read_all(folder: Path, position: Position = START, max_bytes: int = 100) -> list[tuple[bytes, bytes]]:
    found = []
    while True:
        chunk = read_from(folder, position, max_bytes)
        if not chunk.records and chunk.position == position:
            return [(record.key, record.value) for record in found]
        found += chunk.records
        position = chunk.position


def records(count: int, start: int = 0) -> list[tuple[bytes, bytes]]:
    return [(b"task-%d" % n, b"value-%d" % n) for n in range(start, start + count)]


def damages(folder: Path, **options: bool) -> list[SegmentDamage]:
    """Read a writer's folder to its end; return what was passed over."""
    found, position = [], START
    while True:
        chunk = read_from(folder, position, 100, **options)
        if chunk.damage is not None:
            found.append(chunk.damage)
        if not chunk.records and chunk.position == position:
            return found
        position = chunk.position


def flip(path: Path, at: int, bit: int = 0) -> bytes:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << bit
    path.write_bytes(content)
    return bytes(content)


FRAME = len(encode(0, b"raw.v1", *records(1)[0]))
