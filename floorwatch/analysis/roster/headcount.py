"""Required headcount by the fluid rule.

heads = arrivals · mean handle time / (span · occupancy target · (1 − shrinkage)): work that flows in over the time people
can give to it. It is the fluid limit of a staffed queue (Whitt, Management Science 52, 2006; Halfin & Whitt 1981 for what
it leaves out).

Its limits, in words, stand beside every number (``LIMITS``).
"""

from __future__ import annotations

LIMITS = (
    "The required headcount says how many people the arriving work keeps busy on average. It knows no waiting times: it "
    "promises no SLA, ignores bursts shorter than the hour, counts no backlog from before, takes everybody as able to do "
    "everything in the scope, and takes the handle time of the same span as the one to come."
)


def required_headcount(
    arrivals: int, handle_ms: int, handled: int, span_ms: int, occupancy_permille: int, shrinkage_permille: int
) -> int | None:
    """Return how many people must be scheduled, rounded up, in exact integers.

    Args:
        arrivals: Labels asked for in the span.
        handle_ms: Sum of handle times of ``handled`` labels: their mean is the work one label is.
        handled: Labels with a handle time.
        span_ms: Length of the span.
        occupancy_permille: Share of available time that may be spent handling, in thousandths (1..1000).
        shrinkage_permille: Share of scheduled time that is not available, in thousandths (0..999).

    Returns:
        Heads; None where no handle time is known, or nobody would ever be available.

    Example:
        120 labels of 90 s in an hour are 3 h of work; at 85% occupancy and 30% shrinkage that takes 5.04 people.

        >>> required_headcount(120, 90_000, 1, 3_600_000, 850, 300)
        6
        >>> required_headcount(0, 90_000, 1, 3_600_000, 850, 300)
        0
    """
    if not handled or span_ms <= 0 or occupancy_permille <= 0 or shrinkage_permille >= 1000:
        return None
    top = arrivals * handle_ms * 1_000_000
    bottom = handled * span_ms * occupancy_permille * (1000 - shrinkage_permille)
    return -(-top // bottom)
