"""What a task's facts contribute to the tables: the one place where the meaning of events becomes numbers.

``contributions(facts, watermark)`` is a pure function from a task's facts to *groups*: one group is one dimension
tuple, one point in time and the counters counted there. An event's effect is the difference between the groups with it
and the groups without it, so duplicates, corrections and withdrawals need no separate code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from streams.core import counters as c
from streams.core.detector_evidence import DetectorEvidence, LabelVerdict, detector_evidence_of
from streams.core.facts import Fact, Label
from streams.core.overlap import overlap
from streams.core.policy import Dims
from streams.core.roster.scheduled import scheduled
from streams.core.task_view import TaskView, merged


class Group(NamedTuple):
    """Counters counted at one dimension tuple and one time; ``counters`` is flat: counter, amount, counter, amount, ..."""

    dims: Dims
    time_ms: int
    counters: tuple[c.Counter, ...]
    evidence: DetectorEvidence | None = None


Groups = dict[str, Group]
"""Groups by a name unique within the task: ``label:ID``, ``audit:ID``, ``overlap``, ``shift:…``, ``due``, ``turn``, ``open``."""

OPEN_GROUP = "open"

_ASSUMED = (c.ASSUMED, c.ASSUMED_CORRECT, c.ASSUMED_TECHNICAL)
_TARGETED = (c.TARGETED, c.TARGETED_CORRECT, c.TARGETED_TECHNICAL)

FOREIGN_PREFIX = "foreign:"
"""Begins the names of what labels count for together that are not part of the task as it was created."""


def label_counters(label: Label) -> tuple[c.Counter, ...]:
    """Return what one standing label counts for, before anybody audits it (flat counters)."""
    started_ms = label.started_ms
    labeler = c.LABELER_PREFIX + (label.dims[7] or "")
    if started_ms is None:
        base: tuple[c.Counter, ...] = (c.LABELS, 1, labeler, 1)
    else:
        handle_ms = label.time_ms - started_ms
        bucket = c.HANDLE_HISTOGRAM + c.bucket(handle_ms)
        base = (c.LABELS, 1, labeler, 1, c.HANDLED, 1, c.HANDLE_MS, handle_ms, bucket, 1)
    if label.active_ms is None:
        return base
    return (*base, c.ACTIVE_TIMED, 1, c.ACTIVE_MS, label.active_ms)


def verdict_counters(task_id: str, label: Label, verdict: LabelVerdict) -> tuple[c.Counter, ...]:
    """Return what the effective verdict of a label counts for (flat counters)."""
    found = decision_counters(label.values, verdict)
    return (*found, c.EXAMPLE_PREFIX + task_id, 1) if verdict.wrong else found


def decision_counters(values: str, verdict: LabelVerdict) -> tuple[c.Counter, ...]:
    """Return what a verdict on a decision counts for in any task (flat counters)."""
    found: list[c.Counter] = [c.AUDITED, 1]
    right = not verdict.wrong
    technical = verdict.wrong and c.WRONG_UNSPECIFIED + verdict.error_code == c.WRONG_TECHNICAL
    if right:
        found += [c.CORRECT, 1]
    else:
        found += [c.WRONG_UNSPECIFIED + verdict.error_code, 1, c.SEVERITY_UNSPECIFIED + verdict.severity_code, 1]
    found += _drawn_counters(verdict, right=right, technical=technical)
    if verdict.gold:
        found += [c.GOLD, 1]
        if right:
            found += [c.GOLD_CORRECT, 1]
    if not values:  # a label without values has no decision, so it is in no confusion pair
        return tuple(found)
    pair = f"{c.short(values)}{c.PAIR_SEPARATOR}{c.short(verdict.truth)}"
    if verdict.weight_nano:
        found += [c.drawn_pair(c.sampling_class(verdict.weight_nano), pair), 1]
        found += [c.CONFUSION_WEIGHT_PREFIX + pair, verdict.weight_nano]
    else:
        found += [(c.CONFUSION_ASSUMED_PREFIX if verdict.assumed else c.CONFUSION_PREFIX) + pair, 1]
    return tuple(found)


def _drawn_counters(verdict: LabelVerdict, *, right: bool, technical: bool) -> list[c.Counter]:
    """Return what a verdict counts for by how its label was drawn: with a known π, assumed to be at random, or not at random."""
    weight_nano = verdict.weight_nano
    critical = not right and c.SEVERITY_UNSPECIFIED + verdict.severity_code == c.SEVERITY_CRITICAL
    if not weight_nano:
        of = _ASSUMED if verdict.assumed else _TARGETED
        counted: list[c.Counter] = [of[0], 1, of[1 if right else 2], 1] if right or technical else [of[0], 1]
        return [*counted, c.ASSUMED_CRITICAL, 1] if critical and verdict.assumed else counted
    number = c.sampling_class(weight_nano)
    found: list[c.Counter] = [c.WEIGHT_NANO, weight_nano, c.CLASS_AUDITED + number, 1]
    found += [c.CLASS_WEIGHT_NANO + number, weight_nano]
    if right:
        return [*found, c.WEIGHT_CORRECT_NANO, weight_nano]
    found += [c.CLASS_WRONG + number, 1]
    if technical:
        found += [c.WEIGHT_TECHNICAL_NANO, weight_nano, c.CLASS_TECHNICAL + number, 1]
    if critical:
        found += [c.WEIGHT_CRITICAL_NANO, weight_nano, c.CLASS_CRITICAL + number, 1]
    return found


def contributions(
    task_id: str, facts: Sequence[Fact], watermark_ms: int, read: Callable[[Sequence[Fact]], TaskView] = TaskView
) -> Groups:
    """Return everything a task contributes to the tables.

    Args:
        task_id: The task, named in examples of wrong labels.
        facts: Its facts in log order; a prefix gives the task as it was before an offset.
        watermark_ms: The partition's watermark; an open task due at or before it is overdue.
        read: Reads the facts, by default by the present rules.

    Returns:
        Groups by name. The sum over all tasks of these groups is every table.
    """
    view = read(facts)
    groups: Groups = {}
    for label_id, label in view.labels.items():
        dims = view.label_dims(label)
        groups["label:" + label_id] = Group(dims, label.time_ms, label_counters(label))
        if view.audits or view.appeals or view.opened:
            verdict = view.verdict(label)
            judged = judged_counters(task_id, view, label, verdict)
            if judged:
                evidence = None if verdict is None else detector_evidence_of(dims, verdict, label.time_ms)
                groups["audit:" + label_id] = Group(dims, label.time_ms, judged, evidence)
    if not view.labels and view.created is None:  # the subject of shifts is not a task
        for name, dims, time_ms, amount_ms in scheduled(facts):
            groups[name] = Group(dims, time_ms, (c.SCHEDULED_MS, amount_ms))
    _task_groups(view, watermark_ms, groups)
    if view.foreign:
        apart: Groups = {}
        _task_groups(view.foreign_part(), watermark_ms, apart)
        groups.update({FOREIGN_PREFIX + name: group for name, group in apart.items()})
    return groups


def _task_groups(view: TaskView, watermark_ms: int, groups: Groups) -> None:
    """Add what the labels of a task count for together: their overlap and the task's place in the SLA table."""
    labels = list(view.task_labels.values())
    if len(labels) > 1:
        shared = overlap(labels, [view.label_dims(label) for label in labels])
        if shared is not None:
            groups["overlap"] = Group(*shared)
    _promise_groups(view, watermark_ms, groups)


