"""Partial pooling: what somebody's accuracy probably is, given the own audits and those of peers on the same work.

Twenty right audits of twenty are no proof of 100%, and sixteen of twenty none of 80%: people on the same work differ less than
their samples do. The model: right audits of a person are binomial, and accuracies of people on one mix of work follow a beta
distribution, so the posterior is a beta distribution too (beta-binomial; Lehmann & Casella, Theory of Point Estimation, 1998,
section 4.6). *Empirical Bayes*: the mean is what the peers get on the person's own mix, less the person. How much people differ is not
set to its likeliest value, which is often 0 and would then say that all are alike: it is averaged over (Gelman, Bayesian Analysis 1,
2006: uniform in the standard deviation). That the mean comes of few audits or few peers widens the prior (Morris, JASA 78, 1983).

An estimate of this kind is closer to the truth on average over people, and leans towards the peers for each of them: so it stands
beside the person's own estimate, and not in its place.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from floorwatch.analysis.people.accuracy import PlainAudits
from floorwatch.analysis.people.peers import DrawnSums, Tallies
from streams.core.beta import incomplete_beta
from streams.core.binomial import TAIL
from streams.core.proportions import Interval

SPREADS = tuple(step / 50 for step in range(26))
"""Standard deviations between people that are averaged over, as a part of √(p(1 − p)): at 95%, 0 to 11 points in steps of 0.4."""

_NEGLIGIBLE = 1e-3
_LEAST_PRECISION = 1.0
_LEAST_AUDITS = 0.5
_STEPS = 14


class Prior(NamedTuple):
    """What the audits of peers say of a person on the same work before the person's own are looked at.

    Attributes:
        mean: The accuracy peers have on the person's mix.
        error: Variance of it, for it comes of so many audits.
        part: Part of the variance between people that is in it, for it comes of so many peers: one over their number where
            all do as much.
    """

    mean: float
    error: float
    part: float

    def counts(self, spread: float) -> tuple[float, float]:
        """Return the (right, wrong) audits that this is worth where people differ by ``spread``, at least half of each.

        Few audits without an error do not show that there are none: with less than half a wrong audit nearly all probability would
        lie at 1.

        Source: the moments of a beta distribution; half an audit of each is Jeffreys' prior (Brown, Cai, DasGupta, Statistical
        Science 16, 2001).
        """
        binary = self.mean * (1 - self.mean)
        variance = binary * spread * spread * (1 + self.part) + self.error
        precision = max(_LEAST_PRECISION, binary / variance - 1)
        return max(_LEAST_AUDITS, self.mean * precision), max(_LEAST_AUDITS, (1 - self.mean) * precision)


class Pooled(NamedTuple):
    """Somebody's accuracy, pooled with peers.

    Attributes:
        estimate: Mean of the posterior with its 95% credible interval.
        below: The posterior probability that the accuracy is below the target.
        peers_mean: The accuracy peers have on the same mix, which the estimate leans towards.
        own_part: How much of the estimate is the person's own, 0..1.
    """

    estimate: Interval
    below: float
    peers_mean: float
    own_part: float


def prior_of(own: Tallies, peers: Tallies, *, weighted: bool) -> Prior | None:
    """Return the prior of one person; None where no peer was audited.

    Each kind of work counts as much as in the person's own audits (indirect standardisation). One audit at the peers' mean over all
    kinds is added to their audits of each kind: kinds of work that peers hardly do say little.

    Source: Breslow, Day 1987, chapter 2; the error of a mean is that of independent audits, and of people who differ.

    Args:
        own: One person's tallies.
        peers: Those of the peers, the person not among them.
        weighted: By audits with a sampling probability; else by those assumed to be random.
    """
    shares = {mix: tally.drawn(weighted=weighted).weight for mix, tally in own.items()}
    whole = sum(shares.values())
    theirs = {mix: tally.drawn(weighted=weighted) for mix, tally in peers.items()}
    audited = sum(audits.weight for audits in theirs.values())
    if not whole or not audited:
        return None
    overall = _overall(theirs.values())
    mean = error = of_people = 0.0
    for mix, weight in sorted(shares.items()):
        share, audits = weight / whole, theirs.get(mix)
        size, part, right = 1.0, 1.0, overall
        if audits is not None and audits.weight:
            worth = audits.weight**2 / audits.squares
            size, part = worth + 1, audits.of_people / audits.weight**2
            right = ((1 - audits.wrong / audits.weight) * worth + overall) / size
        mean += share * right
        error += share * share * right * (1 - right) / size
        of_people += share * math.sqrt(part)
    return Prior(mean, error, of_people * of_people)


def _overall(parts: Iterable[DrawnSums]) -> float:
    """Return the accuracy over all kinds of work, half an error and half a right one added, so that it is never 0 or 1."""
    whole = DrawnSums()
    for part in parts:
        whole.add(part)
    worth = whole.weight**2 / whole.squares
    return ((1 - whole.wrong / whole.weight) * worth + 0.5) / (worth + 1)


Member = tuple[PlainAudits, Prior]
"""One person of a group: the own audits, and what those of the others say."""


def spread_chances(members: Iterable[Member]) -> list[float]:
    """Return the posterior probability of each of ``SPREADS``: how much people of a group differ on the same work.

    Source: the beta-binomial likelihood of every member, a uniform prior over the standard deviation (Gelman 2006).
    """
    logs = [0.0] * len(SPREADS)
    for audits, prior in members:
        for at, spread in enumerate(SPREADS):
            logs[at] += _log_likelihood(audits, *prior.counts(spread))
    highest = max(logs)
    chances = [math.exp(one - highest) for one in logs]
    return [chance / sum(chances) for chance in chances]


def _log_likelihood(audits: PlainAudits, right: float, wrong: float) -> float:
    after = _log_beta(right + audits.right, wrong + audits.judged - audits.right)
    return after - _log_beta(right, wrong)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


class Posterior(NamedTuple):
    """A mixture of beta distributions: (chance, right, wrong) of each."""

    parts: tuple[tuple[float, float, float], ...]

    @property
    def mean(self) -> float:
        """The mean.

        Source: of a beta distribution, right/(right + wrong).
        """
        return sum(chance * right / (right + wrong) for chance, right, wrong in self.parts)

    @property
    def error(self) -> float:
        """The standard deviation.

        Source: moments of a mixture.
        """
        mean = self.mean
        square = 0.0
        for chance, right, wrong in self.parts:
            total = right + wrong
            square += chance * (right * wrong / (total * total * (total + 1)) + (right / total - mean) ** 2)
        return math.sqrt(square)

    def below(self, share: float) -> float:
        """Return the probability of less than ``share``."""
        return sum(chance * incomplete_beta(right, wrong, share) for chance, right, wrong in self.parts)

    def at(self, chance: float) -> float:
        """Return the share that lies above so much of the probability, right to a thousandth of the standard deviation.

        Source: bisection.
        """
        low, high = max(0.0, self.mean - 8 * self.error), min(1.0, self.mean + 8 * self.error)
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.below(middle) < chance else (low, middle)
        return (low + high) / 2


def posterior_of(member: Member, chances: Sequence[float]) -> Posterior:
    """Return what is known of one person's accuracy after the own audits and those of the peers.

    Source: a beta distribution for each spread, as each is probable; the least probable spreads, a thousandth each, are left out.

    Args:
        member: The person.
        chances: Of ``spread_chances`` over the whole group.
    """
    audits, prior = member
    kept = [(chance, spread) for chance, spread in zip(chances, SPREADS, strict=True) if chance > _NEGLIGIBLE]
    total = sum(chance for chance, _ in kept)
    parts = []
    for chance, spread in kept:
        right, wrong = prior.counts(spread)
        parts.append((chance / total, right + audits.right, wrong + audits.judged - audits.right))
    return Posterior(tuple(parts))


def pooled_of(member: Member, chances: Sequence[float], target: float) -> Pooled:
    """Return the pooled accuracy of one person.

    Args:
        member: The person.
        chances: Of ``spread_chances`` over the whole group.
        target: Of the accuracy, 0..1.
    """
    audits, prior = member
    posterior = posterior_of(member, chances)
    own = sum(chance * audits.judged / (right + wrong) for chance, right, wrong in posterior.parts)
    estimate = Interval(posterior.mean, posterior.at(TAIL), posterior.at(1 - TAIL))
    return Pooled(estimate, posterior.below(target), prior.mean, own)
