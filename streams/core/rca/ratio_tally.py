"""Tallies: good outcomes out of all, counted and weighted. Pure."""

from __future__ import annotations

from typing import NamedTuple


class RatioTally(NamedTuple):
    """Good outcomes out of all, and what they weigh.

    An audit drawn with probability π stands for 1/π labels. Shares are Hájek's Σw·good/Σw (J. Hájek 1971, comment on an
    essay by D. Basu, in Foundations of Statistical Inference), so that a queue audited five times as closely does not
    count five times; the counts say how sure a share is.

    Attributes:
        good: Good outcomes, counted.
        total: All outcomes, counted.
        good_weight: Σw over the good ones, in any unit; None where every outcome weighs the same.
        weight: Σw over all, in the same unit; None where every outcome weighs the same.
    """

    good: int
    total: int
    good_weight: int | None = None
    weight: int | None = None

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


def without(whole: RatioTally, part: RatioTally) -> RatioTally:
    """Return what a whole has beyond a part of it."""
    counted = whole.good - part.good, whole.total - part.total
    if whole.weight is None:
        return RatioTally(*counted)
    (good, total), (less_good, less) = whole.weights, part.weights
    return RatioTally(*counted, good - less_good, total - less)


def possible(tally: RatioTally) -> bool:
    """Tell whether some outcomes could come to this: what two windows differ by cannot always, if read at two moments."""
    good, total = tally.weights
    return 0 <= tally.good <= tally.total and 0 <= good <= total and (total > 0) == (tally.total > 0)
