"""Which parts of a scope move its number: shift-share between two windows, or excess over target. Pure.

All arithmetic is in fractions, so the parts sum exactly to the whole; floats appear only in the result shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

from msgspec import Struct

from alerts.scopes import Scope, child_dimension, is_parent
from alerts.signals import Contributor
from alerts.view import Row
from streams.core.binomial import judged_below
from streams.core.rca.ratio_tally import RatioTally, possible, without
from streams.core.rca.shift import decompose, summed
from streams.core.rca.significance import MIN_PART, Verdict, difference_interval, family_tail, judge

NOT_GIVEN = "(not given)"
"""The part of a scope whose events do not name the dimension."""

MAX_CONTRIBUTORS = 5
MAX_PER_DIMENSION = 2
MIN_EFFECT_PP = 0.05
"""Smaller effects would be shown as 0.0 or 0.1 points."""


class PartCounts(Struct, frozen=True):
    """Good outcomes out of all of one part in one window, and the labels (or due tasks) behind them."""

    good: int
    total: int
    labels: int = 0
    good_weight: int | None = None
    weight: int | None = None

    @property
    def tally(self) -> RatioTally:
        """The same as a tally: what is compared are weighted shares, where audits have weights."""
        return RatioTally(self.good, self.total, self.good_weight, self.weight)

    @classmethod
    def of(cls, tally: RatioTally, labels: int) -> PartCounts:
        """Return a tally with the labels behind it."""
        return cls(tally.good, tally.total, max(0, labels), tally.good_weight, tally.weight)


class PartEffect(Struct, frozen=True):
    """Effect of one part on the change of the whole, as ratios; the three sum to its effect.

    ``verdict`` says whether the effect is more than chance and the part's own (``streams.core.rca.significance.judge``).
    """

    value: str
    rate: Fraction
    mix: Fraction
    interaction: Fraction
    verdict: Verdict

    @property
    def effect(self) -> Fraction:
        """Rate, mix and interaction together."""
        return self.rate + self.mix + self.interaction


def shift_share(before: Mapping[str, PartCounts], after: Mapping[str, PartCounts]) -> list[PartEffect]:
    """Split ΔA between two windows over the parts of a scope, by ``streams.core.rca.shift.decompose``.

    Returns:
        One entry per part; their effects sum exactly to A₁-A₀. Empty when either window is empty.

    Example:
        >>> shifts = shift_share({"a": PartCounts(9, 10), "b": PartCounts(9, 10)}, {"a": PartCounts(5, 10), "b": PartCounts(9, 10)})
        >>> [(shift.value, float(shift.effect)) for shift in shifts]
        [('a', -0.2), ('b', 0.0)]
    """
    found = decompose(("part",), _tallies(before), _tallies(after))
    if found is None:
        return []
    return [
        PartEffect(part.key[0], part.rate, part.mix, part.interaction, judge(found, part).verdict)
        for part in found.parts
    ]


def _tallies(cells: Mapping[str, PartCounts]) -> dict[tuple[str, ...], RatioTally]:
    return {(value,): cell.tally for value, cell in cells.items()}


def earlier(longer: Mapping[str, PartCounts], later: Mapping[str, PartCounts]) -> dict[str, PartCounts]:
    """Parts of the longer window without the later window inside it, so that the two do not overlap.

    Returns:
        The rest of the longer window. If the later window has more of some part (rows of different times, or a
        reference that is not longer), the longer window unchanged.
    """
    left = {}
    for value in longer.keys() | later.keys():
        old, new = longer.get(value, PartCounts(0, 0)), later.get(value, PartCounts(0, 0))
        rest = without(old.tally, new.tally)
        if not possible(rest):
            return dict(longer)
        if rest.total:
            left[value] = PartCounts.of(rest, old.labels - new.labels)
    return left


def excess(cells: Mapping[str, PartCounts], target: float) -> dict[str, Fraction]:
    """Each part's effect on the whole's distance from ``target`` (a good share), as a ratio; negative is below it.

    Source: ours; A - target = Σ (good - target·all)/whole, since the parts sum to the whole.

    Returns:
        By part, (good - target·all)/whole by weight; they sum exactly to A - target. Empty when nothing was counted.
    """
    weights = {value: cell.tally.weights for value, cell in cells.items()}
    whole = sum(total for _, total in weights.values())
    if not whole:
        return {}
    goal = Fraction(target)
    return {value: (good - goal * total) / whole for value, (good, total) in weights.items()}


def children(scope: Scope, rows: Mapping[str, Row]) -> dict[str, dict[str, Row]]:
    """Rows that narrow ``scope`` by one dimension: {dimension: {value: row}}. O(rows)."""
    found: dict[str, dict[str, Row]] = {}
    for row in rows.values():
        dimension = child_dimension(scope, row["scope"])
        if dimension is not None:
            found.setdefault(dimension, {})[row["scope"][dimension]] = row
    return found


def crosses(scope: Scope, rows: Mapping[str, Row]) -> dict[str, dict[str, Row]]:
    """Rows that narrow ``scope`` by two dimensions: {"vendor × queue": {"bpo-a × hate": row}}. O(rows).

    Those by labeler are left out: a person is named as a person or not at all.
    """
    found: dict[str, dict[str, Row]] = {}
    for row in rows.values():
        own = row["scope"]
        if len(own) != len(scope) + 2 or not is_parent(scope, own) or "labeler" in own:
            continue
        names = [name for name in own if name not in scope]
        found.setdefault(" × ".join(names), {})[" × ".join(own[name] for name in names)] = row
    return found


def complete(parent: PartCounts, parts: Mapping[str, PartCounts]) -> dict[str, PartCounts]:
    """The parts, and the rest of the parent as ``(not given)``, so that they sum to the parent."""
    rest = without(parent.tally, summed(cell.tally for cell in parts.values()))
    labels = parent.labels - sum(cell.labels for cell in parts.values())
    if not rest.total or not possible(rest):
        return dict(parts)  # no rest, or rows of slightly different times
    return {**parts, NOT_GIVEN: PartCounts.of(rest, labels)}


def rank(found: Iterable[Contributor]) -> tuple[Contributor, ...]:
    """The harmful parts, worst first: at most five, at most two of a dimension.

    If any part stands out clearly, only such parts are returned. Beside it, a part that may be chance or moved like
    everything else would look like a cause.
    """
    found = list(found)
    if any(part.clear and part.effect_pp <= -MIN_EFFECT_PP for part in found):
        found = [part for part in found if part.clear]
    taken: dict[str, int] = {}
    best: list[Contributor] = []
    for part in sorted(found, key=lambda part: (part.effect_pp, part.dimension, part.value)):
        if part.effect_pp > -MIN_EFFECT_PP or len(best) == MAX_CONTRIBUTORS:
            break
        if taken.get(part.dimension, 0) < MAX_PER_DIMENSION:
            taken[part.dimension] = taken.get(part.dimension, 0) + 1
            best.append(part)
    return tuple(best)


def share_contributors(
    scope: Scope,
    rows: Mapping[str, Row],
    *,
    reference: Mapping[str, Row],
    read: Callable[[Row], PartCounts],
    target: float,
    words: Callable[[PartCounts], str],
) -> tuple[Contributor, ...]:
    """Top contributors to a low good share of ``scope``.

    Args:
        scope: The alerting scope; its own row must be in ``rows``.
        rows: Rows of the alert's window by scope key.
        reference: Rows of a longer window around the alert's, whose earlier part is compared with; without the scope's
            own row in it, or with nothing earlier, the target is the reference.
        read: Row to counts.
        target: The good share wanted, 0..1.
        words: A cell in words, e.g. ``88.1% of 120 audits``.

    Returns:
        See :func:`rank`. A person (dimension labeler) is named only where their own interval lies below the target.
    """
    own = {key: row for key, row in rows.items() if row["scope"] == dict(scope)}
    if not own:
        return ()
    key, row = next(iter(own.items()))
    old_row = reference.get(key)
    found: list[Contributor] = []
    old_children: dict[str, dict[str, Row]] = {}
    if old_row is not None:
        old_children = children(scope, reference) | crosses(scope, reference)
        found += _crossed(scope, rows, row, old_row, old_children, read, words)
    for dimension, parts in children(scope, rows).items():
        if len(parts) < 2:
            continue  # a single part is the same as the scope itself
        cells = complete(read(row), {value: read(part) for value, part in parts.items()})
        before: dict[str, PartCounts] = {}
        if old_row is not None:
            old = {value: read(part) for value, part in old_children.get(dimension, {}).items()}
            before = earlier(complete(read(old_row), old), cells)
        if before:
            found += _against_reference(dimension, before, cells, words)
        else:
            found += _against_target(dimension, cells, target, words, history=not reference)
    blamed = (part for part in found if part.dimension != "labeler" or _evident(rows, part.value, read, target))
    return rank(part for part in blamed if part.value != NOT_GIVEN)


def _crossed(
    scope: Scope,
    rows: Mapping[str, Row],
    row: Row,
    old_row: Row,
    old_parts: Mapping[str, Mapping[str, Row]],
    read: Callable[[Row], PartCounts],
    words: Callable[[PartCounts], str],
) -> Iterable[Contributor]:
    """Parts by two dimensions, only those beyond chance. There are many of them, and the worst of many looks bad by chance."""
    for name, parts in crosses(scope, rows).items():
        if len(parts) < 2:
            continue
        cells = complete(read(row), {value: read(part) for value, part in parts.items()})
        old = {value: read(part) for value, part in old_parts.get(name, {}).items()}
        yield from _against_reference(name, earlier(complete(read(old_row), old), cells), cells, words, evident=True)


def _evident(rows: Mapping[str, Row], labeler: str, read: Callable[[Row], PartCounts], target: float) -> bool:
    for row in rows.values():
        if row["scope"] == {"labeler": labeler}:
            cell = read(row)
            return judged_below(cell.good, cell.total, target)
    return False


def _against_target(
    dimension: str, cells: Mapping[str, PartCounts], target: float, words: Callable[[PartCounts], str], *, history: bool
) -> Iterable[Contributor]:
    """Parts by their excess over the target. A large part has a large excess by its size alone, which is not a cause."""
    effects = excess(cells, target)
    missing = -sum(effect for effect in effects.values() if effect < 0)
    whole = summed(cell.tally for cell in cells.values())
    for value, effect in effects.items():
        detail = words(cells[value])
        if effect < 0 and missing:
            detail += f"; {float(-effect / missing) * 100:.0f}% of the excess"
        clear = _worse_than_rest(cells[value].tally, without(whole, cells[value].tally), len(cells))
        if not clear:
            detail += _DOUBTS["alike"]
        if not history:
            detail += "; no history yet"
        yield Contributor(dimension, value, _pp(effect), cells[value].labels, detail, clear)


def _worse_than_rest(part: RatioTally, rest: RatioTally, parts: int) -> bool:
    """Whether a part's share is lower than that of everything else, beyond the chance of so many parts."""
    if min(part.total, rest.total) < MIN_PART:
        return False
    return difference_interval(part, rest, tail=family_tail(parts), seen=1.0)[1] < 0


