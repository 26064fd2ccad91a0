"""Tasks beyond what memory may hold: the same numbers, whatever is hot, and what a bad disk does."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.adapters.cold_store import RocksStore, StateDirectory
from streams.core.facts import Packed
from streams.core.ledger_store import LedgerStore, new_store
from streams.core.tasks import TaskTable
from streams.engine.errors import Invariant
from tests.core.floorgen import small_log
from tests.core.test_exactness import POLICY, counters_of, facts_of, undisturbed
from tests.support import seeds


class DictStore:
    """A cold store that can be told to be full."""

    def __init__(self) -> None:
        self.held: dict[str, Packed] = {}
        self.full = False

    def get(self, task_id: str) -> Packed | None:
        return self.held.get(task_id)

    def put_many(self, tasks: Iterable[tuple[str, Packed]]) -> bool:
        if not self.full:
            self.held.update(tasks)
        return not self.full

    def delete(self, task_id: str) -> None:
        del self.held[task_id]

    def items(self) -> Iterator[tuple[str, Packed]]:
        yield from self.held.items()

    def close(self) -> None:
        self.held.clear()


def folded(seed: int, tasks: TaskTable) -> LedgerStore:
    store = new_store(0, POLICY, "me", tasks)
    records = small_log(seed)
    for at in range(0, len(records), 7):
        store.ledger.fold(records[at : at + 7])
        store.ledger.drain()
    return store


@pytest.mark.parametrize("seed", seeds(5, 12))
def test_what_is_hot_changes_no_number(seed: int) -> None:
    tasks = TaskTable(DictStore(), hot_limit=3)
    store, expected = folded(seed, tasks), undisturbed(small_log(seed))
    assert counters_of(store) == counters_of(expected)
    assert facts_of(store) == facts_of(expected)
    assert len(tasks) == len(expected.ledger.tasks)
    assert tasks.cold_tasks > len(tasks.hot)
    assert store.ledger.fold_counts == expected.ledger.fold_counts


@pytest.mark.slow
def test_rocksdb_changes_no_number(tmp_path: Path) -> None:
    for seed in range(3):
        tasks = TaskTable(RocksStore(tmp_path / "tasks"), hot_limit=3)
        store, expected = folded(seed, tasks), undisturbed(small_log(seed))
        assert counters_of(store) == counters_of(expected)
        assert facts_of(store) == facts_of(expected)
        assert tasks.cold_tasks
        tasks.close()
        assert not (tmp_path / "tasks").exists()


def test_recovery_fills_the_cold_store_too() -> None:
    records = small_log(5)
    first = new_store(0, POLICY, "one")
    first.ledger.fold(records)
    flush = first.collect()
    assert flush is not None
    tasks = TaskTable(DictStore(), hot_limit=2)
    second = new_store(0, POLICY, "two", tasks)
    second.restore([*flush.rows, flush.meta])
    assert facts_of(second) == facts_of(first)
    assert len(tasks.hot) <= 2
    assert counters_of(second) == counters_of(first)


def test_a_full_disk_keeps_tasks_in_memory_and_says_so() -> None:
    cold = DictStore()
    cold.full = True
    tasks = TaskTable(cold, hot_limit=3)
    store, expected = folded(1, tasks), undisturbed(small_log(1))
    assert facts_of(store) == facts_of(expected)
    assert not tasks.cold_tasks
    assert tasks.refused > 0


def test_a_damaged_store_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    store = RocksStore(tmp_path / "tasks")
    assert store.put_many((f"t{n}", os.urandom(200)) for n in range(2_000))
    store._db.flush()
    for file in (tmp_path / "tasks").glob("*.sst"):
        content = bytearray(file.read_bytes())
        content[: len(content) // 2] = os.urandom(len(content) // 2)
        file.write_bytes(bytes(content))

    def read_all() -> list[Any]:
        return [store.get(f"t{n}") for n in range(2_000)]

    with pytest.raises(Invariant, match="rebuilds it from the changelog"):
        read_all()


def test_no_place_for_a_store_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Invariant, match=r"engine\.hot_tasks"):
        RocksStore(tmp_path / "file" / "tasks")
    with pytest.raises(Invariant, match=r"engine\.state_dir"):
        StateDirectory(tmp_path / "file")


def test_what_killed_workers_left_is_removed_and_what_others_use_is_not(tmp_path: Path) -> None:
    mine = StateDirectory(tmp_path)
    left = tmp_path / "floorwatch-state-left"
    left.mkdir()
    (left / "lock").write_bytes(b"")
    other = StateDirectory(tmp_path)
    assert mine.path.exists()
    assert not left.exists()
    other.close()
    assert not other.path.exists()
