"""Grants on a whole stack (ADR 0022): broker, Valkey, gateway and worker as ``floorwatch up`` starts them, three tokens."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
import yaml
from aiokafka import AIOKafkaProducer

from floorwatch.embedded.stack_plan import StackPlan
from floorwatch.embedded.supervisor import Stack
from streams.engine.log import KafkaLogReader
from streams.models import topics
from tests.redis_clients import async_client
from tests.waits import until

pytestmark = pytest.mark.servers

NOW = datetime.now(UTC)


def event(source: str, kind: str, number: str, task: str, **data: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{kind}-{number}",
        "source": f"{source}/tool",
        "type": f"floorwatch.{kind}.v1",
        "subject": task,
        "time": (NOW - timedelta(minutes=2)).isoformat(),
        "data": data,
    }


def label(vendor: str, n: int) -> dict[str, Any]:
    name = f"{vendor[-1]}-{n}"
    return event(
        vendor,
        "label.submitted",
        name,
        f"t-{name}",
        label_id=name,
        labeler_id=f"{vendor[-1]}-ann",
        vendor=vendor,
        values=["x"],
    )


def audit(source: str, name: str, verdict: str, number: str) -> dict[str, Any]:
    return event(source, "audit.completed", number, f"t-{name}", audit_id=number, label_id=name, verdict=verdict)


def configured(folder: Path) -> Path:
    secrets = {"grant": "g" * 64, "bpo-a": "a" * 40, "bpo-b": "b" * 40, "reviewer": "r" * 40}
    for name, secret in secrets.items():
        (folder / name).write_text(secret)
        (folder / name).chmod(0o600)
    both = {
        "event_sources": ["reviewer/"],
        "may": ["audit.*", "appeal.*"],
        "vendor": ["bpo-a", "bpo-b"],
        "reviewer": True,
    }
    sources: dict[str, Any] = {"reviewer": {"token_file": str(folder / "reviewer"), **both}}
    for vendor in ("bpo-a", "bpo-b"):
        # No "may": what the vendor may not do with the other's labels only the ledger can tell.
        sources[vendor] = {"token_file": str(folder / vendor), "event_sources": [f"{vendor}/"], "vendor": vendor}
    file = folder / "floorwatch.yaml"
    raw = [{"topic": "raw.v1", "may": []}]
    file.write_text(
        yaml.safe_dump(
            {"gateway": {"grant_key_file": str(folder / "grant"), "sources": sources}, "kafka": {"raw_topics": raw}}
        )
    )
    return file


async def send(stack: Stack, token: str, events: list[dict[str, Any]]) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token[0] * 40}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession() as session:
        url = f"{stack.urls['gateway']}/v1/events"
        async with session.post(url, data=orjson.dumps(events), headers=headers) as answer:
            return answer.status, await answer.json()


async def accuracy(stack: Stack) -> dict[str, tuple[int, int, int]]:
    """(labels, audited, correct) of each vendor."""
    redis = async_client(stack.urls["redis"], password=stack.redis_password)
    try:
        rows = [orjson.loads(row) for row in (await redis.hgetall("floorwatch:rows:accuracy:1h")).values()]
    finally:
        await redis.aclose()
    return {
        row["scope"]["vendor"]: (row["labels"], row["audited"], row["correct"])
        for row in rows
        if [*row["scope"]] == ["vendor"]
    }


async def letters(stack: Stack) -> list[tuple[str, str]]:
    """(id of the event, code) of each dead letter."""
    found = set()
    reader = KafkaLogReader({"bootstrap_servers": stack.urls["kafka"]})
    for partition in range(4):
        async for records in reader.read("floorwatch." + topics.DEAD_LETTERS, partition):
            for _, _, value in records:
                letter = orjson.loads(value or b"{}")
                found.add((orjson.loads(letter["value"])["id"], letter["code"]))
    return sorted(found)


def test_a_vendor_speaks_of_its_own_labels_and_a_reviewer_judges_both(tmp_path: Path) -> None:
    plan = StackPlan(tmp_path / "var", config_file=configured(tmp_path))

    async def go() -> None:
        async with Stack(plan, lambda _: None) as stack:
            for vendor in ("bpo-a", "bpo-b"):
                assert (await send(stack, vendor[-1], [label(vendor, n) for n in range(10)]))[0] == 202
            wrong = [audit("reviewer", f"a-{n}", "incorrect", f"ra{n}") for n in range(10)]
            right = [audit("reviewer", f"b-{n}", "correct", f"rb{n}") for n in range(10)]
            assert (await send(stack, "r", [*wrong, *right]))[0] == 202
            want = {"bpo-a": (10, 10, 0), "bpo-b": (10, 10, 10)}

            mine = {"vendor": "bpo-a", "labeler_id": "a-ann", "values": ["y"]}

            async def shown() -> bool:
                return await accuracy(stack) == want

            await until(shown, "what the three have sent in the tables")
            # Whose label it is only the ledger knows: these are accepted, and end as dead letters.
            attack = [
                *(event("bpo-a", "label.withdrawn", f"w{n}", f"t-b-{n}", label_id=f"b-{n}") for n in range(3)),
                *(event("bpo-a", "label.submitted", f"c{n}", f"t-b-{n}", **mine, label_id=f"b-{n}") for n in range(3)),
            ]
            assert (await send(stack, "a", attack))[0] == 202
            # What it may never send is refused at once: audits, without the right to review; another's vendor or source.
            never = [
                audit("bpo-a", "b-1", "incorrect", "x1"),
                event("bpo-a", "audit.withdrawn", "u1", "t-a-1", audit_id="ra1"),
                {**label("bpo-b", 90), "source": "bpo-a/tool"},
                label("bpo-b", 91),
            ]
            status, said = await send(stack, "a", never)
            codes = [one["code"] for one in said["rejected"]]
            assert (status, codes) == (422, ["not_permitted"] * 3 + ["foreign_source"])
            # On Kafka without the gateway, a stamp that nobody has sealed proves nothing.
            forged = {**label("bpo-b", 92), "floorwatchgrant": "reviewer"}
            async with AIOKafkaProducer(bootstrap_servers=stack.urls["kafka"]) as producer:
                await producer.send_and_wait("floorwatch." + topics.RAW, orjson.dumps(forged), key=b"t-b-92")
            refused = sorted(one["id"] for one in (*attack, forged))

            async def told() -> bool:
                return [one for one, _ in await letters(stack)] == refused

            await until(told, "a dead letter for each event that was not permitted")
            assert {code for _, code in await letters(stack)} == {"not_permitted"}
            assert (await send(stack, "b", [label("bpo-b", 50)]))[0] == 202
            want["bpo-b"] = (11, 10, 10)
            await until(shown, "the tables as they were, and what came after")

    asyncio.run(go())
