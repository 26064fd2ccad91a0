"""Identity, label versions, withdrawals, attribution of labels to time and scope."""

from __future__ import annotations

from tests.oracle.case_events import (
    ACC,
    SLA,
    THR,
    Case,
    audit,
    created,
    drawn,
    event,
    label,
    labels_by,
    one_label,
    unlabel,
)

_AUDITED_RIGHT = {"audited": 1, "correct": 1, "assumed": 1, "assumed_correct": 1}

LABEL_CASES = [
    Case(
        "one_label",
        "A label without a preceding task.created is accepted.",
        [label("l-1", 5)],
        one_label(),
    ),
    Case(
        "exact_duplicate",
        "Same (source, id) and same content: a duplicate, ignored and counted.",
        [label("l-1", 5, id="e-x"), label("l-1", 5, id="e-x")],
        one_label(),
        duplicates=1,
    ),
    Case(
        "duplicate_in_another_spelling",
        "Unknown optional fields are ignored; content is equal when the decoded contract fields are: times as instants, "
        "defaults as their value.",
        [
            created(0, id="e-x", due_at="2026-11-23T10:30:00Z"),
            {**created(0, id="e-x", due_at="2026-11-23T18:30:00.000+08:00", required_labels=1), "traceparent": "00-1"},
            created(0, id="e-x", due_at="2026-11-23T10:30:00Z", shoe_size=43),
        ],
        {SLA: {"due": 1, "open_due": 1}},
        duplicates=2,
    ),
    Case(
        "conflicting_duplicate",
        "Same (source, id), other content: dead letter, the first one stands (and its time does not count).",
        [label("l-1", 5, id="e-x"), label("l-2", 90, id="e-x")],
        one_label(),
        conflicts=1,
    ),
    Case(
        "duplicate_of_the_first_after_a_conflict",
        "The first one stands: what is equal to it is still a duplicate, what is equal to the refused one conflicts.",
        [label("l-1", 5, id="e-x"), label("l-2", 6, id="e-x"), label("l-1", 5, id="e-x"), label("l-2", 6, id="e-x")],
        one_label(),
        duplicates=1,
        conflicts=2,
    ),
    Case(
        "same_id_on_another_task",
        "Identity is judged within one task: the same (source, id) under another subject is another event.",
        [label("l-1", 5, id="e-x"), label("l-1", 5, id="e-x", task="t-2")],
        labels_by(2, 1, tasks=2),
    ),
    Case(
        "new_version_replaces_wholly",
        "label.submitted with a known label_id is a new version: the later in log order replaces the earlier wholly.",
        [
            label("l-1", 5, by="ana", vendor="bpo-a", started_at="2026-11-23T10:04:00Z"),
            label("l-1", 8, by="ben"),
        ],
        {
            **one_label(),
            ("throughput", "vendor=bpo-a", 0): {},
            ("throughput", "labeler=ana", 0): {},
            ("throughput", "labeler=ben", 0): {"labels": 1, "active_labelers": 1},
        },
    ),
    Case(
        "version_order_is_log_order",
        "The later in log order replaces the earlier, whatever the times say.",
        [label("l-1", 65), label("l-1", 5)],
        one_label(),
    ),
    Case(
        "resent_old_version_after_new",
        "A duplicate of the first version is ignored: it does not replace the second.",
        [label("l-1", 5, by="ana", id="e-x"), label("l-1", 8, by="ben"), label("l-1", 5, by="ana", id="e-x")],
        {**one_label(), ("throughput", "labeler=ben", 0): {"labels": 1, "active_labelers": 1}},
        duplicates=1,
    ),
    Case(
        "new_version_keeps_audits",
        "An audit is of the label, not of its version: the new version is judged by it, in its own pane.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "correct"), label("l-1", 65)],
        {
            ("accuracy", "all", 1): {"labels": 1, **_AUDITED_RIGHT},
            ("throughput", "all", 1): {"labels": 1, "active_labelers": 1},
            ("sla", "all", 1): {"completed": 1, "no_sla": 1},
        },
    ),
    Case(
        "withdrawn_label_takes_audits",
        "A withdrawn label takes its audits with it.",
        [label("l-1", 5), audit("a-1", 7, "l-1", "correct"), unlabel("l-1", 9)],
        {},
    ),
    Case(
        "withdrawal_before_label",
        "A withdrawal that arrives before its label waits.",
        [unlabel("l-1", 9), label("l-1", 5)],
        {},
    ),
    Case(
        "withdrawal_is_final",
        "A withdrawal is final for that label_id: a new version does not bring it back.",
        [label("l-1", 5), unlabel("l-1", 9), label("l-1", 12)],
        {},
    ),
    Case(
        "withdrawal_is_of_one_label",
        "A task may have several labels; the withdrawal is of that label_id alone.",
        [label("l-1", 5), label("l-2", 6, by="ben"), unlabel("l-1", 9)],
        {**one_label(), ("throughput", "labeler=ana", 0): {}},
    ),
    Case(
        "withdrawal_is_within_the_task",
        "A label_id means something within its task only.",
        [label("l-1", 5), unlabel("l-1", 9, task="t-2")],
        one_label(),
    ),
    Case(
        "overlap_counts_each",
        "A task may have several labels (overlap); each counts in throughput and may be audited.",
        [
            label("l-1", 5),
            label("l-2", 6, by="ben"),
            audit("a-1", 7, "l-1", "correct"),
            audit("a-2", 8, "l-2", "incorrect"),
        ],
        labels_by(
            2,
            2,
            audited=2,
            correct=1,
            assumed=2,
            assumed_correct=1,
            **{"wrong.unspecified": 1, "severity.unspecified": 1},
        ),
    ),
    Case(
        "overlap_decided_alike",
        "Several people's labels of a task with values are compared: a decision is a set of values.",
        [label("l-1", 5, values=["hate", "spam"]), label("l-2", 6, by="ben", values=["spam", "hate"])],
        labels_by(2, 2, overlapped=1, unanimous=1),
    ),
    Case(
        "overlap_decided_differently",
        "People who decided differently are overlapped and not unanimous; a label without values does not take part.",
        [label("l-1", 5, values=["hate"]), label("l-2", 6, by="ben", values=["spam"]), label("l-3", 7, by="cem")],
        labels_by(3, 3, overlapped=1),
    ),
    Case(
        "handle_time",
        "Handle time = time − started_at, only where started_at was sent; milliseconds are floored; active_ms is beside.",
        [
            label("l-1", 5, started_at="2026-11-23T10:04:17.7507Z", active_ms=9),
            label("l-2", 6, task="t-2"),
        ],
        {
            ACC: {"labels": 2},
            THR: {"labels": 2, "handled": 1, "handle_ms_sum": 42_250, "active_ms_sum": 9, "active_labelers": 1},
            SLA: {"completed": 2, "no_sla": 2},
        },
    ),
    Case(
        "handle_time_zero",
        "A label started at its own time was handled in 0 ms, which is a handle time.",
        [label("l-1", 5, started_at="2026-11-23T10:05:00Z")],
        {**one_label(), THR: {"labels": 1, "handled": 1, "handle_ms_sum": 0, "active_labelers": 1}},
    ),
    Case(
        "started_after_time",
        "A label that starts after its own time is refused, and its time does not move the watermark.",
        [
            label("l-1", 5),
            label("l-2", 30, started_at="2026-11-23T10:31:00Z"),
            created(0, due_at="2026-11-23T10:20:00Z"),
        ],
        {
            ACC: {"labels": 1},
            THR: {"labels": 1, "active_labelers": 1},
            SLA: {"due": 1, "met": 1, "completed": 1, "turnaround_ms_sum": 300_000},
        },
        refused=1,
    ),
    Case(
        "attributed_to_label_time",
        "Accuracy and throughput are attributed to the label's time, not to the audit's; a pane starts on its boundary.",
        [
            label("l-1", 59.999),
            label("l-2", 60, task="t-2"),
            audit("a-1", 200, "l-1", "correct", p=0.5),
        ],
        {
            **one_label(audited=1, correct=1, **drawn(2.0)),
            ("accuracy", "all", 1): {"labels": 1},
            ("throughput", "all", 1): {"labels": 1, "active_labelers": 1},
            ("sla", "all", 1): {"completed": 1, "no_sla": 1},
        },
    ),
    Case(
        "active_labelers_are_distinct",
        "Active labellers are distinct people of the pane.",
        [label("l-1", 5), label("l-2", 6, task="t-2"), label("l-3", 7, by="ben", task="t-3")],
        {**labels_by(3, 2, tasks=3), ("throughput", "labeler=ana", 0): {"labels": 2, "active_labelers": 1}},
    ),
    Case(
        "dimensions_fall_back_one_by_one",
        "Each of the label's own dimensions, falling back per dimension to the task.created's.",
        [
            created(0, queue="q-task", policy="P1", site="KUL", due_at="2026-11-23T10:30:00Z"),
            label("l-1", 5, queue="q-label", vendor="bpo-a"),
        ],
        {
            ACC: {"labels": 1},
            THR: {"labels": 1, "active_labelers": 1},
            SLA: {"due": 1, "met": 1, "completed": 1, "turnaround_ms_sum": 300_000},
            ("throughput", "queue=q-task", 0): {},
            ("throughput", "queue=q-label", 0): {"labels": 1, "active_labelers": 1},
            ("throughput", "queue=q-label,policy=P1", 0): {"labels": 1, "active_labelers": 1},
            ("throughput", "vendor=bpo-a,queue=q-label", 0): {"labels": 1, "active_labelers": 1},
            ("throughput", "site=KUL", 0): {"labels": 1, "active_labelers": 1},
            ("sla", "queue=q-task", 0): {"due": 1, "met": 1, "completed": 1, "turnaround_ms_sum": 300_000},
            ("sla", "queue=q-label", 0): {},
            ("sla", "vendor=bpo-a", 0): {"due": 1, "met": 1, "completed": 1, "turnaround_ms_sum": 300_000},
            ("sla", "vendor=bpo-a,queue=q-task", 0): {"due": 1, "met": 1, "completed": 1, "turnaround_ms_sum": 300_000},
        },
    ),
    Case(
        "dimensions_from_a_later_task_created",
        "The task.created may come after its labels; the latest in log order counts, wholly.",
        [
            label("l-1", 5),
            created(0, queue="q-old", policy="P1", due_at="2026-11-23T10:30:00Z"),
            created(1, queue="q-new", due_at="2026-11-23T10:03:00Z"),
        ],
        {
            ACC: {"labels": 1},
            THR: {"labels": 1, "active_labelers": 1},
            SLA: {"due": 1, "missed": 1, "late": 1, "completed": 1, "turnaround_ms_sum": 240_000},
            ("throughput", "queue=q-old", 0): {},
            ("throughput", "policy=P1", 0): {},
            ("throughput", "queue=q-new", 0): {"labels": 1, "active_labelers": 1},
        },
    ),
    Case(
        "only_known_dimensions",
        "An event is in a scope only if all the scope's dimensions are known for it.",
        [label("l-1", 5, vendor="bpo-a")],
        {
            **one_label(),
            ("throughput", "vendor=bpo-a", 0): {"labels": 1, "active_labelers": 1},
            ("throughput", "labeler=ana", 0): {"labels": 1, "active_labelers": 1},
        },
    ),
    Case(
        "claims_and_shifts_count_nothing",
        "Claims, breaks and rosters add no measure (but their times move the watermark).",
        [
            event("task.claimed", 3, {"labeler_id": "ana"}),
            event("break.started", 4, {"labeler_id": "ana"}, task="floor/KUL"),
            event(
                "shift.scheduled",
                5,
                {"shift_id": "s-1", "from": "2026-11-23T10:00:00Z", "to": "2026-11-23T18:00:00Z"},
                task="roster/KUL",
            ),
        ],
        {},
        windows={("throughput", "all", "1h"): {"labels": 0}},
    ),
]
