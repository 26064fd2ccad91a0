"""The rule runner and rows it cannot judge: the other signals, metric, log, /statusz, doctor, and a signal that cannot be written."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from alerts.kinds.base import ScopeFault
from alerts.rules import Rule
from floorwatch.cli.doctor_var import rule_check
from streams.adapters.readmodel import ReadModel
from streams.adapters.topic_names import TopicNames
from streams.agents.rule_faults import RuleFaults
from streams.agents.rule_runner import RuleRunner
from streams.status import rules_status
from telemetry import catalogue
from telemetry.engine_metrics import EngineMetrics
from tests.agents.test_intake import MemoryWriter
from tests.agents.test_rule_runner import inputs_of
from tests.alerts.rows import MINUTE_MS, NOW_MS, accuracy, rule

VENDORS = rule("accuracy_low", name="vendors", scope={"by": "vendor"}, method="interval", **{"for": 1})
FLOOR = rule("accuracy_low", name="floor", scope="all", method="interval", **{"for": 1})
BEGIN_MS = NOW_MS - NOW_MS % 3_600_000


class Rows:
    """A read model whose accuracy rows can be set, some of them unreadable."""

    def __init__(self) -> None:
        self.table: dict[str, Any] = {}
        self.unreadable: dict[str, str] = {}

    async def patient_rows(self, table: str, _window: str, unreadable: dict[str, str]) -> dict[str, Any]:
        unreadable.update(self.unreadable if table == "accuracy" else {})
        return self.table if table == "accuracy" else {}

    async def keep(self, name: str, value: bytes) -> None:
        pass

    async def kept(self, _name: str) -> bytes | None:
        return None


class World:
    """A rule runner with its rows, what it writes and counts, and a clock for the log."""

    def __init__(self, *rules: Rule) -> None:
        self.rows, self.writer = Rows(), MemoryWriter()
        self.metrics = EngineMetrics(component="worker", version="test")
        self.runner = RuleRunner(rules, self.rows, TopicNames("f.", 1), self.metrics)  # type: ignore[arg-type]
        self.now_s = 0.0
        self.runner.faults = RuleFaults(self.metrics, lambda: self.now_s)

    def look(self, minute: int, *, wrong: int = 200, damaged: tuple[str, ...] = ()) -> list[dict[str, Any]]:
        """Look at three vendors and the floor after so many minutes, and return the signals."""
        at_ms = BEGIN_MS + minute * MINUTE_MS
        scopes: list[dict[str, str]] = [{}, *({"vendor": name} for name in "abc")]
        rows = [accuracy(scope, 400 - wrong, 400, end_ms=at_ms) for scope in scopes]
        self.rows.table = {
            row["scope_key"]: {**row, "labels": "many"} if row["scope_key"] in damaged else row for row in rows
        }
        for key in self.rows.unreadable:
            self.rows.table.pop(key, None)
        self.writer.records.clear()
        self.now_s += 60
        self.runner._not_before = 0.0
        asyncio.run(self.runner.run(self.writer, at_ms))
        return [one for one in inputs_of(self.writer) if one["type"] == "signal"]

    def counted(self, metric: Any) -> dict[tuple[str, ...], float]:
        found = [family for family in self.metrics.collect() if metric.name in (family.name, f"{family.name}_total")]
        return {tuple(one.labels.values()): one.value for family in found for one in family.samples}


def said(signals: list[dict[str, Any]]) -> dict[tuple[str, str], bool]:
    return {(one["rule"], one["scope_key"]): one["firing"] for one in signals}


def test_one_damaged_row_leaves_every_other_signal_as_it_is() -> None:
    whole = World(VENDORS, FLOOR).look(0)
    world = World(VENDORS, FLOOR)
    found = world.look(0, damaged=("vendor=b",))
    # Of the floor's alert one cause is missing, and nothing else.
    assert [part["value"] for one in found if one["rule"] == "floor" for part in one.pop("contributors")] == ["a", "c"]
    assert [part["value"] for one in whole if one["rule"] == "floor" for part in one.pop("contributors")] == ["a", "b"]
    assert found == [one for one in whole if one["scope_key"] != "vendor=b"]
    world.rows.unreadable = {"vendor=c": "no JSON"}
    assert said(world.look(1)) == {
        ("vendors", "vendor=a"): True, ("vendors", "vendor=b"): True, ("floor", "all"): True,
    }  # fmt: skip


def test_it_is_counted_by_rule_and_shown_at_zero_before() -> None:
    world = World(VENDORS, FLOOR)
    world.runner.begin()
    zeros = {(name, effect): 0.0 for name in ("vendors", "floor") for effect in ("not_judged", "left_out")}
    assert world.counted(catalogue.RULE_FAULTS) == zeros
    for minute in range(3):
        world.look(minute, damaged=("vendor=a", "vendor=b"))
    # The floor's alert goes on; two of its causes are missing.
    assert world.counted(catalogue.RULE_FAULTS) == {
        **zeros, ("vendors", "not_judged"): 6.0, ("floor", "left_out"): 6.0,
    }  # fmt: skip
    assert set(world.counted(catalogue.RULE_FAILURES).values()) == {0.0}


def test_an_incident_is_held_once_an_hour_and_after_half_an_hour_only() -> None:
    world = World(VENDORS)
    world.look(0)
    held = []
    for minute in range(1, 200):
        held += [(minute, one) for one in world.look(minute, damaged=("vendor=b",)) if one["scope_key"] == "vendor=b"]
    assert [minute for minute, _ in held] == [31, 60, 120, 180]
    assert all(one["holds"] and not one["firing"] and one["value"] is None for _, one in held)
    assert said(world.look(200, wrong=0))["vendors", "vendor=b"] is False
    assert world.runner.faults.known == {}


def test_a_fault_that_comes_and_goes_sends_nothing_that_begins_the_count_anew() -> None:
    world = World(VENDORS)
    for minute in range(120):
        found = [
            one
            for one in world.look(minute, damaged=("vendor=b",) if minute % 2 else ())
            if one["scope_key"] == "vendor=b"
        ]
        assert [one["firing"] for one in found] == ([] if minute % 2 else [True])


def test_it_is_logged_once_an_hour_with_one_traceback(caplog: pytest.LogCaptureFixture) -> None:
    world = World(VENDORS)
    caplog.set_level(logging.ERROR, logger="streams.agents.rule_faults")
    for minute in range(121):
        world.look(minute, damaged=("vendor=a", "vendor=b") if minute % 3 else ("vendor=a",))
    lines = [(record.getMessage(), record.exc_info is not None) for record in caplog.records]
    assert sum("'vendor=a'" in line for line, _ in lines) == 3
    assert sum("'vendor=b'" in line for line, _ in lines) == 2
    assert all("rule vendors could not judge" in line and "What to do:" in line for line, _ in lines)
    assert lines[0][1]


def test_a_thousand_faults_are_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    faults = {
        ("vendors", f"vendor={n}"): ScopeFault("vendors", f"vendor={n}", ValueError("x"), silent=True)
        for n in range(1000)
    }
    known = RuleFaults(EngineMetrics(component="worker", version="test"), lambda: 0.0)
    caplog.set_level(logging.ERROR, logger="streams.agents.rule_faults")
    for minute in range(3):
        known.note((VENDORS,), faults, minute)
    assert len(caplog.records) == 21
    assert "980 further scopes" in caplog.records[-1].getMessage()
    told = known.status()
    assert (told["not_judged"], len(told["faults"])) == (1000, 20)


def test_statusz_and_the_doctor_say_what_where_and_how_to_fix_it() -> None:
    world = World(VENDORS, FLOOR)
    assert rule_check("worker-1", {"rules": {"could_not_process": world.runner.faults.status()}}) == []
    world.look(0, damaged=("vendor=b",))
    told = world.runner.faults.status()
    assert (told["not_judged"], told["left_out"]) == (1, 1)
    first = told["faults"][0]
    assert (first["rule"], first["scope"], first["effect"]) == ("vendors", "vendor=b", "not_judged")
    worker: Any = SimpleNamespace(
        runner=world.runner, topics=TopicNames("f.", 1), hosts={"f.partials.v1": SimpleNamespace(owned={0})}
    )
    assert rules_status(worker)["could_not_process"] == told
    (check,) = rule_check("worker-1", {"rules": rules_status(worker)})
    assert (check.status, check.name) == ("fail", "worker-1: alert rules")
    assert check.detail.startswith(
        "alert rules say nothing of 1 scope, whose incidents stay as they are: vendors on vendor=b since 2026-"
    )
    assert "FloorwatchScopesNotJudged" in check.fix
    world.look(1)
    assert world.runner.faults.status() == {"not_judged": 0, "left_out": 0, "faults": [], "fix": None}
    assert rule_check("worker-1", {}) == rule_check("worker-1", {"rules": None}) == []


@pytest.mark.parametrize(
    "change",
    [{"evidence": "\ud800"}, {"value": object()}, {"examples": (1,)}],
    ids=["text", "value", "unreadable"],
)
def test_a_signal_that_cannot_be_written_goes_without_its_text(
    change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(VENDORS)
    evaluated = world.runner._evaluated

    async def faulty(*args: Any) -> Any:
        found = await evaluated(*args)
        return [structs.replace(one, **change) if one.scope_key == "vendor=b" else one for one in found]

    whole = World(VENDORS).look(0)
    monkeypatch.setattr(world.runner, "_evaluated", faulty)
    found = world.look(0)
    assert [one for one in found if one["scope_key"] != "vendor=b"] == [
        one for one in whole if one["scope_key"] != "vendor=b"
    ]
    assert said(found) == said(whole)
    assert world.counted(catalogue.RULE_FAULTS)["vendors", "left_out"] == 1.0


def test_a_signal_whose_scope_cannot_be_written_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(VENDORS)
    evaluated = world.runner._evaluated

    async def faulty(*args: Any) -> Any:
        return [
            structs.replace(one, scope={"vendor": "\ud800"}) if one.scope_key == "vendor=b" else one
            for one in await evaluated(*args)
        ]

    monkeypatch.setattr(world.runner, "_evaluated", faulty)
    assert [one["scope_key"] for one in world.look(0)] == ["vendor=a", "vendor=c"]
    assert inputs_of(world.writer)[-1]["type"] == "tick"
    assert world.counted(catalogue.RULE_FAULTS)["vendors", "not_judged"] == 1.0


def test_the_read_model_tells_which_rows_it_cannot_read() -> None:
    class Client:
        async def hgetall(self, _key: str) -> dict[bytes, bytes]:
            return {b"all": b'{"labels": 1}', b"vendor=a": b"{", b"vendor=b": b"5", b"vendor=\xff": b"{}"}

    async def ask() -> tuple[dict[str, Any], dict[str, str]]:
        unreadable: dict[str, str] = {}
        return await ReadModel(Client(), "f:").patient_rows("accuracy", "1h", unreadable), unreadable  # type: ignore[arg-type]

    rows, unreadable = asyncio.run(ask())
    assert rows == {"all": {"labels": 1}}
    assert set(unreadable) == {"vendor=a", "vendor=b", "vendor=\ufffd"}
