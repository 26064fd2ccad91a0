"""The metric catalogue as data: every series Floorwatch exports is declared here and nowhere else.

The exporter, ``docs/metrics.md``, the board's queries and their tests all read this one list, so a metric cannot be
exported undocumented, documented unexported or queried under a name that does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from streams.core.policy import DIMENSIONS

Kind = Literal["gauge", "counter", "summary", "histogram"]
Table = Literal["accuracy", "throughput", "sla"]

PREFIX = "floorwatch_"
MS_TO_S = 0.001

SCOPE_LABELS: tuple[str, ...] = ("window", "scope", "scope_kind", *(d for d in DIMENSIONS if d != "labeler"))
"""Labels of every table series. ``scope`` is the scope's key as the API, alerts and CLI print it."""

STAGES = ("intake", "ledger", "scopes", "incidents", "gateway")
"""Stages that can fold, flush, recover or refuse."""

DEAD_LETTER_STAGES = ("intake", "ledger", "gateway")
DEAD_LETTER_CODES = (
    "not_json",
    "wrong_type",
    "unknown_type",
    "missing_field",
    "unknown_sla_class",
    "wrong_time",
    "future_time",
    "started_after_time",
    "too_large",
    "control_character",
    "conflicting_duplicate",
    "cannot_process",
)
"""Reasons whose series exist at zero from the start: ``increase()`` cannot see a counter that is born at one."""

