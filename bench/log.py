"""The broker as the benchmarks use it: fill a topic fast, ask how far a group is, read results."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # its own list leaves it out

from bench.stack import PARTITIONS, BenchError, Stack
from streams.models.topics import TopicSpec, partition_of

_READ = 2_000
"""Messages of one call: it returns only when it has them all or its time is over."""


def _quiet(stack: Stack) -> dict[str, Any]:
    return {"bootstrap.servers": stack.brokers, "log_level": 3}


def create(stack: Stack, specs: Iterable[TopicSpec]) -> None:
    """Create topics."""
    admin = AdminClient(_quiet(stack))
    wanted = [NewTopic(spec.name, spec.partitions, 1, config=spec.config) for spec in specs]
    for future in admin.create_topics(wanted).values():
        future.result()


def plain(name: str, config: Mapping[str, str] | None = None) -> TopicSpec:
    """Return a topic that keeps everything."""
    return TopicSpec(name, PARTITIONS, {"retention.ms": "-1", **(config or {})})


def drop(stack: Stack, prefix: str) -> None:
    """Delete every topic whose name begins with a prefix: their pages would crowd those of the next run."""
    if found := names(stack, prefix):
        admin = AdminClient(_quiet(stack))  # held by a name: without one it is gone before it has answered
        for future in admin.delete_topics(found).values():
            future.result()


def names(stack: Stack, prefix: str) -> list[str]:
    """Return the topics whose name begins with a prefix."""
    topics = AdminClient(_quiet(stack)).list_topics(timeout=10).topics
    return sorted(name for name in topics if name.startswith(prefix))


def fill(stack: Stack, topic: str, events: Iterable[tuple[bytes, bytes]]) -> int:
    """Put events on a topic, by task; return how many.

    Raises:
        BenchError: The broker did not take all of them.
    """
    failed: list[str] = []

    def delivered(error: object, _: object) -> None:
        if error is not None:
            failed.append(str(error))

    settings = {
        **_quiet(stack),
        "acks": "all",
        "linger.ms": 50,
        "batch.size": 1_000_000,
        "queue.buffering.max.messages": 200_000,
    }
    producer = Producer(settings)
    count = 0
    for key, value in events:
        while True:
            try:
                producer.produce(topic, value, key, partition=partition_of(key, PARTITIONS), on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.1)
        count += 1
        if count % 10_000 == 0:
            producer.poll(0)
    left = producer.flush(120)
    if left or failed:
        raise BenchError(f"{topic}: {left} events not sent, {len(failed)} refused: {failed[:1]}")
    return count


class Offsets:
    """Where a group and a topic stand."""

    def __init__(self, stack: Stack, group: str) -> None:
        """Ask about ``group``; nothing is ever consumed."""
        settings = {**_quiet(stack), "group.id": group, "enable.auto.commit": False}
        self._consumer = Consumer(settings)

    def committed(self, topic: str, partitions: int = PARTITIONS) -> list[int]:
        """Return the committed offset of each partition, 0 where there is none."""
        asked = [TopicPartition(topic, partition) for partition in range(partitions)]
        return [max(0, found.offset) for found in self._consumer.committed(asked, timeout=30)]

    def ends(self, topic: str, partitions: int = PARTITIONS) -> list[int]:
        """Return the end of each partition."""
        return [
            self._consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=30)[1] for p in range(partitions)
        ]

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()


def read(stack: Stack, topic: str, partitions: int = PARTITIONS) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield (key, value) of everything a topic holds now, partition by partition."""
    for _, key, value in read_placed(stack, topic, partitions):
        yield key, value


def read_placed(stack: Stack, topic: str, partitions: int = PARTITIONS) -> Iterator[tuple[int, bytes, bytes | None]]:
    """Yield (partition, key, value) of everything a topic holds now, partition by partition."""
    settings = {
        **_quiet(stack),
        "group.id": f"reader-{time.monotonic_ns()}",
        "enable.auto.commit": False,
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
    }
    for partition in range(partitions):
        consumer = Consumer(settings)
        try:
            consumer.assign([TopicPartition(topic, partition, 0)])
            done = False
            while not done:
                for message in consumer.consume(_READ, timeout=0.1):
                    error = message.error()
                    if error is None:
                        yield partition, message.key() or b"", message.value()
                    elif error.name() == "_PARTITION_EOF":
                        done = True
                    else:
                        raise BenchError(f"{topic}[{partition}]: {error}")
        finally:
            consumer.close()
