"""Senders with grants before a gateway, and the floor that their events make."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from floorwatch.simulate.oracle import Oracle
from gateway.settings import GatewaySettings
from streams.adapters.topic_names import TopicNames
from streams.agents.intake import Intake, IntakePolicy
from streams.core.records import Record
from tests.agents.test_intake import NO_LETTERS, MemoryWriter, Meter
from tests.core.harness import CoreRun
from tests.gateway.harness import NOW_MS, Bench

KEY = "0123456789abcdef0123"


TOKENS = {name: f"token-of-{name}" for name in ("vendor-a", "vendor-b", "qa", "floor", "kul")}


VENDOR_LABELS = ["label.*", "appeal.opened", "task.*"]


def settings(**changes: Any) -> GatewaySettings:
    sources: dict[str, dict[str, Any]] = {
        "vendor-a": {"event_sources": ["a/"], "may": VENDOR_LABELS, "vendor": "bpo-a"},
        "vendor-b": {"event_sources": ["b/"], "may": VENDOR_LABELS, "vendor": ["bpo-b"], "labelers": ["b-*"]},
        "qa": {
            "event_sources": ["qa/"],
            "may": ["audit.*", "appeal.*"],
            "vendor": ["bpo-a", "bpo-b"],
            "reviewer": True,
        },
        "kul": {"event_sources": ["label-studio/kul"], "site": "KUL"},
        "floor": {},
    }
    given = {"grant_key": KEY, "sources": {name: {**said, "token": TOKENS[name]} for name, said in sources.items()}}
    return GatewaySettings.model_validate({**given, **changes})


POLICY = IntakePolicy(grant_keys=(KEY.encode(),))


class Floor:
    """What became of what was published on the raw topics."""

    def __init__(self, raw: list[tuple[str, bytes]], policy: IntakePolicy = POLICY) -> None:
        self.dead: list[dict[str, Any]] = []
        self.events: list[bytes] = []
        offsets: dict[str, int] = {}
        for topic, value in raw:
            writer = MemoryWriter()
            intake = Intake(topic, 0, TopicNames("f.", 1), writer, NO_LETTERS, policy, Meter())
            offset = offsets[topic] = offsets.get(topic, -1) + 1
            intake.fold([Record(offset, NOW_MS, None, value)])
            asyncio.run(intake.flush())
            self.events += [out.value or b"" for out in writer.records.get("f.events.v1", [])]
            self.dead += [json.loads(out.value or b"") for out in writer.records.get("f.deadletters.v1", [])]
        self.run = CoreRun()
        self.run.send(self.events)
        self.run.finish()
        self.ledger = self.run.stores[0].ledger
        self.panes = self.run.panes()
        expected = Oracle.from_events(self.events).panes(3600)
        for key, row in expected["accuracy"].items():
            assert {name: self.panes["accuracy"][key].get(name, 0) for name in row} == row

    def count(self, scope: str, name: str) -> int:
        return sum(row.get(name, 0) for (key, _), row in self.panes["accuracy"].items() if key == scope)

    @property
    def refused(self) -> list[str]:
        return [one.code for one in self.ledger.rejected]


class Story:
    """Requests one after the other, and what the gateway said."""

    def __init__(self, **changes: Any) -> None:
        self.settings = settings(**changes)
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.told: list[tuple[int, list[str]]] = []
        self.raw: list[tuple[str, bytes]] = []

    def say(self, who: str, kind: str, task: str, minute: int = 0, source: str | None = None, **data: Any) -> None:
        at = len(self.sent)
        sources = {"vendor-a": "a/tool", "vendor-b": "b/tool", "qa": "qa/tool", "floor": "floor/tool"}
        event = {
            "specversion": "1.0",
            "id": f"e-{at}",
            "source": source or sources[who],
            "type": f"floorwatch.{kind}.v1",
            "subject": task,
            "time": f"2026-11-23T10:{minute:02d}:00Z",
            "data": data,
        }
        self.sent.append((who, event))

    def label(self, who: str, number: int, vendor: str, **data: Any) -> None:
        labeler = f"{vendor[-1]}-{number}"
        self.say(
            who,
            "label.submitted",
            f"t-{vendor}-{number}",
            label_id=f"l-{number}",
            labeler_id=labeler,
            vendor=vendor,
            **data,
        )

    def floor(self, policy: IntakePolicy = POLICY) -> Floor:
        async def steps(bench: Bench) -> None:
            for who, event in self.sent:
                status, said = await bench.post(event, Authorization=f"Bearer {TOKENS[who]}")
                self.told.append((status, [one["code"] for one in said["rejected"]]))

        bench = Bench(self.settings).run(steps)
        self.raw = [("f.raw.v1", value) for _, value in bench.publisher.records]
        return Floor(self.raw, policy)


def two_vendors(story: Story) -> None:
    """Each vendor's 20 labels, each audited right for B and wrong for A."""
    for number in range(20):
        story.label("vendor-a", number, "bpo-a")
        story.label("vendor-b", number, "bpo-b")
    for number in range(20):
        for vendor, verdict in (("bpo-a", "incorrect"), ("bpo-b", "correct")):
            audit = {"audit_id": f"x-{number}", "label_id": f"l-{number}", "verdict": verdict}
            story.say("qa", "audit.completed", f"t-{vendor}-{number}", 5, **audit)


def attack(story: Story) -> None:
    """What vendor A did: B's labels withdrawn and marked wrong, and the audits of itself withdrawn."""
    for number in range(10):
        story.say("vendor-a", "label.withdrawn", f"t-bpo-b-{number}", 9, label_id=f"l-{number}")
    for number in range(10, 20):
        wrong = {"audit_id": f"y-{number}", "label_id": f"l-{number}", "verdict": "incorrect"}
        story.say("vendor-a", "audit.completed", f"t-bpo-b-{number}", 9, **wrong)
    for number in range(10):
        story.say("vendor-a", "audit.withdrawn", f"t-bpo-a-{number}", 9, audit_id=f"x-{number}")
        right = {"audit_id": f"z-{number}", "label_id": f"l-{number}", "verdict": "correct"}
        story.say("vendor-a", "audit.completed", f"t-bpo-a-{number}", 9, **right)


def numbers(floor: Floor) -> dict[str, tuple[int, ...]]:
    return {
        vendor: tuple(floor.count(f"vendor={vendor}", name) for name in ("labels", "audited", "correct"))
        for vendor in ("bpo-a", "bpo-b")
    }
