"""Facts: what the log says of a task, in the form the ledger keeps.

A task is its list of facts in log order. Each fact carries the offset of its event, so the task can be seen as it was
before any offset. Facts hold the whole meaning of an event and nothing of the moderated content.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct

from streams.core.counters import ERROR_CLASSES, NANO, SEVERITIES, UNKNOWN_TRUTH, VALUE_SEPARATOR, canonical, joined
from streams.core.policy import Dims
from streams.models import events as wire
from streams.models.timestamps import to_ms

UNKNOWN = -1
"""Handle or active time, in ms, of a label that has none."""

_ERROR_CODE = {name: code for code, name in enumerate(ERROR_CLASSES)}
_decode_shift: Any = msgspec.msgpack.Decoder(wire.ShiftScheduledData).decode
_SEVERITY_CODE = {name: code for code, name in enumerate(SEVERITIES)}


class Fact(Struct, array_like=True, gc=False):
    """What all facts share: place in the log, identity for duplicates, event time and the sender's grant.

    ``grant`` is the stamp of the event (``streams.models.grants``), None where the sender may do everything. It is the last
    column of each kind, so that it is written only where there is one; but in an ``Audit`` ``assumed`` and ``configured`` stand behind
    it, so such an audit without a grant writes nil for it.
    """

    offset: int
    identity: str
    time_ms: int


class Created(Fact, tag=1, gc=False):
    dims: Dims
    due_ms: int | None
    required_labels: int
    policy_version: str | None
    grant: str | None = None


class Claimed(Fact, tag=2, gc=False):
    labeler: str
    grant: str | None = None


class Cancelled(Fact, tag=3, gc=False):
    grant: str | None = None


class Label(Fact, tag=4, gc=False):
    label_id: str
    dims: Dims
    values: str
    policy_version: str | None
    started_ms: int | None
    active_ms: int | None
    created_ms: int | None
    due_ms: int | None
    grant: str | None = None


_LABEL_TAG = Label.__struct_config__.tag
_PLAIN_LABEL = 0x90 + len(Label.__struct_fields__)
"""First byte of a packed label without a grant: an array of its tag and all fields but the grant."""


class LabelWithdrawn(Fact, tag=5, gc=False):
    label_id: str
    grant: str | None = None


class Audit(Fact, tag=6, gc=False):
    """An audit with a verdict. ``weight_nano`` is 1/π in 10⁻⁹, 0 where π is not known.

    ``assumed``: nobody says anything of sampling (an earlier release did not keep that). ``configured``: the sender names no
    probability, and the configuration said at intake how the label was drawn. Each is written only where it is true.
    """

    audit_id: str
    label_id: str | None
    auditor: str | None
    wrong: bool
    error_code: int
    severity_code: int
    values: str | None
    weight_nano: int
    blind: bool
    gold: bool
    grant: str | None = None
    assumed: bool = False
    configured: bool = False


class Incomparable(Fact, tag=11, gc=False):
    """An audit whose answer cannot be compared with the label's: it gives no verdict."""

    audit_id: str
    label_id: str | None
    grant: str | None = None


class AuditWithdrawn(Fact, tag=7, gc=False):
    audit_id: str
    grant: str | None = None


class AppealOpened(Fact, tag=8, gc=False):
    appeal_id: str
    of_audit: bool
    target_id: str | None
    label_id: str | None
    grant: str | None = None


class AppealDecided(Fact, tag=9, gc=False):
    appeal_id: str
    of_audit: bool
    target_id: str | None
    label_id: str | None
    overturned: bool
    error_code: int
    severity_code: int
    grant: str | None = None


class Roster(Fact, tag=10, gc=False):
    """A shift or a break, from which rosters are made (streams/core/roster). Repeats and conflicts are found as for other facts."""

    kind: str
    data: bytes
    grant: str | None = None


AnyFact = (
    Created
    | Claimed
    | Cancelled
    | Label
    | LabelWithdrawn
    | Audit
    | Incomparable
    | AuditWithdrawn
    | AppealOpened
    | AppealDecided
    | Roster
)


def _ms(instant: Any) -> int | None:
    return None if instant is None else to_ms(instant)


def _created(offset: int, identity: str, time_ms: int, event: Any) -> Fact:
    d = event.data
    dims = (d.site, d.vendor, d.team, d.queue, d.policy, d.market, d.priority, None)
    return Created(offset, identity, time_ms, dims, _ms(d.due_at), d.required_labels, d.policy_version)


