"""Learning curves: what can be expected of somebody new.

Tenure is counted in labels, because people learn by practice. A new labeller's curve is the power law of practice
(Newell & Rosenbloom 1981; Wright 1936 for work): value = scale · labels^(−exponent), a straight line in logarithms,
fitted by least squares over peers who started while the log was watching. Beginnings are never guessed: a person who
was there when the log began has "at least" that many labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from floorwatch.analysis.people.peers import LOG_GAMMA, Tallies, middle_of
from floorwatch.analysis.people.people_policy import PeoplePolicy
from floorwatch.analysis.people.sampled import SampledAudits
from floorwatch.analysis.people.standing_labels import StandingLabel
from streams.core import counters as c
from streams.core.policy import DAY_MS

_MIN_POINTS = 3
_MAX_BIN = 40


class PriorTenure(NamedTuple):
    """What a team says about somebody's time before the log: labels made then, and the day of the first."""

    labels: int
    first_ms: int


class Tenure(NamedTuple):
    """How long somebody has been labelling.

    Attributes:
        labels: Labels so far.
        first_ms: The first of them.
        until_ms: As of when.
        exact: The beginning is known; else both are at least that much.
    """

    labels: int
    first_ms: int
    until_ms: int
    exact: bool

    @property
    def days(self) -> float:
        """Days since the first label."""
        return (self.until_ms - self.first_ms) / DAY_MS

    def is_new(self, policy: PeoplePolicy) -> bool:
        """Whether the learning curve matters."""
        return self.exact and self.labels < policy.established_labels


def tenure_of(
    works: Sequence[StandingLabel], begin_ms: int, until_ms: int, policy: PeoplePolicy, known: PriorTenure | None
) -> Tenure:
    """Return one labeller's tenure.

    Args:
        works: The labeller's labels over the whole log, by time; at least one.
        begin_ms: Time of the first label anybody made in the log.
        until_ms: As of when.
        policy: ``settle_ms``.
        known: What is known from before the log, or None.
    """
    labels = sum(work.time_ms < until_ms for work in works)
    first_ms = works[0].time_ms
    if known is not None:
        return Tenure(labels + known.labels, min(first_ms, known.first_ms), until_ms, exact=True)
    return Tenure(labels, first_ms, until_ms, exact=first_ms >= begin_ms + policy.settle_ms)


def like_tenured(who: Tenure, others: Mapping[str, Tenure], policy: PeoplePolicy) -> list[str]:
    """Return the peers of like tenure: for somebody new, others with half to twice the labels; else all established.

    Somebody whose beginning the log did not see counts as established.
    """
    if who.is_new(policy):
        return [
            name
            for name, tenure in others.items()
            if tenure.exact and who.labels <= 2 * tenure.labels and tenure.labels <= 2 * who.labels
        ]
    return [name for name, tenure in others.items() if not tenure.is_new(policy)]


class Point(NamedTuple):
    """Mean of a value over labels of like tenure, and over how many."""

    labels: float
    value: float
    weight: int


class Curve(NamedTuple):
    """value = scale · labels^(−exponent).

    Attributes:
        points: What it was fitted to.
        r2: Share of the variance (in logarithms) that the line explains.
        people: How many people's beginnings are in it.
    """

    scale: float
    exponent: float
    points: tuple[Point, ...]
    r2: float
    people: int

    def at(self, labels: float) -> float:
        """Return the value expected after so many labels.

        Source: the power law of practice (Newell, Rosenbloom 1981).
        """
        return float(self.scale * math.pow(max(1.0, labels), -self.exponent))


