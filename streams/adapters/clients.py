"""Clients of Kafka and Redis, made from the configuration."""

from __future__ import annotations

from typing import Any, Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, UnknownError, UnsupportedVersionError
from redis.asyncio import Redis

from config.connect import kafka_options, redis_options
from config.kafka import KafkaSettings
from config.redis import RedisSettings
from streams.adapters.reachability import wait_for_brokers
from streams.engine.errors import Misconfigured
from streams.engine.log import BATCH_BYTES
from streams.models import kafka_producer


class KafkaConfig(Protocol):
    """A configuration that says how Kafka is reached."""

    @property
    def kafka(self) -> KafkaSettings:
        """The broker, the topics and the consumer group."""


SOCKET_TIMEOUT_S = 10.0
"""Seconds that a Redis may take to answer."""


class RedisConfig(Protocol):
    """A configuration that says how Redis is reached."""

    @property
    def redis(self) -> RedisSettings:
        """Where the read model and the outbox live."""


def kafka_settings(config: KafkaConfig) -> dict[str, Any]:
    """Return aiokafka's connection settings."""
    return kafka_options(config.kafka)


def redis_client(config: RedisConfig) -> Redis:
    """Return a Redis client; it connects on first use."""
    options = redis_options(config.redis)
    client: Redis = Redis.from_url(**options, socket_timeout=SOCKET_TIMEOUT_S, socket_connect_timeout=5)
    return client


async def started_producer(config: KafkaConfig) -> AIOKafkaProducer:
    """Return the producer of a worker, started; the caller stops it. A broker that is away is waited for.

    Idempotent, so that a batch sent again after its answer was lost cannot land behind a newer one of the same key, where
    compaction would keep the older.

    Raises:
        Misconfigured: A broker refuses us as we are configured, or has no idempotent producers though one is asked for.
    """
    settings = kafka_settings(config)
    while True:
        await wait_for_brokers(settings)
        try:
            return await kafka_producer.started_producer(
                settings,
                idempotent=config.kafka.idempotent_producer,
                batch_bytes=BATCH_BYTES,
                timeout_ms=60_000,
            )
        except (UnknownError, UnsupportedVersionError) as error:
            raise Misconfigured(
                "the broker gives no producer id (InitProducerId), so it has no idempotent producers. Set "
                "kafka.idempotent_producer to false for such a broker; `floorwatch doctor` checks it."
            ) from error
        except KafkaConnectionError:
            continue  # it went away between the two
