"""Exactness without a broker: the ledger under crashes, partial flushes and batching, against an undisturbed run."""

from __future__ import annotations

import functools
import random
from typing import Any

import msgspec
import pytest

from streams.core.facts import unpack
from streams.core.ledger import Ledger
from streams.core.ledger_store import LedgerStore, new_store
from streams.core.policy import HOUR_MS, CorePolicy
from streams.core.records import Flush, Record
from streams.core.rowcodec import stamp_of
from tests.core.floorgen import small_log
from tests.support import seeds

POLICY = CorePolicy(horizon_ms=30 * HOUR_MS, minute_kept_ms=HOUR_MS, quarter_kept_ms=6 * HOUR_MS)


class MemoryLog:
    """A changelog partition and the outputs, as a broker would hold them."""

    def __init__(self) -> None:
        self.changelog: list[tuple[bytes, bytes | None]] = []
        self.outputs: dict[bytes, tuple[int, bytes]] = {}

    def output(self, key: bytes, value: bytes | None) -> None:
        if value is not None:
            key, _, _ = key.rpartition(b"|")
            stamp = stamp_of(value)
            if key not in self.outputs or stamp >= self.outputs[key][0]:
                self.outputs[key] = (stamp, value)


def write(log: MemoryLog, flush: Flush, upto: int | None, rng: random.Random) -> None:
    """Write a flush; ``upto`` cuts it off after that many records (a crash in the middle)."""
    records = list(flush.rows)
    rng.shuffle(records)  # partitions of a produce request are acknowledged in any order
    for key, value in flush.outputs:
        if upto is None or rng.random() < 0.7:
            log.output(key, value)
    kept = records if upto is None else records[: upto % (len(records) + 1)]
    log.changelog.extend(kept)
    if upto is None:
        log.changelog.append(flush.meta)


def counters_of(store: LedgerStore) -> dict[Any, Any]:
    store.ledger.drain()
    keys = store.ledger.scopes.keys
    return {
        (keys[scope], tier, pane): dict(row.counters)
        for (tier, pane, scope), row in store.ledger.rows.places()
        if row.counters
    }


def facts_of(store: LedgerStore) -> dict[str, Any]:
    return {task_id: unpack(packed) for task_id, packed in store.ledger.tasks.items()}


def undisturbed(records: list[Record]) -> LedgerStore:
    store = new_store(0, POLICY)
    store.ledger.fold(records)
    return store


def crashing(records: list[Record], seed: int) -> tuple[LedgerStore, MemoryLog, int]:
    rng = random.Random(seed)
    log, store, crashes = MemoryLog(), new_store(0, POLICY), 0
    room_bytes = (0, 2_000, 1 << 20)[seed % 3]  # of segments: more are read a second time
    while store.ledger.next < len(records):
        start = store.ledger.next
        batch = records[start : start + rng.choice((1, 3, 9, 30))]
        store.ledger.fold(batch)
        if rng.random() < 0.5:
            continue
        flush = store.collect()
        assert flush is not None
        fate = rng.random()
        write(log, flush, None if fate < 0.6 else rng.randrange(10_000), rng)
        if fate >= 0.5:
            store, crashes = LedgerStore(Ledger(0, POLICY), f"owner{crashes}", room_bytes), crashes + 1
            store.restore(log.changelog)
    flush = store.collect()
    if flush is not None:
        write(log, flush, None, rng)
    return store, log, crashes


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(9, 60))
def test_crashes_anywhere_change_nothing(seed: int) -> None:
    records = small_log(seed)
    expected = undisturbed(records)
    store, log, crashes = crashing(records, seed)
    assert crashes > 2
    assert facts_of(store) == facts_of(expected)
    assert counters_of(store) == counters_of(expected)
    assert store.ledger.fold_counts == expected.ledger.fold_counts
    assert store.ledger.watermark_ms == expected.ledger.watermark_ms
    for (scope, tier, pane), counters in counters_of(expected).items():
        _, value = log.outputs[f"{scope}|{tier}|{pane}|0".encode()]
        assert msgspec.msgpack.decode(value, type=tuple[int, dict[int | str, int]])[1] == counters


