"""Change of rules: what was counted as version 1 counted it is counted anew, once, when a ledger of version 1 is taken over.

The rows of a ledger are sums of what its tasks contribute, and an event takes away what its task contributed before. So a
ledger that was counted by other rules must be brought over before anything is taken away by the present ones; else a
counter goes below zero and stays wrong. What rules a row was counted by is told by the owner in its key (``versioned``).

Version 1, the rules of 24565ae, differs in four points: labels without values agreed with one another and were confused with
what is right, long decisions were named in full, repeated values of a decision were kept, and a value ``?`` was written as is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from streams.core import counters as c
from streams.core.accumulate import Accumulator, RowChange
from streams.core.effects import Group, Groups, TaskView, contributions
from streams.core.facts import Fact, Packed, unpack, unpack_one
from streams.core.policy import DIMENSIONS, CorePolicy, Dims
from streams.core.rows import Place
from streams.core.scopes import ScopeIndex
from streams.core.steps import Step, difference
from streams.models import formats

_LABELER = DIMENSIONS.index("labeler")
_LONG_BYTES = 256
_MARK = "~"
_NAMED = (c.CONFUSION_PREFIX, c.CONFUSION_WEIGHT_PREFIX)


def versioned(owner: str) -> str:
    """Return the name under which an owner writes rows that are counted by the present rules."""
    return owner if _MARK in owner else f"{owner}{_MARK}{formats.COUNTED.version}"


def version_of(owner: str) -> int:
    """Return by which rules the rows of an owner are counted; 1 for a name that says nothing.

    Raises:
        NewerFormat: By the rules of a newer version.
    """
    number = owner.partition(_MARK)[2]
    version = int(number) if number.isdigit() else formats.FIRST
    formats.check(formats.COUNTED, version)
    return version


@dataclass
class Recount:
    """What is still to be brought over in a restored ledger. Until then it counts by the rules of version 1.

    Attributes:
        below: Offset below which all rows are counted by the present rules.
        rows: The same for single rows that are further, of a flush that was cut short.
        raw: By offset, the task of a fact and how version 1 had packed it, where it is packed differently now.
    """

    below: int = 0
    rows: dict[Place, int] = field(default_factory=dict)
    raw: dict[int, tuple[str, bytes]] = field(default_factory=dict)

    def contributions(self, task_id: str, facts: Sequence[Fact], watermark_ms: int) -> Groups:
        """Return what a task contributes by the rules of version 1; see ``effects.contributions``."""
        given = [unpack_one(self.raw[fact.offset][1]) if fact.offset in self.raw else fact for fact in facts]
        return contributions_1(task_id, given, watermark_ms)

    def changes(
        self, tasks: Iterable[tuple[str, Packed]], scopes: ScopeIndex, policy: CorePolicy, watermark_ms: int
    ) -> Iterator[RowChange]:
        """Yield what to add to rows so that they are what the present rules make of the facts.

        Args:
            tasks: All tasks that are held.
            scopes: Of the ledger.
            policy: Of the ledger.
            watermark_ms: The partition's watermark.
        """
        changed = {task_id for task_id, _ in self.raw.values()}
        rare = [(task_id, unpack(packed)) for task_id, packed in tasks if task_id in changed or may_differ(packed)]
        for below in {self.below, *self.rows.values()}:
            sums = Accumulator(scopes, policy)
            for task_id, facts in rare:
                sums.add_all(self._steps(task_id, facts, below, watermark_ms), watermark_ms)
            for change in sums.drain():
                if (
                    any(change.amounts)
                    and self.rows.get((change.tier, change.pane_ms, change.scope), self.below) == below
                ):
                    yield change

    def _steps(self, task_id: str, facts: list[Fact], below: int, watermark_ms: int) -> list[Step]:
        """Return the steps for rows that hold a task by the present rules up to an offset, and by those of version 1 from there."""
        found = difference(
            self.contributions(task_id, facts, watermark_ms), contributions(task_id, facts, watermark_ms)
        )
        known = [fact for fact in facts if fact.offset < below]
        if known:
            found += difference(
                contributions(task_id, known, watermark_ms), self.contributions(task_id, known, watermark_ms)
            )
        return [Step(group, sign, 0) for group, sign, _ in found]


def may_differ(packed: Packed) -> bool:
    """Tell whether the present rules may make something else of a task; seldom wrongly true, never wrongly false."""
    return any(
        len(one) > _LONG_BYTES or b"\x1e" in one or b"\xa0" in one or b"\xa1?" in one
        for one in ((packed,) if isinstance(packed, bytes) else packed)
    )


def contributions_1(task_id: str, facts: Sequence[Fact], watermark_ms: int) -> Groups:
    """Return what a task contributed by the rules of version 1; see ``effects.contributions``."""
    groups = contributions(task_id, facts, watermark_ms)
    view = TaskView(facts)
    for label_id, label in view.labels.items():
        group, verdict = groups.get("audit:" + label_id), view.verdict(label)
        if group is not None and verdict is not None:
            pair = f"{label.values}{c.PAIR_SEPARATOR}{verdict.truth}"
            groups["audit:" + label_id] = group._replace(counters=_named(group.counters, pair, verdict.weight_nano))
    if "overlap" in groups:
        labels = list(view.labels.values())
        groups["overlap"] = _overlap(labels, [view.label_dims(label) for label in labels])
    return groups


def _named(flat: tuple[c.Counter, ...], pair: str, weight_nano: int) -> tuple[c.Counter, ...]:
    """Return flat counters with a confusion pair as version 1 named it."""
    kept: list[c.Counter] = []
    for at in range(0, len(flat), 2):
        counter = flat[at]
        if not (isinstance(counter, str) and counter.startswith(_NAMED)):
            kept += flat[at : at + 2]
    kept += [c.CONFUSION_PREFIX + pair, 1]
    if weight_nano:
        kept += [c.CONFUSION_WEIGHT_PREFIX + pair, weight_nano]
    return tuple(kept)


def _overlap(labels: Sequence[Any], dims: Sequence[Dims]) -> Group:
    """Return what the labels of one task counted for as a whole in version 1: one without values was a decision like others."""
    latest = {own[_LABELER] or label.label_id: (label, own) for label, own in zip(labels, dims, strict=True)}
    kept = list(latest.values())
    first = kept[0][1]
    shared = tuple(value if all(own[at] == value for _, own in kept) else None for at, value in enumerate(first))
    alike = len({label.values for label, _ in kept}) == 1
    counters: tuple[c.Counter, ...] = (c.OVERLAPPED, 1, c.UNANIMOUS, 1) if alike else (c.OVERLAPPED, 1)
    return Group(shared, max(label.time_ms for label, _ in kept), counters)