def _label(offset: int, identity: str, time_ms: int, event: Any) -> Fact:
    d = event.data
    started, values = d.started_at, d.values
    return Label(
        offset,
        identity,
        time_ms,
        d.label_id,
        (d.site, d.vendor, d.team, d.queue, d.policy, d.market, d.priority, d.labeler_id),
        values[0] if len(values) == 1 and values[0] != UNKNOWN_TRUTH else joined(values),
        d.policy_version,
        None if started is None else to_ms(started),
        d.active_ms,
        _ms(d.created_at),
        _ms(d.due_at),
    )


def plain_label(offset: int, event: Any, time_ms: int) -> tuple[Dims, int, int, bytes] | None:
    """Pack a label without making a ``Label`` of it first, in half the time.

    Args:
        offset: The event's offset in its partition of the log.
        event: A decoded ``LabelSubmitted``.
        time_ms: Its time.

    Returns:
        Dimensions, handle time and active time in ms (``UNKNOWN`` where there is none) and the packed fact, equal byte by
        byte to ``pack(fact_of(...))``. None for a label with a creation or due time, one that started after its own
        time, or one of a sender with a grant.
    """
    if event.floorwatchgrant is not UNSET:
        return None
    d = event.data
    started, active_ms, values = d.started_at, d.active_ms, d.values
    started_ms = None if started is None else to_ms(started)
    if d.due_at is not None or d.created_at is not None or (started_ms is not None and started_ms > time_ms):
        return None
    dims = (d.site, d.vendor, d.team, d.queue, d.policy, d.market, d.priority, d.labeler_id)
    fact = (
        _LABEL_TAG,
        offset,
        f"{event.source}\x00{event.id}",
        time_ms,
        d.label_id,
        dims,
        values[0] if len(values) == 1 and values[0] != UNKNOWN_TRUTH else joined(values),
        d.policy_version,
        started_ms,
        active_ms,
        None,
        None,
    )
    handle_ms = UNKNOWN if started_ms is None else time_ms - started_ms
    return dims, handle_ms, UNKNOWN if active_ms is None else active_ms, _encode(fact)


def _audit(offset: int, identity: str, time_ms: int, event: Any) -> Fact:
    d = event.data
    if d.verdict == "incomparable":
        return Incomparable(offset, identity, time_ms, d.audit_id, d.label_id)
    sampling = d.sampling
    probability = None if sampling is None else sampling.probability
    wrong = d.verdict == "incorrect"
    return Audit(
        offset,
        identity,
        time_ms,
        d.audit_id,
        d.label_id,
        d.auditor_id,
        wrong,
        _ERROR_CODE[d.error_class or "unspecified"],
        _SEVERITY_CODE[d.severity or "unspecified"],
        None if d.values is None else joined(d.values),
        0 if probability is None else round(NANO / probability),
        d.blind,
        d.gold,
        None,
        sampling is None or sampling.source == wire.ASSUMED,
        sampling is not None and sampling.source == wire.BY_CONFIGURATION,
    )


def _decided(offset: int, identity: str, time_ms: int, event: Any) -> Fact:
    d = event.data
    of_audit = d.against == "audit"
    return AppealDecided(
        offset,
        identity,
        time_ms,
        d.appeal_id,
        of_audit,
        d.audit_id if of_audit else d.label_id,
        d.label_id,
        d.outcome == "overturned",
        _ERROR_CODE[d.error_class or "unspecified"],
        _SEVERITY_CODE[d.severity or "unspecified"],
    )


def _opened(offset: int, identity: str, time_ms: int, event: Any) -> Fact:
    d = event.data
    of_audit = d.against == "audit"
    target_id = d.audit_id if of_audit else d.label_id
    return AppealOpened(offset, identity, time_ms, d.appeal_id, of_audit, target_id, d.label_id)


def _roster(offset: int, identity: str, time_ms: int, event: Any) -> Fact:
    return Roster(offset, identity, time_ms, type(event).__name__, msgspec.msgpack.encode(event.data))


_MAKERS: dict[type, Any] = {
    wire.ShiftScheduled: _roster,
    wire.BreakStarted: _roster,
    wire.BreakEnded: _roster,
    wire.TaskCreated: _created,
    wire.TaskClaimed: lambda o, i, t, e: Claimed(o, i, t, e.data.labeler_id),
    wire.TaskCancelled: lambda o, i, t, _: Cancelled(o, i, t),
    wire.LabelSubmitted: _label,
    wire.LabelWithdrawn: lambda o, i, t, e: LabelWithdrawn(o, i, t, e.data.label_id),
    wire.AuditCompleted: _audit,
    wire.AuditWithdrawn: lambda o, i, t, e: AuditWithdrawn(o, i, t, e.data.audit_id),
    wire.AppealOpened: _opened,
    wire.AppealDecided: _decided,
}


