"""The load: a seeded simulated floor, sent at a bounded rate by a producer that tries until it is told yes."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from floorwatch.simulate.config import FloorConfig
from floorwatch.simulate.simulated_floor import simulate
from floorwatch.simulate.wire import Sent
from streams.models import topics
from streams.models.kafka_producer import open_producer, started_producer

_START_MS = 1_735_689_600_000
"""2025-01-01T00:00Z: the past on any clock, so that nothing is refused as being of the future, and the same each run."""

_TICK_S = 0.1
_MAX_CHUNK = 2_000
_PATIENCE_S = 50.0
_HOURS = (6.0, 36.0)
_HOURS_PER_MINUTE = 1.5


def floor_log(seed: int, events: int, load_s: float) -> list[Sent]:
    """Return the first events of a floor in order of arrival: duplicates, disorder, late audits, overturns and all.

    The floor spans 1.5 simulated hours per minute of load (6 to 36 hours), so that many panes are open and closed.

    Args:
        seed: Of the floor.
        events: How many at most.
        load_s: Seconds over which they will be sent.
    """
    hours = min(_HOURS[1], max(_HOURS[0], _HOURS_PER_MINUTE * load_s / 60))
    # A little more than is asked for, because the floor's rate is an average over the day.
    rate = 1.3 * events / (hours * 3600)
    floor = FloorConfig(
        start_ms=_START_MS, duration_s=1.5 * hours * 3600, rate=rate, audit_delay_scale=0.1, faults=True
    )
    return list(islice(simulate(floor, seed), events))


class Load:
    """Sends a log to the raw topic, each task's events in order, at a rate.

    Attributes:
        acknowledged: So many events of the log, from its beginning, the broker has.
        repeated: Records sent a second time on purpose.
        retried: Sends that failed and were done again.
    """

    def __init__(self, bootstrap: str, prefix: str, partitions: int, log: Sequence[Sent], rate: float) -> None:
        """Connect to nothing yet.

        Args:
            bootstrap: ``host:port``.
            prefix: Of topic names.
            partitions: Of the raw topic.
            log: What to send.
            rate: Events per second; after an outage up to 2,000 events are sent at once.
        """
        self._bootstrap, self._topic, self._partitions = bootstrap, prefix + topics.RAW, partitions
        self._log, self._rate = log, rate
        self.acknowledged = 0
        self.repeated = 0
        self.retried = 0

    async def run(self) -> None:
        """Send the whole log."""
        sender = _Sender(self._bootstrap)
        began_s = time.monotonic()
        try:
            while self.acknowledged < len(self._log):
                due = min(len(self._log), int(self._rate * (time.monotonic() - began_s)))
                chunk = self._log[self.acknowledged : min(due, self.acknowledged + _MAX_CHUNK)]
                if chunk:
                    await self._send(sender, chunk)
                    self.acknowledged += len(chunk)
                if due - self.acknowledged < self._rate * _TICK_S:
                    await asyncio.sleep(_TICK_S)
        finally:
            await sender.close()

    async def duplicate(self, rng: Random, lasts_s: float) -> None:
        """Be a second producer: send runs of events again that the broker has, old ones and the newest.

        Args:
            rng: Chooses the runs.
            lasts_s: For how long.
        """
        sender = _Sender(self._bootstrap)
        until_s = time.monotonic() + lasts_s
        try:
            while time.monotonic() < until_s:
                end = self.acknowledged if rng.random() < 0.5 else rng.randint(0, self.acknowledged)
                chunk = self._log[max(0, end - rng.randint(20, 200)) : end]
                await self._send(sender, chunk)
                self.repeated += len(chunk)
                await asyncio.sleep(max(_TICK_S, 2 * len(chunk) / self._rate))
        finally:
            await sender.close()

    async def _send(self, sender: _Sender, chunk: Sequence[Sent]) -> None:
        by_partition: dict[int, list[Sent]] = defaultdict(list)
        for sent in chunk:
            by_partition[topics.partition_of(sent.task_id.encode(), self._partitions)].append(sent)
        sends = (sender.send(self._topic, partition, events) for partition, events in by_partition.items())
        self.retried += sum(await asyncio.gather(*sends))


class _Sender:
    """A producer that is made anew when it fails; not idempotent, so its own retries make duplicates too."""

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()

    async def send(self, topic: str, partition: int, events: Sequence[Sent]) -> int:
        """Send until the broker has them; return how often it had to be tried again."""
        tries = 0
        while True:
            try:
                producer = await self._connected()
                await asyncio.wait_for(_append(producer, topic, partition, events), _PATIENCE_S)
            except (KafkaError, OSError, TimeoutError):
                tries += 1
                await self.close()
                await asyncio.sleep(0.3)
            else:
                return tries

    async def _connected(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._producer is None:
                connection = {"bootstrap_servers": self._bootstrap}
                self._producer = await started_producer(connection, timeout_ms=15_000)
            return self._producer

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await asyncio.wait_for(producer.stop(), 5)
            except (KafkaError, OSError, TimeoutError):
                return


async def _append(producer: AIOKafkaProducer, topic: str, partition: int, events: Sequence[Sent]) -> None:
    waiting = [
        await producer.send(topic, event.value, key=event.task_id.encode(), partition=partition) for event in events
    ]
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer


def end_of_input(partitions: int, watermark_ms: int) -> Iterator[tuple[int, Any]]:
    """Yield (partition, record) of what ends a bounded input: a clock event with the greatest event time."""
    from streams.agents.ticker import tick_event

    for partition in range(partitions):
        yield partition, tick_event(partition, watermark_ms, "end of input")


async def end_input(bootstrap: str, prefix: str, partitions: int, watermark_ms: int) -> None:
    """Put the end of the input on every partition of the log of events.

    Args:
        bootstrap: ``host:port``.
        prefix: Of topic names.
        partitions: Of the log.
        watermark_ms: The greatest event time of the input.
    """
    async with open_producer({"bootstrap_servers": bootstrap}) as producer:
        for partition, record in end_of_input(partitions, watermark_ms):
            await producer.send_and_wait(prefix + topics.EVENTS, record.value, key=record.key, partition=partition)
