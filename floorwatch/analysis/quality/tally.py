"""Tally: what a task counts for in the quality framework, per group of labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from floorwatch.analysis.quality import agreement, calibration, comparison, decisions, guidelines
from floorwatch.analysis.quality.counts import Counts, Key, add
from floorwatch.analysis.quality.judged_labels import JudgedLabel, judged_labels
from streams.core.facts import Fact

GroupsOf = Callable[[JudgedLabel], Sequence[str]]
"""The groups a label belongs to; none leaves it out."""

Tallies = dict[str, Counts]
"""Counts by group."""


def count_labels(labels: Sequence[JudgedLabel]) -> Iterator[tuple[Key, int]]:
    """Yield everything that the labels of one task and one group count for.

    Args:
        labels: Standing labels of one task in log order.
    """
    for judged in labels:
        yield from decisions.count(judged)
        yield from calibration.count(judged)
        yield from comparison.count(judged)
    yield from agreement.count(labels)
    yield from guidelines.count(labels)


def count_task(into: Tallies, task_id: str, facts: Sequence[Fact], groups_of: GroupsOf, sign: int = 1) -> None:
    """Add a task to the counts of its labels' groups, or take it away.

    A task's labels that lie in different groups (two vendors, say) count in each with those of the same group only:
    agreement within a vendor is agreement of its own people.

    Args:
        into: Counts by group, changed in place.
        task_id: The task.
        facts: Its facts in log order; what was added with other facts must first be taken away with those.
        groups_of: Groups of a label.
        sign: +1 or -1.

    Example:
        >>> tallies: Tallies = {}
        >>> count_task(tallies, "t-1", [], lambda _: ["all"])
        >>> tallies
        {}
    """
    by_group: dict[str, list[JudgedLabel]] = {}
    for judged in judged_labels(task_id, facts):
        for group in groups_of(judged):
            by_group.setdefault(group, []).append(judged)
    for group, labels in by_group.items():
        add(into.setdefault(group, {}), count_labels(labels), sign)


def merge(into: Tallies, other: Tallies) -> None:
    """Add the counts of another part of the log."""
    for group, counts in other.items():
        add(into.setdefault(group, {}), counts.items())
