"""Counters: the named integers a row is made of.

A row is a sparse ``dict[Counter, int]``. Rows merge by adding and a correction subtracts, so a row is exact in any
order of arrival. Scalars and histogram buckets are small integers; what is counted by name (labellers at work,
confusion pairs, example tasks) is a string. The integers are declared in ``streams.models.measures``.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

# The counters are declared with the measures that show them; users of this module find them here.
from streams.models.measures.accuracy import *  # noqa: F403
from streams.models.measures.accuracy import CONFUSION_DRAWN_PREFIX as CONFUSION_DRAWN_PREFIX  # noqa: PLC0414
from streams.models.measures.accuracy import NANO as NANO  # noqa: PLC0414
from streams.models.measures.accuracy import SAMPLING_CLASSES as SAMPLING_CLASSES  # noqa: PLC0414
from streams.models.measures.registry import *  # noqa: F403
from streams.models.measures.registry import HISTOGRAM_SPAN as HISTOGRAM_SPAN  # noqa: PLC0414
from streams.models.measures.sla import *  # noqa: F403
from streams.models.measures.throughput import *  # noqa: F403

Counter = int | str
Counters = dict[Counter, int]

UNKNOWN_TRUTH = "?"
PAIR_SEPARATOR = "\x1f"
VALUE_SEPARATOR = "\x1e"

UNSAID_MOST = 20
"""Precision and recall are shown only if at most one in this many of their audits does not name the right value."""

_LONGEST_DECISION, _SHORT_DECISION = 256, 128

_FIRST_CLASS = ord("a")

GAMMA = 1.01 / 0.99
_LOG_GAMMA = math.log(GAMMA)


def joined(values: list[str]) -> str:
    """Return decision values as one string: a set, sorted, so that equal choices are equal strings.

    A tool may call a value ``?``. A single one is written after a separator, so that it differs from ``UNKNOWN_TRUTH``.

    Example:
        >>> joined(["spam", "hate"]) == joined(["hate", "spam", "spam"])
        True
        >>> joined(["?"]) == UNKNOWN_TRUTH
        False
    """
    return canonical(values[0] if len(values) == 1 else VALUE_SEPARATOR.join(sorted(set(values))))


def canonical(given: str) -> str:
    """Return a decision as ``joined`` writes it. Older facts have a single ``?`` without its separator."""
    return VALUE_SEPARATOR + UNKNOWN_TRUTH if given == UNKNOWN_TRUTH else given


def values_of(decision: str) -> set[str]:
    """Return the values of a decision; not for ``UNKNOWN_TRUTH``, which is none."""
    return set(filter(None, decision.split(VALUE_SEPARATOR)))


def readable(decision: str) -> str:
    """Return a decision for people: ``hate+spam``, and an empty text where no value was chosen."""
    return decision.lstrip(VALUE_SEPARATOR).replace(VALUE_SEPARATOR, "+")


def unsaid_too_often(unsaid: float, said: float) -> bool:
    """Tell whether too many audits do not name the right value for a share to be shown.

    Args:
        unsaid: Audits (or their weight) that found a label wrong and do not name the right value.
        said: Those that do, of what the share is of.
    """
    return unsaid * UNSAID_MOST > unsaid + said


def short(decision: str) -> str:
    """Return a decision as confusion pairs name it: a long one by its beginning and a digest.

    A row is one record. One decision may have 64 values of 256 characters, and a few dozen different ones in a pane made
    its row too large for any topic.
    """
    if len(decision) <= _LONGEST_DECISION:
        return decision
    digest = blake2b(decision.encode(errors="surrogatepass"), digest_size=8).hexdigest()
    return f"{decision[:_SHORT_DECISION].rstrip(VALUE_SEPARATOR)}…{digest}"


def sampling_class(weight_nano: int) -> int:
    """Return the class of an audit by its weight.

    Args:
        weight_nano: 1/π in 10⁻⁹, above 0.

    Returns:
        ⌊log₂(1/π)⌋, from 0 to ``SAMPLING_CLASSES - 1``.
    """
    return min(SAMPLING_CLASSES, max(1, (weight_nano // NANO).bit_length())) - 1


def drawn_pair(number: int, pair: str) -> str:
    """Return the counter of a pair of decision and truth of audits with a known probability, by its class."""
    return f"{CONFUSION_DRAWN_PREFIX}{chr(_FIRST_CLASS + number)}{pair}"


def pair_drawn(counter: str) -> tuple[int, str]:
    """Return class and pair of such a counter."""
    at = len(CONFUSION_DRAWN_PREFIX)
    return ord(counter[at]) - _FIRST_CLASS, counter[at + 1 :]


@lru_cache(maxsize=1 << 16)
def bucket(value_ms: int) -> int:
    """Return the log-bucket of a duration: 0 for nothing, else ``1 + ceil(ln v / ln γ)``.

    DDSketch's mapping (Masson, Rim, Lee 2019) with γ = 1.01/0.99: any quantile read back is within 1%.

    Args:
        value_ms: Milliseconds, 0 or more.

    Returns:
        A bucket number below 2000 for every duration up to a century.
    """
    if value_ms < 1:
        return 0
    return min(HISTOGRAM_SPAN - 1, 1 + math.ceil(math.log(value_ms) / _LOG_GAMMA))


@lru_cache(maxsize=HISTOGRAM_SPAN)
def bucket_value_ms(index: int) -> float:
    """Return the duration a bucket stands for, the midpoint that keeps the relative error within 1%.

    Source: DDSketch (Masson, Rim, Lee 2019): 2γ^i/(γ + 1).
    """
    if index == 0:
        return 0.0
    return 2.0 * math.pow(GAMMA, index - 1) / (GAMMA + 1.0)


def histogram(counters: Counters, base: int) -> list[tuple[int, int]]:
    """Return the (bucket, count) pairs of one histogram of a row, in ascending order."""
    top = base + HISTOGRAM_SPAN
    return sorted(
        (counter - base, n)
        for counter, n in counters.items()
        if type(counter) is int and base <= counter < top and n > 0
    )


class Histogram(NamedTuple):
    """Counts by log-bucket.

    Attributes:
        base: Counter of bucket 0.
        counters: Ascending counters of the buckets.
        counts: How many each holds, 1 or more.
    """

    base: int
    counters: list[int]
    counts: list[int]


def quantiles_ms(histogram: Histogram, shares: tuple[float, ...]) -> list[float | None]:
    """Read quantiles from a histogram.

    Source: DDSketch (Masson, Rim, Lee 2019); the order statistic of rank ⌈share · n⌉.

    Args:
        histogram: The durations.
        shares: Quantiles in 0..1.

    Returns:
        Milliseconds per share, each within 1% of the true order statistic; None for an empty histogram.
    """
    upto = list(accumulate(histogram.counts))
    if not upto:
        return [None] * len(shares)
    total = upto[-1]
    ranks = [max(1, math.ceil(share * total)) for share in shares]
    return [bucket_value_ms(histogram.counters[bisect_left(upto, rank)] - histogram.base) for rank in ranks]


def add_counters(into: Counters, amounts: Counters, sign: int = 1) -> None:
    """Add (or with ``sign=-1`` take away) amounts in place; a counter that reaches zero is dropped."""
    get = into.get
    if sign != 1:
        amounts = {counter: sign * amount for counter, amount in amounts.items()}
    for counter, amount in amounts.items():
        total = get(counter, 0) + amount
        if total:
            into[counter] = total
        else:
            into.pop(counter, None)
