"""A zombie that wakes between two flushes of a successor who has not caught up with it yet: rows by hand, no broker.

Z, the zombie:     folds 0-100, flushes | folds 100-200, stalls ............ wakes, flushes 200
N, the successor:                               restores, folds to 150, flushes |            | on to 170, dies
T, the next owner:                                                                                        restores
"""

from __future__ import annotations

import pytest

from floorwatch.chaos.workload import floor_log
from streams.core.counters import Counters
from streams.core.ledger_store import LedgerStore, new_store
from streams.core.policy import CorePolicy
from streams.core.records import Flush, Record

POLICY = CorePolicy()


def _records(count: int) -> list[Record]:
    return [
        Record(offset, 0, sent.task_id.encode(), sent.value)
        for offset, sent in enumerate(floor_log(8, count, load_s=60))
    ]


def _changelog(flush: Flush | None) -> list[tuple[bytes, bytes | None]]:
    assert flush is not None
    return [*flush.rows, flush.meta]


def _rows(store: LedgerStore) -> dict[tuple[str, int, int], Counters]:
    store.ledger.drain()
    keys = store.ledger.scopes.keys
    return {(keys[scope], tier, pane): row.counters for (tier, pane, scope), row in store.ledger.rows.places()}


@pytest.mark.slow
def test_the_ledger_restored_after_a_zombie_holds_every_event() -> None:
    events = _records(200)
    zombie, successor, third = (new_store(0, POLICY, owner) for owner in ("Z", "N", "T"))
    zombie.ledger.fold(events[:100])
    log = _changelog(zombie.collect())
    zombie.ledger.fold(events[100:])
    successor.restore(log)
    successor.ledger.fold(events[100:150])
    log += _changelog(successor.collect())
    log += _changelog(zombie.collect())
    for at in range(150, 170, 5):  # were it to bury the zombie's rows, they would be gone by now
        successor.ledger.fold(events[at : at + 5])
        log += _changelog(successor.collect())
    third.ledger.fold(events[third.restore(log) :])

    alone = new_store(0, POLICY, "alone")
    alone.ledger.fold(events)
    wrong = {key for key, counters in _rows(alone).items() if _rows(third).get(key) != counters}
    assert not wrong, f"{len(wrong)} of {len(_rows(alone))} rows differ, for example {sorted(wrong)[:3]}"
