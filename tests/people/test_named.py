"""Who is named for coaching where all are looked at together, and that those who are not are told apart from it."""

from __future__ import annotations

import numpy as np
import pytest

from floorwatch.analysis.people import cohort
from floorwatch.analysis.people.clusters import correlation_of, day_clusters
from floorwatch.analysis.people.cohort import Cohort
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.scorecard import scorecard
from floorwatch.analysis.people.standing_labels import StandingLabel
from floorwatch.cli.people_text import chance_line, named_words
from floorwatch.sims import people as sim
from floorwatch.sims.lines import of_share
from streams.core.binomial import Weighed, chance_of_so_few, chance_of_so_low, exact_limits
from streams.core.proportions import WeightedShare, weighted_share
from tests.people.floor import BASE, DAY, judged, work

POLICY = PeoplePolicy()


def crowd_of(*wrong: int, audits: int = 100) -> Cohort:
    """People with so many wrong of a hundred audits in a day."""
    works = [work(n, f"p{who}", n, verdict=judged(n < bad)) for who, bad in enumerate(wrong) for n in range(audits)]
    return Cohort(sorted(works, key=lambda one: one.time_ms), (BASE, BASE + DAY), POLICY)


@pytest.mark.parametrize("wrong", [0, 1, 5, 14, 100])
def test_the_p_value_of_a_weighted_share_is_the_exact_one_where_all_weigh_the_same(wrong: int) -> None:
    good, bad = Weighed((100 - wrong) * 3.0, (100 - wrong) * 9.0, 3.0), Weighed(wrong * 3.0, wrong * 9.0, 3.0)
    assert chance_of_so_low(good, bad, 0.95) == pytest.approx(chance_of_so_few(100 - wrong, 100, 0.95))
    assert (chance_of_so_low(good, bad, 0.0), chance_of_so_low(good, bad, 1.0)) == (1.0, 0.0 if wrong else 1.0)


def test_the_p_value_is_the_tail_at_which_the_limit_meets_the_target() -> None:
    share = weighted_share(Weighed(19_000.0, 1.9e6, 100), Weighed(1_000.0, 60_000.0, 100))
    assert isinstance(share, WeightedShare)
    for tail in (0.001, 0.025, 0.3):
        assert share.chance_below(share.limits(tail)[1]) == pytest.approx(tail, rel=1e-6)


def test_one_bad_week_among_many_is_not_enough_and_alone_it_is() -> None:
    """11 wrong of 100 against 95%: judged alone it is below beyond chance (p 1.1%); among 60 it is what chance brings."""
    assert exact_limits(89, 100)[1] < 0.95
    alone = crowd_of(11)
    assert alone.judged[:3] == (1, frozenset({"p0"}), 0.1)
    many = crowd_of(11, *[4, 5, 6] * 20)
    assert many.judged[:3] == (61, frozenset(), 0.1)
    card = scorecard(many, "p0")
    assert (card.accuracy.standing.value, card.named, card.judged_together) == ("below", False, 61)
    assert named_words(card, POLICY).startswith("Not named for coaching: among 61 people judged together")
    assert "up to 1.5 would be in the column" in chance_line(many.judged)
    bad = crowd_of(18, *[4, 5, 6] * 20)
    assert bad.judged.named == {"p0"}
    assert named_words(scorecard(bad, "p0"), POLICY).startswith("Named for coaching among 61 people")
    assert named_words(scorecard(bad, "p1"), POLICY) == ""


def test_who_has_too_few_audits_is_neither_named_nor_counted() -> None:
    few = crowd_of(20, audits=29)
    assert few.judged[:3] == (0, frozenset(), 0.1)
    assert chance_line(few.judged) == "Nobody has audits enough to be judged."
    assert named_words(scorecard(few, "p0"), POLICY) == ""


def test_naming_each_by_the_own_limit_is_told_by_the_simulation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault planted: of 150 people at 95% two a week were named, in nine weeks of ten."""
    rng = np.random.default_rng(5)
    floors = [sim.floor(rng, [0.05] * sim.PEOPLE, 80, sim.EVEN) for _ in range(4)]
    assert sum(bool(crowd.judged.named) for crowd in floors) <= 1
    monkeypatch.setattr(cohort, "benjamini_hochberg", lambda chances, rate, most: [chance < most for chance in chances])
    for crowd in floors:
        del crowd.judged
    hits = sum(bool(crowd.judged.named) for crowd in floors)
    assert not of_share("planted", hits, len(floors), "at most", sim.RATE).ok


def test_errors_that_come_by_the_day_are_worth_less() -> None:
    """Ten wrong of 100 audits of five days: all on one day or spread over them. The correlation is that of the whole floor."""

    def person(who: str, by_day: list[int]) -> list[StandingLabel]:
        return [
            work(20 * day + n, who, day * DAY + n, verdict=judged(n < bad))
            for day, bad in enumerate(by_day)
            for n in range(20)
        ]

    spread = day_clusters(person("a", [2, 2, 2, 2, 2]))
    at_once = day_clusters(person("a", [10, 0, 0, 0, 0]))
    assert spread.size == at_once.size == 20
    assert spread.excess < 0 < at_once.excess
    assert correlation_of([at_once] * 5) > 0.3
    assert correlation_of([spread] * 5) == 0
    assert correlation_of([]) == 0
    assert day_clusters([]).scatter(0.5) == 1
    named = []
    for others in ([1, 1, 1, 1, 1], [5, 0, 0, 0, 0]):
        works = person("low", [3, 3, 2, 3, 3]) + [one for n in range(12) for one in person(f"p{n}", others)]
        crowd = Cohort(sorted(works, key=lambda one: one.time_ms), (BASE, BASE + 5 * DAY), POLICY)
        named.append((set(crowd.judged.named), crowd.judged.correlation > 0.1))
    assert named == [({"low"}, False), (set(), True)]


def test_the_correlation_of_errors_within_a_day_is_found_again() -> None:
    rng = np.random.default_rng(9)
    for true in (0.0, 0.05):
        design = sim.EVEN._replace(correlation=true)
        crowd = sim.floor(rng, [0.08] * 100, 80, design)
        assert crowd.correlation == pytest.approx(true, abs=0.025)
