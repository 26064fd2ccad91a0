"""The typed SDK: make contract events and emit them, to Kafka or to the gateway.

    label = LabelSubmittedData(label_id="l-1", labeler_id="ana", values=["hate"])
    async with Client(brokers="kafka:9092") as client:
        await client.emit([event(label, task_id="t-1", source="my-tool")])

``emit`` returns when every event is durable, and checks all of them before it sends the first. Events of one task keep
their order. What fails may be sent again as it is: the same (source, id) counts once.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Self

from floorwatch.sdk_events import BadEvents, Given, NotEmitted, checked, event
from floorwatch.sdk_http import HttpClient
from streams.models.events import (
    AppealDecided,
    AppealDecidedData,
    AppealOpened,
    AppealOpenedData,
    AuditCompleted,
    AuditCompletedData,
    AuditWithdrawn,
    AuditWithdrawnData,
    BreakData,
    BreakEnded,
    BreakStarted,
    Event,
    LabelSubmitted,
    LabelSubmittedData,
    LabelWithdrawn,
    LabelWithdrawnData,
    Prediction,
    Sampling,
    ShiftScheduled,
    ShiftScheduledData,
    TaskCancelled,
    TaskCancelledData,
    TaskClaimed,
    TaskClaimedData,
    TaskCreated,
    TaskCreatedData,
)
from streams.models.explain import Refusal
from streams.models.rules import DEFAULT_LIMITS, EventLimits
from streams.models.topics import RAW, partition_of

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

__all__ = [
    "AppealDecided",
    "AppealDecidedData",
    "AppealOpened",
    "AppealOpenedData",
    "AuditCompleted",
    "AuditCompletedData",
    "AuditWithdrawn",
    "AuditWithdrawnData",
    "BadEvents",
    "BreakData",
    "BreakEnded",
    "BreakStarted",
    "Client",
    "Event",
    "EventLimits",
    "HttpClient",
    "LabelSubmitted",
    "LabelSubmittedData",
    "LabelWithdrawn",
    "LabelWithdrawnData",
    "NotEmitted",
    "Prediction",
    "Refusal",
    "Sampling",
    "ShiftScheduled",
    "ShiftScheduledData",
    "TaskCancelled",
    "TaskCancelledData",
    "TaskClaimed",
    "TaskClaimedData",
    "TaskCreated",
    "TaskCreatedData",
    "emit",
    "emit_http",
    "event",
]

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
        from aiokafka import AIOKafkaProducer
        from aiokafka.errors import KafkaError

        producer = AIOKafkaProducer(acks="all", max_batch_size=262_144, max_request_size=4 << 20, **self._settings)
        try:
            await producer.start()
            self._partitions = len(await producer.partitions_for(self.topic))
        except (KafkaError, OSError) as error:
            from streams.adapters.reach import said_by

            await producer.stop()
            where = self._settings["bootstrap_servers"]
            raise NotEmitted(f"topic {self.topic} on {where} cannot be reached: {said_by(error)}") from error
        except BaseException:
            await producer.stop()
            raise
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
            from streams.adapters.reach import said_by

            raise NotEmitted(
                f"{self.topic} did not take the events: {type(error).__name__}: {said_by(error)}"
            ) from error
        return len(records)


def emit(
    events: Iterable[Given],
    *,
    brokers: str | Sequence[str] | None = None,
    topic: str = DEFAULT_TOPIC,
    url: str | None = None,
    token: str | None = None,
) -> int:
    """Emit events from code that is not async, to Kafka or to a gateway; returns their number. One connection for each call.

    Without ``brokers`` and ``url`` the environment decides: ``FLOORWATCH_URL`` (a gateway, with ``FLOORWATCH_TOKEN``),
    else ``FLOORWATCH_KAFKA__BROKERS``; else the gateway of the ``floorwatch up`` that runs is taken.

    Args:
        events: As for ``Client.emit``.
        brokers: ``host:port,…`` or a list of them: see ``Client``.
        topic: The raw topic with its prefix, for Kafka.
        url: Of a gateway: see ``HttpClient``.
        token: Bearer token, where the gateway wants one.

    Raises:
        ValueError: Both ``brokers`` and ``url`` are given.
        BadEvents: Some would be refused; see ``Client.emit`` and ``HttpClient.emit``.
        NotEmitted: There is nowhere to send, or not all are known to have arrived.
    """
    if brokers is not None and url is not None:
        raise ValueError("give brokers or url, not both")
    if brokers is None and url is None:
        brokers, url, token = _destination(token)
    if url is not None:
        return emit_http(events, url=url, token=token)

    async def run() -> int:
        async with Client(brokers=brokers or "", topic=topic) as client:
            return await client.emit(events)

    return asyncio.run(run())


def _destination(token: str | None) -> tuple[str | None, str | None, str | None]:
    """Return (brokers, url, token) of where to send when the call does not say."""
    from floorwatch.embedded.find import StackNotFound, locate

    env = os.environ
    token = token or env.get("FLOORWATCH_TOKEN") or None
    if env.get("FLOORWATCH_URL"):
        return None, env["FLOORWATCH_URL"], token
    if env.get("FLOORWATCH_KAFKA__BROKERS"):
        return env["FLOORWATCH_KAFKA__BROKERS"], None, None
    try:
        found = locate()
    except StackNotFound as error:
        raise NotEmitted(f"nowhere to send: {error}") from error
    if found is None:
        raise NotEmitted(
            "nowhere to send: no `floorwatch up` runs; start one, or give brokers= or url= (or FLOORWATCH_URL)"
        )
    if "gateway" not in found.state.urls:
        raise NotEmitted(f"nowhere to send: the stack on {found.var} runs without a gateway; give brokers= or url=")
    return None, found.state.urls["gateway"], token


def emit_http(events: Iterable[Given], *, url: str, token: str | None = None) -> int:
    """Emit events to a gateway from code that is not async; see ``HttpClient.emit``."""

    async def run() -> int:
        async with HttpClient(url, token=token) as client:
            return await client.emit(events)

    return asyncio.run(run())
