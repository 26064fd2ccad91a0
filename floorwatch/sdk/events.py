"""Making and checking contract events; part of :mod:`floorwatch.sdk`."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from streams.models.acceptance import Refusal, accept
from streams.models.events import (
    EVENT_CLASSES,
    AppealDecidedData,
    AppealOpenedData,
    AuditCompletedData,
    AuditWithdrawnData,
    BreakData,
    BreakEnded,
    BreakStarted,
    Event,
    LabelSubmittedData,
    LabelWithdrawnData,
    ShiftScheduledData,
    TaskCancelledData,
    TaskClaimedData,
    TaskCreatedData,
    encode_event,
)
from streams.models.time_rules import DEFAULT_LIMITS, EventLimits
from streams.models.timestamps import to_ms

MAX_EVENT_BYTES = 1_048_576 - 4096
"""Kafka refuses batches over 1 MiB, its own framing included."""

Data = (
    TaskCreatedData
    | TaskClaimedData
    | TaskCancelledData
    | LabelSubmittedData
    | LabelWithdrawnData
    | AuditCompletedData
    | AuditWithdrawnData
    | AppealOpenedData
    | AppealDecidedData
    | ShiftScheduledData
    | BreakData
)

_BY_DATA: dict[type, Any] = {
    field.type: cls
    for cls in EVENT_CLASSES
    for field in msgspec.structs.fields(cls)
    if field.name == "data" and field.type is not BreakData
}


Given = Event | bytes | dict[str, Any]
"""What may be emitted: a struct, JSON bytes, or a dict in the contract's words."""


class BadEvents(ValueError):
    """Events that Floorwatch would refuse, or has refused. The fault is in them: sending them again cannot help.

    Attributes:
        refusals: (place in the call's events, what is wrong), in order.
        others_sent: Whether the call's other events have arrived; otherwise none has.
    """

    def __init__(self, refusals: Sequence[tuple[int, Refusal]], *, others_sent: bool = False) -> None:
        """Say what is wrong with the first few."""
        self.refusals = tuple(refusals)
        self.others_sent = others_sent
        told = [f"event {index}: {one.reason} ({one.hint})" for index, one in self.refusals[:3]]
        more = f" … and {len(self.refusals) - 3} more" if len(self.refusals) > 3 else ""
        super().__init__("; ".join(told) + more)


class NotEmitted(Exception):
    """Not all events are known to be durable. Send the same events again: what arrived counts once."""


def event(
    data: Data,
    *,
    task_id: str,
    source: str,
    time: datetime | None = None,
    id: str | None = None,
    kind: type[BreakStarted | BreakEnded] | None = None,
) -> Event:
    """Return an event around its data.

    Args:
        data: What happened; its class decides the event's type.
        task_id: The task; a roster's name for shifts, the labeller for breaks.
        source: Who sends, e.g. ``my-tool/kul-1``.
        time: When it happened, with a zone; now if None.
        id: Identity together with source; random if None. Give your own if you may make the same event twice.
        kind: ``BreakStarted`` or ``BreakEnded`` for ``BreakData``, which is both.

    Raises:
        TypeError: The data belongs to no event, or to two and ``kind`` is None.
    """
    cls: Any = kind or _BY_DATA.get(type(data))
    if cls is None:
        hint = "give kind=BreakStarted or kind=BreakEnded" if isinstance(data, BreakData) else "use one of sdk.*Data"
        raise TypeError(f"no event is known for {type(data).__name__}: {hint}")
    made: Event = cls(
        specversion="1.0",
        id=id or uuid.uuid4().hex,
        source=source,
        subject=task_id,
        time=time or datetime.now(UTC),
        data=data,
    )
    return made


def checked(events: Iterable[Given], limits: EventLimits = DEFAULT_LIMITS) -> list[tuple[bytes, bytes]]:
    """Return (key, value) of every event, with none but the contract's fields. Raises BadEvents."""
    records: list[tuple[bytes, bytes]] = []
    refusals: list[tuple[int, Refusal]] = []
    now_ms = to_ms(datetime.now(UTC))
    for index, one in enumerate(events):
        raw = one if isinstance(one, bytes) else encode_event(one)
        found = accept(raw, now_ms, MAX_EVENT_BYTES, limits=limits)
        if isinstance(found, Refusal):
            refusals.append((index, found))
        else:
            event, value = found
            records.append((event.subject.encode(), value))
    if refusals:
        raise BadEvents(refusals)
    return records
