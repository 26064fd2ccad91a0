"""Numbers of dimension tuples are given anew above a limit: memory is bounded and no row changes."""

from __future__ import annotations

import tracemalloc

import pytest

from streams.core.policy import CorePolicy
from streams.core.scopes import TUPLES_LIMIT, ScopeIndex
from tests.core.floorgen import small_log
from tests.core.harness import CoreRun


def rows_of(run: CoreRun) -> list[dict[tuple[int, int, str], tuple[object, int]]]:
    """Return every row of every ledger partition by the name of its scope."""
    found: list[dict[tuple[int, int, str], tuple[object, int]]] = []
    for store in run.stores:
        ledger = store.ledger
        ledger.drain()
        keys = ledger.scopes.keys
        found.append(
            {(tier, pane, keys[scope]): (row.counters, row.stamp) for (tier, pane, scope), row in ledger.rows.places()}
        )
    return found


def folded(seed: int, flush_every: int, tuples_limit: int) -> CoreRun:
    run = CoreRun(2)
    for store in run.stores:
        store.ledger.scopes.tuples_limit = tuples_limit
    run.send([record.value or b"" for record in small_log(seed, 3000)], flush_every)
    for partition in range(2):
        run.flush(partition)
    return run


@pytest.mark.slow
@pytest.mark.parametrize("flush_every", [7, 250])
def test_numbering_anew_changes_no_row(flush_every: int) -> None:
    kept, renumbered = folded(3, flush_every, TUPLES_LIMIT), folded(3, flush_every, 2)
    assert rows_of(renumbered) == rows_of(kept)
    assert max(len(rows) for rows in rows_of(kept)) > 50
    tuples = [store.ledger.scopes.tuples for store in renumbered.stores]
    assert max(tuples) <= 2, "the ledger never began anew, so this test shows nothing"
    assert max(store.ledger.scopes.tuples for store in kept.stores) > 2


@pytest.mark.slow
def test_the_limit_bounds_what_a_flood_of_labelers_can_take() -> None:
    index = ScopeIndex(CorePolicy(max_scopes=10))
    tracemalloc.start()
    for number in range(TUPLES_LIMIT):
        index.split_dims(("KUL", "v", "t", "q", "p", "en", "n", f"labeler-{number}"))
    held_bytes, _ = tracemalloc.get_traced_memory()
    assert index.tuples > TUPLES_LIMIT
    index.forget()
    left_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert index.tuples == 0
    assert held_bytes < 100e6
    assert left_bytes < 1e6
