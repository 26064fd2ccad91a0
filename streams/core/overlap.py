"""Overlap: a task that several people labelled, and whether all of them decided alike.

A label without values carries no decision, so it is not compared. Two such labels do not agree, and one beside a label
with values does not disagree.
"""

from __future__ import annotations

from collections.abc import Sequence

from streams.core import counters as c
from streams.core.facts import Label
from streams.core.policy import DIMENSIONS, Dims

_LABELER = DIMENSIONS.index("labeler")


def overlap(labels: Sequence[Label], dims: Sequence[Dims]) -> tuple[Dims, int, tuple[c.Counter, ...]] | None:
    """Return what the labels of one task count for as a whole: where, when and the (flat) counters.

    Two labels of one person are not two independent judgements: the latest counts (as in ``quality.agreement``). The task
    counts in the scopes that all of its labels share, at the time of the last of them: a task labelled by two vendors
    counts for neither vendor alone. A task with fewer than two labels that carry values cannot be compared and is
    counted as such.

    Args:
        labels: Standing labels in log order.
        dims: Dimensions of each.

    Returns:
        None where fewer than two people labelled the task.
    """
    latest = {own[_LABELER] or label.label_id: (label, own) for label, own in zip(labels, dims, strict=True)}
    if len(latest) < 2:
        return None
    decided = [kept for kept in latest.values() if kept[0].values]
    kept = decided if len(decided) > 1 else list(latest.values())
    first = kept[0][1]
    shared = tuple(value if all(own[at] == value for _, own in kept) else None for at, value in enumerate(first))
    last_ms = max(label.time_ms for label, _ in kept)
    if len(decided) < 2:
        return shared, last_ms, (c.OVERLAP_INCOMPARABLE, 1)
    alike = len({c.canonical(label.values) for label, _ in kept}) == 1
    return shared, last_ms, (c.OVERLAPPED, 1, c.UNANIMOUS, 1) if alike else (c.OVERLAPPED, 1)
