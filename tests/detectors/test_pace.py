"""Throughput by evidence: against the same hour of earlier days like it, through ledger and floor."""

from __future__ import annotations

import random
from typing import Any

import pytest

from alerts.detectors import detectors_of
from alerts.rules_file import parse_rules
from streams.core.formatting import instant
from streams.core.policy import DAY_MS, HOUR_MS, CorePolicy
from streams.core.time_text import rfc3339 as stamp
from tests.alerts.rows import one, rule, throughput
from tests.core.harness import CoreRun
from tests.detectors.test_floor import START_MS, event, readings

RULES = parse_rules(
    "rules: [{name: pace, kind: throughput_drop, scope: {by: site}, window: 8h, method: evidence}]"
).rules
POLICY = CorePolicy(detectors=detectors_of(RULES), scopes=((), ("site",)))
QUARTER_MS = 900_000


def labels(seed: int, *, days: float, drop: float = 1.0, drop_h: float = 8.0, busy: int = 12) -> list[dict[str, Any]]:
    """Labels of site A: ``busy`` a quarter hour by day, a third of it by night; ``drop`` of that in the last hours."""
    rng = random.Random(seed)
    found = []
    for quarter in range(round(days * 96)):
        at_ms = START_MS + quarter * QUARTER_MS
        mean = busy if 8 <= at_ms % DAY_MS // HOUR_MS < 20 else busy / 3
        mean *= drop if quarter >= days * 96 - drop_h * 4 else 1.0
        for _ in range(sum(rng.random() < mean / 60 for _ in range(60))):
            number = len(found)
            time_ms = at_ms + rng.randrange(QUARTER_MS)
            found.append(
                event(
                    "label.submitted",
                    number,
                    f"t{number}",
                    time_ms,
                    label_id="l",
                    values=["x"],
                    labeler_id="p",
                    site="A",
                )
            )
    found.sort(key=lambda e: e["time"])
    return found


