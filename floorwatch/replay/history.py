"""History of one task: every record of the log that speaks of it, and what the task contributes now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from floorwatch.replay.fact_text import dims_text, named, says
from floorwatch.replay.partition_facts import PartitionFacts
from floorwatch.replay.partition_replay import PartitionReplay, RecordOutcome, ReplayedRecord
from floorwatch.replay.reader import EventLog
from floorwatch.replay.recount import counters_of, scopes_of
from floorwatch.replay.replayer import Replay, replay
from streams.core.effects import contributions
from streams.core.facts import Fact
from streams.core.grants import judge
from streams.core.policy import CorePolicy
from streams.core.time_text import rfc3339
from streams.models.topics import partition_of

_WHY_NOT = {
    RecordOutcome.counted: "counted",
    RecordOutcome.duplicate: "duplicate: same source and id, same content; ignored",
    RecordOutcome.conflict: "conflicting duplicate: same source and id, other content; the first stands, this is a dead letter",
    RecordOutcome.set_aside: "set aside: it could not be counted, a dead letter says why; in no table",
    RecordOutcome.late: "late: concerns panes beyond the correction horizon; kept on the late topic, not counted",
}


@dataclass(frozen=True)
class HistoryLine:
    """One record about the task.

    Attributes:
        offset: Its place in the partition.
        time_ms: Event time.
        logged_ms: Broker timestamp.
        event_type: As on the wire.
        source: The event's source.
        event_id: The event's id.
        says: What it says, in words.
        outcome: What the ledger did with it.
        forgotten: The ledger has dropped the task since, so this fact no longer counts.
        not_counted: Why it counts for nothing although the ledger keeps it: its sender may not send it, or it is about
            something that has not come yet. Empty for a fact that counts.
    """

    offset: int
    time_ms: int
    logged_ms: int
    event_type: str
    source: str
    event_id: str
    says: str
    outcome: RecordOutcome
    forgotten: bool = False
    not_counted: str = ""

    @property
    def status(self) -> str:
        """What became of it, in words."""
        if self.forgotten:
            return "counted then; since let go of, beyond the correction horizon"
        return self.not_counted or _WHY_NOT.get(self.outcome, str(self.outcome))

    def as_json(self) -> dict[str, Any]:
        """Return it with times as RFC 3339."""
        return {
            "offset": self.offset,
            "time": rfc3339(self.time_ms),
            "logged": rfc3339(self.logged_ms),
            "type": self.event_type,
            "source": self.source,
            "id": self.event_id,
            "says": self.says,
            "outcome": str(self.outcome),
            "status": self.status,
        }


@dataclass(frozen=True)
class Contribution:
    """What a task counts for at one point: the same counters in every scope and pane named."""

    group: str
    time_ms: int
    scopes: list[str]
    panes: dict[str, int]
    counters: dict[str, int]
    dims: str

    def as_json(self) -> dict[str, Any]:
        """Return it with times as RFC 3339."""
        return {
            "group": self.group,
            "time": rfc3339(self.time_ms),
            "panes": {name: rfc3339(start_ms) for name, start_ms in self.panes.items()},
            "scopes": self.scopes,
            "counts": self.counters,
        }


@dataclass
class History:
    """Everything the log says of a task."""

    task_id: str
    partition: int
    lines: list[HistoryLine] = field(default_factory=list)
    contributions: list[Contribution] = field(default_factory=list)
    watermark_ms: int = -1
    replay: Replay | None = None


async def history_of(
    log: EventLog, policy: CorePolicy, task_id: str, partitions: int, until_ms: int | None = None
) -> History:
    """Read the task's partition and tell its facts and contributions.

    Args:
        log: The log.
        policy: Today's configuration.
        task_id: The task.
        partitions: How many partitions the log was written with.
        until_ms: As known at this moment (broker timestamp); None for now.
    """
    found = History(task_id, partition_of(task_id.encode(), partitions))

    def observer(seen: ReplayedRecord) -> None:
        if seen.event is None or seen.event.subject != task_id or seen.fact is None:
            return
        if seen.outcome is RecordOutcome.counted and seen.anew:
            found.lines[:] = [_forget(line) for line in found.lines]
        found.lines.append(_line(seen))

    def visit(partition_replay: PartitionReplay, partition_facts: PartitionFacts) -> None:
        found.watermark_ms = partition_replay.watermark_ms
        standing = dict(partition_facts.tasks(partition_replay.knows)).get(task_id)
        if standing is None:
            found.lines[:] = [_forget(line) for line in found.lines]
            return
        found.lines[:] = _with_rights(found.lines, standing)
        for name, group in contributions(task_id, standing, partition_replay.watermark_ms).items():
            found.contributions.append(
                Contribution(
                    name,
                    group.time_ms,
                    scopes_of(group.dims, policy.scopes),
                    _panes(group.time_ms, partition_replay.watermark_ms, policy),
                    named(counters_of(group).items()),
                    dims_text(group.dims),
                )
            )

    found.replay = await replay(
        log,
        policy,
        until_ms=until_ms,
        only=found.partition,
        observer=observer,
        visit=visit,
        keeps=lambda subject: subject == task_id,
        rows=False,
    )
    return found


def _panes(time_ms: int, watermark_ms: int, policy: CorePolicy) -> dict[str, int]:
    """Return the start of the pane of each tier that is still kept, by the pane's size."""
    found = {}
    for name, tier in zip(("1m", "15m", "1h"), policy.tiers, strict=True):
        start_ms = time_ms - time_ms % tier.pane_ms
        if start_ms + tier.pane_ms + tier.kept_ms > watermark_ms:
            found[name] = start_ms
    return found


def _line(seen: ReplayedRecord) -> HistoryLine:
    event, record, fact = seen.event, seen.record, seen.fact
    tag = str(type(event).__struct_config__.tag)
    time_ms = fact.time_ms if fact is not None else -1
    text = says(fact) if fact is not None else ""
    return HistoryLine(record.offset, time_ms, record.timestamp_ms, tag, event.source, event.id, text, seen.outcome)


def _with_rights(lines: list[HistoryLine], standing: Sequence[Fact]) -> list[HistoryLine]:
    """Return the lines with the effect of their senders' grants."""
    judged = judge(standing)
    counts = {fact.offset for fact in judged.permitted}
    waiting = {fact.offset for fact in standing} - counts - judged.refused.keys()
    why = {offset: f"not permitted: {reason}; counts for nothing" for offset, reason in judged.refused.items()}
    why |= dict.fromkeys(
        waiting, "waits: what it is about is not there yet, and its sender may not speak of everything"
    )
    return [replace(line, not_counted=why.get(line.offset, "")) for line in lines]


def _forget(line: HistoryLine) -> HistoryLine:
    return replace(line, forgotten=line.outcome is RecordOutcome.counted)
