"""Bets: turn an observation into betting factors, by kind of number."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from streams.core.detectors.bulk import summarise_bulk
from streams.core.detectors.summary import DetectorStep, Summary, on_grid, summarise

NANO = 1_000_000_000

ACCURACY_RATIOS = (1.3, 1.6, 2.0, 3.0, 5.0)
"""How many times the allowed error share each accuracy bet is made for."""

CRITICAL_RATIOS = (1.5, 2.0, 3.0, 5.0, 10.0)
"""The same for critical errors, which are rarer and jump further."""

DROP_SHARES = (0.3, 0.5, 0.7, 0.85)
"""The shares ρ of the expected count each throughput bet is made for."""

RESOLVE_AUDITS = 4.1
"""Audits without an error that resolve an accuracy alarm, times the allowed share: 82 at a target of 95%."""

RESOLVE_SLA_BUCKETS = 8.0
"""Buckets without a miss (two hours) that resolve an SLA alarm."""

RESOLVE_COUNT_NATS = 4.0
"""Log likelihood ratio of "as expected" against "70% of it" that resolves a throughput alarm: 55 to 1."""

_BULK = 96
"""From this many batches on, numpy is faster."""

_TEMPLATES_LIMIT = 4096
_SINCE_RATIO = 2.0
_SINCE_DROP = 0.7


class AuditBatch(NamedTuple):
    """Audits that are likely to be right or wrong together: same labeller, same policy, same pane.

    Attributes:
        key: Identifies and orders the batches of a pane; always the same for the same pane.
        units: Audits with a known sampling probability π (or due tasks).
        bad: How many of them are wrong (or missed).
        weight_nano: Σ 1/π in 10⁻⁹; ``units * NANO`` for a full or uniform sample.
        bad_weight_nano: Σ 1/π over the bad ones in 10⁻⁹.
        top_nano: Greatest 1/π in 10⁻⁹.
    """

    key: int | tuple[str, ...]
    units: int
    bad: int
    weight_nano: int
    bad_weight_nano: int
    top_nano: int


def uniform_batch(key: int | tuple[str, ...], units: int, bad: int, weight_nano: int = NANO) -> AuditBatch:
    """Return a batch in which every unit has the same weight 1/π (in 10⁻⁹)."""
    return AuditBatch(key, units, bad, units * weight_nano, bad * weight_nano, weight_nano)


def merge_batches(batches: Iterable[AuditBatch]) -> tuple[AuditBatch, ...]:
    """Return batches in order of their key, with those of one key added up, so the parts of a pane may come in any order."""
    found: dict[int | tuple[str, ...], AuditBatch] = {}
    for batch in batches:
        held = found.get(batch.key)
        if held is not None:
            top_nano = max(held.top_nano, batch.top_nano)
            found[batch.key] = AuditBatch(
                batch.key,
                held.units + batch.units,
                held.bad + batch.bad,
                held.weight_nano + batch.weight_nano,
                held.bad_weight_nano + batch.bad_weight_nano,
                top_nano,
            )
        else:
            found[batch.key] = batch
    return tuple([found[key] for key in sorted(found) if found[key].units > 0])


@dataclass(frozen=True, slots=True)
class ShareBets:
    """Bets against "the share of bad outcomes is at most ``allowed``".

    F_k = 1 + λ_k·w·(x - q0) with q0 the allowed share, λ_k = (q1_k/q0 - 1)/(1 - q0) and w = π_min/π: the bet that grows
    fastest when the true share is q1_k, of mean at most 1 while it is at most q0 (arXiv 2010.09686; the weights make the
    sampled mean that of the population, as in Horvitz and Thompson 1952).

    Attributes:
        allowed: q0, in (0, 1).
        lambdas: One λ_k per bet.
        since_bad: What a bad unit adds to the since-counter; every unit takes 1 away.
        resolve_level: Value of the resolve counter that ends an alarm. A good unit adds 1, a bad one takes 1/q0 - 1.
        top_nano: Greatest weight 1/π there can be, in 10⁻⁹ (1/π_min); 0 takes the greatest one met so far.
    """

    allowed: float
    lambdas: tuple[float, ...]
    since_bad: float
    resolve_level: float
    top_nano: int = 0
    _known: dict[tuple[int, int, int, int, int], DetectorStep] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        allowed: float,
        ratios: Sequence[float] = ACCURACY_RATIOS,
        *,
        resolve_level: float | None = None,
        top_nano: int = 0,
    ) -> ShareBets:
        """Make the bets for an allowed share.

        The since-counter is Page's CUSUM for twice the allowed share, scaled so that a good unit takes 1 away: 13 for a
        bad one at 5% (E. S. Page, Continuous inspection schemes, Biometrika 41, 1954). The resolve counter drifts up only
        below the allowed share; its default level is ``RESOLVE_AUDITS / allowed``.

        Args:
            allowed: q0, in (0, 1): 1 - target.
            ratios: q1/q0 of each bet, above 1; q1 is kept half way below certainty.
            resolve_level: Units of good work that end an alarm, if not the default.
            top_nano: 1/π_min in 10⁻⁹ where the sampling plan says it, else 0.

        Raises:
            ValueError: ``allowed`` or a ratio out of range.

        Example:
            >>> bets = ShareBets.of(0.05)
            >>> round(bets.since_bad - 1), round(bets.resolve_level), [round(x, 2) for x in bets.lambdas]
            (13, 82, [0.32, 0.63, 1.05, 2.11, 4.21])
        """
        if not 0.0 < allowed < 1.0:
            raise ValueError(f"allowed share {allowed}: write a target between 0 and 1, ends excluded")
        if not ratios or min(ratios) <= 1.0:
            raise ValueError(f"ratios {tuple(ratios)}: a bet needs a share above the allowed one")

        def far(ratio: float) -> float:
            return min(ratio * allowed, (1.0 + allowed) / 2.0)

        lambdas = tuple((far(ratio) / allowed - 1.0) / (1.0 - allowed) for ratio in ratios)
        odd = far(_SINCE_RATIO)
        up = max(1, round(math.log(odd / allowed) / math.log((1.0 - allowed) / (1.0 - odd))))
        level = RESOLVE_AUDITS / allowed if resolve_level is None else resolve_level
        return cls(allowed, lambdas, up + 1.0, level, top_nano)

    @property
    def bets(self) -> int:
        """Number of bets K."""
        return len(self.lambdas)

    def top_of(self, pane: Sequence[AuditBatch]) -> int:
        """Return the greatest weight of a pane in 10⁻⁹, 0 where the sampling plan already says it."""
        return 0 if self.top_nano else max((batch.top_nano for batch in pane), default=0)

    def steps(self, pane: Sequence[AuditBatch], top_nano: int) -> Iterator[DetectorStep]:
        """Yield one step per batch: the mean of a batch counts as one observation x in [0, 1].

        Errors within a batch may depend on each other in any way; only the batches must be independent.

        Source: the class; one observation per batch: docs/statistics.md, errors that come in clusters.

        Args:
            pane: Batches in order of their key.
            top_nano: The weight that counts as 1; greater ones are cut to it.
        """
        known = self._known
        for _, units, bad, weight_nano, bad_weight_nano, _ in pane:
            shape = (units, bad, weight_nano, bad_weight_nano, top_nano)
            step = known.get(shape)
            if step is None:
                if len(known) >= _TEMPLATES_LIMIT:
                    known.clear()
                step = known[shape] = self._step(*shape)
            yield step

    def _step(self, units: int, bad: int, weight_nano: int, bad_weight_nano: int, top_nano: int) -> DetectorStep:
        scale = units * top_nano
        u = min(weight_nano, scale) / scale
        x = min(bad_weight_nano, bad * top_nano) / scale
        deviation = x - self.allowed * u
        factors = tuple([1.0 + bet * deviation for bet in self.lambdas])
        since, better = on_grid(self.since_bad * x - u), on_grid(u - x / self.allowed)
        return DetectorStep(factors, since, better, units, bad)

    def summarise(self, pane_ms: int, pane: Sequence[AuditBatch], top_nano: int) -> Summary:
        """Summarise one pane; ``top_nano`` as in ``steps``."""
        steps = self.steps(pane, self.top_nano or top_nano)
        if len(pane) < _BULK:
            return summarise(pane_ms, steps, self.bets)
        return summarise_bulk(pane_ms, list(steps), self.bets)


class PaneCount(NamedTuple):
    """Work done in one pane, and what was expected.

    Attributes:
        done: Labels (or any count) N.
        expected_nano: μ, the expected count, in 10⁻⁹: hour-of-week rate times staffed hours.
        phi_nano: φ, variance over mean of the count around μ, in 10⁻⁹, 1 or more.
    """

    done: int
    expected_nano: int
    phi_nano: int = NANO


@dataclass(frozen=True, slots=True)
class CountBets:
    """Bets against "the count comes as expected", for drops.

    F_ρ = ρ^(N/φ)·exp(μ(1-ρ)/φ): the likelihood ratio of a Poisson count with mean ρμ against μ, raised to 1/φ (quasi
    likelihood: Wedderburn, Biometrika 61, 1974). Its mean is exactly 1 for a Poisson count, and below 1 for a negative
    binomial one of variance φμ (0.76 to 1.00 at μ = 12, φ = 2: tests/detectors/test_bets.py).

    Attributes:
        shares: One ρ per bet, in (0, 1).
        resolve_level: Log likelihood ratio of recovery that ends an alarm.
    """

    shares: tuple[float, ...] = DROP_SHARES
    resolve_level: float = RESOLVE_COUNT_NATS

    @property
    def bets(self) -> int:
        """Number of bets K."""
        return len(self.shares)

    def top_of(self, pane: PaneCount) -> int:  # noqa: ARG002
        """Return 0: counts are not weighted."""
        return 0

    def steps(self, pane: PaneCount) -> Iterator[DetectorStep]:
        """Yield the pane's one step; none where nothing was expected.

        F_ρ = ρ^(N/φ)·exp(μ(1 - ρ)/φ). Source: the class (Wedderburn 1974).
        """
        if pane.expected_nano <= 0:
            return
        phi = max(NANO, pane.phi_nano) / NANO
        expected = pane.expected_nano / NANO
        logs = [(pane.done * math.log(share) + expected * (1.0 - share)) / phi for share in self.shares]
        # 230 nats are 1e100.
        factors = tuple([math.exp(min(230.0, log)) for log in logs])
        since = on_grid((pane.done * math.log(_SINCE_DROP) + expected * (1.0 - _SINCE_DROP)) / phi)
        yield DetectorStep(factors, since, -since, round(expected), round(expected) - pane.done)

    def summarise(self, pane_ms: int, pane: PaneCount, top_nano: int) -> Summary:  # noqa: ARG002
        """Summarise one pane; counts are not weighted."""
        return summarise(pane_ms, self.steps(pane), self.bets)
