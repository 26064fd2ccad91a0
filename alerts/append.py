"""Append an input to the log of incidents, from wherever one comes: command line, web pages, notifier."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from alerts.codec import Input, encode_input
from streams.adapters.topic_names import TopicNames
from streams.engine.log import LogWriter, ProducerRecord
from streams.models.topics import SIGNALS

ALERTS_KEY = b"alerts"
"""Key of the inputs. Its partition of signals.v1 is that of all alerts."""


class InputProducer(Protocol):
    """What an input is written with; aiokafka's producer is one."""

    async def send_and_wait(
        self, topic: str, value: bytes | None = None, key: bytes | None = None, partition: int | None = None
    ) -> Any:
        """Write a record; return its metadata once the broker has it."""


async def append_input(producer: InputProducer, names: TopicNames, given: Input) -> tuple[int, int]:
    """Append an input to signals.v1, to the one partition that holds all incidents.

    Args:
        producer: A started producer.
        names: Names of topics, and how many partitions they have.
        given: What to append.

    Returns:
        Partition and offset.

    Raises:
        KafkaError: The broker did not take it.
    """
    chosen = names.partition_of(ALERTS_KEY)
    sent = await producer.send_and_wait(names.name(SIGNALS), encode_input(given), key=ALERTS_KEY, partition=chosen)
    return chosen, int(sent.offset)


async def append_encoded(writer: Callable[[], LogWriter], names: TopicNames, inputs: Sequence[bytes]) -> None:
    """Append encoded inputs to the same partition, by a worker's own writer; returns when the broker has them.

    Args:
        writer: Returns the writer; called once there is one.
        names: Names of topics, and how many partitions they have.
        inputs: JSON of each.
    """
    records = [ProducerRecord(ALERTS_KEY, value) for value in inputs]
    await writer().append(names.name(SIGNALS), names.partition_of(ALERTS_KEY), records)
