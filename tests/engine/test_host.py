"""The stage host: what is skipped, what is gone back for, what is refused, and the order flush then commit."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from streams.core.records import Record
from streams.engine import host as host_module
from streams.engine.batches import Batch
from streams.engine.errors import Invariant
from streams.engine.host import StageHost


class Meter:
    def __getattr__(self, _: str) -> Any:
        return lambda *_a, **_k: None


class Counting:
    """A processor that keeps offsets and says what happened in which order."""

    dense = True

    def __init__(self, journal: list[Any], start: int = 0) -> None:
        self.next: int | None = start
        self.seen: list[int] = []
        self.journal = journal
        self.dirty = False

    async def recover(self) -> None:
        await asyncio.sleep(0)

    def fold(self, records: list[Record]) -> None:
        for record in records:
            self.seen.append(record.offset)
            self.next, self.dirty = record.offset + 1, True

    async def flush(self) -> int | None:
        if not self.dirty:
            return None
        self.dirty = False
        self.journal.append(("flush", self.next))
        return self.next

    async def close(self) -> None:
        self.journal.append(("close",))


def batch(first: int, last: int) -> Batch:
    return Batch("t", 0, [Record(offset, 0, None, b"") for offset in range(first, last + 1)], last + 1)


def host_of(processor: Counting, journal: list[Any], log_begins: int = 0, **more: Any) -> StageHost:
    async def commit(topic: str, partition: int, offset: int) -> bool:
        journal.append(("commit", offset))
        return True

    async def seek(topic: str, partition: int, offset: int) -> int:
        journal.append(("seek", offset))
        return max(offset, log_begins)

    async def fail(error: BaseException) -> None:
        journal.append(("fail", str(error)))

    return StageHost("stage", "t", lambda _: processor, commit, seek, Meter(), fail, **more)


async def ready(host: StageHost) -> None:
    host.assign([0])
    await host.owned[0].ready.wait()


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


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
