"""Judged labels: each standing label of a task with its audits, its verdict and its appeals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streams.core.detector_evidence import LabelVerdict
from streams.core.facts import AppealDecided, Audit, Fact, Label
from streams.core.policy import DIMENSIONS, Dims
from streams.core.task_view import TaskView

_POLICY = DIMENSIONS.index("policy")
_LABELER = DIMENSIONS.index("labeler")


@dataclass(frozen=True, slots=True)
class JudgedLabel:
    """One standing label.

    Attributes:
        task_id: Its task.
        label: The label, in its latest version.
        dims: Its dimensions, unknown ones taken from the task's creation.
        version: Version of the policy it was decided under, or None.
        verdict: The effective verdict (docs/meaning.md); None while nobody audited it.
        audits: Its standing audits that give a verdict, in log order.
        drawn: The one of them that drew it at random; None where none did.
        opened: Appeals opened about it or its audits.
        decided: Those decided, in log order.
    """

    task_id: str
    label: Label
    dims: Dims
    version: str | None
    verdict: LabelVerdict | None
    audits: tuple[Audit, ...]
    drawn: Audit | None
    opened: int
    decided: tuple[AppealDecided, ...]

    @property
    def policy(self) -> str:
        """The policy, or an empty text where nobody said."""
        return self.dims[_POLICY] or ""

    @property
    def labeler(self) -> str:
        """Who decided."""
        return self.dims[_LABELER] or ""

    @property
    def overturned(self) -> int:
        """How many appeals about it were decided overturned."""
        return sum(appeal.overturned for appeal in self.decided)


def judged_labels(task_id: str, facts: Sequence[Fact]) -> list[JudgedLabel]:
    """Return the standing labels of a task in log order.

    Args:
        task_id: The task.
        facts: Its facts in log order.
    """
    view = TaskView(facts)
    created_version = view.created.policy_version if view.created is not None else None
    found = []
    for label in view.labels.values():
        audits = tuple(audit for audit in view.standing_audits(label.label_id) if type(audit) is Audit)
        sample = view.sample_of(label.label_id)
        found.append(
            JudgedLabel(
                task_id,
                label,
                view.label_dims(label),
                label.policy_version or created_version,
                view.verdict(label),
                audits,
                None if sample is None else next((one for one in audits if one.audit_id == sample.audit_id), None),
                view.disputes(label.label_id)[0],
                _decided(view, label.label_id),
            )
        )
    return found


def _decided(view: TaskView, label_id: str) -> tuple[AppealDecided, ...]:
    """Return the decided appeals that ``TaskView.disputes`` counts for a label."""
    found = []
    for appeal in view.appeals.values():
        if appeal.of_audit:
            held = view.audits.get(appeal.target_id or "")
            about = held[0] if held is not None else appeal.label_id
        else:
            about = appeal.target_id
        if about == label_id:
            found.append(appeal)
    return tuple(found)


def overturned_audit(judged: JudgedLabel, audit: Audit) -> bool:
    """Tell whether the number of overturned appeals against an audit is odd, since each flips its verdict."""
    against = [a for a in judged.decided if a.of_audit and a.target_id == audit.audit_id and a.overturned]
    return len(against) % 2 == 1
