"""Steps from what a task contributed to what it contributes now."""

from __future__ import annotations

from streams.core.effects import OPEN_GROUP, Groups, Step


def difference(before: Groups, after: Groups) -> list[Step]:
    """Return the steps that replace some groups of a task by others.

    Args:
        before: What the task contributed.
        after: What it contributes now.
    """
    gone = [Step(group, -1, int(name not in after)) for name, group in before.items() if after.get(name) != group]
    return gone + [Step(group, +1, 1) for name, group in after.items() if before.get(name) != group]


def all_before(before: Groups, after: Groups, limit_ms: int) -> bool:
    """Tell whether something changes and all of it lies before a time; a place in the backlog has none.

    Args:
        before: What the task contributed.
        after: What it contributes now.
        limit_ms: The time.
    """
    changed = [
        group
        for name in before.keys() | after.keys()
        if name != OPEN_GROUP and before.get(name) != after.get(name)
        for group in (before.get(name), after.get(name))
        if group is not None
    ]
    return bool(changed) and all(group.time_ms < limit_ms for group in changed)
