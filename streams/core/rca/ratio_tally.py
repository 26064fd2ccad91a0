"""Tallies: good outcomes out of all, counted and weighted. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from streams.core.binomial import Weighed, WeightClass
from streams.core.estimates import brought_to, class_possible
from streams.core.proportions import sides_of
from streams.core.remainder import SampledTotal


class ClassCounts(NamedTuple):
    """Audits of one class of sampling probability, as rows keep them. All of it adds up over parts and windows.

    Attributes:
        number: The class: ⌊log₂(1/π)⌋.
        audited: Labels drawn.
        wrong: Those found wrong, technical errors among them.
        technical: Those whose error is technical.
        weight: Σ1/π over all drawn, in the unit of the tally.
    """

    number: int
    audited: int
    wrong: int
    technical: int
    weight: int


class RatioTally(NamedTuple):
    """Good outcomes out of all, and what they weigh.

    An audit drawn with probability π stands for 1/π labels. Shares are Hájek's Σw·good/Σw (J. Hájek 1971, comment on an
    essay by D. Basu, in Foundations of Statistical Inference), so that a queue audited five times as closely does not
    count five times; the counts say how sure a share is, and the classes how the weights scatter.

    Attributes:
        good: Good outcomes, counted.
        total: All outcomes, counted.
        good_weight: Σw over the good ones, in any unit; None where every outcome weighs the same.
        weight: Σw over all, in the same unit; None where every outcome weighs the same.
        classes: The same outcomes by class of weight, in order of the classes; empty where every outcome weighs the same.
    """

    good: int
    total: int
    good_weight: int | None = None
    weight: int | None = None
    classes: tuple[ClassCounts, ...] = ()

    @property
    def weights(self) -> tuple[int, int]:
        """Σw of the good and of all."""
        if self.good_weight is None or self.weight is None:
            return self.good, self.total
        return self.good_weight, self.weight

    @property
    def share(self) -> float:
        """The good share; 0 of nothing."""
        good, total = self.weights
        return good / total if total else 0.0

    def stands_for(self, unit: int) -> SampledTotal:
        """Return for how many labels the outcomes stand, Σ1/π.

        Source: Horvitz and Thompson, JASA 47, 1952.

        Args:
            unit: The weight that is one label: the weights of rows are in 10⁻⁹.
        """
        total = self.weights[1] / unit
        squares = sum((one.weight / unit) ** 2 / one.audited for one in self.classes if one.audited)
        return SampledTotal(total, max(0.0, squares / total - 1) if total and squares else 0.0)

    @property
    def sides(self) -> tuple[Weighed, Weighed]:
        """The good outcomes and the others with Σw and Σw², for the limits of their share.

        Σw is exact. Σw² is that of the classes, in each of which an audit weighs the mean of the class, brought to the exact
        Σw. Without classes every outcome weighs the mean.
        """
        good, total = self.weights
        bad = total - good
        if self.weight is None:
            return Weighed.plain(good), Weighed.plain(bad)
        classes = self.classes or (ClassCounts(0, self.total, self.total - self.good, 0, total),)
        kept = [
            WeightClass(
                one.audited - one.technical,
                one.wrong - one.technical,
                one.weight * (one.audited - one.technical) / one.audited,
            )
            for one in classes
            if one.audited > 0
        ]
        right, wrong = sides_of(kept)
        return brought_to(right, good), brought_to(wrong, bad)


def joined(one: Weighed, other: Weighed) -> Weighed:
    """Return the outcomes of two groups together."""
    return Weighed(one.total + other.total, one.squares + other.squares, max(one.largest, other.largest))


def added_classes(tallies: Iterable[RatioTally], sign: int = 1) -> tuple[ClassCounts, ...]:
    """Return the classes of the first tally and, times ``sign``, those of all others; classes that hold nothing are left out."""
    sums: dict[int, list[int]] = {}
    factor = 1
    for tally in tallies:
        for number, *counts in tally.classes:
            known = sums.setdefault(number, [0, 0, 0, 0])
            for at, count in enumerate(counts):
                known[at] += factor * count
        factor = sign
    return tuple(ClassCounts(number, *sums[number]) for number in sorted(sums) if any(sums[number]))


def without(whole: RatioTally, part: RatioTally) -> RatioTally:
    """Return what a whole has beyond a part of it."""
    counted = whole.good - part.good, whole.total - part.total
    if whole.weight is None:
        return RatioTally(*counted)
    (good, total), (less_good, less) = whole.weights, part.weights
    return RatioTally(*counted, good - less_good, total - less, added_classes((whole, part), -1))


def possible(tally: RatioTally) -> bool:
    """Tell whether some outcomes could come to this: what two windows differ by cannot always, if read at two moments."""
    good, total = tally.weights
    classes = all(class_possible(one.audited, one.wrong, one.technical) and one.weight > 0 for one in tally.classes)
    return classes and 0 <= tally.good <= tally.total and 0 <= good <= total and (total > 0) == (tally.total > 0)
