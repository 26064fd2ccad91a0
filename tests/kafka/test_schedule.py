"""The schedule of faults is a pure function of its seed, and the verdict can say no."""

from __future__ import annotations

from collections import Counter

import pytest

from floorwatch.chaos import schedule as s
from floorwatch.chaos.report import outcome_text
from floorwatch.chaos.run import ChaosOutcome, ChaosPlan
from floorwatch.chaos.verdict import ChaosVerdict, Expected, keyed
from floorwatch.chaos.workload import floor_log
from floorwatch.simulate.compare import COMPARED
from floorwatch.simulate.oracle import Oracle


def test_a_seed_always_gives_the_same_schedule_and_another_one_another() -> None:
    assert s.schedule(5, 600) == s.schedule(5, 600)
    assert s.schedule(5, 600) != s.schedule(6, 600)


@pytest.mark.parametrize("seed", range(20))
def test_twenty_minutes_hold_every_kind_in_order_of_time_and_end_calm(seed: int) -> None:
    faults = s.schedule(seed, 1200)
    kinds = Counter(fault.kind for fault in faults)
    assert set(kinds) == set(s.MEANING)
    assert kinds[s.KILL] >= 4
    assert kinds[s.ZOMBIE] >= 3
    assert list(faults) == sorted(faults)
    assert all(0 < fault.at_s < 1200 for fault in faults)
    assert [fault.worker for fault in faults if fault.kind == s.SCALE] == [2, 3, 1]


@pytest.mark.slow
def test_the_load_is_the_same_for_a_seed_and_has_all_troubles() -> None:
    log = floor_log(3, 6000, 60)
    assert len(log) == 6000
    assert [sent.value for sent in log] == [sent.value for sent in floor_log(3, 6000, 60)]
    oracle = Oracle.from_events([sent.value for sent in log])
    assert oracle.duplicates > 0
    assert oracle.conflicts > 0
    kinds = Counter(sent.event["type"].removeprefix("floorwatch.") for sent in log)
    for kind in ("label.withdrawn.v1", "audit.completed.v1", "audit.withdrawn.v1", "appeal.decided.v1"):
        assert kinds[kind], kind
    times = [sent.event["time"] for sent in log]
    assert times != sorted(times)


@pytest.mark.slow
def test_one_count_that_is_off_by_one_is_a_wrong_row() -> None:
    expected = Expected(Oracle.from_events([sent.value for sent in floor_log(3, 3000, 60)]))
    rows = {table: {key: dict(row) for key, row in found.items()} for table, found in expected.panes.items()}
    right, wrong = ChaosVerdict(), ChaosVerdict()
    right.add("here", expected.panes, rows, COMPARED)
    assert right.wrong_rows == 0
    assert right.rows["here"] > 100
    key = next(key for key, row in rows["accuracy"].items() if row.get("labels"))
    rows["accuracy"][key]["labels"] += 1
    wrong.add("here", expected.panes, rows, COMPARED)
    assert wrong.wrong_rows == 1


@pytest.mark.parametrize(
    ("reason", "right"),
    [
        ("KafkaConnectionError('Unable to bootstrap from 127.0.0.1:9092')", True),
        ("ValueError('math domain error')", False),
        ("TypeError(\"int() argument must be a string, not 'NoneType'\")", False),
    ],
)
def test_a_worker_that_ends_by_a_fault_of_its_own_is_not_right(reason: str, right: bool) -> None:
    outcome = ChaosOutcome(ChaosPlan(1, 1, 1, 1, 1, ()), verdict=ChaosVerdict(), rebuilt=ChaosVerdict())
    assert outcome.right
    outcome.exits.append(f"exit code 1: E streams.worker: the worker stopped after a failure: {reason}")
    assert outcome.right is right
    assert ("FAULTY" in outcome_text(outcome)) is not right


def test_a_row_that_should_not_be_there_is_wrong_too() -> None:
    extra = {"accuracy": {("queue=hate", 0): {"labels": 1}}, "throughput": {}, "sla": {}}
    verdict = ChaosVerdict()
    verdict.add("here", {table: {} for table in COMPARED}, extra, COMPARED)
    assert verdict.wrong_rows == 1


def test_rows_of_topics_are_keyed_as_the_oracle_keys_them() -> None:
    rows = {"queue=a|3600|7200000": {"window": "pane"}, "queue=a|day": {"window": "day"}}
    assert list(keyed(rows, panes=True)) == [("queue=a", 7_200_000)]
    assert list(keyed(rows, panes=False)) == [("queue=a", "day")]
