"""Wire types of what Floorwatch publishes: table rows, requests for audits, dead letters.

Only described here, for the contract: rows are made by ``streams.core.tables`` as plain dicts (a test holds the two
together). Ratios are null where the denominator is 0; times are RFC 3339 in UTC.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from streams.models.events import Instant


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


class AccuracyRow(Row, tag_field="table", tag="accuracy", kw_only=True):
    """Accuracy of the labels of a scope, by the time of the label; revised when a verdict changes."""

    labels: int | None
    audited: int
    correct: int
    targeted: int
    weight_sum: float
    weight_correct: float
    weight_technical: float
    targeted_correct: int
    targeted_technical: int
    raw_accuracy_ratio: float | None
    weighted_accuracy_ratio: float | None
    wilson_low_ratio: float | None
    wilson_high_ratio: float | None
    coverage_ratio: float | None
    critical_errors: int
    critical_error_ratio: float | None
    wrong: Wrong
    severity: Severities
    gold: int
    gold_correct: int
    appeals_opened: int
    appeals_decided: int
    appeals_overturned: int
    overturn_ratio: float | None
    incomparable: int
    overlapped: int
    unanimous: int
    overlap_incomparable: int
    agreement_ratio: float | None
    values: dict[str, ValueQuality]
    confusion: list[tuple[str, str | None, int]]
    examples: list[str]


class ThroughputRow(Row, tag_field="table", tag="throughput", kw_only=True):
    """Labels of a scope and how long they took, by the time of the label."""

    labels: int
    labels_per_hour: float | None
    handled: int
    handle_ms_sum: int
    handle_ms_mean: float | None
    handle_ms_p50: float | None
    handle_ms_p90: float | None
    handle_ms_p95: float | None
    active_ms_sum: int
    active_labelers: int | None
    labels_per_productive_hour: float | None


class Forecast(Struct):
    """What a queue's open work and its pace say of its due times (docs/forecast.md)."""

    open_by_due: list[tuple[Instant, int]]
    basis: Literal["recent rate", "roster", "unknown"]
    tasks_per_hour: float | None
    pace_ahead: list[tuple[Instant, float]]
    breach_at: Instant | None
    shortfall: float | None
    shortfall_at: Instant | None
    spare: float | None
    overdue: int


class SlaRow(Row, tag_field="table", tag="sla", kw_only=True):
    """Tasks of a scope against their due times, by due time; turn-around by completion time."""

    due: int
    met: int
    missed: int
    late: int
    overdue_open: int
    open_due: int
    cancelled: int
    no_sla: int
    attainment_ratio: float | None
    completed: int
    turnaround_ms_sum: int
    turnaround_ms_p50: float | None
    turnaround_ms_p90: float | None
    turnaround_ms_p95: float | None
    turnaround_ms_p99: float | None
    backlog: int | None
    oldest_open_age_ms: int | None
    open_as_of: Instant | None
    forecast: Forecast | None


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


OUTPUT_CLASSES: tuple[type[Struct], ...] = (AccuracyRow, ThroughputRow, SlaRow, AuditRequested, DeadLetter)
