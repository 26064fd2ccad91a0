"""Metrics read from the rows of the tables, one series per scope and window: a part of the catalogue."""

from __future__ import annotations

from streams.core.policy import DIMENSIONS
from telemetry.metric import PREFIX, Metric, RowField, Table

MS_TO_S = 0.001

SCOPE_LABELS: tuple[str, ...] = ("window", "scope", "scope_kind", *(d for d in DIMENSIONS if d != "labeler"))
"""Labels of every table series. ``scope`` is the scope's key as the API, alerts and CLI print it."""


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
