"""What is said of who is told next is what is told then."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from alerts.incident import Flapping, Hold, Snooze
from alerts.next_told import NextTelling, next_told
from alerts.oncall.policy import CalendarPolicy, RotaFacts, WeeklyTimes
from alerts.routing.policy import EscalationPolicy, RoutePolicy, RoutingPolicy, RuleTier, TierPolicy
from alerts.told_words import next_lines
from streams.core.formatting import instant
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.alerts.test_telling import Floor, one, routed

A = one({"queue": "a"})
RULE = A.rule
TIERS = (RuleTier(15 * MINUTE_MS, "lead"), RuleTier(60 * MINUTE_MS, "manager"))


def policy(**more: Any) -> RoutingPolicy:
    route = RoutePolicy("default", ("channel:ops",), group_interval_ms=0, **more)
    made = routed(default=route, lead=("boss",), manager=("chief",))
    return structs.replace(made, rule_tiers={RULE: TIERS})


def after(floor: Floor) -> list[NextTelling]:
    return next_told(floor.scene.policy, RotaFacts(), floor.now[A.key], floor.at_ms)


def said(floor: Floor) -> list[tuple[str, int, float | None, tuple[str, ...]]]:
    return [
        (
            one.what,
            one.number,
            None if one.at_ms is None else (one.at_ms - NOW_MS) / MINUTE_MS,
            tuple(name for to in one.targets for name in to.channels),
        )
        for one in after(floor)
    ]


def told(how: RoutingPolicy) -> Floor:
    floor = Floor(how, A, tiers=how.rule_tiers)
    floor.look()
    return floor


def test_the_next_tier_is_named_with_its_time_and_its_receivers() -> None:
    floor = told(policy())
    assert said(floor) == [("tier", 1, 15, ("boss",))]
    floor.look(15)
    assert said(floor) == [("tier", 2, 60, ("chief",))]
    floor.look(45)
    assert said(floor) == []
    assert next_lines(after(told(policy())), NOW_MS, instant) == [
        "Mon 23 Nov 10:17 UTC, unless somebody takes it: tier 1: boss (route lead)"
    ]


@pytest.mark.parametrize(
    "more",
    [
        {"state": "acknowledged", "acknowledged_by": "mei"},
        {"state": "resolved"},
        {"merged_into": "f" * 32},
        {"flapping": Flapping(4, 1)},
        {"groups": ()},
    ],
)
def test_nobody_follows_where_nothing_is_told(more: dict[str, Any]) -> None:
    floor = told(policy(renotify_ms=30 * MINUTE_MS))
    assert len(said(floor)) == 2
    floor.change(A.key, **more)
    assert said(floor) == []


def test_what_somebody_asked_for_comes_within_seconds() -> None:
    floor = told(policy())
    floor.change(A.key, asked_tier=1)
    assert said(floor) == [("tier", 1, 0, ("boss",))]
    assert next_lines(after(floor), floor.at_ms, instant) == [
        "Within seconds, unless somebody takes it: tier 1: boss (route lead)"
    ]


def test_a_silence_puts_it_off_and_a_snooze_ends_with_a_reminder() -> None:
    floor = told(policy())
    floor.change(A.key, silenced_until_ms=NOW_MS + 40 * MINUTE_MS)
    assert said(floor) == [("tier", 1, 40, ("boss",))]
    floor.change(A.key, silenced_until_ms=None, snooze=Snooze(NOW_MS + 5 * MINUTE_MS, "page", -0.1))
    assert said(floor) == [("reminder", 0, 5, ("ops",)), ("tier", 1, 15, ("boss",))]


def test_quiet_hours_put_a_tier_off_until_they_end() -> None:
    quiet = CalendarPolicy("night", "UTC", (WeeklyTimes(tuple(range(7)), 10 * 60 + 10, 12 * 60),))
    how = policy()
    lead = structs.replace(how.routes["lead"], quiet=("night",))
    how = structs.replace(how, routes={**how.routes, "lead": lead}, calendars={"night": quiet})
    (found,) = after(told(how))
    assert found.at_ms == NOW_MS + 118 * MINUTE_MS  # 10:02 to 12:00
    assert found.holds == (Hold("quiet", "night", found.at_ms),)
    (line,) = next_lines([found], NOW_MS, instant)
    assert line.startswith(
        "Mon 23 Nov 12:00 UTC, unless somebody takes it: tier 1: boss (route lead); quiet hours night"
    )


def test_a_step_without_receivers_says_that_nobody_is_there() -> None:
    found = NextTelling("tier", NOW_MS + MINUTE_MS, (), 1)
    assert next_lines([found], NOW_MS, instant)[0].endswith("tier 1: nobody: no receiver is configured")
    assert next_lines([NextTelling("tier", None, (), 1)], NOW_MS, instant)[0].startswith("When what holds it ends")


MINUTES = st.integers(1, 90)


@given(
    renotify=st.none() | st.integers(20, 60),
    steps=st.lists(MINUTES, min_size=0, max_size=3),
    repeat=st.integers(0, 2),
    rule=st.booleans(),
)
def test_whatever_is_configured_what_was_said_is_what_is_told_first(
    renotify: int | None, steps: list[int], repeat: int, rule: bool
) -> None:
    """Minute by minute: the first telling that was named comes at its time, to its receivers, and none comes unnamed."""
    tiers = tuple(TierPolicy((f"channel:{name}",), wait * MINUTE_MS) for name, wait in zip("xyz", steps, strict=False))
    how = policy(
        renotify_ms=None if renotify is None else renotify * MINUTE_MS, escalation="up" if tiers and not rule else None
    )
    how = structs.replace(
        how,
        escalations={"up": EscalationPolicy("up", tiers, repeat)} if tiers else {},
        channels=(*how.channels, *"xyz"),
    )
    floor = told(how)
    for minute in range(1, 200):
        expected = [found for found in after(floor) if found.at_ms is not None]
        came = floor.look(1)
        due = [found for found in expected if found.at_ms is not None and found.at_ms <= NOW_MS + minute * MINUTE_MS]
        names = {name for found in due for to in found.targets for name in to.channels}
        if due:
            assert came, f"minute {minute}: {due} did not come"
            assert {name for channels, _ in came for name in channels} <= names | _early(expected)
            if any(found.what == "tier" for found in due):
                first = next(found for found in due if found.what == "tier")
                assert {name for to in first.targets for name in to.channels} <= {n for some, _ in came for n in some}
        elif came:
            assert all(step.startswith("reminder") for _, some in came for _, step in some), came


def _early(expected: list[NextTelling]) -> set[str]:
    """Return the channels of reminders, which go with another message up to a fourth of their time before they are due."""
    return {name for found in expected if found.what == "reminder" for to in found.targets for name in to.channels}
