"""Commits, and what the worker must do about each answer of the coordinator.

Faust returns False when the member is fenced, returns True when the partition is no longer assigned, and crashes on all
other errors. It waits without limit for a coordinator that is away, on one of the two workers that fetching needs. So
offsets are committed past Faust, on the consumer's own thread. This uses internals of Faust that
tests/engine/test_faust_contract.py checks.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    KafkaTimeoutError,
    UnknownMemberIdError,
)
from aiokafka.structs import OffsetAndMetadata

from streams.engine.errors import Fenced

log = logging.getLogger(__name__)

_FENCED_INSTANCE_ID = 82
"""Kafka's error code FENCED_INSTANCE_ID, for which aiokafka has no class."""

_GRACE_S = 1.0


class Membership(NamedTuple):
    """This worker's membership of its group: its member id and the generation of its assignment."""

    member_id: str
    generation: int

    def directly_after(self, before: Membership | None) -> bool:
        """Return whether this assignment directly follows another one of the same member.

        If so, nobody else can have owned in between what this member owned before and owns now. Any assignment in
        between, even one whose result it never learned, would have had its own generation.
        """
        return before is not None and self.member_id == before.member_id and self.generation == before.generation + 1


def membership(app: Any) -> Membership:
    """Return the present membership of the app's consumer."""
    coordinator = app.consumer._thread._ensure_consumer()._coordinator  # noqa: SLF001
    return Membership(coordinator.member_id, coordinator.generation)


async def commit(app: Any, topic: str, partition: int, offset: int, patience_s: float) -> bool:
    """Commit an offset of the app's group.

    Args:
        app: The Faust app.
        topic: Full topic name.
        partition: Partition.
        offset: The next offset to read.
        patience_s: Seconds to wait for a coordinator that does not answer.

    Returns:
        Whether the offset is committed. False means: try again later, because the coordinator is away or a rebalance is
        under way.

    Raises:
        Fenced: The group does not know this member any more.
        KafkaError: A retry will not help either (no right to commit).
    """
    thread = app.consumer._thread  # noqa: SLF001
    place = TopicPartition(topic, partition)
    offered = asyncio.run_coroutine_threadsafe(_offer(thread, place, offset, patience_s), thread.thread_loop)
    try:
        # The thread may have ended, and then nobody answers.
        return await asyncio.wait_for(asyncio.wrap_future(offered), patience_s + _GRACE_S)
    except TimeoutError:
        return False


async def _offer(thread: Any, place: TopicPartition, offset: int, patience_s: float) -> bool:
    consumer = thread._ensure_consumer()  # noqa: SLF001
    if place not in consumer.assignment():
        return False
    try:
        await asyncio.wait_for(consumer.commit({place: OffsetAndMetadata(offset, "")}), patience_s)
    except (TimeoutError, KafkaError) as error:
        return judged(error)
    return True


async def committed(app: Any, topic: str, partition: int) -> int:
    """Return the group's offset of a partition; 0 where nothing is committed.

    Args:
        app: The Faust app.
        topic: Full topic name.
        partition: Partition.
    """
    thread = app.consumer._thread  # noqa: SLF001

    async def ask() -> int:
        return int(await thread._ensure_consumer().committed(TopicPartition(topic, partition)) or 0)  # noqa: SLF001

    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(ask(), thread.thread_loop))


def judged(error: BaseException) -> bool:
    """Return False for an error that will pass; raise any other.

    Args:
        error: What a commit ended with.

    Raises:
        Fenced: The group does not know this member any more.
        BaseException: The error itself, where neither waiting nor joining anew helps.
    """
    if isinstance(error, CommitFailedError):
        # aiokafka raises the same class for a member that must join a rebalance, and that one is still a member.
        if isinstance(error.__cause__, (UnknownMemberIdError, IllegalGenerationError)):
            raise Fenced(f"{type(error.__cause__).__name__}: {error.__cause__}") from error
        return False
    if getattr(error, "errno", None) == _FENCED_INSTANCE_ID:
        raise Fenced("another member has joined under this one's group instance id") from error
    if isinstance(error, (TimeoutError, KafkaTimeoutError, IllegalStateError)):
        return False  # nobody answers; or the partitions are just being taken away
    if isinstance(error, KafkaError) and error.retriable:
        return False
    raise error
