"""Rotation: queues with less exposure that need somebody who is near the cap."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from floorwatch.analysis.people.exposure import Exposure
from floorwatch.analysis.people.people_policy import MILLI, PeoplePolicy
from floorwatch.analysis.people.standing_labels import StandingLabel


class QueueExposure(NamedTuple):
    """What a queue is like.

    Attributes:
        weight_milli: Severity-weighted share of its handle time, in thousandths: what an hour there costs.
        mean_ms: Mean handle time of a label.
        known_by: Labellers who have made labels there.
    """

    queue: str
    weight_milli: int
    mean_ms: float
    known_by: frozenset[str]


class Suggestion(NamedTuple):
    """A queue to move to.

    Attributes:
        weight_milli: What an hour there costs.
        open_tasks: Labels it waits for.
        open_ms: The same as work, at its mean handle time.
        known: The person has labelled there before.
        lasts_ms: How long the person can work there until the cap; None where it is not reached.
    """

    queue: str
    weight_milli: int
    open_tasks: int
    open_ms: int
    known: bool
    lasts_ms: int | None


def queue_loads(works: Iterable[StandingLabel], policy: PeoplePolicy) -> dict[str, QueueExposure]:
    """Return severity, handle time and who knows it for each queue, over labels with a handle time.

    Source: ours; severity = Σ weight · handle time/Σ handle time.
    """
    weighted: dict[str, int] = {}
    handled: dict[str, list[int]] = {}
    known: dict[str, set[str]] = {}
    for work in works:
        known.setdefault(work.queue, set()).add(work.labeler_id)
        if work.handle_ms is None:
            continue
        weighted[work.queue] = weighted.get(work.queue, 0) + work.handle_ms * policy.weight_milli(work.policy)
        held = handled.setdefault(work.queue, [0, 0])
        held[0] += work.handle_ms
        held[1] += 1
    return {
        queue: QueueExposure(queue, weighted[queue] // total_ms, total_ms / count, frozenset(known[queue]))
        for queue, (total_ms, count) in handled.items()
        if queue and total_ms
    }


def present_weight_milli(works: Iterable[StandingLabel], policy: PeoplePolicy) -> int | None:
    """Return what an hour of a person's present work costs, in thousandths; None without handle times."""
    total_ms, weighted = 0, 0
    for work in works:
        if work.handle_ms is not None:
            total_ms += work.handle_ms
            weighted += work.handle_ms * policy.weight_milli(work.policy)
    return weighted // total_ms if total_ms else None


def rotations(
    labeler_id: str,
    exposure: Exposure,
    present_milli: int,
    loads: Mapping[str, QueueExposure],
    waiting: Mapping[str, int],
    shown: int = 3,
) -> list[Suggestion]:
    """Return queues of lower severity that wait for labels, the best first.

    Known queues come before unknown ones, then the one with most open work, then the milder one.

    Args:
        labeler_id: Who is to move.
        exposure: The person's exposure.
        present_milli: What an hour of the present work costs.
        loads: Queues.
        waiting: Labels each queue waits for.
        shown: At most so many.
    """
    left_ms = max(0, exposure.cap_ms - exposure.dose_ms)
    found = [
        Suggestion(
            load.queue,
            load.weight_milli,
            waiting[load.queue],
            round(waiting[load.queue] * load.mean_ms),
            labeler_id in load.known_by,
            left_ms * MILLI // load.weight_milli if load.weight_milli else None,
        )
        for load in loads.values()
        if load.weight_milli < present_milli and waiting.get(load.queue, 0) > 0
    ]
    found.sort(key=lambda item: (not item.known, -item.open_ms, item.weight_milli, item.queue))
    return found[:shown]
