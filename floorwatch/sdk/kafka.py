"""Emitting events to Kafka; part of :mod:`floorwatch.sdk`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

from floorwatch.sdk.events import Given, NotEmitted, checked
from streams.models.kafka_error import said_by
from streams.models.kafka_producer import started_producer
from streams.models.time_rules import DEFAULT_LIMITS, EventLimits
from streams.models.topics import RAW, partition_of

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

DEFAULT_TOPIC = f"floorwatch.{RAW}"


class Client:
    """Emits to Kafka: acks=all, keyed by task, CRC-32 partitions as everything in Floorwatch."""

    def __init__(
        self,
        *,
        brokers: str | Sequence[str],
        topic: str = DEFAULT_TOPIC,
        idempotent: bool = False,
        limits: EventLimits = DEFAULT_LIMITS,
        **kafka: Any,
    ) -> None:
        """Name the broker; nothing is reached yet.

        Args:
            brokers: ``host:port,…`` or a list of them.
            topic: The raw topic with its prefix.
            idempotent: Let Kafka drop a producer's repetitions, which the ledger ignores anyway; the embedded broker
                cannot.
            limits: How far an event's times may be from its own, where the floor's configuration (``events``) differs
                from the defaults.
            **kafka: Further arguments of ``aiokafka.AIOKafkaProducer``, such as those for TLS and SASL.
        """
        self.topic = topic
        self._limits = limits
        addresses = brokers if isinstance(brokers, str) else ",".join(brokers)
        self._settings = {"bootstrap_servers": addresses, "enable_idempotence": idempotent, "linger_ms": 5, **kafka}
        self._producer: AIOKafkaProducer | None = None
        self._partitions = 0
        self._in_order = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Reach the broker.

        Raises:
            NotEmitted: The broker cannot be reached, or the topic is not there.
        """
        from aiokafka.errors import KafkaError, UnknownTopicOrPartitionError

        producer = None
        try:
            producer = await started_producer(self._settings, batch_bytes=262_144, request_bytes=4 << 20)
            self._partitions = len(await producer.partitions_for(self.topic))
        except BaseException as error:
            if producer is not None:
                await producer.stop()
            if not isinstance(error, KafkaError | OSError):
                raise
            where = self._settings["bootstrap_servers"]
            if isinstance(error, UnknownTopicOrPartitionError):
                said = (
                    f"{where} has no topic {self.topic}: create it with `floorwatch topics create`, or correct topic="
                )
                raise NotEmitted(said) from None
            hint = "start the broker, or correct brokers=; `floorwatch doctor` tells more"
            said = f"topic {self.topic} on {where} cannot be reached: {said_by(error)} ({hint})"
            raise NotEmitted(said) from None
        self._producer = producer

    async def stop(self) -> None:
        """Send what is under way and leave the broker."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def emit(self, events: Iterable[Given]) -> int:
        """Emit events; returns their number once the broker has them all.

        Args:
            events: Structs of this module, dicts in the contract's words, or JSON bytes.

        Raises:
            BadEvents: Some would be refused; nothing was sent.
            NotEmitted: Not all are known to have arrived.
        """
        from aiokafka.errors import KafkaError

        records = checked(events, self._limits)
        producer = self._producer
        if producer is None:
            raise NotEmitted("the client is not started: use 'async with Client(…)'")
        try:
            waiting = []
            # One call after the other, so that two calls at once cannot mix up a task's order.
            async with self._in_order:
                for key, value in records:
                    partition = partition_of(key, self._partitions)
                    waiting.append(await producer.send(self.topic, value, key=key, partition=partition))
            for delivery in waiting:
                await delivery
        except (KafkaError, OSError, TimeoutError) as error:
            raise NotEmitted(
                f"{self.topic} did not take the events: {type(error).__name__}: {said_by(error)}"
            ) from None
        return len(records)
