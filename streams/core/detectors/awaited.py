"""Labels that await their audits."""

from __future__ import annotations

from typing import NamedTuple


class Awaited(NamedTuple):
    """Labels that the audits so far do not stand for.

    Attributes:
        labels: How many.
        logs: Per bet, the log of what it is multiplied by while they are awaited; empty without.
    """

    labels: float = 0.0
    logs: tuple[float, ...] = ()


NOTHING_AWAITED = Awaited()
