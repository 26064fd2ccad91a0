"""The accuracy of the work in a row, estimated from its random audits. Pure; the one place where rows become estimates.

Two-phase sampling (Särndal, Swensson & Wretman, Model Assisted Survey Sampling, 1992, chapter 9): an audit with sampling
probability π stands for 1/π labels. Audits that say nothing of sampling are assumed to be random, a class of their own: they stand for
the labels that the audits with a probability do not stand for (ADR 38). A few of them among many others weigh as the others do
(ADR 44). Targeted audits are in no estimate.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from streams.core.binomial import Weighed, WeightClass, interval_limits
from streams.core.proportions import Interval, WeightedShare, sides_of, weighted_share
from streams.core.remainder import BoundedTotal, Remainder, SampledTotal

_SAME = 1e-9
"""Weights are whole nanos, in floats: closer than this they are equal."""

FEW_IN = 50
"""One audit that says nothing of sampling is few, and one more for each so many with a known probability."""

MANY = 20
"""Audits with a known probability among which few others may be: of fewer no interval claims anything."""

TIMES_MOST = 10
"""How many times as many labels as the others an audit may stand for that is one of few."""


class Drawn(NamedTuple):
    """The random audits of a row, with one outcome called good.

    Attributes:
        classes: Those with a known probability, by class of it; inside a class each weighs about the same.
        good: Σ1/π of the good ones, exactly.
        weight: Σ1/π of all of them, exactly.
        assumed: Those that are assumed to be random: how many, how many not good, and how many labels they stand for.
        left_by: What their labels are the remainder of; None where no probability is known or the labels of the row are not, and
            where they are few.
        at_most: How many labels they may stand for; more than ``assumed`` says only where they are few.
    """

    classes: tuple[WeightClass, ...]
    good: float
    weight: float
    assumed: WeightClass
    left_by: SampledTotal | None = None
    at_most: float = 0.0

    @property
    def audits(self) -> int:
        """How many random audits there are."""
        return sum(one.n for one in self.classes) + self.assumed.n

    @property
    def wrong(self) -> int:
        """How many of them are not good."""
        return sum(one.wrong for one in self.classes) + self.assumed.wrong


def accuracy_drawn(row: Mapping[str, Any]) -> Drawn:
    """Return the random audits of an accuracy row. Technical errors are left out: they are nobody's fault.

    Args:
        row: A row of the accuracy table; fields that an older release did not write count as 0.
    """
    wrong, technical = row.get("sample_wrong") or {}, row.get("sample_technical") or {}
    audited = _count(row, "assumed") - _count(row, "assumed_technical")
    return Drawn(
        _unclassed(row)
        + _classes(row, {name: count - technical.get(name, 0) for name, count in wrong.items()}, technical),
        _weight(row, "weight_correct"),
        _weight(row, "weight_sum") - _weight(row, "weight_technical"),
        _assumed(row, audited, audited - _count(row, "assumed_correct")),
        _left_by(row, audited),
        audited * _weight_at_most(row),
    )


def accuracy_share(row: Mapping[str, Any]) -> WeightedShare | None:
    """Return the estimated accuracy of the work in an accuracy row; None without random audits.

    Example:
        >>> row = {"labels": 20_000, "assumed": 100, "assumed_correct": 95}
        >>> [round(part, 3) for part in accuracy_share(row).estimate]
        [0.95, 0.891, 0.982]
    """
    return share_of(accuracy_drawn(row))


_NUMBERS = (
    *(
        "labels",
        "audited",
        "correct",
        "targeted",
        "targeted_correct",
        "assumed",
        "assumed_correct",
        "assumed_technical",
    ),
    *("weight_sum", "weight_correct", "weight_technical"),
)
_BY_CLASS = ("sample_audited", "sample_wrong", "sample_technical", "sample_weight")


def row_without(row: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what ``accuracy_share`` reads of an accuracy row, less what a part of it holds; None where it cannot be a part of it.

    Args:
        row: Of a longer window.
        part: Of a shorter window that ends with it.
    """
    found: dict[str, Any] = {name: (row.get(name) or 0) - (part.get(name) or 0) for name in _NUMBERS if name in row}
    for name in _BY_CLASS:
        mine, its = row.get(name) or {}, part.get(name) or {}
        found[name] = {one: mine.get(one, 0) - its.get(one, 0) for one in {*mine, *its}}
    return found if _possible(found) else None


def _possible(row: Mapping[str, Any]) -> bool:
    """Tell whether some audits could come to this: what two rows differ by cannot always, as they are published at two moments."""
    nothing = -_SAME * max(1.0, _weight(row, "weight_sum"))
    if any(row.get(name, 0) < nothing for name in _NUMBERS):
        return False
    audited, wrong, technical, _ = (row[name] for name in _BY_CLASS)
    classes = {*audited, *wrong, *technical}
    drawn = accuracy_drawn(row)
    return (
        all(class_possible(audited.get(one, 0), wrong.get(one, 0), technical.get(one, 0)) for one in classes)
        and all(0 <= one.wrong <= one.n for one in (*drawn.classes, drawn.assumed))
        and _count(row, "assumed_correct") + _count(row, "assumed_technical") <= _count(row, "assumed")
        and drawn.weight - drawn.good >= nothing
    )


