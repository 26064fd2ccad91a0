"""What a task's facts contribute to the tables: the one place where the meaning of events becomes numbers.

``contributions(facts, watermark)`` is a pure function from a task's facts to *groups*: one group is one dimension
tuple, one point in time and the counters counted there. An event's effect is the difference between the groups with it
and the groups without it, so duplicates, corrections and withdrawals need no separate code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from streams.core import counters as c
from streams.core.detector_evidence import DetectorEvidence, detector_evidence_of
from streams.core.detector_evidence import LabelVerdict as LabelVerdict  # noqa: PLC0414 -- also known from here
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
from streams.core.overlap import overlap
from streams.core.policy import Dims
from streams.core.roster.scheduled import scheduled


class Group(NamedTuple):
    """Counters counted at one dimension tuple and one time; ``counters`` is flat: counter, amount, counter, amount, ..."""

    dims: Dims
    time_ms: int
    counters: tuple[c.Counter, ...]
    evidence: DetectorEvidence | None = None


Groups = dict[str, Group]
"""Groups by a name unique within the task: ``label:ID``, ``audit:ID``, ``overlap``, ``shift:…``, ``due``, ``turn``, ``open``."""

OPEN_GROUP = "open"

FOREIGN_PREFIX = "foreign:"
"""Begins the names of what labels count for together that are not part of the task as it was created."""


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

    def _audit_of(self, label_id: str) -> Audit | None:
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

    def verdict(self, label: Label) -> LabelVerdict | None:
        """Return the effective verdict of a label, or None while nobody audited it.

        The latest standing audit counts; every overturned appeal against it flips it; an overturned appeal against the
        label makes it incorrect (docs/meaning.md).
        """
        audit = self._audit_of(label.label_id)
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
        return LabelVerdict(
            wrong, error, severity, label.values if not wrong else truth, audit.weight_nano, audit.gold, audit.time_ms
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


def label_counters(label: Label) -> tuple[c.Counter, ...]:
    """Return what one standing label counts for, before anybody audits it (flat counters)."""
    started_ms = label.started_ms
    labeler = c.LABELER_PREFIX + (label.dims[7] or "")
    if started_ms is None:
        base: tuple[c.Counter, ...] = (c.LABELS, 1, labeler, 1)
    else:
        handle_ms = label.time_ms - started_ms
        bucket = c.HANDLE_HISTOGRAM + c.bucket(handle_ms)
        base = (c.LABELS, 1, labeler, 1, c.HANDLED, 1, c.HANDLE_MS, handle_ms, bucket, 1)
    if label.active_ms is None:
        return base
    return (*base, c.ACTIVE_TIMED, 1, c.ACTIVE_MS, label.active_ms)


def verdict_counters(task_id: str, label: Label, verdict: LabelVerdict) -> tuple[c.Counter, ...]:
    """Return what the effective verdict of a label counts for (flat counters)."""
    found = decision_counters(label.values, verdict)
    return (*found, c.EXAMPLE_PREFIX + task_id, 1) if verdict.wrong else found


def decision_counters(values: str, verdict: LabelVerdict) -> tuple[c.Counter, ...]:
    """Return what a verdict on a decision counts for in any task (flat counters)."""
    found: list[c.Counter] = [c.AUDITED, 1]
    right = not verdict.wrong
    technical = verdict.wrong and c.WRONG_UNSPECIFIED + verdict.error_code == c.WRONG_TECHNICAL
    if right:
        found += [c.CORRECT, 1]
    else:
        found += [c.WRONG_UNSPECIFIED + verdict.error_code, 1, c.SEVERITY_UNSPECIFIED + verdict.severity_code, 1]
    if verdict.weight_nano:
        found += [c.WEIGHT_NANO, verdict.weight_nano]
        if right:
            found += [c.WEIGHT_CORRECT_NANO, verdict.weight_nano]
        elif technical:
            found += [c.WEIGHT_TECHNICAL_NANO, verdict.weight_nano]
    else:
        found += [c.TARGETED, 1]
        if right or technical:
            found += [c.TARGETED_CORRECT if right else c.TARGETED_TECHNICAL, 1]
    if verdict.gold:
        found += [c.GOLD, 1]
        if right:
            found += [c.GOLD_CORRECT, 1]
    if not values:  # a label without values has no decision, so it is in no confusion pair
        return tuple(found)
    pair = f"{c.short(values)}{c.PAIR_SEPARATOR}{c.short(verdict.truth)}"
    found += [c.CONFUSION_PREFIX + pair, 1]
    if verdict.weight_nano:
        found += [c.CONFUSION_WEIGHT_PREFIX + pair, verdict.weight_nano]
    return tuple(found)


def contributions(task_id: str, facts: Sequence[Fact], watermark_ms: int) -> Groups:
    """Return everything a task contributes to the tables.

    Args:
        task_id: The task, named in examples of wrong labels.
        facts: Its facts in log order; a prefix gives the task as it was before an offset.
        watermark_ms: The partition's watermark; an open task due at or before it is overdue.

    Returns:
        Groups by name. The sum over all tasks of these groups is every table.
    """
    view = TaskView(facts)
    groups: Groups = {}
    for label_id, label in view.labels.items():
        dims = view.label_dims(label)
        groups["label:" + label_id] = Group(dims, label.time_ms, label_counters(label))
        if view.audits or view.appeals or view.opened:
            verdict = view.verdict(label)
            judged = _judged(task_id, view, label, verdict)
            if judged:
                evidence = None if verdict is None else detector_evidence_of(dims, verdict)
                groups["audit:" + label_id] = Group(dims, label.time_ms, judged, evidence)
    if not view.labels and view.created is None:  # the subject of shifts is not a task
        for name, dims, time_ms, amount_ms in scheduled(facts):
            groups[name] = Group(dims, time_ms, (c.SCHEDULED_MS, amount_ms))
    _task_groups(view, watermark_ms, groups)
    if view.foreign:
        apart: Groups = {}
        _task_groups(view.foreign_part(), watermark_ms, apart)
        groups.update({FOREIGN_PREFIX + name: group for name, group in apart.items()})
    return groups


def _task_groups(view: TaskView, watermark_ms: int, groups: Groups) -> None:
    """Add what the labels of a task count for together: their overlap and the task's place in the SLA table."""
    labels = list(view.task_labels.values())
    if len(labels) > 1:
        shared = overlap(labels, [view.label_dims(label) for label in labels])
        if shared is not None:
            groups["overlap"] = Group(*shared)
    _promise_groups(view, watermark_ms, groups)


