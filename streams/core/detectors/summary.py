"""Summaries: the effect of a run of observations on any state of a detector.

Summaries of consecutive runs combine, and the combination is associative, so a corrected pane is summarised anew and
the fold goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

CAP = 1e100
"""The greatest score. Evidence is overwhelming long before, and floats must stay finite."""

_GRID = float(1 << 20)


def on_grid(value: float) -> float:
    """Return the nearest multiple of 2⁻²⁰: sums of such are exact, so a counter that returns to 0 is exactly 0.

    Example:
        >>> on_grid(0.1) * 1048576.0
        104858.0
    """
    return round(value * _GRID) / _GRID


class DetectorStep(NamedTuple):
    """One observation.

    Attributes:
        factors: One betting factor F_k per bet, 0 or more, of mean at most 1 while the target is met.
        since: What it adds to the since-counter C, on the grid; positive when it speaks for a change.
        better: What it adds to the resolve counter G, on the grid; positive when it speaks for recovery.
        units: Audits, due tasks or expected counts behind it.
        bad: How many of them were bad.
    """

    factors: tuple[float, ...]
    since: float
    better: float
    units: int
    bad: int


class Summary(NamedTuple):
    """What a run of observations does.

    Attributes:
        gain: P_k, the product of the factors: what the score before the run is multiplied by.
        gathered: Q_k, the Shiryaev–Roberts sum of the run alone, started from 0.
        since_sum: Sum of the steps of the since-counter.
        since_low: Lowest prefix sum, 0 or below: a counter at or below ``-since_low`` returns to 0 in the run.
        since_top: Where a counter that starts at 0 (or returns to it) ends.
        tail_ms: Start of the pane in which the counter last left 0; None if it ends at 0.
        tail_units: Units since then.
        tail_bad: Bad ones since then.
        better_sum: Sum of the steps of the resolve counter.
        better_top: Where a resolve counter that starts at 0 ends.
        units: All units.
        bad: All bad ones.
        observations: How many steps.
    """

    gain: tuple[float, ...]
    gathered: tuple[float, ...]
    since_sum: float = 0.0
    since_low: float = 0.0
    since_top: float = 0.0
    tail_ms: int | None = None
    tail_units: int = 0
    tail_bad: int = 0
    better_sum: float = 0.0
    better_top: float = 0.0
    units: int = 0
    bad: int = 0
    observations: int = 0


def nothing(bets: int) -> Summary:
    """Return the summary of no observation: the neutral element of ``then``.

    Args:
        bets: Number of bets K.
    """
    return Summary((1.0,) * bets, (0.0,) * bets)


def summarise(pane_ms: int, steps: Iterable[DetectorStep], bets: int) -> Summary:
    """Summarise the observations of one pane.

    Per bet, from (P, Q) = (1, 0): Q ← (1 + Q)·F, P ← P·F, which is the Shiryaev–Roberts recursion R ← (1 + R)·F for every
    start R at once, since R' = P·R + Q (arXiv 2203.03532 for the recursion).

    Args:
        pane_ms: Start of the pane.
        steps: Its observations, in an order that does not depend on their outcomes.
        bets: Number of bets K.

    Returns:
        The summary; ``nothing(bets)`` without observations.
    """
    steps = list(steps)
    gain, gathered = _recursion(steps, bets)
    total = low = counter = better = better_top = 0.0
    tail_units = tail_bad = units = bad = 0
    for _, since, recovers, step_units, step_bad in steps:
        total += since
        counter += since
        if counter <= 0.0:
            counter, tail_units, tail_bad = 0.0, 0, 0
            low = min(low, total)
        else:
            tail_units += step_units
            tail_bad += step_bad
        better += recovers
        better_top += recovers
        better_top = max(better_top, 0.0)
        units += step_units
        bad += step_bad
    tail_ms = pane_ms if counter > 0.0 else None
    return Summary(
        tuple(_capped(gain)),
        tuple(_capped(gathered)),
        *(total, low, counter, tail_ms, tail_units, tail_bad),
        *(better, better_top, units, bad, len(steps)),
    )


def summarise_one(pane_ms: int, step: DetectorStep, start: float = 1.0) -> Summary:
    """Summarise a pane of one observation: what ``summarise`` returns, for less.

    Args:
        pane_ms: Start of the pane.
        step: Its observation.
        start: How many bets begin with it.
    """
    factors, since, better, units, bad = step
    gain = factors if max(factors) <= CAP else tuple(_capped(factors))
    gathered = gain if start == 1.0 else tuple([start * factor for factor in gain])
    if since <= 0.0:
        return Summary(gain, gathered, since, since, 0.0, None, 0, 0, better, max(better, 0.0), units, bad, 1)
    return Summary(gain, gathered, since, 0.0, since, pane_ms, units, bad, better, max(better, 0.0), units, bad, 1)


def _recursion(steps: Sequence[DetectorStep], bets: int) -> tuple[list[float], list[float]]:
    """Return (P, Q) of a run, per bet. Beyond the floats' range they are infinite, and the cap makes them finite."""
    gain, gathered = [1.0] * bets, [0.0] * bets
    for step in steps:
        gathered = [(1.0 + q) * factor for q, factor in zip(gathered, step.factors, strict=True)]
        gain = [p * factor for p, factor in zip(gain, step.factors, strict=True)]
    return gain, gathered


def _capped(values: Sequence[float]) -> list[float]:
    return [min(CAP, value) for value in values]


def then(earlier: Summary, later: Summary) -> Summary:
    """Combine two consecutive runs: (P1·P2, Q1·P2 + Q2), and the walks of both counters.

    Associative, the factors up to rounding and below ``CAP``, the walks exactly. A reflected walk that starts at C returns to 0
    exactly when the lowest prefix sum reaches -C, and from there on is the walk that started at 0.
    """
    goes_on = earlier.since_top > 0.0 and earlier.since_top + later.since_low > 0.0
    if goes_on:
        tail = (
            earlier.since_top + later.since_sum,
            earlier.tail_ms,
            earlier.tail_units + later.units,
            earlier.tail_bad + later.bad,
        )
    else:
        tail = (later.since_top, later.tail_ms, later.tail_units, later.tail_bad)
    pairs = list(zip(earlier.gain, earlier.gathered, later.gain, later.gathered, strict=True))
    return Summary(
        tuple([min(CAP, p1 * p2) for p1, _, p2, _ in pairs]),
        tuple([min(CAP, q1 * p2 + q2) for _, q1, p2, q2 in pairs]),
        earlier.since_sum + later.since_sum,
        min(earlier.since_low, earlier.since_sum + later.since_low),
        *tail,
        earlier.better_sum + later.better_sum,
        max(later.better_top, earlier.better_top + later.better_sum),
        earlier.units + later.units,
        earlier.bad + later.bad,
        earlier.observations + later.observations,
    )
