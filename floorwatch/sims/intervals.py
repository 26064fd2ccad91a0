"""How often the intervals of shares hold the truth, and how often the limits to judge by err.

Counted shares are enumerated: every outcome with its chance. Weighted ones are simulated under the designs people run: flagged
work audited more often, audits of a few kinds of work in which one is large and rarely looked at. The functions are those that ship.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from floorwatch.sims.lines import ReportLine, between_marks, of_share
from streams.core.binomial import TAIL, WeightClass, exact_limits, interval_limits
from streams.core.proportions import accuracy_of_classes, difference

CPU_S = 15.0
CLAIMED = 0.925
"""Least coverage of the 95% intervals shown."""

SHARES = (0.9, 0.95, 0.97, 0.98, 0.99, 0.995)
SIZES = (20, 30, 50, 100, 200, 500)

PAGE = Path("docs/statistics.md")

BEGIN, END = "<!-- coverage: written by `floorwatch sims --picture` -->\n", "<!-- end of coverage -->\n"

_NEGLIGIBLE = 1e-10


def chances(trials: int, share: float) -> list[float]:
    """Return the chance of each number of failures, 0 to ``trials``.

    Source: the binomial distribution.
    """
    return [
        math.exp(
            math.lgamma(trials + 1)
            - math.lgamma(bad + 1)
            - math.lgamma(trials - bad + 1)
            + bad * math.log(1 - share)
            + (trials - bad) * math.log(share)
        )
        for bad in range(trials + 1)
    ]


class Cell(NamedTuple):
    """One accuracy and number of audits: the chance that the shown interval holds the truth, and that a judgement errs."""

    share: float
    trials: int
    covered: float
    below_in_error: float
    above_in_error: float


def enumerated(share: float, trials: int) -> Cell:
    """Return one cell, every outcome counted with its chance."""
    covered = below = above = 0.0
    for bad, chance in enumerate(chances(trials, share)):
        if chance < _NEGLIGIBLE:
            continue
        low, high = interval_limits(trials - bad, trials)
        covered += chance * (low <= share <= high)
        low, high = exact_limits(trials - bad, trials)
        below += chance * (high < share)
        above += chance * (low > share)
    return Cell(share, trials, covered, below, above)


class Design(NamedTuple):
    """How labels are wrong and audited.

    Attributes:
        name: In words.
        labels: Labels of a run.
        kinds: Of each kind of work: its part of the labels, how often it is wrong, and the probability of an audit.
    """

    name: str
    labels: int
    kinds: tuple[tuple[float, float, float], ...]

    @property
    def accuracy(self) -> float:
        """The true one."""
        return 1 - sum(part * wrong for part, wrong, _ in self.kinds)

    def classes(self, rng: np.random.Generator) -> list[WeightClass]:
        """Return the audits of one run."""
        labels = rng.multinomial(self.labels, [part for part, _, _ in self.kinds])
        found = []
        for n, (_, wrong, probability) in zip(labels, self.kinds, strict=True):
            audits = int(rng.binomial(n, probability))
            found.append(WeightClass(audits, int(rng.binomial(audits, wrong)), audits / probability))
        return found


DESIGNS = (
    Design("flagged audited at 20%, approved at 1%; 580 audits", 20_000, ((0.1, 0.2, 0.2), (0.9, 0.02, 0.01))),
    Design("the same, 145 audits", 5_000, ((0.1, 0.2, 0.2), (0.9, 0.02, 0.01))),
    Design("flagged tenth all audited, the rest at 2%; 350 audits", 3_000, ((0.1, 0.2, 1.0), (0.9, 0.02, 0.02))),
    Design("all errors among the rarely audited; 390 audits", 20_000, ((0.05, 0.0, 0.2), (0.95, 0.05, 0.01))),
    Design("all errors among the flagged; 580 audits", 20_000, ((0.1, 0.5, 0.2), (0.9, 0.0, 0.01))),
    Design(
        "six kinds of work, one of half of it with few audits; 300 audits",
        2_000,
        ((0.5, 0.06, 0.025), *((0.1, 0.04, 0.3),) * 4, (0.1, 0.1, 0.25)),
    ),
)


def _designs(runs: int, rng: np.random.Generator) -> Iterator[ReportLine]:
    for design in DESIGNS:
        covered = below = above = said = 0
        for _ in range(runs):
            found = accuracy_of_classes(design.classes(rng))
            if found is None:
                continue
            said += 1
            covered += found.estimate.low <= design.accuracy <= found.estimate.high
            low, high = found.limits()
            below += high < design.accuracy
            above += low > design.accuracy
        yield of_share(f"covers: {design.name}", covered, said, "at least", CLAIMED)
        yield of_share(f"judged below in error: {design.name}", below, said, "at most", TAIL)
        yield of_share(f"judged above in error: {design.name}", above, said, "at most", TAIL)


def _differences(runs: int, rng: np.random.Generator) -> Iterator[ReportLine]:
    for (first, before), (second, after) in (
        ((100, 0.95), (100, 0.95)),
        ((50, 0.99), (400, 0.99)),
        ((60, 0.9), (60, 0.97)),
    ):
        covered = judged = 0
        for _ in range(runs):
            pair = (int(rng.binomial(first, before)), first), (int(rng.binomial(second, after)), second)
            shown, strict = difference(*pair), difference(*pair, judged=True)
            if shown is not None and strict is not None:
                covered += shown.low <= after - before <= shown.high
                judged += strict.high < 0
        name = f"{first} audits at {before:.0%} against {second} at {after:.0%}"
        yield of_share(f"difference covers: {name}", covered, runs, "at least", CLAIMED)
        if before == after:
            yield of_share(f"judged worse in error: {name}", judged, runs, "at most", TAIL)


def run(scale: float, seed: int) -> list[ReportLine]:
    """Return the coverage of every cell and design.

    Args:
        scale: Multiplies the 2,000 runs of each design; the cells are enumerated in any case.
        seed: Of the runs.
    """
    rng = np.random.default_rng(seed)
    runs = max(100, round(2_000 * scale))
    found = []
    for share in SHARES:
        cells = [enumerated(share, trials) for trials in SIZES]
        least, worst = min(cell.covered for cell in cells), max(max(cell[3:]) for cell in cells)
        name = f"accuracy {share:.1%}, {SIZES[0]} to {SIZES[-1]} audits"
        found.append(ReportLine(f"least coverage, {name}", "at least", CLAIMED, least, least, least, "enumerated"))
        found.append(
            ReportLine(f"most error of a judgement, {name}", "at most", TAIL, worst, worst, worst, "enumerated")
        )
    found += _designs(runs, rng)
    found += _differences(runs, rng)
    return found


def coverage_table() -> str:
    """Return the enumerated part as a table in Markdown: docs/statistics.md holds it."""
    lines = [
        "| audits | " + " | ".join(f"{share:.1%}" for share in SHARES) + " |",
        "|---|" + "---|" * len(SHARES),
    ]
    for trials in SIZES:
        cells = [enumerated(share, trials) for share in SHARES]
        said = (f"{cell.covered:.1%} ({cell.below_in_error:.1%}, {cell.above_in_error:.1%})" for cell in cells)
        lines.append(f"| {trials} | " + " | ".join(said) + " |")
    return "\n".join(lines)


def page_with_table(text: str) -> str:
    """Return the page with its table of coverage as it should be.

    Raises:
        ValueError: The page lacks the marks around the table.
    """
    return between_marks(text, BEGIN, END, coverage_table(), str(PAGE))


def write_table(root: Path = Path()) -> Path:
    """Write the table of coverage into docs/statistics.md below ``root`` and return its path."""
    path = root / PAGE
    path.write_text(page_with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
    return path
