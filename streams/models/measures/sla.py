"""The SLA table: tasks against their due times, and what is open."""

from __future__ import annotations

from streams.models.measures.records import (
    Beside,
    Column,
    Computed,
    Count,
    Meaning,
    Quantile,
    Ratio,
    Series,
    Total,
)
from streams.models.measures.registry import registry

TURNED = registry.counter(47, "turned")
TURN_HISTOGRAM = registry.histogram(3000, "turnaround_bucket")

sla = registry.table(
    "sla", "Tasks of a scope against their due times, by due time; turn-around by completion time.", "due"
)
MET = registry.counter(41, "met")
LATE = registry.counter(42, "late")
OVERDUE = registry.counter(43, "overdue_open")
DUE = sla.count(
    40,
    "due",
    "tasks",
    "Tasks due in the range, cancelled ones left out.",
    Column("due", 20),
    Series("sla_due", "Tasks due in the window."),
    Meaning(
        "Tasks due in the window, also open ones that are due later in it (`open_due`); done in time; done too late or still open past "
        "their due time."
    ),
)
sla.show(
    "met",
    "tasks",
    "Completed by their due time.",
    Count(MET),
    Column("met", 30),
    Series("sla_met", "Tasks due in the window and completed in time."),
    Beside("due"),
)
sla.show(
    "missed",
    "tasks",
    "late + overdue_open.",
    Total((LATE, OVERDUE)),
    Column("missed", 40),
    Series("sla_missed", "Tasks due in the window, completed late or still open past due."),
    Beside("due"),
)
sla.show("late", "tasks", "Completed after their due time.", Count(LATE), Beside("due"))
sla.show(
    "overdue_open",
    "tasks",
    "Open, with the due time behind the watermark.",
    Count(OVERDUE),
    Column("overdue, open", 50, spare=1),
    Meaning("Those of the missed that somebody still has to do."),
)
sla.show(
    "open_due",
    "tasks",
    "Open, not yet due.",
    Total((DUE,), (MET, LATE, OVERDUE)),
    Meaning(
        "Due later in the window and open; cancelled, which count as neither met nor missed; completed without a known due time."
    ),
)
CANCELLED = sla.count(44, "cancelled", "tasks", "Cancelled tasks.", Beside("open_due"))
NO_SLA = sla.count(45, "no_sla", "tasks", "Completed tasks whose creation or due time nobody sent.", Beside("open_due"))
sla.show(
    "attainment_ratio",
    "ratio",
    "met / (met + missed).",
    Ratio((MET,), (MET, LATE, OVERDUE)),
    Column("attainment", 10),
    Series("sla_attainment_ratio", "Tasks completed in time, of those met or missed."),
    Meaning("Of the tasks whose due time has come, or that were done before it, the share done in time."),
)
COMPLETED = sla.count(46, "completed", "tasks", "Tasks completed in the range.", Beside("turnaround_ms_p90"))
TURN_MS = sla.count(
    48, "turnaround_ms_sum", "ms", "Sum of turn-around times.", Beside("turnaround_ms_p90"), counter="turnaround_ms"
)
_TURNAROUND = Series(
    "turnaround_seconds",
    "Time from creation to completion, of tasks completed in the window. No _sum and _count: the window slides.",
)
sla.show(
    "turnaround_ms_p50",
    "ms",
    "Median turn-around, within 1%.",
    Quantile(TURN_HISTOGRAM, 0.5),
    _TURNAROUND,
    Beside("turnaround_ms_p90"),
)
sla.show(
    "turnaround_ms_p90",
    "ms",
    "90th percentile of turn-around, within 1%.",
    Quantile(TURN_HISTOGRAM, 0.9),
    Column("turn-around p90", 60, spare=2),
    _TURNAROUND,
    Meaning(
        "From creation to completion, of the `completed` tasks; nine of ten are quicker. `turnaround_ms_sum` is all of it. Only "
        "what is done has one: a stuck queue looks quick here and old in the next two."
    ),
)
sla.show(
    "turnaround_ms_p95",
    "ms",
    "95th percentile of turn-around, within 1%.",
    Quantile(TURN_HISTOGRAM, 0.95),
    _TURNAROUND,
    Beside("turnaround_ms_p90"),
)
sla.show(
    "turnaround_ms_p99",
    "ms",
    "99th percentile of turn-around, within 1%.",
    Quantile(TURN_HISTOGRAM, 0.99),
    _TURNAROUND,
    Beside("turnaround_ms_p90"),
)
sla.show(
    "backlog",
    "tasks",
    "Open tasks of the scope now; null in pane rows, and where the scope says who works (site, vendor, team, labeler) "
    "while no open task names them: before its first label a task mostly does not.",
    Computed(int | None),
    Column("backlog", 70),
    Series("backlog_tasks", "Open tasks as of the watermark."),
    Meaning("Open tasks now."),
)
sla.show(
    "oldest_open_age_ms",
    "ms",
    "Age of the oldest open task at the watermark.",
    Computed(int | None),
    Column("oldest open", 80, spare=3),
    Series("oldest_open_task_age_seconds", "Age of the oldest open task."),
    Meaning(
        "Age of the oldest of them, from the begin of the minute in which it was created; of the quarter of an hour after "
        "3 hours, of the hour after 2 days. So it is never too small, and at most that much too large."
    ),
)
sla.show(
    "open_as_of",
    "time",
    "Where open tasks lie on a partition that is behind the watermark: as of when it is known which of them are overdue. "
    "Null where all are as of the watermark.",
    Computed(),
    Meaning(
        "Some of the open tasks lie on a partition that is behind *now*, an idle one with older events: which of them are overdue "
        "is known as of this time. None where all is as of now."
    ),
)
sla.show(
    "forecast",
    "tasks",
    "Of a queue's own scope in window 1h: will its due times be met; null in every other row.",
    Computed(),
    Series(
        "forecast_breach_seconds",
        "Time from the watermark to the first due time that a queue will miss, the earliest due taken first; no series where all fits.",
        unit="seconds",
        field="breach_at",
        since="watermark",
    ),
    Series(
        "forecast_shortfall_tasks",
        "Open tasks of a queue that will not be done by their due times at its pace; 0 where all fits.",
        field="shortfall",
    ),
    Series(
        "forecast_tasks_per_hour",
        "Pace that a queue's forecast goes by.",
        unit="tasks per hour",
        field="tasks_per_hour",
    ),
    Meaning(
        "[Forecast](forecast.md): first due time that will be missed, as a range where few tasks are done in an hour, and "
        "how many tasks.",
        shown_as="time until missed, will be late",
    ),
)
OPEN = sla.explain(49, "open")
