"""Tasks as earlier versions of the rules of counting read them, for ``recount``."""

from __future__ import annotations

from streams.core.facts import Audit
from streams.core.task_view import TaskView, picked


class TaskView6(TaskView):
    """A task as version 6 read it: where no audit names a probability, the first to arrive said how the label was drawn."""

    __slots__ = ()

    def sample_of(self, label_id: str) -> Audit | None:
        """Return the first to arrive of the standing audits: with a π; else of all, if it is assumed to be random."""
        first = None
        for audit_id, audit in self.samples.items():
            if audit_id not in self.withdrawn_audits and self.audits[audit_id][0] == label_id:
                if audit.weight_nano:
                    return audit
                first = audit if first is None else first
        return None if first is None or picked(first) else first


class TaskView5(TaskView):
    """A task as version 5 read it: an audit that picked its label was no part of what drew it."""

    __slots__ = ()

    def _draw(self, fact: Audit) -> None:
        known = self.samples.get(fact.audit_id)
        if fact.weight_nano or (known is not None and known.weight_nano):
            super()._draw(fact)
        elif fact.assumed:
            self.samples.setdefault(fact.audit_id, fact)
        else:
            self.samples.pop(fact.audit_id, None)

    def sample_of(self, label_id: str) -> Audit | None:
        """Return the first to arrive of the standing audits: with a π; else of those that say nothing of sampling."""
        found = None
        for audit_id, audit in self.samples.items():
            if audit_id not in self.withdrawn_audits and self.audits[audit_id][0] == label_id:
                if audit.weight_nano:
                    return audit
                found = audit if found is None else found
        return found
