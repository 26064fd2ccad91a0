"""The throughput table: labels and how long they took."""

from __future__ import annotations

from streams.models.measures.accuracy import LABELS
from streams.models.measures.records import (
    Beside,
    Column,
    Computed,
    Count,
    Meaning,
    Quantile,
    Ratio,
    Series,
)
from streams.models.measures.registry import registry

LABELER_PREFIX = registry.by_name("L:", "labeler")
ACTIVE_TIMED = registry.counter(4, "active_timed")
SCHEDULED_MS = registry.counter(50, "scheduled_ms")
HANDLE_HISTOGRAM = registry.histogram(1000, "handle_bucket")

throughput = registry.table(
    "throughput", "Labels of a scope and how long they took, by the time of the label.", "labels"
)
throughput.show(
    "labels",
    "labels",
    "Standing labels.",
    Count(LABELS),
    Column("labels", 10),
    Series("labels", "Standing labels submitted in the window."),
    Meaning("Labels made. A task may need two."),
)
throughput.show(
    "labels_per_hour",
    "labels per hour",
    "labels / hours of the range up to the watermark; null while those are under a minute.",
    Computed(float | None),
    Column("labels/h", 20),
    Series("labels_per_hour", "Standing labels an hour of the window."),
    Meaning(
        "Labels through the hours of the window, or of the hour pane, up to the row's watermark; none while that is less than a "
        "minute. It falls at night; it is the floor's pace, not a person's."
    ),
)
HANDLED = throughput.count(2, "handled", "labels", "Labels with a handle time.", Beside("handle_ms_p50"))
HANDLE_MS = throughput.count(
    3, "handle_ms_sum", "ms", "Sum of handle times.", Beside("handle_ms_p50"), counter="handle_ms"
)
throughput.show("handle_ms_mean", "ms", "Mean handle time.", Ratio((HANDLE_MS,), (HANDLED,)), Beside("handle_ms_p50"))
_HANDLE_TIME = Series(
    "handle_time_seconds",
    "Time from start to label in the window. No _sum and _count: a window falls, which rate() would misread.",
)
throughput.show(
    "handle_ms_p50",
    "ms",
    "Median handle time, within 1%.",
    Quantile(HANDLE_HISTOGRAM, 0.5),
    Column("handle p50", 40),
    _HANDLE_TIME,
    Meaning(
        "From start to label. p50: half are quicker. p90: nine of ten are. Within 1%. `handled` labels told their start, "
        "`handle_ms_sum` together."
    ),
)
throughput.show(
    "handle_ms_p90",
    "ms",
    "90th percentile of handle time, within 1%.",
    Quantile(HANDLE_HISTOGRAM, 0.9),
    Column("p90", 50, spare=1),
    _HANDLE_TIME,
    Beside("handle_ms_p50"),
)
throughput.show(
    "handle_ms_p95",
    "ms",
    "95th percentile of handle time, within 1%.",
    Quantile(HANDLE_HISTOGRAM, 0.95),
    _HANDLE_TIME,
    Beside("handle_ms_p50"),
)
ACTIVE_MS = throughput.count(
    5,
    "active_ms_sum",
    "ms",
    "Sum of active_ms where sent.",
    Meaning("Time of actual work where the tool measures it."),
    counter="active_ms",
)
throughput.show(
    "active_labelers",
    "labelers",
    "Labellers with a label in the range; null where a row had too many names to keep them.",
    Computed(int | None, counts=True),
    Column("active labellers", 60),
    Series("active_labelers", "Distinct labellers with a label in the window."),
    Meaning(
        "Different people with at least one label in the window; null where a row had more names than a record holds "
        "([limits](limits.md))."
    ),
)
throughput.show(
    "labels_per_productive_hour",
    "labels per hour",
    "handled / hours of handle time.",
    Ratio((HANDLED,), (HANDLE_MS,), unit=3_600_000),
    Column("per productive h", 30, spare=2),
    Meaning("Labels through the hours people spent *on labels*. The pace of one person at work; waiting is not in it."),
)
