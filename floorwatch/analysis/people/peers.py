"""One labeller against peers on the same mix of work.

People work on different queues and policies, so a plain mean compares mixes, not people. Everything here is computed
per kind of work (queue and policy) and then weighted by the labeller's own mix: indirect standardisation (Breslow &
Day, Statistical Methods in Cancer Research II, 1987, chapter 2). A tally is made of standing labels or of the counters
of rows scoped labeler × queue × policy; both give the same numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from floorwatch.analysis.people.standing_labels import Mix, StandingLabel
from streams.core import counters as c
from streams.core.binomial import Z_95
from streams.core.proportions import Interval

LOG_GAMMA = math.log(c.GAMMA)
_QUANTUM_VARIANCE = LOG_GAMMA * LOG_GAMMA / 12
"""Variance of a log time known only to its bucket."""


class DrawnSums:
    """Audits drawn at random, of one kind of work, of one person or of several.

    Attributes:
        weight: Σ1/π in billionths; of audits that are assumed to be random their number.
        wrong: The same over the wrong ones.
        squares: Σ of the squares of each audit's weight.
        of_people: Σ of the squares of each person's ``weight``: how far few people make up the whole.
    """

    __slots__ = ("of_people", "squares", "weight", "wrong")

    def __init__(self) -> None:
        """Count nothing."""
        self.weight = self.wrong = self.squares = self.of_people = 0

    def add(self, other: DrawnSums, sign: int = 1) -> None:
        """Add (or with ``sign=-1`` take away) those of other people."""
        self.weight += sign * other.weight
        self.wrong += sign * other.wrong
        self.squares += sign * other.squares
        self.of_people += sign * other.of_people

    def audit(self, weight: int, *, wrong: bool) -> None:
        """Count one more audit of the same person."""
        self.of_people += weight * (2 * self.weight + weight)
        self.weight += weight
        self.wrong += weight * wrong
        self.squares += weight * weight


class WorkTally:
    """Counts of one kind of work: labels, times and effective verdicts.

    Attributes:
        labels: Standing labels.
        handled: Those with a handle time.
        handle_ms: Sum of handle times.
        buckets: Handle times by log bucket (``counters.bucket``).
        judged: Labels audited at random, technical errors left out, each counted alike.
        wrong: Wrong ones of these.
        sampled: Those of the judged whose sampling probability is known.
        assumed: Those assumed to be random, for their audits say nothing of sampling.
    """

    __slots__ = ("assumed", "buckets", "handle_ms", "handled", "judged", "labels", "sampled", "wrong")

    def __init__(self) -> None:
        """Count nothing."""
        self.labels = 0
        self.handled = 0
        self.handle_ms = 0
        self.judged = 0
        self.wrong = 0
        self.sampled = DrawnSums()
        self.assumed = DrawnSums()
        self.buckets: dict[int, int] = {}

    def add(self, other: WorkTally, sign: int = 1) -> None:
        """Add (or with ``sign=-1`` take away) another tally."""
        self.labels += sign * other.labels
        self.handled += sign * other.handled
        self.handle_ms += sign * other.handle_ms
        self.judged += sign * other.judged
        self.wrong += sign * other.wrong
        self.sampled.add(other.sampled, sign)
        self.assumed.add(other.assumed, sign)
        for bucket, count in other.buckets.items():
            self.buckets[bucket] = self.buckets.get(bucket, 0) + sign * count

    def drawn(self, *, weighted: bool) -> DrawnSums:
        """Return the audits to judge by: those with a sampling probability, or those assumed to be random."""
        return self.sampled if weighted else self.assumed


Tallies = dict[Mix, WorkTally]


def tally_works(works: Iterable[StandingLabel], *, audits: bool = True) -> Tallies:
    """Return one person's counts by kind of work.

    Args:
        works: Labels of the person.
        audits: Whether to count audits; those of somebody who still awaits most of them are no measure for others.
    """
    found: Tallies = {}
    for work in works:
        tally = found.get(work.mix)
        if tally is None:
            tally = found[work.mix] = WorkTally()
        tally.labels += 1
        if work.handle_ms is not None:
            tally.handled += 1
            tally.handle_ms += work.handle_ms
            bucket = c.bucket(work.handle_ms)
            tally.buckets[bucket] = tally.buckets.get(bucket, 0) + 1
        verdict = work.judged
        if not audits or verdict is None or verdict.technical or verdict.targeted:
            continue
        tally.judged += 1
        tally.wrong += verdict.wrong
        if verdict.weight_nano:
            tally.sampled.audit(verdict.weight_nano, wrong=verdict.wrong)
        else:
            tally.assumed.audit(1, wrong=verdict.wrong)
    return found


def less(total: Tallies, own: Tallies) -> Tallies:
    """Return a sum of tallies without those of one person who is in it. Unchanged parts are shared."""
    found = dict(total)
    for mix, tally in own.items():
        rest = WorkTally()
        rest.add(total[mix])
        rest.add(tally, -1)
        found[mix] = rest
    return found


def summed(many: Iterable[Tallies]) -> Tallies:
    """Return the sum of several people's tallies."""
    total: Tallies = {}
    for tallies in many:
        for mix, tally in tallies.items():
            total.setdefault(mix, WorkTally()).add(tally)
    return total


