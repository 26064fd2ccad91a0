"""Topics as they are created on a real Kafka: partitions said, retention and compaction as the guarantees need them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from typer.testing import CliRunner

from floorwatch.cli import build
from floorwatch.settings.load import load
from streams.adapters.admin import create_topics, open_admin
from streams.adapters.clients import started_producer
from streams.engine.errors import Misconfigured
from streams.engine.log import KafkaLogReader, KafkaLogWriter
from streams.models import topics
from tests.kafka.conftest import write_config
from tests.waits import until

PREFIX = "topics-test."


async def _described(bootstrap: str, names: list[str]) -> tuple[dict[str, int], dict[str, dict[str, str]]]:
    admin = await open_admin({"bootstrap_servers": bootstrap})
    try:
        found: list[dict[str, Any]] = []

        async def known() -> bool:  # once created, the broker may not have heard of it yet
            found[:] = await admin.describe_topics(names)
            return not any(topic["error_code"] for topic in found)

        await until(known, "the topics to be described", progress=lambda: found)
        answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name) for name in names])
    finally:
        await admin.close()
    configs = {}
    for answer in answers:
        for _, _, _, name, entries in (resource[:5] for resource in answer.resources):
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return {topic["topic"]: len(topic["partitions"]) for topic in found}, configs


def test_topics_carry_their_partitions_and_policies(kafka_bootstrap: str) -> None:
    specs = topics.topic_specs(PREFIX, 3, horizon_days=20)

    async def create() -> tuple[list[str], list[str]]:
        settings = {"bootstrap_servers": kafka_bootstrap}
        return await create_topics(settings, specs), await create_topics(settings, specs)

    made, again = asyncio.run(create())
    assert made == [spec.name for spec in specs]
    assert again == [], "creating twice must change nothing"
    partitions, configs = asyncio.run(_described(kafka_bootstrap, made))
    for spec in specs:
        assert partitions[spec.name] == 3
        carried = {name: configs[spec.name][name] for name in spec.config}
        assert carried == spec.config
    compacted = [name for name, config in configs.items() if config["cleanup.policy"] == "compact"]
    assert {PREFIX + name for name in (topics.LEDGER, topics.PARTIALS, *topics.TABLE_TOPICS.values())} <= {*compacted}
    assert all(int(configs[name]["min.compaction.lag.ms"]) >= 600_000 for name in compacted)
    assert int(configs[PREFIX + topics.EVENTS]["retention.ms"]) >= 21 * 86_400_000
    assert configs[PREFIX + topics.EVENTS]["cleanup.policy"] == "delete", "a compacted log would lose facts"


def test_the_command_creates_them_by_configuration(kafka_bootstrap: str, tmp_path: Path) -> None:
    config = write_config(
        tmp_path / "f.yaml", kafka={"brokers": [kafka_bootstrap], "topic_prefix": "by-command.", "partitions": 5}
    )
    done = CliRunner().invoke(build("topics"), ["topics", "create", "--config", str(config)])
    assert done.exit_code == 0, done.output
    partitions, _ = asyncio.run(_described(kafka_bootstrap, ["by-command.events.v1"]))
    assert partitions == {"by-command.events.v1": 5}


def test_settings_of_the_log_and_of_records_reach_the_topics(kafka_bootstrap: str, tmp_path: Path) -> None:
    kafka = {
        "brokers": [kafka_bootstrap],
        "topic_prefix": "sized.",
        "partitions": 1,
        "events_kept_days": 90,
        "max_message_bytes": 3_000_000,
    }
    config = write_config(tmp_path / "f.yaml", kafka=kafka)
    done = CliRunner().invoke(build("topics"), ["topics", "create", "--config", str(config)])
    assert done.exit_code == 0, done.output
    names = ["sized." + name for name in (topics.EVENTS, topics.RAW, topics.LEDGER)]
    _, configs = asyncio.run(_described(kafka_bootstrap, names))
    assert configs["sized.events.v1"]["retention.ms"] == str(90 * 86_400_000)
    assert configs["sized.raw.v1"]["retention.ms"] == str(15 * 86_400_000)
    assert {found["max.message.bytes"] for found in configs.values()} == {"3000000"}


def test_a_row_of_70_000_labelers_goes_through_and_one_beyond_the_limit_is_said(kafka_bootstrap: str) -> None:
    """Such a row takes 1.5 MB, and a Kafka left alone refuses more than 1 MiB."""
    connection = {"bootstrap_servers": kafka_bootstrap}
    row = msgspec.msgpack.encode((7, [f"labeler-{number:012}" for number in range(70_000)]))
    sent = [(b"r|before", b"x", 1), (b"r|all|0|0|owner", row, 2), (b"r|after", b"y", 3)]

    async def written(prefix: str, config: dict[str, str], most: int) -> list[tuple[bytes, bytes | None]]:
        spec = next(spec for spec in topics.topic_specs(prefix, 1) if spec.name.endswith(topics.LEDGER))
        await create_topics(connection, [topics.TopicSpec(spec.name, 1, {**spec.config, **config})])
        producer = await started_producer(load(None, {"FLOORWATCH_KAFKA__BROKERS": kafka_bootstrap}))
        try:
            await KafkaLogWriter(producer, max_record_bytes=most).append(spec.name, 0, sent)
        finally:
            await producer.stop()
        parts = [part async for part in KafkaLogReader(connection).read(spec.name, 0)]
        return [(key, value) for part in parts for _, key, value in part]

    assert len(row) > 1_400_000
    assert asyncio.run(written("large.", {}, 8_388_608)) == [(key, value) for key, value, _ in sent]
    with pytest.raises(Misconfigured, match=r"r\|all\|0\|0\|owner.* takes 1,\d+,\d+ bytes"):
        asyncio.run(written("beyond.", {}, 1_048_576))
    with pytest.raises(Misconfigured, match=r"--topic older\.\S+ --add-config max\.message\.bytes=8388608"):
        asyncio.run(written("older.", {"max.message.bytes": "1048588"}, 8_388_608))
