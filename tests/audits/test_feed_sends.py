"""``floorwatch audits feed --send`` on a broker: each label is asked for once, what ended is removed, the worker is not disturbed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from floorwatch.bounded import PREFIX
from floorwatch.cli import build
from floorwatch.embedded.servers import Servers
from streams.adapters.admin import create_topics
from streams.adapters.topic_names import TopicNames
from streams.agents.incidents import IncidentsStage
from streams.engine.log import KafkaLogReader, KafkaLogWriter, ProducerRecord
from streams.models import topics
from streams.models.kafka_producer import open_producer
from tests.alerts.test_requests import RULE, Log
from tests.audits.test_plan_and_feed import START, corrected, floor, run

pytestmark = [pytest.mark.servers, pytest.mark.slow]
DAY = 86_400_000


def test_labels_are_asked_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events, plan = tmp_path / "events.jsonl", tmp_path / "plan.json"
    events.write_text("\n".join(floor()))
    words = ("plan", "--events", events, "--total", 150, "--begins", "2026-12-01T00:00:00Z", "--json")
    plan.write_text(run(*words).stdout)

    async def standing(brokers: str) -> dict[bytes, bytes]:
        reader, found = KafkaLogReader({"bootstrap_servers": brokers}), {}
        for partition in range(2):
            async for records in reader.read(PREFIX + topics.AUDIT_REQUESTS, partition):
                for _, key, value in records:
                    if value is None:
                        del found[key]
                    else:
                        assert key not in found, "asked for twice"
                        found[key] = value
        return found

    async def go() -> None:
        async with Servers(tmp_path) as servers:
            await create_topics({"bootstrap_servers": servers.brokers}, topics.topic_specs(PREFIX, 2))
            monkeypatch.setenv("FLOORWATCH_KAFKA__BROKERS", servers.brokers)
            monkeypatch.setenv("FLOORWATCH_KAFKA__PARTITIONS", "2")
            monkeypatch.setenv("FLOORWATCH_KAFKA__IDEMPOTENT_PRODUCER", "false")
            feed = ["audits", "feed", str(plan), "--events", str(events), "--send"]
            first = await asyncio.to_thread(CliRunner().invoke, build("audits"), feed)
            assert first.exit_code == 0, first.output
            held = await standing(servers.brokers)
            assert f"Asked for {len(held)} audits." in first.output
            again = await asyncio.to_thread(CliRunner().invoke, build("audits"), feed)
            assert f"Asked for 0 audits; the others ({len(held)}) were asked for before" in again.output
            assert await standing(servers.brokers) == held
            events.write_text("\n".join([*floor(), corrected("safe", 5_000, START + 15 * DAY)]))
            late = await asyncio.to_thread(CliRunner().invoke, build("audits"), feed)
            assert f"{len(held)} requests that ended were removed." in late.output
            assert not [
                one for one in (await standing(servers.brokers)).values() if json.loads(one)["subject"] != "t5000"
            ]
            log = Log()
            out = TopicNames(PREFIX, 2)
            stage = IncidentsStage(
                0, (RULE,), out, log, KafkaLogReader({"bootstrap_servers": servers.brokers}), log, "f:", log
            )  # type: ignore[arg-type]
            await stage.recover()
            await stage.flush()
            assert not log.records, "what a plan drew is no fault of the incidents' topic"

    asyncio.run(go())


def test_a_plan_and_its_feed_read_the_log_of_the_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same strata and the same draw as from a file, whatever the partitions; a dry run knows what was asked for."""
    events, plan = tmp_path / "events.jsonl", tmp_path / "plan.json"
    events.write_text("\n".join(floor()))
    words = ["plan", "--total", 150, "--begins", "2026-12-01T00:00:00Z", "--json"]
    plan.write_text(run(*words, "--events", events).stdout)

    async def go() -> None:
        async with Servers(tmp_path) as servers:
            await create_topics({"bootstrap_servers": servers.brokers}, topics.topic_specs(PREFIX, 2))
            monkeypatch.setenv("FLOORWATCH_KAFKA__BROKERS", servers.brokers)
            monkeypatch.setenv("FLOORWATCH_KAFKA__PARTITIONS", "2")
            monkeypatch.setenv("FLOORWATCH_KAFKA__IDEMPOTENT_PRODUCER", "false")
            by_partition: dict[int, list[ProducerRecord]] = {0: [], 1: []}
            for line in floor():
                key = json.loads(line)["subject"].encode()
                by_partition[topics.partition_of(key, 2)].append(ProducerRecord(key, line.encode()))
            async with open_producer({"bootstrap_servers": servers.brokers}) as producer:
                for partition, records in by_partition.items():
                    await KafkaLogWriter(producer).append(PREFIX + topics.EVENTS, partition, records)
            found = await asyncio.to_thread(run, *words)
            assert found.exit_code == 0, found.output
            assert json.loads(found.stdout)["strata"] == json.loads(plan.read_text())["strata"]
            live = await asyncio.to_thread(run, "feed", plan, "--json")
            assert live.stdout == run("feed", plan, "--events", events, "--json").stdout
            await asyncio.to_thread(run, "feed", plan, "--send")
            again = await asyncio.to_thread(run, "feed", plan)
            assert "Would ask for 0 audits; the others" in again.output

    asyncio.run(go())
