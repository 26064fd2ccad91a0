"""Offsets: what is known, what is missing, and where a partition begins."""

from __future__ import annotations

from typing import Any

import pytest

from streams.core.records import Record
from streams.engine.batches import Batch
from streams.engine.errors import Invariant
from tests.engine.hosts import Counting, batch, host_of, ready, run


def test_what_is_known_is_skipped_and_nothing_twice() -> None:
    async def go() -> list[int]:
        processor = Counting([], start=5)
        host = host_of(processor, [])
        await ready(host)
        await host.process(batch(0, 3))
        await host.process(batch(3, 7))
        await host.process(batch(6, 8))
        return processor.seen

    assert run(go()) == [5, 6, 7, 8]


def test_a_gap_is_gone_back_for_and_batches_still_on_their_way_are_dropped() -> None:
    async def go() -> tuple[list[Any], list[int]]:
        journal: list[Any] = []
        processor = Counting(journal, start=5)
        host = host_of(processor, journal)
        await ready(host)
        await host.process(batch(8, 9))
        await host.process(batch(10, 11))
        await host.process(batch(5, 6))
        return journal, processor.seen

    assert run(go()) == ([("seek", 5)], [5, 6])


def test_a_gap_that_the_log_does_not_hold_is_loss_and_said() -> None:
    async def go() -> list[int]:
        processor = Counting([], start=5)
        host = host_of(processor, [], log_begins=8)
        await ready(host)
        with pytest.raises(Invariant, match="no records 5 to 7"):
            await host.process(batch(8, 9))
        return processor.seen

    assert run(go()) == []


def test_a_fresh_partition_begins_where_its_log_does_and_nowhere_else() -> None:
    async def go(log_begins: int) -> list[int]:
        processor = Counting([])
        host = host_of(processor, [], log_begins=log_begins)
        await ready(host)
        await host.process(batch(100, 101))
        return processor.seen

    assert run(go(100)) == [100, 101]
    assert run(go(0)) == []


def test_a_broker_just_back_that_knows_of_no_commit_is_asked_again_before_all_is_read_anew() -> None:
    async def go(answers: list[int]) -> tuple[list[Any], list[int], list[int]]:
        async def committed(topic: str, partition: int) -> int:
            return answers.pop(0)

        journal: list[Any] = []
        processor = Counting(journal)
        processor.dense, processor.next = False, None
        host = host_of(processor, journal, committed=committed)
        await ready(host)
        for first in (50, 52):
            await host.process(batch(first, first + 1))
        return journal, processor.seen, answers

    assert run(go([0, 50, 99])) == ([], [50, 51, 52, 53], [99])
    assert run(go([0, 51, 99])) == ([], [51, 52, 53], [99])
    assert run(go([0, 0, 0]))[:2] == ([("seek", 0)], [])


def test_a_log_with_holes_is_gone_back_in_once_and_then_believed() -> None:
    async def go() -> tuple[list[Any], list[int]]:
        journal: list[Any] = []
        processor = Counting(journal, start=5)
        processor.dense = False
        host = host_of(processor, journal)
        await ready(host)
        await host.process(batch(8, 8))
        await host.process(batch(9, 9))  # on its way when the position moved: 8 would be lost
        await host.process(batch(8, 8))
        await host.process(batch(9, 9))
        return journal, processor.seen

    assert run(go()) == ([("seek", 5)], [8, 9])


def test_a_hole_inside_a_batch_is_refused() -> None:
    async def go() -> list[int]:
        processor = Counting([], start=5)
        host = host_of(processor, [])
        await ready(host)
        holed = batch(5, 9)
        del holed.records[2]
        with pytest.raises(Invariant, match="no record 7"):
            await host.process(holed)
        return processor.seen

    assert run(go()) == []


def test_a_partition_given_back_while_its_position_is_moved_folds_nothing() -> None:
    async def go() -> tuple[list[int], list[bool]]:
        processor = Counting([])
        dropped: list[bool] = []
        host = host_of(processor, [], log_begins=3)

        async def seek(topic: str, partition: int, offset: int) -> int:
            await host.revoke([partition])
            return max(offset, 3)

        host._gaps._seek = seek
        await ready(host)
        await host.process(Batch("t", 0, [Record(3, 0, None, b"")], 4, dropped.append))
        return processor.seen, dropped

    assert run(go()) == ([], [True])
