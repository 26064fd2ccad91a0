"""Why: the tasks behind one number of a row, whose contributions add up to it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from config.nearest import choices
from floorwatch.replay.fact_text import counter_name, shown, verdict_text
from floorwatch.replay.partition_facts import PartitionFacts
from floorwatch.replay.partition_replay import PartitionReplay
from floorwatch.replay.reader import EventLog
from floorwatch.replay.recount import Range, comparable, counters_of, groups_in
from floorwatch.replay.replayer import Replay, only_rows, replay
from streams.core import counters as c
from streams.core.counters import Counters, add_counters
from streams.core.effects import FOREIGN_PREFIX, Group
from streams.core.facts import Fact
from streams.core.floor import Floor
from streams.core.policy import HOUR_TIER, CorePolicy, PaneTier
from streams.core.scopes import parse_scope_key, scope_key
from streams.core.task_view import TaskView
from streams.core.time_text import rfc3339
from streams.core.windows import window_range
from streams.models.measures import TABLES

MEASURES: dict[str, dict[str, tuple[c.Counter, ...]]] = {
    name: {**table.explained_counters()} for name, table in TABLES.items()
}
"""Per table, the measures that can be explained and the counters each is the sum of. The first is the default."""


class NoSuchRow(LookupError):
    """The floor holds no such row; the message says what it does hold."""


@dataclass(frozen=True)
class TaskShare:
    """One task's (or label's) share of the number."""

    task_id: str
    group: str
    label_id: str | None
    labeler: str | None
    time_ms: int
    verdict: str
    amount: int

    def as_json(self) -> dict[str, Any]:
        """Return it with its time as RFC 3339."""
        return {
            "task": self.task_id,
            "label": self.label_id,
            "labeler": self.labeler,
            "time": rfc3339(self.time_ms),
            "verdict": self.verdict,
            "contribution": self.amount,
        }


@dataclass
class WhyAnswer:
    """A row, and the tasks behind one of its measures.

    Attributes:
        scope_key: The row's scope.
        span: The row's range.
        measure: The measure explained.
        row: What the row holds of it.
        items: Contributions other than 0, in the order of time.
        unequal: Counters in which the row and the sum of all contributions differ: (row, sum); empty when all is well.
        ahead: Partitions so far ahead of the floor that their ledgers keep only a part of the row's panes. Which of their
            tasks the row still holds depends on when each was told; with any, row and tasks are not compared.
    """

    scope_key: str
    span: Range
    measure: str
    row: int
    replay: Replay
    items: list[TaskShare] = field(default_factory=list)
    unequal: dict[str, tuple[int, int]] = field(default_factory=dict)
    ahead: list[int] = field(default_factory=list)

    @property
    def total(self) -> int:
        """The sum of the listed contributions."""
        return sum(item.amount for item in self.items)


@dataclass(frozen=True)
class RowAddress:
    """Which row: a kept window, or a pane of one of the three sizes by its start."""

    window: str | None = None
    pane_ms: int | None = None
    tier: int = HOUR_TIER


async def why(
    log: EventLog,
    policy: CorePolicy,
    scope: dict[str, str],
    place: RowAddress,
    counters: tuple[c.Counter, ...],
    measure: str,
    until_ms: int | None = None,
) -> WhyAnswer:
    """List the tasks behind a number.

    The range of a window hangs on the watermark, which is known only at the end: the log is read twice for one.

    Args:
        log: The log.
        policy: Today's configuration.
        scope: The row's scope.
        place: The row's window or pane.
        counters: Counters the measure is the sum of.
        measure: Its name, for the answer.
        until_ms: As known at this moment; None for now.

    Raises:
        NoSuchRow: There is none.
    """
    key = scope_key(tuple(scope), tuple(scope.values()))
    policy = only_rows(policy, frozenset(scope), place.window)
    span = None if place.pane_ms is None else _pane_span(place.pane_ms, policy.tiers[place.tier].pane_ms)
    if span is None:
        first = await replay(log, policy, until_ms=until_ms, rows=False)
        span = _window_span(policy, scope, first.floor.watermark_ms)
        until = [part.cut for part in first.parts]
    else:
        until = None
    found: list[tuple[str, str, Group, TaskView]] = []
    ahead: list[int] = []
    wanted, tier = span, policy.tiers[place.tier if place.window is None else policy.windows[0].tier]

    def visit(partition_replay: PartitionReplay, partition_facts: PartitionFacts) -> None:
        if wanted.start_ms < _first_kept_ms(tier, partition_replay.watermark_ms):
            ahead.append(partition_replay.partition)
        for task_id, facts in partition_facts.tasks(partition_replay.knows):
            _collect(task_id, facts, partition_replay.watermark_ms, scope, wanted, found)

    done = await replay(log, policy, until_ms=until_ms, visit=visit, cuts=until)
    span, row = _row(done.floor, key, place)
    sums: Counters = {}
    for _, _, group, _ in found:
        add_counters(sums, counters_of(group))
    answer = WhyAnswer(key, span, measure, sum(row.get(counter, 0) for counter in counters), done)
    answer.ahead = sorted(ahead)
    if not ahead:
        answer.unequal = _unequal(comparable(row, scope), comparable(sums, scope))
    for task_id, name, group, view in found:
        amount = sum(counters_of(group).get(counter, 0) for counter in counters)
        if amount:
            answer.items.append(_item(task_id, name, group, view, amount))
    answer.items.sort(key=lambda item: (item.time_ms, item.task_id, item.group))
    return answer


def _pane_span(pane_ms: int, size_ms: int) -> Range:
    start_ms = pane_ms - pane_ms % size_ms
    return Range(start_ms, start_ms + size_ms)


def _first_kept_ms(tier: PaneTier, watermark_ms: int) -> int:
    """Return the start of the first pane that a partition's ledger still keeps."""
    return (watermark_ms - tier.kept_ms) // tier.pane_ms * tier.pane_ms


