"""The history of a task: each record in log order, what became of it, and what the task counts for now."""

from __future__ import annotations

import asyncio
import json

import pytest

from floorwatch.replay.history import history_of
from floorwatch.replay.partition_replay import PartitionReplay, RecordOutcome
from streams.core.counters import Counters, add_counters
from streams.core.floor import Floor
from streams.core.policy import HOUR_MS, CorePolicy
from streams.core.records import Record
from tests.core.floorgen import small_log
from tests.oracle.case_events import START_MS, audit, created, event, label
from tests.replay.memory import MemoryLog, floor_log, log_of
from tests.support import seeds

POLICY = CorePolicy()


def history(events: list[dict], task: str = "t-1", policy: CorePolicy = POLICY):
    log = log_of((START_MS + 86_400_000 + n, json.dumps(one).encode()) for n, one in enumerate(events))
    return asyncio.run(history_of(log, policy, task, 1))


def test_every_record_is_told_with_what_became_of_it() -> None:
    first = label("l-1", 5, by="ana", id="e1", values=["hate"], started_at="2026-11-23T10:04:00Z")
    events = [
        created(0, due_at="2026-11-23T12:00:00Z", queue="hate", vendor="bpo-a"),
        first,
        first,
        {**first, "data": {**first["data"], "values": ["safe"]}},
        label("x", 6, task="other"),
        audit("a-1", 20, "l-1", "incorrect", p=0.25, error_class="false_positive"),
        event(
            "appeal.decided", 30, {"appeal_id": "p-1", "against": "audit", "audit_id": "a-1", "outcome": "overturned"}
        ),
    ]
    found = history(events)
    assert [(line.offset, line.outcome.name) for line in found.lines] == [
        (0, "counted"),
        (1, "counted"),
        (2, "duplicate"),
        (3, "conflict"),
        (5, "counted"),
        (6, "counted"),
    ]
    said = [line.says for line in found.lines]
    assert said[1] == "label l-1: hate, took 60 s, labeler=ana"
    assert said[4] == "audit a-1 of label l-1: incorrect (false_positive), sampled 1 in 4"
    assert said[5] == "appeal p-1 against audit a-1: overturned"
    by_group = {one.group: one for one in found.contributions}
    judged = by_group["audit:l-1"]
    assert judged.counters["correct"] == 1
    assert judged.counters["appeals_overturned"] == 1
    assert "vendor=bpo-a,queue=hate" in judged.scopes
    assert judged.panes == {"1m": START_MS + 300_000, "15m": START_MS, "1h": START_MS}
    assert by_group["due"].counters == {"due": 1, "met": 1}
    assert found.lines[1].as_json()["time"] == "2026-11-23T10:05:00Z"


def test_what_is_beyond_the_horizon_is_late_and_a_task_let_go_of_is_told() -> None:
    policy = CorePolicy(horizon_ms=2 * HOUR_MS)
    events = [
        label("l-1", 5),
        label("l-2", 400, task="t-2"),
        label("l-3", 6),
        label("l-4", 401),
    ]
    found = history(events, policy=policy)
    assert [line.outcome.name for line in found.lines] == ["counted", "late", "counted"]
    assert [line.forgotten for line in found.lines] == [True, False, False]
    assert "let go of" in found.lines[0].status
    assert {one.group for one in found.contributions} == {"label:l-4", "turn"}


