"""Connection settings of a configuration, for everything that talks to Kafka or Redis."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from redis.asyncio import Redis

if TYPE_CHECKING:
    from config.schema import FloorwatchConfig


def kafka_settings(config: FloorwatchConfig) -> dict[str, Any]:
    """Return aiokafka's connection settings of a configuration."""
    security = config.kafka.security
    settings: dict[str, Any] = {
        "bootstrap_servers": list(config.kafka.brokers),
        "security_protocol": security.protocol,
    }
    if security.protocol.startswith("SASL") and security.password is not None:
        settings["sasl_mechanism"] = security.mechanism
        settings["sasl_plain_username"] = security.username
        settings["sasl_plain_password"] = security.password.get_secret_value()
    if security.protocol.endswith("SSL"):
        settings["ssl_context"] = ssl_context(config)
    return settings


def ssl_context(config: FloorwatchConfig) -> ssl.SSLContext:
    """Return the TLS context of a configuration."""
    security = config.kafka.security
    context = ssl.create_default_context(cafile=str(security.ca_file) if security.ca_file else None)
    if security.cert_file is not None:
        context.load_cert_chain(str(security.cert_file), str(security.key_file) if security.key_file else None)
    return context


def redis_client(config: FloorwatchConfig) -> Redis:
    """Return a Redis client of a configuration; it connects on first use."""
    password = config.redis.password.get_secret_value() if config.redis.password is not None else None
    client: Redis = Redis.from_url(config.redis.url, password=password, socket_timeout=10, socket_connect_timeout=5)
    return client
