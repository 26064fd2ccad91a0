"""Expected throughput: hour-of-week rates times staffed hours, and how far counts scatter around it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from streams.core.detectors.bets import PaneCount
from streams.core.detectors.dispersion import NANO

HOUR_MS = 3_600_000
WEEK_HOURS = 168
_MONDAY_OFFSET_H = 72
"""1 January 1970 was a Thursday: hour 0 of the week is Monday 00:00 UTC."""


class PaneWork(NamedTuple):
    """One past pane.

    Attributes:
        pane_ms: Its start.
        done: Labels in it.
        staffed_s: Staffed time in it, in seconds; without a roster, 1 hour of pane counts as one staffed hour.
    """

    pane_ms: int
    done: int
    staffed_s: int


def hour_of_week(at_ms: int) -> int:
    """Return the hour of the week of an instant, 0 for Monday 00:00 UTC, below 168.

    Example:
        >>> hour_of_week(0)  # a Thursday
        72
    """
    return (at_ms // HOUR_MS + _MONDAY_OFFSET_H) % WEEK_HOURS


def rates(history: Iterable[PaneWork]) -> dict[int, tuple[int, int]]:
    """Return (count, staffed seconds) by hour of week: integers, so that the order of the history does not matter."""
    found: dict[int, tuple[int, int]] = {}
    for pane in history:
        hour = hour_of_week(pane.pane_ms)
        count, staffed_s = found.get(hour, (0, 0))
        found[hour] = (count + pane.done, staffed_s + pane.staffed_s)
    return found


def expected_nano(by_hour: Mapping[int, tuple[int, int]], pane_ms: int, staffed_s: int) -> int:
    """Return μ of a pane in 10⁻⁹ labels: the hour's past labels per staffed second times the staffed seconds now.

    Args:
        by_hour: From ``rates``.
        pane_ms: Start of the pane.
        staffed_s: Staffed time in it, in seconds.

    Returns:
        0 if the hour of the week has no history; then the pane is not judged.
    """
    count, past_s = by_hour.get(hour_of_week(pane_ms), (0, 0))
    return count * NANO * staffed_s // past_s if past_s > 0 else 0


def phi_nano(panes: Iterable[PaneCount]) -> int:
    """Return φ in 10⁻⁹: the mean of (N - μ)²/μ over past panes, at least 1 (Pearson's dispersion estimate).

    Source: McCullagh, Nelder, Generalized Linear Models, 1989.

    Args:
        panes: Past panes with their expected counts.
    """
    total, number = 0.0, 0
    for pane in panes:
        if pane.expected_nano > 0:
            expected = pane.expected_nano / NANO
            total += (pane.done - expected) ** 2 / expected
            number += 1
    return max(NANO, round(total / number * NANO)) if number else NANO
