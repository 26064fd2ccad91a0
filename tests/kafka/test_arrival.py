"""Arrival on a real Kafka: poison is refused and stops nothing, a backfill outlives retention, old topics are altered."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from confluent_kafka import Producer
from typer.testing import CliRunner

from floorwatch.chaos.cluster import Cluster
from floorwatch.cli import build
from floorwatch.cli.doctor_kafka import kafka_checks
from floorwatch.replay.partition_replay import RecordOutcome, ReplayedRecord
from floorwatch.replay.reader import open_log
from floorwatch.replay.replayer import replay
from floorwatch.settings.load import load
from floorwatch.settings.policies import core_policy
from streams.adapters.admin import create_topics, open_admin
from streams.adapters.topic_configs import topic_configs
from streams.adapters.topic_names import TopicNames
from streams.agents.intake import Intake, IntakePolicy
from streams.core.records import Record
from streams.core.time_text import rfc3339
from streams.engine.log import KafkaLogReader, KafkaLogWriter
from streams.models import topics
from tests.agents.test_arrival import Nothing
from tests.brokers import running_kafka
from tests.kafka.conftest import processes, run, start_worker, write_config
from tests.waits import until_plain

pytestmark = pytest.mark.servers

DAY_MS = 86_400_000
PARTITIONS = 2
FOREIGN = "their-events"
_STUCK_S = 120.0


@pytest.fixture(scope="module")
def cleaning_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Kafka that looks for records to delete every second, from its start."""
    properties = {"log.retention.check.interval.ms": "1000", "log.initial.task.delay.ms": "500"}
    with running_kafka(tmp_path_factory.mktemp("cleaning"), properties) as bootstrap:
        yield bootstrap


def event(number: int, time_ms: int, *, task: str | None = None) -> bytes:
    body = {
        "specversion": "1.0",
        "id": f"e-{number}",
        "source": "backfill",
        "type": "floorwatch.label.submitted.v1",
        "subject": task or f"t-{number}",
        "time": rfc3339(time_ms),
        "data": {"label_id": f"l-{number}", "labeler_id": f"p-{number % 7}", "vendor": "bpo-a", "queue": "q"},
    }
    return json.dumps(body).encode()


