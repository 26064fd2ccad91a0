"""The simulated floor: the same for a seed, valid by the contract, with every trouble in its share."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from floorwatch.cli import build
from floorwatch.cli.simulate import write_truth
from floorwatch.simulate.compare import differences, rows_of_dump
from floorwatch.simulate.config import FloorConfig, StreamTrouble, parse_scenario, parse_sla
from floorwatch.simulate.oracle import Oracle
from floorwatch.simulate.simulated_floor import simulate
from streams.models.acceptance import Refusal, parse_event
from tests.support import size

START_MS = 1_794_700_800_000
DAY = {"rate": size(0.2, 0.4), "faults": True}


def floor(**more: object) -> FloorConfig:
    settings = {"start_ms": START_MS, "duration_s": 86_400.0, "rate": 0.4, **more}
    return FloorConfig(**settings)


@pytest.fixture(scope="module")
def day() -> list[bytes]:
    return [sent.value for sent in simulate(floor(**DAY), 7)]


@pytest.mark.slow
def test_a_seed_is_a_floor(day: list[bytes]) -> None:
    assert [sent.value for sent in simulate(floor(**DAY), 7)] == day
    assert [sent.value for sent in simulate(floor(**DAY), 8)] != day


@pytest.mark.slow
def test_every_event_is_of_the_contract(day: list[bytes]) -> None:
    refused = [found for line in day if isinstance(found := parse_event(line, None), Refusal)]
    assert {refusal.code for refusal in refused} <= {"started_after_time"}
    assert len(refused) < len(day) / 1000


@pytest.mark.slow
def test_events_arrive_in_order_and_never_before_their_time() -> None:
    arrivals = [sent.arrival_ms for sent in simulate(floor(), 3)]
    assert arrivals == sorted(arrivals)


@pytest.mark.slow
def test_every_trouble_occurs_in_about_its_share(day: list[bytes]) -> None:
    events = [json.loads(line) for line in day]
    kinds = Counter(event["type"].split(".", 1)[1] for event in events)
    for kind in (
        *("task.created.v1", "task.claimed.v1", "task.cancelled.v1", "label.submitted.v1", "label.withdrawn.v1"),
        *("audit.completed.v1", "audit.withdrawn.v1", "appeal.opened.v1", "appeal.decided.v1", "shift.scheduled.v1"),
    ):
        assert kinds[kind], kind
    oracle = Oracle.from_events(day)
    assert 0.005 < oracle.duplicates / len(day) < 0.02
    assert oracle.conflicts
    total = oracle.panes(86_400)["accuracy"]["all", START_MS - START_MS % 86_400_000]
    assert 0.02 < total["audited"] / total["labels"] < 0.12
    disorder = sum(a["time"] > b["time"] for a, b in itertools.pairwise(events))
    assert disorder > len(events) / 50


@pytest.mark.slow
def test_a_quality_drop_is_of_the_vendor_named() -> None:
    drop = parse_scenario("vendor_quality_drop@0s:vendor=bpo-a,factor=0.5")
    config = floor(rate=size(0.5, 2.0), duration_s=43_200.0, scenarios=(drop,), audit_delay_scale=0.05)
    rows = Oracle.from_events(sent.value for sent in simulate(config, 5)).panes(30 * 86_400)["accuracy"]
    ratio = {
        key: row["correct"] / row["audited"]
        for (key, _), row in rows.items()
        if key.startswith("vendor=") and "," not in key
    }
    assert min(ratio, key=ratio.__getitem__) == "vendor=bpo-a"


@pytest.mark.slow
def test_the_truth_is_what_the_oracle_says(tmp_path: Path) -> None:
    lines = [sent.value for sent in simulate(floor(duration_s=7200.0), 2)]
    write_truth(tmp_path, lines)
    written = {
        table: rows_of_dump(json.loads(row) for row in (tmp_path / f"{table}.jsonl").read_text().splitlines())
        for table in ("accuracy", "throughput", "sla")
    }
    fields = {
        "accuracy": ("labels", "audited"),
        "throughput": ("labels", "handle_ms_sum"),
        "sla": ("due", "met", "missed"),
    }
    assert not differences(Oracle.from_events(lines).panes(3600), written, fields)
    assert len(written["throughput"]) > 50


def test_a_scenario_that_is_none_is_explained() -> None:
    with pytest.raises(ValueError, match="is not a scenario"):
        parse_scenario("meteor@2h")


def promises(**more: object) -> dict[str, set[float]]:
    """By queue, from creation to due in seconds, as task.created says it the first time."""
    found: dict[str, set[float]] = {}
    seen: set[str] = set()
    for sent in simulate(floor(duration_s=7200.0, **more), 5):
        event = json.loads(sent.value)
        if not event["type"].endswith("task.created.v1") or event["subject"] in seen or "due_at" not in event["data"]:
            continue
        seen.add(event["subject"])
        due_s = datetime.fromisoformat(event["data"]["due_at"]) - datetime.fromisoformat(event["time"])
        found.setdefault(event["data"]["queue"], set()).add(round(due_s.total_seconds()))
    return found


def test_a_queue_keeps_one_promise_where_one_is_stated() -> None:
    mixed = promises()
    assert set().union(*mixed.values()) >= {900, 3600, 28_800}
    stated = promises(sla=(parse_sla("comments=4h"), parse_sla("90m")))
    assert stated.keys() == mixed.keys()
    # A second task.created doubles the promise; of a few tasks it arrives before the first.
    assert {min(promise) for queue, promise in stated.items() if queue != "comments"} == {5400}
    assert set().union(*stated.values()) <= {5400, 10_800, 14_400, 28_800}
    assert min(stated["comments"]) == 14_400
    assert promises(sla=(parse_sla("comments=4h"),))["hate"] == mixed["hate"]


@pytest.mark.slow
def test_work_whose_label_is_withdrawn_is_done_again_where_a_promise_is_stated() -> None:
    withdrawn: dict[str, str] = {}
    again = set()
    for sent in simulate(floor(sla=(parse_sla("4h"),), trouble=StreamTrouble(label_withdrawn=0.05)), 5):
        event = json.loads(sent.value)
        if event["type"].endswith("label.withdrawn.v1"):
            withdrawn[event["subject"]] = event["time"]
        elif event["type"].endswith("label.submitted.v1") and event["time"] > withdrawn.get(event["subject"], "9"):
            again.add(event["subject"])
    assert len(withdrawn) > 300
    # The rest was withdrawn too late in the day to be done again in it, or the label arrived before its withdrawal did.
    assert len(again) > 0.9 * len(withdrawn)


@pytest.mark.parametrize(
    ("text", "says"),
    [("comments", "no SLA"), ("comments=soon", "no SLA"), ("=4h", "names no queue"), ("comments=", "no SLA")],
)
def test_a_promise_that_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_sla(text)


@pytest.mark.parametrize("slas", [("30s",), ("hate=15d",), ("hate=1h", "hate=2h"), ("1h", "2h")])
def test_promises_that_cannot_stand_are_refused(slas: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="the SLA of"):
        floor(sla=tuple(parse_sla(text) for text in slas))


def test_a_promise_for_a_queue_that_is_not_there_is_said_before_anything_is_sent(tmp_path: Path) -> None:
    out = tmp_path / "floor.jsonl"
    answer = CliRunner().invoke(
        build("simulate"), ["simulate", "--sla", "coments=4h", "--days", "0.01", "--out", str(out)]
    )
    assert answer.exit_code == 2
    assert "no queue 'coments'" in answer.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    ("scenario", "said"),
    [
        ("queue_surge@1m:queue=coments", "queue=coments: this floor has none; did you mean comments"),
        ("vendor_quality_drop@1m:vendor=bpo-z", "vendor=bpo-z: this floor has none; did you mean bpo-"),
        ("vendor_quality_drop@1m:policies=hate/hat", "policies=hat: this floor has none; did you mean hate"),
        ("site_outage@1m:site=kul", "site=kul: this floor has none; did you mean KUL"),
        ("queue_surge@1m:vendor=bpo-a", "'vendor' is not a setting of queue_surge; use one of queue, factor"),
        ("site_outage@1m:factor=2", "'factor' is not a setting of site_outage; use one of site"),
        ("queue_surge@1m:factor=six", "factor 'six' is not a number"),
        ("queue_surge@1m:factor=nan", "factor 'nan' is not a number"),
        ("site_outage@1h", "begins 3600 s after the start, the floor ends after 864 s"),
    ],
)
def test_a_scenario_that_would_change_nothing_is_said_before_anything_is_sent(
    scenario: str, said: str, tmp_path: Path
) -> None:
    out = tmp_path / "floor.jsonl"
    answer = CliRunner().invoke(
        build("simulate"), ["simulate", "--scenario", scenario, "--days", "0.01", "--out", str(out)]
    )
    assert answer.exit_code == 2
    assert said in answer.stderr
    assert not out.exists()


@pytest.mark.parametrize(
    "scenario", ["queue_surge@1m:queue=hate,factor=6", "vendor_quality_drop@0s", "site_outage@1m+2m:site=LIS"]
)
def test_a_scenario_of_the_floor_is_played(scenario: str, tmp_path: Path) -> None:
    out = tmp_path / "floor.jsonl"
    arguments = ["simulate", "--scenario", scenario, "--days", "0.01", "--rate", "1", "--out", str(out)]
    answer = CliRunner().invoke(build("simulate"), arguments)
    assert answer.exit_code == 0, answer.stderr
    assert out.stat().st_size