def judged_counters(task_id: str, view: TaskView, label: Label, verdict: LabelVerdict | None) -> tuple[c.Counter, ...]:
    """Return what the audits and appeals of a label count for (flat counters)."""
    found = verdict_counters(task_id, label, verdict) if verdict is not None else ()
    counts = view.disputes(label.label_id)
    for counter, count in zip((c.APPEALS_OPENED, c.APPEALS_DECIDED, c.APPEALS_OVERTURNED), counts, strict=True):
        if count:
            found = (*found, counter, count)
    if verdict is None and any(view.standing_audits(label.label_id)):
        found = (*found, c.INCOMPARABLE, 1)
    return found


def _promise_groups(view: TaskView, watermark_ms: int, groups: Groups) -> None:
    """Add what the task counts for in the SLA table: its promise, its turn-around, its place in the backlog."""
    created_ms, due_ms = view.promise()
    done = view.completing()
    dims = _task_dims(view, done)
    promised = created_ms is not None and due_ms is not None
    if view.cancelled:
        if promised and due_ms is not None:
            groups["due"] = Group(dims, due_ms, (c.CANCELLED, 1))
        return
    if promised and due_ms is not None:
        if done is not None:
            outcome = c.MET if done.time_ms <= due_ms else c.LATE
            groups["due"] = Group(dims, due_ms, (c.DUE, 1, outcome, 1))
        elif due_ms <= watermark_ms:
            groups["due"] = Group(dims, due_ms, (c.DUE, 1, c.OVERDUE, 1))
        else:
            groups["due"] = Group(dims, due_ms, (c.DUE, 1))
    if done is not None:
        groups["turn"] = Group(dims, done.time_ms, turnaround_counters(created_ms, done.time_ms, promised=promised))
    elif created_ms is not None and view.created is not None:
        groups[OPEN_GROUP] = Group(dims, created_ms, (c.OPEN, 1))


def _task_dims(view: TaskView, done: Label | None) -> Dims:
    created = view.created
    if created is None:
        label = done if done is not None else next(reversed(view.labels.values()), None)
        return label.dims if label is not None else (None,) * 8
    if done is None:
        return created.dims
    return merged(created.dims, done.dims)


def turnaround_counters(created_ms: int | None, completed_ms: int, *, promised: bool) -> tuple[c.Counter, ...]:
    """Return what a completed task counts for at its completion (flat counters)."""
    found: tuple[c.Counter, ...] = (c.COMPLETED, 1)
    if not promised:
        found = (*found, c.NO_SLA, 1)
    if created_ms is not None:
        # Negative where tools' clocks differ. It is added to the sum as it is, and counts as 0 in the histogram.
        turn_ms = completed_ms - created_ms
        found = (*found, c.TURNED, 1, c.TURN_MS, turn_ms, c.TURN_HISTOGRAM + c.bucket(turn_ms), 1)
    return found
