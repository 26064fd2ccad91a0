"""What a stack reports of its processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Phase = Literal["starting", "ready", "unready", "ended", "stopped", "waiting", "damaged"]


@dataclass(frozen=True)
class Status:
    """Something happened to a process: shown to people.

    Attributes:
        name: Of the process.
        phase: What it is now.
        detail: A URL, or why it ended.
    """

    name: str
    phase: Phase
    detail: str = ""


Report = Callable[[Status], None]


def nobody(_: Status) -> None:
    """Ignore a report."""