def fact_of(offset: int, event: Any) -> Fact | None:
    """Turn a decoded event into the fact kept of it.

    Args:
        offset: The event's offset in its partition of the log.
        event: A decoded event.

    Returns:
        The fact, or None for a clock event.
    """
    return None if type(event) is wire.Tick else made(offset, event)


def made(offset: int, event: Any) -> Any:
    """Return the fact of an event that is not a clock event."""
    time_ms = to_ms(event.time)
    fact = _MAKERS[type(event)](offset, f"{event.source}\x00{event.id}", time_ms, event)
    if event.floorwatchgrant is not UNSET:
        fact.grant = event.floorwatchgrant
    return fact


def same_content(one: Any, other: Any) -> bool:
    """Tell whether two facts have the same content as their senders gave it, whatever intake and earlier releases made of it."""
    if type(one) is not type(other):
        return False
    same: dict[str, Any] = {"offset": one.offset, "grant": one.grant}
    if type(one) is Audit:
        if (0 if one.configured else one.weight_nano) != (0 if other.configured else other.weight_nano):
            return False  # another probability, or one of them has none of its sender
        same |= {"weight_nano": one.weight_nano, "assumed": one.assumed, "configured": one.configured}
    if getattr(one, "values", None) == UNKNOWN_TRUTH or getattr(other, "values", None) == UNKNOWN_TRUTH:
        # Stored before a sole "?" had its separator.
        one, same["values"] = msgspec.structs.replace(one, values=_canonical(one.values)), _canonical(other.values)
    return bool(one == msgspec.structs.replace(other, **same))


def _canonical(values: str | None) -> str | None:
    return None if values is None else canonical(values)


def last_of(fact: Fact) -> int:
    """Return the latest time in a fact, in ms: its own, its due time, or the end of its shift."""
    if type(fact) is Roster and fact.kind == wire.ShiftScheduled.__name__:
        return max(fact.time_ms, to_ms(_decode_shift(fact.data).to))
    due_ms = fact.due_ms if type(fact) is Created or type(fact) is Label else None
    return fact.time_ms if due_ms is None or due_ms < fact.time_ms else due_ms


Packed = bytes | tuple[bytes, ...]
"""The facts of a task as the ledger keeps them: msgpack, one bytes object per fact. A million facts as objects would
take a gigabyte and much time of the garbage collector. A packed fact is decoded only when a later event of its task
comes."""

_encode: Any = msgspec.msgpack.Encoder().encode


def pack(fact: Any) -> bytes:
    """Encode one fact. The last columns are written only where they say something."""
    one: bytes = _encode(fact)
    if type(fact) is Audit:
        if fact.configured or fact.assumed:
            return one if fact.configured else _ASSUMED_AUDIT + one[3:-1]
        one = _SHORT_AUDIT + one[3:-2]  # 16 members and more have a head of three bytes, 15 one of one
    if fact.grant is not None:
        return one
    # An array of fewer than 16 is one byte for its length and then its members; the last one is a nil of one byte.
    return _SHORTER[one[0]] + one[1:-1]


_ASSUMED_AUDIT = bytes([0xDC, 0, len(Audit.__struct_fields__)])
_SHORT_AUDIT = bytes([0x90 + len(Audit.__struct_fields__) - 1])
_SHORTER = [bytes([max(0, byte - 1)]) for byte in range(256)]


unpack_one: Any = msgspec.msgpack.Decoder(AnyFact).decode
"""Decode one fact."""


def unpack(packed: Packed) -> list[Fact]:
    """Return the facts of a task in log order."""
    if type(packed) is bytes:
        return [unpack_one(packed)]
    return [unpack_one(one) for one in packed]


def repacked(packed: bytes) -> bytes:
    """Return a fact of version 1 as it is packed now, or the same object: the values of a decision are a set, ``?`` may be one."""
    if b"\x1e" not in packed and b"\xa1?" not in packed:
        return packed
    fact = unpack_one(packed)
    values = getattr(fact, "values", None)
    if not values:
        return packed
    now = pack(msgspec.structs.replace(fact, values=joined(values.split(VALUE_SEPARATOR))))
    return packed if now == packed else now


def holds_one_label(packed: Packed) -> bool:
    """Tell whether a task's only fact is a label without a grant. The tag follows one byte with the array's length."""
    return type(packed) is bytes and packed[1] == _LABEL_TAG and packed[0] == _PLAIN_LABEL


def appended(packed: Packed, one: bytes) -> Packed:
    """Return the facts of a task with one more."""
    return (packed, one) if type(packed) is bytes else (*packed, one)
