"""Wire types: the event contract as msgspec structs (CloudEvents 1.0, JSON structured mode).

One class per event type, one union to decode them all. Fields that the contract does not have are refused by the
decoder and dropped by ``streams.models.acceptance``, so that none reaches the log. What the wire types say is checked while
decoding, in C; what needs a clock, a configuration or two fields (times in the future, ``sla_class``, rules between
times) is checked by ``streams.models.acceptance`` and intake. No struct can be part of a cycle, so
none is tracked by the garbage collector (``gc=False``): tracked, decoding costs three times as much.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from streams.models.derive import Deriver

MAX_ID_CHARS = 256
MAX_VALUES = 64
MIN_PROBABILITY = 1e-6

Name = Annotated[str, Meta(min_length=1, max_length=MAX_ID_CHARS)]
"""An identifier or a dimension value, 1 to 256 characters. Control characters are refused by intake on the raw bytes:
a pattern here costs 8 microseconds an event."""

Instant = Annotated[datetime, Meta(tz=True)]
"""RFC 3339 with a zone."""

Values = Annotated[list[Name], Meta(max_length=MAX_VALUES)]
Millis = Annotated[int, Meta(ge=0, le=30 * 86_400_000)]
Probability = Annotated[float, Meta(ge=MIN_PROBABILITY, le=1.0)]

Verdict = Literal["correct", "incorrect", "incomparable"]
"""``incomparable``: somebody checked the label, but nothing says whether it is right; it gives no verdict and is counted."""
ErrorClass = Literal["false_positive", "false_negative", "wrong_selection", "technical"]
Severity = Literal["critical", "major", "minor"]
Outcome = Literal["upheld", "overturned"]
Against = Literal["label", "audit"]


class Prediction(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """What a model proposed before the labeller decided."""

    values: Values = []
    score: float | None = None
    model: Name | None = None


BY_SENDER, BY_CONFIGURATION, ASSUMED = "event", "configuration", "assumed"
STAMPS = frozenset((BY_SENDER, BY_CONFIGURATION, ASSUMED))
"""What gateway and intake write in ``sampling.source``: the sender's own word stands, the configuration decided
(``streams.models.sampling_plan``), or nobody said anything and the label is assumed to be drawn at random."""


class Sampling(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """How the audited label was chosen; ``probability`` is its inclusion probability (0..1]."""

    method: Name | None = None
    probability: Probability | None = None
    source: Name | UnsetType | None = UNSET


class TaskCreatedData(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A unit of work entered a queue."""

    queue: Name | None = None
    policy: Name | None = None
    policy_version: Name | None = None
    market: Name | None = None
    priority: Name | None = None
    site: Name | None = None
    vendor: Name | None = None
    team: Name | None = None
    due_at: Instant | None = None
    sla_class: Name | None = None
    required_labels: Annotated[int, Meta(ge=1, le=1000)] = 1


