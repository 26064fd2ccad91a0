"""Fair comparison of vendors: accuracy as it would be if all of them worked on the same mix of queue, policy and market.

A vendor with the hard queue looks bad on the raw number. Direct standardisation weighs each vendor's accuracy in a stratum
(queue × policy × market) by that stratum's share of everybody's labels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from floorwatch.analysis.quality.counts import Counts, Key, section
from floorwatch.analysis.quality.judged_labels import JudgedLabel
from streams.core.binomial import SEEN, TAIL, Weighed, share_limits
from streams.core.counters import NANO
from streams.core.formatting import plural
from streams.core.multiplicity import holm
from streams.core.policy import DIMENSIONS
from streams.core.proportions import Interval, difference_of
from streams.core.remainder import SampledTotal

FEW_AUDITS = 30
"""Fewer sampled audits of a vendor in the common strata say too little."""

LEAST_COVERAGE = 0.5
"""Strata common to all compared must hold at least this share of all labels, or the comparison is not of the floor's work."""

_MIX = tuple(DIMENSIONS.index(name) for name in ("queue", "policy", "market"))
_VENDOR = DIMENSIONS.index("vendor")

Mix = tuple[str, str, str]
"""Queue, policy and market; empty where nobody said."""


def count(judged: JudgedLabel) -> Iterator[tuple[Key, int]]:
    """Yield what one standing label counts for: its stratum's volume, and its verdict if it was sampled or audited."""
    dims = judged.dims
    vendor = dims[_VENDOR]
    if vendor is None:
        return
    stratum = ("stratum", vendor, *(dims[at] or "" for at in _MIX))
    yield (*stratum, "labels"), 1
    verdict = judged.verdict
    if verdict is None:
        return
    yield (*stratum, "n"), 1
    if not verdict.wrong:
        yield (*stratum, "right"), 1
    weight = verdict.weight_nano
    if weight:
        yield (*stratum, "sampled"), 1
        yield (*stratum, "w"), weight
        yield (*stratum, "w2"), weight * weight
        if not verdict.wrong:
            yield (*stratum, "wr"), weight
            yield (*stratum, "w2r"), weight * weight


@dataclass(frozen=True)
class VendorStratum:
    """One vendor's audits in one stratum.

    Attributes:
        accuracy_ratio: Hájek's, Σw of the right over Σw of all.
        worth: What it is worth in plain audits, (Σw)²/Σw².
        audits: How many there are.
        right_squares_ratio: Σw² of the right over Σw² of all: where the errors are. None where all weigh the same.
    """

    accuracy_ratio: float
    worth: float
    audits: int
    right_squares_ratio: float | None = None

    def sides(self, share: float) -> tuple[Weighed, Weighed]:
        """Return the right and the wrong ones, scaled to weigh ``share`` together (``streams.core.binomial``)."""
        right = self.accuracy_ratio
        squares = right if self.right_squares_ratio is None else self.right_squares_ratio
        scale, each = share * share / self.worth, share / self.worth
        return Weighed(share * right, scale * squares, each), Weighed(share * (1 - right), scale * (1 - squares), each)


@dataclass(frozen=True)
class VendorStanding:
    """One vendor.

    Attributes:
        vendor: The vendor.
        raw_ratio: correct/audited over all its audits, as the accuracy table shows it.
        audits: Sampled audits in the common strata.
        standardised: Accuracy on the common mix with its 95% interval.
        above_others: Standardised accuracy minus that of the other vendors together on the same mix, with its interval.
        stands_out: ``better`` or ``worse`` where the difference is beyond chance, with at most 5% for any wrong word on all
            vendors compared (Holm); else None.
    """

    vendor: str
    raw_ratio: float | None
    audits: int
    standardised: Interval | None
    above_others: Interval | None
    stands_out: str | None

    @property
    def enough(self) -> bool:
        """Whether there are enough audits to say anything."""
        return self.standardised is not None and self.audits >= FEW_AUDITS


@dataclass(frozen=True)
class Comparison:
    """All vendors on one mix.

    Attributes:
        standings: Compared vendors, best first.
        left_out: Vendor to the reason why it could not be compared.
        coverage_ratio: Share of all labels whose strata every compared vendor was audited in.
        empty: Vendor to the strata of the mix in which it has no audits, the largest first, with their share of all labels.
        weighted: Whether accuracies are weighted by 1/π; else no audit named its sampling probability.
    """

    standings: list[VendorStanding] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    coverage_ratio: float = 0.0
    empty: dict[str, list[tuple[Mix, float]]] = field(default_factory=dict)
    weighted: bool = True


