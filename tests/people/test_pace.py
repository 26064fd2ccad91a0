"""Rushing: told only where somebody got faster and fast labels are wrong more often."""

from __future__ import annotations

from random import Random

import pytest

from floorwatch.analysis.people.cohort import Cohort
from floorwatch.analysis.people.learning import Curve, Tenure
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.rushing import Pace, PaceChange, fast_limits, fast_strata, judge, learned_between
from floorwatch.analysis.people.scorecard import scorecard
from streams.core.proportions import Interval
from tests.people.floor import BASE, DAY, judged, steady, work

POLICY = PeoplePolicy()
WINDOW = (BASE + 28 * DAY, BASE + 35 * DAY)


def crowd(seed: int, *, faster=1.0, everybody=1.0, fast_wrong=None, labels=(600, 150), share=0.2):
    """Six people over five weeks; in the last, "a" takes ``faster`` and everybody ``everybody`` of the time."""
    rng = Random(seed)
    works = []
    for who in "abcdef":
        works += steady(rng, who, labels[0], 0, 28 * DAY, fast_wrong=fast_wrong, share=share)
        pace = 30_000 * everybody * (faster if who == "a" else 1.0)
        works += steady(rng, who, labels[1], 28 * DAY, 7 * DAY, median=pace, fast_wrong=fast_wrong, share=share)
    return Cohort(sorted(works, key=lambda one: one.time_ms), WINDOW, POLICY)


def test_faster_where_fast_labels_are_wrong_is_rushing():
    found = scorecard(crowd(1, faster=0.55, fast_wrong=0.25), "a").rushing
    assert found.pace is Pace.rushing
    assert found.shift.ratio == pytest.approx(0.55, rel=0.15)
    assert found.shift.z < -5
    assert found.risk.low > 1
    assert found.fast_share > 0.3


def test_faster_without_more_errors_is_faster_only():
    found = scorecard(crowd(1, faster=0.55, share=0.8), "a").rushing
    assert found.pace is Pace.faster
    assert found.risk.low < 1 < found.risk.high


def test_everybody_faster_is_nobody_rushing():
    one = crowd(2, everybody=0.55, fast_wrong=0.25)
    assert {scorecard(one, who).rushing.pace for who in "abcdef"} == {Pace.steady}


def test_a_milder_mix_is_no_shift():
    """In the last week "a" is moved from 60-second work to 20-second work, at the same pace as peers on both."""
    rng = Random(4)
    works = []
    for who in "abcdef":
        for queue, median in (("hard", 60_000), ("easy", 20_000)):
            share = {"hard": (0.9, 0.1), "easy": (0.1, 0.9)}[queue] if who == "a" else (0.5, 0.5)
            works += steady(rng, who, round(800 * share[0]), 0, 28 * DAY, median=median, queue=queue)
            works += steady(rng, who, round(300 * share[1]), 28 * DAY, 7 * DAY, median=median, queue=queue)
    one = Cohort(sorted(works, key=lambda label: label.time_ms), WINDOW, POLICY)
    card = scorecard(one, "a")
    assert card.rushing.pace is Pace.steady
    assert card.rushing.shift.ratio == pytest.approx(1.0, abs=0.1)
    assert card.handle.median.low < 1 < card.handle.median.high


def test_slower_and_too_few():
    assert scorecard(crowd(5, faster=1.8), "a").rushing.pace is Pace.slower
    assert scorecard(crowd(5, faster=0.5, labels=(600, 99)), "a").rushing.pace is Pace.too_few


@pytest.mark.slow
def test_false_alarms_of_the_shift():
    """600 unchanged people-weeks: the bound is passed by none; the errors are of the right size."""
    passed, size = 0, []
    for seed in range(100):
        one = crowd(100 + seed, labels=(400, 100))
        for who in "abcdef":
            shift = scorecard(one, who).rushing.shift
            passed += abs(shift.z) >= POLICY.rush_z
            size.append(shift.z)
    assert passed == 0
    spread = (sum(z * z for z in size) / len(size)) ** 0.5
    assert 0.8 < spread < 1.2


def test_own_risk_decides_where_it_can_else_everybodys():
    shift = PaceChange(0.7, -9.0, 200, 800, 1.0)
    high, low, unclear = Interval(2, 1.5, 3), Interval(0.5, 0.3, 0.8), Interval(1.1, 0.7, 1.6)
    assert judge(shift, high, None, POLICY) is Pace.rushing
    assert judge(shift, low, high, POLICY) is Pace.faster
    assert judge(shift, unclear, high, POLICY) is Pace.rushing
    assert judge(shift, None, unclear, POLICY) is Pace.faster
    assert judge(shift._replace(z=-4.9), high, high, POLICY) is Pace.steady
    assert judge(shift._replace(ratio=0.95), high, high, POLICY) is Pace.steady
    assert judge(None, high, high, POLICY) is Pace.too_few


def test_what_practice_explains_is_no_shift():
    curve = Curve(3.0, 0.2, (), 1.0, 5)
    tenure = Tenure(1000, BASE, BASE + 20 * DAY, exact=True)
    assert learned_between(curve, tenure, 400, 400) == pytest.approx(-0.2 * (6.684612 - 5.991465), abs=1e-5)
    assert learned_between(curve, tenure._replace(exact=False), 400, 400) == 0.0
    assert learned_between(None, tenure, 400, 400) == 0.0


def test_fast_is_below_half_of_peers_median_on_the_same_work_and_technical_errors_stay_out():
    peers = crowd(6).peers_of("a").tallies
    limit = fast_limits(peers, POLICY)["q", "P1"]
    assert limit == pytest.approx(15_000, rel=0.1)
    works = [
        work(1, handle=1000, verdict=judged(True)),
        work(2, handle=1000, verdict=judged(technical=True)),
        work(3, handle=60_000, verdict=judged()),
        work(4, handle=60_000),
        work(5, handle=None, verdict=judged(True)),
        work(6, handle=1000, verdict=judged(True), queue="elsewhere"),
    ]
    assert fast_strata(works, {("q", "P1"): limit}) == [(1, 1, 0, 1)]
