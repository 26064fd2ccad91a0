"""The coaching loop begins with an incident: alerted when it opened, acknowledged by whoever took it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from typer.testing import CliRunner

from alerts.codec import encode_incident, incident_record
from alerts.incident import Incident, OperatorAction
from alerts.view import instant_ms
from floorwatch.analysis.people.coaching import CoachingStep, State, StepRefused, Told, fold_steps
from floorwatch.cli import build
from floorwatch.cli.people_incidents import steps_of, with_place
from tests.alerts.machine import opened
from tests.brokers import running_valkey
from tests.people.log import files_read_once, people_log
from tests.redis_clients import blocking_client

DAY_MS = 86_400_000
OPENED_MS = instant_ms("2026-11-17T08:00:00Z")


def incident(**more: Any) -> Incident:
    fields = {"rule": "accuracy-low-labeler", "scope": {"labeler": "low"}, "opened_ms": OPENED_MS, "key": "low"}
    return structs.replace(opened(), **{**fields, **more})


def records(*incidents: Incident) -> list[dict[str, Any]]:
    return [incident_record(one, "") for one in incidents]


ALERTED = Told(OPENED_MS, CoachingStep.alerted, "accuracy-low-labeler")


def test_only_what_opened_about_somebodys_work_is_a_step() -> None:
    other = [
        incident(scope={"vendor": "bpo-a"}),
        incident(kind="exposure_cap"),
        incident(opened_ms=None, state="pending"),
    ]
    assert steps_of(records(incident(), *other), OPENED_MS + DAY_MS, now=True) == {"low": [ALERTED]}


def test_an_act_is_dated_no_later_than_the_moment_looked_at_and_no_earlier_than_the_alert() -> None:
    acts = tuple(OperatorAction("ack", "mei", OPENED_MS + at_ms) for at_ms in (-5, 7, 99))
    acts += (OperatorAction("silence", "mei", OPENED_MS, until_ms=OPENED_MS + 1),)
    found = steps_of(records(incident(acts=acts)), OPENED_MS + 50, now=True)["low"][1:]
    assert [told.time_ms - OPENED_MS for told in found] == [0, 7, 49]
    assert {(told.step, told.by) for told in found} == {(CoachingStep.acknowledged, "mei")}
    past = steps_of(records(incident(acts=acts)), OPENED_MS + 50, now=False)["low"]
    assert past[-1].time_ms == OPENED_MS + 99  # after the moment looked at: the loop leaves it out


def test_what_has_no_place_among_the_steps_told_is_left_out() -> None:
    coached = Told(OPENED_MS + 10, CoachingStep.coached, "lead-1")
    late = Told(OPENED_MS + 20, CoachingStep.acknowledged, "mei")
    assert with_place([coached], [ALERTED, late]) == [ALERTED]
    assert fold_steps([coached, ALERTED]).state is State.watching
    assert with_place([ALERTED, coached], [ALERTED]) == []
    again = ALERTED._replace(time_ms=OPENED_MS + 30)
    assert fold_steps([ALERTED, coached, *with_place([ALERTED, coached], [again])]).rounds == 2
    with pytest.raises(StepRefused):
        with_place([coached], [])


@pytest.fixture(scope="module", autouse=True)
def _read_once() -> Iterator[None]:
    with files_read_once():
        yield


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    with running_valkey() as server:
        yield f"redis://127.0.0.1:{server.port}/0"


@pytest.mark.servers
def test_who_took_the_incident_is_in_the_loop_and_in_the_file_once_somebody_coached(
    tmp_path: Path, valkey: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOORWATCH_REDIS__URL", valkey)
    taken = incident(state="acknowledged", acts=(OperatorAction("ack", "lead-1", OPENED_MS + 3_600_000),))
    with blocking_client(valkey) as client:
        client.hset("floorwatch:incidents", "low", encode_incident(taken, ""))
    events, path = tmp_path / "events.jsonl", tmp_path / "coaching.jsonl"
    events.write_bytes(b"\n".join(people_log().lines))

    def card(*words: str) -> str:
        found = CliRunner().invoke(build("scorecard"), ["scorecard", "low", "--events", str(events), *words])
        assert found.exit_code == 0, found.output
        return found.stdout

    assert "Coaching: nothing told." in card()
    assert "Coaching: acknowledged since Tue 17 Nov 09:00 UTC" in card("--incidents")
    assert "Coaching: alerted" in card("--incidents", "--at", "2026-11-17T08:30:00Z")
    told = card("--incidents", "--coaching", str(path), "--told", "coached", "--by", "lead-2")
    assert "Coaching: coached on" in told
    steps = [(one["step"], one["by"]) for one in map(json.loads, path.read_text().splitlines())]
    assert steps == [("alerted", "accuracy-low-labeler"), ("acknowledged", "lead-1"), ("coached", "lead-2")]
    assert "Coaching: coached on" in card("--coaching", str(path))
    assert card("--incidents", "--coaching", str(path)) == card("--coaching", str(path))
