"""The vendor drop of the simulated floor under the shipped rules: found, dated, and put down to its vendor and policy.

The floor makes half of the usual mistakes, so it meets the target of 95%; the drop is the scenario's own, a fifth of the
chance to be right on three policies of twelve.
"""

from __future__ import annotations

from typing import Any

import pytest

from alerts.baseline import BaselineState
from alerts.detectors import detectors_of
from alerts.evaluate import evaluate
from alerts.lifecycle import policy_of, step
from alerts.rules_file import default_rules, parse_rules
from alerts.signals import Signal
from alerts.view import MemoryRowView
from floorwatch.simulate.config import FloorConfig, parse_scenario
from floorwatch.simulate.simulated_floor import simulate
from streams.core.policy import DAY_MS, HOUR_MS, CorePolicy, Window
from streams.core.tables import window_rows
from tests.alerts.message.told import message_on
from tests.core.harness import CoreRun

pytestmark = pytest.mark.slow

START_MS = 1_795_392_000_000
DROP_H = 10
AFTER_H = 9
DROPPED = {"hate", "harassment", "scam"}
# How the floor's own alert would read; its detector needs a day of so small a drop.
FLOOR = "{name: floor, kind: accuracy_low, scope: all, window: 8h, reference: 24h, target: 0.96, method: interval}"
SHIPPED = tuple(
    rule for rule in default_rules().rules if rule.kind == "accuracy_low" and "labeler" not in rule.scope.names
)
RULES = (*SHIPPED, *parse_rules(f"rules: [{FLOOR}]").rules)
KINDS = ((), ("vendor",), ("queue",), ("policy",), ("market",), ("site",), ("vendor", "queue"), ("queue", "policy"))
WINDOWS = (Window("8h", 1, 8 * HOUR_MS), Window("24h", 1, DAY_MS), Window("7d", 2, 7 * DAY_MS))


def signals(core: CoreRun) -> list[Signal]:
    core.flush(0)
    tables: dict[tuple[str, str], dict[str, Any]] = {}
    for window in core.floor.all_windows():
        row = window_rows(window, core.floor.watermark_ms)["accuracy"]
        tables.setdefault(("accuracy", window.window), {})[row["scope_key"]] = row
    return evaluate(RULES, MemoryRowView(tables), core.floor.watermark_ms, BaselineState())


@pytest.fixture(scope="module")
def drop() -> tuple[list[Signal], list[Signal]]:
    """What the rules say when the drop begins, and some hours later."""
    config = FloorConfig(
        start_ms=START_MS,
        duration_s=(DROP_H + AFTER_H) * 3600,
        rate=2.8,  # what a scope needs whose scatter is not known yet
        scenarios=(parse_scenario(f"vendor_quality_drop@{DROP_H}h"),),
        audit_delay_scale=0.1,
        errors=0.5,
    )
    core = CoreRun(1, CorePolicy(scopes=KINDS, windows=WINDOWS, detectors=detectors_of(SHIPPED)))
    before_ms = START_MS + DROP_H * HOUR_MS
    events = list(simulate(config, 3))
    core.send(sent.value for sent in events if sent.arrival_ms < before_ms)
    before = signals(core)
    core.send(sent.value for sent in events if sent.arrival_ms >= before_ms)
    return before, signals(core)


def alert_on(said: list[Signal], rule: str, scope_key: str) -> tuple[Signal, str]:
    """Return a firing signal and the message a team lead gets of it."""
    signal = next(one for one in said if one.rule == rule and one.scope_key == scope_key)
    assert signal.firing
    incident = None
    for _ in range(3):
        incident = step(incident, signal, policy_of(next(one for one in RULES if one.name == rule)))
    assert incident is not None
    message = message_on(incident)
    return signal, "\n".join((*message.lines, *message.details))


def test_nothing_fires_before(drop) -> None:
    assert len(drop[0]) > 20
    assert [signal.scope_key for signal in drop[0] if signal.firing] == []


def test_the_vendor_is_found_and_dated_and_no_other(drop) -> None:
    firing = {signal.scope_key: signal for signal in drop[1] if signal.rule == "accuracy-low-vendor" and signal.firing}
    assert set(firing) == {"vendor=bpo-a"}, [one.evidence for one in drop[1] if one.rule == "accuracy-low-vendor"]
    signal = firing["vendor=bpo-a"]
    assert abs(signal.since_ms - (START_MS + DROP_H * HOUR_MS)) <= 4 * HOUR_MS
    assert "since Mon 23 Nov " in signal.evidence
    assert ": 1 (bar 280,000)" in signal.evidence


def test_the_message_on_the_vendor_names_the_policies_that_dropped_and_no_other(drop) -> None:
    signal, text = alert_on(drop[1], "accuracy-low-vendor", "vendor=bpo-a")
    policies = [part.value for part in signal.contributors if part.dimension == "policy"]
    assert policies[0] == "hate"
    assert set(policies) <= DROPPED
    assert "policy hate" in text  # a queue whose work is mostly of these policies may stand before it


def test_the_message_on_the_floor_names_vendor_and_policy_together(drop) -> None:
    signal, text = alert_on(drop[1], "floor", "all")
    crossed = {part.value for part in signal.contributors if part.dimension == "vendor × policy"}
    assert "bpo-a × hate" in crossed
    assert all(value.split(" × ")[0] == "bpo-a" and value.split(" × ")[1] in DROPPED for value in crossed)
    assert "vendor × policy bpo-a × hate" in text


def test_pairs_that_fire_are_the_vendor_s_or_of_the_policies_that_dropped(drop) -> None:
    firing = [signal for signal in drop[1] if signal.firing]
    by_rule = {
        name: [s.scope for s in firing if s.rule == f"accuracy-low-{name}"] for name in ("vendor-queue", "queue-policy")
    }
    assert all(scope["vendor"] == "bpo-a" for scope in by_rule["vendor-queue"])
    assert all(scope["policy"] in DROPPED for scope in by_rule["queue-policy"])
