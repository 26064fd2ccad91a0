"""Messages to people go out while tables are made and rules look: both give others their turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from streams.adapters.topic_names import TopicNames
from streams.agents import aggregate, rule_runner
from streams.agents.aggregate import AggregateStage
from streams.agents.rule_runner import RuleRunner
from telemetry.engine_metrics import EngineMetrics
from tests.agents.publishing import Log, Model, flushes, stage_of
from tests.agents.test_intake import MemoryWriter
from tests.agents.test_rule_runner import Redis
from tests.alerts.rows import NOW_MS, rule


def test_others_get_their_turn_while_rows_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    turns = 0
    add = AggregateStage._add_row

    def noted(stage: AggregateStage, *args: Any) -> None:
        made.append(turns)
        add(stage, *args)

    monkeypatch.setattr(AggregateStage, "_add_row", noted)
    monkeypatch.setattr(aggregate, "_AT_A_STRETCH", 4)

    async def go() -> None:
        nonlocal turns
        log, (first, _) = Log(), flushes(2)
        stage = stage_of(log, Model())
        stage.fold(first)
        flush = asyncio.create_task(stage.flush())
        while not flush.done():
            turns += 1
            await asyncio.sleep(0)

    asyncio.run(go())
    assert len(made) > 20
    assert max(Counter(made).values()) <= 4


def test_others_get_their_turn_between_two_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [rule("accuracy_low", **{"name": f"r{number}", "method": "interval", "for": 1}) for number in range(5)]
    seen: list[int] = []
    turns = 0

    def looked(*args: Any) -> Any:
        seen.append(turns)
        return []

    monkeypatch.setattr(rule_runner, "evaluate", looked)

    async def run() -> None:
        nonlocal turns
        redis, writer = Redis(), MemoryWriter()
        made = RuleRunner(tuple(rules), redis, TopicNames("f.", 1), EngineMetrics(component="worker", version="test"))  # type: ignore[arg-type]
        looking = asyncio.create_task(made.run(writer, NOW_MS))
        while not looking.done():
            turns += 1
            await asyncio.sleep(0)

    asyncio.run(run())
    assert len(set(seen)) == len(seen) == 5
