"""The watermark does not pass the time at which events arrive: a sender whose clock is ahead moves nobody else's now."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from floorwatch.simulate.compare import COMPARED, differences
from streams.agents.ticker import tick_event
from streams.core.floor import Floor
from streams.core.ledger_store import LedgerStore, new_store
from streams.core.policy import DAY_MS, HOUR_MS, CorePolicy
from streams.core.records import Record
from streams.core.tables import pane_rows, window_rows
from streams.core.time_text import rfc3339
from streams.models.events import decode_log_event
from streams.models.timestamps import to_ms
from tests.core.floorgen import small_log
from tests.core.harness import Tables, encode
from tests.core.test_exactness import counters_of, crashing, facts_of, undisturbed
from tests.oracle.case_events import START_MS, event, label
from tests.support import seeds

AHEAD_MS = 299_000
NOW_MIN = AHEAD_MS / 60_000


def folded(*sent: tuple[int, dict[str, object]]) -> LedgerStore:
    """Fold events, each with the time of its arrival in ms."""
    store = new_store(0, CorePolicy())
    for at, (arrived_ms, one) in enumerate(sent):
        store.ledger.fold([Record(at, arrived_ms, *encode(one))])
    return store


def tables_of(*stores: LedgerStore) -> Tables:
    floor = Floor(stores[0].ledger.policy)
    told = []
    for store in stores:
        flush = store.collect()
        assert flush is not None
        told += [*flush.outputs, flush.watermark]
    floor.apply(told)
    found: Tables = {name: {} for name in ("accuracy", "throughput", "sla")}
    for pane in floor.all_panes():
        for table, row in pane_rows(pane, floor.watermark_ms).items():
            found[table][row["scope_key"], pane.start_ms] = row
    for window in floor.all_windows():
        for table, row in window_rows(window, floor.watermark_ms).items():
            found[table][row["scope_key"], window.window] = row
    return found


def task(name: str, due_min: float) -> dict[str, object]:
    due_at = rfc3339(START_MS + round(due_min * 60_000))
    return event("task.created", -1, {"vendor": "v1", "due_at": due_at}, task=name)


def test_a_clock_that_is_ahead_makes_nobody_elses_task_overdue() -> None:
    due_min = 280 / 60
    store = folded((START_MS, task("t1", due_min)), (START_MS, label("ahead", NOW_MIN, vendor="v2")))
    assert store.ledger.watermark_ms == START_MS
    tables = tables_of(store)
    assert tables["sla"]["vendor=v1", "1h"].get("missed", 0) == 0
    hour_ms = START_MS - START_MS % HOUR_MS
    assert tables["throughput"]["vendor=v2", hour_ms]["labels"] == 1  # the event counts in its own pane
    tick = tick_event(0, START_MS + 280_000, "no events", idle=True)
    store.ledger.fold([Record(2, START_MS + 280_000, tick.key, tick.value)])
    assert store.ledger.watermark_ms == START_MS + 280_000
    assert tables_of(store)["sla"]["vendor=v1", "1h"]["missed"] == 1


def test_nor_does_it_make_events_late_or_end_a_pane() -> None:
    policy_hours = CorePolicy(horizon_ms=2 * HOUR_MS)
    at_ms = START_MS - START_MS % HOUR_MS + HOUR_MS - 60_000
    store = new_store(0, policy_hours)
    ahead, old = label("ahead", (at_ms + AHEAD_MS - START_MS) / 60_000), label("old", (at_ms - START_MS) / 60_000 - 120)
    store.ledger.fold([Record(0, at_ms, *encode(ahead)), Record(1, at_ms, *encode(old))])
    assert store.ledger.late == []
    plain = new_store(0, policy_hours)
    plain.ledger.fold([Record(0, at_ms + AHEAD_MS, *encode(ahead)), Record(1, at_ms + AHEAD_MS, *encode(old))])
    assert len(plain.ledger.late) == 1


@pytest.mark.parametrize("arrived_ms", [0, -1, START_MS + AHEAD_MS, START_MS + DAY_MS])
def test_an_unknown_or_later_arrival_changes_nothing(arrived_ms: int) -> None:
    assert folded((arrived_ms, label("l", NOW_MIN))).ledger.watermark_ms == START_MS + AHEAD_MS


def test_the_watermark_never_goes_back() -> None:
    store = folded((START_MS + 9_000, label("l1", 0.1)), (START_MS + 1_000, label("l2", NOW_MIN)))
    assert store.ledger.watermark_ms == START_MS + 6_000


def arriving(seed: int) -> list[Record]:
    """A small, nasty log whose events arrive up to five minutes before their time, or any time after it."""
    rng, now_ms, found = random.Random(f"arrival {seed}"), 0, []
    for record in small_log(seed):
        time_ms = to_ms(decode_log_event(record.value or b"").time)
        now_ms = max(now_ms, time_ms - rng.choice((0, 0, 0, AHEAD_MS, 100_000)))
        found.append(Record(record.offset, now_ms, record.key, record.value))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(3, 8))
def test_it_is_the_least_of_both_in_any_batches_and_over_crashes(seed: int) -> None:
    records = arriving(seed)
    expected = undisturbed(records)
    one_by_one, before_ms, held_back = new_store(0, expected.ledger.policy), -1, 0
    for record in records:
        one_by_one.ledger.fold([record])
        now_ms = one_by_one.ledger.watermark_ms
        assert before_ms <= now_ms <= record.timestamp_ms
        held_back += now_ms == record.timestamp_ms > before_ms
        before_ms = now_ms
    assert held_back > 5
    slow = new_store(0, expected.ledger.policy)
    slow.ledger.fast_paths = False
    slow.ledger.fold(records)
    store, _, crashes = crashing(records, seed)
    assert crashes > 2
    for other in (one_by_one, slow, store):
        assert counters_of(other) == counters_of(expected)
        assert facts_of(other) == facts_of(expected)
        assert other.ledger.watermark_ms == expected.ledger.watermark_ms


@pytest.mark.parametrize("seed", seeds(3, 8))
def test_once_all_have_arrived_the_numbers_are_the_same(seed: int) -> None:
    """What arrival changes is when: the rows of the whole log are those of a log without times of arrival."""
    records = arriving(seed)
    end_ms = max(record.timestamp_ms for record in records) + AHEAD_MS
    tick = tick_event(0, end_ms, "no events")
    records = [*records, Record(len(records), end_ms, tick.key, tick.value)]
    policy = replace(undisturbed([]).ledger.policy, horizon_ms=400 * DAY_MS)
    found = []
    for one in (records, [Record(r.offset, 0, r.key, r.value) for r in records]):
        store = new_store(0, policy)
        store.ledger.fold(one)
        found.append(tables_of(store))
    assert not differences(found[1], found[0], COMPARED)
