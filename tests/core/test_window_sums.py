"""Windows that hold the same panes share their sum, and their rows are worked out once."""

from __future__ import annotations

import random

import pytest

from floorwatch.simulate.runs import simulated_log
from streams.core.counters import Counters, add_counters
from streams.core.rowcodec import json_bytes
from streams.core.tables import pane_json, pane_rows, window_json, window_rows
from streams.core.window_sums import WindowSum, add_to, move
from streams.models.acceptance import Refusal, parse_event
from tests.core.harness import CoreRun

SIZES = (3, 5, 9)


def total_of(panes: dict[int, Counters], start_ms: int, end_ms: int) -> Counters:
    found: Counters = {}
    for pane_ms, counters in panes.items():
        if start_ms <= pane_ms < end_ms:
            add_counters(found, counters)
    return found


class Scope:
    """Three windows over the same panes, the last one up to a fixed end."""

    def __init__(self) -> None:
        self.panes: dict[int, Counters] = {}
        self.windows = [WindowSum() for _ in SIZES]

    def change(self, pane_ms: int, amounts: Counters) -> None:
        bits = sum(1 << i for i, one in enumerate(self.windows) if one.start_ms <= pane_ms < one.end_ms)
        add_counters(self.panes.setdefault(pane_ms, {}), amounts)
        add_to(self.windows, bits, amounts)
        if not self.panes[pane_ms]:
            del self.panes[pane_ms]

    def slide(self, now_ms: int, chosen: int) -> None:
        sums: dict[int, Counters] = {}
        for i, size in enumerate(SIZES):
            to_ms = (now_ms - size, now_ms) if size < 9 else (now_ms // 9 * 9, now_ms // 9 * 9 + 9)
            if chosen >> i & 1:
                others = [one for one in self.windows if one is not self.windows[i]]
                move(self.windows[i], to_ms, sorted(self.panes), lambda at: dict(self.panes[at]), sums, others)


@pytest.mark.parametrize("seed", range(30))
def test_a_window_is_the_sum_of_its_panes_whatever_it_shares(seed: int) -> None:
    rng, scope, now_ms, shared = random.Random(seed), Scope(), 0, 0
    for _ in range(150):
        if rng.random() < 0.3:
            now_ms += rng.choice((1, 1, 1, 4, 12))
            scope.slide(now_ms, rng.randrange(8))
        else:
            pane_ms = now_ms + rng.randrange(-12, 4)
            held = scope.panes.get(pane_ms)
            fresh: Counters = {rng.randrange(4): rng.randrange(1, 3)}
            scope.change(pane_ms, {c: -n for c, n in held.items()} if held and rng.random() < 0.4 else fresh)
        for one in scope.windows:
            assert one.counters == total_of(scope.panes, one.start_ms, one.end_ms)
        shared += len({id(one.counters) for one in scope.windows}) < len(SIZES)
    assert shared


def test_windows_that_come_to_hold_the_same_panes_share_one_sum() -> None:
    scope = Scope()
    scope.slide(12, 7)
    scope.change(10, {1: 2})
    scope.slide(13, 7)
    assert [one.counters for one in scope.windows] == [{1: 2}] * 3
    assert len({id(one.counters) for one in scope.windows}) == 1
    scope.change(15, {1: 5})
    assert [one.counters for one in scope.windows] == [{1: 2}, {1: 2}, {1: 7}]


def test_windows_that_count_the_same_are_shown_as_each_would_be_alone() -> None:
    lines = simulated_log(5, days=0.1, rate=0.02, start_ms=1_794_700_800_000)
    run = CoreRun(1)
    run.send([line for line in lines if not isinstance(parse_event(line, None), Refusal)])
    run.finish()
    watermark_ms, windows = run.floor.watermark_ms, run.floor.all_windows()
    alone = [window_rows(row._replace(alike=None), watermark_ms) for row in windows]
    assert [window_rows(row, watermark_ms) for row in windows] == alone
    for as_json, as_rows, found in (
        (window_json, window_rows, run.floor.all_windows()),
        (pane_json, pane_rows, list(run.floor.all_panes())),
    ):
        for row in found:
            encoded = as_json(row, watermark_ms)
            assert encoded == {table: json_bytes(one) for table, one in as_rows(row, watermark_ms).items()}
            assert list(encoded) == list(as_rows(row, watermark_ms))
    assert len({id(row.alike) for row in windows}) < len(windows)
    assert all(row.alike is not None and row.alike.rendered is None for row in windows)
