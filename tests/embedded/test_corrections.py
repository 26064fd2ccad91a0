"""Corrections through the whole stack: rows, detector readings and the incident end as if the facts had been right at once.

And requests for audits: on their topic once, though the worker is killed after it made them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest

from alerts.view import instant_ms
from floorwatch.bounded import PREFIX, BoundedRun, bounded_run
from streams.agents.ticker import tick_event
from streams.models import topics
from streams.models.outputs import AuditRequested
from tests.oracle.case_events import at, event
from tests.redis_clients import async_client
from tests.waits import until

pytestmark = pytest.mark.servers

HOUR_MIN = 60
END_MIN = 30 * HOUR_MIN + 5
"""Everything is compared as of this minute; the one before lies in the same pane of a quarter."""

RULES = [
    {"name": "vendor", "kind": "accuracy_low", "scope": {"by": "vendor"}, "window": "24h", "reference": "7d",
     "budget": {"per_day": 1000, "days": 7}, "for": 1, "resolve_for": 2},
    {"name": "floor", "kind": "accuracy_low", "method": "interval", "window": "24h", "target": 0.9, "for": 1, "resolve_for": 1},
    {"name": "appeals", "kind": "overturns_high", "window": "24h", "min_sample": 40, "for": 1, "resolve_for": 2},
]  # fmt: skip

PEOPLE = 12
LABELS = 1200
ABOUT = ("revision", "watermark")
"""What tells how often a row was corrected and as of when it was last written, and not what it says."""

TOLD = ("rule", "kind", "scope", "state", "title", "evidence", "value", "target", "since", "contributors", "examples")
"""What people read of an incident; when it opened is history, which no correction changes."""


def floor() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """(labels and audits of a day, corrections that come hours later): bpo-a looks worse than it was.

    A quarter of bpo-a's audits say wrong. Of these half are taken back, by withdrawal, by appeal or by another audit.
    """
    random, facts, fixes = Random(5), [], []
    for n in range(LABELS):
        minute, task = n * 24 * HOUR_MIN / LABELS, f"t-{n}"
        vendor = "bpo-a" if n % 2 else "inhouse"
        who = {"vendor": vendor, "queue": "hate", "policy": f"P{n % 3}", "labeler_id": f"{vendor}-{n % PEOPLE}"}
        facts.append(event("label.submitted", minute, {"label_id": f"l-{n}", "values": ["ok"], **who}, task=task))
        wrong = random.random() < (0.25 if vendor == "bpo-a" else 0.02)
        sampling = {"sampling": {"method": "random", "probability": 1.0}}
        verdict = {"verdict": "incorrect", "error_class": "false_negative", "severity": "major"}
        body = {
            "audit_id": f"a-{n}",
            "label_id": f"l-{n}",
            **(verdict if wrong else {"verdict": "correct"}),
            **sampling,
        }
        facts.append(event("audit.completed", minute + 20, body, task=task))
        if wrong and vendor == "bpo-a" and n % 4 == 1:
            fixes.append(_fix(len(fixes) % 3, n, task))
    return facts, fixes


def _fix(kind: int, n: int, task: str) -> dict[str, Any]:
    minute = 26 * HOUR_MIN + n % 60
    if kind == 0:
        return event("audit.withdrawn", minute, {"audit_id": f"a-{n}"}, task=task)
    if kind == 1:
        overturned = {"appeal_id": f"p-{n}", "against": "audit", "audit_id": f"a-{n}", "outcome": "overturned"}
        return event("appeal.decided", minute, {**overturned, "label_id": f"l-{n}"}, task=task)
    # Sent again under its audit_id: the later one in log order counts, at the time it says it was done.
    again = {"audit_id": f"a-{n}", "label_id": f"l-{n}", "verdict": "correct"}
    body = {**again, "sampling": {"method": "random", "probability": 1.0}}
    return {**event("audit.completed", n * 24 * HOUR_MIN / LABELS + 20, body, task=task), "id": f"again-{n}"}


def right_at_once(facts: list[dict[str, Any]], fixes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same facts where no wrong verdict was ever in force: what takes an audit back comes before it, what replaces it
    comes alone."""
    by_task = {fix["subject"]: fix for fix in fixes}
    found = []
    for fact in facts:
        fix = by_task.get(fact["subject"]) if fact["type"].endswith("audit.completed.v1") else None
        if fix is None:
            found.append(fact)
        elif fix["type"] == fact["type"]:
            found.append(fix)
        else:
            found += [fix, fact]
    return found


