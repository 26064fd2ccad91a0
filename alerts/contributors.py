"""Which parts of a scope move its number: shift-share between two windows, or excess over target. Pure.

All arithmetic is in fractions, so the parts sum exactly to the whole; floats appear only in the result shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction

from msgspec import Struct

from alerts.part_index import IndexedRows, PartIndex
from alerts.scopes import Scope
from alerts.signals import Contributor
from alerts.view import Row
from streams.core.binomial import share_limits
from streams.core.multiplicity import FAMILY_ERROR, holm
from streams.core.rca.ratio_tally import RatioTally, possible, without
from streams.core.rca.shift import Decomposition, decompose, summed
from streams.core.rca.significance import ONE_DIMENSION, TWO_DIMENSIONS, JudgedEffect, judged, judged_worse

NOT_GIVEN = "(not given)"
"""The part of a scope whose events do not name the dimension."""

MAX_CONTRIBUTORS = 5
MAX_PER_DIMENSION = 2
MIN_EFFECT_PP = 0.05
"""Smaller effects would be shown as 0.0 or 0.1 points."""


class PartCounts(Struct, frozen=True):
    """Good outcomes out of all of one part in one window, and the labels (or due tasks) behind them.

    Attributes:
        good, total: Good outcomes and all.
        labels: Labels or due tasks behind them.
        weighed: The same outcomes by weight; None where every outcome weighs the same.
    """

    good: int
    total: int
    labels: int = 0
    weighed: RatioTally | None = None

    @property
    def tally(self) -> RatioTally:
        """The same as a tally: what is compared are weighted shares, where audits have weights."""
        return RatioTally(self.good, self.total) if self.weighed is None else self.weighed

    @classmethod
    def of(cls, tally: RatioTally, labels: int) -> PartCounts:
        """Return a tally with the labels behind it."""
        return cls(tally.good, tally.total, max(0, labels), None if tally.weight is None else tally)


def shift_share(
    before: Mapping[str, PartCounts], after: Mapping[str, PartCounts], name: str = "part"
) -> Decomposition | None:
    """Split ΔA between two windows over the parts of a scope, by ``streams.core.rca.shift.decompose``.

    Returns:
        The parts; their effects sum exactly to A₁-A₀. None when either window is empty.

    Example:
        >>> found = shift_share({"a": PartCounts(9, 10), "b": PartCounts(9, 10)}, {"a": PartCounts(5, 10), "b": PartCounts(9, 10)})
        >>> [(part.key[0], float(part.effect)) for part in found.parts]
        [('a', -0.2), ('b', 0.0)]
    """
    return decompose((name,), _tallies(before), _tallies(after))


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
    """Rows that narrow ``scope`` by one dimension: {dimension: {value: row}}. O(found) where the rows have an index."""
    return {
        dimension: {rows[key]["scope"][dimension]: rows[key] for key in keys}
        for dimension, keys in _index(rows).children(scope)
    }


def crosses(scope: Scope, rows: Mapping[str, Row]) -> dict[str, dict[str, Row]]:
    """Rows that narrow ``scope`` by two dimensions: {"vendor × queue": {"bpo-a × hate": row}}. O(found) where the rows have an index.

    Those by labeler are left out: a person is named as a person or not at all.
    """
    found: dict[str, dict[str, Row]] = {}
    for keys in _index(rows).crosses(scope):
        for row in (rows[key] for key in keys):
            own = row["scope"]
            if "labeler" in own:
                break
            names = [name for name in own if name not in scope]
            found.setdefault(" × ".join(names), {})[" × ".join(own[name] for name in names)] = row
    return found


def _index(rows: Mapping[str, Row]) -> PartIndex:
    return (rows if isinstance(rows, IndexedRows) else IndexedRows(rows)).index


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
        See :func:`rank`. A person (dimension labeler) is named only where their own share lies below the target beyond
        chance. That any part is said to be a cause in error has at most the chance ``FAMILY_ERROR``, over all dimensions
        and pairs together.
    """
    own = _index(rows).at(scope)
    if not own:
        return ()
    key, row = own[0], rows[own[0]]
    old_row = reference.get(key)
    single = {name: parts for name, parts in children(scope, rows).items() if len(parts) > 1}
    cells = {name: _cells(row, parts, read) for name, parts in single.items()}
    found: list[Contributor] = []
    changed: list[Cut] = []
    if old_row is not None:
        old_parts = children(scope, reference)
        changed = list(_changes(cells, old_row, old_parts, read))
        found += [part for part, _ in _against_reference(changed, words, ONE_DIMENSION)]
        pairs = {name: _cells(row, parts, read) for name, parts in crosses(scope, rows).items() if len(parts) > 1}
        crossed = _changes(pairs, old_row, crosses(scope, reference), read)
        # Only those beyond chance: there are many of them, and the worst of many looks bad by chance.
        told = _against_reference(list(crossed), words, TWO_DIMENSIONS)
        found += [part for part, one in told if one.verdict == "evident"]
    compared = {cut.name for cut in changed}
    rest = {name: parts for name, parts in cells.items() if name not in compared}
    found += _against_target(rest, target, words, history=not reference)
    to_blame = _below_target(rows, [part.value for part in found if part.dimension == "labeler"], read, target)
    blamed = (part for part in found if part.dimension != "labeler" or part.value in to_blame)
    return rank(part for part in blamed if part.value != NOT_GIVEN)