async def _send(bootstrap: str, topic: str, records: list[tuple[int, bytes | None]]) -> None:
    """Send (record time, value), events to the partitions of their tasks."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")
    await producer.start()
    try:
        for at, (record_ms, value) in enumerate(records):
            task = json.loads(value)["subject"].encode() if value and value.startswith(b'{"spec') else b"none-%d" % at
            where = topics.partition_of(task, PARTITIONS)
            key = b"tombstone" if value is None else None
            await producer.send(topic, value, key, partition=where, timestamp_ms=record_ms)
        await producer.flush()
    finally:
        await producer.stop()


async def _begins(bootstrap: str, topic: str) -> list[int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    await consumer.start()
    try:
        found = await consumer.beginning_offsets([TopicPartition(topic, number) for number in range(PARTITIONS)])
        return list(found.values())
    finally:
        await consumer.stop()


async def _outcomes(bootstrap: str, prefix: str) -> dict[str, RecordOutcome]:
    """Return what the log of events makes of each event, by its id."""
    seen: list[ReplayedRecord] = []
    policy = core_policy(load(None, {}))
    async with open_log({"bootstrap_servers": bootstrap}, prefix + topics.EVENTS) as log:
        await replay(log, policy, observer=seen.append, rows=False)
    return {one.event.id: one.outcome for one in seen if one.outcome is not RecordOutcome.tick}


@pytest.mark.usefixtures("real_kafka")
def test_a_backfill_with_old_record_times_is_folded_whole_while_the_cleaner_runs(
    cleaning_kafka: str, tmp_path: Path
) -> None:
    prefix, connection = "backfill.", {"bootstrap_servers": cleaning_kafka}
    now_ms = int(time.time() * 1000)
    ages_ms = [(400 * DAY_MS) - at * (370 * DAY_MS) // 2999 for at in range(3000)]
    sent = {f"e-{at}": event(at, now_ms - age) for at, age in enumerate(ages_ms)}
    # Every fiftieth comes far out of order, and is late where it does.
    order = sorted(range(3000), key=lambda at: (at % 50 == 0, at))
    records = [(now_ms - ages_ms[at], sent[f"e-{at}"]) for at in order]
    ends = Counter(topics.partition_of(f"t-{at}".encode(), PARTITIONS) for at in range(3000))
    kafka = {"brokers": [cleaning_kafka], "topic_prefix": prefix, "group": prefix, "partitions": PARTITIONS}
    cluster = Cluster(connection, prefix, prefix, PARTITIONS)

    async def go() -> tuple[list[int], list[dict[str, Any]], set[str], dict[str, Any]]:
        await create_topics(connection, topics.topic_specs(prefix, PARTITIONS))
        raw = next(spec for spec in topics.topic_specs("", PARTITIONS) if spec.name == topics.RAW)
        sender = {**raw.config, "message.timestamp.type": "CreateTime"}
        await create_topics(connection, [replace(raw, name="by-sender", config=sender)])
        await _send(cleaning_kafka, "by-sender", records)
        await _send(cleaning_kafka, prefix + topics.RAW, records)
        # The same records on a topic that goes by the sender's time are all deleted: the cleaner has been there.
        until_s = time.monotonic() + _STUCK_S
        while await _begins(cleaning_kafka, "by-sender") != [ends[0], ends[1]]:
            assert time.monotonic() < until_s, "the cleaner does not run: this test would show nothing"
            await asyncio.sleep(0.2)
        begins = await _begins(cleaning_kafka, prefix + topics.RAW)
        async with processes(tmp_path) as (servers, redis_url):
            config = write_config(tmp_path / "f.yaml", kafka=kafka, redis={"url": redis_url, "prefix": prefix})
            start_worker(servers, "worker", config)
            await cluster.folded(_STUCK_S)
        late = {json.loads(letter["value"])["id"] async for letter in _letters(cluster, topics.LATE)}
        refused, table = await cluster.refused(), await cluster.table("throughput")
        await cluster.close()
        return begins, refused, late, table

    begins, refused, late, table = run(go())
    assert begins == [0, 0], "records were deleted before they were folded"
    assert refused == []
    outcomes = run(_outcomes(cleaning_kafka, prefix))
    assert set(outcomes) == set(sent), "an event is neither in the tables nor in late.v1"
    said_late = {name for name, outcome in outcomes.items() if outcome is RecordOutcome.late}
    assert late == said_late
    assert 20 < len(late) < 60
    newest_ms = now_ms - ages_ms[-1]
    week = sum(newest_ms - (now_ms - ages_ms[int(name[2:])]) < 6 * DAY_MS for name in set(sent) - late)
    shown = next(row for row in table.values() if row["scope_key"] == "all" and row["window"] == "7d")
    assert week <= shown["labels"] <= week + 12, "the last week is in the table"
    assert Counter(outcomes.values())[RecordOutcome.counted] == 3000 - len(late)


async def _letters(cluster: Cluster, topic: str) -> Any:
    async for _, value in cluster.read(topic):
        yield json.loads(value or b"")


@pytest.mark.usefixtures("real_kafka")
@pytest.mark.parametrize("foreign", [False, True], ids=["raw.v1", "a topic of others"])
def test_poison_is_refused_and_what_comes_after_it_is_counted(
    cleaning_kafka: str, tmp_path: Path, foreign: bool
) -> None:
    prefix, connection = f"poison-{foreign}.".lower(), {"bootstrap_servers": cleaning_kafka}
    raw = prefix + FOREIGN if foreign else prefix + topics.RAW
    now_ms = int(time.time() * 1000)
    month_ms = now_ms + 30 * DAY_MS
    refused = [(ms, event(900 + at, month_ms)) for at, ms in enumerate([2**61, 2**63 - 1, -1, 0, month_ms])]
    poison = [*refused, (0, None), (2**61, b"{oops"), (5, b"\xff\xfe")]
    good = [(ms, event(at, now_ms - 60_000 - at)) for at, ms in enumerate([2**61, -1, 0, month_ms, now_ms, 7] * 20)]
    kafka = {"brokers": [cleaning_kafka], "topic_prefix": prefix, "group": prefix, "partitions": PARTITIONS}
    if foreign:
        kafka["foreign_raw_topics"] = [raw]
    sources = {prefix + topics.RAW: PARTITIONS, raw: PARTITIONS}
    cluster = Cluster(connection, prefix, prefix, PARTITIONS, sources)

    async def go() -> tuple[list[dict[str, Any]], dict[str, Any]]:
        await create_topics(connection, topics.topic_specs(prefix, PARTITIONS))
        lax = {"message.timestamp.after.max.ms": str(2**63 - 1), "retention.ms": "-1"}
        await create_topics(connection, [topics.TopicSpec(raw, PARTITIONS, lax)])
        async with processes(tmp_path) as (servers, redis_url):
            config = write_config(tmp_path / "f.yaml", kafka=kafka, redis={"url": redis_url, "prefix": prefix})
            worker = start_worker(servers, "worker", config)
            # A commit marker that is the last record of a partition is never committed, so something comes after it.
            await asyncio.to_thread(_transactions, cleaning_kafka, raw, event(500, now_ms - 60_000))
            until_s = time.monotonic() + _STUCK_S
            while (await cluster.ends(raw))[0] < 2:
                assert time.monotonic() < until_s, "the commit marker is not written"
                await asyncio.sleep(0.1)
            await _send(cleaning_kafka, raw, poison)
            await cluster.folded(_STUCK_S)
            worker.kill()
            worker.wait()
            start_worker(servers, "again", config)
            await _send(cleaning_kafka, raw, good)
            await cluster.folded(_STUCK_S)
        letters, table = await cluster.refused(), await cluster.table("throughput")
        await cluster.close()
        return letters, table

    letters, table = run(go())
    found = Counter(
        letter["code"] for letter in {letter["offset"] * 2 + letter["partition"]: letter for letter in letters}.values()
    )
    assert found == {"future_time": 5, "not_json": 2, "not_utf8": 1}
    assert all(abs(_ms(letter["at"]) - now_ms) < DAY_MS for letter in letters), "a letter's time is that of arrival"
    outcomes = run(_outcomes(cleaning_kafka, prefix))
    assert set(outcomes) == {f"e-{at}" for at in range(120)} | {"e-500"}
    assert set(outcomes.values()) == {RecordOutcome.counted}, "an event was late: poison has moved the watermark"
    shown = next(row for row in table.values() if row["scope_key"] == "all" and row["window"] == "24h")
    assert shown["labels"] == 121


def _ms(text: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(text).timestamp() * 1000)


def _transactions(bootstrap: str, topic: str, value: bytes) -> None:
    """Send an event in a transaction, with headers and a key of 300 kB, and then a transaction without any record."""
    producer = Producer({"bootstrap.servers": bootstrap, "transactional.id": f"{topic}-t"})
    producer.init_transactions(60)
    producer.begin_transaction()
    producer.produce(topic, value, key=b"k" * 300_000, partition=0, headers={"h": b"x" * 1000, "n": None})
    producer.commit_transaction(60)
    producer.begin_transaction()
    producer.commit_transaction(60)


@pytest.mark.usefixtures("real_kafka")
def test_an_intake_that_takes_over_leaves_refused_what_was_refused(kafka_bootstrap: str) -> None:
    """Two intakes one after the other on a real log, the second one an hour later and from the same offset."""
    connection, prefix = {"bootstrap_servers": kafka_bootstrap}, "taken-over."
    now_ms = 1_795_430_000_000
    values = [event(at, now_ms + at * 60_000) for at in range(30)]

    async def go() -> tuple[set[str], set[str]]:
        await create_topics(connection, topics.topic_specs(prefix, PARTITIONS))
        producer = AIOKafkaProducer(acks="all", **connection)
        await producer.start()
        writer, reader = KafkaLogWriter(producer), KafkaLogReader(connection)
        out = TopicNames(prefix, PARTITIONS)
        try:
            for clock_ms, upto in ((now_ms, 20), (now_ms + 3_600_000, 30)):
                stage = Intake(
                    "their",
                    5,
                    out,
                    writer,
                    reader,
                    IntakePolicy(),
                    Nothing(),
                    now_ms=lambda clock_ms=clock_ms: clock_ms,
                )  # type: ignore[misc]
                stage.fold([Record(at, 0, None, value, True) for at, value in enumerate(values[:upto])])
                await stage.flush()
        finally:
            await producer.stop()
        found: list[set[str]] = []
        for topic in (topics.EVENTS, topics.DEAD_LETTERS):
            held = [r for p in range(PARTITIONS) async for part in reader.read(prefix + topic, p) for r in part]
            bodies = [json.loads(value or b"") for _, _, value in held]
            found.append({json.loads(body["value"])["id"] if "value" in body else body["id"] for body in bodies})
        return found[0], found[1]

    events, dead = run(go())
    assert events | dead == {f"e-{at}" for at in range(30)}
    assert events & dead == set()
    assert len(dead) == 14, "dated more than five minutes ahead of the first run, which saw twenty"


@pytest.mark.usefixtures("real_kafka")
def test_topics_of_an_older_version_are_altered_and_nothing_else_of_them(kafka_bootstrap: str, tmp_path: Path) -> None:
    prefix, connection = "older-times.", {"bootstrap_servers": kafka_bootstrap}
    specs = topics.topic_specs(prefix, PARTITIONS)
    setting = "message.timestamp.type"
    old = [
        replace(spec, config={k: v for k, v in spec.config.items() if k != setting} | {"segment.ms": "3600000"})
        for spec in specs
    ]
    names = [spec.name for spec in specs]
    kafka = {
        "brokers": [kafka_bootstrap],
        "topic_prefix": prefix,
        "partitions": PARTITIONS,
        "foreign_raw_topics": ["theirs.x"],
    }
    config = write_config(tmp_path / "f.yaml", kafka=kafka)
    settings = load(config, {}).kafka

    async def described() -> dict[str, dict[str, str]]:
        admin = await open_admin(connection)
        try:
            return await topic_configs(admin, names)
        finally:
            await admin.close()

    async def prepare() -> dict[str, dict[str, str]]:
        await create_topics(connection, [*old, topics.TopicSpec("theirs.x", 1, {"retention.ms": "1000"})])
        return await described()

    before = run(prepare())
    told = {check.name: check for check in run(kafka_checks(settings, 14))}
    assert told["arrival times"].status == "warn"
    assert prefix + "raw.v1" in told["arrival times"].detail
    assert "floorwatch topics create" in (told["arrival times"].fix or "")
    assert "theirs.x" in told["raw topics' retention"].detail
    done = CliRunner().invoke(build("topics"), ["topics", "create", "--config", str(config)])
    assert done.exit_code == 0, done.output
    assert done.output.count(f"{setting} CreateTime -> LogAppendTime") == len(specs)

    def altered() -> dict[str, dict[str, str]] | None:
        """A broker tells of what was altered a moment later."""
        now = run(described())
        return now if all(config[setting] == "LogAppendTime" for config in now.values()) else None

    after = until_plain(altered, "the altered topics")
    assert {config[setting] for config in before.values()} == {"CreateTime"}
    assert after == {name: {**config, setting: "LogAppendTime"} for name, config in before.items()}
    again = CliRunner().invoke(build("topics"), ["topics", "create", "--config", str(config)])
    assert "altered" not in again.output
    assert {check.name: check for check in run(kafka_checks(settings, 14))}["arrival times"].status == "ok"
