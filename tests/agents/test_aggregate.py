"""Publishing in slices and pieces: nothing is forgotten, nothing is told before it is out, nothing waits for all."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from streams.adapters.topic_names import TopicNames
from streams.agents import aggregate
from streams.agents.aggregate import AggregateStage
from streams.agents.ledger import LedgerStage
from streams.agents.publish_schedule import PublishSchedule, PublishSlot
from streams.core.floor import Floor
from streams.core.ledger_store import new_store
from streams.core.records import Record
from streams.core.sources import silence_of
from streams.models import topics
from tests.agents.publishing import (
    _EVERY_S,
    ACCURACY,
    POLICY,
    Clock,
    Log,
    Model,
    Nothing,
    flushes,
    labels_of,
    run,
    shown_in,
    stage_of,
)
from tests.core.harness import encode
from tests.oracle.case_events import label


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(aggregate, "time", clock)
    return clock


def test_the_first_publication_waits_for_the_ledgers_beside_it_but_not_for_ever(clock: Clock) -> None:
    ready = [False]
    log = Log()
    stage = stage_of(log, Model(), ledgers_ready=lambda: ready[0])
    batches = list(flushes(3))

    def flush(records: list[Record], after_s: float) -> int:
        clock.now_s += after_s
        stage.fold(records)
        asyncio.run(stage.flush())
        return len(log.appends)

    assert flush(batches[0], 5.0) == 0
    ready[0] = True
    published = flush(batches[1], 0.1)
    assert published
    ready[0] = False  # a ledger partition more has come: what was published before goes on
    assert flush(batches[2], 10.0) > published

    log = Log()
    stage = stage_of(log, Model(), ledgers_ready=lambda: False)
    assert flush(batches[0], 5.0) == 0
    assert flush(batches[1], 20.0), "a ledger that does not recover must not keep readers from what there is"


@pytest.mark.slow
def test_every_row_up_to_the_watermark_told_is_out(clock: Clock) -> None:
    log = Log()
    truth = run(stage_of(log, Model()), clock, log).truth
    told, lagging = [], 0
    for number, (topic, records) in enumerate(log.appends):
        if topic == ACCURACY and records[-1][0] == b"~watermark":
            told.append(orjson.loads(records[-1][1])["watermark_ms"])
            shown = shown_in(log.appends[:number])
            assert {k: n for k, n in truth[told[-1]].items() if shown.get(k, 0) < n} == {}
            lagging += any(shown[k] < n for k, n in truth[max(truth)].items())
    assert told == sorted(told)
    assert told[-1] == max(truth)
    assert shown_in(log.appends) == truth[max(truth)]
    assert lagging > 20  # not all at once


class OldTopic(Log):
    """A table topic on which an earlier owner has left rows."""

    async def read(self, topic: str, partition: int) -> Any:
        if topic == ACCURACY:
            yield [(0, b"queue=old|5m", b"{}"), (1, b"queue=old|1h", b"{}"), (2, b"queue=ended|1h", b"{}")]
            yield [(3, b"queue=ended|1h", None), (4, b"all|3600|0", b"{}"), (5, b"queue=q0|1h", b"{}")]


class OldModel(Model):
    """A read model that knows of one row."""

    def __init__(self, *, emptied: bool) -> None:
        super().__init__()
        self._emptied = emptied

    async def forgotten(self, partition: int) -> bool:
        return self._emptied

    async def patient_scopes(self, table: str, window: str) -> set[str]:
        return {"queue=old"} if window == "24h" else set()


@pytest.mark.parametrize(("emptied", "ended"), [(True, {"5m", "1h"}), (False, {"24h"})])
def test_rows_of_scopes_that_are_gone_are_ended_wherever_that_is_still_known(
    clock: Clock, *, emptied: bool, ended: set[str]
) -> None:
    log, model = OldTopic(), OldModel(emptied=emptied)
    stage = stage_of(log, model)
    (records,) = flushes(1)
    stage.fold(records)
    asyncio.run(stage.flush())
    for table in topics.TABLE_TOPICS.values():
        tombstones = {key for key, value in log.last("f." + table).items() if value is None}
        assert tombstones == {f"queue=old|{window}".encode() for window in ended}
    wiped = {window: rows for puts, _ in model.puts for (_, window), rows in puts.items() if None in rows.values()}
    assert wiped.keys() == ended


@pytest.mark.slow
def test_short_windows_are_shown_often_and_long_ones_seldom(clock: Clock) -> None:
    log = Log()
    run(stage_of(log, Model()), clock, log)
    counts = {
        window: sum(
            key == f"all|{window}".encode()
            for topic, records in log.appends
            if topic == ACCURACY
            for key, *_ in records
        )
        for window in ("5m", "15m", "1h", "8h", "24h", "7d", "day")
    }
    assert counts["5m"] >= 38
    assert 5 <= counts["1h"] <= 10
    assert all(2 <= counts[window] <= 5 for window in ("8h", "24h", "7d", "day"))


@pytest.mark.slow
def test_what_is_committed_is_in_the_rows_of_every_window(clock: Clock) -> None:
    log = Log()
    stage = stage_of(log, Model())
    done = run(stage, clock, log)
    for offset, appends in done.committed:
        shown = shown_in(log.appends[:appends])
        assert {k: n for k, n in done.truth_at[offset].items() if shown.get(k, 0) < n} == {}
    offsets = [offset for offset, _ in done.committed]
    assert offsets == sorted(offsets)
    assert offsets[-1] == stage.next
    assert len(offsets) > 2


@pytest.mark.parametrize(("pace", "seldom"), [(4.0, False), (60.0, True)])
def test_a_backlog_is_published_seldom_from_its_second_second_on(pace: float, seldom: bool, clock: Clock) -> None:
    clock.spends_s = 0.1

    async def publications(pace: float) -> int:
        log = Log()
        stage = stage_of(log, Model())
        for records in flushes(5, pace=pace):  # 3.5 s
            stage.fold(records)
            for _ in range(7):
                clock.now_s += _EVERY_S / 7
                await stage.flush()
        return sum(topic == ACCURACY and records[0][0] == b"~watermark" for topic, records in log.appends)

    live, this = asyncio.run(publications(1.0)), asyncio.run(publications(pace))
    assert (this < live) is seldom


def publications(log: Log) -> int:
    """How many publications there were."""
    return sum(topic == ACCURACY and records[0][0] == b"~watermark" for topic, records in log.appends)


def test_tables_wait_while_the_worker_has_a_backlog_but_not_for_ever(clock: Clock) -> None:
    async def go() -> list[int]:
        log, backlog, found = Log(), [True], []
        stage = stage_of(log, Model(), backlog=lambda: backlog[0])
        for number, records in enumerate(flushes(60)):  # 42 s
            if number == 55:
                backlog[0] = False
            stage.fold(records)
            clock.now_s += _EVERY_S
            await stage.flush()
            found.append(publications(log))
        return found

    found = asyncio.run(go())
    assert found[0] == 1, "the first one, of what was there before, waits for nothing"
    assert found[41] == 1
    assert found[44] == found[54] == 2, "half a minute is the longest wait"
    assert found[55] > 2
    assert found[59] > found[55]


def test_what_came_last_is_shown_soon_whatever_pause_was_to_follow(clock: Clock) -> None:
    clock.spends_s = 2.0  # publications cost much: the pauses between them are long

    async def go() -> list[bool]:
        log, truth = Log(), Floor(POLICY)
        stage = stage_of(log, Model())
        for records in flushes(2):
            stage.fold(records)
            truth.apply((record.key or b"", record.value) for record in records)
            clock.now_s += _EVERY_S
            await stage.flush()
        shown = []
        for _ in range(4):
            shown.append(shown_in(log.appends) == labels_of(truth))
            clock.now_s += 0.9
            await stage.flush()
        return shown

    assert asyncio.run(go()) == [False, False, False, True]


@pytest.mark.slow
def test_pieces_are_bounded_and_say_the_same(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, pieces, model = Log(), Log(), Model()
    run(stage_of(whole, Model()), clock, whole)
    monkeypatch.setattr(aggregate, "_PIECE", 12)
    run(stage_of(pieces, model), clock, pieces)
    assert max(len(records) for _, records in whole.appends) > 20
    assert max(len(records) for _, records in pieces.appends) <= 12 // 3 + 1
    assert max(sum(map(len, rows.values())) for rows, _ in model.puts) <= 12 + 3
    for table in topics.TABLE_TOPICS.values():
        assert whole.last("f." + table) == pieces.last("f." + table)


def test_rows_of_one_publication_are_as_of_one_moment(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregate, "_PIECE", 12)
    log, (first, second) = Log(), flushes(2)
    stage, reference = stage_of(log, Model()), Floor(POLICY)
    append = log.append

    async def interrupted(topic: str, partition: int, records: Any) -> None:
        if stage.next == len(first):
            stage.fold(second)
        await append(topic, partition, records)

    monkeypatch.setattr(log, "append", interrupted)
    stage.fold(first)
    reference.apply((record.key or b"", record.value) for record in first)
    asyncio.run(stage.flush())
    assert shown_in(log.appends) == labels_of(reference)
    panes = {k: orjson.loads(v or b"")["labels"] for k, v in log.last(ACCURACY).items() if k.startswith(b"all|3600|")}
    assert sum(panes.values()) == 20
    assert stage.next == len(first) + len(second)
    assert stage.floor.watermark_ms > reference.watermark_ms


def test_a_model_that_lost_rows_in_the_middle_gets_no_more_of_that_publication(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregate, "_PIECE", 12)
    log, model = Log(), Model(lost_at=3)
    (records,) = flushes(1)
    stage = stage_of(log, model)
    stage.fold(records)

    async def go() -> list[int | None]:
        first = await stage.flush()
        assert (len(model.puts), [watermark for _, watermark in model.puts]) == (3, [None] * 3)
        clock.now_s += 1.0
        return [first, await stage.flush()]

    assert asyncio.run(go()) == [None, len(records)]
    again = model.puts[3:]
    assert again[-1] == ({}, stage.floor.watermark_ms)
    rows = {(window, key) for puts, _ in again for (table, window), by_scope in puts.items() for key in by_scope}
    assert len(rows) == len(stage.floor.all_windows())


def test_a_timetable_shows_the_shortest_window_each_time_and_the_others_at_their_pace() -> None:
    table = PublishSchedule([300_000, 900_000, 0, 604_800_000], 0.5)
    assert (table.prompt(10.0), table.late(10.0, 60)) == (0b0001, 0b1110)
    table.published(0b0111, 10.0, 5, 50)
    assert (table.upto, table.watermark_with(0b1000, 60)) == (0, 50)
    assert (table.prompt(10.2), table.late(10.2, 60)) == (0, 0b1000)
    table.published(0b1000, 10.2, 6, 60)
    assert (table.upto, table.watermark_with(0, 99)) == (5, 50)
    assert (table.prompt(10.4), table.late(10.4, 60)) == (0, 0)
    assert (table.prompt(10.5), table.late(10.5, 60)) == (0b0001, 0)
    assert (table.prompt(12.1), table.late(12.1, 60)) == (0b0001, 0b0010)
    assert (table.prompt(20.1), table.late(20.1, 60)) == (0b0001, 0b0110)


def test_when_a_minute_begins_all_slices_are_due_so_that_rules_look_at_once() -> None:
    minute = 60_000
    table = PublishSchedule([300_000, 900_000, 0, 604_800_000], 0.5)
    table.published(0b1111, 10.0, 5, 3 * minute - 1)
    assert table.late(10.5, 3 * minute - 1) == 0
    assert table.late(11.9, 3 * minute) == 0  # just published: a floor that catches up would do nothing else
    assert table.late(12.0, 3 * minute) == 0b1110
    assert table.prompt(12.0) == 0b0001
    table.published(0b1110, 12.0, 6, 3 * minute)
    assert (table.late(14.0, 4 * minute - 1), table.late(14.0, 4 * minute)) == (0b0010, 0b1110)


def heard(stage: AggregateStage, clock: Clock, source: int, stamp: int) -> None:
    """Bring one row of a source and its watermark."""
    store = new_store(source, POLICY)
    key, value = encode(label(f"{source}-{stamp}", clock.now_s / 60, by="lab", task=f"{source}-{stamp}", queue="q"))
    store.ledger.fold([Record(0, 0, key, value)])
    store.ledger.next = stamp
    flush = store.collect()
    assert flush is not None
    partials = [*flush.outputs, flush.watermark]
    stage.fold([Record(stage.next + i, 0, key, value) for i, (key, value) in enumerate(partials)])


def test_a_publication_waits_for_the_sources_that_flushed_before_the_last_one_but_not_for_long(clock: Clock) -> None:
    log = Log()
    stage = stage_of(log, Model())

    async def published(seconds: float) -> bool:
        clock.now_s += seconds
        before = len(log.appends)
        await stage.flush()
        return len(log.appends) > before

    async def go() -> list[bool]:
        for source in (0, 1):
            heard(stage, clock, source, 1)
        first = await published(0.0)
        heard(stage, clock, 0, 2)
        one = [await published(0.6), await published(0.3)]
        heard(stage, clock, 1, 2)
        both = await published(0.0)
        heard(stage, clock, 0, 3)
        late = [await published(0.55), await published(0.4), await published(0.11)]
        heard(stage, clock, 0, 4)
        return [first, *one, both, *late, await published(0.51)]  # the other one is not waited for again

    stage.floor._sources = 0  # as many as have been heard
    assert asyncio.run(go()) == [True, False, False, True, False, False, True, True]


def test_the_slower_slices_of_a_worker_are_published_by_one_partition_at_a_time(clock: Clock) -> None:
    logs, publish_slot = [Log(), Log()], PublishSlot()
    stages = [stage_of(log, Model(), publish_slot=publish_slot) for log in logs]

    async def windows_shown(seconds: float) -> list[set[str]]:
        clock.now_s += seconds
        for log in logs:
            log.appends.clear()
        for stage in stages:
            await stage.flush()
        return [
            {str(key).rpartition("|")[2].strip("'") for key in log.last(ACCURACY)} - {"b'~watermark"} for log in logs
        ]

    async def go() -> list[list[set[str]]]:
        first, second = flushes(2)
        for stage in stages:
            stage.fold(first)
        await windows_shown(0.0)
        for stage in stages:
            stage.fold(second)
        clock.spends_s = 0.05  # two readings a publication: it costs 0.1 s
        return [await windows_shown(seconds) for seconds in (3.0, 0.05, 0.4, 0.2)]

    shortest, slower, nothing = {"5m"}, {"15m"}, set[str]()
    assert asyncio.run(go()) == [[shortest, shortest], [slower, nothing], [nothing, nothing], [nothing, slower]]


@pytest.mark.parametrize("empty", [True, False])
def test_a_ledger_without_events_says_so_once_to_every_partition(*, empty: bool) -> None:
    async def go() -> list[Any]:
        log = Log(empty=empty)
        stage = LedgerStage(2, POLICY, TopicNames("f.", 3), log, log, Nothing())  # type: ignore[arg-type]
        await stage.recover()
        assert [await stage.flush(), await stage.flush()] == [None, None]
        return [
            tuple(record[:2]) for topic, records in log.appends if topic == "f." + topics.PARTIALS for record in records
        ]

    assert asyncio.run(go()) == ([silence_of(2)] * 3 if empty else [])
