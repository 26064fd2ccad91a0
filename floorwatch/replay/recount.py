"""Recount: what single tasks put into a row. Pure; the sum over tasks of what it yields is the row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from streams.core.counters import EXAMPLE_PREFIX, LABELER_PREFIX, REVISION, Counters, add_counters
from streams.core.effects import Group, contributions
from streams.core.facts import Created, Fact, Label, Roster
from streams.core.policy import DIMENSIONS, Dims
from streams.core.scopes import scope_key

Scope = tuple[tuple[str, ...], tuple[str, ...]]
"""Dimension names in ``DIMENSIONS`` order and their values."""


class Range(NamedTuple):
    """A half-open range of time in ms."""

    start_ms: int
    end_ms: int

    def holds(self, time_ms: int | None) -> bool:
        """Tell whether a time lies in the range; an unknown one does not."""
        return time_ms is not None and self.start_ms <= time_ms < self.end_ms


def scopes_of(dims: Dims, kinds: Sequence[tuple[str, ...]]) -> list[str]:
    """Return the keys of the scopes a dimension tuple belongs to: those all of whose dimensions are known.

    Args:
        dims: One value or None per entry of ``DIMENSIONS``.
        kinds: Dimension names of every kept scope kind.
    """
    by_name = dict(zip(DIMENSIONS, dims, strict=True))
    found = []
    for names in kinds:
        values = [by_name[name] for name in names]
        if None not in values:
            found.append(scope_key(names, tuple(value for value in values if value is not None)))
    return found


def in_scope(dims: Dims, scope: dict[str, str]) -> bool:
    """Tell whether a dimension tuple belongs to a scope such as ``{"vendor": "bpo-a"}``."""
    return all(dims[DIMENSIONS.index(name)] == value for name, value in scope.items())


def may_touch(facts: Sequence[Fact], span: Range) -> bool:
    """Tell whether any group of a task could lie in a range. The times of groups are times in its facts."""
    for fact in facts:
        if type(fact) is Roster:
            return True  # the time of its shift is in its data
        if span.holds(fact.time_ms) and type(fact) in (Label, Created):
            return True
        if (type(fact) is Label or type(fact) is Created) and span.holds(fact.due_ms):
            return True
        if type(fact) is Label and span.holds(fact.created_ms):
            return True
    return False


def groups_in(
    task_id: str, facts: Sequence[Fact], watermark_ms: int, scope: dict[str, str], span: Range
) -> Iterator[tuple[str, Group]]:
    """Yield (name, group) of what a task contributes to a scope within a range.

    Args:
        task_id: The task.
        facts: Its standing facts in log order.
        watermark_ms: Its partition's watermark.
        scope: Dimensions the group must have.
        span: Range its time must lie in.
    """
    if not may_touch(facts, span):
        return
    for name, group in contributions(task_id, facts, watermark_ms).items():
        if span.holds(group.time_ms) and in_scope(group.dims, scope):
            yield name, group


def counters_of(group: Group) -> Counters:
    """Return a group's flat counters as a row's counters."""
    flat = group.counters
    found: Counters = {}
    for counter, amount in zip(flat[::2], flat[1::2], strict=True):
        add_counters(found, {counter: int(amount)})
    return found


def comparable(counters: Counters, scope: dict[str, str]) -> Counters:
    """Return the part of a row that its tasks' contributions must add up to.

    Left out are the revision, which counts changes and not tasks, the examples, which only the finest panes keep, and in
    one labeller's own scope the names of those at work, which rows of such scopes do not keep.
    """
    own = "labeler" in scope

    def kept(counter: int | str) -> bool:
        if isinstance(counter, int):
            return counter != REVISION
        return not counter.startswith(EXAMPLE_PREFIX) and not (own and counter.startswith(LABELER_PREFIX))

    return {counter: amount for counter, amount in counters.items() if kept(counter)}
