"""What if k people move from queue A to queue B: both queues' breaches afterwards, and what it costs in quality. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from streams.core.binomial import interval_limits
from streams.core.forecast.demand import Arrivals, BreachPrediction, OpenDue, predict
from streams.core.forecast.supply import Stretch, Supply
from streams.core.rca.ratio_tally import RatioTally
from streams.core.rca.significance import difference_interval

MIN_AUDITS = 30
"""Fewer audits leave a 95% interval of more than ±8 points at 95% accuracy: too wide to choose people by."""

Whose = Literal["own", "peers", "nobody"]


class QueueLoad(Struct, frozen=True):
    """One queue now.

    Attributes:
        name: Its name.
        demand: Open tasks by due time, ascending.
        supply: The capacity ahead.
        tasks_per_head_hour: What each person at work on it completes there in an hour now; people who share queues give
            each a part of their time.
        heads: People at work on it now.
        full_time_per_hour: What one completes in an hour who does nothing else; None: the same.
        arrivals: Expected arrivals, where the forecast follows them.
    """

    name: str
    demand: Sequence[OpenDue]
    supply: Supply
    tasks_per_head_hour: float
    heads: float
    full_time_per_hour: float | None = None
    arrivals: Sequence[Arrivals] = ()


class MoveEvidence(Struct, frozen=True):
    """Audits that say how well the moved people do.

    Attributes:
        on_source: Audits of the moved people's labels on the queue they leave.
        on_target: Audits of the same people's labels on the queue they go to.
        peers_on_source: Audits of everybody's labels on the queue they leave.
        peers_on_target: Audits of everybody's labels on the queue they go to.
    """

    on_source: RatioTally = RatioTally(0, 0)
    on_target: RatioTally = RatioTally(0, 0)
    peers_on_source: RatioTally = RatioTally(0, 0)
    peers_on_target: RatioTally = RatioTally(0, 0)


class Estimate(Struct, frozen=True):
    """An accuracy with its 95% interval, and whose audits it is of; all None without enough of them."""

    whose: Whose
    audits: int
    ratio: float | None
    low: float | None
    high: float | None


class QualityCost(Struct, frozen=True):
    """What the move does to the moved people's accuracy.

    Attributes:
        source: Their accuracy where they are.
        target: Their accuracy where they go.
        change: target - source as a ratio, negative when they do worse there; None with too few audits.
        low, high: Its 95% interval (streams.core.proportions).
        extra_wrong_per_hour: Labels an hour that would be wrong there beyond what the same number of labels would have
            had wrong at the source's accuracy, (source - target) x labels an hour; None with too few audits.
    """

    source: Estimate
    target: Estimate
    change: float | None
    low: float | None
    high: float | None
    extra_wrong_per_hour: float | None


class Move(Struct, frozen=True):
    """A move and what it does. ``before`` and ``after`` are (source, target)."""

    people: int
    source: str
    target: str
    before: tuple[BreachPrediction, BreachPrediction]
    after: tuple[BreachPrediction, BreachPrediction]
    quality: QualityCost


def what_if(
    now_ms: int,
    source: QueueLoad,
    target: QueueLoad,
    people: int,
    *,
    evidence: MoveEvidence | None = None,
    until_ms: int,
    ready_ms: int = 0,
    pace_ratio: float = 1.0,
) -> Move:
    """Forecast both queues with and without a move of people.

    The source loses what the moved people give it now; the target gains people who do nothing else. Other queues that
    they work on lose them too, which is not forecast here.

    Args:
        now_ms: The watermark.
        source: The queue people leave.
        target: The queue they go to.
        people: How many, 1 or more and no more than work on the source.
        evidence: Audits of the moved people and their peers; without it the quality cost is unknown.
        until_ms: When the people go back; also how far ahead expected arrivals are followed.
        ready_ms: How long after now the moved people begin on the target; they leave the source at once.
        pace_ratio: Their pace on the target over that of the people there. 1 means that they are as quick, which
            newcomers are not: give less if it is known.

    Returns:
        The move with the predictions of both queues before and after it.

    Raises:
        ValueError: ``people`` is below 1 or more than work on the source, or ``pace_ratio`` is not positive.
    """
    if not 1 <= people <= source.heads:
        raise ValueError(f"{_people(people)} cannot leave {source.name}, where {source.heads:g} are at work now")
    if pace_ratio <= 0:
        raise ValueError(f"pace_ratio {pace_ratio} must be greater than 0; 1 means as quick as the people there")
    per_head_hour = target.tasks_per_head_hour if target.full_time_per_hour is None else target.full_time_per_hour
    gained_per_hour = people * per_head_hour * pace_ratio
    less = _reduced(source.supply, now_ms, until_ms, people * source.tasks_per_head_hour)
    more = Supply([*target.supply.stretches, Stretch(min(now_ms + ready_ms, until_ms), until_ms, gained_per_hour)])

    def forecast(queue: QueueLoad, supply: Supply) -> BreachPrediction:
        return predict(now_ms, queue.demand, supply, arrivals=queue.arrivals, arrivals_until_ms=until_ms)

    return Move(
        people=people,
        source=source.name,
        target=target.name,
        before=(forecast(source, source.supply), forecast(target, target.supply)),
        after=(forecast(source, less), forecast(target, more)),
        quality=quality_cost(evidence or MoveEvidence(), gained_per_hour),
    )


def _reduced(supply: Supply, from_ms: int, to_ms: int, tasks_per_hour: float) -> Supply:
    """Return the supply without so many tasks an hour between two moments; never below none."""
    left: list[Stretch] = []
    for stretch in supply.stretches:
        for begin_ms, end_ms, less in (
            (stretch.from_ms, min(stretch.to_ms, from_ms), 0.0),
            (max(stretch.from_ms, from_ms), min(stretch.to_ms, to_ms), tasks_per_hour),
            (max(stretch.from_ms, to_ms), stretch.to_ms, 0.0),
        ):
            if end_ms > begin_ms:
                left.append(Stretch(begin_ms, end_ms, max(0.0, stretch.tasks_per_hour - less)))
    return Supply(left)


def quality_cost(evidence: MoveEvidence, labels_per_hour: float) -> QualityCost:
    """Compare the moved people's accuracy on the two queues, by their own audits where there are enough.

    Peers stand in where the people themselves have fewer than 30 audits on a queue. Peers who work on a queue know it:
    for newcomers their accuracy is the better end of what to expect.

    Args:
        evidence: The audits.
        labels_per_hour: Labels the moved people make on the target.
    """
    source, source_tally = _estimate(evidence.on_source, evidence.peers_on_source)
    target, target_tally = _estimate(evidence.on_target, evidence.peers_on_target)
    if source.ratio is None or target.ratio is None:
        return QualityCost(source, target, None, None, None, None)
    change = target.ratio - source.ratio
    low, high = difference_interval(target_tally, source_tally)
    return QualityCost(source, target, change, low, high, -change * labels_per_hour)


def _estimate(own: RatioTally, peers: RatioTally) -> tuple[Estimate, RatioTally]:
    whose: Whose = "own" if own.total >= MIN_AUDITS else "peers"
    tally = own if whose == "own" else peers
    if tally.total < MIN_AUDITS:
        return Estimate("nobody", max(own.total, peers.total), None, None, None), tally
    low, high = interval_limits(tally.good, tally.total)
    return Estimate(whose, tally.total, tally.good / tally.total, low, high), tally


def words(move: Move) -> list[str]:
    """Return the move in sentences for a lead: both queues, then quality."""
    lines = []
    for name, before, after in zip((move.source, move.target), move.before, move.after, strict=True):
        lines.append(f"{name}: {_breach(before)} now; {_breach(after)} with {_people(move.people)} moved")
    return [*lines, _quality(move)]


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _breach(prediction: BreachPrediction) -> str:
    if prediction.breach_at_ms is None:
        return "no breach in sight"
    minutes = max(0, round((prediction.breach_at_ms - prediction.now_ms) / 60_000))
    short = math.ceil(prediction.shortfall)
    return f"breach in {minutes // 60} h {minutes % 60:02d} min, short by {short:,} task{'' if short == 1 else 's'}"


def _quality(move: Move) -> str:
    cost = move.quality
    if cost.change is None or cost.low is None or cost.high is None:
        few = min(cost.source.audits if cost.source.ratio is None else MIN_AUDITS, cost.target.audits)
        return f"quality: too few audits to say (at most {few} where {MIN_AUDITS} are needed)"
    whose = "their own audits" if cost.target.whose == "own" else f"peers on {move.target}, who know the queue"
    shown = (
        f"quality: {100 * (cost.target.ratio or 0):.1f}% right on {move.target} ({whose}) against "
        f"{100 * (cost.source.ratio or 0):.1f}% on {move.source}: {100 * cost.change:+.1f} points "
        f"({100 * cost.low:+.1f} to {100 * cost.high:+.1f})"
    )
    if cost.low <= 0 <= cost.high:
        return f"{shown}; the audits show no difference"
    wrong = cost.extra_wrong_per_hour or 0.0
    return f"{shown}; about {abs(wrong):.1f} {'more' if wrong > 0 else 'fewer'} wrong labels an hour"
