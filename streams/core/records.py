"""Records: what is read from a partition of a log and what a fold returns. Independent of the broker."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

CANNOT_PROCESS = "cannot_process"
"""Code of the dead letter of a record that a stage could not process."""

_TOLD_CHARS = 200


class Record(Struct, gc=False):
    """One record read from a partition.

    A struct that the garbage collector does not track. It takes 80 ns to make; a named tuple takes 320.

    Attributes:
        offset: Its place.
        timestamp_ms: Its time, Unix milliseconds.
        key: Its key.
        value: Its value.
        sender_time: The time is what the sender says (CreateTime, any number) and not when the broker appended it.
        marked: A header says that ``sender_time`` is when Floorwatch's shipper accepted the event. Anybody can write it.
    """

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    sender_time: bool = False
    marked: bool = False


class Rejected(NamedTuple):
    """A record that could not be folded and why: it goes to the dead letters or, when late, to the late topic."""

    offset: int
    code: str
    reason: str
    value: bytes


def conflicting(offset: int, earlier: int, identity: str, value: bytes) -> Rejected:
    """Return the refusal of an event whose id another event already has.

    Args:
        offset: The event's offset.
        earlier: Offset of the event that counts.
        identity: Source and id, a zero character between them.
        value: The event.
    """
    source, _, event_id = identity.partition("\x00")
    reason = (
        f"conflicting duplicate: event id {event_id!r} of source {source!r} was already folded at offset {earlier} with "
        "other content; the first one stands. Give each event an id of its own, and send a change as a new event."
    )
    return Rejected(offset, "conflicting_duplicate", reason, value)


def not_permitted(offset: int, reason: str, value: bytes) -> Rejected:
    """Return the refusal of an event that its sender had no right to send.

    Args:
        offset: The event's offset.
        reason: What was missing, and what to do.
        value: The event, or what is kept of it if it had to wait.
    """
    return Rejected(offset, "not_permitted", f"{reason}. It counts for nothing (docs/security.md)", value)


def too_late(offset: int, horizon_ms: int, value: bytes) -> Rejected:
    """Return the refusal of an event that concerns a pane beyond the correction horizon."""
    days = horizon_ms / 86_400_000
    reason = f"late: concerns a pane that ended more than {days:g} days before the watermark (correction horizon)"
    return Rejected(offset, "late", reason, value)


CONTENT_ERRORS: tuple[type[Exception], ...] = (
    msgspec.MsgspecError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RecursionError,
)
"""Exceptions that the content of one record or row can cause. That record is set aside and the rest goes on
(docs/adr/0018). Errors that a retry may fix (no memory, no disk, no broker) are not among them. A record set aside for
such an error would be counted when the log is folded again, and two workers would write different rows under one stamp.
"""


def told(error: BaseException) -> str:
    """Return an error's class and the beginning of its text, always the same for the same content."""
    return f"{type(error).__name__}: {error}"[:_TOLD_CHARS]


def not_countable(offset: int, error: BaseException, value: bytes) -> Rejected:
    """Return the refusal of an event whose effect could not be computed.

    Args:
        offset: The event's offset.
        error: What was raised.
        value: The event.
    """
    reason = (
        f"the event is one of the contract, and counting it failed ({told(error)}). Nothing of it is in any table; the events "
        "before and after it are. This is a fault of the program: please report it with this event."
    )
    return Rejected(offset, CANNOT_PROCESS, reason, value)


KeptFact = tuple[int, str, bool, bool, int, bytes]
"""A fact on its way to the changelog: its offset; its task; whether the task begins (or begins anew) with it, so that
facts before it are forgotten; whether it may leave the task open with a due time; the latest time it speaks of in ms;
the packed fact."""


class FoldCounts(Struct):
    """What one partition has seen, exact under replay because it is stamped with the meta row."""

    events: int = 0
    duplicates: int = 0
    conflicts: int = 0
    late: int = 0
    rejected: int = 0
    ticks: int = 0
    orphans: int = 0
    set_aside: int = 0


@dataclass
class Flush:
    """What must be on the log before the source offset may be committed.

    Attributes:
        stamp: The offset to commit: everything below it is in these rows.
        outputs: (key, value) for the next stage; the key's scope decides the partition.
        rows: (key, value or None) for this stage's own changelog partition.
        meta: (key, value) written last and alone: its presence says the flush is complete.
        watermark: (key, value) sent to every partition of the next stage after the outputs.
        floor: (key, value), at most one, sent right before ``watermark``: how far the floor is ahead of this partition.
        full: (key, value), at most one, sent to every partition of the next stage before the outputs: that the partition has
            refused scopes.
        old_watermarks: Keys of former owners, to be deleted on every partition of the next stage.
        cut: Keys of rows that had grown too large and have lost all that was counted by name.
    """

    stamp: int
    outputs: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    rows: list[tuple[bytes, bytes | None]] = field(default_factory=list)
    meta: tuple[bytes, bytes] = (b"", b"")
    watermark: tuple[bytes, bytes] = (b"", b"")
    floor: list[tuple[bytes, bytes]] = field(default_factory=list)
    full: list[tuple[bytes, bytes]] = field(default_factory=list)
    old_watermarks: list[bytes] = field(default_factory=list)
    cut: list[bytes] = field(default_factory=list)


def outline(task_id: str, fact: Any) -> bytes:
    """Return as JSON what identifies the event of a fact, for a dead letter that is written without the event."""
    source, _, event_id = fact.identity.partition("\x00")
    ids = {name: getattr(fact, name) for name in ("label_id", "audit_id", "appeal_id") if getattr(fact, name, None)}
    envelope = {"source": source, "id": event_id, "subject": task_id, "fact": type(fact).__name__}
    return msgspec.json.encode({**envelope, **ids, "floorwatchgrant": fact.grant})
