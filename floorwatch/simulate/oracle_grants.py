"""Whose word counts: the table of docs/security.md a second time, by questions over all facts of a task.

A bound sender (``floorwatchgrant`` on its events) may speak of what is its own. Nothing is shared with ``streams.core``.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus

from floorwatch.simulate.oracle_read import Fact

_OF_SHIFTS = ("site", "vendor", "team", "queue")
_DIMENSIONS = (*_OF_SHIFTS, "market")

Dims = dict[str, str | None]


def counted(facts: list[Fact]) -> tuple[list[Fact], set[str]]:
    """The facts of a task that their senders may say, in log order, and the labels that are not part of the task."""
    if all(fact.grant is None for fact in facts):
        return facts, set()
    rights = Rights(facts)
    return rights.counted(), rights.foreign


class Bound:
    """A sender that is bound to values of dimensions."""

    def __init__(self, grant: str) -> None:
        sender, _, rest = grant.partition("?")
        self.sender = unquote_plus(sender)
        self.values: dict[str, set[str]] = {}
        for part in filter(None, rest.split("&")):
            name, _, value = part.partition("=")
            self.values.setdefault(unquote_plus(name), set()).add(unquote_plus(value))
        self.may_change_audited = self.values.get("reviewer") != {"no"}
        if not self.may_change_audited:
            del self.values["reviewer"]

    def contradicts(self, dims: Dims) -> bool:
        """Whether something known of a thing is somebody else's."""
        return any(dims.get(name) is not None and dims[name] not in held for name, held in self.values.items())

    def owns(self, dims: Dims, maker: Fact) -> bool:
        """Whether all of a thing is the sender's; what nobody said is, where the sender made the thing."""
        mine = maker.grant is not None and Bound(maker.grant).sender == self.sender
        return all(mine if dims.get(name) is None else dims[name] in held for name, held in self.values.items())