class Cut(Struct, frozen=True):
    """A scope cut in one way: the parts now, and how they changed since the earlier window."""

    name: str
    cells: Mapping[str, PartCounts]
    change: Decomposition


def _cells(row: Row, parts: Mapping[str, Row], read: Callable[[Row], PartCounts]) -> dict[str, PartCounts]:
    return complete(read(row), {value: read(part) for value, part in parts.items()})


def _changes(
    cells: Mapping[str, Mapping[str, PartCounts]],
    old_row: Row,
    old_parts: Mapping[str, Mapping[str, Row]],
    read: Callable[[Row], PartCounts],
) -> Iterable[Cut]:
    """Every cut that the earlier window has too."""
    for name, parts in cells.items():
        change = shift_share(earlier(_cells(old_row, old_parts.get(name, {}), read), parts), parts, name)
        if change is not None:
            yield Cut(name, parts, change)


def _below_target(
    rows: Mapping[str, Row], labelers: list[str], read: Callable[[Row], PartCounts], target: float
) -> set[str]:
    """Return the people whose own share lies below the target beyond chance; that any is named in error has at most 2.5%."""
    index = _index(rows) if labelers else PartIndex(())
    tallies = [
        (labeler, read(rows[key]).tally)
        for labeler in dict.fromkeys(labelers)
        for key in index.at({"labeler": labeler})
    ]

    def test(tally: RatioTally) -> Callable[[float], bool]:
        return lambda error: tally.share < target and share_limits(*tally.sides, tail=error, seen=1.0)[1] < target

    held = [(labeler, tally) for labeler, tally in tallies if tally.total]
    stands = holm([test(tally) for _, tally in held], FAMILY_ERROR / 2)
    return {labeler for (labeler, _), stood in zip(held, stands, strict=True) if stood}


def _against_target(
    cuts: Mapping[str, Mapping[str, PartCounts]],
    target: float,
    words: Callable[[PartCounts], str],
    *,
    history: bool,
) -> Iterable[Contributor]:
    """Parts by their excess over the target. A large part has a large excess by its size alone, which is not a cause."""
    wholes = {name: summed(cell.tally for cell in cells.values()) for name, cells in cuts.items()}
    pairs = [
        [(cell.tally, without(wholes[name], cell.tally)) for cell in cells.values()] for name, cells in cuts.items()
    ]
    clear = {
        (name, value): worse
        for (name, cells), of_cut in zip(cuts.items(), judged_worse(pairs), strict=True)
        for value, worse in zip(cells, of_cut, strict=True)
    }
    for name, cells in cuts.items():
        effects = excess(cells, target)
        missing = -sum(effect for effect in effects.values() if effect < 0)
        for value, effect in effects.items():
            detail = words(cells[value])
            if effect < 0 and missing:
                detail += f"; {float(-effect / missing) * 100:.0f}% of the excess"
            if not clear[name, value]:
                detail += _DOUBTS["alike"]
            if not history:
                detail += "; no history yet"
            yield Contributor(name, value, _pp(effect), cells[value].labels, detail, clear[name, value])


def _against_reference(
    cuts: list[Cut], words: Callable[[PartCounts], str], level: float
) -> Iterable[tuple[Contributor, JudgedEffect]]:
    for cut, called in zip(cuts, judged([cut.change for cut in cuts], level), strict=True):
        for part, one in zip(cut.change.parts, called, strict=True):
            cell = cut.cells.get(part.key[0], PartCounts(0, 0))
            parts = f"rate {_points(part.rate)}, mix {_points(part.mix)}, both {_points(part.interaction)} pp"
            if one.verdict != "evident":
                parts += _DOUBTS[one.verdict]
            elif one.by_share:
                parts += "; it does another share of the work than before, its quality is not a cause"
            clear = one.verdict == "evident" and not one.by_share
            effect = _pp(part.effect)
            yield Contributor(cut.name, part.key[0], effect, cell.labels, f"{words(cell)}; {parts}", clear), one


_DOUBTS = {"noise": "; may be chance", "few": "; too few to say", "alike": "; not clearly more than elsewhere"}


def _pp(effect: Fraction) -> float:
    return round(float(effect) * 100, 2)


def _points(effect: Fraction) -> str:
    return f"{round(float(effect) * 100, 1) + 0.0:+.1f}"  # + 0.0 turns -0.0 into 0.0