def class_possible(audited: int, wrong: int, technical: int) -> bool:
    """Tell whether one class of audits can hold this; technical errors are among the wrong ones."""
    return 0 <= technical <= wrong <= audited


def critical_drawn(row: Mapping[str, Any]) -> Drawn:
    """Return the random audits of an accuracy row; good is a label without a critical error.

    A row of a release that did not count critical errors by how labels were drawn gives all its audits, each alike.
    """
    if "weight_critical" not in row:
        audited = _count(row, "audited")
        return Drawn((), 0.0, 0.0, WeightClass(audited, _count(row, "critical_errors"), float(audited)))
    weight = _weight(row, "weight_sum")
    return Drawn(
        _classes(row, row.get("sample_critical") or {}, {}),
        weight - _weight(row, "weight_critical"),
        weight,
        _assumed(row, _count(row, "assumed"), _count(row, "assumed_critical")),
        _left_by(row, _count(row, "assumed")),
        _count(row, "assumed") * _weight_at_most(row),
    )


def critical_share(row: Mapping[str, Any]) -> WeightedShare | None:
    """Return the estimated share of the work in an accuracy row *without* a critical error; None without random audits."""
    return share_of(critical_drawn(row))


def _classes(row: Mapping[str, Any], wrong: Mapping[str, int], left_out: Mapping[str, int]) -> tuple[WeightClass, ...]:
    """Return the audits with a known probability by class, some left out."""
    audited, weights = row.get("sample_audited") or {}, row.get("sample_weight") or {}
    found = []
    for name, count in audited.items():
        kept = count - left_out.get(name, 0)
        if kept > 0 and weights.get(name, 0) > 0:
            found.append(WeightClass(kept, wrong.get(name, 0), weights[name] * kept / count))
    return tuple(found)


def _unclassed(row: Mapping[str, Any]) -> tuple[WeightClass, ...]:
    """Return the audits with a known probability that an early release counted in no class, as one; empty mostly."""
    classed = sum((row.get("sample_audited") or {}).values())
    count = _count(row, "audited") - _count(row, "targeted") - _count(row, "assumed") - classed
    weight = _weight(row, "weight_sum") - sum((row.get("sample_weight") or {}).values()) if count > 0 else 0.0
    if weight <= 0:
        return ()
    right = _count(row, "correct") - _count(row, "targeted_correct") - _count(row, "assumed_correct")
    right -= classed - sum((row.get("sample_wrong") or {}).values())
    return (WeightClass(count, max(0, count - right), weight),)


def _assumed(row: Mapping[str, Any], audits: int, wrong: int) -> WeightClass:
    """Return the audits assumed to be random, and how many labels they stand for."""
    if audits <= 0:
        return WeightClass(0, 0, 0.0)
    return WeightClass(audits, wrong, audits * assumed_weight(row))


def assumed_weight(row: Mapping[str, Any]) -> float:
    """Return for how many labels one audit stands that is assumed to be random.

    All of them stand for the labels of the row that the audits with a known probability do not stand for, and for one each at
    least. Where they are few, or the row's labels are not known, each weighs as much as one with a known probability does on average.
    """
    known, assumed = _weight(row, "weight_sum"), _count(row, "assumed")
    if not known or not assumed:
        return 1.0
    if row.get("labels") is None or _assumed_are_few(row):
        return max(1.0, known / max(1, _known_audits(row)))
    return max(1.0, (_count(row, "labels") - known) / assumed)


def assumed_weight_limits(row: Mapping[str, Any]) -> tuple[float, float]:
    """Return the 95% limits of ``assumed_weight``, where it is not known for sure; else twice the same."""
    each, audits = assumed_weight(row), _count(row, "assumed")
    known = _left_by(row, audits)
    if known is None:
        return each, max(each, _weight_at_most(row))
    fewest, most = known.limits()
    return max(1.0, each - (most - known.labels) / audits), each + (known.labels - fewest) / audits


def _assumed_are_few(row: Mapping[str, Any]) -> bool:
    """Tell whether so few audits say nothing of sampling that they are taken for audits like the others, of which it got lost.

    They are few among the audits with a known probability, which stand for half of the labels at least (ADR 44).
    """
    known = _known_audits(row)
    few = 0 < _count(row, "assumed") <= 1 + known / FEW_IN
    return few and known >= MANY and 2 * _weight(row, "weight_sum") >= _count(row, "labels")


def _known_audits(row: Mapping[str, Any]) -> int:
    """Return how many audits have a known probability, those in no class of an early release too."""
    drawn = _count(row, "audited") - _count(row, "targeted") - _count(row, "assumed")
    return max(drawn, sum(map(int, (row.get("sample_audited") or {}).values())))