class Rights:
    """The questions."""

    def __init__(self, facts: list[Fact]) -> None:
        self.facts = facts
        self._known: dict[int, bool] = {}
        self.created = self._creation_in_force(len(facts))
        self.foreign = self._foreign(len(facts))
        self.labels = self._labels(facts, self.created, self.foreign)
        self.audits: list[Fact] = []
        for audit in self._of("audit.completed"):
            if self._audit_counts(audit):
                self.audits.append(audit)

    def counted(self) -> list[Fact]:
        """The facts that count."""
        creations = [
            fact for at, fact in enumerate(self.facts) if self._is(fact, "task.created") and self._may_create(at)
        ]
        found: list[Fact] = []
        for fact in self.facts:
            kind = fact.kind
            if kind == "task.created":
                good = fact in creations
            elif kind == "label.submitted":
                good = fact in self.labels
            elif kind == "audit.completed":
                good = fact in self.audits
            else:
                good = fact.grant is None or self._rest_counts(fact, found)
            if good:
                found.append(fact)
        return found

    @staticmethod
    def _is(fact: Fact, kind: str) -> bool:
        return fact.kind == kind

    def _of(self, kind: str) -> list[Fact]:
        return [fact for fact in self.facts if fact.kind == kind]

    def _creation_in_force(self, upto: int) -> Fact | None:
        """The latest task.created that counts among the first ``upto`` facts."""
        for at in reversed(range(upto)):
            if self._is(self.facts[at], "task.created") and self._may_create(at):
                return self.facts[at]
        return None

    def _foreign(self, upto: int) -> set[str]:
        """The labels that a bound sender's creation found there and that belong to other bound vendors."""
        found: set[str] = set()
        first = True
        for at in range(upto):
            fact = self.facts[at]
            if not self._is(fact, "task.created") or not self._may_create(at):
                continue
            if fact.grant is None:
                found = set()
            elif first:
                labels = self._labels(self.facts[:at], None, set())
                found = {one.data["label_id"] for one in labels if not Bound(fact.grant).owns(_dims(one), one)}
            first = False
        return found

    def _may_create(self, at: int) -> bool:
        if at not in self._known:
            self._known[at] = self._creation_counts(at)
        return self._known[at]

    def _creation_counts(self, at: int) -> bool:
        fact = self.facts[at]
        if fact.grant is None:
            return True
        bound, former = Bound(fact.grant), self._creation_in_force(at)
        if bound.contradicts(_dims(fact)) or (former is not None and not bound.owns(_dims(former), former)):
            return False
        foreign = self._foreign(at)
        labels = self._labels(self.facts[:at], former, foreign)
        for label in labels:
            if label.data["label_id"] in foreign or bound.owns(_dims(label, former), label):
                continue
            if former is not None or label.grant is None or Bound(label.grant).may_change_audited:
                return False
        if bound.may_change_audited or former is None:
            return True
        audits = AuditsBefore(self.facts[:at], former, labels, foreign)
        return not any(
            _takes_out(_all_dims(label, former), _all_dims(label, fact))
            and audits.stands_on(label.data["label_id"], fact.place)
            for label in {label.data["label_id"]: label for label in labels}.values()
            if label.data["label_id"] not in foreign
        )

    @staticmethod
    def _labels(facts: list[Fact], in_force: Fact | None, foreign: set[str]) -> list[Fact]:
        """The versions of labels that count under a creation."""
        found: list[Fact] = []
        audits = AuditsBefore(facts, in_force, found, foreign)
        for label in facts:
            if label.kind != "label.submitted":
                continue
            created = None if label.data["label_id"] in foreign else in_force
            if label.grant is not None:
                bound = Bound(label.grant)
                if bound.contradicts(_dims(label)) or (created is not None and bound.contradicts(_dims(created))):
                    continue
                former = [one for one in found if one.data["label_id"] == label.data["label_id"]]
                if former and not bound.owns(_dims(former[-1], created), former[-1]):
                    continue
                else_said = bool(former) and _says_else(former[-1], label, created)
                if (
                    else_said
                    and not bound.may_change_audited
                    and audits.stands_on(former[-1].data["label_id"], label.place)
                ):
                    continue
            found.append(label)
        return found

    def _owns_label(self, bound: Bound, label_id: str | None, place: int) -> bool:
        versions = [label for label in self.labels if label.data["label_id"] == label_id]
        label = _at(versions, place)
        return label is not None and bound.owns(self._dims_of(label), label)

    def _dims_of(self, label: Fact) -> Dims:
        return _dims(label) if label.data["label_id"] in self.foreign else _dims(label, self.created)

    def _audit_counts(self, audit: Fact) -> bool:
        if audit.grant is None:
            return True
        bound = Bound(audit.grant)
        former = [one for one in self.audits if one.data["audit_id"] == audit.data["audit_id"]]
        if former and not self._owns_audit(bound, former[-1]):
            return False
        return audit.data["label_id"] is not None and self._owns_label(bound, audit.data["label_id"], audit.place)

    def _owns_audit(self, bound: Bound, audit: Fact) -> bool:
        if audit.grant is not None and Bound(audit.grant).sender == bound.sender:
            return True
        if audit.data["label_id"] is not None:
            return self._owns_label(bound, audit.data["label_id"], audit.place)
        return bool(self.labels) and all(bound.owns(self._dims_of(label), label) for label in self.labels)

    def _rest_counts(self, fact: Fact, before: list[Fact]) -> bool:
        """Whether a bound sender's withdrawal, appeal, claim, cancellation, shift or break counts."""
        assert fact.grant is not None
        bound, data = Bound(fact.grant), fact.data
        if fact.kind == "label.withdrawn":
            return AuditsBefore(self.facts, self.created, self.labels, self.foreign).may_withdraw_label(fact)
        if fact.kind == "audit.withdrawn":
            audit = _at([one for one in self.audits if one.data["audit_id"] == data["audit_id"]], fact.place)
            return audit is not None and self._owns_audit(bound, audit)
        if fact.kind in ("appeal.opened", "appeal.decided"):
            same = [one for one in before if one.kind == fact.kind and one.data["appeal_id"] == data["appeal_id"]]
            return all(self._owns_appealed(bound, one) for one in (*same[-1:], fact))
        if fact.kind == "task.cancelled":
            if self.created is not None:
                return bound.owns(_dims(self.created), self.created)
            return bool(self.labels) and all(bound.owns(_dims(label), label) for label in self.labels)
        if fact.kind == "task.claimed":
            return self.created is None or not bound.contradicts(_dims(self.created))
        if fact.kind == "shift.scheduled":
            same = [one for one in before if one.kind == fact.kind and one.data["shift_id"] == data["shift_id"]]
            return not bound.contradicts(_dims(fact)) and all(bound.owns(_dims(one), one) for one in same[-1:])
        return True

    def _owns_appealed(self, bound: Bound, appeal: Fact) -> bool:
        data = appeal.data
        if data["against"] == "label":
            return self._owns_label(bound, data["label_id"], appeal.place)
        audit = _at([one for one in self.audits if one.data["audit_id"] == data["audit_id"]], appeal.place)
        if audit is None:
            return self._owns_label(bound, data["label_id"], appeal.place)
        if audit.data["label_id"] is not None:
            return self._owns_label(bound, audit.data["label_id"], audit.place)
        return self._owns_audit(bound, audit)


