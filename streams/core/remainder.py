"""Labels of two parts, one of them known by Σ1/π only: how many labels each part has is an estimate, and limits of shares say so."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import NamedTuple

from streams.core.binomial import Z_95, Limits, Weighed, share_limits

_NORMAL = NormalDist()

TWICE = 1.3
"""Labels that audits stand for, by labels there are, beyond which some count more than once: two programmes over all labels give
about 2."""

SURE = 4.0
"""Standard deviations that the labels which audits stand for must lie above those there are, too."""


class SampledTotal(NamedTuple):
    """A number of labels that is not counted but estimated by Σ1/π of the audits that were drawn from them.

    Attributes:
        labels: Σ1/π.
        unit: Its variance per label, Σ(1/π² − 1/π) / Σ1/π: with one π, 1/π − 1. 0 where all labels were audited.
    """

    labels: float
    unit: float

    def limits(self, z: float = Z_95) -> Limits:
        """Return the limits of the number: where it is z standard deviations from Σ1/π, with the variance it would itself have.

        Source: the score interval of a Poisson mean, in units of ``unit`` (Rao; Barker, The American Statistician 56, 2002).

        Args:
            z: Normal quantile.

        Example:
            >>> [round(end) for end in SampledTotal(1_000.0, 49.0).limits()]
            [650, 1538]
        """
        half = self.unit * z * z / 2
        spread = math.sqrt(self.labels * self.unit * z * z + half * half)
        return max(0.0, self.labels + half - spread), self.labels + half + spread

    def awaited(self, labels: int) -> bool:
        """Tell whether audits that stand for these stand surely for less than half of some labels, by the upper 95% limit.

        Then most audits are still to come, or most work is never audited. Flagged work is often audited within the hour and the
        rest days later, so what is in says little of the rest, and nobody is judged by it.

        Args:
            labels: How many labels there are.

        Example:
            >>> SampledTotal(1_000.0, 49.0).awaited(3_000), SampledTotal(1_000.0, 49.0).awaited(4_000)
            (False, True)
        """
        return 2 * self.limits()[1] < labels

    def too_many(self, labels: int) -> bool:
        """Tell whether audits that stand for these stand surely for far more than some labels, so that a π is named wrongly.

        In expectation they stand for no more than there are, also where audits come late (Horvitz and Thompson, JASA 47, 1952).

        Args:
            labels: How many labels there are.

        Example:
            >>> SampledTotal(20_000.0, 19.0).too_many(10_000), SampledTotal(1_000.0, 49.0).too_many(500)
            (True, False)
        """
        return self.labels > TWICE * labels and self.limits(SURE)[0] > labels


class BoundedTotal(NamedTuple):
    """A number of labels that is taken to be as great as it can be, and may be less.

    Attributes:
        labels: The number.
        fewest: The least that it may be.
    """

    labels: float
    fewest: float

    def limits(self, z: float = Z_95) -> Limits:  # noqa: ARG002 -- bounds are no limits of chance
        """Return the bounds of the number, whatever the quantile."""
        return self.fewest, self.labels


class Remainder(NamedTuple):
    """Two parts of the labels: one known by Σ1/π only, and the remainder. How many labels each part has is an estimate too.

    Attributes:
        known: The labels of the first part, among those of both.
        first: Its good outcomes and its bad ones.
        rest: The same of the remainder.
        least: Labels that the remainder has at least.
    """

    known: SampledTotal | BoundedTotal
    first: tuple[Weighed, Weighed]
    rest: tuple[Weighed, Weighed]
    least: float

    def sides(self, more: float = 0.0) -> tuple[Weighed, Weighed]:
        """Return the good and the bad outcomes of both parts.

        Args:
            more: Labels that are of the first part and not of the remainder, more than estimated.
        """
        first, rest = sum(side.total for side in self.first), sum(side.total for side in self.rest)
        more = min(max(more, -0.95 * first), rest - self.least)
        largest = max(
            max(side.largest for side in self.first) * (1 + more / first),
            max(side.largest for side in self.rest) * (1 - more / rest),
        )
        good, bad = (
            _joined(one, 1 + more / first, other, 1 - more / rest, largest)
            for one, other in zip(self.first, self.rest, strict=True)
        )
        return good, bad

    def widened(self, value: float, limits: Limits, tail: float, seen: float, scatter: float = 1.0) -> Limits:
        """Return the limits of the share of the good with what is not known of the number of labels.

        The share is taken with as few and with as many labels in the first part as its limits allow. Each end joins the way to
        there with the distance to the end there, as ``difference_of`` does, and goes no further than the end there. The way is
        that of a straight line, for what bounds the remainder does not bound the errors of the others.

        Args:
            value: The estimate.
            limits: Its limits as if the numbers of labels were known.
            tail: Chance left out on each side.
            seen: As in ``share_limits``.
            scatter: As in ``WeightedShare.limits``.
        """
        lows, highs = [limits[0]], [limits[1]]
        parts = [side[0].total / (side[0].total + side[1].total) for side in (self.first, self.rest)]
        labels = sum(side.total for side in (*self.first, *self.rest))
        for end in self.known.limits(-_NORMAL.inv_cdf(tail)):
            way = (end - self.known.labels) * (parts[0] - parts[1]) / labels
            good, bad = self.sides(end - self.known.labels)
            share = good.total / (good.total + bad.total)
            low, high = share_limits(good.scattered(scatter), bad.scattered(scatter), tail=tail, seen=seen)
            lows.append(max(low, value - math.hypot(max(0.0, -way), max(0.0, share - low))))
            highs.append(min(high, value + math.hypot(max(0.0, way), max(0.0, high - share))))
        return min(lows), max(highs)


def _joined(one: Weighed, by: float, other: Weighed, other_by: float, largest: float) -> Weighed:
    """Return the outcomes of two samples, the weights of each times a factor."""
    total = one.total * by + other.total * other_by
    return Weighed(total, one.squares * by * by + other.squares * other_by * other_by, largest)