FLUSH_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class RowField:
    """Where one sample comes from: a field of a table row.

    Attributes:
        name: Field of the row, ``outer.inner`` inside an object; a null or absent field gives no sample, because
            "unknown" is not zero.
        scale: Factor to the metric's base unit.
        labels: Labels of this sample beyond the scope's, e.g. ``(("quantile", "0.5"),)``.
        since: Field that holds a time, as ``name`` does: the sample is the seconds between the two.
    """

    name: str
    scale: float = 1.0
    labels: tuple[tuple[str, str], ...] = ()
    since: str | None = None


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric family.

    Attributes:
        name: Full name; a counter's ends in ``_total``.
        kind: Prometheus type.
        help: What it says, in a sentence.
        unit: Base unit for people (``ratio``, ``seconds``, ``labels``, ...).
        labels: Label names in the order they are exported.
        table: Table whose rows are the source; None for the engine's own metrics.
        fields: Fields of that table's rows.
        owner: Stage that owns the series when no label says so; ``drop_partition`` of it removes them.
    """

    name: str
    kind: Kind
    help: str
    unit: str
    labels: tuple[str, ...]
    table: Table | None = None
    fields: tuple[RowField, ...] = ()
    owner: str | None = None


def _row(
    name: str, table: Table, field: str, unit: str, text: str, scale: float = 1.0, extra: tuple[str, ...] = ()
) -> Metric:
    return Metric(PREFIX + name, "gauge", text, unit, SCOPE_LABELS + extra, table, (RowField(field, scale),))


def _quantiles(name: str, table: Table, stem: str, levels: tuple[int, ...], text: str) -> Metric:
    fields = tuple(RowField(f"{stem}_p{p}", MS_TO_S, (("quantile", str(p / 100)),)) for p in levels)
    return Metric(PREFIX + name, "summary", text, "seconds", (*SCOPE_LABELS, "quantile"), table, fields)


TABLE_METRICS: tuple[Metric, ...] = (
    _row("accuracy_ratio", "accuracy", "raw_accuracy_ratio", "ratio", "Audited labels found correct, unweighted."),
    _row("accuracy_wilson_low_ratio", "accuracy", "wilson_low_ratio", "ratio", "Lower end of the 95% Wilson interval."),
    _row(
        "accuracy_wilson_high_ratio", "accuracy", "wilson_high_ratio", "ratio", "Upper end of the 95% Wilson interval."
    ),
    _row(
        "accuracy_weighted_ratio",
        "accuracy",
        "weighted_accuracy_ratio",
        "ratio",
        "Accuracy weighted by 1 / sampling probability (Hajek); targeted audits are left out.",
    ),
    _row("audited_labels", "accuracy", "audited", "labels", "Standing labels of the window with an effective verdict."),
    _row(
        "audit_coverage_ratio", "accuracy", "coverage_ratio", "ratio", "Share of the window's labels that are audited."
    ),
    _row("critical_error_ratio", "accuracy", "critical_error_ratio", "ratio", "Audited labels with a critical error."),
    _row("overturn_ratio", "accuracy", "overturn_ratio", "ratio", "Decided appeals that were overturned."),
    _row("labels", "throughput", "labels", "labels", "Standing labels submitted in the window."),
    _row(
        "labels_per_hour", "throughput", "labels_per_hour", "labels per hour", "Standing labels an hour of the window."
    ),
    _row(
        "active_labelers", "throughput", "active_labelers", "labelers", "Distinct labellers with a label in the window."
    ),
    _quantiles(
        "handle_time_seconds",
        "throughput",
        "handle_ms",
        (50, 90, 95),
        "Time from start to label in the window. No _sum and _count: a window falls, which rate() would misread.",
    ),
    _row("sla_due", "sla", "due", "tasks", "Tasks due in the window."),
    _row("sla_met", "sla", "met", "tasks", "Tasks due in the window and completed in time."),
    _row("sla_missed", "sla", "missed", "tasks", "Tasks due in the window, completed late or still open past due."),
    _row(
        "sla_attainment_ratio", "sla", "attainment_ratio", "ratio", "Tasks completed in time, of those met or missed."
    ),
    Metric(
        PREFIX + "forecast_breach_seconds",
        "gauge",
        "Time from the watermark to the first due time that a queue's open work will miss; no series where all fits.",
        "seconds",
        SCOPE_LABELS,
        "sla",
        (RowField("forecast.breach_at", since="watermark"),),
    ),
    _row(
        "forecast_shortfall_tasks",
        "sla",
        "forecast.shortfall",
        "tasks",
        "Open tasks of a queue that will not be done by their due times at its pace; 0 where all fits.",
    ),
    _row(
        "forecast_tasks_per_hour",
        "sla",
        "forecast.tasks_per_hour",
        "tasks per hour",
        "Pace that a queue's forecast goes by.",
    ),
    _row("backlog_tasks", "sla", "backlog", "tasks", "Open tasks as of the watermark."),
    _row(
        "oldest_open_task_age_seconds", "sla", "oldest_open_age_ms", "seconds", "Age of the oldest open task.", MS_TO_S
    ),
    _quantiles(
        "turnaround_seconds",
        "sla",
        "turnaround_ms",
        (50, 90, 95, 99),
        "Time from creation to completion, of tasks completed in the window. No _sum and _count: the window slides.",
    ),
)

_SP = ("stage", "partition")
_P = ("partition",)

INCIDENTS_OPEN = Metric(
    PREFIX + "incidents_open",
    "gauge",
    "Incidents open, acknowledged or escalated, of those this worker owns; 0 for every configured rule without one.",
    "incidents",
    ("rule", "severity"),
)
ROWS_SKIPPED = Metric(
    PREFIX + "export_rows_skipped",
    "gauge",
    "Rows of the exported windows left out of this scrape: past the cap on exported scopes, or malformed.",
    "rows",
    ("reason",),
)
FOLDED = Metric(PREFIX + "events_folded_total", "counter", "Records folded into state.", "records", _SP)
DEAD_LETTERS = Metric(
    PREFIX + "dead_letters_total", "counter", "Records refused, by reason.", "records", ("stage", "code")
)
DUPLICATES = Metric(
    PREFIX + "duplicates_total", "counter", "Events met again and ignored.", "events", _P, owner="ledger"
)
LATE = Metric(
    PREFIX + "late_events_total",
    "counter",
    "Events past the correction horizon, sent to the late topic.",
    "events",
    _P,
    owner="ledger",
)
WATERMARK = Metric(
    PREFIX + "watermark_timestamp_seconds",
    "gauge",
    "Event time up to which the partition is complete, as Unix time.",
    "seconds",
    _P,
    owner="ledger",
)
IDLE = Metric(
    PREFIX + "partition_idle",
    "gauge",
    "1 while the partition has had no events for the idle timeout and does not hold the floor's watermark back.",
    "bool",
    _P,
    owner="ledger",
)
FLOOR_WATERMARK = Metric(
    PREFIX + "floor_watermark_timestamp_seconds",
    "gauge",
    "Event time up to which the tables' rows are complete, as Unix time: the least of the partitions that are not idle.",
    "seconds",
    _P,
    owner="scopes",
)
LAG = Metric(PREFIX + "lag_records", "gauge", "Records waiting in the source log.", "records", _SP)
FLUSH = Metric(
    PREFIX + "flush_seconds",
    "histogram",
    "Time of one flush: changelog written, then committed.",
    "seconds",
    ("stage",),
)
ROWS = Metric(PREFIX + "rows", "gauge", "State rows held in memory.", "rows", _SP)
TASKS = Metric(
    PREFIX + "tasks", "gauge", "Tasks whose facts are held, in memory or on disk.", "tasks", _P, owner="ledger"
)
COLD_TASKS = Metric(PREFIX + "cold_tasks", "gauge", "Of these, tasks on disk.", "tasks", _P, owner="ledger")
COLD_REFUSED = Metric(
    PREFIX + "cold_refused_total",
    "counter",
    "Times the disk took no tasks: they stay in memory.",
    "times",
    _P,
    owner="ledger",
)
SCOPES = Metric(
    PREFIX + "scopes", "gauge", "Distinct scopes of the ledger partition that has most, of this worker's.", "scopes", ()
)
SCOPES_REFUSED = Metric(
    PREFIX + "scopes_refused_total", "counter", "Times the cap on distinct scopes kept a new one out.", "scopes", ()
)
RULE_FAILURES = Metric(
    PREFIX + "rule_failures_total",
    "counter",
    "Evaluations of an alert rule that failed: the rule said nothing, the others went on.",
    "evaluations",
    ("rule",),
)
SET_ASIDE = Metric(
    PREFIX + "set_aside_total",
    "counter",
    "Records and rows that a stage could not process because of their content: set aside with a reason, the rest went on.",
    "records",
    ("stage",),
)
RECOVERY = Metric(
    PREFIX + "recovery_seconds", "gauge", "How long the last recovery of state took.", "seconds", ("stage",)
)
UNFLUSHED = Metric(
    PREFIX + "unflushed_records",
    "gauge",
    "Records folded since the last flush began; at engine.max_unflushed_records folding waits for a flush.",
    "records",
    _SP,
)
UNFLUSHED_BYTES = Metric(
    PREFIX + "unflushed_bytes", "gauge", "Size of these; bound by engine.max_unflushed_bytes.", "bytes", _SP
)
BATCHES_IN_HAND = Metric(
    PREFIX + "batches_in_hand",
    "gauge",
    "Batches fetched and not folded; at the limit no more of the partition are fetched.",
    "batches",
    _SP,
)
IN_FLIGHT = Metric(
    PREFIX + "writer_in_flight_bytes", "gauge", "Bytes given to the producer and not acknowledged.", "bytes", ()
)
LARGEST_RECORD = Metric(
    PREFIX + "largest_record_bytes",
    "gauge",
    "Largest record since the start that filled a batch of its own; above kafka.max_message_bytes the worker ends.",
    "bytes",
    ("topic",),
)
WAIT = Metric(
    PREFIX + "wait_seconds_total",
    "counter",
    "Time spent waiting: for the broker's acknowledgements, for Redis, or to flush because too much was unflushed.",
    "seconds",
    ("on",),
)
WAITING = Metric(
    PREFIX + "waiting_seconds",
    "gauge",
    "How long the longest wait under way has lasted; 0 for none.",
    "seconds",
    ("on",),
)
REDIS_RETRIES = Metric(
    PREFIX + "redis_retries_total",
    "counter",
    "Times Redis took no rows or gave none, so it was tried again.",
    "times",
    (),
)
COMMITS_REFUSED = Metric(
    PREFIX + "commits_refused_total",
    "counter",
    "Commits the coordinator did not take (away, or a rebalance): offered again at the next flush.",
    "commits",
    ("stage",),
)
FENCED = Metric(
    PREFIX + "fenced_total",
    "counter",
    "Times the group did not know this worker any more, so it dropped its partitions.",
    "times",
    ("stage",),
)
INTERNED = Metric(
    PREFIX + "interned_tuples",
    "gauge",
    "Dimension tuples numbered for adding up; the numbers are given anew above the limit.",
    "tuples",
    _P,
    owner="ledger",
)
OUTBOX = Metric(
    PREFIX + "outbox_waiting",
    "gauge",
    "Notifications in the outbox in Redis, waiting or being sent.",
    "notifications",
    (),
)
_CHANNEL = ("channel",)
NOTIFICATIONS_SENT = Metric(
    PREFIX + "notifications_sent_total",
    "counter",
    "Notifications a channel took from this worker.",
    "notifications",
    _CHANNEL,
)
NOTIFICATIONS_FAILED = Metric(
    PREFIX + "notification_failures_total",
    "counter",
    "Attempts of this worker to send a notification that failed; those worth it are tried again.",
    "attempts",
    _CHANNEL,
)
NOTIFICATIONS_WAITING = Metric(
    PREFIX + "notifications_waiting",
    "gauge",
    "Notifications that a channel does not have yet, over all workers. Channel (no channel): their route has none.",
    "notifications",
    _CHANNEL,
)
NOTIFICATIONS_DEAD = Metric(
    PREFIX + "notifications_dead",
    "gauge",
    "Notifications given up for a channel and not revived, over all workers.",
    "notifications",
    _CHANNEL,
)
NOTIFICATIONS_OLDEST = Metric(
    PREFIX + "notifications_oldest_waiting_seconds",
    "gauge",
    "How long the oldest of the notifications due next has waited for a channel; 0 for none.",
    "seconds",
    _CHANNEL,
)
CHANNEL_USABLE = Metric(
    PREFIX + "notification_channel_usable",
    "gauge",
    "1 for a channel that could be built at start, 0 for one whose package or settings are wrong.",
    "channels",
    _CHANNEL,
)
ROUTES_SILENT = Metric(
    PREFIX + "notification_routes_silent",
    "gauge",
    "Routes without a channel that works: nobody hears what goes there.",
    "routes",
    (),
)
BACKGROUND_DOWN = Metric(
    PREFIX + "background_task_down_seconds",
    "gauge",
    "How long a background task has not run stably; 0 while it does.",
    "seconds",
    ("task",),
)
LIMIT = Metric(
    PREFIX + "limit",
    "gauge",
    "Bound of the gauge named without its prefix (and of each of its series).",
    "same",
    ("of",),
)
BUILD_INFO = Metric(
    PREFIX + "build_info", "gauge", "Always 1; says what is running.", "info", ("component", "version", "python")
)

ENGINE_METRICS: tuple[Metric, ...] = (
    FOLDED,
    DEAD_LETTERS,
    DUPLICATES,
    LATE,
    WATERMARK,
    IDLE,
    FLOOR_WATERMARK,
    LAG,
    FLUSH,
    ROWS,
    TASKS,
    COLD_TASKS,
    COLD_REFUSED,
    SCOPES,
    SCOPES_REFUSED,
    RULE_FAILURES,
    SET_ASIDE,
    RECOVERY,
    UNFLUSHED,
    UNFLUSHED_BYTES,
    BATCHES_IN_HAND,
    IN_FLIGHT,
    LARGEST_RECORD,
    WAIT,
    WAITING,
    REDIS_RETRIES,
    COMMITS_REFUSED,
    FENCED,
    INTERNED,
    OUTBOX,
    NOTIFICATIONS_SENT,
    NOTIFICATIONS_FAILED,
    NOTIFICATIONS_WAITING,
    NOTIFICATIONS_DEAD,
    NOTIFICATIONS_OLDEST,
    CHANNEL_USABLE,
    ROUTES_SILENT,
    BACKGROUND_DOWN,
    LIMIT,
    BUILD_INFO,
)

WAITS = ("broker", "redis", "flush")
"""What something can wait for; their series exist from the start."""

COLLECTOR_METRICS: tuple[Metric, ...] = (*TABLE_METRICS, INCIDENTS_OPEN, ROWS_SKIPPED)
CATALOGUE: tuple[Metric, ...] = (*COLLECTOR_METRICS, *ENGINE_METRICS)


def by_name(name: str) -> Metric:
    """Return the metric of that full name.

    Raises:
        KeyError: If the catalogue has no such metric.
    """
    for metric in CATALOGUE:
        if metric.name == name:
            return metric
    raise KeyError(f"{name} is not in telemetry/catalogue.py; add it there first")
