"""Partial pooling: its formulas by hand, and that it says of simulated people what is true of them."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest

from floorwatch.analysis.people.accuracy import PlainAudits, accuracy_of, effective_audits
from floorwatch.analysis.people.cohort import Cohort
from floorwatch.analysis.people.peers import summed, tally_works
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.pooling import (
    SPREADS,
    Posterior,
    Prior,
    pooled_of,
    posterior_of,
    prior_of,
    spread_chances,
)
from floorwatch.sims import people as sim
from streams.core.beta import incomplete_beta
from streams.core.binomial import Weighed
from streams.core.proportions import weighted_share
from tests.people.floor import BASE, DAY, judged, work

POLICY = PeoplePolicy()


def audits(wrong: int, total: int) -> PlainAudits:
    return PlainAudits(float(total - wrong), float(total))


def of_people(*counts: tuple[int, int]) -> list[tuple[PlainAudits, Prior]]:
    """Members of a group on one kind of work: (wrong, total) of each, and the prior of all the others."""
    tallies = [
        tally_works(work(n, f"p{who}", verdict=judged(n < wrong)) for n in range(total))
        for who, (wrong, total) in enumerate(counts)
    ]
    found = []
    for who, (wrong, total) in enumerate(counts):
        others = summed(tally for other, tally in enumerate(tallies) if other != who)
        prior = prior_of(tallies[who], others, weighted=True)
        assert prior is not None
        found.append((audits(wrong, total), prior))
    return found


def test_the_prior_by_hand() -> None:
    """Two peers on the same work, 60 audits with 3 wrong and 20 with 1; the person's own audits are not in it."""
    (_, prior), *_ = of_people((9, 10), (3, 60), (1, 20))
    overall = (80 * 0.95 + 0.5) / 81
    mean = (80 * 0.95 + overall) / 81
    assert prior.mean == pytest.approx(mean)
    assert prior.error == pytest.approx(mean * (1 - mean) / 81)
    assert prior.part == pytest.approx((60**2 + 20**2) / 80**2)


def test_the_prior_goes_by_the_own_mix_and_knows_little_of_work_that_no_peer_does() -> None:
    def on(queue: str, wrong: int, total: int, who: str):
        return [work(n, who, verdict=judged(n < wrong), queue=queue) for n in range(total)]

    peers = summed(
        [tally_works(on("easy", 2, 200, "b") + on("hard", 40, 200, "b")), tally_works(on("hard", 40, 200, "c"))]
    )
    hard = prior_of(tally_works(on("hard", 0, 30, "a")), peers, weighted=True)
    mixed = prior_of(tally_works(on("hard", 0, 30, "a") + on("easy", 0, 30, "a")), peers, weighted=True)
    alone = prior_of(tally_works(on("other", 0, 30, "a")), peers, weighted=True)
    assert hard is not None
    assert mixed is not None
    assert alone is not None
    assert (round(hard.mean, 2), round(mixed.mean, 2)) == (0.8, 0.89)
    assert (round(hard.part, 2), round(mixed.part, 2), alone.part) == (0.5, 0.73, 1.0)
    assert sum(alone.counts(0.1)) < 2
    assert sum(hard.counts(0.1)) > 40
    assert prior_of(tally_works(on("hard", 0, 30, "a")), {}, weighted=True) is None


@pytest.mark.parametrize(("spread", "most"), [(0.0, 1e9), (0.1, 100.0), (0.3, 11.0)])
def test_a_prior_is_a_beta_distribution_of_its_mean_and_spread(spread: float, most: float) -> None:
    right, wrong = Prior(0.95, 1e-6, 0.0).counts(spread)
    assert right / (right + wrong) == pytest.approx(0.95)
    variance = 0.95 * 0.05 / (right + wrong + 1)
    assert variance == pytest.approx(0.95 * 0.05 * spread**2 + 1e-6)
    assert right + wrong < most


def test_a_prior_is_worth_half_a_wrong_audit_at_least_however_few_errors_peers_made() -> None:
    assert Prior(0.9997, 7e-6, 0.5).counts(0.0) == pytest.approx((41.8, 0.5), abs=0.1)
    assert Prior(0.0003, 7e-6, 0.5).counts(0.1)[0] == 0.5


def test_two_people_without_errors_are_no_proof_of_no_errors() -> None:
    """20 of 20 each: the pooled interval was 99.9 to 100%."""
    members = of_people((0, 20), (0, 20))
    found = pooled_of(members[0], spread_chances(members), 0.95)
    assert 0.85 < found.estimate.low < 0.96
    assert 0.02 < found.below < 0.3


@pytest.mark.slow
@pytest.mark.parametrize(("people", "each", "wrong"), [(6, 15, 0.01), (4, 20, 0.02), (3, 15, 0.03)])
def test_the_interval_holds_the_truth_in_small_groups_with_few_errors(people: int, each: int, wrong: float) -> None:
    """It held it in 57, 83 and 77% of these."""
    rng = np.random.default_rng(7)
    held, groups = 0, 25
    for _ in range(groups):
        members = of_people(*((bad, each) for bad in rng.binomial(each, wrong, people).tolist()))
        chances = spread_chances(members)
        for member in members:
            estimate = pooled_of(member, chances, 0.95).estimate
            held += estimate.low <= 1 - wrong <= estimate.high
    assert held / (groups * people) > 0.93


