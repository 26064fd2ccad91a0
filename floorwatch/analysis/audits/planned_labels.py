"""A label as an audit plan sees it: by its first version, for a label is drawn once, whatever becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from streams.core.counters import ERROR_CLASSES, UNKNOWN_TRUTH, values_of
from streams.core.detector_evidence import LabelVerdict
from streams.core.facts import Fact, Label
from streams.core.grants import permitted
from streams.core.policy import DIMENSIONS
from streams.core.task_view import TaskView

_NANO = 1_000_000_000
_TECHNICAL = ERROR_CLASSES.index("technical")

KNOWN_APPROVALS = frozenset(
    {"allow", "allowed", "approve", "approved", "benign", "clean", "no_violation", "none", "ok", "pass", "safe"}
)
"""Values that say "nothing is wrong with the item" in common label sets; no value at all says so, too."""


class Verdict(NamedTuple):
    """What audits say of a label.

    Attributes:
        wrong: The label is wrong.
        technical: Only by a technical error.
        truth: The right decision; ``UNKNOWN_TRUTH`` where nobody said.
        weight: 1/π of the audit that drew it; 0 where π is not known.
        assumed: It is assumed to be drawn at random.
    """

    wrong: bool
    technical: bool
    truth: str
    weight: float
    assumed: bool


class PlannedLabel(NamedTuple):
    """One standing label.

    Attributes:
        task_id: Its task.
        label_id: Itself.
        time_ms: When its first version was decided.
        dims: Those of the first version in the order of ``DIMENSIONS``; an empty text where nobody said. The task's creation fills in.
        values: The decision of the first version.
        verdict: What audits say; None while nobody audited it.
        audited: Whether an audit of it stands, with a verdict or not.
    """

    task_id: str
    label_id: str
    time_ms: int
    dims: tuple[str, ...]
    values: str
    verdict: Verdict | None
    audited: bool


def planned_labels(task_id: str, facts: Sequence[Fact]) -> list[PlannedLabel]:
    """Return the standing labels of a task that name their labeller.

    Args:
        task_id: The task.
        facts: Its facts in log order, duplicates taken out.
    """
    view = TaskView(facts)
    first: dict[str, Label] = {}
    for fact in permitted(facts):
        if type(fact) is Label:
            first.setdefault(fact.label_id, fact)
    found = []
    for label_id, label in view.labels.items():
        begun = first.get(label_id, label)
        dims = tuple(value or "" for value in view.label_dims(begun))
        if not dims[DIMENSIONS.index("labeler")]:
            continue
        audited = next(view.standing_audits(label_id), None) is not None
        judged = view.verdict(label) if audited else None
        verdict = None if judged is None else _verdict(judged)
        found.append(PlannedLabel(task_id, label_id, begun.time_ms, dims, begun.values, verdict, audited))
    return found


def _verdict(judged: LabelVerdict) -> Verdict:
    technical = judged.wrong and judged.error_code == _TECHNICAL
    return Verdict(judged.wrong, technical, judged.truth, judged.weight_nano / _NANO, judged.assumed)


class FlagRule(NamedTuple):
    """Which decisions flag an item.

    Attributes:
        value: An item is flagged if it is given this value; None takes any value that does not approve.
        approvals: Values that approve, in lower case.
    """

    value: str | None
    approvals: frozenset[str] = KNOWN_APPROVALS

    def flagged(self, decision: str) -> bool:
        """Tell whether a decision flags its item."""
        given = values_of(decision)
        if self.value is not None:
            return self.value in given
        return any(value.casefold() not in self.approvals for value in given)

    def deserved(self, verdict: Verdict | None) -> bool | None:
        """Tell whether an audit says that the item should be flagged; None where nobody said what is right."""
        if verdict is None or verdict.truth == UNKNOWN_TRUTH:
            return None
        return self.flagged(verdict.truth)
