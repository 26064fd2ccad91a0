"""How many audits a wanted interval or a wanted chance of seeing a drop takes, by the intervals and judgements the product shows.

Everything is by one sampling probability and independent errors; ``allocation`` plans unlike probabilities. Nothing is approximated by
a normal distribution: the functions that make the intervals of the tables are asked, outcome by outcome.

Source: ``streams.core.binomial``, enumerated over the binomial distribution.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from streams.core.binomial import TAIL, chance_of_so_few, interval_limits, judged_below

ASSURANCE = 0.9
"""Chance that the interval is no wider than promised. At its middle value every second one would be wider."""

POWER = 0.8
"""Usual chance of seeing a drop that is there."""

MOST = 1_000_000
"""More audits than this are not planned: the answer is then that it cannot be had."""

_PERIODS = 5


class OutOfReach(ValueError):
    """More than ``MOST`` audits would be needed, or any number is too few; the message says which."""


class Detectable(NamedTuple):
    """What a number of audits can see.

    Attributes:
        accuracy: Highest true accuracy that is judged below the target with the wanted chance, 0..1; None where none is.
        wrong: Fewest wrong ones that are judged so.
    """

    accuracy: float | None
    wrong: int | None


def half_width(wrong: int, audits: int) -> float:
    """Return half the width of the 95% interval that is shown for so many wrong of so many audits, as a ratio.

    Source: ``streams.core.binomial.interval_limits``.
    """
    low, high = interval_limits(audits - wrong, audits)
    return (high - low) / 2


def most_wrong_within(audits: int, wanted: float) -> int:
    """Return up to how many wrong ones the interval has at most the wanted half-width; −1 where with none it is wider.

    The width grows with the wrong ones up to one half of the audits; where it never passes the wanted one, that is all audits.
    """
    if half_width(audits // 2, audits) <= wanted:
        return audits
    low, high = -1, audits // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if half_width(middle, audits) <= wanted else (low, middle)
    return low


def chance_within(audits: int, accuracy: float, wanted: float) -> float:
    """Return the chance that the interval of so many audits has at most the wanted half-width.

    Source: the binomial distribution over the outcomes of ``interval_limits``.

    Args:
        audits: Of one sampling probability.
        accuracy: The true one, 0..1.
        wanted: Half-width as a ratio: 0.02 is two points.
    """
    return _wrong_at_most(most_wrong_within(audits, wanted), audits, accuracy)


def _wrong_at_most(wrong: int, audits: int, accuracy: float) -> float:
    return 0.0 if wrong < 0 else 1.0 if wrong >= audits else chance_of_so_few(wrong, audits, 1 - accuracy)


def half_width_within(audits: int, accuracy: float, assurance: float = ASSURANCE) -> float:
    """Return the half-width that the interval of so many audits does not pass with a chance, as a ratio.

    Source: the quantile of the number of wrong ones, by the binomial distribution.
    """
    low, high = -1, audits
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _wrong_at_most(middle, audits, accuracy) >= assurance else (middle, high)
    return half_width(min(high, audits // 2), audits)


def audits_for_half_width(accuracy: float, wanted: float, assurance: float = ASSURANCE) -> int:
    """Return how many audits make the shown interval no wider than wanted, with a chance.

    Args:
        accuracy: The accuracy expected, 0..1. Where it is lower, the interval is wider.
        wanted: Half-width as a ratio, more than 0: 0.02 is two points.
        assurance: The chance, 0..1.

    Returns:
        The least number from which on the promise holds: chances rise and fall a little from one number to the next.

    Raises:
        OutOfReach: It takes more than ``MOST``.

    Example:
        >>> audits_for_half_width(0.95, 0.02)
        581
    """

    def holds(audits: int) -> bool:
        return chance_within(audits, accuracy, wanted) >= assurance

    def holds_in_turn(first: int, last: int) -> Callable[[int], bool]:
        wrong = most_wrong_within(first, wanted)
        kept = []
        for audits in range(first, last + 1):
            while wrong < audits and half_width(min(wrong + 1, audits // 2), audits) <= wanted:
                wrong = audits if wrong + 1 >= audits // 2 else wrong + 1
            kept.append(_wrong_at_most(wrong, audits, accuracy) >= assurance)
        return lambda audits: kept[audits - first]

    return _least(holds, holds_in_turn, 1 - accuracy, "no number of audits up to {most:,} makes the interval so narrow")


def least_wrong_below(audits: int, target: float, tail: float = TAIL) -> int | None:
    """Return the fewest wrong ones of so many audits that are judged below the target; None where not even all are.

    Source: ``streams.core.binomial.judged_below``.
    """
    if not judged_below(0, audits, target, tail):
        return None
    low, high = 0, audits
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if judged_below(audits - middle, audits, target, tail) else (middle, high)
    return high


def power_of(audits: int, accuracy: float, target: float, tail: float = TAIL) -> float:
    """Return the chance that work of this true accuracy is judged below the target.

    Source: the binomial distribution over the outcomes of ``judged_below``. For work on the target this is the error of the
    judgement, at most ``tail``.
    """
    return _wrong_at_least(least_wrong_below(audits, target, tail), audits, accuracy)


def _wrong_at_least(wrong: int | None, audits: int, accuracy: float) -> float:
    return 0.0 if wrong is None else chance_of_so_few(audits - wrong, audits, accuracy)


def audits_for_power(accuracy: float, target: float, power: float = POWER, tail: float = TAIL) -> int:
    """Return how many audits it takes to judge work of this accuracy below the target, with a chance.

    Args:
        accuracy: The true accuracy that should be seen, below the target, 0..1.
        target: The target, 0..1.
        power: The chance, 0..1.
        tail: Error of the judgement where the target is met.

    Returns:
        The least number from which on the chance is reached.

    Raises:
        OutOfReach: The accuracy is not below the target, or so little below that it takes more than ``MOST``.

    Example:
        >>> audits_for_power(0.92, 0.95)
        562
    """
    if accuracy >= target:
        raise OutOfReach(f"{100 * accuracy:g}% is not below the target of {100 * target:g}%")

    def holds(audits: int) -> bool:
        return power_of(audits, accuracy, target, tail) >= power

    def holds_in_turn(first: int, last: int) -> Callable[[int], bool]:
        wrong = least_wrong_below(first, target, tail)
        kept = []
        for audits in range(first, last + 1):
            if wrong is None:
                wrong = least_wrong_below(audits, target, tail)
            elif not judged_below(audits - wrong, audits, target, tail):
                wrong += 1
            kept.append(_wrong_at_least(wrong, audits, accuracy) >= power)
        return lambda audits: kept[audits - first]

    return _least(holds, holds_in_turn, 1 - target, "no number of audits up to {most:,} sees so small a drop")


def detectable(audits: int, target: float, power: float = POWER, tail: float = TAIL) -> Detectable:
    """Return the smallest drop below the target that so many audits see with a chance.

    Source: ``power_of``, which falls as the accuracy rises; found by halving, to a millionth.
    """
    wrong = least_wrong_below(audits, target, tail) if audits else None
    if wrong is None:
        return Detectable(None, None)
    low, high = 0.0, target
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if _wrong_at_least(wrong, audits, middle) >= power else (low, middle)
    return Detectable(low, wrong)


def judged_from(seen: Detectable) -> str:
    """Return in words from how many wrong ones on a sample is judged below the target."""
    return f"{seen.wrong:,} wrong ones or more are judged so" if seen.wrong is not None else "no number is judged so"


def _least(
    holds: Callable[[int], bool], in_turn: Callable[[int, int], Callable[[int], bool]], rate: float, said: str
) -> int:
    """Return the least number from which on something holds that holds for large numbers, and by and by before.

    Args:
        holds: Whether it holds for a number.
        in_turn: The same for a range of numbers, one after the other, at less cost.
        rate: About one number in 1/rate begins a new tooth of the saw.
        said: What to say where it never holds.
    """
    low, high = 0, 1
    while not holds(high):
        if high >= MOST:
            raise OutOfReach(said.format(most=MOST))
        low, high = high, min(2 * high, MOST)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    teeth = math.ceil(_PERIODS / max(rate, 0.002))
    first, last = max(1, high - teeth), high + teeth
    held = in_turn(first, last)
    found = last
    while found > first and held(found - 1):
        found -= 1
    if found > MOST:
        raise OutOfReach(said.format(most=MOST))
    return found
