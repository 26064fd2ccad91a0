"""What audit plans read of the log of events: strata by the hour, and the labels that a plan draws."""

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
    from streams.core.facts import Fact

_MOST_VALUES = 1_000


@dataclass(kw_only=True)
class StrataLog(TaskLog):
    """Labels by stratum and step of time. Only counts are kept, so memory does not grow with the labels.

    Attributes:
        dimensions: Places in ``DIMENSIONS`` of what the strata are made of.
        flags: Which labels are flagged.
        until_ms: Labels made from then on are not counted; None counts all.
        step_ms: Counts are kept for steps of time so long; one ends at ``until_ms``.
        steps: Counts by number of the step.
        values: How often each value was given, for messages; no more than a thousand different ones.
    """

    dimensions: tuple[int, ...] = ()
    flags: FlagRule = field(default_factory=lambda: FlagRule(None))
    until_ms: int | None = None
    step_ms: int = HOUR_MS
    steps: dict[int, StrataTally] = field(default_factory=dict)
    values: Counter[str] = field(default_factory=Counter)
    ended: bool = False

    def take(self, tasks: Iterable[tuple[str, list[Fact]]]) -> None:
        """Count the labels of a partition's tasks.

        Raises:
            TooManyStrata: The dimensions have too many combinations.
        """
        for task_id, facts in tasks:
            for label in planned_labels(task_id, facts):
                if self.until_ms is not None and label.time_ms >= self.until_ms:
                    continue
                step = self._step_of(label.time_ms)
                tally = self.steps.get(step)
                if tally is None:
                    tally = self.steps[step] = StrataTally(self.dimensions)
                flagged = self.flags.flagged(label.values)
                tally.add(label, flagged=flagged, deserved=self.flags.deserved(label.verdict))
                for value in values_of(label.values):
                    if value in self.values or len(self.values) < _MOST_VALUES:
                        self.values[value] += 1

    def _step_of(self, time_ms: int) -> int:
        return (time_ms - (self.until_ms or 0) % self.step_ms) // self.step_ms

    def begin_of(self, start_ms: int) -> int:
        """Return when the step begins that holds a time, in ms: what ``since`` counts from."""
        return self._step_of(start_ms) * self.step_ms + (self.until_ms or 0) % self.step_ms

    def since(self, start_ms: int) -> StrataTally:
        """Return the counts from the step on that holds a time."""
        whole = StrataTally(self.dimensions)
        for step in sorted(self.steps):
            if step >= self._step_of(start_ms):
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
