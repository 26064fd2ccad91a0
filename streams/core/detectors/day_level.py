"""The level of a day: how far the pace of some hours lies off the usual one, as a gamma distribution that follows the counts.

Days differ in level, and within a day the level may change once, with a shift or a release. A count is Poisson given the level,
so its distribution given the counts before is negative binomial, and the gamma distribution stays one (Greenwood, Yule,
Journal of the Royal Statistical Society 83, 1920).
"""

from __future__ import annotations

import math
from typing import NamedTuple

CHANGES_PER_HOUR = 1.0 / 24.0
"""Chance that the level of an hour is drawn anew, though the day is the same: about once a day."""


class Level(NamedTuple):
    """A gamma distribution of the level; its mean is shape/rate and its variance shape/rate².

    Attributes:
        shape: How many labels know it.
        rate: How many were expected at level 1.
    """

    shape: float
    rate: float

    @property
    def mean(self) -> float:
        """The mean level.

        Source: shape/rate of a gamma distribution.
        """
        return self.shape / self.rate

    def log_chance(self, done: float, expected: float) -> float:
        """Return the log of the chance of a count, less the part that does not depend on the level.

        Source: the negative binomial distribution, log Γ(a + n) - log Γ(a) + a·log b - (a + n)·log(b + m) (Greenwood, Yule 1920);
        n and m need not be whole, since both are divided by φ (quasi-likelihood: Wedderburn, Biometrika 61, 1974).

        Args:
            done: n, the count.
            expected: m, its mean at level 1, above 0.
        """
        shape, rate = self
        return (
            math.lgamma(shape + done)
            - math.lgamma(shape)
            + shape * math.log(rate)
            - (shape + done) * math.log(rate + expected)
        )


def fresh(pace: float, variance: float) -> Level:
    """Return the level of a day of which nothing is known.

    Args:
        pace: Its mean, above 0: 1 for the usual pace.
        variance: Between days, over the squared mean.
    """
    return Level(1.0 / variance, 1.0 / variance / pace)


def follow(level: Level, anew: Level, done: float, expected: float) -> tuple[float, Level]:
    """Return the log of the chance of a count, as ``Level.log_chance``, and the level after it.

    The level is the one before, or with ``CHANGES_PER_HOUR`` drawn anew. What is known after the count is a mixture of two gamma
    distributions; the gamma distribution with its mean and variance stands for it.

    Source: Adams, MacKay, Bayesian online changepoint detection, arXiv 0710.3742 (2007), with the run lengths collapsed
    by moments (assumed density filtering: Maybeck, Stochastic Models, Estimation and Control, 1982).

    Args:
        level: What is known of the level.
        anew: What would be known of it, were it drawn anew.
        done: The count.
        expected: Its mean at level 1, above 0.
    """
    stays = math.log1p(-CHANGES_PER_HOUR) + level.log_chance(done, expected)
    changes = math.log(CHANGES_PER_HOUR) + anew.log_chance(done, expected)
    most = max(stays, changes)
    log_chance = most + math.log(math.exp(stays - most) + math.exp(changes - most))
    share = math.exp(changes - log_chance)
    one = (level.shape + done) / (level.rate + expected)
    other = (anew.shape + done) / (anew.rate + expected)
    mean = (1.0 - share) * one + share * other
    within = (1.0 - share) * one / (level.rate + expected) + share * other / (anew.rate + expected)
    variance = within + share * (1.0 - share) * (one - other) ** 2
    return log_chance, Level(mean * mean / variance, mean / variance)
