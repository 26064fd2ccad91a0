"""Errors of one person on one day resemble each other: every judgement about a person allows for it, not the names alone."""

from __future__ import annotations

import numpy as np
import pytest

from floorwatch.analysis.people import clusters
from floorwatch.analysis.people.accuracy import TargetStanding, accuracy_of
from floorwatch.analysis.people.coaching import CoachingStep, State, Told, coaching_of
from floorwatch.analysis.people.cohort import Cohort
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.recovery import Untouched
from floorwatch.analysis.people.rushing import fast_risk
from floorwatch.analysis.people.scorecard import scorecard, trend_of
from floorwatch.analysis.people.standing_labels import StandingLabel
from floorwatch.cli.people_text import chance_line, scorecard_lines
from floorwatch.sims import people as sim
from floorwatch.sims.lines import of_share
from streams.core.binomial import TAIL
from tests.people.floor import BASE, DAY, judged, labels, work

POLICY = PeoplePolicy()


def days(who: str, *wrong: int, each: int = 20, first: int = 0) -> list[StandingLabel]:
    """Return somebody's audits, so many a day, of which so many are wrong."""
    return [
        work(1000 * (first + day) + n, who, (first + day) * DAY + n, verdict=judged(n < bad))
        for day, bad in enumerate(wrong)
        for n in range(each)
    ]


def crowd(low: list[StandingLabel], *others: int) -> Cohort:
    works = low + [one for n in range(12) for one in days(f"p{n}", *others)]
    return Cohort(sorted(works, key=lambda one: one.time_ms), (BASE, BASE + len(others) * DAY), POLICY)


def test_the_column_goes_by_the_same_null_as_the_names():
    """14 wrong of 100 is below 95% where days are alike, and not where all errors of the floor come on single days."""
    alike, by_day = (crowd(days("low", 3, 3, 2, 3, 3), *others) for others in ([1, 1, 1, 1, 1], [5, 0, 0, 0, 0]))
    found = [one.accuracies["low"] for one in (alike, by_day)]
    assert [one.standing for one in found] == [TargetStanding.below, TargetStanding.unclear]
    assert (found[0].scatter, found[1].scatter > 2) == (1, True)
    assert found[1].weighted.high - found[1].weighted.low > 1.5 * (found[0].weighted.high - found[0].weighted.low)
    assert found[1].missing > found[0].missing
    for one in (alike, by_day):
        for name, said in one.accuracies.items():
            assert (said.standing is TargetStanding.below) == (one.judged.chances[name] < TAIL)
    assert any("times as much as with independent audits" in line for line in scorecard_lines(
        scorecard(by_day, "low"), POLICY, [])
    )  # fmt: skip
    assert not any("independent audits" in line for line in scorecard_lines(scorecard(alike, "low"), POLICY, []))
    assert chance_line(by_day.judged).endswith(": the column, names and intervals allow for it.")


def test_audits_assumed_random_allow_for_it_too():
    works = [one._replace(judged=one.judged._replace(weight_nano=0, assumed=True)) for one in days("a", 3, 3, 2, 3, 3)]
    plain, wide = (accuracy_of(works, POLICY, scatter) for scatter in (1.0, 3.0))
    assert not plain.by_weight
    assert (plain.standing, wide.standing) == (TargetStanding.below, TargetStanding.unclear)
    assert wide.best.high > 0.95 > plain.best.high


def in_column(rng: np.random.Generator, floors: int) -> tuple[int, int]:
    """Return how many of people exactly on target are below it beyond chance, and how many are judged, with days that differ."""
    design = sim.AuditDesign(0.1, 1, 1, 0.1)
    below = people = 0
    for _ in range(floors):
        found = sim.floor(rng, [0.05] * 60, 120, design).accuracies.values()
        people += sum(one.standing is not TargetStanding.too_few for one in found)
        below += sum(one.standing is TargetStanding.below for one in found)
    return below, people


@pytest.mark.slow
def test_as_many_on_target_are_in_the_column_as_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault planted: taken as independent, a multiple of the people that the page allows for were in the column."""
    said = in_column(np.random.default_rng(3), 6)
    assert of_share("column", *said, "at most", TAIL).ok
    monkeypatch.setattr(clusters.DayClusters, "scatter", lambda self, correlation: 1.0)
    planted = in_column(np.random.default_rng(3), 6)
    assert planted[1] == said[1]
    assert not of_share("planted", *planted, "at most", TAIL).ok


def test_one_bad_day_is_no_trend_where_days_differ():
    """A week with 12 of 140 wrong after one with 1: worse where errors come one by one; not where they come by the day."""
    works = days("a", 0, 1, 0, 0, 0, 0, 0) + days("a", 0, 0, 0, 0, 0, 0, 12, first=7)
    alone, together = (trend_of(works, BASE + 7 * DAY, BASE + 14 * DAY, correlation) for correlation in (0.0, 0.4))
    assert alone.change.high < 0 < together.change.high
    assert alone.change.value == together.change.value
    assert abs(alone.within.z) > 2 > abs(together.within.z)
    assert alone.within.slope == together.within.slope


def test_a_card_asks_the_correlation_of_the_floor():
    works = days("low", 0, 1, 0, 0, 0) + days("low", 0, 0, 0, 0, 12, first=5)
    rest = [one for n in range(12) for one in days(f"p{n}", 0, 0, 0, 0, 0, 8, 0, 0, 0, 0)]
    found = Cohort(sorted(works + rest, key=lambda one: one.time_ms), (BASE + 5 * DAY, BASE + 10 * DAY), POLICY)
    trend = scorecard(found, "low").trend
    assert trend == trend_of(works, BASE + 5 * DAY, BASE + 10 * DAY, found.correlation)
    assert trend.change.high > trend_of(works, BASE + 5 * DAY, BASE + 10 * DAY).change.high


def test_not_recovered_asks_for_more_where_days_differ():
    steps = [Told(BASE + 10 * DAY, CoachingStep.alerted, ""), Told(BASE + 12 * DAY, CoachingStep.coached, "lead-1")]
    works = labels(5, 30, 120) + days("a", 0, 0, 11, 0, first=13)
    peers = Untouched({}, [])
    alone, together = (
        coaching_of(steps, works, BASE + 30 * DAY, POLICY, peers._replace(correlation=correlation))
        for correlation in (0.0, 0.2)
    )
    assert (alone.state, together.state) == (State.not_recovered, State.unchanged)
    spread = [one.recovery.change.high - one.recovery.change.low for one in (alone, together)]
    assert spread[1] > 1.5 * spread[0]


def test_bad_days_do_not_make_speed_look_dangerous():
    """Fast labels of ten days of which two went wrong altogether: where days differ that says nothing of speed."""
    works = [
        one._replace(handle_ms=5_000 if one.time_ms < BASE + 10 * DAY else 30_000)
        for one in days("a", *[7, 7], *[1] * 28)
    ]
    limits = {works[0].mix: 15_000.0}
    alone, together = (fast_risk(works, limits, POLICY, correlation) for correlation in (0.0, 0.2))
    assert alone.low > 1 > together.low
    assert alone.value == together.value
