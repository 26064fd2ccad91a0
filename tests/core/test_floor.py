"""The floor asked for some windows at a time, and as long as a source has not been heard."""

from __future__ import annotations

import random
from typing import Any

import pytest

from streams.core.counters import OPEN
from streams.core.floor import Floor
from streams.core.ledger_store import new_store
from streams.core.policy import HOUR_MS, MINUTE_MS, CorePolicy
from streams.core.scope_state import decode_counters
from streams.core.sources import silence_of
from tests.core.floorgen import small_log
from tests.core.harness import CoreRun
from tests.oracle.case_events import START_MS, event, label
from tests.support import seeds

POLICY = CorePolicy(horizon_ms=30 * HOUR_MS, minute_kept_ms=HOUR_MS, quarter_kept_ms=6 * HOUR_MS)

Partials = list[tuple[bytes, bytes | None]]


def partials(seed: int, policy: CorePolicy = POLICY) -> list[Partials]:
    """What a ledger hands to the floor, flush by flush."""
    rng, store, records = random.Random(seed), new_store(0, policy), small_log(seed)
    flushes = []
    while store.ledger.next < len(records):
        store.ledger.fold(records[store.ledger.next : store.ledger.next + rng.choice((1, 4, 20))])
        flush = store.collect()
        assert flush is not None
        flushes.append([*flush.full, *flush.outputs, flush.watermark])
    return flushes


def seen(floor: Floor) -> dict[tuple[str, str], Any]:
    """Every window that counts something, with all that its row is made of."""
    return {
        (row.state.key, row.window): (row.start_ms, row.end_ms, dict(row.counters), dict(row.state.open_by_hour))
        for row in floor.all_windows()
        if row.counters or row.state.open_by_hour
    }


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds(6, 12))
def test_windows_asked_for_in_any_order_are_those_of_a_floor_that_starts_now(seed: int) -> None:
    rng, floor, everything = random.Random(seed), Floor(POLICY), []
    shown: dict[tuple[str, str], Any] = {}
    for flush in partials(seed):
        floor.apply(flush)
        everything.extend(flush)
        windows, panes = floor.take_changes(rng.randrange(1 << (len(POLICY.windows) + 1)))
        shown |= {(w.state.key, w.window): (w.start_ms, w.end_ms, dict(w.counters)) for w in windows}
        assert all(pane.counters is not None for pane in panes)
        if rng.random() < 0.1:
            fresh = Floor(POLICY)
            fresh.apply(everything)
            assert seen(fresh) == seen(floor)
    windows, _ = floor.take_changes()
    shown |= {(w.state.key, w.window): (w.start_ms, w.end_ms, dict(w.counters)) for w in windows}
    fresh = Floor(POLICY)
    fresh.apply(everything)
    now = seen(fresh)
    # What was returned last is what is true now: nothing is forgotten between two requests for a window.
    assert {key: found[2] for key, found in shown.items() if found[2]} == {
        k: held[2] for k, held in now.items() if held[2]
    }
    assert not floor.pending


@pytest.mark.slow
def test_a_labeller_s_own_rows_never_count_open_tasks() -> None:
    """``ScopeState.open_change`` does not look at them."""
    rows = [(key, value) for seed in range(12) for flush in partials(seed, CorePolicy()) for key, value in flush]
    of_labelers = [decode_counters(value) for key, value in rows if key.startswith(b"labeler=") and value is not None]
    assert of_labelers
    assert not any(OPEN in counters for counters in of_labelers)
    assert any(OPEN in decode_counters(value) for key, value in rows if key.startswith(b"all|") and value is not None)


def two_sources(policy: CorePolicy | None = None) -> tuple[Floor, list[Partials]]:
    """A floor of two sources, and what each of them has to say: the second is three days behind."""
    run = CoreRun(1, policy)
    days = (START_MS, START_MS - 72 * HOUR_MS)
    told = []
    for source, at_ms in enumerate(days):
        store = new_store(source, run.policy)
        minutes = (at_ms - START_MS) // MINUTE_MS
        run.stores = [store]
        run.ends = [0]
        run.send([event("task.created", minutes, {"queue": "q"}, task=f"t{source}"), label(f"l{source}", minutes + 1)])
        flush = store.collect()
        assert flush is not None
        told.append([*flush.full, *flush.outputs, flush.watermark])
    return Floor(run.policy, sources=2), told


def test_a_source_not_heard_yet_holds_time_back() -> None:
    floor, (ahead, behind) = two_sources()
    floor.apply(ahead)
    assert floor.watermark_ms == -1
    assert floor.take_changes() == ([], [])
    assert list(floor.all_panes()) == []
    floor.apply(behind)
    assert floor.watermark_ms == floor.watermarks[1][1] < floor.watermarks[0][1]
    windows, panes = floor.take_changes()
    assert windows
    assert len({pane.start_ms for pane in panes if pane.state.key == "all"}) == 2


def test_rows_of_a_source_that_is_far_behind_are_not_thrown_away_as_expired() -> None:
    """Were the first source's time the floor's, the second's hours would be past the horizon when they come."""
    policy = CorePolicy(horizon_ms=48 * HOUR_MS)
    floor, (ahead, behind) = two_sources(policy)
    floor.apply(ahead)
    floor.take_changes()
    floor.apply(behind)
    shown = {pane.start_ms for pane in floor.take_changes()[1] if pane.state.key == "all"}
    assert min(shown) < START_MS - 70 * HOUR_MS


def test_a_source_that_says_it_has_no_events_does_not_hold_time_back() -> None:
    floor, (ahead, behind) = two_sources()
    floor.apply([*ahead, silence_of(1)])
    assert floor.watermark_ms == floor.watermarks[0][1]
    floor.apply([*behind, silence_of(1)])
    assert floor.watermarks[1][1] >= 0
