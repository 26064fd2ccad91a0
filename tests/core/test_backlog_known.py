"""A backlog is a number where open tasks can be counted, and unknown where a task says only later whose it is."""

from __future__ import annotations

import json
from typing import Any

from floorwatch.cli.table_text import COLUMNS
from telemetry.exporter import ExportPolicy, FloorCollector
from telemetry.registry import build_registry
from tests.fuzz.renderers import World


def event(kind: str, task: str, minute: int, **data: Any) -> bytes:
    head = {
        "specversion": "1.0",
        "source": "t",
        "id": f"{kind}{task}",
        "type": f"floorwatch.{kind}.v1",
        "subject": task,
    }
    return json.dumps({**head, "time": f"2026-11-30T08:{minute:02}:00Z", "data": data}).encode()


def rows_of(tmp_path: Any, *events: bytes) -> dict[str, dict[str, Any]]:
    return World(list(events), tmp_path).rows["sla", "1h"]


LABEL = {"label_id": "l", "labeler_id": "ann", "vendor": "bpo-a", "queue": "hate"}


def test_of_a_vendor_nothing_is_known_before_a_label(tmp_path: Any) -> None:
    rows = rows_of(
        tmp_path,
        event("task.created", "a", 0, queue="hate"),
        event("task.created", "b", 1, queue="hate"),
        event("label.submitted", "a", 2, **LABEL),
    )
    assert rows["queue=hate"]["backlog"] == rows["all"]["backlog"] == 1
    assert rows["vendor=bpo-a"]["backlog"] is None
    assert rows["labeler=ann"]["backlog"] is None
    shown = {name: read(rows["vendor=bpo-a"]) for name, read in COLUMNS["sla"]}
    assert (shown["backlog"], shown["oldest open"]) == ("n/a", "n/a")
    policy = ExportPolicy({"1h": frozenset({frozenset({"queue"}), frozenset({"vendor"})})})
    registry = build_registry(FloorCollector(lambda: list(rows.values()), policy=policy))
    (family,) = [one for one in registry.collect() if one.name == "floorwatch_backlog_tasks"]
    assert [(sample.labels["scope"], sample.value) for sample in family.samples] == [("queue=hate", 1)]


def test_a_task_that_names_its_vendor_counts(tmp_path: Any) -> None:
    rows = rows_of(tmp_path, event("task.created", "a", 0, queue="hate", vendor="bpo-a"))
    assert rows["vendor=bpo-a"]["backlog"] == 1


def test_an_empty_queue_is_empty(tmp_path: Any) -> None:
    rows = rows_of(tmp_path, event("task.created", "a", 0, queue="hate"), event("label.submitted", "a", 2, **LABEL))
    assert rows["queue=hate"]["backlog"] == rows["all"]["backlog"] == 0
