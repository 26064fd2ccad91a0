"""Which facts of a task count: those that their senders may send (docs/security.md has the rules as a table).

A stamp on an event names its sender and the dimensions that sender is bound to (``streams.models.grants``). Here it is
compared with what the fact is about. ``judge`` is a pure function of a task's facts: a withdrawal that comes before its
label waits, and is judged when the label is there. Refused and waiting facts count for nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from streams.core.facts import (
    AppealDecided,
    AppealOpened,
    Audit,
    AuditWithdrawn,
    Cancelled,
    Claimed,
    Created,
    Fact,
    Incomparable,
    Label,
    Roster,
)
from streams.core.label_rights import LabelRights, Versions
from streams.core.policy import DIMENSIONS, Dims
from streams.core.sender_bounds import Grant, audited_text, grant_of, refusal_text
from streams.models.events import ShiftScheduled, ShiftScheduledData

_decode_shift: Any = msgspec.msgpack.Decoder(ShiftScheduledData).decode


class Judgement(NamedTuple):
    """Which of a task's facts count.

    Attributes:
        permitted: The facts that count, in log order.
        refused: By offset, why a fact does not count.
        foreign: Labels that were there before the task's creation, by a bound sender who is not the creator: they count by
            themselves and are not part of the task.
    """

    permitted: Sequence[Fact]
    refused: dict[int, str]
    foreign: frozenset[str] = frozenset()


def permitted(facts: Sequence[Any]) -> Sequence[Any]:
    """Return the facts of a task that count, in log order: all of them where no sender is bound.

    Args:
        facts: Facts of one task, or one roster, in log order.
    """
    return permitted_and_foreign(facts)[0]


def permitted_and_foreign(facts: Sequence[Any]) -> tuple[Sequence[Any], frozenset[str]]:
    """Return the facts of a task that count, and which labels are not part of it (``Judgement``).

    Args:
        facts: Facts of one task, or one roster, in log order.
    """
    for fact in facts:
        if fact.grant is not None:
            judged = judge(facts)
            return judged.permitted, judged.foreign
    return facts, frozenset()


def judge(facts: Sequence[Fact]) -> Judgement:
    """Return which facts of a task count and why others do not.

    Args:
        facts: Facts of one task, or one roster, in log order.
    """
    return _Bench(facts).judgement()


def newly_refused(known: Sequence[Fact], fact: Fact) -> list[tuple[Fact, str]]:
    """Return the facts that are refused because of a further fact, each with the reason.

    Args:
        known: A task's facts before it, in log order.
        fact: The further one; it may be refused itself, or be what a refused one waited for.
    """
    facts = [*known, fact]
    before = judge(known).refused
    refused = judge(facts).refused
    return [(one, refused[one.offset]) for one in facts if one.offset in refused and one.offset not in before]


class _Bench:
    """Judges facts in four passes: creations, labels, audits, and everything about these."""

    def __init__(self, facts: Sequence[Any]) -> None:
        self._facts = facts
        self._refused: dict[int, str] = {}
        self._waiting: set[int] = set()
        self._created: Created | None = None
        self._foreign: frozenset[str] = frozenset()
        self._rights = LabelRights(None)
        self._labels: list[Label] = []
        self._versions = Versions()
        self._audits = Versions()
        self._latest: dict[tuple[type, str], Any] = {}

    def judgement(self) -> Judgement:
        self._creations()
        rights = self._rights = LabelRights(self._created, self._foreign).read(self._facts)
        self._labels, self._versions = rights.labels, rights.versions
        self._refused.update(rights.refused)
        self._waiting |= rights.waiting
        for fact in self._facts:
            if type(fact) in (Audit, Incomparable) and self._passes(fact, self._about_audit):
                self._audits.add(fact.audit_id, fact)
        for fact in self._facts:
            rule = _RULES.get(type(fact))
            if rule is not None and self._passes(fact, lambda grant, said, rule=rule: rule(self, grant, said)):
                self._latest[_name(fact)] = fact
        kept = [f for f in self._facts if f.offset not in self._refused and f.offset not in self._waiting]
        return Judgement(kept, self._refused, self._foreign)

    def _passes(self, fact: Any, rule: Any) -> bool:
        """Check a fact by its rule. True if it counts."""
        if fact.grant is None:
            return True
        found = rule(grant_of(fact.grant), fact)
        if found is None:
            return True
        if found is _WAITS:
            self._waiting.add(fact.offset)
        else:
            self._refused[fact.offset] = found if isinstance(found, _Told) else refusal_text(fact, found)
        return False

    # -- creations and labels --------------------------------------------------------------------------------------

    def _creations(self) -> None:
        """Find the creation in force. A bound sender creates no task that somebody else created or labelled before."""
        for at, fact in enumerate(self._facts):
            if type(fact) is Created and self._passes(fact, lambda grant, made, at=at: self._creation(grant, made, at)):
                self._created = fact
                if fact.grant is None:
                    self._foreign = frozenset()  # who may do everything says whose the task is

    def _creation(self, grant: Grant, fact: Created, at: int) -> str | None:
        known = self._created
        own = grant.excludes(fact.dims)
        if own is not None:
            return f"it names {own}"
        if known is not None and (found := grant.uncovered(known.dims, known.grant)) is not None:
            return f"the task has {found}"
        rights = LabelRights(known, self._foreign).read(self._facts[:at])
        foreign = set(self._foreign)
        for label in rights.labels:
            found = None if label.label_id in self._foreign else grant.uncovered(rights.dims(label), label.grant)
            if found is not None and (known is not None or not _by_bound_vendor(label)):
                return f"the task's label {label.label_id!r} has {found}"
            if found is not None:
                foreign.add(label.label_id)
        moved = None if grant.reviewer else rights.moved(fact)
        if moved is None:
            self._foreign = frozenset(foreign)
            return None
        return _Told(audited_text(fact, f"label {moved[1]!r} has its {moved[0]} from the task", moved[2]))

    # -- what is said of a label -----------------------------------------------------------------------------------

    def _about_label(self, grant: Grant, label_id: str | None, offset: int) -> Any:
        label = self._versions.at(label_id, offset)
        if label is None:
            return _WAITS
        found = grant.uncovered(self._rights.dims(label), label.grant)
        return None if found is None else f"label {label_id!r} has {found}"

    def _about_audit(self, grant: Grant, audit: Audit | Incomparable) -> Any:
        if audit.label_id is None:
            return "it names no label"
        earlier = self._audits.at(audit.audit_id, audit.offset)
        found = None if earlier is None else self._of_audit(grant, earlier)
        return found if found is not None else self._about_label(grant, audit.label_id, audit.offset)

    def _of_audit(self, grant: Grant, audit: Audit | Incomparable) -> Any:
        """Check a grant for an audit: it must be the sender's own or of a label that the grant covers."""
        if audit.grant is not None and grant_of(audit.grant).sender == grant.sender:
            return None
        if audit.label_id is not None:
            return self._about_label(grant, audit.label_id, audit.offset)
        for label in self._labels:  # of the task's latest label, whichever that is
            if (found := grant.uncovered(self._rights.dims(label), label.grant)) is not None:
                return f"label {label.label_id!r} has {found}"
        return None if self._labels else _WAITS

    # -- rules of the last pass ------------------------------------------------------------------------------------

    def audit_withdrawn(self, grant: Grant, fact: AuditWithdrawn) -> Any:
        audit = self._audits.at(fact.audit_id, fact.offset)
        return _WAITS if audit is None else self._of_audit(grant, audit)

    def appeal(self, grant: Grant, fact: AppealOpened | AppealDecided) -> Any:
        earlier = self._latest.get(_name(fact))
        found = None if earlier is None else self._appealed(grant, earlier)
        return found if found is not None else self._appealed(grant, fact)

    def _appealed(self, grant: Grant, fact: AppealOpened | AppealDecided) -> Any:
        audit = self._audits.at(fact.target_id, fact.offset) if fact.of_audit else None
        if audit is None:
            return self._about_label(grant, fact.label_id if fact.of_audit else fact.target_id, fact.offset)
        if audit.label_id is not None:
            return self._about_label(grant, audit.label_id, audit.offset)
        return self._of_audit(grant, audit)

    def cancelled(self, grant: Grant, fact: Cancelled) -> Any:  # noqa: ARG002 -- one signature for all rules
        created = self._created
        if created is not None:
            found = grant.uncovered(created.dims, created.grant)
            return None if found is None else f"the task has {found}"
        for label in self._labels:
            if (found := grant.uncovered(label.dims, label.grant)) is not None:
                return f"the task's label {label.label_id!r} has {found}"
        return None if self._labels else _WAITS

    def claimed(self, grant: Grant, fact: Claimed) -> Any:  # noqa: ARG002 -- one signature for all rules
        found = None if self._created is None else grant.excludes(self._created.dims)
        return None if found is None else f"the task has {found}"

    def roster(self, grant: Grant, fact: Roster) -> Any:
        if fact.kind != ShiftScheduled.__name__:
            return None  # a break names only a labeler, which was checked when it came
        data = _decode_shift(fact.data)
        dims = _shift_dims(data)
        if (own := grant.excludes(dims)) is not None:
            return f"it names {own}"
        earlier = self._latest.get(_name(fact))
        if earlier is None:
            return None
        found = grant.uncovered(_shift_dims(_decode_shift(earlier.data)), earlier.grant)
        return None if found is None else f"shift {data.shift_id!r} was sent before and has {found}"


def _by_bound_vendor(label: Label) -> bool:
    """Tell whether a label is by a bound sender that is not a reviewer: it holds up nobody's creation of the task."""
    return label.grant is not None and not grant_of(label.grant).reviewer


class _Told(str):
    """A refusal that is a whole sentence."""

    __slots__ = ()


_WAITS = object()
"""The fact is about something that has not come yet."""

_RULES: dict[type, Any] = {
    AuditWithdrawn: _Bench.audit_withdrawn,
    AppealOpened: _Bench.appeal,
    AppealDecided: _Bench.appeal,
    Cancelled: _Bench.cancelled,
    Claimed: _Bench.claimed,
    Roster: _Bench.roster,
}


def _shift_dims(data: ShiftScheduledData) -> Dims:
    return tuple([getattr(data, name, None) for name in DIMENSIONS])


def _name(fact: Any) -> tuple[type, str]:
    """Return what a later fact may replace: an appeal, a decision or a shift; other facts replace nothing here."""
    if type(fact) is Roster and fact.kind == ShiftScheduled.__name__:
        return Roster, _decode_shift(fact.data).shift_id
    return type(fact), getattr(fact, "appeal_id", "")
