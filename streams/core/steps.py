"""Steps from what a task contributed to what it contributes now: by difference, and at once for the commonest events."""

from __future__ import annotations

from typing import NamedTuple

from streams.core import counters as c
from streams.core.effects import OPEN_GROUP, Group, Groups, label_counters, turnaround_counters
from streams.core.facts import Created, Label
from streams.core.task_view import merged


class Step(NamedTuple):
    """One group to add (``sign`` +1) or take away (-1), and how many revisions of a closed row that is."""

    group: Group
    sign: int
    revises: int


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


def created_steps(created: Created, watermark_ms: int) -> list[Step]:
    """Return what a task's creation does while it is all that is known of the task: a promise and a place in the backlog.

    Equal, by test, to the difference of ``contributions``.
    """
    steps = [Step(Group(created.dims, created.time_ms, (c.OPEN, 1)), +1, 1)]
    due_ms = created.due_ms
    if due_ms is not None:
        waiting = (c.DUE, 1, c.OVERDUE, 1) if due_ms <= watermark_ms else (c.DUE, 1)
        steps.append(Step(Group(created.dims, due_ms, waiting), +1, 1))
    return steps


def first_label_steps(created: Created | None, label: Label, watermark_ms: int) -> list[Step] | None:
    """Return what the only label of a task does that nobody labelled before, at a third of the general cost.

    Equal, by test, to the difference of ``contributions``.

    Args:
        created: The task's creation, the latest one known.
        label: The label.
        watermark_ms: The watermark before the label.

    Returns:
        The steps; None where the case is not that simple.
    """
    time_ms = label.time_ms
    if created is None:
        if label.created_ms is not None or label.due_ms is not None:
            return None
        return [Step(Group(label.dims, time_ms, (*label_counters(label), c.COMPLETED, 1, c.NO_SLA, 1)), +1, 2)]
    if created.required_labels != 1 or created.due_ms is None:
        return None
    dims = label.dims if None not in label.dims else merged(label.dims, created.dims)
    task_dims = merged(created.dims, label.dims)
    due_ms = created.due_ms
    waiting = (c.DUE, 1, c.OVERDUE, 1) if due_ms <= watermark_ms else (c.DUE, 1)
    kept = (c.DUE, 1, c.MET if time_ms <= due_ms else c.LATE, 1)
    steps = [Step(Group(created.dims, created.time_ms, (c.OPEN, 1)), -1, 1)]
    before, after = Group(created.dims, due_ms, waiting), Group(task_dims, due_ms, kept)
    if before != after:
        steps += [Step(before, -1, 0), Step(after, +1, 1)]
    done = turnaround_counters(created.time_ms, time_ms, promised=True)
    if task_dims == dims:
        steps.append(Step(Group(dims, time_ms, label_counters(label) + done), +1, 2))
    else:
        steps += [
            Step(Group(task_dims, time_ms, done), +1, 1),
            Step(Group(dims, time_ms, label_counters(label)), +1, 1),
        ]
    return steps
