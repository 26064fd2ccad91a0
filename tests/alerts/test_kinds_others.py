"""throughput_drop with its baseline, backlog_age; what holds of every kind."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest

from alerts.baseline import RING, BaselineState, advance
from alerts.kinds.registry import KIND_OF
from alerts.rules import Rule
from alerts.statistics import overdispersion
from tests.alerts.rows import MINUTE_MS, NOW_MS, flat_baseline, one, rule, signals, sla, throughput, view

HOUR_MS = 3_600_000
STEADY = [1000, 980, 1020, 1000, 990, 1010]


def drop(**fields: Any) -> Rule:
    return rule("throughput_drop", **fields)


def full(labels: int, scope: dict[str, str] | None = None) -> Any:
    """A throughput row whose window is wholly covered by the watermark."""
    return throughput(scope or {}, labels, end_ms=NOW_MS)


def test_drop_below_the_trailing_mean_fires() -> None:
    signal = one(drop(), full(400), baseline=flat_baseline({"all": STEADY}))
    assert signal.firing
    assert signal.value == 0.4
    assert signal.evidence == (
        "400 labels in the last 1h, 40% of 1,000 expected (mean of the 6 windows before, φ 1.0); "
        "z -17.6, alarm at 70% and z -4"
    )


@pytest.mark.parametrize(("labels", "firing"), [(700, True), (701, False)])
def test_drop_exactly_at_target(labels: int, firing: bool) -> None:
    assert one(drop(target=0.7), full(labels), baseline=flat_baseline({"all": STEADY})).firing is firing


def test_drop_without_enough_past_windows_is_no_alarm() -> None:
    signal = one(drop(min_windows=4), full(0), baseline=flat_baseline({"all": STEADY[:3]}))
    assert not signal.firing
    assert signal.evidence == "0 labels in the last 1h; no baseline yet (3 of 4 past windows)"


def test_drop_of_few_expected_labels_is_no_alarm() -> None:
    signal = one(drop(min_sample=30), full(0), baseline=flat_baseline({"all": [29] * 6}))
    assert not signal.firing
    assert "too few to judge" in signal.evidence
    assert one(drop(min_sample=29), full(0), baseline=flat_baseline({"all": [29] * 6})).firing


def test_a_wild_past_needs_a_bigger_drop() -> None:
    wild = [1900, 100, 1700, 300, 1600, 400]
    assert overdispersion(wild) > 100
    assert not one(drop(), full(400), baseline=flat_baseline({"all": wild})).firing


def test_newest_pane_still_filling_is_no_drop() -> None:
    # Window ends 12 min after the watermark: 48 of 60 minutes are covered, so 800 of 1,000 labels are expected.
    row = throughput({}, 790, end_ms=NOW_MS + 12 * MINUTE_MS)
    signal = one(drop(), row, baseline=flat_baseline({"all": STEADY}))
    assert signal.value == pytest.approx(790 / 800)
    assert not signal.firing


def test_scope_whose_row_has_gone_counts_zero_labels() -> None:
    signal = one(drop(scope={"by": "site"}), baseline=flat_baseline({"site=KUL": STEADY}))
    assert signal.firing
    assert (signal.scope, signal.value) == ({"site": "KUL"}, 0.0)


def test_drop_contributors_are_the_parts_that_are_missing() -> None:
    past = flat_baseline({"all": STEADY, "site=KUL": [600] * 6, "site=MNL": [400] * 6, "labeler=x": [100] * 6})
    signal = one(drop(), full(390), full(390, {"site": "MNL"}), baseline=past)
    assert [(part.value, part.effect_pp, part.detail) for part in signal.contributors] == [
        ("KUL", -60.0, "0 labels, 600 expected"),
        ("MNL", -1.0, "390 labels, 400 expected"),
    ]


def _feed(labels: list[int], every_ms: int = 10 * MINUTE_MS) -> BaselineState:
    state = BaselineState()
    for place, count in enumerate(labels):
        at_ms = NOW_MS + place * every_ms
        state = advance(state, [drop()], view(throughput({}, count, end_ms=at_ms + MINUTE_MS)), at_ms)
    return state


def test_baseline_samples_tile_time_whatever_the_evaluation_rate() -> None:
    slow = _feed(list(range(100, 130)), every_ms=10 * MINUTE_MS)
    ring = slow.ring("1h", "all")
    assert len(ring) == 4
    for before, after in pairwise(ring):
        assert after.end_ms - after.covered_ms >= before.end_ms
    # The first hour after the start taught nothing: its windows reach back before the stream began.
    assert ring[0].end_ms - ring[0].covered_ms >= NOW_MS


def test_baseline_is_the_same_when_a_watermark_is_seen_twice() -> None:
    once, state = _feed(list(range(100, 120))), BaselineState()
    for place, count in enumerate(range(100, 120)):
        at_ms = NOW_MS + place * 10 * MINUTE_MS
        for _ in range(3):
            state = advance(state, [drop()], view(throughput({}, count, end_ms=at_ms + MINUTE_MS)), at_ms)
    assert state == once


def test_baseline_is_bounded_and_forgets_scopes_that_are_gone() -> None:
    state = _feed([100] * (RING + 5), every_ms=HOUR_MS)
    assert len(state.ring("1h", "all")) == RING
    gone = _feed([100] * 4, every_ms=HOUR_MS)
    for place in range(4, RING + 10):
        gone = advance(gone, [drop()], view(), NOW_MS + place * HOUR_MS)
    assert list(gone.scope_keys("1h")) == []


def test_baseline_survives_encoding() -> None:
    state = _feed(list(range(30)))
    assert msgspec.json.decode(msgspec.json.encode(state), type=BaselineState) == state


def test_baseline_keeps_labelers_only_where_a_rule_asks() -> None:
    rows = view(throughput({"labeler": "x"}, 10, end_ms=NOW_MS))
    seen = BaselineState(origin_ms=0)
    assert list(advance(seen, [drop()], rows, NOW_MS).scope_keys("1h")) == []
    assert list(advance(seen, [drop(scope={"by": "labeler"})], rows, NOW_MS).scope_keys("1h")) == ["labeler=x"]


def test_backlog_age_fires_above_its_target_only() -> None:
    hours = rule("backlog_age", scope={"by": "queue"}, target="4h")
    at = one(hours, sla({"queue": "q"}, 0, 0, backlog=7, oldest_open_age_ms=4 * HOUR_MS))
    above = one(hours, sla({"queue": "q"}, 0, 0, backlog=7, oldest_open_age_ms=4 * HOUR_MS + 60_001))
    assert not at.firing
    assert above.firing
    assert above.evidence == "oldest open task has waited 4 h 1 min, at most 4 h wanted; 7 tasks open"
    assert above.since_ms == NOW_MS - 4 * HOUR_MS - 60_001


def test_backlog_without_open_tasks_or_with_nulls_is_quiet() -> None:
    signal = one(rule("backlog_age"), sla({}, 0, 0, backlog=0, oldest_open_age_ms=None))
    assert (signal.firing, signal.value, signal.evidence) == (False, None, "no open tasks")


def test_backlog_contributors_are_old_parts() -> None:
    rows = [
        sla({}, 0, 0, backlog=100, oldest_open_age_ms=30 * HOUR_MS),
        sla({"queue": "old"}, 0, 0, backlog=60, oldest_open_age_ms=30 * HOUR_MS),
        sla({"queue": "new"}, 0, 0, backlog=40, oldest_open_age_ms=HOUR_MS),
    ]
    (part,) = one(rule("backlog_age", target="24h"), *rows).contributors
    assert (part.dimension, part.value, part.effect_pp, part.labels) == ("queue", "old", -60.0, 60)


@pytest.mark.parametrize("kind", sorted(KIND_OF))
def test_every_kind_is_quiet_on_an_empty_view(kind: str) -> None:
    assert signals(rule(kind)) == []
