"""A partition that has fallen idle holds nobody back, and nothing it has counted is lost (ADR 0019)."""

from __future__ import annotations

import random

import msgspec
import pytest

from streams.agents.ticker import tick_event
from streams.core.counters import REVISION
from streams.core.floor import Floor
from streams.core.ledger_store import LedgerStore, new_store
from streams.core.policy import DAY_MS, HOUR_MS, MINUTE_MS, CorePolicy
from streams.core.records import Record
from streams.core.sources import (
    WATERMARK_PREFIX,
    SourcePartition,
    Sources,
    floor_record,
    hidden,
    silence_of,
    watermark_record,
)
from streams.core.tables import pane_rows, window_rows
from streams.core.time_text import rfc3339
from tests.core.floorgen import small_log
from tests.core.harness import encode
from tests.oracle.case_events import START_MS, event, label
from tests.support import seeds

POLICY = CorePolicy(horizon_ms=4 * DAY_MS)
OLD_MIN = -26 * 60

Rows = list[tuple[bytes, bytes | None]]


class Part:
    """One partition of the log, folded as it is written."""

    def __init__(self, number: int) -> None:
        self.store: LedgerStore = new_store(number, POLICY, owner=f"w{number}")
        self.number = number

    def send(self, *events: dict[str, object]) -> Rows:
        """Fold events and return what the floor is told."""
        return self._fold(*(encode(one) for one in events))

    def idle(self, time_ms: int, floor_ms: int = -1) -> Rows:
        """Find the partition idle."""
        tick = tick_event(self.number, time_ms, "no events", idle=True, floor_ms=floor_ms)
        return self._fold((tick.key or b"", tick.value or b""))

    def _fold(self, *records: tuple[bytes, bytes]) -> Rows:
        ledger = self.store.ledger
        ledger.fold([Record(ledger.next + i, 0, key, value) for i, (key, value) in enumerate(records)])
        flush = self.store.collect()
        assert flush is not None
        return [*flush.full, *flush.outputs, *flush.floor, flush.watermark]


def oldv(number: int, minutes: float = OLD_MIN, **more: object) -> dict[str, object]:
    return label(f"old{number}", minutes, vendor="oldv", **more)