def _window_span(policy: CorePolicy, scope: dict[str, str], watermark_ms: int) -> Range:
    """Return the range of the one window the policy has left."""
    zone = policy.zones.get(scope.get("site", ""), policy.default_zone)
    return Range(*window_range(policy.windows[0], watermark_ms, zone))


def _collect(
    task_id: str,
    facts: list[Fact],
    watermark_ms: int,
    scope: dict[str, str],
    span: Range,
    into: list[tuple[str, str, Group, TaskView]],
) -> None:
    groups = list(groups_in(task_id, facts, watermark_ms, scope, span))
    if groups:
        view = TaskView(facts)
        into.extend((task_id, name, group, view) for name, group in groups)


def _row(floor: Floor, key: str, place: RowAddress) -> tuple[Range, Counters]:
    state = floor.scopes.get(key)
    if state is None:
        kind = parse_scope_key(key).keys()
        others = sorted(one for one, state in floor.scopes.items() if state.scope.keys() == kind)
        raise NoSuchRow(
            f"no row of scope {key}; {choices(key, others) if others else 'the log holds none of its kind'}"
        )
    if place.pane_ms is not None:
        size_ms = floor.policy.tiers[place.tier].pane_ms
        span = _pane_span(place.pane_ms, size_ms)
        if span.start_ms not in state.panes[place.tier]:
            panes = sorted(state.panes[place.tier])
            kept = f"; kept are {rfc3339(panes[0])} to {rfc3339(panes[-1])}" if panes else ""
            raise NoSuchRow(f"scope {key} has no pane of {size_ms // 60_000} min at {rfc3339(span.start_ms)}{kept}")
        return span, state.pane_counters(place.tier, span.start_ms)
    for row in floor.all_windows():
        if row.state.key == key and row.window == place.window:
            return Range(row.start_ms, row.end_ms), row.counters
    raise NoSuchRow(f"no window {place.window} of scope {key}: nothing has moved its time yet")


def _unequal(row: Counters, sums: Counters) -> dict[str, tuple[int, int]]:
    return {
        counter_name(counter): (row.get(counter, 0), sums.get(counter, 0))
        for counter in row.keys() | sums.keys()
        if row.get(counter, 0) != sums.get(counter, 0)
    }


def _item(task_id: str, name: str, group: Group, view: TaskView, amount: int) -> TaskShare:
    kind, _, label_id = name.partition(":")
    if name.startswith(FOREIGN_PREFIX):
        return replace(_item(task_id, label_id, group, view.foreign_part(), amount), group=name)
    if kind in ("label", "audit"):
        label = view.labels[label_id]
        verdict = view.verdict(label)
        text = f"{shown(label.values)}, not audited"
        if verdict is not None:
            judged = verdict_text(verdict.wrong, verdict.error_code, verdict.severity_code)
            text = f"{shown(label.values)}: {judged}"
            if verdict.wrong and verdict.truth != c.UNKNOWN_TRUTH:
                text += f", right is {shown(verdict.truth)}"
        return TaskShare(task_id, name, label_id, label.dims[7], group.time_ms, text, amount)
    if kind in ("overlap", "shift"):
        text = "all who labelled it decided alike" if c.UNANIMOUS in group.counters[::2] else "decided differently"
        return TaskShare(task_id, name, None, None, group.time_ms, text if kind == "overlap" else "scheduled", amount)
    done = view.completing()
    return TaskShare(
        task_id,
        name,
        done.label_id if done is not None else None,
        done.dims[7] if done is not None else None,
        group.time_ms,
        _sla_text(view, done.time_ms if done is not None else None),
        amount,
    )


def _sla_text(view: TaskView, done_ms: int | None) -> str:
    _, due_ms = view.promise()
    parts = [f"due {rfc3339(due_ms)}" if due_ms is not None else "no due time"]
    parts.append(f"completed {rfc3339(done_ms)}" if done_ms is not None else "open")
    if view.cancelled:
        parts.append("cancelled")
    return ", ".join(parts)
