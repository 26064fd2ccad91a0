"""How the fields of a row follow from its counters, as the measures (``streams.models.measures``) say it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from streams.core import counters as c
from streams.core.counters import Counters
from streams.models import measures
from streams.models.measures.records import Count, Family, Quantile, Ratio, Source, Total

RowJson = dict[str, Any]


def ratio(part: float, whole: float) -> float | None:
    """Return part/whole, or None when there is no whole."""
    return part / whole if whole else None


@dataclass(slots=True)
class Parts:
    """A row's counters sorted by what they count, in one pass: a busy row has hundreds.

    Attributes:
        counts: All counters, to look up scalars in.
        scalars: Counters that are in no histogram, ascending.
        histograms: The histograms, by the counter of bucket 0.
        labelers: How many labellers have labels here.
        confusion: Counters of pairs of decision and truth.
        examples: Ids of tasks with a wrong label.
    """

    counts: Counters
    scalars: list[int]
    histograms: dict[int, c.Histogram]
    labelers: int
    confusion: list[str]
    examples: list[str]


def parts_of(counters: Counters) -> Parts:
    """Sort a row's counters by what they count."""
    numbers: list[int] = []
    labelers = 0
    confusion: list[str] = []
    examples: list[str] = []
    number = numbers.append
    for counter in counters:
        if type(counter) is int:
            number(counter)
        elif counter[0] == "L":  # type: ignore[index]
            labelers += 1
        elif counter[0] in "CADW":  # type: ignore[index]
            confusion.append(counter)  # type: ignore[arg-type]
        elif counter[0] == "X":  # type: ignore[index]
            examples.append(counter[len(c.EXAMPLE_PREFIX) :])  # type: ignore[index]
    numbers.sort()
    at, histograms = bisect_left(numbers, _HISTOGRAMS[0]), {}
    scalars = numbers[:at]
    for first in _HISTOGRAMS:
        end = bisect_left(numbers, first + c.HISTOGRAM_SPAN, at)
        histograms[first] = _histogram(counters, numbers[at:end], first) if end > at else _EMPTY[first]
        at = end
    return Parts(counters, scalars, histograms, labelers, confusion, examples)


_HISTOGRAMS = sorted(measures.registry.histograms)
_EMPTY = {first: c.Histogram(first, [], []) for first in _HISTOGRAMS}


def _histogram(counters: Counters, numbers: list[int], base: int) -> c.Histogram:
    counts = [counters[number] for number in numbers]
    if min(counts) < 1:
        numbers, counts = [n for n in numbers if counters[n] > 0], [count for count in counts if count > 0]
    return c.Histogram(base, numbers, counts)


_MISSING = object()
"""Stands for a field that is not filled in yet. It has no JSON: a computed field that is forgotten stops the first test."""


class Layout:
    """How the rows of one table are made.

    A row is made for every scope and window at every flush, so the measures are not walked through each time: they are
    written as one expression, once, as ``dataclasses`` does with its methods.
    """

    def __init__(self, table: str) -> None:
        """Compile the measures of a table."""
        known = measures.TABLES[table].measures
        names: dict[str, Any] = {"ratio": ratio, "quantiles_ms": c.quantiles_ms, "missing": _MISSING}
        shares: dict[int, list[float]] = {}
        self._sparse: set[int] = set()
        for measure in known.values():
            match measure.source:
                case Quantile(histogram, share):
                    shares.setdefault(histogram, []).append(share)
                case Family(first, members, _, True):
                    names[f"name_{first}"] = dict(enumerate(members, first))
                    self._sparse.update(range(first, first + len(members)))
        values = {name: _expression(measure.source, shares) for name, measure in known.items()}
        fields = ", ".join(f"{name!r}: {value}" for name, value in values.items())
        self._fields: Callable[..., RowJson] = eval(f"lambda counts, get, sparse, histograms: {{{fields}}}", names)  # noqa: S307 -- own measures

    def row(self, parts: Parts) -> RowJson:
        """Return the fields of a row; those that are ``Computed`` are still to be filled in."""
        sparse = [number for number in parts.scalars if number in self._sparse] if self._sparse else []
        return self._fields(parts.counts, parts.counts.get, sparse, parts.histograms)


def _expression(source: Source | None, shares: dict[int, list[float]]) -> str:
    """Return Python for a field of a row.

    Args:
        source: What the field is made of.
        shares: By histogram all that are asked for: the field of the first reads them all, for those behind it.
    """
    match source:
        case Count(counter, scale):
            return f"get({counter}, 0)" if scale == 1 else f"get({counter}, 0) / {scale}"
        case Total(plus, minus):
            return " + ".join(f"get({n}, 0)" for n in plus) + "".join(f" - get({n}, 0)" for n in minus)
        case Ratio(part, whole, unit):
            below = " + ".join(f"get({n}, 0)" for n in whole)
            return f"ratio({' + '.join(f'get({n}, 0)' for n in part)}, {below if unit == 1 else f'({below}) / {unit}'})"
        case Family(first, members, scale, sparse):
            per = "" if scale == 1 else f" / {scale}"
            if sparse:
                inside = f"{first} <= n < {first + len(members)} and counts[n]"
                return f"{{name_{first}[n]: counts[n]{per} for n in sparse if {inside}}} if sparse else {{}}"
            return f"{{{', '.join(f'{member!r}: get({first + at}, 0){per}' for at, member in enumerate(members))}}}"
        case Quantile(histogram, share):
            read = f"quantiles_{histogram}"
            at = shares[histogram].index(share)
            return (
                f"{read}[{at}]"
                if at
                else f"({read} := quantiles_ms(histograms[{histogram}], {tuple(shares[histogram])}))[0]"
            )
        case _:
            return "missing"
