"""Audit templates: what first audits count for, found once for all audits that are alike.

Audits differ in whom and what they concern, but mostly count in the same counters: the same decision, found right, with
the same weight. Such an audit is kept as its template's number, and the templates are laid out in numpy when sums are
made.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

import numpy as np

from streams.core import counters as c
from streams.core.detector_evidence import detector_evidence_of
from streams.core.effects import decision_counters
from streams.core.facts import Audit, Label
from streams.core.policy import DIMENSIONS
from streams.core.sums import Ints
from streams.core.task_view import first_verdict

NO_TEMPLATE = -1
"""In place of a template's number: a group whose counters stand apart."""

_EVIDENCE_LIMIT = 65_536
_LABELER, _POLICY = DIMENSIONS.index("labeler"), DIMENSIONS.index("policy")


class AuditTemplates:
    """Numbers the counters of first audits, the example task of a wrong one left out."""

    def __init__(self, intern: Callable[[c.Counter], int]) -> None:
        """Start empty.

        Args:
            intern: Returns the number of a counter.
        """
        self._intern = intern
        self._ids: dict[tuple[object, ...], int] = {}
        self._starts = array("q", [0])  # of the template after: one more than there are templates
        self._counters = array("q")
        self._amounts = array("q")
        self._evidence: dict[tuple[str | None, str | None, int], tuple[int, int]] = {}

    def __len__(self) -> int:
        """Return how many templates are known; audits that each have a weight of their own make one each."""
        return len(self._ids)

    def number(self, label: Label, audit: Audit) -> int:
        """Return the template of the first audit of a task's only label."""
        key = (
            label.values,
            audit.wrong,
            audit.weight_nano,
            audit.assumed,
            audit.values,
            audit.error_code,
            audit.severity_code,
            audit.gold,
        )
        known = self._ids.get(key)
        if known is None:
            flat = decision_counters(label.values, first_verdict(label, audit))
            # All or nothing: a template that is cut short would shift all templates after it.
            counters, amounts = array("q", map(self._intern, flat[::2])), array("q", map(int, flat[1::2]))
            self._counters.extend(counters)
            self._amounts.extend(amounts)
            self._ids[key] = known = len(self._ids)
            self._starts.append(len(self._counters))
        return known

    def evidence(self, label: Label, audit: Audit, template: int) -> tuple[int, int]:
        """Return the evidence counter and amount of a first audit; (0, 0) for one without evidence.

        Args:
            label: The label.
            audit: Its audit.
            template: What ``number`` says of both.
        """
        key = (label.dims[_LABELER], label.dims[_POLICY], template)
        known = self._evidence.get(key)
        if known is None:
            evidence = detector_evidence_of(label.dims, first_verdict(label, audit), label.time_ms)
            known = (0, 0) if evidence is None else (evidence.counter, evidence.amount)
            if len(self._evidence) >= _EVIDENCE_LIMIT:
                self._evidence.clear()
            self._evidence[key] = known
        return known

    def entries(self, template: int) -> list[tuple[int, int]]:
        """Return the (counter number, amount) pairs of one template; none of ``NO_TEMPLATE``."""
        if template < 0:
            return []
        begin, end = self._starts[template], self._starts[template + 1]
        return list(zip(self._counters[begin:end], self._amounts[begin:end], strict=True))

    def expand(self, templates: Ints) -> tuple[Ints, Ints, Ints]:
        """Lay out many templates.

        Args:
            templates: A template or ``NO_TEMPLATE`` per group.

        Returns:
            Per entry: its group's position, counter number, amount.
        """
        groups = np.flatnonzero(templates >= 0)
        starts = np.frombuffer(self._starts, dtype=np.int64)
        begins = starts[templates[groups]]
        lengths = starts[templates[groups] + 1] - begins
        ends = np.cumsum(lengths)
        at = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(begins - ends + lengths, lengths)
        counters, amounts = (np.array(held, dtype=np.int64) for held in (self._counters, self._amounts))
        return np.repeat(groups, lengths), counters[at], amounts[at]