class Middle(NamedTuple):
    """A median of log times and its standard error, natural logarithms."""

    value: float
    error: float
    size: int


def middle_of(pairs: Iterable[tuple[float, int]]) -> Middle | None:
    """Return the median of counted values with the McKean–Schrader standard error.

    The error is the distance of the order statistics (n+1)/2 ± z·√(n/4) over 2z (McKean & Schrader, Communications in
    Statistics B 13, 1984): it assumes nothing about the distribution, and outliers do not move it.

    Args:
        pairs: (value, count).

    Returns:
        Median, its error and how many there are; None without counts.
    """
    ordered = sorted(pair for pair in pairs if pair[1] > 0)
    total = sum(count for _, count in ordered)
    if not total:
        return None
    reach = Z_95 * math.sqrt(total / 4)
    low = min(total, max(1, round((total + 1) / 2 - reach)))
    ranks = (low, (total + 1) // 2, total + 1 - low)
    below, median, above = _at_ranks(ordered, ranks)
    return Middle(median, (above - below) / (2 * Z_95), total)


def _at_ranks(ordered: list[tuple[float, int]], ranks: tuple[int, ...]) -> Iterator[float]:
    """Yield the values at ascending ranks, the first being 1."""
    seen, position = 0, 0
    for rank in ranks:
        while seen + ordered[position][1] < rank:
            seen += ordered[position][1]
            position += 1
        yield ordered[position][0]


def log_ratio(own: Tallies, peers: Tallies, min_peer_labels: int) -> Middle | None:
    """Return the median over own labels of ln(handle time / peers' median handle time on the same kind of work).

    The error joins that of the own median, of peers' medians (each in the share of its kind of work) and of the buckets.

    Source: McKean, Schrader 1984 for the error of a median; errors of independent parts add in squares.

    Args:
        own: One labeller's tallies.
        peers: Those of others, the labeller not among them.
        min_peer_labels: Kinds of work with fewer timed labels of peers are left out.

    Returns:
        The median log ratio; None where no kind of work can be compared.
    """
    pairs: list[tuple[float, int]] = []
    parts: list[tuple[int, float]] = []
    for mix, tally in own.items():
        theirs = peers.get(mix)
        if theirs is None or not tally.handled or theirs.handled < max(1, min_peer_labels):
            continue
        reference = middle_of((bucket * LOG_GAMMA, count) for bucket, count in theirs.buckets.items())
        if reference is None:
            continue
        pairs += [(bucket * LOG_GAMMA - reference.value, count) for bucket, count in tally.buckets.items()]
        parts.append((tally.handled, reference.error))
    middle = middle_of(pairs)
    if middle is None:
        return None
    of_peers = sum((count / middle.size * error) ** 2 for count, error in parts)
    return middle._replace(error=math.sqrt(middle.error**2 + of_peers + _QUANTUM_VARIANCE))


class HandleAgainstPeers(NamedTuple):
    """Handle time against peers on the same mix.

    Attributes:
        mean_ms: Own mean handle time over the labels that can be compared.
        expected_ms: Mean the peers would have on the same mix.
        ratio: mean_ms / expected_ms.
        median: Ratio of medians with its 95% interval: this one is judged, because one forgotten open task moves a
            mean.
        compared: Labels of kinds of work that peers do too.
        handled: All labels with a handle time.
    """

    mean_ms: float
    expected_ms: float
    ratio: float
    median: Interval
    compared: int
    handled: int


def handle_against_peers(own: Tallies, peers: Tallies, min_peer_labels: int) -> HandleAgainstPeers | None:
    """Return the standardised handle-time ratio; None where peers share none of the work.

    Source: indirect standardisation (Breslow, Day 1987, chapter 2); the interval is that of ``log_ratio``.
    """
    actual_ms, expected_ms, compared = 0, 0.0, 0
    for mix, tally in own.items():
        theirs = peers.get(mix)
        if theirs is None or theirs.handled < max(1, min_peer_labels):
            continue
        actual_ms += tally.handle_ms
        expected_ms += tally.handled * theirs.handle_ms / theirs.handled
        compared += tally.handled
    middle = log_ratio(own, peers, min_peer_labels)
    if middle is None or not compared or expected_ms <= 0:
        return None
    ends = (math.exp(middle.value + side * Z_95 * middle.error) for side in (-1, 1))
    return HandleAgainstPeers(
        actual_ms / compared,
        expected_ms / compared,
        actual_ms / expected_ms,
        Interval(math.exp(middle.value), *ends),
        compared,
        sum(tally.handled for tally in own.values()),
    )


def expected_accuracy(own: Tallies, peers: Tallies) -> float | None:
    """Return the accuracy peers would have on the audited mix of one labeller; None where none of it can be compared.

    By sampled audits, weighed, where the labeller has any, else by those assumed to be random: targeted ones say how auditors pick.

    Source: indirect standardisation (Breslow, Day 1987, chapter 2).
    """
    weighted = any(tally.sampled.weight for tally in own.values())
    judged, right = 0, 0.0
    for mix, tally in sorted(own.items(), key=lambda item: item[0]):
        if mix not in peers:
            continue
        mine, theirs = tally.drawn(weighted=weighted), peers[mix].drawn(weighted=weighted)
        if theirs.weight:
            judged += mine.weight
            right += mine.weight * (1 - theirs.wrong / theirs.weight)
    return right / judged if judged else None
