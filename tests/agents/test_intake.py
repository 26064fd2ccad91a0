"""Intake: what goes on the log, what goes to the dead letters, and that nothing goes nowhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from streams.adapters.topic_names import TopicNames
from streams.agents.intake import Intake, IntakePolicy
from streams.core.records import Record
from streams.engine.log import ProducerRecord
from tests.oracle.case_events import event, label

NOW_MS = 1_795_430_000_000


class MemoryWriter:
    def __init__(self) -> None:
        self.records: dict[str, list[ProducerRecord]] = {}

    async def append(self, topic: str, partition: int, records: Any) -> None:
        self.records.setdefault(topic, []).extend(ProducerRecord(*record) for record in records)


class NoLetters:
    async def read(self, topic: str, partition: int) -> AsyncIterator[list[tuple[int, bytes, bytes | None]]]:
        raise AssertionError(f"{topic}[{partition}] is read though the broker has stamped every record")
        yield []

    async def empty(self, topic: str, partition: int) -> bool:
        return True


NO_LETTERS = NoLetters()


class Meter:
    def __init__(self) -> None:
        self.dead: list[str] = []

    def dead_letter(self, stage: str, code: str) -> None:
        self.dead.append(code)


def run(values: list[bytes]) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[str]]:
    writer, meter = MemoryWriter(), Meter()
    policy = IntakePolicy(max_event_bytes=100_000, sla_classes_ms={"fast": 3_600_000})
    intake = Intake("raw", 2, TopicNames("f.", 4), writer, NO_LETTERS, policy, meter)
    intake.fold([Record(7 + n, NOW_MS, None, value) for n, value in enumerate(values)])
    assert asyncio.run(intake.flush()) == 7 + len(values)
    events = [json.loads(out.value or b"") for out in writer.records.get("f.events.v1", [])]
    dead = [json.loads(out.value or b"") for out in writer.records.get("f.deadletters.v1", [])]
    assert len(events) + len(dead) == len(values)
    return events, dead, meter.dead


def as_bytes(*events: dict[str, Any]) -> list[bytes]:
    return [json.dumps(event).encode() for event in events]


def test_good_events_pass_unchanged() -> None:
    sent = [label("l-1", 5), event("task.claimed", 6, {"labeler_id": "ana"})]
    events, dead, _ = run(as_bytes(*sent))
    assert sorted(events, key=lambda e: e["id"]) == sorted(sent, key=lambda e: e["id"])
    assert not dead


def test_every_bad_kind_is_a_dead_letter_with_its_reason_and_a_count() -> None:
    good = label("l-1", 5)
    bad = {
        "not_json": b"{oops",
        "not_utf8": b'{"a": "\xff"}',
        "wrong_type": json.dumps({**good, "data": {**good["data"], "label_id": 5}}).encode(),
        "unknown_type": json.dumps({**good, "type": "floorwatch.label.submited.v1"}).encode(),
        "missing_field": json.dumps({k: v for k, v in good.items() if k != "subject"}).encode(),
        "future_time": json.dumps({**good, "time": "2099-01-01T00:00:00Z"}).encode(),
        "too_large": json.dumps({**good, "data": {**good["data"], "x": "y" * 2_000_000}}).encode(),
        "control_character": json.dumps({**good, "subject": "t\x00-1"}).encode(),
        "started_after_time": json.dumps(label("l-2", 5, started_at="2026-11-23T11:00:00Z")).encode(),
    }
    events, dead, counted = run([*bad.values(), json.dumps(good).encode()])
    assert [letter["code"] for letter in dead] == list(bad) == counted
    assert len(events) == 1
    for offset, letter in enumerate(dead, 7):
        assert (letter["source_topic"], letter["partition"], letter["offset"]) == ("raw", 2, offset)
        assert letter["reason"]
        assert letter["hint"]
    assert dead[6]["value_bytes"] > 2_000_000 > len(dead[6]["value"])


def test_an_sla_class_becomes_a_due_time_and_an_unknown_one_is_refused() -> None:
    events, dead, _ = run(
        as_bytes(
            event("task.created", 0, {"queue": "q", "sla_class": "fast"}),
            event("task.created", 0, {"queue": "q", "sla_class": "slow"}),
        )
    )
    assert events[0]["data"]["due_at"].startswith("2026-11-23T11:00:00")
    assert dead[0]["code"] == "unknown_sla_class"
    assert "fast" in dead[0]["hint"]
