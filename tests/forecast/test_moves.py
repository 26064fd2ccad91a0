"""What if people move: both queues and the quality cost."""

import pytest

from floorwatch.analysis.forecast.moves import MoveEvidence, QueueLoad, quality_cost, what_if, words
from streams.core.forecast.demand import OpenDue
from streams.core.forecast.supply import Stretch, Supply, steady
from streams.core.rca.ratio_tally import RatioTally

HOUR = 3_600_000


def load(name, tasks, heads, per_hour=10.0, due_ms=2 * HOUR):
    return QueueLoad(name, [OpenDue(due_ms, tasks)], steady(0, 24 * HOUR, heads * per_hour), per_hour, heads)


def test_both_queues_are_forecast_again():
    spare, tight = load("ads", 60, 8), load("hate", 100, 4)
    move = what_if(0, spare, tight, 2, until_ms=8 * HOUR)
    assert (move.before[0].breach_at_ms, move.before[1].shortfall) == (None, 20.0)
    assert (move.after[0].breach_at_ms, move.after[1].breach_at_ms) == (None, None)
    assert move.after[0].spare == 60.0
    assert what_if(0, spare, tight, 6, until_ms=8 * HOUR).after[0].shortfall == 20.0


def test_people_need_time_to_get_ready_and_may_be_slower_and_go_back():
    spare, tight = load("ads", 0, 8), load("hate", 100, 4)
    late = what_if(0, spare, tight, 2, until_ms=8 * HOUR, ready_ms=HOUR + 60_000)
    assert late.after[1].shortfall == pytest.approx(20 - 20 * 59 / 60)
    slow = what_if(0, spare, tight, 2, until_ms=8 * HOUR, pace_ratio=0.25)
    assert slow.after[1].shortfall == 10.0
    short = what_if(0, spare, tight, 2, until_ms=HOUR // 2)
    assert short.after[1].shortfall == 10.0


def test_a_roster_loses_people_only_while_they_are_away():
    roster = Supply([Stretch(0, HOUR, 40.0), Stretch(HOUR, 2 * HOUR, 10.0)])
    source = QueueLoad("ads", [OpenDue(2 * HOUR, 30)], roster, 10.0, 4)
    move = what_if(0, source, load("hate", 0, 1), 2, until_ms=HOUR)
    assert move.before[0].spare == 20.0
    assert move.after[0].spare == 0.0
    assert what_if(0, source, load("hate", 0, 1), 2, until_ms=2 * HOUR).after[0].shortfall == 10.0


def test_own_audits_before_peers_and_neither_without_enough():
    own = quality_cost(
        MoveEvidence(RatioTally(96, 100), RatioTally(80, 100), RatioTally(1, 500), RatioTally(1, 500)), 20.0
    )
    assert (own.source.whose, own.target.whose) == ("own", "own")
    assert own.change == pytest.approx(-0.16)
    assert own.high < 0
    assert own.extra_wrong_per_hour == pytest.approx(3.2)
    peers = quality_cost(
        MoveEvidence(RatioTally(96, 100), RatioTally(0, 3), RatioTally(1, 500), RatioTally(90, 100)), 20.0
    )
    assert (peers.target.whose, peers.target.ratio) == ("peers", 0.9)
    few = quality_cost(MoveEvidence(RatioTally(96, 100), RatioTally(0, 3), RatioTally(1, 500), RatioTally(2, 29)), 20.0)
    assert (few.target.whose, few.change, few.extra_wrong_per_hour) == ("nobody", None, None)


def test_the_words():
    spare, tight = load("ads", 60, 8), load("hate", 100, 4)
    evidence = MoveEvidence(RatioTally(96, 100), RatioTally(80, 100))
    ads, hate, quality = words(what_if(0, spare, tight, 2, evidence=evidence, until_ms=8 * HOUR))
    assert ads == "ads: no breach in sight now; no breach in sight with 2 people moved"
    assert hate == "hate: breach in 2 h 00 min, short by 20 tasks now; no breach in sight with 2 people moved"
    assert quality == (
        "quality: 80.0% right on hate (their own audits) against 96.0% on ads: -16.0 points (-25.3 to -7.0); "
        "about 3.2 more wrong labels an hour"
    )
    assert words(what_if(0, spare, tight, 1, until_ms=8 * HOUR))[2] == (
        "quality: too few audits to say (at most 0 where 30 are needed)"
    )
    same = MoveEvidence(RatioTally(96, 100), RatioTally(95, 100))
    assert words(what_if(0, spare, tight, 1, evidence=same, until_ms=HOUR))[2].endswith("the audits show no difference")


def test_nobody_can_leave_who_is_not_there():
    with pytest.raises(ValueError, match="5 people cannot leave ads, where 4 are at work now"):
        what_if(0, load("ads", 1, 4), load("hate", 1, 4), 5, until_ms=HOUR)
    with pytest.raises(ValueError, match="pace_ratio"):
        what_if(0, load("ads", 1, 4), load("hate", 1, 4), 1, until_ms=HOUR, pace_ratio=0)


def test_people_who_share_queues_give_one_of_them_a_part_and_another_their_full_time():
    shared = QueueLoad("ads", [OpenDue(2 * HOUR, 60)], steady(0, 24 * HOUR, 40.0), 5.0, 8, 20.0)
    tight = QueueLoad("hate", [OpenDue(2 * HOUR, 100)], steady(0, 24 * HOUR, 40.0), 5.0, 8, 20.0)
    move = what_if(0, shared, tight, 2, until_ms=8 * HOUR)
    assert move.after[0].spare == 0.0
    assert move.after[1].spare == 60.0