def _weight_at_most(row: Mapping[str, Any]) -> float:
    """Return for how many labels one of few audits may stand that say nothing of sampling; 0 where they are not few.

    They may be all that is known of a source of its own. The more of them there are, the more likely that is. Such a source has no
    more labels than Σ1/π leaves within its limits.
    """
    audits = _count(row, "assumed")
    if row.get("labels") is None or not _assumed_are_few(row):
        return 0.0
    known = sampled_total(row)
    left = _count(row, "labels") - (known.limits()[0] if known else _weight(row, "weight_sum"))
    return min(left / audits, min(TIMES_MOST, 2 + audits) * assumed_weight(row))


def _left_by(row: Mapping[str, Any], audits: int) -> SampledTotal | None:
    """Return Σ1/π of the row, the part of it that so many of the audits assumed to be random answer for; see ``Drawn.left_by``."""
    known, assumed = _weight(row, "weight_sum"), _count(row, "assumed")
    if audits <= 0 or not known or not assumed or row.get("labels") is None or _assumed_are_few(row):
        return None
    total = sampled_total(row)
    return total and SampledTotal(total.labels * audits / assumed, total.unit * audits / assumed)


def sampled_total(row: Mapping[str, Any]) -> SampledTotal | None:
    """Return Σ1/π of the row; None where it is not drawn by chance, as all of those labels are audited."""
    classes = (*_unclassed(row), *_classes(row, {}, {}))
    total = sum(one.weight for one in classes)
    if total <= 0:
        return None
    unit = sum(one.weight * one.weight / one.n for one in classes) / total - 1
    return SampledTotal(_weight(row, "weight_sum"), unit) if unit > _SAME else None


def _count(row: Mapping[str, Any], name: str) -> int:
    return int(row.get(name) or 0)


def _weight(row: Mapping[str, Any], name: str) -> float:
    return float(row.get(name) or 0.0)


@lru_cache(maxsize=16_384)
def share_of(drawn: Drawn) -> WeightedShare | None:
    """Return the share of the good with its 95% interval; None without random audits.

    Audits that all weigh the same are counted plainly. Else the weights of the good and of the others are those of the row, exactly;
    only their squares are taken from the classes, inside which weights differ by less than twofold (Σw² is at most 1/9 too small).
    Where audits of both kinds are there, how many labels each kind stands for is not known for sure, and the limits say so.
    """
    share = _share_of(drawn)
    remainder = _remainder(drawn)
    return share if share is None or remainder is None else share.beside(remainder)


def _remainder(drawn: Drawn) -> Remainder | None:
    """Return the two parts that the labels of a row are in; None where the weights of all audits are given."""
    more = drawn.at_most > drawn.assumed.weight * (1 + _SAME)
    if (drawn.left_by is None and not more) or drawn.assumed.n <= 0 or drawn.weight <= 0:
        return None
    first = _known_sides(drawn)
    labels = sum(side.total for side in first)
    if labels <= 0:  # of a release without classes of critical errors
        return None
    rest, least = sides_of((drawn.assumed,)), float(drawn.assumed.n)
    if drawn.left_by is not None:
        return Remainder(drawn.left_by, first, rest, least)
    fewest = labels * (labels + drawn.assumed.weight) / (labels + drawn.at_most)
    return Remainder(BoundedTotal(labels, fewest), first, rest, least)


def _known_sides(drawn: Drawn) -> tuple[Weighed, Weighed]:
    """Return the good and the others of the audits with a known probability."""
    right, wrong = sides_of(drawn.classes)
    return brought_to(right, drawn.good), brought_to(wrong, drawn.weight - drawn.good)


def _share_of(drawn: Drawn) -> WeightedShare | None:
    """Return the share as if all weights were given."""
    audits = drawn.audits
    if audits <= 0:
        return None
    if _alike(drawn):
        good = audits - drawn.wrong
        sides = Weighed.plain(good), Weighed.plain(drawn.wrong)
        return WeightedShare(Interval(good / audits, *interval_limits(good, audits)), audits, *sides)
    right, wrong = _known_sides(drawn)
    largest = max(right.largest, wrong.largest)
    more, worse = sides_of((drawn.assumed,))
    largest = max(largest, more.largest)
    return weighted_share(_joined(right, more, largest), _joined(wrong, worse, largest))


def _alike(drawn: Drawn) -> bool:
    """Tell whether all audits weigh the same, as far as the row can tell."""
    if not drawn.classes:
        return True
    known = sum(one.n for one in drawn.classes)
    each = drawn.weight / known
    good = known - sum(one.wrong for one in drawn.classes)
    parts = [(one.n, one.weight) for one in (*drawn.classes, drawn.assumed) if one.n]
    return all(abs(weight / n / each - 1) < _SAME for n, weight in [*parts, (good or 1, drawn.good or each)])


def brought_to(side: Weighed, total: float) -> Weighed:
    """Return one side with the total that the row holds; it holds the squares by class only."""
    if side.total <= 0 or total <= 0:
        return Weighed(0.0, 0.0, side.largest)
    by = total / side.total
    return side if abs(by - 1) < _SAME else Weighed(total, side.squares * by * by, side.largest)


def _joined(one: Weighed, other: Weighed, largest: float) -> Weighed:
    return Weighed(one.total + other.total, one.squares + other.squares, largest)
