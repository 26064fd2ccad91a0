"""A window of an hour is the window of an hour, whatever ``tables.windows`` calls it: forecast and pace stand in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerts.lifecycle import policy_of
from alerts.signals import Signal
from floorwatch.settings.load import loads
from floorwatch.settings.policies import core_policy
from floorwatch.settings.schema import FloorwatchConfig
from streams.agents.rule_runner import rows_read
from streams.core.tables import window_rows
from tests.alerts.machine import run as incident_run
from tests.alerts.machine import steps
from tests.alerts.rows import MINUTE_MS, signals
from tests.core.harness import CoreRun, tick
from tests.oracle.case_events import at, created, label

NAMES = ["1h", "60m", "3600s"]


def config(name: str) -> FloorwatchConfig:
    return loads(
        f"tables: {{windows: [{name}, 8h], scopes: [[], [queue], [labeler]]}}\n"
        "metrics: {scopes: [[]]}\n"
        "alerts:\n"
        "  rules:\n"
        "  - {name: breach, kind: sla_breach_predicted}\n"
        "  - {name: cap, kind: exposure_cap, window: 8h, target: 2h, ahead: 90m, other_weight: 1}\n",
        {},
        name="test.yaml",
        base=Path(),
    )


def an_hour(settings: FloorwatchConfig) -> CoreRun:
    """The core after an hour of work by one person, 6 of 200 tasks that are due two hours after the start."""
    run = CoreRun(policy=core_policy(settings))
    run.send(created(0, task=f"t-{n}", queue="hate", due_at=at(120)) for n in range(200))
    run.send(
        label(f"l-{n}", 10 * (n + 1), by="ana", task=f"t-{n}", queue="hate", started_at=at(10 * n)) for n in range(6)
    )
    run.finish()
    return run


def looks(settings: FloorwatchConfig) -> dict[str, Signal]:
    """What the rules in force say of that hour."""
    run = an_hour(settings)
    now_ms = run.floor.watermark_ms
    rows = [row for window in run.floor.all_windows() for row in window_rows(window, now_ms).values()]
    read = [row for row in rows if (row["table"], row["window"]) in rows_read(settings.rules)]
    return {rule.name: signal for rule in settings.rules for signal in signals(rule, *read, at_ms=now_ms)}


@pytest.mark.parametrize("name", NAMES)
def test_forecast_and_pace_are_those_of_the_hour_by_any_name(name: str) -> None:
    settings = config(name)
    assert settings.tables.windows[0] == name
    found = looks(settings)
    assert (found["breach"].scope, found["breach"].window, found["breach"].firing) == ({"queue": "hate"}, name, True)
    assert found["breach"].value is not None
    assert found["cap"].firing
    assert "reached about Mon 23 Nov 12:00 UTC at the pace of the last hour" in found["cap"].evidence
    for rule in settings.rules:
        signal = found[rule.name]
        incident, told = incident_run([signal] * rule.for_evaluations, policy=policy_of(rule))
        assert incident is not None
        assert (incident.state, steps(told)) == ("open", ["open"])


def test_what_is_said_is_the_same() -> None:
    said = [{key: (signal.evidence, signal.value) for key, signal in looks(config(name)).items()} for name in NAMES]
    assert said == said[:1] * len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_forecast_is_published_again_when_only_time_moves(name: str) -> None:
    run = an_hour(config(name))
    assert run.floor._forecast_bits == 1
    run.floor.take_changes()
    run.send([tick(run.floor.watermark_ms + 2 * MINUTE_MS)])
    run.flush(0)
    changed = run.floor.take_changes()[0]
    assert (name, "queue=hate") in [(row.window, row.state.key) for row in changed]
