"""A quick look at tasks on the log: on Apache Kafka and on the embedded broker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka import AIOKafkaProducer

from floorwatch.replay import task_look
from floorwatch.replay.task_look import TaskLook, look
from streams.adapters.admin import create_topics
from streams.engine.log import KafkaLogWriter, ProducerRecord
from streams.models.timestamps import parse_rfc3339_ms
from streams.models.topics import EVENTS, partition_of, topic_specs
from tests.embedded.tansu import running_broker

pytestmark = pytest.mark.servers

PREFIX, PARTITIONS = "look.", 4
TASKS = ("t-1001", "t-1003", "t-9999")
EXAMPLES = Path(__file__).parents[2] / "contract" / "examples.jsonl"
BEGIN_MS = parse_rfc3339_ms("2026-11-22T00:00:00Z")


def events() -> list[tuple[str, int, bytes]]:
    lines = EXAMPLES.read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines if line.strip()]
    return [(one["subject"], parse_rfc3339_ms(one["time"]), json.dumps(one).encode()) for one in found]


async def fill(address: str) -> None:
    connection = {"bootstrap_servers": address}
    kept = {"message.timestamp.type": "CreateTime", "retention.ms": "-1"}
    specs = [replace(spec, config={**spec.config, **kept}) for spec in topic_specs(PREFIX, PARTITIONS)]
    await create_topics(connection, specs)
    producer = AIOKafkaProducer(acks="all", **connection)
    await producer.start()
    try:
        for subject, at_ms, value in events():
            key = subject.encode()
            record = ProducerRecord(key, value, at_ms)
            await KafkaLogWriter(producer).append(PREFIX + EVENTS, partition_of(key, PARTITIONS), [record])
        # What no worker can read counts for nothing, and does not end the look.
        await KafkaLogWriter(producer).append(
            PREFIX + EVENTS, partition_of(b"t-1001", PARTITIONS), [ProducerRecord(b"t-1001", b"{", BEGIN_MS)]
        )
    finally:
        await producer.stop()


@pytest.fixture(scope="module", params=["kafka", "embedded"])
def bootstrap(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with asyncio.Runner() as runner:
        if request.param == "kafka":
            address = request.getfixturevalue("kafka_bootstrap")
            runner.run(fill(address))
            yield address
            return
        stack = AsyncExitStack()
        _, address = runner.run(stack.enter_async_context(running_broker(tmp_path_factory.mktemp("broker"))))
        runner.run(fill(address))
        yield address
        runner.run(stack.aclose())


def looked(address: str, since_ms: int) -> TaskLook:
    return asyncio.run(look({"bootstrap_servers": address}, PREFIX + EVENTS, PARTITIONS, TASKS, since_ms))


def test_labels_and_verdicts_are_shown_without_people(bootstrap: str) -> None:
    seen = looked(bootstrap, BEGIN_MS)
    assert seen.whole
    assert [one.says for one in seen.lines["t-1001"]] == [
        "task created, due Mon 23 Nov 05:00 UTC",
        "label: hate",
        "audit: incorrect (false_positive, major), right is safe",
        "appeal opened",
        "appeal: overturned",
    ]
    assert [one.says for one in seen.lines["t-1003"]] == ["label withdrawn"]
    assert "t-9999" not in seen.lines
    assert "kul-017" not in str(seen)
    assert "qa-003" not in str(seen)


def test_what_came_at_one_time_stands_in_the_order_of_the_log() -> None:
    label, audit = (json.loads(value) for _, _, value in events()[2:4])
    records = [
        SimpleNamespace(key=b"t-1001", offset=at, value=json.dumps({**one, "time": label["time"]}).encode())
        for at, one in enumerate((label, audit, label))  # the label once more
    ]
    found: task_look.Found = {}
    task_look._note(records, {b"t-1001": "t-1001"}, found)
    said = [line.says.partition(":")[0] for line in task_look._in_order(found["t-1001"])]
    assert said == ["label", "audit"]


def test_what_is_too_much_is_said(bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_look, "MOST_RECORDS", 0)
    assert not looked(bootstrap, BEGIN_MS).whole
    monkeypatch.setattr(task_look, "LOOK_S", 0.0)
    assert looked(bootstrap, BEGIN_MS) == TaskLook(whole=False)


def test_only_what_came_since_is_read(kafka_bootstrap: str) -> None:
    asyncio.run(_filled_once(kafka_bootstrap))
    seen = looked(kafka_bootstrap, parse_rfc3339_ms("2026-11-23T03:00:00Z"))
    assert next(one.says for one in seen.lines["t-1001"]).startswith("audit: incorrect")


async def _filled_once(address: str) -> None:
    if not looked_now(await look({"bootstrap_servers": address}, PREFIX + EVENTS, PARTITIONS, TASKS, BEGIN_MS)):
        await fill(address)


def looked_now(seen: TaskLook) -> bool:
    return bool(seen.lines)
