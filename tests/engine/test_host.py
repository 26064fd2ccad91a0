"""The stage host: what is skipped, what is gone back for, what is refused, and the order flush then commit."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from streams.core.records import Record
from streams.engine import host as host_module
from streams.engine.batches import Batch
from tests.engine.hosts import Counting, batch, host_of, ready, run


def test_commit_follows_flush_and_revocation_flushes_first() -> None:
    async def go() -> list[Any]:
        journal: list[Any] = []
        host = host_of(Counting(journal), journal)
        await ready(host)
        await host.process(batch(0, 1))
        await host.flush_all()
        await host.flush_all()
        await host.process(batch(2, 2))
        await host.revoke([0])
        await host.process(batch(3, 3))
        return journal

    assert run(go()) == [("flush", 2), ("commit", 2), ("flush", 3), ("commit", 3), ("close",)]


class Slow(Counting):
    """Its flushes end when they are told to."""

    going: ClassVar[list[str]] = []
    most = 0

    def __init__(self, journal: list[Any], name: str) -> None:
        super().__init__(journal)
        self._name = name

    async def flush(self) -> int | None:
        Slow.going.append(self._name)
        Slow.most = max(Slow.most, len(Slow.going))
        for _ in range(5):
            await asyncio.sleep(0)
        Slow.going.remove(self._name)
        return await super().flush()


@pytest.mark.parametrize(("at_once", "behind", "most"), [(1, 0, 1), (2, 0, 2), (9, 0, 4), (9, 20_000, 1)])
def test_so_many_partitions_are_flushed_at_once_but_those_far_behind_take_turns(
    at_once: int, behind: int, most: int
) -> None:
    async def go() -> list[Any]:
        journal: list[Any] = []
        processors = [Slow(journal, str(partition)) for partition in range(4)]
        host = host_of(processors[0], journal, at_once=at_once, catch_up_s=0.0)
        host._make = lambda partition: processors[partition]
        host.assign(range(4))
        for partition in range(4):
            await host.owned[partition].ready.wait()
            records = [Record(0, 0, None, b"")]
            await host.process(Batch("t", partition, records, 1 + behind))
        Slow.most = 0
        await host.flush_all()
        return journal

    assert run(go()).count(("commit", 1)) == 4
    assert Slow.most == most


@pytest.mark.parametrize(
    ("behind", "source_behind", "after_s", "flushed"),
    [
        (0, False, 0.0, True),  # keeps up
        (20_000, False, 1.0, False),  # far behind: not yet
        (20_000, False, 9.0, True),
        (9_000, False, 1.0, False),  # near, but what it holds is the greater part of a backlog
        (500, False, 1.0, True),  # through
        (0, True, 1.0, False),  # keeps up with a stage that is far behind itself
        (0, True, 9.0, True),
    ],
)
def test_a_backlog_is_flushed_seldom_and_at_its_end(
    behind: int, source_behind: bool, after_s: float, flushed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    monkeypatch.setattr(host_module, "time", SimpleNamespace(monotonic=lambda: now_s[0]))

    async def go() -> list[Any]:
        journal: list[Any] = []
        host = host_of(Counting(journal), journal, source_behind=lambda: source_behind)
        await ready(host)
        host.owned[0].flushed_s = now_s[0]
        records = [Record(offset, 0, None, b"") for offset in range(12_000)]
        await host.process(Batch("t", 0, records, 12_000 + behind))
        assert host.behind == 12_000 + behind
        now_s[0] += after_s
        await host.flush_all()
        return journal

    assert (run(go()) == [("flush", 12_000), ("commit", 12_000)]) is flushed


def test_a_partition_soon_full_is_flushed_before_folding_must_wait() -> None:
    async def go(folded: int) -> list[Any]:
        journal: list[Any] = []
        host = host_of(Counting(journal), journal, max_unflushed=100)
        await ready(host)
        records = [Record(offset, 0, None, b"") for offset in range(folded)]
        await host.process(Batch("t", 0, records, 50_000))
        assert journal == []
        await host.flush_all()
        return journal

    assert run(go(74)) == []
    assert run(go(75)) == [("flush", 75), ("commit", 75)]


def test_what_is_being_written_is_still_to_come() -> None:
    async def go() -> list[int]:
        journal: list[Any] = []
        host = host_of(Slow(journal, "0"), journal)
        found = [host.behind]
        await ready(host)
        await host.process(Batch("t", 0, [Record(0, 0, None, b"")], 5))
        found.append(host.behind)
        flush = asyncio.ensure_future(host.flush_all())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert host.owned[0].unflushed == 0
        found.append(host.behind)
        await flush
        return [*found, host.behind]

    assert run(go()) == [0, 5, 5, 4]


def test_commits_keep_their_pause_but_the_last_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr(host_module, "time", SimpleNamespace(monotonic=lambda: now_s[0]))

    async def go() -> list[Any]:
        journal: list[Any] = []
        host = host_of(Counting(journal), journal, commit_pause_s=1.0)
        await ready(host)
        for number in range(3):
            await host.process(batch(number, number))
            await host.flush_all()
            now_s[0] += 0.4
        journal.append("silence")
        now_s[0] += 0.4
        await host.flush_all()
        await host.process(batch(3, 3))
        await host.revoke([0])
        return journal

    flushes = [("flush", 1), ("commit", 1), ("flush", 2), ("flush", 3)]
    assert run(go()) == [*flushes, "silence", ("commit", 3), ("flush", 4), ("commit", 4), ("close",)]


def test_unflushed_records_are_bounded() -> None:
    async def go() -> list[Any]:
        journal: list[Any] = []
        host = host_of(Counting(journal), journal, max_unflushed=3)
        await ready(host)
        await host.process(batch(0, 1))
        await host.process(batch(2, 3))
        return journal

    assert run(go()) == [("flush", 4), ("commit", 4)]


def test_a_failed_recovery_is_not_hidden() -> None:
    class Broken(Counting):
        async def recover(self) -> None:
            raise OSError("changelog unreadable")

    async def go() -> list[Any]:
        journal: list[Any] = []
        host = host_of(Broken([]), journal)
        host.assign([0])
        with pytest.raises(OSError, match="changelog unreadable"):
            await host.process(batch(0, 0))
        return journal

    assert run(go()) == [("fail", "changelog unreadable")]


def test_a_partition_that_stays_over_a_rebalance_goes_on_without_recovery_and_folds_nothing_in_between() -> None:
    async def go() -> tuple[list[Any], list[int], list[bool]]:
        journal: list[Any] = []
        processor = Counting(journal)
        host = host_of(processor, journal)
        await ready(host)
        await host.process(batch(0, 1))
        await host.revoke([0], park=True)
        folds = [host.folds(0)]
        await host.process(batch(2, 3))
        await host.flush_all()
        host.assign([0])
        folds.append(host.folds(0))
        await host.process(batch(0, 4))  # fetched again from what was committed last
        await host.flush_all()
        return journal, processor.seen, folds

    journal, seen, folds = run(go())
    assert journal == [("flush", 2), ("commit", 2), ("flush", 5), ("commit", 5)]
    assert seen == [0, 1, 2, 3, 4]
    assert folds == [False, True]


def test_a_parked_partition_that_goes_to_another_is_closed_unflushed() -> None:
    async def go() -> tuple[list[Any], bool]:
        journal: list[Any] = []
        host = host_of(Counting(journal), journal)
        await ready(host)
        await host.process(batch(0, 1))
        await host.revoke([0], park=True)
        await host.revoke([0], flush=False)
        return journal, host.folds(0)

    assert run(go()) == ([("flush", 2), ("commit", 2), ("close",)], False)


def test_a_batch_that_meets_a_parked_partition_is_fetched_again() -> None:
    async def go() -> tuple[list[bool], list[int]]:
        dropped: list[bool] = []
        processor = Counting([])
        host = host_of(processor, [])
        await ready(host)
        await host.revoke([0], park=True)
        records = [Record(0, 0, None, b"")]
        await host.process(Batch("t", 0, records, 1, dropped.append))
        host.assign([0])
        again = Batch("t", 0, records, 1, dropped.append)
        await host.process(again)
        again.done()  # as the agent says
        return dropped, processor.seen

    assert run(go()) == ([True, False], [0])


def test_a_batch_that_waits_for_a_recovery_waits_for_the_one_that_takes_its_place() -> None:
    class Late(Counting):
        def __init__(self, start: int) -> None:
            super().__init__([], start)
            self.may = asyncio.Event()

        async def recover(self) -> None:
            await self.may.wait()
            self.next = 5

    async def go() -> tuple[list[int], list[int]]:
        first, second = Late(0), Late(0)
        waiting = [first, second]
        host = host_of(first, [])
        host._make = lambda _: waiting.pop(0)
        host.assign([0])
        batch_waits = asyncio.ensure_future(host.process(batch(3, 6)))
        await asyncio.sleep(0)
        await host.revoke([0], flush=False)
        host.assign([0])
        for _ in range(5):
            await asyncio.sleep(0)
        second.may.set()
        await batch_waits
        return first.seen, second.seen

    assert run(go()) == ([], [5, 6])
