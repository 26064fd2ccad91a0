"""Plans with their last versions: a record that is folded again sees what it saw the first time."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from alerts.codec import encode_input
from alerts.incident import Calendar, Maintenance, Override, Tick
from alerts.oncall.kept import KEPT_AFTER_MS, MOST_EARLIER, SHOWN, Plans, plan_key, shown_plans
from alerts.oncall.policy import RotaFacts

WINDOW = Maintenance("m", ("site=kul",), 1_000, 2_000, "ann", 500)
TURN = Override("o", "kul", "mei", 1_000, 2_000, "ann", 500)
TEXT = Calendar("holidays", "ff", "BEGIN:VCALENDAR", 500)


def again(plans: Plans, *, own: bool = True) -> Plans:
    """What another worker reads of the log."""
    found = Plans()
    for key in plans.known():
        found.take(plans.encoded(key), own=own)
    return found


def test_a_plan_is_read_back_as_it_was_written() -> None:
    plans = Plans()
    assert [plans.fold(one, at) for at, one in enumerate((WINDOW, TURN, TEXT))] == [
        "maintenance/m",
        "override/o",
        "calendar/holidays",
    ]
    found = again(plans)
    assert found.facts == plans.facts == RotaFacts({"o": TURN}, {"m": WINDOW}, {"holidays": TEXT})
    assert again(found).facts == plans.facts


def test_a_record_that_is_folded_again_sees_the_plans_of_then() -> None:
    plans = Plans()
    longer, gone = structs.replace(WINDOW, to_ms=3_000), structs.replace(WINDOW, removed=True)
    for at, one in ((10, WINDOW), (20, longer), (30, gone)):
        plans.fold(one, at)
    for first, seen in ((5, {}), (10, {}), (11, {"m": WINDOW}), (25, {"m": longer}), (31, {"m": gone})):
        found = again(plans)
        found.reach(first)
        assert found.facts.maintenance == seen, first
        found.reach(first + 1)  # only the first record counts: the others are folded
        assert found.facts.maintenance == seen


def test_folding_the_rest_again_gives_what_there_was() -> None:
    plans = Plans()
    story = [(at, structs.replace(WINDOW, to_ms=2_000 + at)) for at in range(MOST_EARLIER + 3)]
    for at, one in story:
        plans.fold(one, at)
    found = again(plans)
    found.reach(4)
    for at, one in story[4:]:
        found.fold(one, at)
    assert found.encoded("maintenance/m") == plans.encoded("maintenance/m")


def test_a_calendar_is_kept_once_and_counts_at_once() -> None:
    plans = Plans()
    plans.fold(TEXT, 1)
    plans.fold(structs.replace(TEXT, text="BEGIN:VCALENDAR 2"), 2)
    assert plans.encoded("calendar/holidays").count(b"BEGIN") == 1
    found = again(plans)
    found.reach(1)
    assert found.facts.calendars["holidays"].text == "BEGIN:VCALENDAR 2"


def test_an_older_state_that_a_stalled_worker_wrote_later_does_not_count() -> None:
    old, new = Plans(), Plans()
    old.fold(WINDOW, 10)
    new.fold(WINDOW, 10)
    new.fold(structs.replace(WINDOW, removed=True), 20)
    found = Plans()
    for one in (new, old):
        found.take(one.encoded("maintenance/m"))
    assert found.facts.maintenance["m"].removed


def test_offsets_of_another_partition_and_of_an_earlier_release_mean_nothing() -> None:
    plans = Plans()
    plans.fold(WINDOW, 900)
    other = again(plans, own=False)
    other.reach(5)
    assert other.facts.maintenance == {"m": WINDOW}
    plain = Plans()
    plain.take(encode_input(WINDOW))
    plain.reach(0)
    assert plain.facts.maintenance == {"m": WINDOW}


def test_what_is_over_for_long_is_forgotten_and_calendars_never() -> None:
    plans = Plans()
    for one in (WINDOW, TURN, TEXT):
        plans.fold(one, 1)
    assert plans.forget(2_000 + KEPT_AFTER_MS) == []
    assert sorted(plans.forget(2_001 + KEPT_AFTER_MS)) == ["maintenance/m", "override/o"]
    assert plans.facts == RotaFacts({}, {}, {"holidays": TEXT})
    assert plans.forget(2_001 + KEPT_AFTER_MS) == []


def test_what_is_no_plan_is_refused() -> None:
    with pytest.raises(ValueError, match="tick is no plan"):
        Plans().take(encode_input(Tick(1)))
    with pytest.raises(msgspec.DecodeError):
        Plans().take(b"{")


def test_redis_says_whether_anybody_has_written_what_is_planned() -> None:
    shown = {plan_key(one).encode(): encode_input(one) for one in (WINDOW, TURN)}
    assert shown_plans(shown) is None
    assert shown_plans({SHOWN.encode(): b""}) == RotaFacts()
    assert shown_plans({SHOWN.encode(): b"", **shown}) == RotaFacts({"o": TURN}, {"m": WINDOW})


@given(st.lists(st.sampled_from([(name, end) for name in "ab" for end in (2_000, 3_000)]), max_size=8), st.data())
def test_wherever_a_worker_begins_again_it_sees_what_the_first_one_saw(
    script: list[tuple[str, int]], data: st.DataObject
) -> None:
    """Up to as many changes of one plan as versions are kept, between the commit and the crash."""
    steps = [structs.replace(WINDOW, id=name, to_ms=end) for name, end in script]
    first = data.draw(st.integers(max(0, len(steps) - MOST_EARLIER), len(steps)))
    plans, seen = Plans(), []
    for at, one in enumerate(steps):
        seen.append(plans.facts)
        plans.fold(one, at)
    seen.append(plans.facts)
    found = again(plans)
    for at in range(first, len(steps)):
        found.reach(at)
        assert found.facts == seen[at]
        found.fold(steps[at], at)
    found.reach(len(steps))
    assert found.facts == seen[-1]
