"""A quick look at a few tasks on the log: their labels and verdicts from a time on, within bounds of time and size.

`floorwatch facts` replays all of a task's partition and says what counts; this only shows what came, for somebody who waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct, field

from floorwatch.replay.fact_text import brief
from streams.core.facts import fact_of
from streams.models.events import decode_log_event
from streams.models.topics import partition_of

MOST_RECORDS = 300_000
"""Records that are looked through."""
LOOK_S = 4.0
"""For how long."""
_BEFORE_END = 100_000
"""Records before the end of a partition, where the broker knows no record after the time."""
_POLL_RECORDS, _POLL_MS = 20_000, 500
_MOST_LINES = 8


class TaskLine(Struct, frozen=True):
    """What one event says of a task: event time and a short sentence that names no person."""

    time_ms: int
    says: str


class TaskLook(Struct, frozen=True):
    """What was seen.

    Attributes:
        lines: By task id, in the order of event time and then of the log, the last eight of each.
        whole: All records from that time on were looked at.
    """

    lines: dict[str, tuple[TaskLine, ...]] = field(default_factory=dict)
    whole: bool = True


Found = dict[str, dict[TaskLine, int]]
"""By task its lines, each with the offset at which it came first."""


async def look(
    settings: dict[str, Any], topic: str, partitions: int, tasks: Collection[str], since_ms: int
) -> TaskLook:
    """Return what the log says of some tasks from a time on.

    Args:
        settings: aiokafka's connection settings.
        topic: Full name of the topic of events.
        partitions: How many it has.
        tasks: Ids of tasks.
        since_ms: Records that the broker has from then on (Unix ms) are looked at.

    Raises:
        aiokafka.errors.KafkaError: The broker cannot be reached or refuses.
    """
    keys = {task.encode(): task for task in tasks}
    places = sorted({TopicPartition(topic, partition_of(key, partitions)) for key in keys})
    if not places:
        return TaskLook()
    consumer = AIOKafkaConsumer(group_id=None, enable_auto_commit=False, auto_offset_reset="earliest", **settings)
    try:
        async with asyncio.timeout(LOOK_S):
            await consumer.start()
    except TimeoutError:
        await consumer.stop()
        return TaskLook(whole=False)
    found: Found = {}
    try:
        whole = await _read(consumer, places, since_ms, keys, found)
    finally:
        await consumer.stop()
    return TaskLook({task: _in_order(some) for task, some in found.items()}, whole)


def _in_order(some: dict[TaskLine, int]) -> tuple[TaskLine, ...]:
    return tuple(sorted(some, key=lambda line: (line.time_ms, some[line]))[-_MOST_LINES:])


async def _read(
    consumer: AIOKafkaConsumer,
    places: list[TopicPartition],
    since_ms: int,
    keys: dict[bytes, str],
    found: Found,
) -> bool:
    """Note what some partitions hold of the tasks; return whether their ends were reached."""
    seen = 0
    try:
        async with asyncio.timeout(LOOK_S):
            ends = await _begin(consumer, places, since_ms)
            left = {place for place in places if await consumer.position(place) < ends[place]}
            while left and seen < MOST_RECORDS:
                polled = await consumer.getmany(*left, timeout_ms=_POLL_MS, max_records=_POLL_RECORDS)
                for place, records in polled.items():
                    seen += len(records)
                    _note((one for one in records if one.key in keys), keys, found)
                    ends[place] = max(ends[place], consumer.highwater(place) or 0)
                left = {place for place in left if await consumer.position(place) < ends[place]}
                if not polled:  # the embedded broker may tell an end that holds nothing to read
                    break
    except TimeoutError:
        return False
    return not left


async def _begin(consumer: AIOKafkaConsumer, places: list[TopicPartition], since_ms: int) -> dict[TopicPartition, int]:
    """Place the consumer at the first records from a time on; return the ends."""
    consumer.assign(places)
    ends: dict[TopicPartition, int] = await consumer.end_offsets(places)
    begins: dict[TopicPartition, int] = await consumer.beginning_offsets(places)
    known: dict[TopicPartition, Any] = await consumer.offsets_for_times(dict.fromkeys(places, since_ms))
    for place in places:
        at = known.get(place)
        consumer.seek(place, max(begins[place], ends[place] - _BEFORE_END) if at is None else at.offset)
    return ends


def _note(records: Iterable[Any], keys: dict[bytes, str], found: Found) -> None:
    for record in records:
        try:
            fact = fact_of(record.offset, decode_log_event(record.value or b""))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            continue  # workers set it aside, so it counts for nothing
        if fact is not None and (says := brief(fact)):
            found.setdefault(keys[record.key], {}).setdefault(TaskLine(fact.time_ms, says), record.offset)
