"""Exposure: how long somebody has looked at hard content, weighted by its severity, against a cap.

The dose of an instant is the weight of the policy worked on, the greatest one where several tasks are open at once: two
open tabs do not count twice. It is a step function of time made of integers, so the rolling sum is exact and any
correction changes it to what it would have been. Weights and cap are the floor's own choice (the cap is 4 h a day
unless configured). The meter measures; it does not say what is safe. How it is used: docs/people.md.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from heapq import heappop, heappush
from itertools import pairwise
from typing import NamedTuple

from floorwatch.analysis.people.people_policy import MILLI, PeoplePolicy
from floorwatch.analysis.people.standing_labels import StandingLabel


class Piece(NamedTuple):
    """A stretch of time under one weight, half-open."""

    start_ms: int
    end_ms: int
    weight_milli: int


def pieces_of(works: Iterable[StandingLabel], policy: PeoplePolicy) -> list[Piece]:
    """Return one person's exposure over time.

    A label counts from its start to its decision; where the tool measured active time, for that long up to the decision
    (it is not known when within the handle time the person was active).

    Args:
        works: The person's labels, any order.
        policy: The weights.

    Returns:
        Disjoint pieces, ascending, each with the greatest weight open at that time; none of weight 0.
    """
    spans: list[tuple[int, int, int]] = []
    for work in works:
        weight = policy.weight_milli(work.policy)
        lasted_ms = work.handle_ms
        if work.active_ms is not None:
            lasted_ms = work.active_ms if lasted_ms is None else min(lasted_ms, work.active_ms)
        if weight > 0 and lasted_ms:
            spans.append((work.time_ms - lasted_ms, work.time_ms, weight))
    spans.sort()
    borders = sorted({edge for start_ms, end_ms, _ in spans for edge in (start_ms, end_ms)})
    open_now: list[tuple[int, int]] = []
    found: list[Piece] = []
    at = 0
    for left_ms, right_ms in pairwise(borders):
        while at < len(spans) and spans[at][0] <= left_ms:
            heappush(open_now, (-spans[at][2], spans[at][1]))
            at += 1
        while open_now and open_now[0][1] <= left_ms:
            heappop(open_now)
        if not open_now:
            continue
        weight = -open_now[0][0]
        if found and found[-1].end_ms == left_ms and found[-1].weight_milli == weight:
            found[-1] = found[-1]._replace(end_ms=right_ms)
        else:
            found.append(Piece(left_ms, right_ms, weight))
    return found


def dose_of(pieces: Iterable[Piece], start_ms: int, end_ms: int) -> int:
    """Return the dose within a half-open range, in thousandths of weighted ms."""
    return sum(
        max(0, min(piece.end_ms, end_ms) - max(piece.start_ms, start_ms)) * piece.weight_milli for piece in pieces
    )


class Exposure(NamedTuple):
    """One person's exposure as of a moment.

    Attributes:
        dose_ms: Severity-weighted ms in the window that ends now.
        cap_ms: The cap for this dose.
        pace_ratio: Weighted time per time over the last ``exposure_pace_ms``.
        reached_ms: When the cap is reached if this pace goes on, old exposure leaving the window; now, where it is
            reached already; None where it is not reached while this is predicted.
        warn: The cap is predicted within the time ahead.
        over: It is reached.
    """

    dose_ms: int
    cap_ms: int
    pace_ratio: float
    reached_ms: int | None
    warn: bool
    over: bool


def exposure_of(pieces: list[Piece], now_ms: int, policy: PeoplePolicy, until_ms: int | None = None) -> Exposure:
    """Return one person's exposure and when it would reach the cap.

    Args:
        pieces: From ``pieces_of``.
        now_ms: As of when.
        policy: Cap, window, pace, time ahead.
        until_ms: End of the person's shift where a roster says it: the pace is carried on no further. Without it, one
            window ahead.
    """
    dose = dose_of(pieces, now_ms - policy.exposure_window_ms, now_ms)
    cap = policy.exposure_cap_ms * MILLI
    recent = dose_of(pieces, now_ms - policy.exposure_pace_ms, now_ms)
    over = dose >= cap
    end_ms = now_ms + policy.exposure_window_ms if until_ms is None else until_ms
    reached_ms = now_ms if over else reaches_ms(pieces, now_ms, end_ms, recent, policy)
    warn = not over and reached_ms is not None and reached_ms <= now_ms + policy.exposure_ahead_ms
    return Exposure(
        dose // MILLI, policy.exposure_cap_ms, recent / (policy.exposure_pace_ms * MILLI), reached_ms, warn, over
    )


def reaches_ms(pieces: list[Piece], now_ms: int, end_ms: int, recent: int, policy: PeoplePolicy) -> int | None:
    """Return the first ms at which the rolling dose reaches the cap, or None up to ``end_ms``.

    The dose of the window ending at t is linear between the moments where the weight leaving the window changes, so it is
    solved exactly there, in integers.

    Args:
        pieces: History.
        now_ms: As of when; the dose is still below the cap.
        end_ms: Nothing is predicted after it, nor more than a window ahead, when the pace would replace itself.
        recent: Dose of the last ``exposure_pace_ms``: the pace that goes on.
        policy: Cap, window, pace.
    """
    window_ms, pace_ms = policy.exposure_window_ms, policy.exposure_pace_ms
    end_ms = min(end_ms, now_ms + window_ms)
    dose = dose_of(pieces, now_ms - window_ms, now_ms) * pace_ms
    cap = policy.exposure_cap_ms * MILLI * pace_ms
    edges = sorted({edge + window_ms for piece in pieces for edge in piece[:2]} | {end_ms})
    starts = [piece.start_ms for piece in pieces]
    at_ms = now_ms
    for edge_ms in edges[bisect_left(edges, now_ms + 1) :]:
        until_ms = min(edge_ms, end_ms)
        if until_ms <= at_ms:
            break
        slope = recent - _weight_at(pieces, starts, at_ms - window_ms) * pace_ms
        if slope > 0 and dose + slope * (until_ms - at_ms) >= cap:
            return at_ms + -(-(cap - dose) // slope)
        dose += slope * (until_ms - at_ms)
        at_ms = until_ms
    return None


def _weight_at(pieces: list[Piece], starts: list[int], time_ms: int) -> int:
    at = bisect_left(starts, time_ms + 1) - 1
    if at >= 0 and pieces[at].start_ms <= time_ms < pieces[at].end_ms:
        return pieces[at].weight_milli
    return 0
