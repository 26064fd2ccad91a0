"""A task as its facts describe it: which labels and audits stand, what was promised, and the effective verdict of each label."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from streams.core import counters as c
from streams.core.detector_evidence import LabelVerdict
from streams.core.facts import (
    AppealDecided,
    AppealOpened,
    Audit,
    AuditWithdrawn,
    Cancelled,
    Created,
    Fact,
    Incomparable,
    Label,
    LabelWithdrawn,
)
from streams.core.grants import permitted_and_foreign
from streams.core.policy import Dims


class TaskView:
    """A task as its facts describe it: a single pass in log order, no clock, no configuration."""

    __slots__ = (
        "appeals",
        "audits",
        "cancelled",
        "created",
        "foreign",
        "labels",
        "opened",
        "samples",
        "withdrawn",
        "withdrawn_audits",
    )

    def __init__(self, facts: Sequence[Fact]) -> None:
        """Read the facts.

        Args:
            facts: The task's facts in log order. Facts that their senders may not send are ignored.
        """
        self.created: Created | None = None
        self.cancelled = False
        self.labels: dict[str, Label] = {}
        self.withdrawn: set[str] = set()
        self.audits: dict[str, tuple[str | None, Audit | Incomparable]] = {}
        self.samples: dict[str, Audit] = {}
        self.withdrawn_audits: set[str] = set()
        self.opened: dict[str, AppealOpened] = {}
        self.appeals: dict[str, AppealDecided] = {}
        counted, self.foreign = permitted_and_foreign(facts)
        for fact in counted:
            kind = type(fact)
            if kind is Label:
                self._label(fact)
            elif kind is Audit or kind is Incomparable:
                self._audit(fact)
            elif kind is Created:
                self.created = fact
            else:
                self._rarer(fact)

    def _label(self, fact: Label) -> None:
        label_id = fact.label_id
        for audit_id, (target, audit) in self.audits.items():
            if target is None:
                self.audits[audit_id] = (label_id, audit)
        if label_id in self.withdrawn:
            return
        # Popped first so that the dict's order is the order of the latest versions.
        self.labels.pop(label_id, None)
        self.labels[label_id] = fact

    def _audit(self, fact: Audit | Incomparable) -> None:
        target = fact.label_id
        if target is None and self.labels:
            target = next(reversed(self.labels))
        self.audits.pop(fact.audit_id, None)
        self.audits[fact.audit_id] = (target, fact)
        if type(fact) is Audit:
            self._draw(fact)

    def _draw(self, fact: Audit) -> None:
        """Note how an audit came to its label. The order of those with a π is that in which they first named one.

        An audit that is sent again without its π was drawn all the same, at the time of its first version. One that said how its label
        was picked, and now says nothing, picked it all the same. A π that the configuration told replaces none that a sender named.
        """
        known = self.samples.get(fact.audit_id)
        if fact.configured and known is not None and known.weight_nano and not known.configured:
            return
        if fact.weight_nano:
            if known is not None:
                fact = msgspec.structs.replace(fact, time_ms=known.time_ms)
                if not known.weight_nano:
                    del self.samples[fact.audit_id]
            self.samples[fact.audit_id] = fact
        elif known is None:
            self.samples[fact.audit_id] = fact
        elif not known.weight_nano and picked(fact):
            self.samples[fact.audit_id] = msgspec.structs.replace(fact, time_ms=known.time_ms)

    def _rarer(self, fact: Fact) -> None:
        match fact:
            case LabelWithdrawn():
                self.withdrawn.add(fact.label_id)
                self.labels.pop(fact.label_id, None)
            case AuditWithdrawn():
                self.withdrawn_audits.add(fact.audit_id)
            case AppealOpened():
                self.opened[fact.appeal_id] = fact
            case AppealDecided():
                self.appeals.pop(fact.appeal_id, None)
                self.appeals[fact.appeal_id] = fact
            case Cancelled():
                self.cancelled = True
            case _:
                pass

    def label_dims(self, label: Label) -> Dims:
        """Return the label's dimensions, each unknown one taken from the task's creation."""
        created = self.created
        if created is None or label.label_id in self.foreign:
            return label.dims
        return merged(label.dims, created.dims)

    @property
    def task_labels(self) -> dict[str, Label]:
        """The standing labels that are part of the task: those that were not there before a bound sender created it."""
        if not self.foreign:
            return self.labels
        return {label_id: label for label_id, label in self.labels.items() if label_id not in self.foreign}

    def foreign_part(self) -> TaskView:
        """Return the labels that are not part of the task, as the task without creation that they were before it."""
        view = TaskView(())
        view.labels = {label_id: label for label_id, label in self.labels.items() if label_id in self.foreign}
        return view

    def completing(self) -> Label | None:
        """Return the label that completed the task: the required-th standing one by (time, log order), or None."""
        required = self.created.required_labels if self.created is not None else 1
        labels = self.task_labels
        if len(labels) < required:
            return None
        if len(labels) == 1:
            return next(iter(labels.values()))
        return sorted(labels.values(), key=lambda label: (label.time_ms, label.offset))[required - 1]

    def promise(self) -> tuple[int | None, int | None]:
        """Return (created_ms, due_ms) as the task's creation says, else as its latest label carrying them says."""
        created_ms = self.created.time_ms if self.created is not None else None
        due_ms = self.created.due_ms if self.created is not None else None
        if created_ms is None or due_ms is None:
            for label in self.task_labels.values():
                if self.created is None and label.created_ms is not None:
                    created_ms = label.created_ms
                if (self.created is None or self.created.due_ms is None) and label.due_ms is not None:
                    due_ms = label.due_ms
        return created_ms, due_ms

    def effective_audit(self, label_id: str) -> Audit | None:
        """Return the label's latest audit in log order that gives a verdict and is not withdrawn."""
        latest = None
        for audit in self.standing_audits(label_id):
            if type(audit) is Audit:
                latest = audit
        return latest

    def standing_audits(self, label_id: str) -> Iterator[Audit | Incomparable]:
        """Yield the audits of a label that are not withdrawn, in log order."""
        for audit_id, (target, audit) in self.audits.items():
            if target == label_id and audit_id not in self.withdrawn_audits:
                yield audit

    def sample_of(self, label_id: str) -> Audit | None:
        """Return the standing audit that drew a label at random, None where none did.

        The first whose π is known; else the earliest of all by its own time, whenever it arrived, if it is assumed to be random. Where
        that one picked the label, what later ones leave unsaid makes no sample of it: they mostly look at it once more. The audit
        says with which weight the label counts (two-phase sampling, Särndal, Swensson and Wretman, Model Assisted Survey Sampling,
        1992, chapter 9).
        """
        first = None
        for audit_id, audit in self.samples.items():
            if audit_id in self.withdrawn_audits or self.audits[audit_id][0] != label_id:
                continue
            if audit.weight_nano:
                return audit
            if first is None or (audit.time_ms, audit_id) < (first.time_ms, first.audit_id):
                first = audit
        return None if first is None or picked(first) else first

    def verdict(self, label: Label) -> LabelVerdict | None:
        """Return the effective verdict of a label, or None while nobody audited it.

        The latest standing audit counts; every overturned appeal against it flips it; an overturned appeal against the
        label makes it incorrect. The weight is that of the audit that drew the label (docs/meaning.md).
        """
        audit = self.effective_audit(label.label_id)
        if audit is None:
            return None
        wrong, error, severity = audit.wrong, audit.error_code, audit.severity_code
        truth = audit.values if audit.values is not None else (c.UNKNOWN_TRUTH if wrong else label.values)
        for appeal in self.appeals.values():
            if appeal.overturned and appeal.of_audit and appeal.target_id == audit.audit_id:
                wrong = not wrong
                error, severity = (appeal.error_code, appeal.severity_code) if wrong else (0, 0)
                truth = c.UNKNOWN_TRUTH if wrong else label.values
        for appeal in self.appeals.values():
            if appeal.overturned and not appeal.of_audit and appeal.target_id == label.label_id:
                if not wrong:
                    truth = c.UNKNOWN_TRUTH
                wrong, error, severity = True, appeal.error_code, appeal.severity_code
        drawn = self.sample_of(label.label_id)
        return LabelVerdict(
            wrong,
            error,
            severity,
            label.values if not wrong else truth,
            0 if drawn is None else drawn.weight_nano,
            audit.gold,
            audit.time_ms if drawn is None else drawn.time_ms,
            drawn is not None and not drawn.weight_nano,
        )

    def disputes(self, label_id: str) -> tuple[int, int, int]:
        """Return (opened, decided, overturned): the appeals about a label or one of its audits, withdrawn or not."""

        def concerns(appeal: AppealOpened | AppealDecided) -> bool:
            if not appeal.of_audit:
                return appeal.target_id == label_id
            held = self.audits.get(appeal.target_id or "")
            return (held[0] if held is not None else appeal.label_id) == label_id

        opened = sum(concerns(appeal) for appeal in self.opened.values())
        decided = [appeal for appeal in self.appeals.values() if concerns(appeal)]
        return opened, len(decided), sum(a.overturned for a in decided)


def picked(audit: Audit) -> bool:
    """Tell whether an audit says that its label is no random draw of the work: it says how it was chosen, and no π, or is planted."""
    return not audit.weight_nano and (audit.gold or not audit.assumed)


def merged(dims: Dims, others: Dims) -> Dims:
    """Return dims with each unknown dimension taken from others."""
    return tuple([mine if mine is not None else its for mine, its in zip(dims, others, strict=True)])


def first_verdict(label: Label, audit: Audit) -> LabelVerdict:
    """Return the verdict of the first audit of a task whose only fact is the label it is of.

    Equal, by test, to ``TaskView.verdict``.
    """
    wrong = audit.wrong
    truth = (audit.values if audit.values is not None else c.UNKNOWN_TRUTH) if wrong else label.values
    return LabelVerdict(
        wrong,
        audit.error_code,
        audit.severity_code,
        truth,
        audit.weight_nano,
        audit.gold,
        audit.time_ms,
        not audit.weight_nano and not picked(audit),
    )
