"""``kill -9`` within ``floorwatch audits feed --send``: run again, it asks for the rest, and a label's request stands once."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from floorwatch.bounded import PREFIX
from floorwatch.embedded.servers import Servers
from streams.adapters.admin import create_topics
from streams.engine.log import KafkaLogReader
from streams.models import topics
from tests.audits.test_plan_and_feed import floor, run

pytestmark = [pytest.mark.servers, pytest.mark.slow]

KILLED = """
import os, signal, sys
from streams.engine.log import KafkaLogWriter

whole, when = KafkaLogWriter.append, sys.argv.pop(1)

async def one_by_one(self, topic, partition, records):
    # A batch is on the log whole or not at all, so each record is a batch here: what a kill may leave.
    for at, record in enumerate(list(records)):
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        await whole(self, topic, partition, [record])
        if when == "after":
            os.kill(os.getpid(), signal.SIGKILL)

KafkaLogWriter.append = one_by_one
from floorwatch.cli import main
main()
"""


async def on_topic(brokers: str) -> list[tuple[bytes, bytes | None]]:
    reader, found = KafkaLogReader({"bootstrap_servers": brokers}), []
    for partition in range(2):
        async for records in reader.read(PREFIX + topics.AUDIT_REQUESTS, partition):
            found += [(key, value) for _, key, value in records]
    return found


def test_a_feed_killed_at_each_record_asks_for_each_label_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before and after each write in turn, until nothing is left to write: as many records as one run without a kill writes."""
    events, plan = tmp_path / "events.jsonl", tmp_path / "plan.json"
    events.write_text("\n".join(floor()))
    words = (
        "plan",
        "--events",
        events,
        "--total",
        4,
        "--minimum",
        0,
        "--strata",
        "",
        "--begins",
        "2026-12-01T00:00:00Z",
        "--json",
    )
    made = json.loads(run(*words).stdout)
    plan.write_text(json.dumps({**made, "key": "02" * 16}))
    wanted = {
        json.loads(line)["id"]: line for line in run("feed", plan, "--events", events, "--json").stdout.splitlines()
    }
    assert 3 <= len(wanted) <= 4, "each costs two processes"
    feed = ["audits", "feed", str(plan), "--events", str(events), "--send"]

    def killed(when: str) -> int:
        done = subprocess.run(
            [sys.executable, "-c", KILLED, when, *feed], capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode

    async def go() -> None:
        async with Servers(tmp_path) as servers:
            await create_topics({"bootstrap_servers": servers.brokers}, topics.topic_specs(PREFIX, 2))
            monkeypatch.setenv("FLOORWATCH_KAFKA__BROKERS", servers.brokers)
            monkeypatch.setenv("FLOORWATCH_KAFKA__PARTITIONS", "2")
            monkeypatch.setenv("FLOORWATCH_KAFKA__IDEMPOTENT_PRODUCER", "false")
            for number in range(len(wanted)):
                assert await asyncio.to_thread(killed, "before") == -signal.SIGKILL
                assert len(await on_topic(servers.brokers)) == number
                assert await asyncio.to_thread(killed, "after") == -signal.SIGKILL
                assert len(await on_topic(servers.brokers)) == number + 1
            assert await asyncio.to_thread(killed, "before") == 0, "nothing is left to ask for"
            standing = await on_topic(servers.brokers)
            asked = Counter(json.loads(value or b"")["id"] for _, value in standing)
            assert asked == Counter(dict.fromkeys(wanted, 1))
            assert {(value or b"").decode() for _, value in standing} == set(wanted.values())

    asyncio.run(go())