def fit_power_law(points: Iterable[Point], people: int = 0) -> Curve | None:
    """Fit a power law by weighted least squares in logarithms.

    Source: the power law of practice (Newell, Rosenbloom 1981).

    Args:
        points: Positive labels and values; weights are counts.
        people: How many people are behind the points.

    Returns:
        The curve; None with fewer than three points of different tenure.

    Example:
        >>> curve = fit_power_law([Point(n, 8 / n**0.5, 1) for n in (1, 4, 16)])
        >>> round(curve.scale, 6), round(curve.exponent, 6), round(curve.at(64), 6)
        (8.0, 0.5, 1.0)
    """
    usable = [point for point in points if point.weight > 0 and point.value > 0 and point.labels > 0]
    if len({point.labels for point in usable}) < _MIN_POINTS:
        return None
    weight = sum(point.weight for point in usable)
    xs, ys = [math.log(point.labels) for point in usable], [math.log(point.value) for point in usable]
    x_mean = sum(x * point.weight for x, point in zip(xs, usable, strict=True)) / weight
    y_mean = sum(y * point.weight for y, point in zip(ys, usable, strict=True)) / weight
    xx = sum((x - x_mean) ** 2 * point.weight for x, point in zip(xs, usable, strict=True))
    yy = sum((y - y_mean) ** 2 * point.weight for y, point in zip(ys, usable, strict=True))
    xy = sum((x - x_mean) * (y - y_mean) * p.weight for x, y, p in zip(xs, ys, usable, strict=True))
    slope = xy / xx
    r2 = 1.0 if yy <= 0 else xy * xy / (xx * yy)
    return Curve(math.exp(y_mean - slope * x_mean), -slope, tuple(usable), r2, people)


def _numbered(works: Iterable[StandingLabel], before: int) -> Iterable[tuple[int, StandingLabel]]:
    """Yield (bin of tenure, label): bin k holds the labels from the 2^k-th on."""
    for number, work in enumerate(works, before + 1):
        yield min(_MAX_BIN, number.bit_length() - 1), work


def _centre(bin_number: int) -> float:
    return float(2.0 ** (bin_number + 0.5))


def handle_curve(
    learners: Mapping[str, Sequence[StandingLabel]], reference: Tallies, policy: PeoplePolicy, before: Mapping[str, int]
) -> Curve | None:
    """Return the curve of handle time, as a ratio to established people on the same kind of work.

    Source: the power law of practice (Newell, Rosenbloom 1981).

    Args:
        learners: Labels of everybody whose beginning is known, by labeller, by time.
        reference: Tallies of the established.
        policy: ``min_peer_labels``.
        before: Labels before the log, by labeller.

    Returns:
        The curve, or None where too few labels can be compared.
    """
    medians = {
        mix: middle.value
        for mix, tally in reference.items()
        if tally.handled >= policy.min_peer_labels
        and (middle := middle_of((bucket * LOG_GAMMA, count) for bucket, count in tally.buckets.items()))
    }
    sums: dict[int, list[float]] = {}
    for name, works in learners.items():
        for bin_number, work in _numbered(works, before.get(name, 0)):
            if work.handle_ms is None or work.mix not in medians:
                continue
            held = sums.setdefault(bin_number, [0.0, 0])
            held[0] += c.bucket(work.handle_ms) * LOG_GAMMA - medians[work.mix]
            held[1] += 1
    points = [Point(_centre(k), math.exp(total / count), int(count)) for k, (total, count) in sorted(sums.items())]
    return fit_power_law(points, len(learners))


def error_curve(learners: Mapping[str, Sequence[StandingLabel]], before: Mapping[str, int]) -> Curve | None:
    """Return the curve of the error share of audited labels, half an error added to every bin (Haldane, Anscombe 1956).

    By sampled audits, weighed, where there are any, else by those assumed to be random: targeted ones say how auditors pick.

    Args:
        learners: Labels of everybody whose beginning is known, by labeller, by time.
        before: Labels before the log, by labeller.
    """
    bins: dict[int, SampledAudits] = {}
    for name, works in learners.items():
        for bin_number, work in _numbered(works, before.get(name, 0)):
            if work.judged is not None and not work.judged.technical:
                bins.setdefault(bin_number, SampledAudits()).add(work.judged)
    weighted = any(one.sampled for one in bins.values())
    shares = [(k, share) for k, one in sorted(bins.items()) if (share := one.share(weighted=weighted)) is not None]
    points = [
        Point(_centre(k), ((1 - share.estimate.value) * share.worth + 0.5) / (share.worth + 1), round(share.worth))
        for k, share in shares
    ]
    return fit_power_law(points, len(learners))