class TaskClaimedData(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A labeller took the task."""

    labeler_id: Name


class TaskCancelledData(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The task needs no decision any more; it leaves the SLA."""

    reason: str | None = None


class LabelSubmittedData(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """One labeller's decision on a task; a known ``label_id`` makes it a new version."""

    label_id: Name
    labeler_id: Name
    team: Name | None = None
    site: Name | None = None
    vendor: Name | None = None
    queue: Name | None = None
    policy: Name | None = None
    policy_version: Name | None = None
    market: Name | None = None
    priority: Name | None = None
    values: Values = []
    started_at: Instant | None = None
    active_ms: Millis | None = None
    prediction: Prediction | None = None
    created_at: Instant | None = None
    due_at: Instant | None = None


class LabelWithdrawnData(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The label no longer stands; final for its ``label_id``."""

    label_id: Name
    reason: str | None = None


class AuditCompletedData(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A quality check of one label; without ``label_id`` it is of the task's latest label."""

    audit_id: Name
    verdict: Verdict
    label_id: Name | None = None
    auditor_id: Name | None = None
    error_class: ErrorClass | None = None
    severity: Severity | None = None
    values: Values | None = None
    sampling: Sampling | None = None
    blind: bool = False
    gold: bool = False


class AuditWithdrawnData(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The audit no longer counts; final for its ``audit_id``."""

    audit_id: Name
    reason: str | None = None


class AppealOpenedData(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """Somebody disputes a label or an audit."""

    appeal_id: Name
    against: Against
    label_id: Name | None = None
    audit_id: Name | None = None
    by: Name | None = None


class AppealDecidedData(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """The dispute ended; ``overturned`` flips the audit or makes an audited label incorrect."""

    appeal_id: Name
    against: Against
    outcome: Outcome
    label_id: Name | None = None
    audit_id: Name | None = None
    error_class: ErrorClass | None = None
    severity: Severity | None = None
    decided_by: Name | None = None


class ShiftScheduledData(Struct, frozen=True, gc=False, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Who (or how many) is rostered where, from when to when."""

    shift_id: Name
    from_: Instant
    to: Instant
    site: Name | None = None
    vendor: Name | None = None
    team: Name | None = None
    queue: Name | None = None
    labeler_ids: list[Name] = []
    headcount: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None


class BreakData(Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    """A labeller's break begins or ends."""

    labeler_id: Name


class TickData(Struct, frozen=True, gc=False):
    """Floorwatch's own clock event: time has reached the envelope's ``time`` on this partition (see ADR 0019).

    Attributes:
        reason: Why, for people reading the log.
        idle: The partition has had no events for the idle timeout: until its next event it does not hold the floor back.
        floor_at: How far the floor had come when the tick was written. Panes that end before it may have been shown as
            closed, whatever this partition's own watermark; later changes of them are revisions.
    """

    reason: str | None = None
    idle: bool = False
    floor_at: Instant | None = None


class _Envelope(Struct, frozen=True, gc=False, forbid_unknown_fields=True, tag_field="type", kw_only=True):
    specversion: Literal["1.0"]
    id: Name
    source: Name
    subject: Name
    time: Instant
    datacontenttype: str | None = None
    floorwatchgrant: str | UnsetType = UNSET


class TaskCreated(_Envelope, frozen=True, gc=False, forbid_unknown_fields=True, tag="floorwatch.task.created.v1"):
    data: TaskCreatedData


class TaskClaimed(_Envelope, frozen=True, gc=False, forbid_unknown_fields=True, tag="floorwatch.task.claimed.v1"):
    data: TaskClaimedData


class TaskCancelled(_Envelope, frozen=True, gc=False, forbid_unknown_fields=True, tag="floorwatch.task.cancelled.v1"):
    data: TaskCancelledData = TaskCancelledData()


class LabelSubmitted(_Envelope, frozen=True, gc=False, forbid_unknown_fields=True, tag="floorwatch.label.submitted.v1"):
    data: LabelSubmittedData


class LabelWithdrawn(_Envelope, frozen=True, gc=False, forbid_unknown_fields=True, tag="floorwatch.label.withdrawn.v1"):
    data: LabelWithdrawnData


class AuditCompleted(_Envelope, frozen=True, gc=False, forbid_unknown_fields=True, tag="floorwatch.audit.completed.v1"):
    data: AuditCompletedData


class AuditWithdrawn(_Envelope, frozen=True, gc=False, forbid_unknown_fields=True, tag="floorwatch.audit.withdrawn.v1"):
    data: AuditWithdrawnData


class AppealOpened(_Envelope, frozen=True, gc=False, forbid_unknown_fields=True, tag="floorwatch.appeal.opened.v1"):
    data: AppealOpenedData


class AppealDecided(_Envelope, frozen=True, gc=False, forbid_unknown_fields=True, tag="floorwatch.appeal.decided.v1"):
    data: AppealDecidedData


class ShiftScheduled(_Envelope, frozen=True, gc=False, forbid_unknown_fields=True, tag="floorwatch.shift.scheduled.v1"):
    data: ShiftScheduledData


class BreakStarted(_Envelope, frozen=True, gc=False, forbid_unknown_fields=True, tag="floorwatch.break.started.v1"):
    data: BreakData


class BreakEnded(_Envelope, frozen=True, gc=False, forbid_unknown_fields=True, tag="floorwatch.break.ended.v1"):
    data: BreakData


class Tick(_Envelope, frozen=True, gc=False, forbid_unknown_fields=True, tag="floorwatch.clock.tick.v1"):
    data: TickData = TickData()


Event = (
    TaskCreated
    | TaskClaimed
    | TaskCancelled
    | LabelSubmitted
    | LabelWithdrawn
    | AuditCompleted
    | AuditWithdrawn
    | AppealOpened
    | AppealDecided
    | ShiftScheduled
    | BreakStarted
    | BreakEnded
)
"""Every event a customer may send."""

LogEvent = Event | Tick
"""Every event that may stand on ``events.v1``: the customer's and the log's own clock."""

EVENT_CLASSES: tuple[type[_Envelope], ...] = Event.__args__
TYPE_NAMES: tuple[str, ...] = tuple(str(cls.__struct_config__.tag) for cls in EVENT_CLASSES)

decode_event: Any = msgspec.json.Decoder(Event).decode
"""Decode one customer event that has none but the contract's fields. Raises msgspec.ValidationError or DecodeError;
RecursionError where it is nested very deeply."""

_decode_exact: Any = msgspec.json.Decoder(LogEvent).decode
_known = Deriver(lambda kind: kind, omit_defaults=False)
_decode_known = _known.decoder((*EVENT_CLASSES, Tick))
decode_known: Any = _known.decoder(EVENT_CLASSES)
"""Decode one customer event into look-alikes of its classes, whatever further fields it has. Raises as ``decode_event``."""


def decode_log_event(raw: bytes) -> Any:
    """Decode one event of the log. Raises as ``decode_event``, but for fields that the contract does not have.

    Such fields are dropped before anything is written to the log; a log of an earlier version may hold them.
    """
    try:
        return _decode_exact(raw)
    except msgspec.ValidationError:
        return _decode_exact(encode_event(_decode_known(raw)))


encode_event: Any = msgspec.json.Encoder().encode
"""Encode an event struct to JSON bytes."""
