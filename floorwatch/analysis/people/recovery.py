"""What somebody's accuracy would have become without coaching: what became of untouched peers who started alike.

People are coached because their audits looked bad, and some of that was chance: without any coaching the next audits look better
(regression to the mean; Galton 1886). So a rise says nothing yet. Each person's audits before are pooled with those of peers
(``pooling``): that is what the same person would show next if nothing changed. What did change for everybody, a new tool or easier
work, shows in the peers who were not coached and whose pooled accuracy before was nearest: they are held against their own
expectation alike, and what they rose by is taken off (matching with bias correction: Abadie & Imbens, Journal of Business & Economic
Statistics 29, 2011).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from floorwatch.analysis.people.accuracy import PlainAudits, effective_audits
from floorwatch.analysis.people.clusters import day_clusters
from floorwatch.analysis.people.peers import Tallies, expected_accuracy, less, summed, tally_works
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.pooling import Member, Posterior, posterior_of, prior_of, spread_chances
from floorwatch.analysis.people.sampled import SampledAudits
from floorwatch.analysis.people.standing_labels import StandingLabel
from streams.core.binomial import TAIL, Z_95
from streams.core.proportions import Interval, WeightedShare

MATCHED = 20
"""At most so many untouched peers, those nearest before, are compared with."""

Span = tuple[int, int]
"""Half-open range of time in ms."""


class WithoutCoaching(NamedTuple):
    """What would have become of somebody without coaching.

    Attributes:
        accuracy: Since the coaching, with the 95% interval to judge by.
        before: The pooled accuracy before.
        change: How much the matched peers rose above what was to be expected of them, with its 95% interval.
        people: How many they are.
    """

    accuracy: Interval
    before: float
    change: Interval
    people: int


class AuditedStretch(NamedTuple):
    """One person's audits of some time."""

    tallies: Tallies
    share: WeightedShare
    audits: PlainAudits
    weighted: bool


class Untouched(NamedTuple):
    """The peers of one person.

    Attributes:
        works: Their audited labels, each by time.
        names: Who of them was not coached.
        correlation: Of errors of one person on one day.
        kept: What was counted of a peer and a stretch before; None keeps nothing.
    """

    works: Mapping[str, Sequence[StandingLabel]]
    names: Collection[str]
    correlation: float = 0.0
    kept: dict[tuple[str, Span], AuditedStretch | None] | None = None

    def stretch(self, name: str, span: Span) -> AuditedStretch | None:
        """Return a peer's audits of some time; None without any."""
        if self.kept is None:
            return stretch_of(self.works[name], span, self.correlation)
        if (name, span) not in self.kept:
            self.kept[name, span] = stretch_of(self.works[name], span, self.correlation)
        return self.kept[name, span]


def expected_without(
    own: Sequence[StandingLabel], peers: Untouched, before: Span, after: Span, policy: PeoplePolicy
) -> WithoutCoaching | None:
    """Return what somebody's accuracy in a later stretch would be without coaching; None with too few matched peers to say.

    Args:
        own: The person's audited labels, by time.
        peers: The peers'.
        before: When the audits are of that the coaching was for.
        after: Since the coaching.
        policy: ``min_peers``, ``min_audits``.
    """
    mine = stretch_of(own, before, peers.correlation)
    if mine is None:
        return None
    then = {name: found for name in sorted(peers.works) if (found := peers.stretch(name, before)) is not None}
    whole = summed([mine.tallies, *(one.tallies for one in then.values())])
    members: dict[str, Member] = {}
    for name, one in then.items():
        prior = prior_of(one.tallies, less(whole, one.tallies), weighted=one.weighted)
        if prior is not None:
            members[name] = one.audits, prior
    own_prior = prior_of(mine.tallies, less(whole, mine.tallies), weighted=mine.weighted)
    if own_prior is None:
        return None
    me = mine.audits, own_prior
    chances = spread_chances([me, *members.values()])
    posterior = posterior_of(me, chances)
    later = {name: found for name in members if name in peers.names and (found := peers.stretch(name, after))}
    enough = [name for name, now in later.items() if min(then[name].share.worth, now.share.worth) >= policy.min_audits]
    started = {name: posterior_of(members[name], chances) for name in enough}
    nearest = sorted(enough, key=lambda name: (abs(started[name].mean - posterior.mean), name))[:MATCHED]
    if len(nearest) < policy.min_peers:
        return None
    rates = summed([whole, *(one.tallies for one in later.values())])
    rises = [_rise(started[name], then[name], later[name], rates) for name in nearest]
    change = _mean_rise(rises)
    mix = _mix_change(mine, stretch_of(own, after, peers.correlation), rates)
    value = min(1.0, max(0.0, posterior.mean + mix + change.value))
    low, high = posterior.mean - posterior.at(TAIL), posterior.at(1 - TAIL) - posterior.mean
    reach = change.high - change.value
    interval = Interval(value, value - math.hypot(low, reach), value + math.hypot(high, reach))
    return WithoutCoaching(interval, posterior.mean, change, len(nearest))


def stretch_of(works: Sequence[StandingLabel], span: Span, correlation: float) -> AuditedStretch | None:
    """Return somebody's audits of some time; None without any.

    Args:
        works: Audited labels, by time.
        span: The time.
        correlation: Of errors of one person on one day.
    """
    first, last = (bisect_left(works, end, key=lambda work: work.time_ms) for end in span)
    held = works[first:last]
    sums = SampledAudits(held)
    share = sums.share(weighted=sums.sampled)
    if share is None:
        return None
    audits = effective_audits(share, sums.counts(weighted=sums.sampled)[1])
    scatter = day_clusters(held).scatter(correlation)
    return AuditedStretch(tally_works(held), share, audits.over(scatter), sums.sampled)


def _rise(started: Posterior, then: AuditedStretch, now: AuditedStretch, rates: Tallies) -> tuple[float, float]:
    """Return how far a peer's later accuracy lies above what was to be expected, and the variance of that."""
    expected = started.mean + _mix_change(then, now, rates)
    binary = started.mean * (1 - started.mean)
    return now.share.estimate.value - expected, binary / max(1.0, now.audits.judged) + started.error**2


def _mix_change(then: AuditedStretch, now: AuditedStretch | None, rates: Tallies) -> float:
    """Return how much easier the work has become: everybody's accuracy on the mix of now less that on the mix of before."""
    if now is None:
        return 0.0
    ends = [expected_accuracy(one.tallies, rates) for one in (then, now)]
    return ends[1] - ends[0] if ends[0] is not None and ends[1] is not None else 0.0


def _mean_rise(rises: Sequence[tuple[float, float]]) -> Interval:
    """Return the mean, each by its precision, with an interval from the variances or, if wider, from how the rises differ."""
    weights = [1 / variance for _, variance in rises]
    total = sum(weights)
    mean = sum(weight * rise for weight, (rise, _) in zip(weights, rises, strict=True)) / total
    scatter = sum(weight * (rise - mean) ** 2 for weight, (rise, _) in zip(weights, rises, strict=True))
    error = math.sqrt(max(1.0, scatter / max(1, len(rises) - 1)) / total)
    return Interval(mean, mean - Z_95 * error, mean + Z_95 * error)
