"""The producer of every process: what holds for all of them, and how one is started and stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

ACKS = "all"
"""No process says that something is written before all in-sync replicas have it."""


async def started_producer(
    connection: Mapping[str, Any],
    *,
    idempotent: bool = False,
    batch_bytes: int = 16_384,
    request_bytes: int = 1_048_576,
    linger_ms: int = 0,
    timeout_ms: int = 40_000,
) -> AIOKafkaProducer:
    """Return a started producer; the caller stops it. One that cannot be started is stopped before the error is raised.

    Args:
        connection: ``bootstrap_servers`` and security, as ``config.connect.kafka_options`` makes them. Further arguments of aiokafka
            that stand in it win.
        idempotent: Let the broker drop what is sent twice. The embedded broker has no producer ids; where the ledger ignores
            repetitions anyway, none are needed.
        batch_bytes: Most bytes of a batch of one partition.
        request_bytes: Most bytes of a request, before compression.
        linger_ms: How long a batch that is not full waits for more.
        timeout_ms: How long a request may take, its repetitions included.

    Raises:
        KafkaError: No broker can be reached, or it refuses the connection.
        OSError: As for KafkaError, from below.
    """
    from aiokafka import AIOKafkaProducer

    usual = {
        "acks": ACKS,
        "enable_idempotence": idempotent,
        "max_batch_size": batch_bytes,
        "max_request_size": request_bytes,
        "linger_ms": linger_ms,
        "request_timeout_ms": timeout_ms,
    }
    producer = AIOKafkaProducer(**{**usual, **connection})
    try:
        await producer.start()
    except BaseException:
        await producer.stop()
        raise
    return producer


@asynccontextmanager
async def open_producer(connection: Mapping[str, Any], **limits: Any) -> AsyncIterator[AIOKafkaProducer]:
    """Yield a started producer and stop it at the end. Takes what ``started_producer`` takes, and raises as it does."""
    producer = await started_producer(connection, **limits)
    try:
        yield producer
    finally:
        await producer.stop()