def reading(events: list[dict[str, Any]], **how: Any) -> dict[str, Any]:
    core = CoreRun(how.pop("partitions", 2), POLICY)
    core.send(events, **how)
    core.finish()
    return readings(core)["site=A", "pace"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_usual_day_is_quiet_nights_included(seed: int) -> None:
    found = reading(labels(seed, days=9))
    assert not found["firing"]
    assert found["bar"] == 7_200.0


@pytest.mark.slow
@pytest.mark.parametrize("drop", [0.0, 0.3, 0.5])
def test_a_drop_fires_and_is_dated(drop: float) -> None:
    events = labels(1, days=8.75, drop=drop, drop_h=6)  # ends at 18:00
    clock = event(
        "label.submitted", "z", "tz", START_MS + round(8.75 * DAY_MS), label_id="l", values=["x"], labeler_id="z"
    )
    found = reading([*events, clock])
    assert found["firing"]
    began_ms = START_MS + round(8.5 * DAY_MS)
    assert abs(found["since_ms"] - began_ms) <= HOUR_MS
    assert found["bad"] > 0.3 * found["units"]


def test_without_a_week_of_history_nothing_is_judged() -> None:
    found = reading(labels(1, days=6, drop=0.1))
    assert (found["score"], found["firing"], found["units"]) == (0.0, False, 0)


@pytest.mark.slow
def test_late_labels_give_what_labels_in_time_give() -> None:
    """Half of the drop was only late: the alarm goes, to the same reading as if they had come in time."""
    events = labels(2, days=8.75)
    late = [e for i, e in enumerate(events) if i % 4 and i > len(events) - 300]
    lost = {id(e) for e in late}
    core = CoreRun(2, POLICY)
    core.send([e for e in events if id(e) not in lost], 50)
    core.finish()
    assert readings(core)["site=A", "pace"]["firing"]
    core.send(late, 7)
    core.finish()
    assert readings(core)["site=A", "pace"] == reading(events)


@pytest.mark.slow
def test_a_corrected_week_before_changes_what_was_expected() -> None:
    events = labels(3, days=8.75)
    week_before = [e for e in events if e["time"] < "2026-11-24T12"]
    core = CoreRun(2, POLICY)
    core.send(events)
    core.finish()
    before = readings(core)["site=A", "pace"]
    gone = [
        event("label.withdrawn", f"w{e['subject']}", e["subject"], START_MS + round(8.75 * DAY_MS), label_id="l")
        for e in week_before[::2]
    ]
    core.send(gone, 11)
    core.finish()
    after = readings(core)["site=A", "pace"]
    assert after != before
    assert after == reading([*events, *gone], partitions=1)


@pytest.mark.slow
def test_reading_along_the_way_changes_nothing() -> None:
    events = labels(4, days=8.75, drop=0.4)
    core = CoreRun(2, POLICY)
    for at in range(0, len(events), 331):
        core.send(events[at : at + 331])
        for partition in range(2):
            core.flush(partition)
        core.floor.take_changes()
        readings(core)
    core.finish()
    assert readings(core)["site=A", "pace"] == reading(events)


def test_words() -> None:
    fields = {"score": 61_000.0, "bar": 28_800.0, "firing": True, "since_ms": START_MS, "fired_ms": START_MS}
    row = {**throughput({}, 310, window="8h"), "evidence": {"the-rule": fields | {"units": 520, "bad": 210}}}
    signal = one(rule("throughput_drop", method="evidence", window="8h"), row)
    assert signal.firing
    assert signal.evidence == (
        f"310 labels where 520 were expected since {instant(START_MS)}; evidence 61,000 : 1 (bar 28,800)"
    )
    assert signal.since_ms == START_MS
    quiet = one(rule("throughput_drop", method="evidence", window="8h"), throughput({}, 310, window="8h"))
    assert not quiet.firing
    assert quiet.evidence == "310 labels in the last 8h; no evidence yet"


def shifts(people: dict[int, int], *, site: str = "A") -> list[dict[str, Any]]:
    """A shift of so many people on each day, 08:00 to 20:00, sent the evening before; nights as without a roster."""
    return [
        event(
            "shift.scheduled",
            f"s{day}-{count}",
            f"roster-{day}",
            START_MS + day * DAY_MS - 4 * HOUR_MS,
            shift_id=f"s-{day}",
            site=site,
            headcount=count,
            **{
                "from": stamp(START_MS + day * DAY_MS + 8 * HOUR_MS),
                "to": stamp(START_MS + day * DAY_MS + 20 * HOUR_MS),
            },
        )
        for day, count in people.items()
    ]


def ends_at(days: float) -> dict[str, Any]:
    at_ms = START_MS + round(days * DAY_MS)
    return event("label.submitted", "z", "tz", at_ms, label_id="l", values=["x"], labeler_id="z")


DAYS = dict.fromkeys(range(9), 10)
HALF_DAY = [*labels(1, days=8.75, drop=0.5, drop_h=9.5), ends_at(8.75)]
"""Nine days of which the last, from 08:30 on, gives half of the labels."""


@pytest.mark.slow
def test_half_of_the_people_scheduled_and_half_of_the_labels_is_no_drop() -> None:
    assert reading(HALF_DAY)["firing"]
    found = reading([*shifts({**DAYS, 8: 5}), *HALF_DAY])
    assert not found["firing"]
    assert found["score"] < 10


def test_all_of_the_people_and_half_of_the_labels_is_one() -> None:
    found = reading([*shifts(DAYS), *HALF_DAY])
    assert found["firing"]
    assert found["bad"] > 0.3 * found["units"]


@pytest.mark.slow
def test_nobody_scheduled_is_a_holiday_and_not_a_drop() -> None:
    quiet = labels(1, days=8.75, drop=0.0, drop_h=10.75)
    assert reading([*quiet, ends_at(8.75)])["firing"]
    closed = {day: count for day, count in DAYS.items() if day != 8}
    assert not reading([*shifts(closed), *quiet, ends_at(8.75)])["firing"]


@pytest.mark.slow
def test_a_site_without_a_roster_is_judged_by_its_own_past_beside_one_that_has_one() -> None:
    assert reading([*shifts(DAYS, site="B"), *HALF_DAY]) == reading(HALF_DAY)


@pytest.mark.slow
@pytest.mark.parametrize("flush_every", [1, 400])
def test_a_shift_sent_again_leaves_what_the_right_one_would_have_left(flush_every: int) -> None:
    right = shifts({**DAYS, 8: 5})
    wrong_first = [*shifts(DAYS), *HALF_DAY, *shifts({8: 5})]
    assert reading(wrong_first, flush_every=flush_every) == reading([*right, *HALF_DAY])
    called_off = reading([*shifts(DAYS), *HALF_DAY, *shifts({8: 0})], flush_every=flush_every)
    assert called_off == reading([*shifts({**DAYS, 8: 0}), *HALF_DAY])
    assert not called_off["firing"]