def test_a_posterior_is_the_beta_distribution_of_prior_and_audits() -> None:
    prior = Prior(0.95, 0.0001, 0.1)
    chances = [float(spread == SPREADS[5]) for spread in SPREADS]
    (part,) = posterior_of((audits(6, 40), prior), chances).parts
    right, wrong = prior.counts(SPREADS[5])
    assert part == (1.0, right + 34, wrong + 6)
    found = pooled_of((audits(6, 40), prior), chances, 0.95)
    assert found.estimate.value == pytest.approx((right + 34) / (right + wrong + 40))
    assert found.below == pytest.approx(incomplete_beta(right + 34, wrong + 6, 0.95))
    assert found.own_part == pytest.approx(40 / (right + wrong + 40))
    assert found.peers_mean == 0.95


def test_moments_and_quantiles_of_a_mixture() -> None:
    rng = np.random.default_rng(4)
    mixture = Posterior(((0.3, 95.0, 5.0), (0.7, 40.0, 10.0)))
    drawn = np.where(rng.random(200_000) < 0.3, rng.beta(95, 5, 200_000), rng.beta(40, 10, 200_000))
    assert mixture.mean == pytest.approx(drawn.mean(), abs=1e-3)
    assert mixture.error == pytest.approx(drawn.std(), abs=1e-3)
    for chance in (0.025, 0.5, 0.975):
        assert mixture.at(chance) == pytest.approx(np.quantile(drawn, chance), abs=2e-3)


def test_how_much_people_differ_is_learnt_from_them() -> None:
    alike = spread_chances(of_people(*[(5, 100)] * 30))
    unlike = spread_chances(of_people(*[(0, 100), (10, 100)] * 15))
    middle = [
        sum(chance * spread for chance, spread in zip(chances, SPREADS, strict=True)) for chances in (alike, unlike)
    ]
    assert sum(alike) == pytest.approx(1)
    assert middle[0] < 0.06
    assert 0.15 < middle[1] < 0.45
    few = spread_chances(of_people((5, 100), (5, 100), (5, 100)))
    assert sum(chance * spread for chance, spread in zip(few, SPREADS, strict=True)) > 2 * middle[0]


def test_effective_audits_are_the_counts_where_all_weigh_the_same_and_see_where_the_errors_are() -> None:
    plain = weighted_share(Weighed(95 * 7, 95 * 49, 7), Weighed(5 * 7, 5 * 49, 7))
    assert effective_audits(plain, 100) == pytest.approx((95, 100))
    assert effective_audits(None, 0) == (0, 0)
    among_flagged = accuracy_of(
        [work(n, verdict=judged(n < 10, weight=1 if n < 80 else 20)) for n in range(200)], POLICY
    )
    among_others = accuracy_of(
        [work(n, verdict=judged(n > 189, weight=1 if n < 80 else 20)) for n in range(200)], POLICY
    )
    assert among_others.audits.judged < 130
    assert among_others.audits.judged < among_flagged.audits.judged <= 200


@pytest.mark.slow
@pytest.mark.parametrize("design", [sim.EVEN, sim.BY_RISK], ids=["even", "by risk"])
def test_pooled_accuracies_are_nearer_to_the_truth_and_their_intervals_hold_it(design: sim.AuditDesign) -> None:
    """Sixty people who differ (95% ± 3): the mean distance falls, and 95% intervals hold nine in ten or more."""
    rng = np.random.default_rng(21)
    held = count = below = truly = 0.0
    raw = pooled = 0.0
    for _ in range(4):
        wrong = sim.unlike(rng, 60)
        crowd = sim.floor(rng, wrong, 80, design)
        for n, share in enumerate(wrong):
            name = f"p{n}"
            found = crowd.pooled(name, crowd.peers_of(name)) if name in crowd.works else None
            own = crowd.accuracies[name].best if found is not None else None
            if found is None or own is None:
                continue
            count += 1
            held += found.estimate.low <= 1 - share <= found.estimate.high
            raw += (own.value - 1 + share) ** 2
            pooled += (found.estimate.value - 1 + share) ** 2
            below += found.below
            truly += share > 0.05
    assert held / count > 0.9  # 94% of 1,500; of these 240 the standard error is 1.6%
    assert math.sqrt(pooled) < 0.8 * math.sqrt(raw)
    assert below / count == pytest.approx(truly / count, abs=0.1)


def test_twenty_of_twenty_are_no_proof_and_sixteen_of_twenty_neither() -> None:
    rng = Random(6)
    works = [work(n, f"p{who}", n, verdict=judged(rng.random() < 0.06)) for who in range(12) for n in range(200)]
    works += [work(n, "lucky", n, verdict=judged()) for n in range(20)]
    works += [work(n, "unlucky", n, verdict=judged(n < 4)) for n in range(20)]
    crowd = Cohort(sorted(works, key=lambda one: one.time_ms), (BASE, BASE + DAY), POLICY)
    lucky, unlucky = (crowd.pooled(name, crowd.peers_of(name)) for name in ("lucky", "unlucky"))
    assert lucky is not None
    assert unlucky is not None
    assert 0.9 < unlucky.estimate.value < lucky.estimate.value < 0.96
    assert 0.3 < lucky.below < unlucky.below < 0.99
    assert unlucky.own_part < 0.5
