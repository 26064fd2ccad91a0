"""One line of a simulation's report: what was promised, what was measured, and whether both agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from streams.core.binomial import exact_limits

Sense = Literal["at most", "at least", "about"]

ERROR = 0.01
"""Chance that the Monte Carlo interval of a line misses what is measured: the intervals are of 99%."""

Z = 2.5758293035489004
"""The normal quantile that leaves half of ``ERROR`` above it."""

_TOLERANCE = 0.1


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One measured number.

    Attributes:
        name: What was measured.
        sense: How ``expected`` binds.
        expected: The bound or the reference.
        measured: The result.
        low: Lower end of its 99% Monte Carlo interval.
        high: Upper end.
        source: Where ``expected`` comes from: a theorem, or the reference figures of docs/statistics.md.
        tolerance: For ``about``: how far, as a ratio, the interval may lie off.
        row: The situation this line measures (docs/statistics.md numbers them); None where it belongs to none.
    """

    name: str
    sense: Sense
    expected: float
    measured: float
    low: float
    high: float
    source: str = ""
    tolerance: float = _TOLERANCE
    row: int | None = None

    @property
    def ok(self) -> bool:
        """Whether the interval allows what was promised."""
        if self.sense == "at most":
            return self.low <= self.expected
        if self.sense == "at least":
            return self.high >= self.expected
        return self.low <= self.expected * (1 + self.tolerance) and self.high >= self.expected * (1 - self.tolerance)

    @property
    def shown(self) -> bool:
        """Whether the measured number itself is as promised, not its interval alone."""
        return replace(self, low=self.measured, high=self.measured).ok

    @property
    def verdict(self) -> str:
        """``ok``; ``allowed`` where the number is not as promised but its interval allows it, so that more runs would tell; ``NOT``."""
        if not self.ok:
            return "NOT"
        return "ok" if self.shown else "allowed"

    def __str__(self) -> str:
        """The line as printed."""
        wanted = f"{self.sense} {number(self.expected)}"
        found = f"{number(self.measured)} [{number(self.low)}, {number(self.high)}]"
        return f"{self.verdict:<7} {self.name:<84} {wanted:<18} measured {found:<28} {self.source}".rstrip()


def number(value: float) -> str:
    """A number with three significant digits, without an exponent."""
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value == 0 or abs(value) >= 0.0001 else f"{value:.6f}"


def of_share(
    name: str,
    hits: int,
    runs: int,
    sense: Sense,
    expected: float,
    source: str = "",
    *,
    row: int | None = None,
) -> ReportLine:
    """A share of runs, with its exact 99% limits (Clopper & Pearson 1934)."""
    low, high = exact_limits(hits, runs, ERROR / 2)
    return ReportLine(name, sense, expected, hits / runs, low, high, source, row=row)


def of_count(
    name: str,
    events: int,
    per: float,
    sense: Sense,
    expected: float,
    source: str = "",
    *,
    row: int | None = None,
) -> ReportLine:
    """A rate ``events / per`` of rare events, with its Poisson interval (Wilson–Hilferty's cube approximation, 1931)."""
    low, high = _poisson_interval(events)
    return ReportLine(name, sense, expected, events / per, low / per, high / per, source, row=row)


def of_run_length(
    name: str,
    audits: float,
    alarms: int,
    sense: Sense,
    expected: float,
    source: str = "",
    *,
    row: int | None = None,
) -> ReportLine:
    """A mean run length ``audits / alarms``; with no alarm at all, the lower end is what is shown.

    Interval: Poisson (Wilson, Hilferty 1931).
    """
    low, high = _poisson_interval(alarms)
    measured = audits / alarms if alarms else audits / high
    longest = audits / low if low > 0 else math.inf
    return ReportLine(name, sense, expected, measured, audits / high, longest, source, row=row)


def of_median(
    name: str, values: Sequence[float], sense: Sense, expected: float, source: str = "", *, row: int | None = None
) -> ReportLine:
    """A median, with the interval of its order statistics.

    Source: the number of values below the median is binomial (Thompson 1936).
    """
    found = np.sort(np.asarray(values, dtype=np.float64))
    half, spread = len(found) / 2, Z * math.sqrt(len(found)) / 2
    low = found[max(0, math.floor(half - spread))]
    high = found[min(len(found) - 1, math.ceil(half + spread))]
    return ReportLine(name, sense, expected, float(np.median(found)), float(low), float(high), source, row=row)


def of_mean(
    name: str, values: Sequence[float], sense: Sense, expected: float, source: str = "", *, row: int | None = None
) -> ReportLine:
    """A mean of independent runs, with its normal interval; the values must be finite.

    Source: the central limit theorem.
    """
    found = np.asarray(values, dtype=np.float64)
    mean, half = float(found.mean()), Z * float(found.std(ddof=1)) / math.sqrt(len(found))
    return ReportLine(name, sense, expected, mean, mean - half, mean + half, source, row=row)


def _poisson_interval(events: int) -> tuple[float, float]:
    def bound(k: float, z: float) -> float:
        return float(k * (1 - 1 / (9 * k) + z / (3 * math.sqrt(k))) ** 3)

    return (bound(events, -Z) if events else 0.0), bound(events + 1, Z)


def between_marks(text: str, begin: str, end: str, table: str, page: str) -> str:
    """Return a page with what stands between two marks replaced.

    Args:
        text: The page.
        begin: The mark before the table.
        end: The mark after it.
        table: What to put there.
        page: The page's name, for the error.

    Raises:
        ValueError: The page lacks the marks.
    """
    head, begun, rest = text.partition(begin)
    _, ended, tail = rest.partition(end)
    if not (begun and ended):
        raise ValueError(f"{page}: the marks around the table are gone: {begin.strip()} … {end.strip()}; put them back")
    return f"{head}{begin}{table}\n{end}{tail}"
