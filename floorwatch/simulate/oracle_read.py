"""Reading contract events for the oracle, without the product's wire types.

The oracle has its own idea of the contract (the table ``FIELDS``), so that a fault of the product's decoder shows up as
a difference instead of being shared.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DIMENSIONS = dict.fromkeys(("site", "vendor", "team", "queue", "policy", "market", "priority"), "text")
_ERROR = {"error_class": "text", "severity": "text"}
_STAMPS = ("event", "configuration", "assumed")
_APPEAL = {"appeal_id": "text", "against": "text", "label_id": "text", "audit_id": "text"}

FIELDS: dict[str, dict[str, str]] = {
    "task.created": {
        **_DIMENSIONS,
        "policy_version": "text",
        "due_at": "time",
        "sla_class": "text",
        "required_labels": "one",
    },
    "task.claimed": {"labeler_id": "text"},
    "task.cancelled": {"reason": "text"},
    "label.submitted": {
        **_DIMENSIONS,
        "label_id": "text",
        "labeler_id": "text",
        "policy_version": "text",
        "values": "list",
        "started_at": "time",
        "active_ms": "text",
        "prediction": "prediction",
        "created_at": "time",
        "due_at": "time",
    },
    "label.withdrawn": {"label_id": "text", "reason": "text"},
    "audit.completed": {
        **_ERROR,
        "audit_id": "text",
        "verdict": "text",
        "label_id": "text",
        "auditor_id": "text",
        "values": "text",
        "sampling": "sampling",
        "blind": "flag",
        "gold": "flag",
    },
    "audit.withdrawn": {"audit_id": "text", "reason": "text"},
    "appeal.opened": {**_APPEAL, "by": "text"},
    "appeal.decided": {**_APPEAL, **_ERROR, "outcome": "text", "decided_by": "text"},
    "shift.scheduled": {
        **dict.fromkeys(("shift_id", "site", "vendor", "team", "queue", "headcount"), "text"),
        "from": "time",
        "to": "time",
        "labeler_ids": "list",
    },
    "break.started": {"labeler_id": "text"},
    "break.ended": {"labeler_id": "text"},
}
"""Per event type the contract's fields and how two spellings of a value are made comparable."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One accepted event: ``place`` is its position in the log, ``time_us`` microseconds since 1970.

    ``grant`` says who sent it and to what that sender is bound; None for a sender that may do everything.
    """

    place: int
    kind: str
    time_us: int
    data: dict[str, Any]
    grant: str | None = None

    @property
    def time_ms(self) -> int:
        """Event time in milliseconds, floored."""
        return self.time_us // 1000


@dataclass(frozen=True, slots=True)
class ReadEvent:
    """One event of the log with its identity; two events of one identity are duplicates if their facts are equal."""

    task_id: str
    identity: tuple[str, str]
    content_type: str | None
    fact: Fact

    def same_content(self, other: ReadEvent) -> bool:
        """Whether all contract fields are equal as the sender gave them (the place in the log is not one of them)."""
        mine = (self.content_type, self.fact.kind, self.fact.time_us, _as_sent(self.fact.data))
        return mine == (other.content_type, other.fact.kind, other.fact.time_us, _as_sent(other.fact.data))


def _as_sent(data: dict[str, Any]) -> dict[str, Any]:
    """The fields without what intake wrote about sampling."""
    sampling = data.get("sampling")
    if sampling is None or sampling["source"] is None:
        return data
    if sampling["source"] == "event":
        return {**data, "sampling": {**sampling, "source": None}}
    silent = sampling["method"] is None
    return {**data, "sampling": None if silent else {**sampling, "probability": None, "source": None}}


def instant_us(text: str) -> int:
    """Microseconds since 1970 of an RFC 3339 time with a zone.

    Raises:
        ValueError: the text is not a time or has no zone.
    """
    moment = datetime.fromisoformat(text.upper())  # RFC 3339 allows z and t, which Python does not read
    if moment.tzinfo is None:
        raise ValueError(f"time {text!r} has no zone: write for example 2026-11-23T10:00:00Z")
    return (moment - _EPOCH) // _MICROSECOND


def read_event(place: int, event: dict[str, Any] | bytes | str) -> ReadEvent:
    """Read one contract event at ``place`` of the log; unknown optional fields are dropped.

    Raises:
        ValueError: the event is not of the contract; the message names its place and the fault.
    """
    body = json.loads(event) if isinstance(event, bytes | str) else event
    try:
        kind = str(body["type"]).removeprefix("floorwatch.").removesuffix(".v1")
        data = {name: _plain(how, body.get("data", {}).get(name)) for name, how in FIELDS[kind].items()}
        fact = Fact(place, kind, instant_us(body["time"]), data, body.get("floorwatchgrant"))
        return ReadEvent(body["subject"], (body["source"], body["id"]), body.get("datacontenttype"), fact)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"event {place} of the log is not a contract event: {error!r}") from error


def _plain(how: str, value: Any) -> Any:
    if how == "one":
        return 1 if value is None else value
    if how == "flag":
        return bool(value)
    if how == "list":
        return value or []
    if value is None or how == "text":
        return value
    if how == "time":
        return instant_us(value)
    if how == "sampling":
        said = {"method": value.get("method"), "probability": value.get("probability")}
        return {**said, "source": source if (source := value.get("source")) in _STAMPS else None}
    return {"values": value.get("values") or [], "score": value.get("score"), "model": value.get("model")}
