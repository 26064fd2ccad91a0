"""Counters: the named integers a row is made of.

A row is a sparse ``dict[Counter, int]``. Rows merge by adding and a correction subtracts, so a row is exact in any
order of arrival. Scalars and histogram buckets are small integers; what is counted by name (labellers at work,
confusion pairs, example tasks) is a string.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import lru_cache
from hashlib import blake2b
from itertools import accumulate
from typing import NamedTuple

Counter = int | str
Counters = dict[Counter, int]

REVISION = 0

LABELS = 1
HANDLED = 2
HANDLE_MS = 3
ACTIVE_TIMED = 4
ACTIVE_MS = 5

AUDITED = 10
CORRECT = 11
TARGETED = 12
WEIGHT_NANO = 13
WEIGHT_CORRECT_NANO = 14
WRONG_UNSPECIFIED = 15
SEVERITY_UNSPECIFIED = 20
APPEALS_OPENED = 26
APPEALS_DECIDED = 27
APPEALS_OVERTURNED = 28
GOLD = 29
GOLD_CORRECT = 30
OVERLAPPED = 31
UNANIMOUS = 32
WEIGHT_TECHNICAL_NANO = 33
TARGETED_CORRECT = 34
TARGETED_TECHNICAL = 35
"""These three are rare. With them a share can leave out technical errors and targeted audits."""

INCOMPARABLE = 36
OVERLAP_INCOMPARABLE = 37
"""Labels and tasks that cannot be compared. They are counted, and are in no share."""

DUE = 40
MET = 41
LATE = 42
OVERDUE = 43
CANCELLED = 44
NO_SLA = 45
COMPLETED = 46
TURNED = 47
TURN_MS = 48
OPEN = 49
SCHEDULED_MS = 50
NAMES_LEFT_OUT = 51
"""Marks a row that would have been too large for its topic. It counts nothing by name; all other numbers are exact."""

ERROR_CLASSES = ("unspecified", "false_positive", "false_negative", "wrong_selection", "technical")
"""Names of the counters ``WRONG_UNSPECIFIED + i``."""

SEVERITIES = ("unspecified", "critical", "major", "minor")
"""Names of the counters ``SEVERITY_UNSPECIFIED + i``."""

WRONG_TECHNICAL = WRONG_UNSPECIFIED + ERROR_CLASSES.index("technical")
SEVERITY_CRITICAL = SEVERITY_UNSPECIFIED + SEVERITIES.index("critical")

HANDLE_HISTOGRAM = 1000
TURN_HISTOGRAM = 3000
HISTOGRAM_SPAN = 2000

LABELER_PREFIX = "L:"
CONFUSION_PREFIX = "C:"
CONFUSION_WEIGHT_PREFIX = "W:"
EXAMPLE_PREFIX = "X:"
UNKNOWN_TRUTH = "?"
PAIR_SEPARATOR = "\x1f"
VALUE_SEPARATOR = "\x1e"

UNSAID_MOST = 20
"""Precision and recall are shown only if at most one in this many of their audits does not name the right value."""

_LONGEST_DECISION, _SHORT_DECISION = 256, 128

NANO = 1_000_000_000
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


def unsaid_too_often(unsaid: int, said: int) -> bool:
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
    for counter, amount in amounts.items():
        total = get(counter, 0) + sign * amount
        if total:
            into[counter] = total
        else:
            into.pop(counter, None)