def test_facts_sent_twice_are_not_buried() -> None:
    """A request that arrives a second time makes one record two; a successor must not take the other for outlived."""
    records, rng = small_log(1), random.Random(1)
    half = len(records) // 2
    log, first = MemoryLog(), new_store(0, POLICY)
    first.ledger.fold(records[:half])
    flush = first.collect()
    assert flush is not None
    log.changelog.extend(flush.rows)
    write(log, flush, None, rng)
    second = new_store(0, POLICY)
    second.restore(log.changelog)
    for until in range(len(records) - 2, len(records) + 1):  # what the first of these flushes buries, the third writes
        second.ledger.fold(records[second.ledger.next : until])
        flush = second.collect()
        assert flush is not None
        write(log, flush, None, rng)
    third = new_store(0, POLICY)
    third.restore(log.changelog)
    assert facts_of(third) == facts_of(undisturbed(records))


@pytest.mark.slow
def test_facts_in_hand_are_bounded_and_the_rest_is_read_again() -> None:
    records, log = small_log(2), MemoryLog()
    first = new_store(0, POLICY)
    for at in range(0, len(records), 40):
        first.ledger.fold(records[at : at + 40])
        flush = first.collect()
        assert flush is not None
        write(log, flush, None, random.Random(2))
    segments = sum(len(value) for key, value in log.changelog if key.startswith(b"s|") and value is not None)
    for room_bytes in (0, segments - 1, segments):
        second = LedgerStore(Ledger(0, POLICY), "second", room_bytes)
        second.read_rows(log.changelog)
        assert second.reads_again == (room_bytes < segments)
        assert sum(map(len, second._held_segments.values())) <= room_bytes
        if second.reads_again:
            second.read_facts(log.changelog)
        for part in second.in_hand():
            second.read_facts(part)
        assert second.resume() == len(records)
        assert facts_of(second) == facts_of(first)


@pytest.mark.parametrize("seed", seeds(5, 20))
def test_batching_is_invisible(seed: int) -> None:
    records = small_log(seed)
    whole, single = undisturbed(records), new_store(0, POLICY)
    for record in records:
        single.ledger.fold([record])
        single.ledger.drain()
    assert counters_of(single) == counters_of(whole)
    assert single.ledger.fold_counts == whole.ledger.fold_counts


@pytest.mark.parametrize("seed", seeds(5, 20))
def test_the_lanes_equal_the_general_way(seed: int) -> None:
    records = small_log(seed)
    fast = undisturbed(records)
    slow = new_store(0, POLICY)
    slow.ledger.fast_paths = False
    slow.ledger.fold(records)
    assert counters_of(slow) == counters_of(fast)
    assert facts_of(slow) == facts_of(fast)


@pytest.mark.slow
def test_the_test_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folding without looking at the stamp is caught by the crash test."""
    import streams.core.rows as rows

    original = rows.RowStore.apply

    def careless(self: Any, change: Any, offset: int) -> None:
        original(self, change, 1 << 60)

    def caught(seed: int) -> bool:
        records = small_log(seed)
        expected = undisturbed(records)
        with monkeypatch.context() as patch:
            patch.setattr(rows.RowStore, "apply", careless)
            store, _, _ = crashing(records, seed)
        return counters_of(store) != counters_of(expected)

    assert any(caught(seed) for seed in range(12))


@pytest.mark.slow
@pytest.mark.parametrize(("few", "bins"), [(0, 1 << 40), (0, 0), (1 << 40, 16)], ids=["dense", "sorted", "dictionary"])
def test_every_way_of_summing_gives_the_same(few: int, bins: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _summed()
    monkeypatch.setattr("streams.core.accumulate._FEW", few)
    monkeypatch.setattr("streams.core.sums._BINS_PER_KEY", bins)
    monkeypatch.setattr("streams.core.sums._DENSE_ALWAYS", bins)
    assert [counters_of(undisturbed(small_log(seed))) for seed in seeds(3, 6)] == expected


@functools.cache
def _summed() -> list[Any]:
    return [counters_of(undisturbed(small_log(seed))) for seed in seeds(3, 6)]