def test_a_task_nobody_spoke_of_has_no_lines() -> None:
    found = history([label("l-1", 5)], task="nobody")
    assert (found.lines, found.contributions) == ([], [])


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(3, 6))
def test_outcomes_are_the_ledgers_own_counts(seed: int) -> None:
    """Folding record by record with a witness counts and sums exactly what folding in one batch does."""
    records = small_log(seed)
    policy = CorePolicy(horizon_ms=10 * HOUR_MS)
    seen: list = []
    floors = [Floor(policy), Floor(policy)]
    told, plain = PartitionReplay(0, policy, floors[0], seen.append), PartitionReplay(0, policy, floors[1])
    for partition_replay, floor in zip((told, plain), floors, strict=True):
        finish(partition_replay, floor, records)
    fold_counts = plain._store.ledger.fold_counts
    counts = {outcome: sum(one.outcome is outcome for one in seen) for outcome in RecordOutcome}
    assert counts[RecordOutcome.duplicate] == fold_counts.duplicates
    assert counts[RecordOutcome.conflict] == fold_counts.conflicts
    assert counts[RecordOutcome.late] == fold_counts.late
    assert counts[RecordOutcome.tick] == fold_counts.ticks
    assert counts[RecordOutcome.refused] == fold_counts.rejected
    assert counts[RecordOutcome.duplicate] > 0
    assert _rows(floors[0]) == _rows(floors[1])


def finish(partition_replay: PartitionReplay, floor: Floor, records: list[Record]) -> None:
    partition_replay.feed(records)
    partition_replay.flush()
    assert partition_replay.told_time is not None
    floor.apply([partition_replay.told_time])


def _rows(floor: Floor) -> dict:
    return {(row.state.key, row.start_ms): row.counters for row in floor.all_panes()}


def test_what_no_event_is_refused() -> None:
    seen: list = []
    PartitionReplay(0, POLICY, None, seen.append).feed([Record(0, 0, None, b"{oops"), Record(1, 0, None, None)])
    assert [one.outcome for one in seen] == [RecordOutcome.refused, RecordOutcome.refused]


@pytest.mark.slow
def test_the_contributions_of_all_tasks_are_the_floor() -> None:
    """Sampled tasks' histories sum, with all others', to the rows: here over a whole small floor."""
    log = floor_log(3, partitions=1, days=0.2)
    tasks: dict[str, list[Record]] = {}
    for record in log.parts[0]:
        if record.value is not None:
            tasks.setdefault(json.loads(record.value)["subject"], []).append(record)
    total: Counters = {}
    for task, records in sorted(tasks.items()):
        for one in asyncio.run(history_of(MemoryLog([records]), POLICY, task, 1)).contributions:
            if one.group.startswith("label:"):
                add_counters(total, {"labels": one.counters["labels"]})
    floor = Floor(POLICY)
    finish(PartitionReplay(0, POLICY, floor), floor, log.parts[0])
    assert total["labels"] == sum(row.counters.get(1, 0) for row in floor.all_panes() if row.state.key == "all")


@pytest.mark.parametrize("seed", range(4))
def test_without_rows_records_fare_the_same_and_time_is_the_same(seed: int) -> None:
    records = small_log(seed)
    policy = CorePolicy(horizon_ms=10 * HOUR_MS)
    seen: tuple[list, list] = ([], [])
    floors = [Floor(policy), Floor(policy)]
    for floor, into, rows in zip(floors, seen, (True, False), strict=True):
        finish(PartitionReplay(0, policy, floor, into.append, rows=rows), floor, records)
    assert [(one.outcome, one.anew, one.fact) for one in seen[0]] == [(o.outcome, o.anew, o.fact) for o in seen[1]]
    assert floors[0].watermark_ms == floors[1].watermark_ms > 0
    assert floors[0].scopes
    assert not floors[1].scopes


def test_what_a_sender_may_not_say_is_told_as_such() -> None:
    bound = {"floorwatchgrant": "a?vendor=bpo-a"}
    events = [
        {**event("label.withdrawn", 5, {"label_id": "l-2"}), **bound},
        {**event("label.withdrawn", 6, {"label_id": "l-1"}), **bound},
        label("l-1", 7, vendor="bpo-b"),
    ]
    found = history(events)
    assert [line.outcome.name for line in found.lines] == ["counted"] * 3
    assert [line.status for line in found.lines] == [
        "waits: what it is about is not there yet, and its sender may not speak of everything",
        (
            "not permitted: a is bound to vendor bpo-a, and label 'l-1' has vendor 'bpo-b': send it with the token of whom it "
            "belongs to, or widen the grant; counts for nothing"
        ),
        "counted",
    ]
    assert "label:l-1" in {one.group for one in found.contributions}
