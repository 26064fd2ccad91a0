"""How a value says its version, and how a reader refuses a newer one; the formats are in ``streams/models/formats.py``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import msgspec

FIRST = 1
"""Version of a value that says none, as 24565ae wrote it."""

FIELD = "format"
"""Member of a JSON object or msgpack map that says its version."""


class Format(NamedTuple):
    """One serialised format.

    Attributes:
        name: What it is called in messages and documentation.
        version: What is written now, and the newest that is read.
        place: Where it is kept.
        writer: Who writes it.
        reader: Who reads it.
        marker: How a value says its version.
        newer: What a reader does with a newer version.
        changes: What each version after the first has brought.
        minor: Counts the changes within a version that older readers pass over.
    """

    name: str
    version: int
    place: str
    writer: str
    reader: str
    marker: str
    newer: str
    changes: str = "–"
    minor: int = 0

    @property
    def label(self) -> str:
        """Version and minor version."""
        return f"{self.version}.{self.minor}"


class NewerFormat(RuntimeError):
    """A value was written by a newer version of Floorwatch. Operator: start that version; nothing was changed."""

    def __init__(self, kind: Format, found: int | str, where: str = "") -> None:
        """Say what was found where, and what is needed."""
        self.kind, self.found = kind, found
        place = where or kind.place
        super().__init__(
            f"{place}: {kind.name} in format version {found}, and this Floorwatch reads up to version {kind.version}. A newer "
            "Floorwatch wrote it: start one that reads that version (docs/formats.md lists them). Nothing was changed."
        )


class _Head(msgspec.Struct, gc=False):
    format: int = FIRST


_json_head = msgspec.json.Decoder(_Head).decode
_msgpack_head = msgspec.msgpack.Decoder(_Head).decode


def check(kind: Format, found: int, where: str = "") -> None:
    """Refuse a version that is newer than what is read.

    Args:
        kind: The format.
        found: The version a value says.
        where: Where the value is, for the message; by default the format's place.

    Raises:
        NewerFormat: It is newer.
    """
    if found > kind.version:
        raise NewerFormat(kind, found, where)


@contextmanager
def read_from(place: str) -> Iterator[None]:
    """Say in a refusal where the value was read, where only the caller knows."""
    try:
        yield
    except NewerFormat as error:
        raise NewerFormat(error.kind, error.found, place) from None


def stamped_json(kind: Format, value: bytes) -> bytes:
    """Return a JSON object with its version as first member; as it is while the version is 1.

    Args:
        kind: The format.
        value: An object with one member at least and none called ``format``.
    """
    return value if kind.version == FIRST else b'{"format":%d,' % kind.version + value[1:]


def check_json(kind: Format, value: bytes | str, where: str = "") -> None:
    """Refuse a JSON object whose version is newer than what is read.

    Raises:
        NewerFormat: It is newer.
        msgspec.DecodeError: It is no JSON object, or its version is not a whole number.
    """
    check(kind, _json_head(value).format, where)


def check_msgpack(kind: Format, value: bytes, where: str = "") -> None:
    """Refuse a msgpack map whose version is newer than what is read; raises as ``check_json``."""
    check(kind, _msgpack_head(value).format, where)


def refuse_longer(kind: Format, value: bytes, members: int, where: str = "") -> None:
    """Refuse a msgpack array that is longer than this version's: a later version appends its number.

    Args:
        kind: The format.
        value: The array, of fewer than 16 members.
        members: How many this version has.
        where: Where the value is, for the message.

    Raises:
        NewerFormat: It is longer.
    """
    if value and 0x90 + members < value[0] <= 0x9F:
        found = msgspec.msgpack.decode(value)[-1]
        raise NewerFormat(kind, found if isinstance(found, int) else "unknown", where)


def member(value: bytes, at: int) -> int:
    """Return the version that stands as a member of a msgpack array, whatever the others hold; 1 where there is none."""
    try:
        members = msgspec.msgpack.decode(value, type=list[msgspec.Raw])
        return msgspec.msgpack.decode(members[at], type=int) if len(members) > at else FIRST
    except msgspec.DecodeError:
        return FIRST
