"""Slices: good and all of a scope by any dimensions and time, folded from what tasks contribute. Pure.

The tables keep configured scopes only. A cut they do not keep (vendor by policy, policy by labeller) is folded here from
the same contributions, so it is the number a configured scope would show.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from streams.core import counters as c
from streams.core.counters import Counter
from streams.core.effects import Group
from streams.core.policy import DIMENSIONS, QUARTER_MS, CorePolicy, Dims
from streams.core.rca.ratio_tally import ClassCounts, RatioTally
from streams.core.rca.shift import NOT_GIVEN, Key, summed
from streams.core.windows import window_range

Measure = Literal["accuracy", "unweighted_accuracy", "sla", "labels"]
"""``unweighted_accuracy`` counts every audit that is a sample of the work alike, those assumed to be random among them: for
floors whose audits do not say with which probability they were drawn. ``labels`` counts the labels, each as good."""

NOUNS: dict[Measure, str] = {
    "accuracy": "audits",
    "unweighted_accuracy": "audits",
    "sla": "due tasks",
    "labels": "labels",
}


class TimeRange(NamedTuple):
    """A half-open range of time in ms."""

    start_ms: int
    end_ms: int


def tally_of(measure: Measure, counters: Sequence[Counter]) -> RatioTally:
    """Return good and all of one group.

    Accuracy: correct of audited labels by their weight 1/π, without technical errors, which are not held against a person,
    and without audits of unknown π, for these have no weight. Unweighted: all of these and those assumed to be random. Targeted
    audits are in neither. SLA: met of decided tasks, open ones past due counting as missed (docs/meaning.md).

    Args:
        measure: What is explained.
        counters: Flat counters: counter, amount, counter, amount, ...
    """
    amounts: dict[Counter, int] = {}
    for counter, amount in zip(counters[::2], counters[1::2], strict=True):
        amounts[counter] = amounts.get(counter, 0) + int(amount)
    get = amounts.get
    if measure == "sla":
        met = get(c.MET, 0)
        return RatioTally(met, met + get(c.LATE, 0) + get(c.OVERDUE, 0))
    if measure == "labels":
        return RatioTally(get(c.LABELS, 0), get(c.LABELS, 0))
    found = _Audits(
        *(get(counter, 0) for counter in (c.AUDITED, c.CORRECT, c.WRONG_TECHNICAL)),
        *(get(counter, 0) for counter in (c.TARGETED, c.TARGETED_CORRECT, c.TARGETED_TECHNICAL)),
        *(get(counter, 0) for counter in (c.ASSUMED, c.ASSUMED_CORRECT, c.ASSUMED_TECHNICAL)),
    )
    if measure == "unweighted_accuracy":
        return found.alike()
    numbers = [n - c.CLASS_AUDITED for n in amounts if type(n) is int and c.CLASS_AUDITED <= n < c.CLASS_WRONG]
    families = (c.CLASS_AUDITED, c.CLASS_WRONG, c.CLASS_TECHNICAL, c.CLASS_WEIGHT_NANO)
    classes = [ClassCounts(number, *(get(first + number, 0) for first in families)) for number in sorted(numbers)]
    weight = get(c.WEIGHT_NANO, 0) - get(c.WEIGHT_TECHNICAL_NANO, 0)
    return found.weighed(get(c.WEIGHT_CORRECT_NANO, 0), weight, classes)


class _Audits(NamedTuple):
    """Audited labels: how many, how many of them correct and how many with a technical error; of all, targeted, assumed."""

    audited: int
    correct: int
    technical: int
    targeted: int
    targeted_correct: int
    targeted_technical: int
    assumed: int
    assumed_correct: int
    assumed_technical: int

    def alike(self) -> RatioTally:
        """Return those that are a sample of the work, each counted once."""
        audited = self.audited - self.targeted
        technical = self.technical - self.targeted_technical
        return RatioTally(self.correct - self.targeted_correct, audited - technical)

    def weighed(self, good_weight: int, weight: int, classes: Iterable[ClassCounts]) -> RatioTally:
        """Return those drawn with a known probability."""
        good, total, *_ = self.alike()
        counted = good - self.assumed_correct, total - self.assumed + self.assumed_technical
        return RatioTally(*counted, good_weight, weight, tuple(one for one in classes if any(one[1:])))


def row_tally(measure: Measure, row: Mapping[str, object]) -> RatioTally:
    """Return good and all of a row of the read model, in the same meaning as ``tally_of``."""
    if measure == "sla":
        met, missed = _count(row, "met"), _count(row, "missed")
        return RatioTally(met, met + missed)
    if measure == "labels":
        return RatioTally(_count(row, "labels"), _count(row, "labels"))
    names = ("targeted", "targeted_correct", "targeted_technical", "assumed", "assumed_correct", "assumed_technical")
    technical = _count(_family(row, "wrong"), "technical")
    found = _Audits(_count(row, "audited"), _count(row, "correct"), technical, *(_count(row, name) for name in names))
    if measure == "unweighted_accuracy":
        return found.alike()
    weight = _nano(row, "weight_sum") - _nano(row, "weight_technical")
    if not weight:
        return RatioTally(0, 0, 0, 0)
    return found.weighed(_nano(row, "weight_correct"), weight, _classes_of(row, "wrong", "technical"))


def critical_tally(row: Mapping[str, object]) -> RatioTally:
    """Return the labels without a critical error, and all, of the audits of a row with a known probability.

    Empty for a row without such audits, and for one of a release that did not count critical errors by how labels were drawn.
    """
    weight = _nano(row, "weight_sum")
    if not weight or "weight_critical" not in row:
        return RatioTally(0, 0, 0, 0)
    classes = _classes_of(row, "critical")
    total, bad = sum(one.audited for one in classes), sum(one.wrong for one in classes)
    return RatioTally(total - bad, total, weight - _nano(row, "weight_critical"), weight, classes)


def _classes_of(row: Mapping[str, object], wrong: str, technical: str | None = None) -> tuple[ClassCounts, ...]:
    """Return the random audits of a row by class of probability.

    Args:
        row: A row of the read model.
        wrong: Which of its families counts the bad ones.
        technical: Which counts those left out for a technical error; None: none are.
    """
    audited, bad, weights = (_family(row, f"sample_{name}") for name in ("audited", wrong, "weight"))
    faults = {} if technical is None else _family(row, f"sample_{technical}")
    return tuple(
        ClassCounts(
            int(name).bit_length() - 1,
            _count(audited, name),
            _count(bad, name),
            _count(faults, name),
            _nano(weights, name),
        )
        for name in sorted(audited, key=int)
    )


def _family(row: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = row.get(name)
    return found if isinstance(found, Mapping) else {}


def _nano(row: Mapping[str, object], name: str) -> int:
    value = row.get(name)
    return round(value * c.NANO) if isinstance(value, int | float) else 0


def _count(row: Mapping[str, object], name: str) -> int:
    value = row.get(name)
    return value if isinstance(value, int) else 0


class Slices:
    """Tallies of one scope by the values of some dimensions and by quarter hour."""

    def __init__(self, measure: Measure, scope: Mapping[str, str], dimensions: Sequence[str]) -> None:
        """Start empty.

        Args:
            measure: What is explained.
            scope: Only groups of this scope count.
            dimensions: What cuts may be asked for.

        Raises:
            ValueError: A name that is not a dimension.
        """
        for name in (*scope, *dimensions):
            if name not in DIMENSIONS:
                raise ValueError(f"{name!r} is not a dimension; use one of {', '.join(DIMENSIONS)}")
        self.measure = measure
        self.dimensions = tuple(dimensions)
        self._scope = [(DIMENSIONS.index(name), value) for name, value in scope.items()]
        self._places = [DIMENSIONS.index(name) for name in dimensions]
        self._counts: dict[int, dict[Key, RatioTally]] = {}

    def add(self, group: Group) -> None:
        """Count one group, if it is of the scope."""
        dims: Dims = group.dims
        if any(dims[place] != value for place, value in self._scope):
            return
        tally = tally_of(self.measure, group.counters)
        if not tally.total:
            return
        key = tuple([NOT_GIVEN if dims[place] is None else str(dims[place]) for place in self._places])
        counts = self._counts.setdefault(group.time_ms // QUARTER_MS * QUARTER_MS, {})
        known = counts.get(key)
        counts[key] = tally if known is None else summed((known, tally))

    def cut(self, by: Sequence[str], span: TimeRange) -> dict[Key, RatioTally]:
        """Return good and all by some of the dimensions, within a range of whole quarter hours.

        Args:
            by: Dimensions, in the order wanted in the keys; ``()`` gives the whole scope under one empty key.
            span: The range.
        """
        places = [self.dimensions.index(name) for name in by]
        found: dict[Key, list[RatioTally]] = {}
        for start_ms, parts in self._counts.items():
            if span.start_ms <= start_ms < span.end_ms:
                for key, tally in parts.items():
                    found.setdefault(tuple([key[place] for place in places]), []).append(tally)
        return {key: summed(tallies) for key, tallies in found.items()}


class Windows(NamedTuple):
    """The later window and the time before it that it is held against: apart, and together the longer window."""

    before: TimeRange
    after: TimeRange


def windows(policy: CorePolicy, window: str, against: str, sizes_ms: Mapping[str, int], watermark_ms: int) -> Windows:
    """Return the two ranges to compare.

    Args:
        policy: Kept windows; one of those ends with its own pane, as its rows do.
        window: Name of the later window.
        against: Name of the longer one; what lies in both counts as after only.
        sizes_ms: Length of each of the two in ms.
        watermark_ms: The watermark.

    Raises:
        ValueError: ``against`` is not longer than ``window``.
    """
    if sizes_ms[against] <= sizes_ms[window]:
        raise ValueError(f"{against} is not longer than {window}: give a longer time to hold the window against")
    after, longer = (_span(policy, name, sizes_ms[name], watermark_ms) for name in (window, against))
    return Windows(TimeRange(longer.start_ms, after.start_ms), after)


def _span(policy: CorePolicy, name: str, size_ms: int, watermark_ms: int) -> TimeRange:
    for kept in policy.windows:
        if kept.name == name and kept.size_ms:
            return TimeRange(*window_range(kept, watermark_ms, policy.default_zone))
    end_ms = (watermark_ms // QUARTER_MS + 1) * QUARTER_MS
    return TimeRange(end_ms - size_ms, end_ms)
