"""What audit plans read of the log of events: strata by steps of time, and the labels that a plan draws."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from sys import intern
from typing import TYPE_CHECKING

from floorwatch.analysis.audits.asked import DrawnLabel
from floorwatch.analysis.audits.planned_labels import FlagRule, planned_labels
from floorwatch.analysis.audits.rates import StrataTally
from floorwatch.cli.facts_file import TaskLog
from streams.core.counters import values_of
from streams.core.policy import HOUR_MS

if TYPE_CHECKING:
    from floorwatch.analysis.audits.plan_file import ReadyPlan
    from floorwatch.analysis.audits.planned_labels import PlannedLabel
    from streams.core.facts import Fact

_MOST_VALUES = 1_000


@dataclass(kw_only=True)
class StrataLog(TaskLog):
    """Labels by stratum and step of time. Only counts are kept, so memory does not grow with the labels.

    Attributes:
        dimensions: Places in ``DIMENSIONS`` of what the strata are made of.
        flags: Which labels are flagged.
        between: The half-open range of time of the labels that are counted, in ms; None counts all.
        step_ms: Counts are kept for steps of time so long.
        steps: Counts by number of the step since 1970.
        first_ms: When the first label of the log was made, counted or not; None without a label.
        values: How often each value was given, for messages; no more than a thousand different ones.
    """

    dimensions: tuple[int, ...] = ()
    flags: FlagRule = field(default_factory=lambda: FlagRule(None))
    between: tuple[int, int] | None = None
    step_ms: int = HOUR_MS
    steps: dict[int, StrataTally] = field(default_factory=dict)
    first_ms: int | None = None
    values: Counter[str] = field(default_factory=Counter)
    ended: bool = False

    def take(self, tasks: Iterable[tuple[str, list[Fact]]]) -> None:
        """Count the labels of a partition's tasks.

        Raises:
            TooManyStrata: The dimensions have too many combinations.
        """
        for task_id, facts in tasks:
            for label in planned_labels(task_id, facts):
                if self.first_ms is None or label.time_ms < self.first_ms:
                    self.first_ms = label.time_ms
                for value in values_of(label.values):
                    if value in self.values or len(self.values) < _MOST_VALUES:
                        self.values[value] += 1
                if self.between is None or self.between[0] <= label.time_ms < self.between[1]:
                    self._count(label)

    def _count(self, label: PlannedLabel) -> None:
        step = label.time_ms // self.step_ms
        tally = self.steps.get(step)
        if tally is None:
            tally = self.steps[step] = StrataTally(self.dimensions)
        tally.add(label, flagged=self.flags.flagged(label.values), deserved=self.flags.deserved(label.verdict))

    def counted_from(self, start_ms: int) -> int:
        """Return from when on ``since`` counts, in ms: the begin of the step that holds a time, or of ``between`` if later."""
        begin_ms = start_ms // self.step_ms * self.step_ms
        return begin_ms if self.between is None else max(begin_ms, self.between[0])

    def since(self, start_ms: int) -> StrataTally:
        """Return the counts from the step on that holds a time."""
        whole = StrataTally(self.dimensions)
        for step in sorted(self.steps):
            if step >= start_ms // self.step_ms:
                whole.merge(self.steps[step])
        return whole


@dataclass(kw_only=True)
class DrawLog(TaskLog):
    """The labels that a plan draws.

    Attributes:
        plan: The plan.
        drawn: What it draws.
        labels: Labels it covers, by stratum.
        asked: How many of these it draws, by stratum.
        audited: Labels it covers that somebody has audited at random already.
        ended: Labels beyond the correction horizon are not asked for.
    """

    plan: ReadyPlan
    drawn: list[DrawnLabel] = field(default_factory=list)
    labels: Counter[tuple[str, ...]] = field(default_factory=Counter)
    asked: Counter[tuple[str, ...]] = field(default_factory=Counter)
    audited: int = 0
    ended: bool = False

    def take(self, tasks: Iterable[tuple[str, list[Fact]]]) -> None:
        """Draw from the labels of a partition's tasks."""
        names = (*self.plan.document.dimensions, "decision")
        for task_id, facts in tasks:
            for label in planned_labels(task_id, facts):
                if not self.plan.covers(label.time_ms):
                    continue
                stratum = self.plan.stratum_of(label)
                probability = self.plan.probability_of(stratum)
                self.labels[stratum] += 1
                self.audited += label.verdict is not None and (label.verdict.assumed or label.verdict.weight > 0)
                if self.plan.draws(label, probability):
                    self.asked[stratum] += 1
                    shown = {name: intern(value) for name, value in zip(names, stratum, strict=True)}
                    self.drawn.append(DrawnLabel(task_id, label.label_id, label.time_ms, shown, probability))

    def close(self) -> None:
        """Sort what was drawn by time."""
        self.drawn.sort(key=lambda one: (one.time_ms, one.task_id, one.label_id))
