"""SLA: creation and due time, completion, met and missed, cancellation, tasks without an SLA, windows."""

from __future__ import annotations

from tests.oracle.case_events import ACC, SLA, THR, Case, at, cancelled, created, event, label, one_label, unlabel

_ONE = {ACC: {"labels": 1}, THR: {"labels": 1, "active_labelers": 1}}
_TWO = {ACC: {"labels": 2}, THR: {"labels": 2, "active_labelers": 1}}
_MET_AT_5 = {"due": 1, "met": 1, "completed": 1, "turnaround_ms_sum": 300_000}

SLA_CASES = [
    Case(
        "met_on_the_dot",
        "Met: completed ≤ due_at.",
        [created(0, due_at=at(5)), label("l-1", 5)],
        {**_ONE, SLA: _MET_AT_5},
    ),
    Case(
        "missed_by_a_millisecond",
        "Missed: completed later than due_at.",
        [created(0, due_at="2026-11-23T10:04:59.999Z"), label("l-1", 5)],
        {**_ONE, SLA: {"due": 1, "missed": 1, "late": 1, "completed": 1, "turnaround_ms_sum": 300_000}},
    ),
    Case(
        "open_at_the_watermark",
        "Missed: open past due_at as of the watermark (due_at ≤ watermark); the watermark is the greatest event time.",
        [created(0, due_at=at(30)), event("task.claimed", 30, {"labeler_id": "ana"})],
        {SLA: {"due": 1, "missed": 1, "overdue_open": 1}},
        windows={("sla", "all", "1h"): {"due": 1, "missed": 1, "backlog": 1}},
    ),
    Case(
        "open_before_the_watermark",
        "An open task that is not due yet is due in its pane, neither met nor missed; the window ends before that pane.",
        [created(0, due_at=at(30)), event("task.claimed", 29.999, {"labeler_id": "ana"})],
        {SLA: {"due": 1, "open_due": 1}},
        windows={("sla", "all", "1h"): {"due": 0, "missed": 0, "backlog": 1}},
    ),
    Case(
        "attributed_to_due_time",
        "SLA is attributed to due time, turn-around to completion time, also when due lies in the future.",
        [created(0, due_at=at(200)), label("l-1", 65)],
        {
            ("accuracy", "all", 1): {"labels": 1},
            ("throughput", "all", 1): {"labels": 1, "active_labelers": 1},
            ("sla", "all", 1): {"completed": 1, "turnaround_ms_sum": 3_900_000},
            ("sla", "all", 3): {"due": 1, "met": 1},
        },
    ),
    Case(
        "complete_at_the_required_label",
        "A task is complete at its required_labels-th standing label, counted by time.",
        [
            created(0, required_labels=2, due_at=at(10)),
            label("l-1", 12),
            label("l-2", 5),
            label("l-3", 8),
        ],
        {
            ACC: {"labels": 3},
            THR: {"labels": 3, "active_labelers": 1},
            SLA: {"due": 1, "met": 1, "completed": 1, "turnaround_ms_sum": 480_000},
        },
    ),
    Case(
        "not_enough_labels",
        "One of two required labels leaves the task open.",
        [created(0, required_labels=2, due_at=at(4)), label("l-1", 3), label("l-2", 5, task="t-2")],
        {
            **_TWO,
            SLA: {"due": 1, "missed": 1, "overdue_open": 1, "completed": 1, "no_sla": 1},
        },
    ),
    Case(
        "withdrawal_reopens",
        "Standing labels count: a withdrawal makes the task open again.",
        [created(0, due_at=at(6)), label("l-1", 5), unlabel("l-1", 9)],
        {SLA: {"due": 1, "missed": 1, "overdue_open": 1}},
    ),
    Case(
        "next_label_completes",
        "After a withdrawal the next standing label completes the task.",
        [created(0, due_at=at(6)), label("l-1", 5), label("l-2", 7), unlabel("l-1", 9)],
        {**_ONE, SLA: {"due": 1, "missed": 1, "late": 1, "completed": 1, "turnaround_ms_sum": 420_000}},
    ),
    Case(
        "completing_label_gives_the_dimensions",
        "Site, vendor, team and labeller come from the completing label; at equal times log order decides.",
        [
            created(0, queue="q-1", required_labels=2, due_at=at(10)),
            label("l-1", 5, by="ana", vendor="bpo-a", site="KUL"),
            label("l-2", 5, by="ben", vendor="bpo-b", site="MNL"),
        ],
        {
            ACC: {"labels": 2, "overlap_incomparable": 1},
            THR: {"labels": 2, "active_labelers": 2},
            SLA: _MET_AT_5,
            ("sla", "queue=q-1", 0): _MET_AT_5,
            ("sla", "vendor=bpo-a", 0): {},
            ("sla", "vendor=bpo-b", 0): _MET_AT_5,
            ("sla", "site=MNL", 0): _MET_AT_5,
            ("sla", "labeler=ben", 0): _MET_AT_5,
            ("sla", "labeler=ana", 0): {},
        },
    ),
    Case(
        "new_version_takes_the_later_place",
        "At equal times the label whose latest version stands later in the log is the later one.",
        [
            created(0, required_labels=2, due_at=at(10)),
            label("l-1", 4, by="ana"),
            label("l-2", 5, by="ben"),
            label("l-1", 5, by="ana"),
        ],
        {
            ACC: {"labels": 2, "overlap_incomparable": 1},
            THR: {"labels": 2, "active_labelers": 2},
            SLA: _MET_AT_5,
            ("sla", "labeler=ana", 0): _MET_AT_5,
            ("sla", "labeler=ben", 0): {},
        },
    ),
    Case(
        "creation_outranks_the_label_for_sla_dimensions",
        "The task's own dimensions count for the SLA where the creation sent them, the completing label's otherwise.",
        [
            created(0, queue="q-task", vendor="bpo-a", due_at=at(10)),
            label("l-1", 5, queue="q-label", vendor="bpo-b", market="ms-MY"),
        ],
        {
            **_ONE,
            SLA: _MET_AT_5,
            ("sla", "queue=q-task", 0): _MET_AT_5,
            ("sla", "queue=q-label", 0): {},
            ("sla", "vendor=bpo-a", 0): _MET_AT_5,
            ("sla", "vendor=bpo-b", 0): {},
            ("sla", "market=ms-MY", 0): _MET_AT_5,
        },
    ),
    Case(
        "open_tasks_lack_the_labels_dimensions",
        "Open tasks have no completing label: they are only in the scopes of what their creation said, although one of "
        "two labels stands.",
        [
            created(0, queue="q-1", required_labels=2, due_at=at(10)),
            label("l-1", 5, vendor="bpo-a"),
            event("task.claimed", 20, {"labeler_id": "ben"}),
        ],
        {
            **_ONE,
            SLA: {"due": 1, "missed": 1, "overdue_open": 1},
            ("sla", "queue=q-1", 0): {"due": 1, "missed": 1, "overdue_open": 1},
            ("sla", "vendor=bpo-a", 0): {},
        },
    ),
    Case(
        "cancelled_open",
        "Cancelled tasks leave the SLA: counted as cancelled at their due time, not as due.",
        [created(0, due_at=at(65)), cancelled(3)],
        {("sla", "all", 1): {"cancelled": 1}},
        windows={("sla", "all", "24h"): {"backlog": 0}},
    ),
    Case(
        "cancelled_after_completion",
        "Cancelled tasks leave the SLA wholly, also when they had been completed (the label's work still counts).",
        [created(0, due_at=at(6)), label("l-1", 5), cancelled(7)],
        {**_ONE, SLA: {"cancelled": 1}},
    ),
    Case(
        "cancelled_before_creation",
        "Any task.cancelled cancels, also one that stands before its task.created.",
        [cancelled(3), created(0, due_at=at(6))],
        {SLA: {"cancelled": 1}},
    ),
    Case(
        "latest_task_created",
        "The latest task.created in log order gives creation and due time.",
        [created(0, due_at=at(6)), label("l-1", 7), created(2, due_at=at(10))],
        {**_ONE, SLA: {"due": 1, "met": 1, "completed": 1, "turnaround_ms_sum": 300_000}},
    ),
    Case(
        "no_due_time",
        "Tasks whose due time nobody sent are counted as no SLA, once complete; their turn-around is known.",
        [created(0), label("l-1", 5), created(0, task="t-2")],
        {**_ONE, SLA: {"no_sla": 1, "completed": 1, "turnaround_ms_sum": 300_000}},
        windows={("sla", "all", "1h"): {"backlog": 1}},
    ),
    Case(
        "no_creation_time",
        "Tasks whose creation time nobody sent are counted as no SLA, although a label carried a due time.",
        [label("l-1", 5, due_at=at(10))],
        one_label(),
    ),
    Case(
        "label_carries_both_times",
        "A label may carry created_at and due_at.",
        [label("l-1", 5, created_at=at(0), due_at=at(4))],
        {**_ONE, SLA: {"due": 1, "missed": 1, "late": 1, "completed": 1, "turnaround_ms_sum": 300_000}},
    ),
    Case(
        "task_created_outranks_the_label",
        "What task.created says about times counts before what a label carries.",
        [created(0, due_at=at(10)), label("l-1", 5, created_at=at(-30), due_at=at(1))],
        {**_ONE, SLA: _MET_AT_5},
    ),
    Case(
        "latest_standing_label_carries",
        "Times come from the latest standing label version (log order) carrying them.",
        [
            label("l-1", 5, created_at=at(0), due_at=at(1)),
            label("l-2", 6, created_at=at(0), due_at=at(5)),
            label("l-3", 7),
            label("l-4", 8, created_at=at(0), due_at=at(2)),
            unlabel("l-4", 9),
        ],
        {
            ACC: {"labels": 3},
            THR: {"labels": 3, "active_labelers": 1},
            SLA: _MET_AT_5,
        },
    ),
    Case(
        "due_from_the_label_creation_from_the_task",
        "Nobody sent it means nobody: a due time carried by a label serves a task.created that had none.",
        [created(0), label("l-1", 5, due_at=at(10))],
        {**_ONE, SLA: _MET_AT_5},
    ),
    Case(
        "windows_end_after_the_watermark",
        "A sliding window ends at the pane boundary after the watermark and is as long as its name says.",
        [
            label("l-1", 0.5),
            label("l-2", 1, task="t-2"),
            label("l-3", 5.5, task="t-3", by="ben"),
            label("l-4", -420, task="t-4", by="cyd"),
        ],
        {
            ACC: {"labels": 3},
            THR: {"labels": 3, "active_labelers": 2},
            SLA: {"completed": 3, "no_sla": 3},
            ("accuracy", "all", -7): {"labels": 1},
            ("throughput", "all", -7): {"labels": 1, "active_labelers": 1},
            ("sla", "all", -7): {"completed": 1, "no_sla": 1},
        },
        windows={
            # The watermark is 10:05:30: on 1-minute panes the 5-minute window is [10:01, 10:06).
            ("throughput", "all", "5m"): {"labels": 2, "active_labelers": 2},
            ("throughput", "all", "15m"): {"labels": 3, "active_labelers": 2},
            ("throughput", "all", "1h"): {"labels": 3, "active_labelers": 2},
            # On 15-minute panes the 8-hour window is [02:15, 10:15): the label of 03:00 is in it.
            ("throughput", "all", "8h"): {"labels": 4, "active_labelers": 3},
            ("throughput", "labeler=ana", "24h"): {"labels": 2, "active_labelers": 1},
            ("accuracy", "all", "7d"): {"labels": 4},
        },
    ),
]
