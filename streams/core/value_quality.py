"""Precision and recall of each decision value in a row, estimated from its random audits. Pure.

What deserves a value and was not given it can only be found among the audits of labels that were not given it. Where these show
no miss, recall has no value but a lower end: "at least 63%", never 100%.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

from streams.core import counters as c
from streams.core.binomial import Weighed
from streams.core.counters import Counters
from streams.core.estimates import assumed_weight, assumed_weight_limits
from streams.core.proportions import recall_share

PAIRS_MOST = 1_000
"""Pairs and values that a row shows, the most frequent first: a row is one record, and each may have 512 characters."""


@dataclass(slots=True)
class Pair:
    """Audits of one decision and one truth.

    Attributes:
        count: All of them.
        classes: Those with a known probability, by class of it.
        assumed: Those that are assumed to be random.
        weight: Σ1/π of those with a known probability, in 10⁻⁹.
    """

    count: int = 0
    classes: dict[int, int] = field(default_factory=dict)
    assumed: int = 0
    weight: int = 0

    def sums(self, assumed_each: float) -> tuple[float, float, float]:
        """Return Σw, Σw² and the greatest w of the random audits.

        Those of a class have about one weight. Of several classes the row has the sum of weights only: it is split in the ratio of
        the classes.

        Args:
            assumed_each: The weight of an audit that is assumed to be random.
        """
        total = self.weight / c.NANO
        classes = self.classes
        if total and not classes:  # counted by version 4 or earlier
            classes = {0: max(self.count - self.assumed, 1)}
        squares = heaviest = 0.0
        if len(classes) == 1:
            for count in classes.values():
                squares, heaviest = total * total / count, total / count
        elif classes:
            parts = sum(count << number for number, count in classes.items())
            for number, count in classes.items():
                each = total * (1 << number) / parts
                squares += count * each * each
                heaviest = max(heaviest, each)
        if not self.assumed:
            return total, squares, heaviest
        each = self.assumed * assumed_each
        return total + each, squares + each * assumed_each, max(heaviest, assumed_each)


GIVEN_AND_RIGHT, GIVEN_AND_WRONG, MISSED, UNSAID, UNSAID_ALONE = range(5)
"""The last: wrong, nobody said what is right, and the label has no other value."""


class _Parsed(NamedTuple):
    """A pair taken apart.

    Attributes:
        given: The decision.
        truth: What is right.
        values: The values of the decision.
        places: Each value of either, and what the pair says of it.
    """

    given: str
    truth: str
    values: frozenset[str]
    places: tuple[tuple[str, int], ...]


@lru_cache(maxsize=8_192)
def _parsed(name: str) -> _Parsed:
    given, truth = name.split(c.PAIR_SEPARATOR)
    given = c.canonical(given)
    values = frozenset(c.values_of(given))
    if truth == c.UNKNOWN_TRUTH:
        unsaid = UNSAID_ALONE if len(values) == 1 else UNSAID
        return _Parsed(given, truth, values, tuple((value, unsaid) for value in values))
    right = c.values_of(truth)
    places = [(value, GIVEN_AND_RIGHT if value in right else GIVEN_AND_WRONG) for value in values]
    return _Parsed(given, truth, values, (*places, *((value, MISSED) for value in right - values)))


class _Tally:
    """What the audits say of one value, by what was given and what is right.

    Attributes:
        counts: All audits.
        totals: Σw of the random ones.
        squares: Σw² of those.
        heaviest: Greatest weight of those that gave the value and say what is right.
    """

    __slots__ = ("counts", "heaviest", "squares", "totals")

    def __init__(self) -> None:
        self.counts = [0, 0, 0, 0, 0]
        self.totals = [0.0, 0.0, 0.0, 0.0, 0.0]
        self.squares = [0.0, 0.0, 0.0, 0.0, 0.0]
        self.heaviest = 0.0


def pairs_of(counters: Counters, named: Sequence[str]) -> dict[str, Pair]:
    """Return the audits of a row by pair of decision and truth, in the order of their counters' names.

    Sums of weights are rounded, so they hang on the order of their parts. That of a row's counters is its history, and differs
    after a restart.

    Args:
        counters: The row.
        named: Its counters of pairs.
    """
    found: dict[str, Pair] = {}
    for counter in sorted(named):
        amount, kind = counters[counter], counter[0]
        name = counter[3:] if kind == "D" else counter[2:]
        pair = found.get(name)
        if pair is None:
            pair = found[name] = Pair()
        if kind == "W":
            pair.weight = amount
            continue
        pair.count += amount
        if kind == "D" and amount > 0:
            pair.classes[c.pair_drawn(counter)[0]] = amount
        elif kind == "A":
            pair.assumed = amount
    return found


def value_quality(
    pairs: Mapping[str, Pair], row: Mapping[str, Any]
) -> tuple[dict[str, dict[str, Any]], list[list[Any]]]:
    """Return precision and recall per decision value, and the confusion pairs most frequent first.

    Neither is said where more than one in ``UNSAID_MOST`` of the audits it hangs on, by weight, does not name the right value: for
    precision those of the value, for recall those of all, since any of them may be one that was missed. Up to there a wrong label
    of one value counts against its precision, for that value is what is wrong as a rule. Where the audits assumed to be random
    weigh what Σ1/π of the others leaves, the limits of recall hold for every weight within its own limits.

    Args:
        pairs: What ``pairs_of`` returns.
        row: The other fields of the row.
    """
    assumed_each = assumed_weight(row) if row["assumed"] else 1.0
    counted: dict[tuple[str, str], int] = {}
    for name, pair in pairs.items():
        given, truth, _, _ = _parsed(name)
        counted[given, truth] = counted.get((given, truth), 0) + pair.count
    found = _values(pairs, assumed_each)
    if row["assumed"]:
        for other in {*assumed_weight_limits(row)} - {assumed_each}:
            _widen(found, _values(pairs, other))
    shown = sorted(counted.items(), key=lambda item: (-item[1], item[0]))[:PAIRS_MOST]
    return found, [[c.readable(given), _said(truth), count] for (given, truth), count in shown]


def _widen(found: Mapping[str, dict[str, Any]], others: Mapping[str, dict[str, Any]]) -> None:
    """Let the limits of recall reach as far as with another weight of the audits that are assumed to be random."""
    for value, shares in found.items():
        other = others[value]
        if shares["recall_low_ratio"] is not None and other["recall_low_ratio"] is not None:
            shares["recall_low_ratio"] = min(shares["recall_low_ratio"], other["recall_low_ratio"])
            shares["recall_high_ratio"] = max(shares["recall_high_ratio"], other["recall_high_ratio"])


def _values(pairs: Mapping[str, Pair], assumed_each: float) -> dict[str, dict[str, Any]]:
    """Return the fields of each value.

    Args:
        pairs: As of ``value_quality``.
        assumed_each: The weight of an audit that is assumed to be random.
    """
    tallies: dict[str, _Tally] = {}
    passed: list[tuple[float, frozenset[str]]] = []
    unsaid = 0.0
    for name, pair in pairs.items():
        _, truth, values, places = _parsed(name)
        total, squares, heaviest = pair.sums(assumed_each)
        if truth == c.UNKNOWN_TRUTH:
            unsaid += total
        else:
            passed.append((heaviest, values))
        for value, place in places:
            tally = tallies.get(value)
            if tally is None:
                tally = tallies[value] = _Tally()
            tally.counts[place] += pair.count
            tally.totals[place] += total
            tally.squares[place] += squares
            if place <= GIVEN_AND_WRONG and heaviest > tally.heaviest:
                tally.heaviest = heaviest
    passed.sort(key=itemgetter(0), reverse=True)
    if len(tallies) > PAIRS_MOST:
        most = sorted(tallies, key=lambda value: (-sum(tallies[value].counts), value))[:PAIRS_MOST]
        tallies = {value: tallies[value] for value in most}
    return {value: _shares(tally, _heaviest(passed, value), unsaid) for value, tally in sorted(tallies.items())}


def _said(truth: str) -> str | None:
    return None if truth == c.UNKNOWN_TRUTH else c.readable(truth)


def _heaviest(passed: Sequence[tuple[float, frozenset[str]]], value: str) -> float:
    """Return the greatest weight of a random audit of a label that was not given a value; 0 where there is none."""
    for heaviest, given in passed:
        if value not in given:
            return heaviest
    return 0.0


def _shares(tally: _Tally, passed: float, unsaid: float) -> dict[str, Any]:
    """Return the fields of one value.

    Args:
        tally: Its audits.
        passed: The greatest weight of an audit of a label that was not given it.
        unsaid: Σw of all audits that do not name the right value.
    """
    right, wrong, missed, unsaid_of_several, unsaid_alone = tally.totals
    given, deserved = right + wrong, right + missed
    precise = given > 0 and not c.unsaid_too_often(unsaid_of_several + unsaid_alone, given)
    known = passed > 0 and deserved > 0 and not c.unsaid_too_often(unsaid, deserved)
    recall, low, high = (None, None, None)
    if known:
        right_squares, missed_squares = tally.squares[GIVEN_AND_RIGHT], tally.squares[MISSED]
        recall, low, high = recall_share(
            Weighed(right, right_squares, tally.heaviest), Weighed(missed, missed_squares, passed)
        )
    tp, fp, fn, of_several, alone = tally.counts
    return {
        "tp": tp,
        "fp": fp,
        "fn": fn,
        "unsaid": of_several + alone,
        "precision_ratio": right / (given + unsaid_alone) if precise else None,
        "recall_ratio": recall,
        "recall_low_ratio": low,
        "recall_high_ratio": high,
    }
