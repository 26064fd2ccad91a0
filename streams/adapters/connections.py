"""Clients of Kafka and Redis, made from the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import UnknownError, UnsupportedVersionError
from redis.asyncio import Redis

from streams.engine.errors import Invariant

if TYPE_CHECKING:
    from config.schema import FloorwatchConfig

_BATCH_BYTES = 786_432


def kafka_settings(config: FloorwatchConfig) -> dict[str, Any]:
    """Return aiokafka's connection settings."""
    from config.connect import kafka_options

    return kafka_options(config.kafka)


def redis_client(config: FloorwatchConfig) -> Redis:
    """Return a Redis client; it connects on first use."""
    from config.connect import redis_options

    client: Redis = Redis.from_url(**redis_options(config.redis), socket_timeout=10, socket_connect_timeout=5)
    return client


async def started_producer(config: FloorwatchConfig) -> AIOKafkaProducer:
    """Return the producer of a worker, started; the caller stops it.

    Idempotent, so that a batch sent again after its answer was lost cannot land behind a newer one of the same key, where
    compaction would keep the older.

    Raises:
        Invariant: The broker has no idempotent producers and the configuration asks for one.
    """
    producer = AIOKafkaProducer(
        acks="all",
        enable_idempotence=config.kafka.idempotent_producer,
        max_batch_size=_BATCH_BYTES,
        request_timeout_ms=60_000,
        **kafka_settings(config),
    )
    try:
        await producer.start()
    except (UnknownError, UnsupportedVersionError) as error:
        await producer.stop()
        raise Invariant(
            "the broker gives no producer id (InitProducerId), so it has no idempotent producers. Set "
            "kafka.idempotent_producer to false for such a broker; `floorwatch doctor` checks it."
        ) from error
    return producer
