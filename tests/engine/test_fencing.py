"""Fencing, commits that are not taken, and flushes that wait: what the stage host does about each."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import (
    CommitFailedError,
    GroupAuthorizationFailedError,
    GroupCoordinatorNotAvailableError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaConnectionError,
    KafkaTimeoutError,
    NodeNotReadyError,
    RebalanceInProgressError,
    UnknownError,
    UnknownMemberIdError,
)

from streams.core.records import Record
from streams.engine.batches import Batch
from streams.engine.commit import Membership, judged
from streams.engine.errors import Fenced, Invariant
from streams.engine.host import StageHost
from streams.engine.partition_state import Phase
from tests.engine.hosts import Counting, batch, host_of, ready, run


class Coordinator:
    """A commit side that is told what to do next: take, be away, or know the member no more."""

    def __init__(self, journal: list[Any], *answers: Any) -> None:
        self.journal, self.answers = journal, list(answers)

    async def commit(self, topic: str, partition: int, offset: int) -> bool:
        answer = self.answers.pop(0) if self.answers else True
        self.journal.append(("commit", offset, answer if isinstance(answer, bool) else "fenced"))
        if isinstance(answer, bool):
            return answer
        raise answer


def told(processor: Counting, coordinator: Coordinator, **more: Any) -> StageHost:
    host = host_of(processor, coordinator.journal, **more)
    host._commit = coordinator.commit
    return host


def test_a_coordinator_that_is_away_is_asked_again_at_the_next_flush_even_without_new_events() -> None:
    async def go() -> list[Any]:
        journal: list[Any] = []
        host = told(Counting(journal), Coordinator(journal, False, False))
        await ready(host)
        await host.process(batch(0, 1))
        await host.flush_all()
        await host.flush_all()
        await host.process(batch(2, 2))
        for _ in range(3):
            await host.flush_all()
        return journal

    assert run(go()) == [
        ("flush", 2),
        ("commit", 2, False),
        ("commit", 2, False),
        ("flush", 3),
        ("commit", 3, True),
    ]


def test_a_fenced_worker_neither_folds_nor_flushes_until_it_is_assigned_anew() -> None:
    async def go() -> tuple[list[Any], list[int], list[int], list[int]]:
        journal: list[Any] = []
        made: list[Counting] = []

        def make(_: int) -> Counting:
            made.append(Counting(journal))
            return made[-1]

        host = told(Counting(journal), Coordinator(journal, Fenced("unknown member")))
        host._make = make
        await ready(host)
        await host.process(batch(0, 1))
        await host.flush_all()
        fenced = host.fenced
        await host.process(batch(2, 3))
        await host.flush_all()
        await host.revoke([0])
        await ready(host)
        await host.process(batch(0, 4))
        await host.flush_all()
        return journal, made[0].seen, made[1].seen, fenced

    journal, before, after, fenced = run(go())
    assert journal == [("flush", 2), ("commit", 2, "fenced"), ("close",), ("flush", 5), ("commit", 5, True)]
    assert before == [0, 1]
    assert after == [0, 1, 2, 3, 4]
    assert fenced == [0]


def test_a_worker_that_stays_fenced_must_go() -> None:
    async def go() -> None:
        journal: list[Any] = []
        host = told(Counting(journal), Coordinator(journal, Fenced("gone")), fenced_patience_s=0.0)
        await ready(host)
        await host.process(batch(0, 1))
        await host.flush_all()
        await asyncio.sleep(0.01)
        with pytest.raises(Invariant, match="does not know this worker any more"):
            await host.flush_all()

    run(go())


def test_unflushed_bytes_are_bounded() -> None:
    async def go() -> list[Any]:
        journal: list[Any] = []
        host = host_of(Counting(journal), journal, max_unflushed_bytes=100)
        await ready(host)
        for offset in range(3):
            await host.process(
                Batch("t", 0, [Record(offset, 0, None, b"x" * 40), Record(offset, 0, None, None)][:1], 9)
            )
        return journal

    assert run(go()) == [("flush", 3), ("commit", 3)]


class Waiting(Counting):
    """A processor whose flush waits until it is let go, as publishing waits for Redis."""

    def __init__(self, journal: list[Any]) -> None:
        super().__init__(journal)
        self.gate = asyncio.Event()

    async def flush(self) -> int | None:
        if not self.dirty:
            return None
        self.journal.append(("begins",))
        await self.gate.wait()
        return await super().flush()


def test_a_flush_that_waits_is_broken_off_when_the_partition_is_given_back() -> None:
    async def go() -> list[Any]:
        journal: list[Any] = []
        processor = Waiting(journal)
        host = host_of(processor, journal, revoke_patience_s=0.05)
        await ready(host)
        await host.process(batch(0, 1))
        flushing = asyncio.ensure_future(host.flush_all())
        await asyncio.sleep(0)
        await host.revoke([0])
        await flushing
        processor.gate.set()
        await asyncio.sleep(0.01)
        return journal

    assert run(go()) == [("begins",), ("close",)]


def test_a_flush_begun_by_the_revocation_itself_is_broken_off_too() -> None:
    async def go() -> list[Any]:
        journal: list[Any] = []
        host = host_of(Waiting(journal), journal, revoke_patience_s=0.05)
        await ready(host)
        await host.process(batch(0, 1))
        await host.revoke([0])
        return journal

    assert run(go()) == [("begins",), ("close",)]


def test_a_partition_whose_last_flush_was_broken_off_is_not_kept() -> None:
    async def go() -> tuple[list[Any], list[int]]:
        journal: list[Any] = []
        host = host_of(Waiting(journal), journal, revoke_patience_s=0.05)
        await ready(host)
        await host.process(batch(0, 1))
        await host.revoke([0], park=True)
        return journal, list(host.owned)

    assert run(go()) == ([("begins",), ("close",)], [])


class FailsAtTheSecond(Waiting):
    """A processor that loses what it was writing in its second flush."""

    async def flush(self) -> int | None:
        if not self.dirty:
            return None
        offset, self.dirty = self.next, False
        self.journal.append(("flush", offset))
        await self.gate.wait()
        if sum(entry[0] == "flush" for entry in self.journal) == 2:
            raise OSError("not acknowledged")
        return offset


def test_no_flush_begins_between_the_last_flush_and_parking() -> None:
    async def go() -> tuple[list[Any], Phase]:
        journal: list[Any] = []
        processor = FailsAtTheSecond(journal)
        host = host_of(processor, journal, revoke_patience_s=60.0)
        await ready(host)
        await host.process(batch(0, 1))
        revoked = asyncio.ensure_future(host.revoke([0], park=True))
        for _ in range(5):
            await asyncio.sleep(0)
        await host.process(batch(2, 3))
        waits = asyncio.ensure_future(host.flush_all())  # for the last flush
        await asyncio.sleep(0)
        processor.gate.set()
        await revoked
        await waits
        journal.append((host.owned[0].phase.value,))
        host.assign([0])
        with pytest.raises(OSError, match="not acknowledged"):
            await host.flush_all()
        host.assign([0])
        with pytest.raises(Invariant, match="cut short"):
            await host.flush_all()
        return journal, host.owned[0].phase

    journal, phase = run(go())
    assert journal == [("flush", 2), ("commit", 2), ("parked",), ("flush", 4)]
    assert phase is Phase.FAILED


@pytest.mark.parametrize("patience_s", [None, 60.0])
@pytest.mark.parametrize("park", [True, False])
def test_a_partition_given_back_twice_at_once_is_closed_once_and_its_successor_stays(
    patience_s: float | None, park: bool
) -> None:
    async def go() -> tuple[list[Any], bool, list[int]]:
        journal: list[Any] = []
        host = host_of(Waiting(journal), journal, revoke_patience_s=patience_s)
        host._make = lambda _: Waiting(journal)
        host.assign([1])
        await ready(host)
        await host.process(batch(0, 1))
        first = asyncio.ensure_future(host.revoke([0, 1], park=park))
        for _ in range(5):
            await asyncio.sleep(0)
        await host.revoke([0], flush=False)
        host.assign([0])  # before the first call goes on
        successor = host.owned[0]
        await first
        return journal, host.owned[0] is successor, sorted(host.owned)

    journal, stays, owned = run(go())
    assert stays
    assert owned == ([0, 1] if park else [0])  # the first call went on to partition 1
    assert journal == [("begins",), ("close",)] + ([] if park else [("close",)])


def test_a_fenced_partition_is_not_kept() -> None:
    async def go() -> list[int]:
        journal: list[Any] = []
        host = told(Counting(journal), Coordinator(journal, Fenced("unknown member")))
        await ready(host)
        await host.process(batch(0, 1))
        await host.flush_all()
        await host.revoke([0], park=True)
        return list(host.owned)

    assert run(go()) == []


@pytest.mark.parametrize(
    ("before", "after", "goes_on"),
    [
        (None, Membership("a", 1), False),
        (Membership("a", 1), Membership("a", 2), True),
        (Membership("a", 1), Membership("a", 3), False),  # a generation whose outcome this member never learned
        (Membership("a", 1), Membership("b", 2), False),  # put out, and joined anew
        (Membership("a", 2), Membership("a", 2), False),
    ],
)
def test_state_is_kept_only_where_no_assignment_lies_between(
    before: Membership | None, after: Membership, goes_on: bool
) -> None:
    assert after.directly_after(before) is goes_on


@pytest.mark.parametrize("cause", [UnknownMemberIdError, IllegalGenerationError])
def test_a_commit_refused_to_a_stranger_is_fencing(cause: type[Exception]) -> None:
    error = CommitFailedError("already rebalanced")
    error.__cause__ = cause()
    with pytest.raises(Fenced, match=cause.__name__):
        judged(error)


def test_a_commit_refused_by_an_instance_id_is_fencing() -> None:
    error = UnknownError()
    error.errno = 82
    with pytest.raises(Fenced):
        judged(error)


@pytest.mark.parametrize(
    "error",
    [
        TimeoutError(),
        KafkaTimeoutError(),
        IllegalStateError("no partitions assigned"),
        GroupCoordinatorNotAvailableError(),
        NodeNotReadyError(),
        KafkaConnectionError(),
    ],
)
def test_a_coordinator_that_is_away_is_only_away(error: Exception) -> None:
    assert judged(error) is False


def test_a_member_asked_to_rebalance_is_still_a_member() -> None:
    error = CommitFailedError("already rebalanced")
    error.__cause__ = RebalanceInProgressError()
    assert judged(error) is False


def test_what_neither_waiting_nor_joining_helps_is_raised() -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        judged(GroupAuthorizationFailedError("floorwatch"))
