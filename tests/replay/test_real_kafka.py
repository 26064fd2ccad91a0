"""On Apache Kafka: the cut is Kafka's own, and what its retention took is said and not guessed around."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from typer.testing import CliRunner, Result

from floorwatch.cli import build
from floorwatch.replay.reader import open_log
from floorwatch.replay.replayer import replay
from floorwatch.settings.load import load
from floorwatch.settings.policies import core_policy
from streams.adapters.admin import create_topics
from streams.core.policy import CorePolicy
from streams.core.time_text import rfc3339
from streams.engine.log import KafkaLogWriter, ProducerRecord
from streams.models.topics import EVENTS, topic_specs
from tests.replay.memory import START_MS, MemoryLog, PlainRun, floor_log

PREFIX = "dispute."
PARTITIONS = 3
CUT_MS = START_MS + 5 * 3_600_000


def logged() -> MemoryLog:
    return floor_log(21, PARTITIONS, days=0.4)


@pytest.fixture(scope="module")
def filled(kafka_bootstrap: str) -> str:
    """Kafka with ``logged()`` on its log of events."""
    asyncio.run(_fill(kafka_bootstrap))
    return kafka_bootstrap


async def _fill(address: str) -> None:
    connection = {"bootstrap_servers": address}
    # As a log copied with its times: left to themselves our topics carry the time of the copy.
    kept = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    specs = [replace(spec, config={**spec.config, **kept}) for spec in topic_specs(PREFIX, PARTITIONS)]
    await create_topics(connection, specs)
    producer = AIOKafkaProducer(acks="all", **connection)
    await producer.start()
    try:
        for partition, records in enumerate(logged().parts):
            outgoing = [ProducerRecord(r.key, r.value, r.timestamp_ms) for r in records]
            await KafkaLogWriter(producer).append(PREFIX + EVENTS, partition, outgoing)
    finally:
        await producer.stop()


def table(address: str, *arguments: str) -> Result:
    env = {
        "FLOORWATCH_KAFKA__BROKERS": address,
        "FLOORWATCH_KAFKA__TOPIC_PREFIX": PREFIX,
        "FLOORWATCH_KAFKA__PARTITIONS": str(PARTITIONS),
    }
    fixed = ("table", "accuracy", "--by", "vendor", "--window", "24h", "--json", "--var", "no-such-stack")
    return CliRunner().invoke(build("table"), [*fixed, *arguments], env=env)


def test_a_past_table_is_that_of_the_prefix(filled: str) -> None:
    done = table(filled, "--as-of", rfc3339(CUT_MS))
    assert done.exit_code == 0, done.output
    found = {row["scope_key"]: row for row in map(json.loads, done.stdout.splitlines())}
    rows = PlainRun(logged(), CUT_MS, core_policy(load(None, {}))).windows("accuracy", "24h")
    expected = {key: {**row, "as_of": rfc3339(CUT_MS)} for key, row in rows.items() if set(row["scope"]) == {"vendor"}}
    assert found == json.loads(json.dumps(expected))
    assert len(found) == 3


@pytest.mark.parametrize("after_ms", [0, 1_000_000, 5 * 3_600_000, 7 * 3_600_000 + 1])
def test_the_cut_is_the_offset_that_kafka_looks_up_for_the_time(filled: str, after_ms: int) -> None:
    async def go() -> tuple[dict[int, int], dict[int, int]]:
        connection = {"bootstrap_servers": filled}
        async with open_log(connection, PREFIX + EVENTS) as log:
            done = await replay(log, CorePolicy(), until_ms=START_MS + after_ms, rows=False)
        consumer = AIOKafkaConsumer(**connection)
        await consumer.start()
        try:
            places = {TopicPartition(PREFIX + EVENTS, p): START_MS + after_ms + 1 for p in range(PARTITIONS)}
            looked_up = await consumer.offsets_for_times(places)
        finally:
            await consumer.stop()
        ends = [len(part) for part in logged().parts]
        theirs = {tp.partition: ends[tp.partition] if at is None else at.offset for tp, at in looked_up.items()}
        return {part.extent.partition: part.cut for part in done.parts}, theirs

    ours, kafkas = asyncio.run(go())
    assert ours == kafkas


def test_after_retention_nothing_is_shown_rather_than_a_wrong_number(kafka_bootstrap: str, filled: str) -> None:
    """Runs last in this file: it deletes the first fifty records of each partition, as retention would."""

    async def expire() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=filled)
        await admin.start()
        try:
            places = {TopicPartition(PREFIX + EVENTS, p): RecordsToDelete(50) for p in range(PARTITIONS)}
            await admin.delete_records(places)
        finally:
            await admin.close()

    asyncio.run(expire())
    refused = table(kafka_bootstrap, "--as-of", rfc3339(CUT_MS))
    assert (refused.exit_code, refused.stdout) == (3, "")
    begins = rfc3339(max(part[50].timestamp_ms for part in logged().parts))
    assert f"begins at {begins}" in refused.output
    assert "Nothing is shown rather than a wrong number" in refused.output
    assert "raise retention.ms of events.v1" in refused.output
    partial = table(kafka_bootstrap, "--as-of", rfc3339(CUT_MS), "--partial")
    assert partial.exit_code == 0
    assert len(partial.stdout.splitlines()) == 3
    assert "a task begun before may lack its first facts" in partial.stderr