def compare_vendors(counts: Counts) -> Comparison:
    """Return vendors standardised to the common mix.

    A vendor whose audits stand for less than half of its labels so far is left out: flagged work is often audited first.
    Only strata in which every compared vendor has audits are compared, weighted by all vendors' labels there. While those
    strata hold less than half of all labels, the vendor that covers least is left out, and named.

    Source: direct standardisation (Breslow, Day 1987, chapter 2).
    """
    volumes, cells, raw, weighted = _strata(counts)
    stands = _stands(counts)
    total = sum(volumes.values())
    vendors = sorted({vendor for vendor, _ in cells} | set(raw))
    left_out: dict[str, str] = {}
    compared = []
    for vendor in vendors:
        audits = sum(cell.audits for (who, _), cell in cells.items() if who == vendor)
        labels, stand_for = stands[vendor]
        if audits < FEW_AUDITS:
            left_out[vendor] = f"too few audits to say: {audits}, at least {FEW_AUDITS} are needed"
        elif weighted and stand_for.awaited(labels):
            left_out[vendor] = (
                f"it awaits audits: those with a known probability stand for {stand_for.labels:,.0f} of {plural(labels, 'label')} "
                "so far"
            )
        else:
            compared.append(vendor)
    common = _common(compared, volumes, cells)
    while len(compared) > 1 and _share(common, volumes) < LEAST_COVERAGE:
        least = min(compared, key=lambda v: (_share(_common([v], volumes, cells), volumes), v))
        covered = _share(_common([least], volumes, cells), volumes)
        left_out[least] = f"no common work: its audits lie in strata that hold {100 * covered:.0f}% of all labels"
        compared.remove(least)
        common = _common(compared, volumes, cells)
    empty = {vendor: _empty(vendor, volumes, cells, total) for vendor in vendors}
    coverage = _share(common, volumes) if len(compared) > 1 else 0.0
    if len(compared) < 2:
        for vendor in compared:
            left_out[vendor] = "no other vendor to compare it with"
        return Comparison([], left_out, 0.0, empty, weighted)
    mix = {stratum: volumes[stratum] / sum(volumes[s] for s in common) for stratum in common}
    sides = {vendor: _against_others(vendor, compared, mix, cells) for vendor in compared}
    clear = holm([partial(_differs, *sides[vendor], mix) for vendor in compared])
    standings = [
        _standing(vendor, differs, mix, *sides[vendor], raw[vendor])
        for vendor, differs in zip(compared, clear, strict=True)
    ]
    standings.sort(key=lambda s: (-(s.standardised.value if s.standardised is not None else 0.0), s.vendor))
    return Comparison(standings, left_out, coverage, empty, weighted)


def _strata(
    counts: Counts,
) -> tuple[dict[Mix, int], dict[tuple[str, Mix], VendorStratum], dict[str, tuple[int, int]], bool]:
    """Return labels per stratum, each vendor's cells, each vendor's raw (correct, audited), and whether weights exist."""
    sums: dict[tuple[str, Mix], dict[str, int]] = {}
    for (vendor, queue, policy, market, what), amount in section(counts, "stratum"):
        sums.setdefault((str(vendor), (str(queue), str(policy), str(market))), {})[str(what)] = amount
    weighted = any("w" in of for of in sums.values())
    volumes: dict[Mix, int] = {}
    cells: dict[tuple[str, Mix], VendorStratum] = {}
    raw: dict[str, tuple[int, int]] = {}
    for (vendor, stratum), of in sums.items():
        volumes[stratum] = volumes.get(stratum, 0) + of.get("labels", 0)
        right, n = raw.get(vendor, (0, 0))
        raw[vendor] = (right + of.get("right", 0), n + of.get("n", 0))
        if weighted and of.get("w", 0):
            worth = of["w"] * of["w"] / of["w2"]
            squares = of.get("w2r", 0) / of["w2"]
            cells[vendor, stratum] = VendorStratum(of.get("wr", 0) / of["w"], worth, of["sampled"], squares)
        elif not weighted and of.get("n", 0):
            cells[vendor, stratum] = VendorStratum(of.get("right", 0) / of["n"], of["n"], of["n"])
    return volumes, cells, raw, weighted


