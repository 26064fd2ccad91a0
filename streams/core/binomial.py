"""Limits of a share, counted or weighted: one implementation for all intervals and judgements of shares. Pure.

Two kinds of limits stand on the same tail probabilities:

* an *interval to show* weighs the outcome that was seen by ``SEEN`` = two thirds. The mid-p interval weighs it by a half and
  Clopper-Pearson's by one (Lancaster, JASA 56, 1961; Agresti & Gottard, Computational Statistics & Data Analysis 51, 2007).
  Enumerated over every n from 20 to 500 and shares from .90 to .995, a half covers 91.7% at worst, two thirds 93.1%, one 95.0%;
* a *limit to judge by* ("below target") weighs it in full: Clopper & Pearson, Biometrika 26 (1934). Its error is at most what it
  says for every share and every number of trials.

Weighted shares are the ratio of two sums of weights, Σw over the good to Σw over all. Each sum is taken as a scaled gamma
variable with its mean and variance (Fay & Feuer, Statistics in Medicine 16, 1997), so the odds follow a scaled F and the
limits are beta quantiles on the scale of the odds. With equal weights these are the limits above, to the last digit. The
variance is that of Hájek's estimator; skewness is kept; a class of weights without errors is not taken to be free of them,
because one more outcome of the largest weight is added on the side that a limit looks at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple

from streams.core.beta import beta_chance, incomplete_beta

Z_95 = 1.959963984540054
"""Two-sided 95% quantile of the normal distribution."""

TAIL = 0.025
"""Chance left out on each side of a 95% interval."""

SEEN = 2 / 3
"""Part of the chance of exactly the outcome seen that an interval to show counts as being as extreme."""

Limits = tuple[float, float]
"""Lower and upper limit of a share, 0..1."""

_NORMAL = NormalDist()
_ROOT_TAU = math.sqrt(2 * math.pi)
_FAR = 700.0


class Weighed(NamedTuple):
    """Outcomes of one kind, good ones or bad ones, by what they weigh.

    Attributes:
        total: Σw over them, in any unit.
        squares: Σw², in the square of that unit.
        largest: The largest weight that one more of them could have had: of all audits in which one could have been found.
    """

    total: float
    squares: float
    largest: float

    @classmethod
    def plain(cls, count: float) -> Weighed:
        """Return so many outcomes of weight 1."""
        return cls(count, count, 1.0)

    @property
    def plain_like(self) -> bool:
        """Whether all weigh as much as one more would."""
        return self.squares == self.total * self.largest

    def scattered(self, times: float) -> Weighed:
        """Return the same, with so many times the variance; unchanged for 1."""
        return self if times == 1 else Weighed(self.total, self.squares * times, self.largest)

    def one_more(self) -> Weighed:
        """Return these and one more of the largest weight."""
        return Weighed(self.total + self.largest, self.squares + self.largest * self.largest, self.largest)


class WeightClass(NamedTuple):
    """Audits of about the same sampling probability: what rows keep for each class of weights.

    Attributes:
        n: Audits.
        wrong: Those that found the label wrong.
        weight: Σ1/π over all n, in any fixed unit.
    """

    n: int
    wrong: int
    weight: float


def share_limits(good: Weighed, bad: Weighed, *, tail: float = TAIL, seen: float = SEEN) -> Limits:
    """Return the limits of the share of the good, Σw of the good over Σw of all.

    Args:
        good: The good outcomes.
        bad: All others, in the same unit.
        tail: Chance left out on each side, more than 0 and less than 1/2.
        seen: Part of the chance of exactly what was seen that counts as being as extreme: ``SEEN`` to show, 1 to judge.

    Returns:
        (low, high); (0.0, 1.0) where nothing was seen.

    Example:
        >>> [round(end, 3) for end in share_limits(Weighed.plain(95), Weighed.plain(5))]
        [0.891, 0.982]
    """
    if (
        good.largest <= 0 or bad.largest <= 0
    ):  # a side of which nothing is known: one more of it weighs as one of the other
        largest = max(good.largest, bad.largest)
        good, bad = good._replace(largest=largest), bad._replace(largest=largest)
    return _lower(good, bad, tail, seen), 1 - _lower(bad, good, tail, seen)


@lru_cache(maxsize=16_384)
def interval_limits(good: int, total: int, tail: float = TAIL) -> Limits:
    """Return the 95% interval to show for good of total; (0.0, 1.0) without trials.

    Args:
        good: Good outcomes, 0 to ``total``.
        total: Outcomes.
        tail: Chance left out on each side.

    Raises:
        ValueError: ``good`` is negative or greater than ``total``.
    """
    return share_limits(*_plain(good, total), tail=tail)


@lru_cache(maxsize=16_384)
def exact_limits(good: int, total: int, tail: float = TAIL) -> Limits:
    """Return Clopper and Pearson's limits of good of total, each wrong with at most the chance ``tail``.

    Args:
        good: Good outcomes, 0 to ``total``.
        total: Outcomes.
        tail: Chance that one limit is wrong, at most, whatever the true share.

    Raises:
        ValueError: ``good`` is negative or greater than ``total``.
    """
    return share_limits(*_plain(good, total), tail=tail, seen=1.0)


def _plain(good: int, total: int) -> tuple[Weighed, Weighed]:
    if not 0 <= good <= total:
        raise ValueError(f"{good} good of {total}: good must be between 0 and total; look for a row with wrong counts")
    return Weighed.plain(good), Weighed.plain(total - good)


def chance_of_so_few(good: int, total: int, share: float) -> float:
    """Return the chance of at most so many good of total where the true share is ``share``: the p-value of "below"."""
    return incomplete_beta(total - good, good + 1, 1 - share)


def judged_below(good: int, total: int, target: float, tail: float = TAIL) -> bool:
    """Tell whether a share is below the target beyond chance; wrong with at most the chance ``tail`` where it is not.

    Source: the exact binomial test, as ``exact_limits(good, total, tail)[1] < target`` and without a search.
    """
    return total > 0 and chance_of_so_few(good, total, target) < tail


def chance_of_so_low(good: Weighed, bad: Weighed, share: float) -> float:
    """Return the chance of a weighted share as low as this one or lower where the true share is ``share``: the p-value of "below".

    Source: ``share_limits``: less than a tail exactly where the upper limit to judge by at that tail is less than ``share``. With
    equal weights it is ``chance_of_so_few``.

    Args:
        good: The good outcomes.
        bad: All others, in the same unit.
        share: The share held against, 0..1.
    """
    if bad.total <= 0 or share <= 0:
        return 1.0
    if share >= 1:
        return 0.0
    return _Gammas.of(bad, good.one_more()).tails(math.log((1 - share) / share)).value


def amount_limits(least: Weighed, most: Weighed, *, tail: float = TAIL, seen: float = SEEN) -> Limits:
    """Return the limits of a positive amount that is not a sum of independent weights, such as 1 − κ.

    The amount is taken as a gamma variable, twice: for the lower limit as the data show it with one more outcome against
    it, for the upper one with one more outcome for it. Of a share this is ``share_limits``.

    Args:
        least: ``Weighed(amount, its variance, 0)`` with one more outcome against it.
        most: The same with one more outcome for it, more than 0.
        tail: Chance left out on each side.
        seen: As in ``share_limits``.
    """
    # The share of the amount in the sum of it and of 1, which is known to one in a thousand: its odds are the amount.
    one = Weighed(1.0, 1e-6, 0.0)
    upper = _Gammas.of(most, one)
    lower = _Gammas.of(least, one) if least.total > 0 and least.squares > 0 else None

    def tails(at: float, of_lower: float) -> Tails:
        found = upper.tails(at)
        return found.mixed(Tails(1.0, 0.0, 0.0) if lower is None else lower.tails(at), 1 - of_lower)

    start = math.log(most.total)
    low = 0.0 if lower is None else _share_where(lambda at: tails(at, seen), tail, start)
    high = _share_where(lambda at: tails(at, 1 - seen), 1 - tail, start)
    return low / (1 - low), high / (1 - high)


def _lower(good: Weighed, bad: Weighed, tail: float, seen: float) -> float:
    """Return the lower limit of the share of the good.

    With F of the good against the bad and one more, and G of the good and one more against the bad, it is the share at
    which seen·F + (1 − seen)·G is ``tail``: plainly, P(more good) + seen·P(as many good).
    """
    if good.total <= 0:
        return 0.0
    first = _Gammas.of(good, bad.one_more())
    if bad.total <= 0:  # b is 1, so F is x^a
        return first.share_at((tail / seen) ** (1 / first.a))
    plain = good.plain_like and bad.plain_like and good.largest == bad.largest
    second = first if seen == 1 or plain else _Gammas.of(good.one_more(), bad)

    def tails(at: float) -> Tails:
        if plain:
            return first.tails_with_next(at, seen)
        return first.tails(at) if seen == 1 else first.tails(at).mixed(second.tails(at), seen)

    a, b = seen * first.a + (1 - seen) * second.a, seen * first.b + (1 - seen) * second.b
    if plain:
        a, b = first.a + 1 - seen, first.b - 1 + seen
    start = _near_quantile(a, b, tail)
    if start is None:
        worth = (good.total + bad.total) ** 2 / (good.squares + bad.squares)
        share, _ = score_limits(good.total / (good.total + bad.total), worth, -_NORMAL.inv_cdf(tail))
        share = min(1 - 1e-9, max(1e-12, share))
        start = math.log(share / (1 - share))
    else:
        start += seen * first.shift + (1 - seen) * second.shift
    return _share_where(tails, tail, start)


class Tails(NamedTuple):
    """A chance as a function of the log odds.

    Attributes:
        value: The chance.
        slope: Its derivative.
        bend: The derivative of that.
    """

    value: float
    slope: float
    bend: float

    def mixed(self, other: Tails, part: float) -> Tails:
        """Return ``part`` of this and the rest of another."""
        rest = 1 - part
        return Tails(
            part * self.value + rest * other.value,
            part * self.slope + rest * other.slope,
            part * self.bend + rest * other.bend,
        )


class _Gammas(NamedTuple):
    """The share of one gamma variable in the sum of two: a beta variable (a, b) whose log odds are moved by ``shift``."""

    a: float
    b: float
    shift: float
    log_beta: float

    @classmethod
    def of(cls, good: Weighed, bad: Weighed) -> _Gammas:
        """Return two gamma variables with the means Σw and the variances Σw²."""
        a, b = good.total * good.total / good.squares, bad.total * bad.total / bad.squares
        shift = math.log(good.squares / good.total) - math.log(bad.squares / bad.total)
        return cls(a, b, shift, math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b))

    def share_at(self, x: float) -> float:
        """Return the share at which the beta variable is x."""
        odds = x / (1 - x) * math.exp(self.shift) if x < 1 else math.inf
        return odds / (1 + odds) if odds < math.inf else 1.0

    def tails(self, log_odds: float) -> Tails:
        """Return the chance of at most this share."""
        x, y = self._at(log_odds)
        value, front = beta_chance(self.a, self.b, x, y, self.log_beta)
        return Tails(value, front, front * (self.a * y - self.b * x))

    def tails_with_next(self, log_odds: float, part: float) -> Tails:
        """Return ``part`` of the chance of this variable and the rest of that of (a + 1, b − 1), without a second fraction.

        The two differ by the chance of exactly what was seen.
        """
        a, b = self.a, self.b
        x, y = self._at(log_odds)
        value, front = beta_chance(a, b, x, y, self.log_beta)
        seen, rest = front / (a * y), 1 - part
        slope = seen * (b - 1) * x
        return Tails(
            value - rest * seen,
            part * front + rest * slope,
            part * front * (a * y - b * x) + rest * slope * ((a + 1) * y - (b - 1) * x),
        )

    def _at(self, log_odds: float) -> tuple[float, float]:
        odds = math.exp(min(_FAR, max(-_FAR, log_odds - self.shift)))
        return odds / (1 + odds), 1 / (1 + odds)


def _near_quantile(a: float, b: float, tail: float) -> float | None:
    """Return the log odds near which a beta variable has the chance ``tail`` below it; None for parameters that are too small.

    Source: Abramowitz & Stegun 26.5.22. Its error is 0.05 for parameters of 1 and 1e-4 for those of 100.
    """
    if a < 1 or b < 1:
        return None
    z = -_NORMAL.inv_cdf(tail)
    each_a, each_b = 1 / (2 * a - 1), 1 / (2 * b - 1)
    h, bent = 2 / (each_a + each_b), (z * z - 3) / 6
    if h + bent < 0:
        return None
    half = z * math.sqrt(h + bent) / h - (each_b - each_a) * (bent + 5 / 6 - 2 / (3 * h))
    return math.log(a / b) - 2 * half


def _share_where(tails: Callable[[float], Tails], chance: float, start: float) -> float:
    """Return the share at whose log odds a growing function reaches a chance.

    Halley's steps for its normal quantile, which is nearly a straight line; bisection where a step leaves the bracket.

    Args:
        tails: The function, by the log odds.
        chance: What to reach.
        start: Log odds near it.
    """
    goal = _NORMAL.inv_cdf(chance)
    low, high, at = -_FAR, _FAR, start
    for _ in range(200):
        total, slope, bend = tails(at)
        low, high = (at, high) if total < chance else (low, at)
        following = (low + high) / 2
        if 1e-300 < total < 1 - 1e-15 and slope > 0:
            reached = _NORMAL.inv_cdf(total)
            rate = slope * math.exp(reached * reached / 2) * _ROOT_TAU  # of the normal quantile
            newton = (goal - reached) / rate
            halley = at + newton / (1 + min(1.0, max(-0.5, newton * (bend / slope + reached * rate) / 2)))
            following = halley if low < halley < high else following
        step, at = following - at, following
        if abs(step) < 1e-4:  # the next step would be of the order of its cube
            break
    return 1 / (1 + math.exp(-at))


def score_limits(share: float, trials: float, z: float = Z_95) -> Limits:
    """Return the Wilson score limits of a share: where the search for the limits above begins.

    Source: Wilson, JASA 22 (1927). They cover 86% of the time at a share of .995 with 30 trials, so nothing shows or judges
    by them.

    Args:
        share: The estimate, 0..1.
        trials: Number of trials, more than 0; may be fractional.
        z: Normal quantile.
    """
    z2 = z * z
    centre = share + z2 / (2 * trials)
    spread = z * math.sqrt(max(0.0, share * (1 - share)) / trials + z2 / (4 * trials * trials))
    scale = 1 + z2 / trials
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
