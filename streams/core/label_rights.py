"""Which versions and withdrawals of a task's labels count when senders are bound.

Once a label has been audited, a bound sender that is not a reviewer can no longer change it. So a vendor cannot remove
its wrong labels from the numbers. What an event may change depends only on what stands before it in the log, so later
events change no earlier decision.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from streams.core.facts import Audit, AuditWithdrawn, Created, Fact, Incomparable, Label, LabelWithdrawn
from streams.core.policy import DIMENSIONS, Dims
from streams.core.sender_bounds import Grant, audited_text, grant_of, refusal_text


def label_dims(label: Label, created: Created | None) -> Dims:
    """Return a label's dimensions, each unknown one taken from its task's creation."""
    if created is None:
        return label.dims
    return tuple([mine if mine is not None else its for mine, its in zip(label.dims, created.dims, strict=True)])


class Versions:
    """Things by id, each in all its versions in log order."""

    def __init__(self) -> None:
        """Start empty."""
        self._held: dict[str, tuple[list[int], list[Any]]] = {}

    def add(self, name: str, thing: Any) -> None:
        """Add the next version of a thing."""
        offsets, things = self._held.setdefault(name, ([], []))
        offsets.append(thing.offset)
        things.append(thing)

    def at(self, name: str | None, offset: int) -> Any:
        """Return the version that stood before an offset, else the first one after it, else None."""
        found = self._held.get(name or "")
        if found is None:
            return None
        offsets, things = found
        return things[max(0, bisect_left(offsets, offset) - 1)]

    def last(self, name: str) -> Any:
        """Return the latest version, None without one."""
        found = self._held.get(name)
        return None if found is None else found[1][-1]


class LabelRights:
    """Labels and their withdrawals, read in log order.

    Attributes:
        labels: The versions that count, in log order.
        versions: The same by label id.
        refused: By offset, why a version or a withdrawal does not count.
        waiting: Offsets of withdrawals whose label is not there yet.
    """

    def __init__(self, created: Created | None, foreign: frozenset[str] = frozenset()) -> None:
        """Start without any.

        Args:
            created: The creation of the task that is in force.
            foreign: Labels that were there before it and are not part of the task.
        """
        self._created, self._foreign = created, foreign
        self.labels: list[Label] = []
        self.versions = Versions()
        self.refused: dict[int, str] = {}
        self.waiting: set[int] = set()
        self._standing: dict[str, None] = {}
        self._withdrawn: set[str] = set()
        self._early: dict[str, list[LabelWithdrawn]] = {}
        self._audits: list[tuple[Audit | Incomparable, str | None]] = []
        self._of_no_label: list[int] = []
        self._audits_withdrawn: list[AuditWithdrawn] = []

    def creation_of(self, label: Label) -> Created | None:
        """Return the creation that a label takes dimensions from."""
        return None if label.label_id in self._foreign else self._created

    def dims(self, label: Label) -> Dims:
        """Return a label's dimensions, each unknown one taken from its task's creation."""
        return label_dims(label, self.creation_of(label))

    def read(self, facts: Sequence[Fact]) -> LabelRights:
        """Read a task's facts.

        Args:
            facts: In log order; those that are about no label are passed over.
        """
        for fact in facts:
            match fact:
                case Label():
                    self._label(fact)
                case LabelWithdrawn():
                    self._label_withdrawn(fact)
                case Audit() | Incomparable():
                    self._audit(fact)
                case AuditWithdrawn():
                    self._audits_withdrawn.append(fact)
                case _:
                    pass
        return self

    def audit_of(self, label_id: str, offset: int) -> str | None:
        """Return the id of an audit of a label that stood before an offset, None without one.

        Args:
            label_id: A label that is there.
            offset: Place in the log.
        """
        latest: dict[str, tuple[Audit | Incomparable, str | None]] = {}
        for audit, target in self._audits:
            if audit.offset < offset and self._may_judge(audit, target):
                latest[audit.audit_id] = audit, target
        for audit_id, (audit, target) in latest.items():
            if target == label_id and not self._is_withdrawn(audit, offset):
                return audit_id
        return None

    def moved(self, made: Created) -> tuple[str, str, str] | None:
        """Return a dimension that audited labels would lose by another creation of their task.

        Args:
            made: A creation after all that has been read.

        Returns:
            The dimension, the label and its audit; None where audited labels stay where they are.
        """
        if self._created is None:
            return None
        for label_id in {label.label_id: None for label in self.labels}:
            label = self.versions.last(label_id)
            lost = None if label_id in self._foreign else _lost(self.dims(label), label_dims(label, made))
            if lost is not None and (audit_id := self.audit_of(label_id, made.offset)) is not None:
                return lost, label_id, audit_id
        return None

    def _label(self, label: Label) -> None:
        label_id, before = label.label_id, self.versions.last(label.label_id)
        if label.grant is not None:
            grant = grant_of(label.grant)
            fault = self._label_fault(grant, label, before)
            why = refusal_text(label, fault) if fault is not None else self._audited_change(grant, label, before)
            if why is not None:
                self.refused[label.offset] = why
                return
        self.versions.add(label_id, label)
        self.labels.append(label)
        for at in self._of_no_label:
            self._audits[at] = self._audits[at][0], label_id
        self._of_no_label.clear()
        if label_id not in self._withdrawn:
            self._standing.pop(label_id, None)
            self._standing[label_id] = None
        for early in self._early.pop(label_id, ()):
            self.waiting.discard(early.offset)
            self._judge_withdrawal(early, label)

    def _audit(self, fact: Audit | Incomparable) -> None:
        """Note an audit: of the label it names, else of the latest that stands, else of the first one after it."""
        target = fact.label_id
        if target is None and fact.grant is None:
            target = next(reversed(self._standing), None)
            if target is None:
                self._of_no_label.append(len(self._audits))
        self._audits.append((fact, target))

    def _label_withdrawn(self, fact: LabelWithdrawn) -> None:
        label = self.versions.at(fact.label_id, fact.offset)
        if fact.grant is None or label is not None:
            self._judge_withdrawal(fact, label)
        else:
            self.waiting.add(fact.offset)
            self._early.setdefault(fact.label_id, []).append(fact)

    def _judge_withdrawal(self, fact: LabelWithdrawn, label: Label) -> None:
        label_id = fact.label_id
        if fact.grant is not None:
            grant = grant_of(fact.grant)
            found = grant.uncovered(self.dims(label), label.grant)
            audit_id = None if grant.reviewer else self.audit_of(label_id, fact.offset)
            if found is not None:
                self.refused[fact.offset] = refusal_text(fact, f"label {label_id!r} has {found}")
                return
            if audit_id is not None:
                self.refused[fact.offset] = audited_text(fact, f"label {label_id!r} may not be withdrawn", audit_id)
                return
        self._withdrawn.add(label_id)
        self._standing.pop(label_id, None)

    def _label_fault(self, grant: Grant, label: Label, before: Label | None) -> str | None:
        """Return why a label does not count: the label, its task or its former version belongs to somebody else."""
        created = self.creation_of(label)
        own = grant.excludes(label.dims)
        if own is not None:
            return f"it names {own}"
        if created is not None and (found := grant.excludes(created.dims)) is not None:
            return f"the task has {found}"
        if before is not None and (found := grant.uncovered(self.dims(before), before.grant)) is not None:
            return f"label {label.label_id!r} was sent before and has {found}"
        return None

    def _audited_change(self, grant: Grant, label: Label, before: Label | None) -> str | None:
        """Return why a version may not replace an audited one: it changes something that audits are counted by."""
        if before is None or grant.reviewer:
            return None
        name = _lost(self.dims(before), self.dims(label))
        for one in ("time_ms", "values", "policy_version"):
            if getattr(label, one) != getattr(before, one):
                name = one.removesuffix("_ms")
        audit_id = None if name is None else self.audit_of(label.label_id, label.offset)
        if audit_id is None:
            return None
        return audited_text(label, f"the {name} of label {label.label_id!r} may not change", audit_id)

    def _may_judge(self, audit: Audit | Incomparable, target: str | None) -> bool:
        if audit.grant is None:
            return True
        label = None if audit.label_id is None else self.versions.at(target, audit.offset)
        return label is not None and grant_of(audit.grant).uncovered(self.dims(label), label.grant) is None

    def _is_withdrawn(self, audit: Audit | Incomparable, offset: int) -> bool:
        """Tell whether an audit was withdrawn before an offset by a sender with that right."""
        for fact in self._audits_withdrawn:
            if fact.audit_id != audit.audit_id or fact.offset >= offset:
                continue
            if fact.grant is None or self._may_withdraw(grant_of(fact.grant), audit):
                return True
        return False

    def _may_withdraw(self, grant: Grant, audit: Audit | Incomparable) -> bool:
        if audit.grant is not None and grant_of(audit.grant).sender == grant.sender:
            return True
        target = next((target for one, target in self._audits if one is audit), None)
        label = self.versions.at(target, audit.offset)
        return label is not None and grant.uncovered(self.dims(label), label.grant) is None


def _lost(before: Dims, after: Dims) -> str | None:
    """Return the first dimension that was known and is now unknown or different."""
    for name, old, new in zip(DIMENSIONS, before, after, strict=True):
        if old is not None and new != old:
            return name
    return None
