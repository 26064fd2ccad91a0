"""Every number a row derives from its counts, by hand, from events to the row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from streams.core.policy import HOUR_MS, MINUTE_MS, CorePolicy
from streams.core.time_text import rfc3339
from tests.core.harness import CoreRun, tick

START_MS = int(datetime(2026, 11, 23, 10, tzinfo=UTC).timestamp() * 1000)


def event(kind: str, task: str, at_ms: int, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{kind}-{task}-{at_ms}-{data.get('labeler_id')}",
        "source": "test",
        "type": f"floorwatch.{kind}.v1",
        "subject": task,
        "time": rfc3339(at_ms),
        "data": data,
    }


def label(task: str, minute: int, handle_min: int | None, value: str = "hate", **more: Any) -> dict[str, Any]:
    at_ms = START_MS + minute * MINUTE_MS
    began = {} if handle_min is None else {"started_at": rfc3339(at_ms - handle_min * MINUTE_MS)}
    who = {"label_id": f"l-{task}-{minute}", "labeler_id": f"w{minute % 2}", "values": [value]}
    return event("label.submitted", task, at_ms, **who, **began, **more)


def audit(task: str, verdict: str, probability: float | None, truth: str, **more: Any) -> dict[str, Any]:
    sampling = {} if probability is None else {"sampling": {"probability": probability}}
    found = {"audit_id": f"a-{task}", "verdict": verdict, "values": [truth], **sampling, **more}
    return event("audit.completed", task, START_MS + 40 * MINUTE_MS, **found)


def created(task: str, due_min: int) -> dict[str, Any]:
    return event("task.created", task, START_MS - 30 * MINUTE_MS, due_at=rfc3339(START_MS + due_min * MINUTE_MS))


EVENTS = [
    *(created("t1", 10), created("t2", 10), created("t3", 10), created("t4", 10), created("t5", 10), created("t6", 50)),
    label("t1", 2, 4),  # in time
    label("t2", 4, 8),
    label("t3", 6, 6, "safe"),
    label("t4", 20, 2),  # late; t5 stays open
    label("t6", 22, None),  # not audited
    audit("t1", "correct", 0.5, "hate"),
    audit("t2", "incorrect", 0.05, "safe", error_class="false_positive", severity="critical"),
    audit("t3", "incorrect", 0.25, "spam", error_class="technical"),
    audit("t4", "correct", None, "hate"),
    event("appeal.opened", "t2", START_MS + 41 * MINUTE_MS, appeal_id="p2", against="audit", audit_id="a-t2"),
    event("appeal.decided", "t2", START_MS + 42 * MINUTE_MS, appeal_id="p2", outcome="upheld", against="audit",
          audit_id="a-t2"),
    tick(START_MS + 45 * MINUTE_MS),
]  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> dict[str, dict[str, Any]]:
    run = CoreRun(1, CorePolicy(scopes=((),)))
    run.send(EVENTS)
    run.flush(0)
    return {table: found["all", "1h"] for table, found in run.windows().items()}


def expect(row: dict[str, Any], **numbers: Any) -> None:
    assert {name: row[name] for name in numbers} == {
        name: pytest.approx(value) if isinstance(value, float) else value for name, value in numbers.items()
    }


def test_accuracy(rows: dict[str, dict[str, Any]]) -> None:
    row = rows["accuracy"]
    expect(
        row,
        labels=5,
        audited=4,
        correct=2,
        targeted=0,
        assumed=1,
        assumed_correct=1,
        critical_errors=1,
        appeals_decided=1,
        appeals_overturned=0,
    )
    # Weights 2, 20 and 4 of the sampled audits; one of weight 2 is right, that of weight 4 is the tool's fault.
    expect(row, weight_sum=26.0, weight_correct=2.0, weight_technical=4.0, weighted_accuracy_ratio=2 / 26)
    expect(row, weight_critical=20.0, assumed_critical=0, **{"sample_critical.16": 1})
    # 20 of 26 and the assumed one, technical errors among them.
    expect(row, critical_error_estimate_ratio=20 / 27)
    assert row["critical_error_low_ratio"] < 20 / 27 < row["critical_error_high_ratio"] < 1
    expect(row, raw_accuracy_ratio=2 / 4, coverage_ratio=4 / 5, critical_error_ratio=1 / 4, overturn_ratio=0.0)
    # Without the technical one: 2 and 20, and one assumed to be random. That counts once: the others stand for all labels.
    expect(row, accuracy_estimate_ratio=(2 + 1) / (22 + 1))
    low, high = row["accuracy_low_ratio"], row["accuracy_high_ratio"]
    assert 0 < low < 3 / 23 < high < 1
    expect(row, wilson_low_ratio=low, wilson_high_ratio=high)


def test_precision_and_recall(rows: dict[str, dict[str, Any]]) -> None:
    # Given hate: t1, t2, t4, of which t2 was safe. Right hate: t1, t4, both found. t3 was called safe and is spam.
    values = rows["accuracy"]["values"]
    # By weight: t1 is worth 2, t4 is assumed to be random and worth 1, t2 20. No miss was seen, so recall has a lower end only.
    expect(values["hate"], tp=2, fp=1, fn=0, unsaid=0, precision_ratio=3 / 23, recall_ratio=None)
    assert 0 < values["hate"]["recall_low_ratio"] < 0.2
    assert values["hate"]["recall_high_ratio"] == 1
    expect(values["safe"], tp=0, fp=1, fn=1, unsaid=0, precision_ratio=0.0, recall_ratio=0.0, recall_low_ratio=0.0)
    # Of the labels not given spam one was spam; nothing that was given spam was audited.
    expect(values["spam"], tp=0, fp=0, fn=1, precision_ratio=None, recall_ratio=0.0)


def test_throughput(rows: dict[str, dict[str, Any]]) -> None:
    row = rows["throughput"]
    handled_ms = (4 + 8 + 6 + 2) * MINUTE_MS
    expect(row, labels=5, handled=4, handle_ms_sum=handled_ms, handle_ms_mean=handled_ms / 4, active_labelers=1)
    expect(row, labels_per_productive_hour=4 / (handled_ms / HOUR_MS))
    covered_ms = START_MS + 45 * MINUTE_MS - start_ms(row)
    expect(row, labels_per_hour=5 / (covered_ms / HOUR_MS))
    assert row["handle_ms_p50"] == pytest.approx(4 * MINUTE_MS, rel=0.01)
    assert row["handle_ms_p90"] == pytest.approx(8 * MINUTE_MS, rel=0.01)


def start_ms(row: dict[str, Any]) -> int:
    return round(datetime.fromisoformat(row["start"]).timestamp() * 1000)


def test_sla(rows: dict[str, dict[str, Any]]) -> None:
    row = rows["sla"]
    # t6 is due at 10:50, within the pane of the watermark's minute or not: the window ends at 10:46.
    expect(row, due=5, met=3, late=1, overdue_open=1, missed=2, open_due=0, completed=5, backlog=1)
    expect(row, attainment_ratio=3 / 5, oldest_open_age_ms=75 * MINUTE_MS)
    turned_ms = (32 + 34 + 36 + 50 + 52) * MINUTE_MS
    expect(row, turnaround_ms_sum=turned_ms)
    assert row["turnaround_ms_p50"] == pytest.approx(36 * MINUTE_MS, rel=0.01)
    assert row["turnaround_ms_p99"] == pytest.approx(52 * MINUTE_MS, rel=0.01)
