"""Wire types of what Floorwatch publishes: table rows, requests for audits, dead letters.

Only described here, for the contract: rows are made by ``streams.core.tables`` as plain dicts. Their fields are the
measures (``streams.models.measures``). Ratios are null where the denominator is 0; times are RFC 3339 in UTC.
"""

from __future__ import annotations

from typing import Any, Literal, cast

import msgspec
from msgspec import Struct

from streams.models.events import Instant, Name, Probability
from streams.models.measures import TABLES
from streams.models.measures.records import Computed, Count, Family, Measure, Quantile, Ratio, Total


class Evidence(Struct):
    """What a rule's detector says of the scope (docs/statistics.md)."""

    score: float
    bar: float
    firing: bool
    since_ms: int | None
    fired_ms: int | None
    units: int
    bad: int
    wants_audits: bool
    recovered: bool = True
    phi: float = 1.0


class Row(Struct, kw_only=True):
    """What the rows of every table share. A row is state: the latest of its key replaces the earlier."""

    scope: dict[str, str]
    scope_key: str
    window: str
    start: Instant
    end: Instant
    closed: bool
    revision: int
    watermark: Instant
    pane_s: int | None = None
    pane_start: Instant | None = None
    evidence: dict[str, Evidence] | None = None
    partial: bool = False
    format: int = 1


class Wrong(Struct):
    """Incorrect audits by error class."""

    false_positive: int
    false_negative: int
    wrong_selection: int
    technical: int
    unspecified: int


class Severities(Struct):
    """Incorrect audits by severity."""

    critical: int
    major: int
    minor: int
    unspecified: int


class ValueQuality(Struct):
    """Precision and recall of one decision value, over audits that name the right value."""

    tp: int
    fp: int
    fn: int
    unsaid: int
    precision_ratio: float | None
    recall_ratio: float | None
    recall_low_ratio: float | None
    recall_high_ratio: float | None


class Forecast(Struct):
    """What a queue's open work and its pace say of its due times (docs/forecast.md)."""

    open_by_due: list[tuple[Instant, int]]
    basis: Literal["recent rate", "roster", "unknown"]
    tasks_per_hour: float | None
    pace_ahead: list[tuple[Instant, float]]
    breach_at: Instant | None
    breach_at_low: Instant | None
    breach_at_high: Instant | None
    breach_at_by_arrival: Instant | None
    shortfall: float | None
    shortfall_at: Instant | None
    spare: float | None
    overdue: int


def _row_type(table: str, structured: dict[str, Any]) -> type[Row]:
    """Return the type of a table's rows, with a field for each of its measures.

    Args:
        table: The table.
        structured: Types of the fields that are no single number.
    """
    fields = [(name, structured.get(name) or _number(measure)) for name, measure in TABLES[table].measures.items()]
    made = msgspec.defstruct(
        f"{table.capitalize()}Row",
        fields,
        bases=(Row,),
        namespace={"__doc__": TABLES[table].about},
        module=__name__,
        tag_field="table",
        tag=table,
        kw_only=True,
    )
    return cast("type[Row]", made)


def _number(measure: Measure) -> Any:
    """Return the type of a measure that is a number."""
    match measure.source:
        case Count(_, scale):
            kind: Any = int if scale == 1 else float
            return kind | None if measure.nullable else kind
        case Total():
            return int
        case Ratio() | Quantile():
            return float | None
        case Family(scale=scale):
            return dict[str, int] if scale == 1 else dict[str, float]
        case Computed(kind) if kind is not None:
            return kind
        case _:
            raise TypeError(f"{measure.table}.{measure.name}: say in streams/models/outputs.py what its type is")


AccuracyRow = _row_type(
    "accuracy",
    {
        "wrong": Wrong,
        "severity": Severities,
        "values": dict[str, ValueQuality],
        "confusion": list[tuple[str, str | None, int]],
        "examples": list[str],
    },
)
ThroughputRow = _row_type("throughput", {})
SlaRow = _row_type("sla", {"open_as_of": Instant | None, "forecast": Forecast | None})


class Removed(Struct):
    """A part of a refused event that the dead letter does not keep."""

    field: str
    bytes: int


class DeadLetter(Struct):
    """An event that was refused, with a reason a person can act on."""

    at: Instant
    stage: Literal["intake", "ledger", "scopes", "incidents", "gateway"]
    source_topic: str | None
    partition: int | None
    offset: int | None
    code: str
    reason: str
    hint: str
    field: str | None
    value: str
    value_encoding: Literal["utf-8", "base64"]
    value_bytes: int
    removed: list[Removed]


class AuditRequestedData(Struct):
    """More audits of a scope would soon decide whether it is off its target."""

    rule: str
    kind: Literal["accuracy_low", "critical_errors"]
    scope: dict[str, str]
    scope_key: str
    number: int
    audits: int
    until: Instant
    since: Instant
    units: int
    bad: int
    score: float
    bar: float


class AuditRequested(Struct, tag_field="type", tag="floorwatch.audit.requested.v1"):
    """A CloudEvent: labelling tools may draw the audits asked for. The latest of a key counts."""

    specversion: Literal["1.0"]
    id: str
    source: Literal["floorwatch"]
    subject: str
    time: Instant
    datacontenttype: Literal["application/json"]
    data: AuditRequestedData


class DrawnSampling(Struct):
    """What the audit has to say of its sampling, word for word."""

    method: str
    probability: Probability


class AuditDrawnData(Struct):
    """An audit plan has drawn this label at random: audit it, and send its sampling with the audit."""

    plan: str
    label_id: Name
    labeled_at: Instant
    stratum: dict[str, str]
    sampling: DrawnSampling
    until: Instant


class AuditDrawn(Struct, tag_field="type", tag="floorwatch.audit.drawn.v1"):
    """A CloudEvent: the label to audit. One for each label, whichever plan draws it."""

    specversion: Literal["1.0"]
    id: str
    source: Literal["floorwatch"]
    subject: Name
    time: Instant
    datacontenttype: Literal["application/json"]
    data: AuditDrawnData


OUTPUT_CLASSES: tuple[type[Struct], ...] = (AccuracyRow, ThroughputRow, SlaRow, AuditRequested, AuditDrawn, DeadLetter)
