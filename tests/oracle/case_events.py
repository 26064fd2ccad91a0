"""The small language in which the cases are written: one function per event type, minutes past 10:00 for times."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from streams.models.measures import TABLES

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
"""Minute 0 of every case; hour 0 of every expected row."""

START_MS = int(START.timestamp() * 1000)

Event = dict[str, Any]
Row = dict[str, int | float]
RowKey = tuple[str, str, int]
WindowKey = tuple[str, str, str]

ACC: RowKey = ("accuracy", "all", 0)
THR: RowKey = ("throughput", "all", 0)
SLA: RowKey = ("sla", "all", 0)

CHECKED_FIELDS: dict[str, tuple[str, ...]] = {name: table.recounted() for name, table in TABLES.items()}
"""Every field of a pane row that is counted: a field that a case does not name is 0."""


@dataclass(frozen=True)
class Case:
    """A handful of events in log order and the rows they must give.

    ``rows`` maps (table, scope_key, hours after ``START``) to the fields of that one-hour pane. For the scope ``all`` it
    is complete: a pane not listed is all zero, a field of ``CHECKED_FIELDS`` not named is 0. Rows of other scopes are
    complete in their fields, but scopes and panes not listed are simply not spoken about.
    ``windows`` maps (table, scope_key, window) to some fields of that window; fields not named are not spoken about.
    """

    name: str
    says: str
    """The rule of docs/meaning.md that the case holds."""
    events: list[Event]
    rows: dict[RowKey, Row]
    windows: dict[WindowKey, Row] = field(default_factory=dict)
    duplicates: int = 0
    conflicts: int = 0
    refused: int = 0
    """Events that are well formed and still not accepted (a label that starts after its own time)."""


_serial = itertools.count(1)


def at(minute: float) -> str:
    """RFC 3339 of ``minute`` minutes after 10:00."""
    return (START + timedelta(minutes=minute)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def event(kind: str, minute: float, data: Event, *, task: str = "t-1", id: str | None = None) -> Event:
    """A contract event of type ``floorwatch.<kind>.v1``; every event has an id of its own unless one is given."""
    return {
        "specversion": "1.0",
        "id": id or f"e-{next(_serial)}",
        "source": "case",
        "type": f"floorwatch.{kind}.v1",
        "subject": task,
        "time": at(minute),
        "data": data,
    }


def created(minute: float, *, task: str = "t-1", id: str | None = None, **data: Any) -> Event:
    """``task.created``."""
    return event("task.created", minute, data, task=task, id=id)


def cancelled(minute: float, *, task: str = "t-1") -> Event:
    """``task.cancelled``."""
    return event("task.cancelled", minute, {"reason": "content removed"}, task=task)


def label(
    label_id: str, minute: float, *, by: str = "ana", task: str = "t-1", id: str | None = None, **data: Any
) -> Event:
    """``label.submitted`` by labeller ``by``."""
    return event("label.submitted", minute, {"label_id": label_id, "labeler_id": by, **data}, task=task, id=id)


def unlabel(label_id: str, minute: float, *, task: str = "t-1") -> Event:
    """``label.withdrawn``."""
    return event("label.withdrawn", minute, {"label_id": label_id}, task=task)


def audit(
    audit_id: str,
    minute: float,
    label_id: str | None,
    verdict: str,
    *,
    p: float | None = None,
    how: str | None = None,
    by: str | None = None,
    task: str = "t-1",
    id: str | None = None,
    **data: Any,
) -> Event:
    """``audit.completed`` of ``label_id`` (None: of the latest label).

    Drawn with probability ``p``; by method ``how`` without one; without both it says nothing of sampling. ``by`` is what intake
    wrote on it.
    """
    body: Event = {"audit_id": audit_id, "verdict": verdict, **data}
    if label_id is not None:
        body["label_id"] = label_id
    if p is not None:
        body["sampling"] = {"method": "random", "probability": p}
    elif how is not None:
        body["sampling"] = {"method": how}
    if by is not None:
        body["sampling"] = {"method": how, "probability": p, "source": by}
    return event("audit.completed", minute, body, task=task, id=id)


def unaudit(audit_id: str, minute: float) -> Event:
    """``audit.withdrawn``."""
    return event("audit.withdrawn", minute, {"audit_id": audit_id})


def opened(appeal_id: str, minute: float, **target: Any) -> Event:
    """``appeal.opened`` against ``audit_id=…`` or ``label_id=…``."""
    return event("appeal.opened", minute, {"appeal_id": appeal_id, **_against(target)})


def decided(appeal_id: str, minute: float, outcome: str, **target: Any) -> Event:
    """``appeal.decided`` against ``audit_id=…`` or ``label_id=…``, with ``error_class`` and ``severity`` if given."""
    return event("appeal.decided", minute, {"appeal_id": appeal_id, "outcome": outcome, **_against(target)})


def _against(target: Event) -> Event:
    return {"against": "audit" if "audit_id" in target else "label", **target}


def drawn(weight: float, outcome: str = "correct") -> dict[str, float]:
    """The fields of one label that an audit drew with probability 1/weight and found ``correct``, ``wrong``, or wrong
    by a ``technical`` or a ``critical`` error."""
    power = 1
    while 2 * power <= weight:
        power *= 2
    fields: dict[str, float] = {"weight_sum": weight, f"sample_audited.{power}": 1, f"sample_weight.{power}": weight}
    if outcome == "correct":
        return {**fields, "weight_correct": weight}
    fields[f"sample_wrong.{power}"] = 1
    if outcome == "critical":
        fields |= {"weight_critical": weight, f"sample_critical.{power}": 1}
    if outcome == "technical":
        fields |= {"weight_technical": weight, f"sample_technical.{power}": 1}
    return fields


def one_label(**more: float) -> dict[RowKey, Row]:
    """Rows of one standing label in hour 0 of a task nobody announced, with ``more`` accuracy fields."""
    return labels_by(1, 1, **more)


def labels_by(labels: int, labelers: int, *, tasks: int = 1, **more: float) -> dict[RowKey, Row]:
    """Rows of ``labels`` standing labels in hour 0 by ``labelers`` people on ``tasks`` tasks nobody announced.

    Labels of several people on one task have no values, so they cannot be compared, unless ``more`` says ``overlapped``.
    """
    together = {"overlap_incomparable": 1} if labelers > tasks and "overlapped" not in more else {}
    return {
        ACC: {"labels": labels, **together, **more},
        THR: {"labels": labels, "active_labelers": labelers},
        SLA: {"completed": tasks, "no_sla": tasks},
    }
