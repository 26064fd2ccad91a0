"""Shapes: what first audits count for, found once for all audits that are alike.

Audits differ by whom and what they concern, hardly ever by the cells they count in: the same decision found right, with
the same weight. Such an audit is kept as its shape's number, and the shapes are laid out in numpy when sums are made.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable

import numpy as np

from streams.core import cells as c
from streams.core.effects import alike_cells, first_verdict
from streams.core.facts import Audit, Label
from streams.core.policy import DIMENSIONS
from streams.core.proofs import proof_of
from streams.core.sums import Ints

NO_SHAPE = -1
"""In place of a shape's number: a group whose cells stand apart."""

_PROOFS_LIMIT = 65_536
_LABELER, _POLICY = DIMENSIONS.index("labeler"), DIMENSIONS.index("policy")


class Shapes:
    """Numbers the cells of first audits, the example task of a wrong one left out."""

    def __init__(self, intern: Callable[[c.Cell], int]) -> None:
        """Start empty.

        Args:
            intern: Returns the number of a cell.
        """
        self._intern = intern
        self._ids: dict[tuple[object, ...], int] = {}
        self._starts = array("q", [0])  # of the shape after: one more than there are shapes
        self._cells = array("q")
        self._amounts = array("q")
        self._proofs: dict[tuple[str | None, str | None, int], tuple[int, int]] = {}

    def __len__(self) -> int:
        """Return how many shapes are known; audits that each have a weight of their own make one each."""
        return len(self._ids)

    def number(self, label: Label, audit: Audit) -> int:
        """Return the shape of the first audit of a task's only label."""
        key = (
            label.values,
            audit.wrong,
            audit.weight_nano,
            audit.values,
            audit.error_code,
            audit.severity_code,
            audit.gold,
        )
        known = self._ids.get(key)
        if known is None:
            flat = alike_cells(label.values, first_verdict(label, audit))
            # Whole or not at all: a shape cut short would shift all that come after it.
            cells, amounts = array("q", map(self._intern, flat[::2])), array("q", map(int, flat[1::2]))
            self._cells.extend(cells)
            self._amounts.extend(amounts)
            self._ids[key] = known = len(self._ids)
            self._starts.append(len(self._cells))
        return known

    def proof(self, label: Label, audit: Audit, shape: int) -> tuple[int, int]:
        """Return the evidence cell and amount of a first audit; (0, 0) for one that proves nothing.

        Args:
            label: The label.
            audit: Its audit.
            shape: What ``number`` says of both.
        """
        key = (label.dims[_LABELER], label.dims[_POLICY], shape)
        known = self._proofs.get(key)
        if known is None:
            proof = proof_of(label.dims, first_verdict(label, audit))
            known = (0, 0) if proof is None else (proof.cell, proof.amount)
            if len(self._proofs) >= _PROOFS_LIMIT:
                self._proofs.clear()
            self._proofs[key] = known
        return known

    def entries(self, shape: int) -> list[tuple[int, int]]:
        """Return the (cell number, amount) pairs of one shape; none of ``NO_SHAPE``."""
        if shape < 0:
            return []
        begin, end = self._starts[shape], self._starts[shape + 1]
        return list(zip(self._cells[begin:end], self._amounts[begin:end], strict=True))

    def expand(self, shapes: Ints) -> tuple[Ints, Ints, Ints]:
        """Lay out many shapes.

        Args:
            shapes: A shape or ``NO_SHAPE`` per group.

        Returns:
            Per entry: its group's position, cell number, amount.
        """
        groups = np.flatnonzero(shapes >= 0)
        starts = np.frombuffer(self._starts, dtype=np.int64)
        begins = starts[shapes[groups]]
        lengths = starts[shapes[groups] + 1] - begins
        ends = np.cumsum(lengths)
        at = np.arange(int(ends[-1]) if len(ends) else 0) + np.repeat(begins - ends + lengths, lengths)
        cells, amounts = (np.array(held, dtype=np.int64) for held in (self._cells, self._amounts))
        return np.repeat(groups, lengths), cells[at], amounts[at]
