"""The formulas against worked examples and against naive ones."""

from __future__ import annotations

import math
import statistics
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from floorwatch.analysis.people import learning, peers
from floorwatch.analysis.people.accuracy import accuracy_of
from floorwatch.analysis.people.peers import LOG_GAMMA, WorkTally
from floorwatch.analysis.people.people_policy import PeoplePolicy
from streams.core import counters as c
from streams.core import proportions
from streams.core.binomial import WeightClass, exact_limits, score_limits
from streams.core.proportions import Interval, Stratum
from tests.core.test_binomial import chances
from tests.people.floor import DAY, HOUR, NANO, judged, work


def test_equal_weights_are_a_plain_share_and_unequal_ones_are_worth_less():
    plain = proportions.accuracy_of_classes([WeightClass(20, 2, 20 * 7 * NANO)])
    assert plain.worth == pytest.approx(20)
    assert plain.estimate == pytest.approx(proportions.proportion(18, 20))
    assert plain.limits() == pytest.approx(exact_limits(18, 20))
    # One audit at 1 %, nine at 10 %: Hájek 90/190, worth 190² / (100² + 9·10²) audits.
    found = proportions.accuracy_of_classes([WeightClass(1, 1, 100), WeightClass(9, 0, 90), WeightClass(5, 0, 0)])
    assert found.estimate.value == pytest.approx(90 / 190)
    assert found.worth == pytest.approx(190**2 / (100**2 + 9 * 10**2))
    assert proportions.accuracy_of_classes([WeightClass(1, 0, 0)]) is None


def test_recall_lives_on_the_audits_of_items_not_given_the_value():
    """Row 2 of the issue: 180 of 200 flagged items deserved it (π .2), 190 passed ones were audited (π .01)."""
    flagged, passed = [WeightClass(200, 20, 1_000)], WeightClass(190, 1, 19_000)
    found = proportions.recall_of(flagged, [passed])
    assert found.value == pytest.approx(900 / 1000)
    assert (found.passed, found.passed_worth) == (190, pytest.approx(190))
    assert found.low < 0.75
    assert found.high < 1
    unseen = proportions.recall_of(flagged, [passed._replace(wrong=0)])
    assert (unseen.value, unseen.high) == (None, 1.0)
    assert 0.7 < unseen.low < 0.75
    # One more miss weighs what an audit of a passed item weighs: the fewer of them, the less is known.
    fewer = proportions.recall_of(flagged, [WeightClass(38, 0, 19_000)])
    assert fewer.low < unseen.low / 2
    assert proportions.recall_of(flagged, []) is None
    nothing_given = proportions.recall_of([], [passed])
    assert (nothing_given.value, nothing_given.low) == (0.0, 0.0)
    assert 0.9 < nothing_given.high <= 1.0
    assert proportions.recall_of([WeightClass(3, 3, 15)], [passed._replace(wrong=0)]) is None


def test_newcombe_1998_table_ii():
    """Examples (a), (b) and (g) of the paper, method 10: the same rule with the score limits of the two shares."""

    def scored(good, total):
        return Interval(good / total, *score_limits(good / total, total))

    for before, after, low, high in (((48, 80), (56, 70), 0.0524, 0.3339), ((3, 10), (9, 10), 0.1705, 0.8090),
                                     ((0, 10), (10, 10), 0.6075, 1.0)):  # fmt: skip
        found = proportions.difference_of(scored(*after), scored(*before))
        assert found[1:] == pytest.approx((low, high), abs=6e-5)
        shown, judged = (proportions.difference(before, after, judged=judged) for judged in (False, True))
        assert shown.value == judged.value == pytest.approx(found.value)
        assert judged.low < shown.low < shown.value <= shown.high <= judged.high
    assert proportions.difference((0, 0), (3, 4)) is None


@pytest.mark.parametrize(("first", "second"), [(20, 20), (20, 100), (60, 60)])
def test_differences_cover_and_are_judged_as_they_say(first, second):
    """Every pair of outcomes. Newcombe's own limits err on one side in up to 5.1% where nothing changed (50 and 400)."""
    for share in (0.005, 0.03, 0.1, 0.4):
        for other in (share, min(0.6, share + 0.1)):
            covered = wrong_up = wrong_down = 0.0
            for bad, chance in enumerate(chances(first, 1 - share)):
                for more, also in enumerate(chances(second, 1 - other)):
                    if chance * also < 1e-8:
                        continue
                    shown = proportions.difference((bad, first), (more, second))
                    judged = proportions.difference((bad, first), (more, second), judged=True)
                    covered += (
                        chance * also * (shown.low <= other - share + 1e-12 and other - share <= shown.high + 1e-12)
                    )
                    wrong_up += chance * also * (judged.low > 0)
                    wrong_down += chance * also * (judged.high < 0)
            assert covered >= 0.925
            if share == other:
                assert max(wrong_up, wrong_down) <= 0.025