def _judged(task_id: str, view: TaskView, label: Label, verdict: LabelVerdict | None) -> tuple[c.Counter, ...]:
    found = verdict_counters(task_id, label, verdict) if verdict is not None else ()
    counts = view.disputes(label.label_id)
    for counter, count in zip((c.APPEALS_OPENED, c.APPEALS_DECIDED, c.APPEALS_OVERTURNED), counts, strict=True):
        if count:
            found = (*found, counter, count)
    if verdict is None and any(view.standing_audits(label.label_id)):
        found = (*found, c.INCOMPARABLE, 1)
    return found


def _promise_groups(view: TaskView, watermark_ms: int, groups: Groups) -> None:
    """Add what the task counts for in the SLA table: its promise, its turn-around, its place in the backlog."""
    created_ms, due_ms = view.promise()
    done = view.completing()
    dims = _task_dims(view, done)
    promised = created_ms is not None and due_ms is not None
    if view.cancelled:
        if promised and due_ms is not None:
            groups["due"] = Group(dims, due_ms, (c.CANCELLED, 1))
        return
    if promised and due_ms is not None:
        if done is not None:
            outcome = c.MET if done.time_ms <= due_ms else c.LATE
            groups["due"] = Group(dims, due_ms, (c.DUE, 1, outcome, 1))
        elif due_ms <= watermark_ms:
            groups["due"] = Group(dims, due_ms, (c.DUE, 1, c.OVERDUE, 1))
        else:
            groups["due"] = Group(dims, due_ms, (c.DUE, 1))
    if done is not None:
        groups["turn"] = Group(dims, done.time_ms, turnaround_counters(created_ms, done.time_ms, promised=promised))
    elif created_ms is not None and view.created is not None:
        groups[OPEN_GROUP] = Group(dims, created_ms, (c.OPEN, 1))


def _task_dims(view: TaskView, done: Label | None) -> Dims:
    created = view.created
    if created is None:
        label = done if done is not None else next(reversed(view.labels.values()), None)
        return label.dims if label is not None else (None,) * 8
    if done is None:
        return created.dims
    return merged(created.dims, done.dims)


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
        wrong, audit.error_code, audit.severity_code, truth, audit.weight_nano, audit.gold, audit.time_ms
    )


def turnaround_counters(created_ms: int | None, completed_ms: int, *, promised: bool) -> tuple[c.Counter, ...]:
    """Return what a completed task counts for at its completion (flat counters)."""
    found: tuple[c.Counter, ...] = (c.COMPLETED, 1)
    if not promised:
        found = (*found, c.NO_SLA, 1)
    if created_ms is not None:
        # Negative where tools' clocks differ. It is added to the sum as it is, and counts as 0 in the histogram.
        turn_ms = completed_ms - created_ms
        found = (*found, c.TURNED, 1, c.TURN_MS, turn_ms, c.TURN_HISTOGRAM + c.bucket(turn_ms), 1)
    return found
