"""Many detectors together: the bar for a budget of false alarms, the watch list, and where more audits would help."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.core.detectors.bets import ShareBets

LEAST_BAR = 1_000.0
"""The lowest bar, even for few observations. With a lower one, a scope would fire on a few errors."""

_ROUND_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0, 10.0)


def bar_for(observations_per_day: float, days_per_false_alarm: float) -> float:
    """Return the score at which detectors fire so that a fleet of them lies at most once in so many days.

    A = fleet observations per day x days. Each detector's mean time to a false alarm is at least A of *its own*
    observations, so false alarms of all together come at most once in A observations of the fleet, however these are
    spread over scopes.

    Source: the e-SR detector of Shin, Ramdas, Rinaldo, E-detectors, arXiv 2203.03532 (2022): mean time to a false alarm
    at least A.

    Args:
        observations_per_day: Audits (of due tasks: quarters of an hour) a day of all scopes together, 0 or more.
        days_per_false_alarm: Days per tolerated false alarm, above 0.

    Returns:
        The bar, at least ``LEAST_BAR``.

    Raises:
        ValueError: an argument out of range.

    Example:
        >>> bar_for(21_000, 7)
        147000.0
    """
    if observations_per_day < 0 or days_per_false_alarm <= 0:
        raise ValueError(f"bar_for({observations_per_day}, {days_per_false_alarm}): observations >= 0 and days > 0")
    return max(LEAST_BAR, float(observations_per_day * days_per_false_alarm))


def round_bar(bar: float) -> float:
    """Return a bar rounded up to 1, 1.5, 2, 3, 5 or 7 times a power of ten.

    A bar measured from the volume of audits would otherwise move with every audit. Rounding up only lowers the rate of
    false alarms, and costs at most the log of the step in delay.

    Source: ours; the steps of usual axis labels.

    Example:
        >>> round_bar(147_000)
        150000.0
    """
    if bar <= 0:
        return LEAST_BAR
    power = 10.0 ** math.floor(math.log10(bar))
    return next(step * power for step in _ROUND_STEPS if step * power >= bar * (1 - 1e-12))


def watch_list(scores: Mapping[str, float], bar: float) -> tuple[str, ...]:
    """Return the scopes for the watch list, which pages nobody, strongest evidence first.

    The e-Benjamini–Hochberg rule: the k strongest, for the greatest k whose k-th score reaches bar/k (Wang, Ramdas, False
    discovery rate control with e-values, JRSS-B 2022; for detectors: Dandapanthula, Ramdas, Multiple testing in
    multi-stream sequential change detection, 2025).

    Args:
        scores: Score by scope.
        bar: The bar at which a single scope fires.
    """
    ranked = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    last = max((k for k, (_, score) in enumerate(ranked, 1) if score >= bar / k), default=0)
    return tuple(scope for scope, _ in ranked[:last])


def wants_audits(scores: Mapping[str, float], bar: float, firing: Iterable[str] = ()) -> tuple[str, ...]:
    """Return the scopes where more audits would soon decide: score above the square root of the bar, not yet firing.

    Sampling more there keeps the promise as long as each audit's probability is fixed before its outcome: the weights
    account for it.

    Source: docs/statistics.md, more audits would soon decide: where the score is above √A.

    Args:
        scores: Score by scope.
        bar: The bar.
        firing: Scopes that need no further evidence.
    """
    known = set(firing)
    line = math.sqrt(bar)
    found = [(scope, score) for scope, score in scores.items() if score > line and scope not in known]
    return tuple(scope for scope, _ in sorted(found, key=lambda item: (-item[1], item[0])))


def audits_to_decide(
    model: ShareBets, reading: tuple[int, int], score: float, bar: float, phi: float = 1.0
) -> int | None:
    """Return about how many more audits would carry a score to its bar if errors go on as since the change.

    A bet F = 1 + λ(x - q0) on audits with a share p of errors multiplies its money by e^g an audit on average, with
    g = p·ln(1 + λ(1 - q0)) + (1 - p)·ln(1 - λq0) (J. L. Kelly, A new interpretation of information rate, 1956); the best bet
    of the mixture needs φ·ln(bar/score)/g. The growth per audit is at most what it has been since the change: ln(score)/audits.

    Args:
        model: The bets.
        reading: (audits, wrong ones) since the change began.
        score: The score now.
        bar: The bar.
        phi: φ, by which evidence is tempered.

    Returns:
        1 or more; None if such a share of errors would never reach the bar.

    Example:
        >>> from streams.core.detectors.bets import ShareBets
        >>> audits_to_decide(ShareBets.of(0.05), (60, 9), 1_000, 140_000)
        71
    """
    units, bad = reading
    if units <= 0 or score <= 0:
        return None
    share = bad / units
    growth = max(
        share * math.log1p(bet * (1 - model.allowed)) + (1 - share) * math.log1p(-bet * model.allowed)
        for bet in model.lambdas
    )
    growth = min(growth / phi, math.log(score) / units)
    return None if growth <= 0 else max(1, math.ceil(math.log(bar / score) / growth))
