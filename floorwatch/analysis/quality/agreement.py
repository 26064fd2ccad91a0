"""Agreement of people who judged the same item independently: raw, Cohen's κ, Krippendorff's α.

The state is how many items showed each pattern of values: integers, so they merge and can be corrected. Everything else,
the coincidences of α and its jackknife included, follows from them exactly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from floorwatch.analysis.quality.chance_corrected import (
    Disagreement,
    ac1,
    corrected_interval,
    jackknife,
    one_more_of_each,
)
from floorwatch.analysis.quality.counts import Key
from floorwatch.analysis.quality.judged_labels import JudgedLabel
from streams.core.proportions import Interval, proportion

RELIABLE = 0.8
TENTATIVE = 0.667
"""Krippendorff, Content Analysis (2004), section 11.4.2: α from 0.8 is reliable, from 0.667 allows tentative conclusions."""

FEW_UNITS = 30
"""Fewer items judged by several people say too little: at 30 unanimous ones up to 10% may be disputed."""

Patterns = Mapping[tuple[str, ...], int]
"""How many items were given each multiset of two or more values; the values of a pattern are sorted."""

PairTable = Mapping[tuple[str, str], int]
"""How many items got (value of the first rater, value of the second)."""


@dataclass(frozen=True)
class Agreement:
    """Agreement on items judged by two or more people.

    Attributes:
        units: Items with two or more values.
        values: Values on them, Krippendorff's n.
        unanimous: Share of the items on which all agreed, with its 95% interval.
        raw_ratio: Share of agreeing pairs, 1 − D_o: each item weighs as many pairs as it has values.
        alpha: Krippendorff's α with its interval; None where all values are the same.
        ac1: Gwet's AC1 with its interval, which one very common value does not pull to 0.
    """

    units: int
    values: int
    unanimous: Interval | None
    raw_ratio: float | None
    alpha: Interval | None
    ac1: Interval | None = None

    @property
    def enough(self) -> bool:
        """Whether there are enough items to say anything."""
        return self.units >= FEW_UNITS


def one_per_rater(labels: Sequence[JudgedLabel]) -> list[JudgedLabel]:
    """Return the latest label of each labeller, where it carries values.

    Two labels of the same person are not two independent judgements; a label without values is not a judgement to compare.
    """
    latest = {judged.labeler or judged.label.label_id: judged for judged in labels}
    return [judged for judged in latest.values() if judged.label.values]


def count(labels: Sequence[JudgedLabel]) -> Iterator[tuple[Key, int]]:
    """Yield what the labels of one item count for: its pattern, and each pair of raters.

    Args:
        labels: Standing labels of one task (of the group looked at) in log order.
    """
    kept = one_per_rater(labels)
    if len(kept) < 2:
        return
    yield ("unit", *sorted(judged.label.values for judged in kept)), 1
    by_rater = sorted((judged.labeler, judged.label.values) for judged in kept)
    for at, (rater, value) in enumerate(by_rater):
        for other, its in by_rater[at + 1 :]:
            yield ("pair", rater, other, value, its), 1


def alpha_of(patterns: Patterns) -> Fraction | None:
    """Return Krippendorff's α for nominal data, exactly.

    α = 1 − D_o/D_e = 1 − (n−1)·Σ_{c≠k} o_ck / Σ_{c≠k} n_c·n_k with the coincidences o_ck = Σ_u pairs(c, k in u)/(m_u − 1).
    Source: Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), sections B and C.

    Args:
        patterns: Items by their values; items with one value do not enter (their value has no pair).

    Returns:
        α, at most 1; None without two different values.

    Example:
        >>> alpha_of({("a", "a"): 1, ("b", "b"): 1})
        Fraction(1, 1)
    """
    sums = _Sums.of(patterns)
    return sums.alpha()


@dataclass
class _Sums:
    """n, Σ n_c², Σ_{c≠k} o_ck and n_c of a set of items."""

    n: int
    squares: int
    disagreeing: Fraction
    by_value: Counter[str]

    @classmethod
    def of(cls, patterns: Patterns) -> _Sums:
        by_value: Counter[str] = Counter()
        disagreeing = Fraction(0)
        for pattern, items in patterns.items():
            if len(pattern) > 1:
                for value in pattern:
                    by_value[value] += items
                disagreeing += items * _disagreeing(pattern)
        return cls(by_value.total(), sum(n * n for n in by_value.values()), disagreeing, by_value)

    def alpha(self) -> Fraction | None:
        expected = self.n * self.n - self.squares
        return None if not expected else 1 - (self.n - 1) * self.disagreeing / expected

    def without(self, pattern: tuple[str, ...]) -> _Sums:
        """Return the sums without one item of a pattern; ``by_value`` is not kept up."""
        squares = self.squares
        for value, k in Counter(pattern).items():
            squares -= 2 * self.by_value[value] * k - k * k
        return _Sums(self.n - len(pattern), squares, self.disagreeing - _disagreeing(pattern), Counter())


def _disagreeing(pattern: tuple[str, ...]) -> Fraction:
    """Return Σ_{c≠k} of one item's coincidences: ordered unequal pairs over m − 1."""
    m = len(pattern)
    return Fraction(m * m - sum(k * k for k in Counter(pattern).values()), m - 1)


