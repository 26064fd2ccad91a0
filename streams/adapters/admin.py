"""Broker administration: create the topics, ask how far a group has come."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from streams.models.topics import TopicSpec

_PATIENCE_S = 30.0


async def open_admin(settings: dict[str, Any], patience_s: float = _PATIENCE_S) -> AIOKafkaAdminClient:
    """Return a started admin client, waiting for a broker that is still coming up.

    Raises:
        KafkaError: The broker could not be reached within ``patience_s``.
    """
    deadline = time.monotonic() + patience_s
    while True:
        admin = AIOKafkaAdminClient(**settings)
        try:
            await admin.start()
            return admin
        except (KafkaError, OSError):
            await admin.close()
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


async def create_topics(settings: dict[str, Any], specs: list[TopicSpec], replication: int = 1) -> list[str]:
    """Create the topics that do not exist yet.

    Args:
        settings: aiokafka connection settings.
        specs: Topics to create.
        replication: Replicas of each.

    Returns:
        Names created now.

    Raises:
        KafkaError: The broker refused one.
    """
    admin = await open_admin(settings)
    try:
        existing = set(await admin.list_topics())
        missing = [spec for spec in specs if spec.name not in existing]
        if not missing:
            return []
        topics = [
            NewTopic(spec.name, spec.partitions, replication, topic_configs=dict(spec.config)) for spec in missing
        ]
        response = await admin.create_topics(topics)
        for name, code, *_ in response.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                raise error(f"topic {name}")
        return [spec.name for spec in missing]
    finally:
        await admin.close()


async def committed(admin: AIOKafkaAdminClient, group: str, topic: str, partitions: int) -> dict[int, int]:
    """Return the committed offset of each partition of a topic; 0 where nothing is committed."""
    tps = [TopicPartition(topic, partition) for partition in range(partitions)]
    offsets = await admin.list_consumer_group_offsets(group, partitions=tps)
    return {tp.partition: max(0, offsets[tp].offset) if tp in offsets else 0 for tp in tps}