def _at(versions: list[Fact], place: int) -> Fact | None:
    """The version before a place of the log, else the first one."""
    before = [one for one in versions if one.place < place]
    return before[-1] if before else next(iter(versions), None)


def _dims(*sources: Fact | None) -> Dims:
    """Per dimension what the first source that knows it says."""
    datas: list[dict[str, Any]] = [source.data for source in sources if source is not None]
    return {name: next((data[name] for data in datas if data.get(name) is not None), None) for name in _DIMENSIONS}


class AuditsBefore:
    """Whether a label was audited before a place of the log, given the versions of labels that count up to there."""

    def __init__(self, facts: list[Fact], created: Fact | None, labels: list[Fact], foreign: set[str]) -> None:
        self.facts, self.created, self.labels, self.foreign = facts, created, labels, foreign

    def stands_on(self, label_id: str, place: int) -> bool:
        """Whether an audit of the label stood before the place."""
        latest = {}
        for audit in self._before("audit.completed", place):
            named = audit.data["label_id"]
            if audit.grant is None or (named is not None and self._owns(Bound(audit.grant), named, audit.place)):
                latest[audit.data["audit_id"]] = audit
        return any(self._label_of(audit) == label_id and not self._withdrawn(audit, place) for audit in latest.values())

    def may_withdraw_label(self, fact: Fact) -> bool:
        """Whether a withdrawal of a label counts, in so far as its label is there."""
        if fact.grant is None:
            return True
        bound, label_id = Bound(fact.grant), fact.data["label_id"]
        if not self._owns(bound, label_id, fact.place):
            return False
        return bound.may_change_audited or not self.stands_on(label_id, fact.place)

    def _before(self, kind: str, place: int) -> list[Fact]:
        return [fact for fact in self.facts if fact.kind == kind and fact.place < place]

    def _owns(self, bound: Bound, label_id: str | None, place: int) -> bool:
        label = _at([one for one in self.labels if one.data["label_id"] == label_id], place)
        if label is None:
            return False
        return bound.owns(_dims(label, None if label_id in self.foreign else self.created), label)

    def _label_of(self, audit: Fact) -> str | None:
        if audit.data["label_id"] is not None:
            return str(audit.data["label_id"])
        withdrawals = self._before("label.withdrawn", audit.place)
        gone = {one.data["label_id"] for one in withdrawals if self.may_withdraw_label(one)}
        ids = [(one.place < audit.place, one.data["label_id"]) for one in self.labels]
        standing = [label_id for before, label_id in ids if before and label_id not in gone]
        after = [label_id for before, label_id in ids if not before]
        return standing[-1] if standing else next(iter(after), None)

    def _withdrawn(self, audit: Fact, place: int) -> bool:
        for fact in self._before("audit.withdrawn", place):
            if fact.data["audit_id"] != audit.data["audit_id"]:
                continue
            if fact.grant is None:
                return True
            bound = Bound(fact.grant)
            if audit.grant is not None and Bound(audit.grant).sender == bound.sender:
                return True
            if self._owns(bound, self._label_of(audit), audit.place):
                return True
        return False


def _all_dims(label: Fact, created: Fact | None) -> Dims:
    sources = [label.data] if created is None else [label.data, created.data]
    names = (*_DIMENSIONS, "policy", "priority", "labeler_id")
    return {name: next((one[name] for one in sources if one.get(name) is not None), None) for name in names}


def _takes_out(before: Dims, after: Dims) -> bool:
    """Whether something said of a thing is not said any more, or otherwise."""
    return any(value is not None and after[name] != value for name, value in before.items())


def _says_else(former: Fact, label: Fact, created: Fact | None) -> bool:
    """Whether a version of a label says something else of what its audits count in."""
    if _takes_out(_all_dims(former, created), _all_dims(label, created)) or former.time_ms != label.time_ms:
        return True
    return (set(former.data["values"]), former.data["policy_version"]) != (
        set(label.data["values"]),
        label.data["policy_version"],
    )