def _against_reference(
    dimension: str,
    before: Mapping[str, PartCounts],
    after: Mapping[str, PartCounts],
    words: Callable[[PartCounts], str],
    *,
    evident: bool = False,
) -> Iterable[Contributor]:
    for shift in shift_share(before, after):
        if evident and shift.verdict != "evident":
            continue
        cell = after.get(shift.value, PartCounts(0, 0))
        parts = f"rate {_points(shift.rate)}, mix {_points(shift.mix)}, both {_points(shift.interaction)} pp"
        moved = _moved_by_share(shift, before.get(shift.value), after.get(shift.value))
        if shift.verdict != "evident":
            parts += _DOUBTS[shift.verdict]
        elif moved:
            parts += "; it does another share of the work than before, its quality is not a cause"
        clear = shift.verdict == "evident" and not moved
        yield Contributor(dimension, shift.value, _pp(shift.effect), cell.labels, f"{words(cell)}; {parts}", clear)


def _moved_by_share(shift: PartEffect, before: PartCounts | None, after: PartCounts | None) -> bool:
    """Whether a part moved the whole by doing more or less of the work. At a change of shift every team does."""
    here = [cell for cell in (before, after) if cell is not None and cell.total]
    return len(here) < 2 or abs(shift.rate) < abs(shift.effect) / 2


_DOUBTS = {"noise": "; may be chance", "few": "; too few to say", "alike": "; not clearly more than elsewhere"}


def _pp(effect: Fraction) -> float:
    return round(float(effect) * 100, 2)


def _points(effect: Fraction) -> str:
    return f"{round(float(effect) * 100, 1) + 0.0:+.1f}"  # + 0.0 turns -0.0 into 0.0