def _stands(counts: Counts) -> dict[str, tuple[int, SampledTotal]]:
    """Return by vendor how many labels it has, and for how many its audits stand whose sampling probability is known."""
    sums: dict[str, dict[str, int]] = {}
    for (vendor, *_, what), amount in section(counts, "stratum"):
        of = sums.setdefault(str(vendor), {})
        of[str(what)] = of.get(str(what), 0) + amount
    found = {}
    for vendor, of in sums.items():
        weight, squares = of.get("w", 0) / NANO, of.get("w2", 0) / NANO / NANO
        found[vendor] = of.get("labels", 0), SampledTotal(weight, max(0.0, squares / weight - 1) if weight else 0.0)
    return found


def _common(vendors: list[str], volumes: dict[Mix, int], cells: dict[tuple[str, Mix], VendorStratum]) -> list[Mix]:
    return sorted(stratum for stratum in volumes if all((vendor, stratum) in cells for vendor in vendors))


def _share(strata: list[Mix], volumes: dict[Mix, int]) -> float:
    total = sum(volumes.values())
    return sum(volumes[stratum] for stratum in strata) / total if total else 0.0


def _empty(
    vendor: str, volumes: dict[Mix, int], cells: dict[tuple[str, Mix], VendorStratum], total: int
) -> list[tuple[Mix, float]]:
    missing = [(stratum, labels / total) for stratum, labels in volumes.items() if (vendor, stratum) not in cells]
    return sorted(missing, key=lambda pair: (-pair[1], pair[0]))


Cells = dict[Mix, VendorStratum]
"""One vendor's cells."""


def standardised(mix: dict[Mix, float], cells: Cells, *, tail: float = TAIL, seen: float = SEEN) -> Interval:
    """Return Σ w_s·p_s with its 95% interval, that of a weighted share in which a stratum's audits weigh w_s together.

    Source of the limits: ``streams.core.binomial``. Coverage simulated in tests/quality/test_comparison.py: 95 to 98%. The delta
    interval came to 70–93% (a stratum without errors, usual here, has variance 0), the square-and-add rule of Zou, Huang &
    Zhang (2009) to 88–97%, the stratified Wilson interval of Yan & Su (2010) to 78–95%, Wilson's at the effective number of
    audits to 94–97% at widths 2 to 10% smaller; that one does not see which weights the errors have.

    Args:
        mix: Weight of each stratum, adding up to 1.
        cells: The vendor's cell in each of them.
        tail: Chance left out on each side.
        seen: 1 for an interval to judge by.
    """
    right, wrong = [0.0, 0.0], [0.0, 0.0]
    largest = 0.0
    for stratum, weight in mix.items():
        for total, side in zip((right, wrong), cells[stratum].sides(weight), strict=True):
            total[0] += side.total
            total[1] += side.squares
            largest = max(largest, side.largest)
    good, bad = Weighed(right[0], right[1], largest), Weighed(wrong[0], wrong[1], largest)
    return Interval(min(1.0, right[0]), *share_limits(good, bad, tail=tail, seen=seen))


def _against_others(
    vendor: str, compared: list[str], mix: dict[Mix, float], cells: dict[tuple[str, Mix], VendorStratum]
) -> tuple[Cells, Cells]:
    """Return a vendor's cells and those of all others together."""
    mine = {stratum: cells[vendor, stratum] for stratum in mix}
    others = {stratum: _pooled([cells[who, stratum] for who in compared if who != vendor]) for stratum in mix}
    return mine, others


def _differs(mine: Cells, others: Cells, mix: dict[Mix, float], level: float) -> bool:
    """Tell whether a vendor differs from the others with an error of at most ``level``, both sides together."""
    wide = difference_of(*(standardised(mix, of, tail=level / 2, seen=1.0) for of in (mine, others)))
    return not wide.low <= 0 <= wide.high


def _standing(
    vendor: str, clear: bool, mix: dict[Mix, float], mine: Cells, others: Cells, raw: tuple[int, int]
) -> VendorStanding:
    own = standardised(mix, mine)
    above = difference_of(own, standardised(mix, others))
    return VendorStanding(
        vendor,
        raw[0] / raw[1] if raw[1] else None,
        sum(cell.audits for cell in mine.values()),
        own,
        above,
        None if not clear else "better" if above.value > 0 else "worse",
    )


def _pooled(cells: list[VendorStratum]) -> VendorStratum:
    """Return several vendors' cells of one stratum as one, each audit worth the same."""
    worth = sum(cell.worth for cell in cells)
    right, wrong = zip(*(cell.sides(cell.worth / worth) for cell in cells), strict=True)
    squares = sum(side.squares for side in right)
    ratio = squares / (squares + sum(side.squares for side in wrong))
    return VendorStratum(sum(side.total for side in right), worth, sum(cell.audits for cell in cells), ratio)