@dataclass
class Seen:
    """What a stack shows at one watermark."""

    rows: dict[str, dict[str, Any]]
    incidents: dict[tuple[str, str], dict[str, Any]]
    requests: list[dict[str, Any]]

    def told(self) -> dict[tuple[str, str], dict[str, Any]]:
        """What people read of the open incidents."""
        opened = {key: one for key, one in self.incidents.items() if one["state"] == "open"}
        return {key: {name: one[name] for name in TOLD} for key, one in opened.items()}


@dataclass
class Floor:
    """A running stack of one partition."""

    run: BoundedRun
    redis: Any
    settings: dict[str, str]
    ticks: int = 0

    async def send(self, events: list[dict[str, Any]]) -> None:
        await self.run.send(json.dumps(one).encode() for one in events)

    async def upto(self, minute: float) -> Seen:
        """Let the clock of the log reach a minute and wait until the rules have said everything of it."""
        await self.run._folded(topics.RAW, self.run._ends, None)
        watermark_ms = instant_ms(at(minute))
        # Long windows are written every ten seconds only. Committed, the minute before is written whole, and holds what
        # this one does: the rules look at each minute once, as soon as anything of it is written.
        await self._tick(watermark_ms - 60_000)

        async def signalled() -> int | None:
            # Once more if the rules were not yet to look again: the same time on the log makes the rows published anew.
            await self._tick(watermark_ms)
            return await self._signalled(watermark_ms)

        end = await until(signalled, f"signals of minute {minute:g}", process=self.run.worker)
        await self.run._folded(topics.SIGNALS, [end], None)
        return await self._seen()

    async def _tick(self, watermark_ms: int) -> None:
        self.ticks += 1
        record = tick_event(self.ticks, watermark_ms, "test")
        sent = await self.run.producer.send_and_wait(PREFIX + topics.EVENTS, record.value, key=record.key, partition=0)
        await self.run._folded(topics.EVENTS, [sent.offset + 1], None)
        await self.run._folded(topics.PARTIALS, [await self.run._end(topics.PARTIALS, 0)], None)

    async def _signalled(self, watermark_ms: int) -> int | None:
        """Where the signals end, if those of this watermark are there. Receipts and acts on the same log name none."""
        end, last_ms = 0, -1
        async for records in self.run.reader.read(PREFIX + topics.SIGNALS, 0):
            end = records[-1][0] + 1
            said = [json.loads(value or b"{}").get("watermark_ms") for _, _, value in records]
            last_ms = next((ms for ms in reversed(said) if ms is not None), last_ms)
        return end if last_ms == watermark_ms else None

    async def _seen(self) -> Seen:
        rows = {
            f"{table}|{key}": {name: value for name, value in row.items() if name not in _about(row)}
            for table in topics.TABLE_TOPICS
            for key, row in (await self.run.table(table)).items()
        }
        held = [json.loads(value) for value in (await self.redis.hvals("floorwatch:incidents"))]
        requests = []
        async for records in self.run.reader.read(PREFIX + topics.AUDIT_REQUESTS, 0):
            requests += [json.loads(value) for _, _, value in records if value is not None]
        return Seen(rows, {(one["rule"], one["scope_key"]): one for one in held}, requests)


def _about(row: dict[str, Any]) -> tuple[str, ...]:
    # A day that goes on is written when something in it changes: its rate is that up to the row's own watermark.
    return (*ABOUT, "labels_per_hour") if row["window"] == "day" and not row["closed"] else ABOUT