def test_mantel_haenszel_sees_through_a_mix():
    # On both kinds of work fast and slow are equally wrong; pooled, fast would seem four times as bad.
    strata = [Stratum(40, 80, 10, 20), Stratum(1, 20, 4, 80)]
    assert (41 / 100) / (14 / 100) > 2.9
    found = proportions.risk_ratio(strata)
    assert found.value == pytest.approx(1.0)
    assert found.low < 1 < found.high
    assert proportions.risk_ratio([Stratum(0, 10, 3, 10)]) is None
    assert proportions.risk_ratio([Stratum(3, 10, 0, 0)]) is None


def test_risk_ratio_interval_covers():
    rng = Random(5)
    inside = 0
    for _ in range(400):
        strata = []
        for base in (0.05, 0.2):
            fast, other = rng.randint(40, 90), rng.randint(80, 200)
            strata.append(Stratum(sum(rng.random() < 2 * base for _ in range(fast)), fast,
                                  sum(rng.random() < base for _ in range(other)), other))  # fmt: skip
        found = proportions.risk_ratio(strata)
        inside += found is not None and found.low <= 2.0 <= found.high
    assert 0.92 <= inside / 400 <= 0.98


def test_cochran_armitage_by_hand():
    # 10/20, 14/20, 18/20: p̄ = .7, Σ(x−x̄)k = 8, Σ(x−x̄)²n = 40 → slope .2, z = 8/√(.21·40)
    found = proportions.share_trend([(10, 20), (14, 20), (18, 20)])
    assert found.slope == pytest.approx(0.2)
    assert found.z == pytest.approx(8 / math.sqrt(0.21 * 40))
    assert proportions.share_trend([(10, 20), (0, 0)]) is None
    assert proportions.share_trend([(20, 20), (20, 20)]) is None


def test_trials_needed():
    assert proportions.trials_for(0.95, 0.05) == 73
    assert proportions.trials_for(1.0, 0.05) == 16


@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(1, 5)), min_size=1, max_size=20))
def test_middle_is_the_lower_median(pairs):
    values = sorted(float(value) for value, count in pairs for _ in range(count))
    found = peers.middle_of((float(value), count) for value, count in pairs)
    assert found.value == statistics.median_low(values)
    assert found.size == len(values)


def test_the_error_of_the_median_by_hand():
    # n = 16: (n + 1)/2 ± 1.96·√4 is 4.6 and 12.4, so the 5th and the 12th of the values, over 2·1.96.
    found = peers.middle_of((float(n * n), 1) for n in range(1, 17))
    assert found.error == pytest.approx((144 - 25) / (2 * 1.959964), rel=1e-6)


def test_the_error_of_the_median_is_that_of_repeated_samples():
    rng = Random(11)
    middles, errors = [], []
    for _ in range(600):
        found = peers.middle_of((rng.gauss(0, 0.5), 1) for _ in range(120))
        middles.append(found.value)
        errors.append(found.error)
    assert statistics.fmean(errors) == pytest.approx(statistics.stdev(middles), rel=0.12)


def tallies(times, mix=("q", "P1"), judged_counts=(0, 0)):
    tally = WorkTally()
    for handle in times:
        tally.handled += 1
        tally.labels += 1
        tally.handle_ms += handle
        tally.buckets[c.bucket(handle)] = tally.buckets.get(c.bucket(handle), 0) + 1
    tally.wrong, tally.judged = judged_counts
    for place in range(tally.judged):
        tally.assumed.audit(1, wrong=place < tally.wrong)
    return {mix: tally}


def test_handle_time_is_compared_on_the_same_mix():
    """Everybody takes 10 s on easy and 100 s on hard; one person does hard work only."""
    own = tallies([100_000] * 60, ("hard", "P"))
    others = tallies([10_000] * 500, ("easy", "P")) | tallies([100_000] * 50, ("hard", "P"))
    found = peers.handle_against_peers(own, others, 50)
    assert found.ratio == pytest.approx(1.0)
    assert found.median.value == pytest.approx(1.0)
    assert (found.mean_ms, found.expected_ms) == pytest.approx((100_000, 100_000))
    assert peers.handle_against_peers(own, tallies([1] * 49, ("hard", "P")), 50) is None
    half = peers.handle_against_peers(
        tallies([50_000] * 60, ("hard", "P")) | tallies([9] * 9, ("rare", "P")), others, 50
    )
    assert half.ratio == pytest.approx(0.5)
    assert half.median.value == pytest.approx(0.5, rel=0.02)
    assert (half.compared, half.handled) == (60, 69)


def test_expected_accuracy_is_weighted_by_the_own_mix():
    own = tallies([], ("hard", "P"), (3, 10)) | tallies([], ("easy", "P"), (0, 10))
    others = tallies([], ("hard", "P"), (20, 100)) | tallies([], ("easy", "P"), (1, 100))
    assert peers.expected_accuracy(own, others) == pytest.approx((10 * 0.8 + 10 * 0.99) / 20)
    assert peers.expected_accuracy(own, {}) is None


POLICY = PeoplePolicy(min_audits=5)
WORKS = st.lists(
    st.builds(
        work,
        st.integers(0, 10_000),
        handle=st.one_of(st.none(), st.integers(0, 500_000)),
        verdict=st.one_of(st.none(), st.builds(judged, st.booleans(), technical=st.booleans())),
        queue=st.sampled_from(["q", "r"]),
    ),
    max_size=30,
)


