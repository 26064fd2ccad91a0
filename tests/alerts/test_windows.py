"""Rules on any window that is kept: lengths of any kind, days and shifts."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.baseline import BaselineState, advance
from alerts.codec import decode_input, encode_input
from alerts.kinds.registry import KIND_OF
from alerts.lifecycle import policy_of
from alerts.signals import Signal
from tests.alerts.machine import run, steps
from tests.alerts.rows import MINUTE_MS, NOW_MS, accuracy, common, one, rule, sample, signals, sla, throughput, view

HOUR_MS = 3_600_000
MIDNIGHT_MS = NOW_MS - 10 * HOUR_MS - 2 * MINUTE_MS
KINDS = sorted(KIND_OF.keys() - {"sla_breach_predicted"})  # the forecast stands in the rows of one window


@pytest.mark.parametrize("window", ["30m", "1h30m", "day", "shift"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_takes_every_window(kind: str, window: str) -> None:
    more = {"method": "evidence"} if kind == "throughput_drop" else {}
    scope = {"labeler": "x"} if kind in ("exposure_cap", "rushing") else {}
    rows = {
        "handled": 0,
        "handle_ms_sum": 0,
        "decided": 0,
        "overlap_items": 0,
        "overlap_agreed": 0,
        "labels_with_overlap": 0,
    }
    the_rule = rule(kind, window=window, **more, **({"scope": {"labeler": "x"}} if scope else {}))
    row = {**throughput(scope, 10, window=window), **rows}
    found = signals(the_rule, row)
    assert all(not signal.firing and signal.window == window for signal in found)
    if kind in ("throughput_drop", "exposure_cap", "rushing"):
        assert len(found) == 1


@pytest.mark.parametrize(("window", "said"), [("30m", "in the last 30m"), ("day", "in the day so far")])
def test_the_evidence_says_which_window(window: str, said: str) -> None:
    signal = one(rule("accuracy_low", method="interval", window=window), accuracy({}, 50, 100, window=window))
    assert signal.firing
    assert said in signal.evidence
    assert decode_input(encode_input(signal)) == signal


@pytest.mark.parametrize(("end_ms", "live"), [(MIDNIGHT_MS + 24 * HOUR_MS, True), (MIDNIGHT_MS, False)])
def test_the_row_of_a_day_that_has_passed_says_nothing_of_today(end_ms: int, live: bool) -> None:
    row = accuracy({}, 50, 100, window="day", end_ms=end_ms)
    found = signals(rule("accuracy_low", method="interval", window="day"), row)
    assert [signal.firing for signal in found] == [True] * live


def test_labels_of_yesterday_are_not_labels_of_today() -> None:
    row = throughput({}, 500, window="day", end_ms=MIDNIGHT_MS)
    assert one(rule("throughput_drop", method="evidence", window="day"), row).evidence.startswith(
        "0 labels in the day so far"
    )


def test_a_day_in_progress_is_no_sample_of_a_baseline() -> None:
    the_rule = rule("throughput_drop", method="evidence", window="day")
    row = throughput({}, 500, window="day", end_ms=MIDNIGHT_MS + 24 * HOUR_MS)
    state = advance(BaselineState(origin_ms=0), [the_rule], view(row), NOW_MS)
    assert state == BaselineState(origin_ms=0)


def test_an_age_is_told_of_the_window_asked_for() -> None:
    row = {**sla({}, 1, 0), **common({}, "shift"), "backlog": 3, "oldest_open_age_ms": 100 * HOUR_MS}
    assert one(rule("backlog_age", window="shift"), row).firing


def test_an_incident_of_a_calendar_window_waits_two_days_before_it_is_stale() -> None:
    assert [policy_of(rule("accuracy_low", window=name)).stale_after_ms // HOUR_MS for name in ("day", "30m")] == [
        48,
        1,
    ]


def _share_row(kind: str, bad: int, total: int) -> dict[str, Any]:
    counts = {
        "overturns_high": {"appeals_decided": total, "appeals_overturned": bad},
        "agreement_low": {"overlapped": total, "unanimous": total - bad},
        "sla_attainment": {"due": total, "met": total - bad, "missed": bad},
    }
    if kind == "critical_errors":
        return {"correct": total, "audited": total, "critical_errors": bad, **sample(total, total, critical=bad)}
    return counts.get(
        kind, {"correct": total - bad, "audited": total, "critical_errors": 0, **sample(total - bad, total)}
    )


SHARES = ("accuracy_low", "agreement_low", "critical_errors", "overturns_high", "sla_attainment")


@pytest.mark.parametrize("kind", SHARES)
@pytest.mark.parametrize("window", ["day", "shift", "7d"])
def test_a_day_that_has_hardly_begun_neither_ends_nor_reopens_an_incident(kind: str, window: str) -> None:
    """At local midnight the window is empty: that is no recovery. One with enough good outcomes is."""
    the_rule = rule(kind, window=window, method="interval", min_sample=30)

    def looks(bad: int, total: int, times: int) -> list[Signal]:
        base = sla({}, 0, 0) if kind == "sla_attainment" else accuracy({}, 0, 0)
        row = {**base, **common({}, window), **_share_row(kind, bad, total)}
        return [one(the_rule, row)] * times

    evening = looks(180, 200, 5)
    assert all(signal.firing for signal in evening)
    night = [*looks(0, 0, 200), *looks(29, 29, 200)]
    incident, told = run([*evening, *night, *evening], policy=policy_of(the_rule))
    assert incident is not None
    if window == "7d":  # what has left a sliding window is over
        assert steps(told) == ["open", "resolved-0", "reopened-1"]
        return
    assert (incident.state, incident.reopened, steps(told)) == ("open", 0, ["open"])
    after, told = run(looks(0, 300, the_rule.resolve_for), incident, policy=policy_of(the_rule))
    assert after is not None
    assert (after.state, steps(told)) == ("resolved", ["resolved-0"])


@pytest.mark.parametrize(("window", "handled", "holds"), [("day", 99, True), ("day", 100, False), ("24h", 99, False)])
def test_rushing_is_not_over_in_a_day_that_has_hardly_begun(window: str, handled: int, holds: bool) -> None:
    row = {**throughput({"labeler": "x"}, handled, window=window), "handled": handled, "handle_ms_p50": 0}
    signal = one(rule("rushing", window=window), row)
    assert (signal.firing, signal.holds) == (False, holds)
