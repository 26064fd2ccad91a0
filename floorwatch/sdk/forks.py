"""Closes in a forked child what belongs to its parent, which would otherwise be held open, and locked, as long as the child lives."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class LeftToParent(Protocol):
    """What is of one process only."""

    def leave_to_parent(self) -> None:
        """Close its files in the child, and change nothing that the parent has."""


_made: weakref.WeakSet[LeftToParent] = weakref.WeakSet()


def closed_in_children(one: LeftToParent) -> None:
    """See to it that a child that is forked from now on closes it."""
    _made.add(one)


def _leave_to_parent() -> None:
    for one in _made:
        one.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
