"""Arguments for the clients of Kafka and Redis, made from the configuration."""

from __future__ import annotations

import ssl
from typing import Any

from config.kafka import KafkaSettings
from config.redis import RedisSettings


def kafka_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Return keyword arguments for any aiokafka client: brokers and security.

    Args:
        kafka: The ``kafka`` section.

    Raises:
        OSError: A certificate file cannot be read (ssl.SSLError if it is not PEM).
    """
    security = kafka.security
    options: dict[str, Any] = {"bootstrap_servers": list(kafka.brokers), "security_protocol": security.protocol}
    if security.protocol.startswith("SASL"):
        options["sasl_mechanism"] = security.mechanism
        options["sasl_plain_username"] = security.username
        options["sasl_plain_password"] = security.password.get_secret_value() if security.password else None
    context = tls_context(kafka)
    if context is not None:
        options["ssl_context"] = context
    return options


def tls_context(kafka: KafkaSettings) -> ssl.SSLContext | None:
    """Return the TLS context for the broker, or None where the protocol has no TLS. Raises as ``kafka_options``."""
    security = kafka.security
    if not security.protocol.endswith("SSL"):
        return None
    context = ssl.create_default_context(cafile=None if security.ca_file is None else str(security.ca_file))
    if security.cert_file is not None and security.key_file is not None:
        context.load_cert_chain(str(security.cert_file), str(security.key_file))
    return context


def redis_options(redis: RedisSettings) -> dict[str, Any]:
    """Return keyword arguments for ``redis.asyncio.Redis.from_url`` (``url`` among them)."""
    options: dict[str, Any] = {"url": redis.url}
    if redis.password is not None:
        options["password"] = redis.password.get_secret_value()
    if redis.ca_file is not None and redis.url.startswith("rediss://"):
        options["ssl_ca_certs"] = str(redis.ca_file)
    return options
