"""What the roster needs to know of the floor: labels, claims, and work that arrived."""

from __future__ import annotations

from collections.abc import Sequence

from floorwatch.analysis.roster.roster_rows import Arrival, ClaimEvent
from streams.core.facts import Claimed, Fact, Label
from streams.core.grants import permitted
from streams.core.policy import DIMENSIONS
from streams.core.roster.roster_plan import PLACES, Place
from streams.core.task_view import TaskView, merged

_AT = tuple(DIMENSIONS.index(name) for name in PLACES)


def claims_of(facts: Sequence[Fact]) -> list[ClaimEvent]:
    """Return the claims of one task: each tells that somebody was at work."""
    return [ClaimEvent(fact.time_ms, fact.labeler) for fact in permitted(facts) if type(fact) is Claimed]


def arrival_of(facts: Sequence[Fact]) -> Arrival | None:
    """Return when a task came, where, and how many labels it asks for.

    A task without a creation arrived when its first label says, else at that label's time, and asks for the labels it
    got. Site, vendor and team, which a creation seldom has, are those of the first label; without a label they are
    unknown.

    Args:
        facts: The task's facts in log order.

    Returns:
        The arrival; None for a cancelled task without labels and for facts that are no task's.
    """
    view = TaskView(facts)
    labels: list[Label] = sorted(view.task_labels.values(), key=lambda label: (label.time_ms, label.offset))
    first = labels[0] if labels else None
    created = view.created
    if created is None:
        if first is None:
            return None
        came_ms = first.time_ms if first.created_ms is None else first.created_ms
        return Arrival(came_ms, _place(first.dims), len(labels))
    if view.cancelled and first is None:
        return None
    dims = created.dims if first is None else merged(created.dims, first.dims)
    return Arrival(created.time_ms, _place(dims), created.required_labels)


def _place(dims: tuple[str | None, ...]) -> Place:
    site, vendor, team, queue = (dims[at] or "" for at in _AT)
    return site, vendor, team, queue
