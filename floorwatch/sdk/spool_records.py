"""The spool's records: one line each, with a checksum. Reads the good ones of a damaged file too. Pure.

A line is the CRC-32 of what follows in hex, a space, the record's number, a space, its JSON. The JSON holds no line
feed, so damage in one line never affects the next. If the line feed between two records is damaged, the second record
is found by its beginning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from zlib import crc32

Kept = tuple[int, bytes]
"""Number and JSON of a record."""

_HEAD = re.compile(rb"(?=[0-9a-f]{8} \d{1,19} )")
_NUMBER = re.compile(rb"(\d{1,19}) (\d{8,10})\n?")
_MOST_HEADS = 64


@dataclass(frozen=True)
class SpoolDamage:
    """Bytes that are not a whole record.

    Attributes:
        offset: Where in the file.
        data: The bytes.
        torn: Whether the file ends with them, without a line feed. Then a write was cut, and nobody was promised
            it.
    """

    offset: int
    data: bytes
    torn: bool


def framed(number: int, text: bytes) -> bytes:
    """Return a record as it is written."""
    body = b"%d %s" % (number, text)
    return b"%08x %s\n" % (crc32(body), body)


def framed_number(number: int) -> bytes:
    """Return a number with its checksum, as the ``done`` file holds it."""
    digits = b"%d" % number
    return b"%s %010d\n" % (digits, crc32(digits))


def read_number(data: bytes) -> int | None:
    """Return the number of a ``done`` file, or None where it is damaged. Files of older versions have no checksum."""
    found = _NUMBER.fullmatch(data)
    if found is not None:
        return int(found[1]) if crc32(found[1]) == int(found[2]) else None
    return int(data) if re.fullmatch(rb"\d{1,19}", data) else None


def read_records(data: bytes) -> tuple[list[Kept], list[SpoolDamage]]:
    """Return the whole records of a file, in order, and what is damaged."""
    kept: list[Kept] = []
    damaged: list[SpoolDamage] = []
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        line = data[at:] if end < 0 else data[at:end]
        one = _record(line)
        if one is not None:
            kept.append(one)
        elif line:
            found, parts = _inside(line)
            kept += found
            damaged += [
                SpoolDamage(at + place, part, end < 0 and place + len(part) == len(line)) for place, part in parts
            ]
        at += len(line) + 1
    return kept, _joined(damaged)


def _record(line: bytes) -> Kept | None:
    checksum, _, body = line.partition(b" ")
    if checksum != b"%08x" % crc32(body):
        return None
    number, _, text = body.partition(b" ")
    return (int(number), text) if number.isdigit() else None


def _inside(line: bytes) -> tuple[list[Kept], list[tuple[int, bytes]]]:
    """Return the records found inside a damaged line, and the rest of the line with its offsets."""
    heads = [found.start() for found in _HEAD.finditer(line)][:_MOST_HEADS]
    kept: list[Kept] = []
    rest: list[tuple[int, bytes]] = []
    at = 0
    for head in [0, *heads]:
        if head < at:
            continue
        for end in [len(line), *(later - 1 for later in heads if later > head)]:
            one = _record(line[head:end])
            if one is not None:
                if head > at:
                    rest.append((at, line[at:head]))
                kept.append(one)
                at = end + 1
                break
    if at < len(line):
        rest.append((at, line[at:]))
    return kept, rest


def _joined(damaged: list[SpoolDamage]) -> list[SpoolDamage]:
    """Join neighbouring damaged parts: a byte that became a line feed cut a record in two."""
    joined: list[SpoolDamage] = []
    for one in damaged:
        last = joined[-1] if joined else None
        if last is not None and last.offset + len(last.data) + 1 == one.offset:
            joined[-1] = SpoolDamage(last.offset, last.data + b"\n" + one.data, one.torn)
        else:
            joined.append(one)
    return joined
