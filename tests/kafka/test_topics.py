"""Topics as they are created on a real Kafka: partitions said, retention and compaction as the guarantees need them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from typer.testing import CliRunner

from floorwatch.cli import build
from streams.adapters.admin import create_topics, open_admin
from streams.models import topics
from tests.kafka.conftest import write_config

PREFIX = "topics-test."


async def _described(bootstrap: str, names: list[str]) -> tuple[dict[str, int], dict[str, dict[str, str]]]:
    admin = await open_admin({"bootstrap_servers": bootstrap})
    try:
        found = await admin.describe_topics(names)
        while any(topic["error_code"] for topic in found):  # created, but the broker has not heard of it yet
            await asyncio.sleep(0.1)
            found = await admin.describe_topics(names)
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
