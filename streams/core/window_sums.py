"""Running sums: what a window of a scope comes to, kept by what enters and what leaves it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence

from streams.core.counters import Counters, add_counters

Run = tuple[int, int]
"""Some neighbours of a list: the place of the first and the place after the last."""


class WindowSum:
    """The running sum of one window of one scope.

    Windows that hold the same panes may share one dict of counters, so it is changed by the functions below only.
    """

    __slots__ = ("counters", "end_ms", "start_ms")

    def __init__(self) -> None:
        """Start empty, covering nothing."""
        self.start_ms = 0
        self.end_ms = 0
        self.counters: Counters = {}

    def among(self, panes: Sequence[int]) -> Run:
        """Return which of some panes lie in the window."""
        return bisect_left(panes, self.start_ms), bisect_left(panes, self.end_ms)


def add_to(windows: Sequence[WindowSum], bits: int, amounts: Counters) -> None:
    """Add amounts to some windows of a scope.

    Args:
        windows: All windows of the scope.
        bits: Those to add to: bit i is window i.
        amounts: What to add to each of them.
    """
    others = {id(total.counters) for i, total in enumerate(windows) if not bits >> i & 1}
    added: dict[int, Counters] = {}
    for i, total in enumerate(windows):
        if bits >> i & 1:
            counters = added.get(id(total.counters))
            if counters is None:
                counters = dict(total.counters) if id(total.counters) in others else total.counters
                added[id(total.counters)] = counters
                add_counters(counters, amounts)
            total.counters = counters


def move(
    total: WindowSum,
    to_ms: tuple[int, int],
    panes: Sequence[int],
    counters_of: Callable[[int], Counters],
    sums: dict[int, Counters],
    others: Sequence[WindowSum],
) -> None:
    """Move a window: take away the panes it leaves and add those it enters, or sum anew where that is less.

    A window that comes to hold the same panes as another one shares its sum.

    Args:
        total: The window.
        to_ms: Where it now begins and ends.
        panes: Starts of the panes there are, ascending.
        counters_of: Returns the sum of one pane.
        sums: Sums of panes by their start, filled as they are needed.
        others: The other windows over the same panes. A sum anew begins with that of the one that has most of it.
    """
    before = total.among(panes)
    total.start_ms, total.end_ms = to_ms
    inside = total.among(panes)
    for other in others:
        if other.among(panes) == inside:
            total.counters = other.counters
            return
    entering, leaving = _without(panes, inside, before), _without(panes, before, inside)
    if inside[1] - inside[0] - len(entering) <= len(leaving):
        leaving = []
        total.counters, entering = _begun(panes, inside, others)
    elif any(other.counters is total.counters for other in others):
        total.counters = dict(total.counters)
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


def _without(panes: Sequence[int], one: Run, other: Run) -> list[int]:
    """Return the panes of a run that are not in another one."""
    (begin, end), (from_, upto) = one, other
    return [*panes[begin : max(begin, min(end, from_))], *panes[min(end, max(begin, upto)) : end]]


def _begun(panes: Sequence[int], inside: Run, others: Sequence[WindowSum]) -> tuple[Counters, list[int]]:
    """Return the sum of as many of some panes as another window has, and the panes still to be added."""
    covered, counters = (inside[0], inside[0]), Counters()
    for other in others:
        held = other.among(panes)
        if held[1] - held[0] > covered[1] - covered[0] and inside[0] <= held[0] and held[1] <= inside[1]:
            covered, counters = held, other.counters
    return dict(counters), _without(panes, inside, covered)


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
