"""Labels whose audits are awaited: they count as right until the audits are in, and then as if these had come at once."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floorwatch.sims.delays import EvidenceRows, accuracy_watch
from streams.core.detectors.dispersion import ASSUMED
from streams.core.detectors.packed import evidence_amount, evidence_counter
from streams.core.detectors.watch import usual_part
from streams.core.policy import EVIDENCE_TIER, HOUR_TIER
from streams.models.timestamps import DAY_MS, HOUR_MS

BEGIN_MS = 400 * DAY_MS


def flagged(rows: EvidenceRows, hour: int, labels: int = 1_000) -> None:
    """Put labels into an hour, 100 of them flagged and audited at 1/5: 6 of 20 wrong."""
    at_ms = BEGIN_MS + hour * HOUR_MS
    rows.labels(at_ms, labels)
    rows.audit(at_ms, "p", "P", wrong=True, weight=5.0, count=6)
    rows.audit(at_ms, "p", "P", wrong=False, weight=5.0, count=14)


def others(rows: EvidenceRows, hour: int, wrong: int = 0) -> None:
    """Put the audits of the other 900 labels into an hour, drawn at 1/100."""
    at_ms = BEGIN_MS + hour * HOUR_MS
    rows.audit(at_ms, "p", "P", wrong=False, weight=100.0, count=9 - wrong)
    rows.audit(at_ms, "p", "P", wrong=True, weight=100.0, count=wrong)


def test_flagged_audits_alone_raise_no_alarm_and_would_if_they_were_all_there_is() -> None:
    rows, alone = EvidenceRows(), EvidenceRows()
    for hour in range(72):
        flagged(rows, hour)
        flagged(alone, hour, labels=100)
    until_ms = BEGIN_MS + 72 * HOUR_MS - 1
    assert not accuracy_watch().read(rows, until_ms).firing
    assert accuracy_watch().read(alone, until_ms).firing


def test_bad_work_that_was_not_flagged_fires_once_its_audits_are_in() -> None:
    rows, watch = EvidenceRows(), accuracy_watch()
    for hour in range(48):
        flagged(rows, hour)
    until_ms = BEGIN_MS + 48 * HOUR_MS - 1
    assert not watch.read(rows, until_ms).firing
    for hour in range(24):
        others(rows, hour, wrong=3)
        watch.touch(EVIDENCE_TIER, BEGIN_MS + hour * HOUR_MS)
    reading = watch.read(rows, until_ms)
    assert reading.firing
    assert reading == accuracy_watch().read(rows, until_ms)


def test_an_audit_assumed_to_be_random_stands_for_all_that_is_left() -> None:
    rows = EvidenceRows()
    for hour in range(48):
        flagged(rows, hour)
    until_ms = BEGIN_MS + 48 * HOUR_MS - 1
    held = accuracy_watch().read(rows, until_ms).score
    row = rows.rows[BEGIN_MS + 47 * HOUR_MS]
    row[evidence_counter("p", "P", ASSUMED, technical=False)] = evidence_amount(wrong=False, critical=False)
    assert accuracy_watch().read(rows, until_ms).score > 100 * held


def test_labels_that_are_never_audited_are_not_awaited_once_days_have_shown_it() -> None:
    """Two fifths of the labels of a floor are of queues without auditors: its drop is seen as early as without these."""

    def score(never: int, days: int) -> float:
        rows = EvidenceRows()
        for hour in range(days * 24):
            rows.labels(BEGIN_MS + hour * HOUR_MS, 480 + never)
            wrong = 1 if hour < days * 24 - 6 else 10
            rows.audit(BEGIN_MS + hour * HOUR_MS, "p", "P", wrong=False, weight=20.0, count=24 - wrong)
            rows.audit(BEGIN_MS + hour * HOUR_MS, "p", "P", wrong=True, weight=20.0, count=wrong)
        return accuracy_watch().read(rows, BEGIN_MS + days * DAY_MS - 1).score

    assert score(320, 3) < score(0, 3) / 100
    assert score(320, 10) == pytest.approx(score(0, 10))


@given(
    st.lists(st.tuples(st.integers(0, 200), st.sampled_from(["flagged", "others", "wrong", "read"])), max_size=30),
    st.integers(190, 230),
)
def test_a_reading_does_not_depend_on_when_audits_and_labels_came(steps: list[tuple[int, str]], last: int) -> None:
    rows, watch = EvidenceRows(), accuracy_watch()
    for hour, what in steps:
        if what == "read":
            watch.read(rows, BEGIN_MS + max(hour, 150) * HOUR_MS)
            continue
        if what == "flagged":
            flagged(rows, hour)
            watch.touch(HOUR_TIER, BEGIN_MS + hour * HOUR_MS)
        else:
            others(rows, hour, wrong=8 * (what == "wrong"))
        watch.touch(EVIDENCE_TIER, BEGIN_MS + hour * HOUR_MS)
    until_ms = BEGIN_MS + last * HOUR_MS
    assert watch.read(rows, until_ms) == accuracy_watch().read(rows, until_ms)


def test_a_row_in_which_no_label_came_or_went_is_not_looked_at_again() -> None:
    rows, watch = EvidenceRows(), accuracy_watch()
    flagged(rows, 0)
    assert not watch.touch(HOUR_TIER, BEGIN_MS, labels=False)
    assert watch.touch(HOUR_TIER, BEGIN_MS)


def test_the_usual_part_is_two_standard_errors_up_and_never_below_a_half() -> None:
    assert usual_part(1_000, 700.0, 70_000.0) == 1.0
    assert usual_part(100_000, 70_000.0, 7_000_000.0) == pytest.approx(0.7 + 2 * math.sqrt(7_000_000) / 100_000)
    assert usual_part(100_000, 40_000.0, 4_000_000.0) == 1.0