def alpha_interval(patterns: Patterns) -> Interval | None:
    """Return α with its 95% interval, by the jackknife over items with one more item of agreement or disagreement.

    Source: ``floorwatch.analysis.quality.chance_corrected``; items are what was sampled, so items are left out, one at a time.
    Deterministic where Krippendorff's bootstrap is not.

    Returns:
        α and its ends, at most 1; None where α is undefined. From −1 to 1 where it hangs on a single item.
    """
    sums = _Sums.of(patterns)
    alpha = sums.alpha()
    kept = {pattern: items for pattern, items in patterns.items() if len(pattern) > 1 and items > 0}
    if alpha is None or sum(kept.values()) < 2:
        return None
    size = max(kept, key=lambda pattern: (kept[pattern], -len(pattern)))
    rarest, (first, second) = one_more_of_each(sums.by_value)
    half = len(size) // 2
    agreeing, disagreeing = (rarest,) * len(size), tuple(sorted([first] * (len(size) - half) + [second] * half))
    ends = (_left_out({**kept, more: kept.get(more, 0) + 1}) for more in (agreeing, disagreeing))
    return corrected_interval(float(alpha), *ends)


def _left_out(patterns: Patterns) -> Disagreement | None:
    """Return D_o/D_e, which is 1 − α, and its jackknife variance."""
    sums = _Sums.of(patterns)
    return jackknife(patterns, _ratio(sums.alpha()), lambda pattern: _ratio(sums.without(pattern).alpha()))


def _ratio(alpha: Fraction | None) -> float | None:
    return None if alpha is None else float(1 - alpha)


def agreement(entries: Iterable[tuple[Key, int]]) -> Agreement:
    """Return the agreement that patterns show.

    Source: Krippendorff 2011; raw is the share of agreeing pairs.

    Args:
        entries: (pattern, items), the section ``unit`` of counts.
    """
    patterns = {tuple(str(value) for value in key): items for key, items in entries if len(key) > 1}
    sums = _Sums.of(patterns)
    units = sum(patterns.values())
    same = sum(items for pattern, items in patterns.items() if len(set(pattern)) == 1)
    raw = None if not sums.n else float(1 - sums.disagreeing / sums.n)
    return Agreement(units, sums.n, proportion(same, units), raw, alpha_interval(patterns), ac1(patterns))


def kappa(table: PairTable) -> Interval | None:
    """Return Cohen's κ of two raters with its 95% interval.

    κ = (P_a − P_e)/(1 − P_e), P_e = Σ_c p_c·q_c (Cohen, Educational and Psychological Measurement 20, 1960); the interval is that
    of ``floorwatch.analysis.quality.chance_corrected`` by the jackknife over items.

    Args:
        table: Items by the two raters' values.

    Returns:
        κ and its ends; None without items, or where both always gave the same one value.

    Example:
        >>> found = kappa({("yes", "yes"): 20, ("yes", "no"): 5, ("no", "yes"): 10, ("no", "no"): 15})
        >>> round(found.value, 3)
        0.4
    """
    kept = {pair: items for pair, items in table.items() if items > 0}
    ratio = _PairSums.of(kept).ratio()
    if ratio is None:
        return None
    values: Counter[str] = Counter()
    for pair, items in kept.items():
        for value in pair:
            values[value] += items
    rarest, (first, second) = one_more_of_each(values)
    more = max(((first, second), (second, first)), key=lambda pair: kept.get(pair, 0))
    ends = (_pairs_left_out({**kept, one: kept.get(one, 0) + 1}) for one in ((rarest, rarest), more))
    return corrected_interval(1 - ratio, *ends)


def _pairs_left_out(table: PairTable) -> Disagreement | None:
    sums = _PairSums.of(table)
    return jackknife(table, sums.ratio(), lambda pair: sums.without(pair).ratio())


@dataclass
class _PairSums:
    """Items, equal ones of these, and Σ_c of the two raters' counts multiplied."""

    n: int
    same: int
    by_chance: int
    rows: Counter[str]
    columns: Counter[str]

    @classmethod
    def of(cls, table: PairTable) -> _PairSums:
        rows: Counter[str] = Counter()
        columns: Counter[str] = Counter()
        for (mine, its), items in table.items():
            rows[mine] += items
            columns[its] += items
        same = sum(items for (mine, its), items in table.items() if mine == its)
        return cls(rows.total(), same, sum(rows[value] * columns[value] for value in rows), rows, columns)

    def ratio(self) -> float | None:
        """Return (1 − P_a)/(1 − P_e), which is 1 − κ; None where both always gave the same one value."""
        if self.by_chance >= self.n * self.n:
            return None
        return (1 - self.same / self.n) / (1 - self.by_chance / (self.n * self.n))

    def without(self, pair: tuple[str, str]) -> _PairSums:
        """Return the sums without one item of a pair; the counts by value are not kept up."""
        mine, its = pair
        less = self.columns[mine] + self.rows[its] - (mine == its)
        return _PairSums(self.n - 1, self.same - (mine == its), self.by_chance - less, Counter(), Counter())


def pair_tables(entries: Iterable[tuple[Key, int]]) -> dict[tuple[str, str], dict[tuple[str, str], int]]:
    """Return the table of each pair of raters, those with most items first.

    Args:
        entries: ((rater, rater, value, value), items), the section ``pair`` of counts.
    """
    tables: dict[tuple[str, str], dict[tuple[str, str], int]] = {}
    for key, items in entries:
        first, second, mine, its = (str(part) for part in key)
        tables.setdefault((first, second), {})[mine, its] = items
    return dict(sorted(tables.items(), key=lambda pair: (-sum(pair[1].values()), pair[0])))
