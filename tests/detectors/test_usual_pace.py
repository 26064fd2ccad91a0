"""The usual pace of an hour: which hours of the days before it are counted."""

from __future__ import annotations

from collections.abc import Callable

from streams.core.detectors.pace import utc_day
from streams.core.detectors.usual_pace import PastHours, Usual
from streams.core.policy import DAY_MS, HOUR_MS, Window
from streams.core.windows import window_range

LABELS, SCHEDULED = 1, 2
START_MS = 40 * 7 * DAY_MS
TODAY = 9
"""The day that is judged."""


class Held:
    def __init__(self, of: Callable[[int, int], dict[int, int]], days: int = TODAY, from_day: int = 0) -> None:
        """``of`` returns the counters of a day's hour."""
        self.hours = {
            START_MS + day * DAY_MS + hour * HOUR_MS: of(day, hour)
            for day in range(from_day, days)
            for hour in range(24)
        }

    def starts(self, tier: int) -> list[int]:
        return list(self.hours) if tier == 2 else []

    def counters(self, tier: int, pane_ms: int) -> dict[int, int]:
        return self.hours.get(pane_ms, {}) if tier == 2 else {}

    def kept_ms(self, tier: int) -> int:
        return 14 * DAY_MS


def usual(held: Held, hour: int = 10, day: int = TODAY, day_of: Callable[[int], int] = utc_day) -> Usual | None:
    past = PastHours(LABELS, SCHEDULED, day_of)
    past.begin(held)
    return past.usual(held, START_MS + day * DAY_MS + hour * HOUR_MS)


def test_days_alike_count_together() -> None:
    assert usual(Held(lambda _, hour: {LABELS: 10 + hour})) == Usual(7 * 20, 7 * 4, by_roster=False)


def test_a_weekend_is_judged_by_the_weekend_before() -> None:
    held = Held(lambda day, _: {LABELS: 4 if day % 7 in (2, 3) else 40})
    found = usual(held)  # day 9 is like day 2, and day 3 like both
    assert found == Usual(2 * 4, 2 * 4, by_roster=False)
    assert usual(Held(lambda day, _: {LABELS: 4 if day % 7 in (3, 4) else 40})) == Usual(5 * 40, 5 * 4, by_roster=False)


def test_an_hour_that_is_unlike_every_week_is_judged_by_itself() -> None:
    """Maintenance at ten on one day of the week, on a day that else is like the others."""
    held = Held(lambda day, hour: {LABELS: 0 if day % 7 == 2 and hour == 10 else 40})
    assert usual(held) is None
    assert usual(held, hour=11) == Usual(7 * 40, 7 * 4, by_roster=False)
    assert usual(held, day=TODAY - 1) == Usual(6 * 40, 6 * 4, by_roster=False)


def test_an_hour_without_a_row_is_one_without_labels() -> None:
    """Only hours in which something came have a row; if the others did not count, small scopes would seem to have slowed down."""
    held = Held(lambda day, hour: {LABELS: 1} if hour == 10 and day % 2 else {})
    held.hours = {at_ms: row for at_ms, row in held.hours.items() if row}
    held.hours[START_MS] = {LABELS: 1}
    found = usual(held)
    assert found is not None
    assert found.expected(4) < 0.7


def test_before_a_week_has_passed_nothing_is_usual() -> None:
    held = Held(lambda *_: {LABELS: 10}, from_day=3)
    assert usual(held) is None
    assert usual(held, day=3 + 7) is not None


def test_hours_with_a_roster_are_compared_with_hours_with_one() -> None:
    def of(day: int, hour: int) -> dict[int, int]:
        people = {8: 5}.get(day, 10)
        return {LABELS: 4 * people, SCHEDULED: people * HOUR_MS} if 8 <= hour < 20 else {LABELS: 6}

    held = Held(of)
    by_day, by_night = usual(held), usual(held, hour=3)
    assert by_day == Usual(4 * 65, 65 * HOUR_MS, by_roster=True)
    assert by_night == Usual(7 * 6, 7 * 4, by_roster=False)


def test_days_are_those_of_the_scope_also_where_they_begin_at_half_past() -> None:
    """Days in Kolkata begin at 18:30 UTC: the hour that begins at 18:00 belongs to the day before."""

    def kolkata(at_ms: int) -> int:
        return window_range(Window("day", 1, starts_min=(0,)), at_ms, "Asia/Kolkata")[0]

    off = {2 * 24 + hour for hour in range(-5, 19)}  # day 2 there, from 19:00 to 18:00 UTC
    held = Held(lambda day, hour: {LABELS: 0 if day * 24 + hour in off else 40})
    assert usual(held, hour=18, day_of=kolkata) is None
    assert usual(held, hour=19, day_of=kolkata) == Usual(6 * 40, 6 * 4, by_roster=False)


def test_a_changed_hour_changes_what_was_usual() -> None:
    held = Held(lambda *_: {LABELS: 40})
    past = PastHours(LABELS, SCHEDULED, utc_day)
    past.begin(held)
    hour_ms = START_MS + TODAY * DAY_MS + 10 * HOUR_MS
    assert past.usual(held, hour_ms) == Usual(280, 28, by_roster=False)
    for hour in range(24):
        changed_ms = START_MS + 5 * DAY_MS + hour * HOUR_MS
        held.hours[changed_ms] = {LABELS: 4}
        past.forget(changed_ms)
    assert past.usual(held, hour_ms) == Usual(240, 24, by_roster=False)