@pytest.mark.slow
@given(WORKS, WORKS)
def test_peers_are_the_whole_less_the_own(mine, theirs):
    whole = peers.summed([peers.tally_works(mine), peers.tally_works(theirs)])
    for mix, tally in peers.tally_works(mine).items():
        whole[mix].add(tally, -1)
    for mix, tally in peers.tally_works(theirs).items():
        left = whole[mix]
        assert (left.labels, left.handled, left.handle_ms) == (tally.labels, tally.handled, tally.handle_ms)
        assert {b: n for b, n in left.buckets.items() if n} == tally.buckets


@given(st.floats(0.5, 50), st.floats(-0.2, 0.6))
def test_a_power_law_is_found_again(scale, exponent):
    points = [learning.Point(n, scale * n**-exponent, n) for n in (2, 30, 700, 5000)]
    curve = learning.fit_power_law(points)
    assert curve.scale == pytest.approx(scale)
    assert curve.exponent == pytest.approx(exponent, abs=1e-9)
    assert curve.at(100) == pytest.approx(scale * 100**-exponent)


def test_no_curve_from_too_little():
    assert learning.fit_power_law([learning.Point(1, 2, 5), learning.Point(2, 1, 5), learning.Point(2, 1, 5)]) is None
    assert learning.fit_power_law([]) is None


def test_the_learning_curve_of_a_floor():
    """Ten people who start during the log take 30 s · (n/2000)^−0.15 where the established take 30 s."""
    rng = Random(3)
    policy = PeoplePolicy()
    reference = peers.tally_works(work(n, "old", n, round(30_000 * math.exp(rng.gauss(0, 0.4)))) for n in range(3000))
    learners = {
        f"new-{who}": [
            work(n, f"new-{who}", n * 1000, round(30_000 * (n / 2000) ** -0.15 * math.exp(rng.gauss(0, 0.4))))
            for n in range(1, 2001)
        ]
        for who in range(10)
    }
    curve = learning.handle_curve(learners, reference, policy, {})
    assert curve.exponent == pytest.approx(0.15, abs=0.02)
    assert curve.at(2000) == pytest.approx(1.0, abs=0.05)
    assert curve.people == 10
    assert curve.r2 > 0.9


def test_tenure_is_never_guessed():
    policy = PeoplePolicy()
    works = [work(n, "a", n * HOUR) for n in range(10)]
    begin, until = works[0].time_ms, works[-1].time_ms + 1
    old = learning.tenure_of(works, begin, until, policy, None)
    assert (old.labels, old.exact, old.is_new(policy)) == (10, False, False)
    new = learning.tenure_of(works, begin - 8 * DAY, until, policy, None)
    assert (new.labels, new.exact, new.is_new(policy)) == (10, True, True)
    told = learning.tenure_of(works, begin, until, policy, learning.PriorTenure(5000, begin - 300 * DAY))
    assert (told.labels, told.exact, told.is_new(policy)) == (5010, True, False)
    assert told.days == pytest.approx(300 + 9 / 24)
    others = {"old": old, "told": told, "twin": new._replace(labels=19), "far": new._replace(labels=21)}
    assert learning.like_tenured(new, others, policy) == ["twin"]
    assert learning.like_tenured(told, others, policy) == ["old", "told"]


def test_log_gamma_is_the_width_of_a_bucket():
    assert pytest.approx(math.log(c.bucket_value_ms(900) / c.bucket_value_ms(899))) == LOG_GAMMA


def lines_of(sampled: tuple[int, int], targeted: tuple[int, int]) -> tuple[str, list[str]]:
    """What a scorecard says of (right, wrong) sampled and targeted audits."""
    from floorwatch.cli.people_text import accuracy_words, targeted_lines

    policy = PeoplePolicy(min_audits=30)
    works = []
    for weight, (right, wrong) in ((4, sampled), (0, targeted)):
        works += [work(at, verdict=judged(at >= right, weight=weight)) for at in range(right + wrong)]
    found = accuracy_of(works, policy)
    return accuracy_words(found, policy), targeted_lines(found)


def test_targeted_audits_are_named_and_in_no_share():
    said, lines = lines_of((57, 3), (2, 8))
    assert "weighted by sampling, 3 of 60 audited labels wrong" in said
    assert len(lines) == 1
    assert lines[0].startswith(
        "  Not in it: 10 targeted audits (picked or planted, or drawn with a probability that nobody says), 8 wrong. They are not"
    )
    # Five random audits are too few, and the forty targeted ones are no sample: they do not make them enough.
    said, lines = lines_of((5, 0), (32, 8))
    assert said.startswith("too few audits to say: 0 of 5 audited labels wrong")
    assert lines[0].startswith(
        "  Not in it: 40 targeted audits (picked or planted, or drawn with a probability that nobody says), 8 wrong."
    )
    said, lines = lines_of((0, 0), (40, 0))
    assert said.startswith("too few audits to say: no label was audited")
    assert lines[0].startswith("  Not in it: 40 targeted audits")
    assert lines_of((60, 0), (0, 0))[1] == []
