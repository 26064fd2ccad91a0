"""Clients of Kafka and Redis, made from the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

if TYPE_CHECKING:
    from config.schema import FloorwatchConfig


def kafka_settings(config: FloorwatchConfig) -> dict[str, Any]:
    """Return aiokafka's connection settings."""
    from config.connect import kafka_options

    return kafka_options(config.kafka)


def redis_client(config: FloorwatchConfig) -> Redis:
    """Return a Redis client; it connects on first use."""
    from config.connect import redis_options

    client: Redis = Redis.from_url(**redis_options(config.redis), socket_timeout=10, socket_connect_timeout=5)
    return client
