"""Running sums: what a window of a scope comes to, kept by what enters and what leaves it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from streams.core.cells import Cells, add_cells


class WindowSum:
    """The running sum of one window of one scope."""

    __slots__ = ("cells", "end_ms", "start_ms")

    def __init__(self) -> None:
        """Start empty, covering nothing."""
        self.start_ms = 0
        self.end_ms = 0
        self.cells: Cells = {}


def move(
    total: WindowSum,
    to_ms: tuple[int, int],
    panes: Collection[int],
    cells_of: Callable[[int], Cells],
    sums: dict[int, Cells],
    summed: Sequence[WindowSum],
) -> None:
    """Move a window: take away the panes it leaves and add those it enters, or sum anew where that is less.

    Args:
        total: The window.
        to_ms: Where it now begins and ends.
        panes: Starts of the panes there are.
        cells_of: Returns the sum of one pane.
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
        total.cells, entering = _begun(panes, inside, summed)
    for chosen, sign in ((entering, 1), (leaving, -1)):
        for pane_ms in chosen:
            cells = sums.get(pane_ms)
            if cells is None:
                cells = sums[pane_ms] = cells_of(pane_ms)
            if total.cells:
                add_cells(total.cells, cells, sign)
            else:
                total.cells = {cell: sign * amount for cell, amount in cells.items()} if sign < 0 else dict(cells)


def _begun(panes: Iterable[int], inside: list[int], summed: Sequence[WindowSum]) -> tuple[Cells, list[int]]:
    """Return the sum of as many of some panes as another window has, and the panes still to be added."""
    wanted, covered, cells = set(inside), set[int](), Cells()
    for other in summed:
        held = {p for p in panes if other.start_ms <= p < other.end_ms}
        if len(held) > len(covered) and held <= wanted:
            covered, cells = held, other.cells
    return (dict(cells), [p for p in inside if p not in covered])


def tally(into: Cells, now: Cells, was: Cells) -> None:
    """Add what a row has become more than it was; cells that come to zero may stay."""
    get = into.get
    if not was:
        for cell, amount in now.items():
            into[cell] = get(cell, 0) + amount
        return
    before = was.get
    for cell, amount in now.items():
        if (known := before(cell, 0)) != amount:
            into[cell] = get(cell, 0) + amount - known
    for cell in was.keys() - now.keys():
        into[cell] = get(cell, 0) - was[cell]


def count(counts: dict[int, int], key: int, amount: int) -> None:
    """Add to one of some counts; one that comes to zero goes."""
    total = counts.get(key, 0) + amount
    if total:
        counts[key] = total
    else:
        counts.pop(key, None)
