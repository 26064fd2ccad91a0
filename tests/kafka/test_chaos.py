"""A short chaos run on a real Kafka: every kind of harm that costs people numbers, and not one wrong row."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from floorwatch.chaos import schedule as s
from floorwatch.chaos.report import outcome_text, plan_text
from floorwatch.chaos.run import ChaosPlan, run_chaos

pytestmark = pytest.mark.servers

FAULTS = (
    s.InjectedFault(8, s.SCALE, 2),
    s.InjectedFault(14, s.KILL, 0, 1.0),
    s.InjectedFault(27, s.ZOMBIE, 1, 3.0),
    s.InjectedFault(31, s.REDIS_FLUSH),
    s.InjectedFault(40, s.DUPLICATES, 0, 4.0),
    s.InjectedFault(45, s.BROKER, 0, 1.0),
    s.InjectedFault(62, s.SCALE, 1),
)


@pytest.mark.slow
@pytest.mark.timeout(900)  # 70 s of load, and what is left of a busy machine for all else
@pytest.mark.usefixtures("real_kafka")
def test_kills_a_zombie_a_dead_broker_and_an_emptied_redis_leave_no_wrong_row(tmp_path: Path) -> None:
    plan = ChaosPlan(seed=4, load_s=70, rate=300, partitions=4, compaction_lag_s=2, faults=FAULTS)
    said: list[str] = [plan_text(plan)]
    outcome = asyncio.run(run_chaos(plan, tmp_path / "chaos", said.append))
    assert outcome.right, "\n".join([*said, outcome_text(outcome)])
    assert outcome.verdict is not None
    assert outcome.verdict.rows["topics, hour panes"] > 3000
    assert outcome.faults is not None
    assert outcome.faults.done == {**dict.fromkeys((f.kind for f in FAULTS), 1), s.SCALE: 2}
    taken_over = [takeover for takeover in outcome.faults.takeovers if not takeover.alone]
    assert [takeover.took_s is not None for takeover in taken_over] == [True], outcome_text(outcome)
    eaten = {found.topic: found.written - found.left for found in outcome.compaction}
    assert eaten["ledger-changelog.v1"] > 0, "the log cleaner did not run"
    assert eaten["partials.v1"] > 0, "the log cleaner did not run"