def test_an_idle_partition_keeps_live_vendors_out_of_no_table() -> None:
    """Case 13: one event 26 hours old, then silence; the others are live."""
    old, live, floor = Part(0), Part(1), Floor(POLICY, sources=2)
    floor.apply(old.send(oldv(1)))
    floor.apply(live.send(label("l1", 0, vendor="livev")))
    assert floor.watermark_ms == START_MS + OLD_MIN * MINUTE_MS
    floor.apply(old.idle(START_MS + OLD_MIN * MINUTE_MS + 30_000, floor.watermark_ms))
    assert floor.watermark_ms == START_MS
    shown = {row.state.key for row in floor.take_changes()[0] if row.window == "1h" and row.counters}
    assert "vendor=livev" in shown
    hours = {(pane.state.key, pane.start_ms) for pane in floor.all_panes()}
    assert ("vendor=oldv", (START_MS + OLD_MIN * MINUTE_MS) // HOUR_MS * HOUR_MS) in hours


def test_the_watermark_never_goes_back_and_a_changed_closed_row_has_a_higher_revision() -> None:
    old, live, floor = Part(0), Part(1), Floor(POLICY, sources=2)
    told = [*old.send(oldv(1)), *live.send(label("l1", 0))]
    told += old.idle(START_MS + OLD_MIN * MINUTE_MS + 30_000, START_MS)
    floor.apply(told)
    (before,) = (p for p in floor.take_changes()[1] if p.state.key == "vendor=oldv")
    row = pane_rows(before, floor.watermark_ms)["accuracy"]
    assert (row["closed"], row["revision"], row["labels"]) == (True, 0, 1)
    back = old.send(oldv(2, OLD_MIN + 1))  # its own watermark has not closed that hour yet
    floor.apply(back)
    assert floor.watermark_ms == START_MS
    assert not floor.watermarks[0].idle
    (after,) = (p for p in floor.take_changes()[1] if p.state.key == "vendor=oldv")
    row = pane_rows(after, floor.watermark_ms)["accuracy"]
    assert (row["closed"], row["revision"], row["labels"]) == (True, 1, 2)
    assert floor.sources.behind == {0: START_MS + (OLD_MIN + 1) * MINUTE_MS}
    # A floor that starts now comes to the same time, though the partition that is behind is not idle any more.
    fresh = Floor(POLICY, sources=2)
    fresh.apply([*told, *back])
    assert fresh.watermark_ms == START_MS


def test_while_all_are_idle_the_newest_goes_on() -> None:
    old, live, floor = Part(0), Part(1), Floor(POLICY, sources=3)
    floor.apply([*old.send(oldv(1)), *live.send(label("l1", 0)), silence_of(2)])
    floor.apply(old.idle(START_MS + OLD_MIN * MINUTE_MS + 30_000))
    assert not floor.sources.idle
    floor.apply(live.idle(START_MS + 30_000))
    assert floor.sources.idle
    assert floor.watermark_ms == START_MS + 30_000
    floor.apply(old.idle(START_MS + OLD_MIN * MINUTE_MS + 60_000))
    floor.apply(live.idle(START_MS + 60_000))
    assert floor.watermark_ms == START_MS + 60_000
    floor.apply(live.send(label("l2", 2)))
    assert floor.watermark_ms == START_MS + 2 * MINUTE_MS
    assert not floor.sources.idle


def test_one_of_two_idle_partitions_comes_back_and_the_other_holds_nobody_back() -> None:
    first, second, live, floor = Part(0), Part(1), Part(2), Floor(POLICY, sources=3)
    floor.apply([*first.send(oldv(1)), *second.send(oldv(2, -180)), *live.send(label("l1", 0))])
    floor.apply(first.idle(START_MS + OLD_MIN * MINUTE_MS + 30_000))
    assert floor.watermark_ms == START_MS - 180 * MINUTE_MS, "the second is waited for until it says that it is idle"
    floor.apply(second.idle(START_MS - 180 * MINUTE_MS + 30_000))
    assert floor.watermark_ms == START_MS
    floor.apply(first.send(oldv(3, OLD_MIN - 60), oldv(4, OLD_MIN + 60)))
    floor.apply(live.send(label("l2", 2)))
    assert floor.watermark_ms == START_MS, "it waits for the one that came back, and does not go back"
    floor.apply(first.idle(START_MS + (OLD_MIN + 60) * MINUTE_MS + 30_000))
    assert floor.watermark_ms == START_MS + 2 * MINUTE_MS
    assert [part.store.ledger.fold_counts.late for part in (first, second, live)] == [0, 0, 0]


def test_what_an_idle_partition_still_counts_is_shown_though_the_floor_is_past_its_horizon() -> None:
    """Five days behind with a horizon of four: late is judged by the partition's own watermark."""
    old, live, floor = Part(0), Part(1), Floor(POLICY, sources=2)
    minutes = -5 * 24 * 60
    floor.apply(old.send(oldv(1, minutes)))
    floor.apply(live.send(label("l1", 0)))
    floor.apply(old.idle(START_MS + minutes * MINUTE_MS + 1, START_MS))
    assert floor.watermark_ms == START_MS
    floor.take_changes()
    floor.apply(old.send(oldv(2, minutes - 60)))
    assert old.store.ledger.fold_counts.late == 0
    shown = {p.start_ms: p.counters for p in floor.take_changes()[1] if p.state.key == "vendor=oldv"}
    assert shown
    assert all(counters for counters in shown.values())


def test_open_tasks_of_an_idle_partition_are_marked_and_wait_in_the_forecast() -> None:
    old, live, floor = Part(0), Part(1), Floor(POLICY, sources=2)
    due = rfc3339(START_MS - 30 * MINUTE_MS)
    floor.apply(old.send(event("task.created", -60, {"queue": "q", "due_at": due}, task="t9")))
    floor.apply(live.send(label("l1", 0, queue="q")))
    behind_ms = START_MS - 59 * MINUTE_MS
    floor.apply(old.idle(behind_ms, START_MS))
    (row,) = (w for w in floor.all_windows() if w.state.key == "queue=q" and w.window == "1h")
    sla = window_rows(row, floor.watermark_ms, floor.sources.behind)["sla"]
    assert (sla["open_due"], sla["overdue_open"], sla["open_as_of"]) == (1, 0, rfc3339(behind_ms))
    assert sla["forecast"]["open_by_due"][0] == [rfc3339(START_MS), 1], "open, and past its due time by the floor"
    floor.apply(old.idle(START_MS, START_MS))
    (row,) = (w for w in floor.all_windows() if w.state.key == "queue=q" and w.window == "1h")
    sla = window_rows(row, floor.watermark_ms, floor.sources.behind)["sla"]
    assert (sla["open_due"], sla["overdue_open"], sla["open_as_of"]) == (0, 1, None)
    assert sla["forecast"]["overdue"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(3, 6))
def test_batches_and_restarts_leave_the_same_idleness_and_revisions(seed: int) -> None:
    rng, records = random.Random(seed), []
    for record in small_log(seed):
        records.append(record)
        if rng.random() < 0.1:
            tick = tick_event(
                0, record.timestamp_ms + rng.randrange(HOUR_MS), "x", idle=True, floor_ms=START_MS + DAY_MS
            )
            records.append(Record(0, 0, tick.key, tick.value))
    records = [Record(offset, 0, record.key, record.value) for offset, record in enumerate(records)]
    whole = new_store(0, POLICY, owner="a")
    whole.ledger.fold(records)
    whole.ledger.drain()
    parts, changelog = new_store(0, POLICY, owner="b"), []
    while parts.ledger.next < len(records):
        parts.ledger.fold(records[parts.ledger.next : parts.ledger.next + rng.choice((1, 3, 30))])
        if rng.random() < 0.5 and (flush := parts.collect()):
            changelog += [*flush.rows, flush.meta]
        if rng.random() < 0.3 and changelog:
            parts = new_store(0, POLICY, owner=f"b{len(changelog)}")
            parts.restore(changelog)
    parts.ledger.drain()
    for ledger in (whole.ledger, parts.ledger):
        assert ledger.idle == (b'"idle":true' in (records[-1].value or b""))
    assert parts.ledger.floor_ms == whole.ledger.floor_ms
    rows = [
        {
            (ledger.scopes.keys[s], tier, at): dict(row.counters)
            for (tier, at, s), row in ledger.rows.places()
            if row.counters
        }
        for ledger in (whole.ledger, parts.ledger)
    ]
    assert rows[0] == rows[1]
    assert any(counters.get(REVISION) for counters in rows[0].values())


# -- on the wire ------------------------------------------------------------------------------------------------------


def test_workers_of_before_read_the_records_and_leave_idle_partitions_out() -> None:
    """They decode (stamp, watermark), take the highest stamp, the last of equal ones, and pass over negative watermarks."""
    before = msgspec.msgpack.Decoder(tuple[int, int]).decode
    records = [floor_record(3, "w", 7, START_MS), watermark_record(3, "w", SourcePartition(7, 1_000, idle=True))]
    assert [key.decode()[len(WATERMARK_PREFIX) :].partition("|")[0] for key, _ in records] == ["3", "3"]
    assert [before(value) for _, value in records] == [(7, hidden(START_MS)), (7, hidden(1_000))]
    assert all(before(value)[1] < 0 for _, value in records)
    assert before(watermark_record(3, "w", SourcePartition(8, 1_000))[1]) == (8, 1_000)
    assert before(silence_of(3)[1]) == (0, -1)


def test_records_of_workers_of_before_are_read() -> None:
    sources = Sources(2)
    for partition, time_ms in ((0, 5_000), (1, 9_000)):
        sources.hear(f"{WATERMARK_PREFIX}{partition}|old", msgspec.msgpack.encode((1, time_ms)))
    sources.advance()
    assert sources.watermark_ms == 5_000
    assert sources.heard[0] == SourcePartition(1, 5_000, idle=False)


@pytest.mark.parametrize("time_ms", [0, 1, START_MS])
def test_a_hidden_time_is_negative_and_comes_back(time_ms: int) -> None:
    assert hidden(time_ms) < -1
    assert hidden(hidden(time_ms)) == time_ms
