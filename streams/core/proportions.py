"""Statistics of few counts: intervals, differences, risk ratios, trends. Pure; ratios in 0..1.

The limits of a share, shown or judged by, are those of ``streams.core.binomial``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from streams.core.binomial import (
    SEEN,
    TAIL,
    Z_95,
    Limits,
    Weighed,
    WeightClass,
    chance_of_so_low,
    exact_limits,
    interval_limits,
    share_limits,
)
from streams.core.remainder import Remainder


class Interval(NamedTuple):
    """An estimate and the two ends of its 95% interval."""

    value: float
    low: float
    high: float


def proportion(good: int, total: int) -> Interval | None:
    """Return good/total with its 95% interval; None without trials.

    Source: ``streams.core.binomial``; it covers at least 93% at shares from .90 to .995 and 20 to 500 trials.
    """
    if total <= 0:
        return None
    return Interval(good / total, *interval_limits(good, total))


def judged_share(good: int, total: int, tail: float = TAIL) -> Interval:
    """Return good/total, at least one trial, with the exact limits to judge by.

    Source: ``streams.core.binomial.exact_limits``.
    """
    return Interval(good / total, *exact_limits(good, total, tail))


_HALF = 0.499
"""Tail above which no limit is asked for."""


class WeightedShare(NamedTuple):
    """A share of what the weights stand for.

    Attributes:
        estimate: Σw of the good over Σw of all, with its 95% interval.
        worth: How many trials of one weight it is worth.
        good: The good outcomes.
        bad: The others.
        remainder: Where some weights are what Σ1/π of the others leaves of the labels; None where all weights are given.
    """

    estimate: Interval
    worth: float
    good: Weighed
    bad: Weighed
    remainder: Remainder | None = None

    def beside(self, remainder: Remainder) -> WeightedShare:
        """Return the same, with the interval that it has because the weights of some are a remainder."""
        value, low, high = self.estimate
        ends = remainder.widened(value, (low, high), TAIL, SEEN)
        return self._replace(estimate=Interval(value, *ends), remainder=remainder)

    def shown(self, scatter: float) -> Interval:
        """Return the estimate with the 95% interval that it has where it scatters so many times as much.

        Source: the design effect of Kish, Survey Sampling, 1965, section 5.4.
        """
        if scatter == 1:
            return self.estimate
        value = self.estimate.value
        ends = share_limits(self.good.scattered(scatter), self.bad.scattered(scatter))
        if self.remainder is not None:
            ends = self.remainder.widened(value, ends, TAIL, SEEN, scatter)
        return Interval(value, *ends)

    def limits(self, tail: float = TAIL, scatter: float = 1.0) -> Limits:
        """Return the limits to judge by, each wrong with about the chance ``tail`` at most; exactly so with one weight.

        Source: ``streams.core.binomial.share_limits``.

        Args:
            tail: Chance left out on each side.
            scatter: How many times as much the share scatters as with independent trials.
        """
        limits = share_limits(self.good.scattered(scatter), self.bad.scattered(scatter), tail=tail, seen=1.0)
        if self.remainder is None:
            return limits
        return self.remainder.widened(self.estimate.value, limits, tail, 1.0, scatter)

    def chance_below(self, target: float, scatter: float = 1.0) -> float:
        """Return the p-value of "below the target": less than a tail where the upper limit of ``limits(tail, scatter)`` is below it."""
        known = chance_of_so_low(self.good.scattered(scatter), self.bad.scattered(scatter), target)
        if self.remainder is None or known >= _HALF:
            return known
        if self.limits(_HALF, scatter)[1] >= target:
            return _HALF
        least, most = math.log(1e-12), math.log(_HALF)
        for _ in range(40):
            middle = (least + most) / 2
            least, most = (least, middle) if self.limits(math.exp(middle), scatter)[1] < target else (middle, most)
        return math.exp(most)


def weighted_share(good: Weighed, bad: Weighed) -> WeightedShare | None:
    """Return Hájek's weighted share with its interval; None without weights.

    The share is Σw·good/Σw with w = 1/π (Hájek 1971), worth (Σw)²/Σw² trials (Kish, Survey Sampling, 1965). The limits are
    those of ``streams.core.binomial``: they see where the errors are, which the number of trials does not.

    Args:
        good: The good outcomes; their ``largest`` is that of all outcomes looked at, good or bad.
        bad: The others.
    """
    total = good.total + bad.total
    if total <= 0:
        return None
    worth = total * total / (good.squares + bad.squares)
    return WeightedShare(Interval(good.total / total, *share_limits(good, bad)), worth, good, bad)


def sides_of(classes: Iterable[WeightClass]) -> tuple[Weighed, Weighed]:
    """Return the right and the wrong ones of classes of weights; inside a class each audit weighs the same.

    Source: streams.core.binomial.
    """
    right = wrong = (0.0, 0.0)
    largest = 0.0
    for n, bad, weight in classes:
        if n <= 0 or weight <= 0:
            continue
        each = weight / n
        right = (right[0] + (n - bad) * each, right[1] + (n - bad) * each * each)
        wrong = (wrong[0] + bad * each, wrong[1] + bad * each * each)
        largest = max(largest, each)
    return Weighed(*right, largest), Weighed(*wrong, largest)


def accuracy_of_classes(classes: Iterable[WeightClass]) -> WeightedShare | None:
    """Return the accuracy that random audits show, from their counts by class of sampling probability.

    Two-phase sampling: labels are a sample of what the labeller does, audits a sample of labels with probability π. The
    interval is of the labeller's accuracy, not of these labels only: auditing all of them leaves chance.

    Args:
        classes: Audits with a sampling probability only; targeted audits say nothing of the rest.

    Example:
        >>> found = accuracy_of_classes([WeightClass(200, 60, 1_000), WeightClass(190, 2, 19_000)])
        >>> [round(part, 3) for part in found.estimate], round(found.worth)
        ([0.975, 0.952, 0.987], 210)
    """
    return weighted_share(*sides_of(classes))


class Recall(NamedTuple):
    """Of what deserves a value, the share that was given it.

    Attributes:
        value: The estimate; None where no miss was seen among the audits of items not given the value: that is no 100%.
        low: Lower end of the 95% interval: with ``value`` None, "at least" this.
        high: Upper end.
        passed: Audits of items not given the value.
        passed_worth: How many audits of one weight these are worth: they hold the information, so this is what is too few.
    """

    value: float | None
    low: float
    high: float
    passed: int
    passed_worth: float


def recall_of(found: Iterable[WeightClass], passed: Iterable[WeightClass]) -> Recall | None:
    """Return recall from audits of items that were given a value and of items that were not.

    Recall = Σw of the rightly given over that and Σw of the missed, w = 1/π. A miss can only be found among the items not given
    the value, so the one more miss that the lower end allows for weighs as much as the heaviest audit there.

    Args:
        found: Audits of items given the value; ``wrong`` are those that did not deserve it.
        passed: Audits of items not given it; ``wrong`` are those that deserved it: the missed.

    Returns:
        Recall with its interval; None where nothing deserving was seen or nothing not given the value was audited.

    Example:
        >>> found = recall_of([WeightClass(200, 20, 1_000)], [WeightClass(190, 0, 19_000)])
        >>> found.value, round(found.low, 2)
        (None, 0.73)
    """
    given, _ = sides_of(found)
    held = [one for one in passed if one.n > 0 and one.weight > 0]
    rest, missed = sides_of(held)
    if not held or given.total + missed.total <= 0:
        return None
    worth = (rest.total + missed.total) ** 2 / (rest.squares + missed.squares)
    return Recall(*recall_share(given, missed), sum(one.n for one in held), worth)


@lru_cache(maxsize=16_384)
def recall_share(given: Weighed, missed: Weighed) -> tuple[float | None, float, float]:
    """Return recall and the two ends of its 95% interval; recall is None where no miss was seen.

    The one more rightly given that the upper end allows for weighs as much as the heaviest audit of an item given the value; where
    none was audited, as much as one more miss.

    Source: ``streams.core.binomial.share_limits``. The same sums come again and again, so what was found is kept.

    Args:
        given: The rightly given, of which ``largest`` is 0 where no item given the value was audited.
        missed: The missed; Σw of both together is above 0.
    """
    low, high = share_limits(given if given.largest else given._replace(largest=missed.largest), missed)
    return given.total / (given.total + missed.total) if missed.total else None, low, high


def difference(before: tuple[int, int], after: tuple[int, int], *, judged: bool = False) -> Interval | None:
    """Return how much a share rose, after − before, with its 95% interval.

    Args:
        before: (good, total).
        after: (good, total).
        judged: From exact limits, to judge by: each end leaves out 0 in at most 2.2% where nothing changed (enumerated).

    Returns:
        The difference (−1..1) with its 95% interval; None where one side has no trials.

    Example:
        >>> found = difference((48, 80), (56, 70))
        >>> [round(part, 4) for part in found]
        [0.2, 0.0494, 0.3395]
    """
    if before[1] <= 0 or after[1] <= 0:
        return None
    limits = exact_limits if judged else interval_limits
    return difference_of(*(Interval(good / total, *limits(good, total)) for good, total in (after, before)))


def difference_of(one: Interval, other: Interval) -> Interval:
    """Return one − other of two independent estimates, with its interval from theirs.

    Each end joins the distances to the ends of the two: the method of variance estimates recovery (Zou & Donner, Statistics in
    Medicine 27, 2008), which for two shares is Newcombe's method 10 (Statistics in Medicine 17, 1998) with other limits.

    Args:
        one: The first estimate with its interval.
        other: The second, at the same level.
    """
    step = one.value - other.value
    low = math.hypot(one.value - one.low, other.high - other.value)
    high = math.hypot(one.high - one.value, other.value - other.low)
    return Interval(step, step - low, step + high)


class Stratum(NamedTuple):
    """Wrong of total among the fast labels and among the others, on one kind of work."""

    fast_wrong: int
    fast: int
    other_wrong: int
    other: int


def risk_ratio(strata: Iterable[Stratum], scatter: float = 1.0) -> Interval | None:
    """Return how many times as often the fast labels are wrong as others of the same mix.

    Mantel & Haenszel (1959) over the kinds of work, interval from the variance of Greenland & Robins, Biometrics 41
    (1985).

    Args:
        strata: The kinds of work.
        scatter: How many times as much errors scatter as independent ones would (Kish, Survey Sampling, 1965, section 5.4).

    Returns:
        The common risk ratio with its 95% interval; None where one side has no errors or no labels to compare.

    Example:
        >>> found = risk_ratio([Stratum(20, 100, 10, 100)])
        >>> [round(part, 2) for part in found]
        [2.0, 0.99, 4.05]
    """
    top, bottom, variance = 0.0, 0.0, 0.0
    for fast_wrong, fast, other_wrong, other in strata:
        total = fast + other
        if not fast or not other:
            continue
        top += fast_wrong * other / total
        bottom += other_wrong * fast / total
        wrong = fast_wrong + other_wrong
        variance += (wrong * fast * other - fast_wrong * other_wrong * total) / (total * total)
    if top <= 0 or bottom <= 0:
        return None
    error = math.sqrt(max(0.0, variance * scatter) / (top * bottom))
    ratio = top / bottom
    return Interval(ratio, ratio * math.exp(-Z_95 * error), ratio * math.exp(Z_95 * error))


class Trend(NamedTuple):
    """The slope of a share per step and how far from chance it is (z)."""

    slope: float
    z: float


def share_trend(buckets: Sequence[tuple[float, float]], scatter: float = 1.0) -> Trend | None:
    """Return the linear trend of a share over equal steps of time.

    The Cochran–Armitage test (Armitage, Biometrics 11, 1955) with the steps 0, 1, 2 … as scores; the slope is that of the
    regression of the share on the step, weighted by trials.

    Args:
        buckets: (good, total) per step, oldest first; steps without trials count for nothing.
        scatter: How many times as much a share scatters as with independent trials.

    Returns:
        Change of the share per step, and z; None where fewer than two steps have trials or nothing varies.
    """
    total = sum(n for _, n in buckets)
    good = sum(k for k, _ in buckets)
    if not total or good in (0, total) or sum(n > 0 for _, n in buckets) < 2:
        return None
    share = good / total
    mean = sum(step * n for step, (_, n) in enumerate(buckets)) / total
    moment = sum((step - mean) * k for step, (k, _) in enumerate(buckets))
    spread = sum((step - mean) ** 2 * n for step, (_, n) in enumerate(buckets))
    if spread <= 0:
        return None
    return Trend(moment / spread, moment / math.sqrt(share * (1 - share) * spread * scatter))


def trials_for(share: float, half_width: float, z: float = Z_95) -> int:
    """Return how many trials a 95% interval of ± ``half_width`` needs at a share, by the normal approximation.

    At 95% accuracy and ± 5 points that is 73 (Cochran, Sampling Techniques, 1977, section 4.4). The share is kept within
    0.5 and 0.99, for a share seen as 1.0 would ask for none.
    """
    held = min(0.99, max(0.5, share))
    return math.ceil(z * z * held * (1 - held) / (half_width * half_width))
