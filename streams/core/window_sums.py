"""Running sums: what a window of a scope comes to, kept by what enters and what leaves it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from streams.core.counters import Counters, add_counters


class WindowSum:
    """The running sum of one window of one scope."""

    __slots__ = ("counters", "end_ms", "start_ms")

    def __init__(self) -> None:
        """Start empty, covering nothing."""
        self.start_ms = 0
        self.end_ms = 0
        self.counters: Counters = {}


def move(
    total: WindowSum,
    to_ms: tuple[int, int],
    panes: Collection[int],
    counters_of: Callable[[int], Counters],
    sums: dict[int, Counters],
    summed: Sequence[WindowSum],
) -> None:
    """Move a window: take away the panes it leaves and add those it enters, or sum anew where that is less.

    Args:
        total: The window.
        to_ms: Where it now begins and ends.
        panes: Starts of the panes there are.
        counters_of: Returns the sum of one pane.
        sums: Sums of panes by their start, filled as they are needed.
        summed: Other windows over the same panes as they now are: a sum anew begins with the one that has most of it.
    """
    (start_ms, end_ms), (old_start, old_end) = to_ms, (total.start_ms, total.end_ms)
    total.start_ms, total.end_ms = to_ms
    inside = [p for p in panes if start_ms <= p < end_ms]
    entering = [p for p in inside if not old_start <= p < old_end]
    leaving = [p for p in panes if old_start <= p < old_end and not start_ms <= p < end_ms]
    if len(inside) - len(entering) <= len(leaving):
        leaving = []
        total.counters, entering = _begun(panes, inside, summed)
    for chosen, sign in ((entering, 1), (leaving, -1)):
        for pane_ms in chosen:
            counters = sums.get(pane_ms)
            if counters is None:
                counters = sums[pane_ms] = counters_of(pane_ms)
            if total.counters:
                add_counters(total.counters, counters, sign)
            else:
                total.counters = (
                    {counter: sign * amount for counter, amount in counters.items()} if sign < 0 else dict(counters)
                )


def _begun(panes: Iterable[int], inside: list[int], summed: Sequence[WindowSum]) -> tuple[Counters, list[int]]:
    """Return the sum of as many of some panes as another window has, and the panes still to be added."""
    wanted, covered, counters = set(inside), set[int](), Counters()
    for other in summed:
        held = {p for p in panes if other.start_ms <= p < other.end_ms}
        if len(held) > len(covered) and held <= wanted:
            covered, counters = held, other.counters
    return (dict(counters), [p for p in inside if p not in covered])


def tally(into: Counters, now: Counters, was: Counters) -> None:
    """Add what a row has become more than it was; counters that come to zero may stay."""
    get = into.get
    if not was:
        for counter, amount in now.items():
            into[counter] = get(counter, 0) + amount
        return
    before = was.get
    for counter, amount in now.items():
        if (known := before(counter, 0)) != amount:
            into[counter] = get(counter, 0) + amount - known
    for counter in was.keys() - now.keys():
        into[counter] = get(counter, 0) - was[counter]


def count(counts: dict[int, int], key: int, amount: int) -> None:
    """Add to one of some counts; one that comes to zero goes."""
    total = counts.get(key, 0) + amount
    if total:
        counts[key] = total
    else:
        counts.pop(key, None)