@asynccontextmanager
async def stack(directory: Path, rules: list[dict[str, Any]], **more: str) -> AsyncIterator[Floor]:
    settings = {
        "ALERTS__RULES": json.dumps(rules),
        "ENGINE__IDLE_TIMEOUT_S": "86400",
        "ENGINE__PUBLISH_INTERVAL_S": "0.2",
        "ENGINE__FLUSH_INTERVAL_S": "0.2",
        "KAFKA__PARTITIONS": "1",
        **more,
    }
    async with bounded_run(directory, partitions=1, **settings) as run:
        redis = async_client(run.servers.redis_url)
        try:
            yield Floor(run, redis, settings)
        finally:
            await redis.aclose()


@pytest.mark.slow
def test_overturned_audits_leave_what_an_uninterrupted_run_with_the_corrected_facts_gives(tmp_path: Path) -> None:
    facts, fixes = floor()
    for name in ("corrected", "uninterrupted"):
        (tmp_path / name).mkdir()

    async def corrected() -> tuple[Seen, Seen]:
        async with stack(tmp_path / "corrected", RULES) as here:
            await here.send(facts)
            before = await here.upto(25 * HOUR_MIN + 5)
            await here.send(fixes)
            return before, await here.upto(END_MIN)

    async def uninterrupted() -> Seen:
        async with stack(tmp_path / "uninterrupted", RULES) as here:
            await here.send(right_at_once(facts, fixes))
            return await here.upto(END_MIN)

    before, after = asyncio.run(corrected())
    expected = asyncio.run(uninterrupted())
    assert len(fixes) > 30
    assert after.rows == expected.rows
    assert after.told() == expected.told()
    key = ("vendor", "vendor=bpo-a")
    assert after.told().keys() == {key}
    # The corrected floor is within its interval: what had been opened on the wrong facts is over, not rewritten.
    assert before.told().keys() == {key, ("floor", "all")}
    assert after.incidents["floor", "all"]["state"] == "resolved"
    # The corrections did change each of the three.
    row = "accuracy|vendor=bpo-a|24h"
    assert before.rows[row]["raw_accuracy_ratio"] < after.rows[row]["raw_accuracy_ratio"]
    assert before.rows[row]["evidence"]["vendor"]["score"] > after.rows[row]["evidence"]["vendor"]["score"]
    assert before.incidents[key]["evidence"] != after.incidents[key]["evidence"]
    assert after.incidents[key]["state"] == "open"


@pytest.mark.slow
def test_requests_for_audits_are_on_their_topic_once_though_the_worker_is_killed(tmp_path: Path) -> None:
    facts, _ = floor()
    cut = 6 * HOUR_MIN
    early = [fact for fact in facts if fact["time"] < at(cut)]
    late = [fact for fact in facts if at(cut) <= fact["time"] < at(cut + HOUR_MIN)]
    rules = [{**RULES[0], "budget": {"per_day": 1e6, "days": 5}}]

    async def killed() -> tuple[Seen, Seen]:
        async with stack(tmp_path, rules) as here:
            await here.send(early)
            first = await here.upto(cut + 25)
            here.run.worker.kill()
            here.run.worker.wait()
            here.run.worker = here.run.servers.start_worker("again", **here.settings)
            await here.send(late)
            return first, await here.upto(cut + HOUR_MIN + 25)

    first, second = asyncio.run(killed())
    for seen in (first, second):
        assert seen.rows["accuracy|vendor=bpo-a|24h"]["evidence"]["vendor"]["wants_audits"]
    assert first.rows != second.rows
    (asked,) = first.requests
    request = msgspec.convert(asked, AuditRequested)
    assert (request.subject, request.data.rule, request.data.number) == ("vendor=bpo-a", "vendor", 1)
    assert request.data.audits > 10
    assert second.requests == first.requests
