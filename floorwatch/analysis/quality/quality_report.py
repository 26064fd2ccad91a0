"""Quality of a replayed log: counts every task once and derives the report."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from floorwatch.analysis.quality.agreement import Agreement, agreement, kappa, pair_tables
from floorwatch.analysis.quality.calibration import Calibration, calibration
from floorwatch.analysis.quality.comparison import Comparison, compare_vendors
from floorwatch.analysis.quality.counts import Counts, section
from floorwatch.analysis.quality.decisions import (
    Confused,
    Overview,
    PolicyValueQuality,
    confusion,
    overview,
    value_quality,
)
from floorwatch.analysis.quality.guidelines import Guideline, guidelines
from floorwatch.analysis.quality.judged_labels import JudgedLabel
from floorwatch.analysis.quality.tally import Tallies, count_task
from floorwatch.replay.partition_facts import PartitionFacts
from floorwatch.replay.partition_replay import PartitionReplay
from floorwatch.replay.reader import EventLog
from floorwatch.replay.recount import Range
from floorwatch.replay.replayer import Replay, replay
from streams.core.policy import DIMENSIONS, CorePolicy
from streams.core.proportions import Interval

ALL = ""
"""The group of every label looked at."""

NOBODY = "\x1e"
"""The group of labels whose dimension nobody sent. No name holds a control character, so no vendor is called that."""

_FOREVER_MS = 1 << 62
_PAIRS_SHOWN = 10


@dataclass(frozen=True)
class GroupQuality:
    """One group of labels (a vendor, say), or all of them.

    Attributes:
        name: The group's value of the dimension; ``ALL`` for all, None for labels whose dimension nobody sent.
        overview: Its shares.
        agreement: Of its own people on items several of them decided.
        kappas: Cohen's κ of its pairs with most items in common: (labeller, labeller, items, κ).
    """

    name: str | None
    overview: Overview
    agreement: Agreement
    kappas: list[tuple[str, str, int, Interval | None]]


@dataclass(frozen=True)
class QualityReport:
    """Everything the quality framework says of a range of labels.

    Attributes:
        span: Range of the labels' times.
        by: Dimension of the groups, or None.
        groups: All labels first, then each group, busiest first.
        values: Precision and recall per policy and value.
        confusion: Pairs of given and right value.
        calibration: Of auditors.
        guidelines: Of policies.
        comparison: Of vendors on a common mix.
    """

    span: Range
    by: str | None
    groups: list[GroupQuality]
    values: list[PolicyValueQuality]
    confusion: list[Confused]
    calibration: Calibration
    guidelines: list[Guideline]
    comparison: Comparison


async def quality_of(
    log: EventLog,
    policy: CorePolicy,
    *,
    by: str | None = None,
    only_policy: str | None = None,
    since_ms: int | None = None,
    window_ms: int | None = None,
    until_ms: int | None = None,
) -> tuple[QualityReport, Replay]:
    """Count the labels of a log.

    Args:
        log: The log.
        policy: Today's configuration.
        by: Dimension by which labels are also grouped.
        only_policy: Look only at labels of this policy.
        since_ms: Look only at labels decided at or after this time.
        window_ms: Look only at labels of the last so many ms before the watermark; the log is then read twice.
        until_ms: As known at this moment; None for now.
    """
    start_ms = -_FOREVER_MS if since_ms is None else since_ms
    cuts = None
    if window_ms is not None:
        first = await replay(log, policy, until_ms=until_ms, rows=False)
        start_ms = max(start_ms, first.floor.watermark_ms - window_ms)
        cuts = [part.cut for part in first.parts]
    span = Range(start_ms, _FOREVER_MS)
    tallies: Tallies = {}
    at = DIMENSIONS.index(by) if by is not None else None

    def groups_of(judged: JudgedLabel) -> Sequence[str]:
        if not span.holds(judged.label.time_ms) or (only_policy is not None and judged.policy != only_policy):
            return ()
        return (ALL,) if at is None else (ALL, judged.dims[at] or NOBODY)

    def visit(partition_replay: PartitionReplay, partition_facts: PartitionFacts) -> None:
        for task_id, facts in partition_facts.tasks(partition_replay.knows):
            count_task(tallies, task_id, facts, groups_of)

    done = await replay(log, policy, until_ms=until_ms, visit=visit, cuts=cuts, rows=False)
    return report(tallies, span, by), done


def report(tallies: Tallies, span: Range, by: str | None) -> QualityReport:
    """Derive the report from counts by group; ``ALL`` is the group of all labels."""
    whole = tallies.get(ALL, {})
    names = sorted((name for name in tallies if name != ALL), key=lambda n: (-tallies[n].get(("labels",), 0), n))
    return QualityReport(
        span,
        by,
        [_group(name, tallies.get(name, {})) for name in (ALL, *names)],
        value_quality(whole),
        confusion(whole),
        calibration(whole),
        guidelines(whole),
        compare_vendors(whole),
    )


def _group(name: str, counts: Counts) -> GroupQuality:
    tables = list(pair_tables(section(counts, "pair")).items())[:_PAIRS_SHOWN]
    kappas = [(first, second, sum(table.values()), kappa(table)) for (first, second), table in tables]
    return GroupQuality(None if name == NOBODY else name, overview(counts), agreement(section(counts, "unit")), kappas)


def as_json(value: Any) -> Any:
    """Return a report, or any part of it, as plain JSON values; a number that rests on too little has ``"enough": false``."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: as_json(part) for name, part in value._asdict().items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        found = {field.name: as_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {**found, "enough": value.enough} if hasattr(value, "enough") else found
    if isinstance(value, dict):
        return {str(key): as_json(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(part) for part in value]
    return value
