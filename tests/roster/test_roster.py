"""Rosters: worked examples by hand, and everything against a recount minute by minute."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from floorwatch.analysis.people.standing_labels import StandingLabel
from floorwatch.analysis.roster.headcount import required_headcount
from floorwatch.analysis.roster.presence import RosterPolicy, presence_of
from floorwatch.analysis.roster.roster_rows import Activity, Arrival, ClaimEvent, add_rows, measures, roster_rows
from streams.core.facts import fact_of
from streams.core.roster import intervals as iv
from streams.core.roster.roster_plan import break_times, fold_roster, scheduled_by_person
from streams.core.time_text import rfc3339
from streams.models.events import decode_event
from tests.roster import naive
from tests.support import size

HOUR = 3_600_000
MINUTE = 60_000
BASE = 1_795_392_000_000  # 2026-11-23T00:00:00Z
POLICY = RosterPolicy()
DAY = (BASE, BASE + 24 * HOUR)


def event(kind: str, number: int, data: dict, at: int = BASE, subject: str = "roster/KUL"):
    raw = {
        "specversion": "1.0", "id": f"e-{number}", "source": "wfm/kul", "type": f"floorwatch.{kind}.v1",
        "subject": subject, "time": rfc3339(at), "data": data,
    }  # fmt: skip
    found = fact_of(number, decode_event(msgspec.json.encode(raw)))
    assert found is not None
    return found


def shift(number: int, start: int, end: int, shift_id: str = "s-1", **data):
    """A shift from minute to minute after BASE."""
    times = {"from": rfc3339(BASE + start * MINUTE), "to": rfc3339(BASE + end * MINUTE)}
    return event("shift.scheduled", number, {"shift_id": shift_id, **times, **data})


def pause(number: int, at: int, kind: str = "started", who: str = "kul-1"):
    return event(f"break.{kind}", number, {"labeler_id": who}, BASE + at * MINUTE, f"people/{who}")


def label(who: str, start: int, end: int, *, site: str = "KUL", queue: str = "hate", team: str = "t1") -> StandingLabel:
    """A label handled from minute to minute after BASE."""
    time_ms = BASE + end * MINUTE
    return StandingLabel(f"t-{who}-{end}", f"l-{who}-{end}", who, site, "inhouse", team, queue, "P1", time_ms,
                (end - start) * MINUTE, None, "safe", None)  # fmt: skip


def rows_of(facts, works=(), *, by=("site",), until=24 * 60, signs=(), arrivals=(), policy=POLICY):
    activity = Activity(list(works), list(signs), list(arrivals))
    return roster_rows(fold_roster(facts), activity, by, DAY, BASE + until * MINUTE, policy)


KUL = (("site", "KUL"),)


def test_a_shift_given_again_replaces_the_former_wholly():
    first = shift(1, 60, 540, site="KUL", labeler_ids=["a", "b"])
    again = shift(2, 120, 180, site="LIS", labeler_ids=["b"])
    assert set(rows_of([first])) == {KUL}
    rows = rows_of([first, again])
    assert set(rows) == {(("site", "LIS"),)}
    assert add_rows(rows[("site", "LIS"),].values())["scheduled_ms"] == HOUR
    assert fold_roster([first, again]).replaced == 1
    # Log order decides, not the order in which ids were given.
    assert add_rows(rows_of([again, first])[KUL].values())["scheduled_ms"] == 2 * 8 * HOUR


def test_a_shift_given_with_nobody_in_it_is_called_off():
    rows = rows_of([shift(1, 60, 540, site="KUL", headcount=4), shift(2, 60, 540, site="KUL", headcount=0)])
    assert rows == {}


def test_a_shift_that_ends_before_it_begins_counts_for_nothing_and_is_told():
    plan = fold_roster([shift(1, 60, 540), shift(2, 540, 60)])
    assert plan.shifts == {}
    assert plan.reversed == {"s-1"}
    assert fold_roster([shift(1, 540, 60), shift(2, 60, 540)]).reversed == set()


def test_overlapping_shifts_of_one_person_count_once_and_headcount_is_a_count():
    facts = [
        shift(1, 60, 180, "s-1", site="KUL", labeler_ids=["a"], headcount=3),
        shift(2, 120, 240, "s-2", site="KUL", labeler_ids=["a", "a"]),
    ]
    hours = rows_of(facts, until=0)[KUL]
    # Hours 1 to 3 of "a" (60–240), and two unnamed heads in hours 1 and 2.
    assert {(pane - BASE) // HOUR: row["scheduled_ms"] // MINUTE for pane, row in hours.items()} == {
        1: 180,
        2: 180,
        3: 60,
    }


def test_a_worked_day():
    """Shift 60–540 (480 min, 60 of breaks planned).

    Signs: handling 70–100, 110–160, 300–420, 430–440; break 200–290; overtime 545–555.
    Gaps: 60–70 idle 10, 100–110 idle 10, 160–200 away 40, 290–300 idle 10, 420–430 idle 10, 440–540 away 100.
    Handling 30+50+120+10 = 210, idle 40, break 90, away 140: 480. Break beyond plan 30. Exceptions 170.
    """
    works = [label("kul-1", *span) for span in ((70, 100), (110, 160), (300, 420), (430, 440), (545, 555))]
    facts = [shift(1, 60, 540, site="KUL", labeler_ids=["kul-1"]), pause(2, 200), pause(3, 290, "ended")]
    total = add_rows(rows_of(facts, works)[KUL].values())
    minutes = {name: amount // MINUTE for name, amount in total.items() if name.endswith("_ms")}
    assert minutes == {
        "scheduled_ms": 480, "named_ms": 480, "handling_ms": 210, "idle_ms": 40, "break_ms": 90, "away_ms": 140,
        "exception_ms": 170, "overtime_ms": 10, "headcount_handling_ms": 0, "handle_ms": 220,
    }  # fmt: skip
    found = measures(total, 24 * HOUR, POLICY)
    assert found["occupancy_ratio"] == pytest.approx(210 / 250)
    assert found["adherence_percent"] == pytest.approx(100 * (1 - 170 / 480))
    assert found["conformance_percent"] == pytest.approx(100 * (480 - 170 + 10) / 480)
    assert found["shrinkage_ratio"] == pytest.approx(230 / 480)
    assert found["staffed_h"] == pytest.approx(6.5)
    assert found["shrinkage_measured"] is True


def test_the_first_sign_of_a_claim_ends_being_away():
    facts = [shift(1, 0, 60, site="KUL", labeler_ids=["a"])]
    works = [label("a", 50, 60)]
    assert add_rows(rows_of(facts, works, until=60)[KUL].values())["away_ms"] == 50 * MINUTE
    signs = [ClaimEvent(BASE + at * MINUTE, "a") for at in (10, 20, 30, 40)]
    assert add_rows(rows_of(facts, works, until=60, signs=signs)[KUL].values())["away_ms"] == 0


def test_a_break_without_end_is_cut_at_the_end_of_its_shift_and_at_now():
    facts = [shift(1, 60, 120, site="KUL", labeler_ids=["kul-1"]), pause(2, 90)]
    assert add_rows(rows_of(facts)[KUL].values())["break_ms"] == 30 * MINUTE
    assert add_rows(rows_of(facts, until=100)[KUL].values())["break_ms"] == 10 * MINUTE
    # its end comes late: corrected to what it would have been
    late = [*facts, pause(3, 95, "ended")]
    assert add_rows(rows_of(late)[KUL].values())["break_ms"] == 5 * MINUTE
    assert rows_of(late) == rows_of([late[0], late[2], late[1]])


def test_overlapping_labels_are_one_stretch_of_handling():
    facts = [shift(1, 0, 60, site="KUL", labeler_ids=["a"])]
    works = [label("a", 0, 40), label("a", 20, 60)]
    total = add_rows(rows_of(facts, works, until=60)[KUL].values())
    assert total["handling_ms"] == 60 * MINUTE
    assert total["handle_ms"] == 80 * MINUTE


def test_who_works_elsewhere_meanwhile_is_not_idle():
    facts = [shift(1, 0, 60, queue="hate", labeler_ids=["a"])]
    rows = rows_of(facts, [label("a", 0, 60, queue="scam")], by=("queue",), until=60)
    assert add_rows(rows[("queue", "hate"),].values())["handling_ms"] == HOUR
    assert add_rows(rows[("queue", "scam"),].values())["labels"] == 1


def test_headcount_without_names_takes_the_handling_of_people_without_shift_up_to_its_room():
    facts = [shift(1, 0, 60, site="KUL", headcount=2)]
    works = [label(who, 0, 50) for who in ("a", "b", "c")]
    total = add_rows(rows_of(facts, works)[KUL].values())
    assert total["headcount_handling_ms"] == 120 * MINUTE
    assert total["idle_ms"] == 0
    found = measures(total, 24 * HOUR, POLICY)
    assert found["occupancy_ratio"] == 1.0
    assert found["adherence_percent"] is None
    assert found["shrinkage_measured"] is False


def test_required_headcount_by_hand():
    # 120 labels of 90 s are 3 h of work; 3 / (.85 · .7) = 5.04
    assert required_headcount(120, 90_000 * 10, 10, HOUR, 850, 300) == 6
    assert required_headcount(100, 36_000, 1, HOUR, 1000, 0) == 1  # exactly one hour of work: no rounding up
    assert required_headcount(101, 36_000, 1, HOUR, 1000, 0) == 2
    assert required_headcount(5, 0, 0, HOUR, 850, 300) is None
    assert required_headcount(5, 9, 1, HOUR, 850, 1000) is None


def test_arrivals_fall_in_their_hour_and_scope():
    arrivals = [
        Arrival(BASE + 5 * MINUTE, ("KUL", "", "", "hate"), 2),
        Arrival(BASE + 70 * MINUTE, ("KUL", "", "", "x"), 1),
    ]
    hours = rows_of([], arrivals=arrivals)[KUL]
    assert {(pane - BASE) // HOUR: row["arrivals"] for pane, row in hours.items()} == {0: 2, 1: 1}


SPAN = st.tuples(st.integers(0, 240), st.integers(1, 90)).map(lambda pair: (pair[0], pair[0] + pair[1]))
SPANS = st.lists(SPAN, max_size=5)
MARKS = st.lists(st.tuples(st.integers(0, 330), st.booleans()), max_size=6)


def at(spans):
    return iv.union((BASE + start * MINUTE, BASE + end * MINUTE) for start, end in spans)


def minutes_of(times: iv.Times) -> set[int]:
    return naive.minutes([((start - BASE) // MINUTE, (end - BASE) // MINUTE) for start, end in times])


@pytest.mark.slow
@given(SPANS, MARKS, st.integers(0, 400))
@settings(max_examples=size(150, 1000))
def test_breaks_against_a_recount(spans, marks, until):
    scheduled = at(spans)
    found = break_times(
        [(BASE + minute * MINUTE, starts) for minute, starts in marks], scheduled, BASE + until * MINUTE
    )
    assert minutes_of(found) == naive.breaks(marks, naive.minutes(spans), until)


@pytest.mark.slow
@given(SPANS, SPANS, SPANS, st.integers(0, 330), st.integers(1, 40))
@settings(max_examples=size(150, 1000))
def test_presence_against_a_recount(spans, handled, paused, until, away):
    policy = RosterPolicy(away_ms=away * MINUTE)
    found = presence_of(
        at(spans),
        [(BASE + start * MINUTE, BASE + end * MINUTE) for start, end in handled],
        at(paused), BASE + until * MINUTE, policy,
    )  # fmt: skip
    schedule = naive.minutes(spans)
    due = {minute for minute in schedule if minute < until}
    busy = naive.minutes([span for span in handled if span[0] < until])
    on_break = (due & naive.minutes(paused)) - busy
    runs = naive.gaps(due, busy | on_break)
    gone = {minute for run in runs if len(run) > away for minute in run}
    assert minutes_of(found.scheduled) == due
    assert minutes_of(found.handling) == due & busy
    assert minutes_of(found.on_break) == on_break
    assert minutes_of(found.away) == gone
    assert minutes_of(found.idle) == due - busy - on_break - gone
    assert minutes_of(found.overtime) == {minute for minute in busy if minute < until} - schedule
    parts = (found.handling, found.idle, found.on_break, found.away)
    assert sum(map(iv.length_ms, parts)) == iv.length_ms(found.scheduled)
    assert set(minutes_of(found.away)) <= minutes_of(found.exception) <= gone | on_break


@st.composite
def rosters(draw):
    """Shifts (some given again), labels of three people, in minutes."""
    shifts = draw(st.lists(st.tuples(st.sampled_from("abc"), SPAN, st.sampled_from(["KUL", "LIS"]),
                                     st.sets(st.sampled_from("xyz")), st.integers(0, 4)), max_size=6))  # fmt: skip
    works = draw(st.lists(st.tuples(st.sampled_from("xyz"), SPAN, st.sampled_from(["KUL", "LIS"])), max_size=8))
    return shifts, works


@pytest.mark.slow
@given(rosters())
@settings(max_examples=size(100, 500))
def test_rows_against_a_recount(case):
    shifts, works = case
    facts = [
        shift(number, start, end, name, site=site, labeler_ids=sorted(who), headcount=heads)
        for number, (name, (start, end), site, who, heads) in enumerate(shifts)
    ]
    rows = rows_of(facts, [label(who, *span, site=site) for who, span, site in works])
    last = {name: rest for name, *rest in shifts}
    for site in ("KUL", "LIS"):
        hours = rows.get((("site", site),), {})
        own = [(span, who, heads) for span, at_site, who, heads in last.values() if at_site == site]
        for hour in range(6):
            inside = set(range(hour * 60, hour * 60 + 60))
            scheduled = sum(len(naive.minutes([span]) & inside) * max(0, heads - len(who)) for span, who, heads in own)
            handling = 0
            for person in "xyz":
                mine = naive.minutes([span for span, who, _ in own if person in who])
                scheduled += len(mine & inside)
                handling += len(mine & inside & naive.minutes([span for who, span, _ in works if who == person]))
            row = hours.get(BASE + hour * HOUR, dict.fromkeys(("scheduled_ms", "handling_ms"), 0))
            assert row["scheduled_ms"] == scheduled * MINUTE
            assert row["handling_ms"] == handling * MINUTE
            if row.get("named_ms"):
                room = row["scheduled_ms"] - row["named_ms"]
                parts = ("handling_ms", "idle_ms", "break_ms", "away_ms", "headcount_handling_ms")
                assert sum(row[part] for part in parts) == row["named_ms"] + room


@given(rosters(), st.integers(1, 3))
@settings(max_examples=100)
def test_hours_add_up_to_any_other_pane(case, hours_a_pane):
    shifts, works = case
    facts = [
        shift(number, start, end, name, site=site, labeler_ids=sorted(who), headcount=0)
        for number, (name, (start, end), site, who, _) in enumerate(shifts)
    ]
    plan, activity = fold_roster(facts), Activity([label(who, *span, site=site) for who, span, site in works])
    fine = roster_rows(plan, activity, ("site",), DAY, DAY[1], POLICY)
    coarse = roster_rows(plan, activity, ("site",), DAY, DAY[1], POLICY, hours_a_pane * HOUR)
    assert {scope: add_rows(rows.values()) for scope, rows in fine.items()} == {
        scope: add_rows(rows.values()) for scope, rows in coarse.items()
    }


def test_a_person_in_two_places_at_once_is_in_both_and_once_in_the_whole():
    facts = [
        shift(1, 0, 60, "s-1", site="KUL", labeler_ids=["a"]),
        shift(2, 30, 90, "s-2", site="LIS", labeler_ids=["a"]),
    ]
    parts = sum(add_rows(rows.values())["scheduled_ms"] for rows in rows_of(facts).values())
    whole = add_rows(rows_of(facts, by=())[()].values())["scheduled_ms"]
    assert (parts, whole) == (120 * MINUTE, 90 * MINUTE)
    assert scheduled_by_person(fold_roster(facts).shifts.values()) == {"a": ((BASE, BASE + 90 * MINUTE),)}
