"""The reference detector of the simulations (``floorwatch sims``): many scopes at once, in numpy. No worker runs it.

It is the bare recursion of ``fold.advance``, an observation at a time: each starts one bet, nothing is tempered by φ, recovery is
looked at after each observation, and each bet is made once. Where the fold is given such steps, both give the same numbers
(tests/detectors/test_many.py). The sources of the formulas are in ``bets`` and ``fold`` (arXiv 2203.03532, Wedderburn 1974).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from streams.core.detectors.bets import CountBets, ShareBets
from streams.core.detectors.dispersion import NANO
from streams.core.detectors.summary import CAP, Summary

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

_SINCE_DROP = 0.7


def share_factors(bets: ShareBets, bad: Floats, units: Floats | float = 1.0) -> Floats:
    """Return F_k of one observation per scope.

    Source: ``bets.ShareBets``.

    Args:
        bets: The bets.
        bad: Per scope, the (weighted) share of bad units of its observation, x·w in [0, 1].
        units: Per scope, the mean weight of the observation, w in [0, 1].

    Returns:
        Factors, shape (scopes, bets).
    """
    deviation = bad - bets.allowed * units
    factors: Floats = 1.0 + np.array(bets.lambdas)[None, :] * deviation[:, None]
    return factors


def share_walks(bets: ShareBets, bad: Floats, units: Floats | float = 1.0) -> tuple[Floats, Floats]:
    """Return the steps of the since-counter and of the resolve counter; arguments as in ``share_factors``.

    Source: ``bets.ShareBets``.
    """
    return _on_grid(bets.since_bad * bad - units), _on_grid(units - bad / bets.allowed)


def count_factors(bets: CountBets, counts: Floats, expected: Floats | float, phi: float) -> Floats:
    """Return F_ρ of one bucket per scope.

    Source: ``bets.CountBets`` (Wedderburn 1974).

    Args:
        bets: The bets.
        counts: N per scope.
        expected: μ.
        phi: φ, 1 or more.

    Returns:
        Factors, shape (scopes, bets).
    """
    shares = np.array(bets.shares)
    room = np.broadcast_to(np.asarray(expected, dtype=np.float64), counts.shape)
    logs = (counts[:, None] * np.log(shares)[None, :] + room[:, None] * (1.0 - shares)[None, :]) / phi
    factors: Floats = np.exp(np.minimum(230.0, logs))
    return factors


def count_walks(counts: Floats, expected: Floats | float, phi: float) -> tuple[Floats, Floats]:
    """Return the steps of the since-counter and of the resolve counter; arguments as in ``count_factors``.

    Source: ``bets.CountBets`` (Wedderburn 1974).
    """
    since = _on_grid((counts * np.log(_SINCE_DROP) + expected * (1.0 - _SINCE_DROP)) / phi)
    return since, -since


def _on_grid(values: Floats) -> Floats:
    """Return what ``summary.on_grid`` returns of each."""
    rounded: Floats = np.round(values * 1048576.0) / 1048576.0
    return rounded


class ManyFolds:
    """Detectors of many scopes that see their panes in step.

    Attributes:
        r: R_k, shape (scopes, bets).
        since: The since-counters.
        better: The resolve counters.
        firing: Which scopes are firing.
        fired: How often each has fired.
        resolved: How often each has been resolved.
    """

    def __init__(self, scopes: int, bets: int, bar: float | Floats, resolve_level: float) -> None:
        """Start with nothing observed.

        Args:
            scopes: How many detectors.
            bets: Number of bets K.
            bar: Score that fires, one for all or one each; infinity never fires.
            resolve_level: Value of the resolve counter that ends an episode.
        """
        self.bar = bar
        self.resolve_level = resolve_level
        self.r: Floats = np.zeros((scopes, bets))
        self.since: Floats = np.zeros(scopes)
        self.better: Floats = np.zeros(scopes)
        self.firing: Flags = np.zeros(scopes, dtype=bool)
        self.fired = np.zeros(scopes, dtype=np.int64)
        self.resolved = np.zeros(scopes, dtype=np.int64)

    @property
    def score(self) -> Floats:
        """The evidence of each scope."""
        score: Floats = self.r.sum(axis=1) / self.r.shape[1]
        return score

    def observe(self, factors: Floats, since: Floats, better: Floats, seen: Flags | None = None) -> Flags:
        """Fold one observation per scope, each a pane of its own.

        Args:
            factors: F_k, shape (scopes, bets).
            since: Steps of the since-counters.
            better: Steps of the resolve counters.
            seen: Which scopes observed something; all by default.

        Returns:
            Which scopes began to fire.
        """
        return self.fold(factors, factors, since, np.maximum(0.0, better), better, np.maximum(0.0, since), seen)

    def fold(
        self,
        gain: Floats,
        gathered: Floats,
        since_sum: Floats,
        better_top: Floats,
        better_sum: Floats,
        since_top: Floats,
        seen: Flags | None = None,
        since_low: Floats | None = None,
    ) -> Flags:
        """Fold one pane per scope, given by the fields of its ``Summary``.

        Returns:
            Which scopes began to fire.
        """
        r = np.minimum(CAP, gain * self.r + gathered)
        low = np.minimum(0.0, since_sum) if since_low is None else since_low
        goes_on = (self.since > 0.0) & (self.since + low > 0.0)
        since = np.where(goes_on, self.since + since_sum, since_top)
        better = np.maximum(better_top, self.better + better_sum)
        if seen is not None:
            r = np.where(seen[:, None], r, self.r)
            since, better = np.where(seen, since, self.since), np.where(seen, better, self.better)
        ended = self.firing & (better >= self.resolve_level)
        began: Flags = ~self.firing & (r.sum(axis=1) / r.shape[1] >= self.bar)
        self.r = np.where(ended[:, None], 0.0, r)
        self.since = since
        self.better = np.where(self.firing & ~ended, better, 0.0)
        self.firing = (self.firing & ~ended) | began
        self.fired += began
        self.resolved += ended
        return began

    def fold_summaries(self, summaries: list[Summary]) -> Flags:
        """Fold one pane per scope; ``summary.nothing`` for a scope without one. Returns which began to fire."""
        return self.fold(
            np.array([s.gain for s in summaries]),
            np.array([s.gathered for s in summaries]),
            np.array([s.since_sum for s in summaries]),
            np.array([s.better_top for s in summaries]),
            np.array([s.better_sum for s in summaries]),
            np.array([s.since_top for s in summaries]),
            np.array([s.observations > 0 for s in summaries]),
            np.array([s.since_low for s in summaries]),
        )


def batch_shares(bets: ShareBets, wrong: Floats, units: Floats, weight: float = 1.0) -> tuple[Floats, Floats]:
    """Return (x, u) of one observation per scope: the shares of bad units and of units, times w, of units of one weight.

    Args:
        bets: The bets; their ``top_nano`` is 1/π_min, 0 takes ``weight`` itself.
        wrong: Bad units.
        units: Units, above 0.
        weight: 1/π of every unit.
    """
    top_nano = bets.top_nano or round(weight * NANO)
    weight_nano = min(round(weight * NANO), top_nano)
    return wrong * weight_nano / (units * top_nano), units * weight_nano / (units * top_nano)
