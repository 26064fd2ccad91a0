"""The verdict: what stands at the end of a schedule against what an undisturbed run of the same log of events makes."""

from __future__ import annotations

from typing import Any

import orjson

from streams.core.policy import HOUR_MS
from streams.core.time_text import rfc3339
from streams.models import topics
from tests.simulation.calm import Calm
from tests.simulation.views import floor_view, ledger_view, model_view, published, refused
from tests.simulation.world import PREFIX, World

_SHOWN = 3
_LONG = 200


def differences(world: World) -> list[str]:
    """Return what is wrong, in sentences; empty when every row of every table is as in the undisturbed run."""
    calm = Calm(world)
    found: list[str] = []
    for partition in range(world.shape.partitions):
        found += _ledgers(world, calm, partition)
        if world.shape.scopes:
            found += _floors(world, calm, partition)
    if world.shape.intake:
        found += _intake(world)
    for topic in (topics.DEAD_LETTERS, topics.LATE):
        letters = [dict.fromkeys(refused(w.cluster, topic, PREFIX + topics.EVENTS), 1) for w in (calm.world, world)]
        found += _differ(f"{topic}: the letters", *letters)
    if world.shape.scopes:
        theirs, ours = model_view(calm.world.memory), model_view(world.memory)
        found += _differ("the read model", theirs, ours)
    return found


def _differ(what: str, expected: dict[Any, Any], actual: dict[Any, Any]) -> list[str]:
    if expected == actual:
        return []
    keys = [key for key in {**expected, **actual} if expected.get(key) != actual.get(key)]
    lines = [f"{what}: {len(keys)} of {len(expected)} differ"]
    lines.extend(f"    {key}: {_parted(expected.get(key), actual.get(key))}" for key in keys[:_SHOWN])
    return ["\n".join(lines)]


def _parted(expected: Any, actual: Any) -> str:
    """Say what parts two values, of rows only the fields that do."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        names = [name for name in {**expected, **actual} if expected.get(name) != actual.get(name)]
        return "; ".join(f"{name}: expected {expected.get(name)}, is {actual.get(name)}" for name in names)
    return f"expected {_brief(expected)}, is {_brief(actual)}"


def _brief(held: Any) -> str:
    if isinstance(held, dict) and "scope_key" in held:
        held = {k: v for k, v in held.items() if v and not (isinstance(v, dict) and not any(v.values()))}
    return str(held)[:_LONG]


def _ledgers(world: World, calm: Calm, partition: int) -> list[str]:
    expected = ledger_view(calm.ledger(partition), world.shape.policy)
    found = []
    owners = [worker for worker in world.workers.values() if partition in worker.hosts[topics.EVENTS].owned]
    if len(owners) != 1:
        return [f"ledger[{partition}] has {len(owners)} owners"]
    owned = owners[0].hosts[topics.EVENTS].owned[partition]
    stages = {"in memory": owned.processor, "recovered": calm.recovered(world.cluster, topics.EVENTS, partition)}
    for how, stage in stages.items():
        actual = ledger_view(stage, world.shape.policy)
        for part, held in expected.items():
            found += _differ(f"ledger[{partition}] {how}: {part}", held, actual[part])
    found += _idleness(world, partition, owned.processor)
    end = world.cluster.log(topics.EVENTS, partition).end
    committed = world.group.committed.get((topics.EVENTS, partition), 0)
    if committed != end:
        found.append(f"ledger[{partition}]: committed at {committed}, the log ends at {end}")
    return found


def _idleness(world: World, partition: int, stage: Any) -> list[str]:
    """Read from the log itself whether a partition is idle: its last record alone decides."""
    records = world.cluster.log(topics.EVENTS, partition).records
    expected = bool(records) and b'"idle":true' in (records[-1].value or b"")
    is_idle = stage.store.ledger.idle
    return [] if is_idle == expected else [f"ledger[{partition}]: idle should be {expected}, is {is_idle}"]


def _floor_time(world: World, floor: Any) -> list[str]:
    """At rest the partitions that are not idle are all as far as the last tick, and so must the floor be."""
    ledgers = [
        owned.processor.store.ledger  # type: ignore[attr-defined]
        for worker in world.workers.values()
        for owned in worker.hosts[topics.EVENTS].owned.values()
    ]
    expected_ms = max(ledger.watermark_ms for ledger in ledgers if not ledger.idle)
    if floor.watermark_ms >= expected_ms and floor.sources.kept_from_ms <= min(
        ledger.watermark_ms for ledger in ledgers if ledger.watermark_ms >= 0
    ):
        return []
    return [f"the floor is at {floor.watermark_ms}, its busy partitions at {expected_ms}"]


def _floors(world: World, calm: Calm, partition: int) -> list[str]:
    expected = floor_view(calm.floor(partition), world.shape.policy)
    found = []
    owner = next(w for w in world.workers.values() if partition in w.hosts[topics.PARTIALS].owned)
    stages = {
        "in memory": owner.hosts[topics.PARTIALS].owned[partition].processor,
        "recovered": calm.recovered(world.cluster, topics.PARTIALS, partition),
    }
    for how, stage in stages.items():
        found += _floor_time(world, stage.floor)
        actual = floor_view(stage.floor, world.shape.policy)
        for part, held in expected.items():
            found += _differ(f"scopes[{partition}] {how}: {part}", held, actual[part])
    horizon_ms = calm.floor(partition).watermark_ms - world.shape.policy.horizon_ms
    for topic in topics.TABLE_TOPICS.values():
        theirs, ours = (published(c, topic, partition) for c in (calm.world.cluster, world.cluster))
        # Hour panes that have expired are history: which of their rows was shown last depends on when it was shown.
        ours, theirs = ({k: r for k, r in rows.items() if not _history(r, horizon_ms)} for rows in (ours, theirs))
        found += _differ(f"{topic}[{partition}]", theirs, ours)
    return found


def _history(row: dict[str, Any], horizon_ms: int) -> bool:
    return row.get("window") == "pane" and row["pane_start"] <= rfc3339(horizon_ms - HOUR_MS)


def _intake(world: World) -> list[str]:
    """Every raw record is on the log of events or among the dead letters, and the order within a task is kept."""
    found = []
    written = [
        record.value
        for partition in range(world.shape.partitions)
        for record in world.cluster.log(topics.EVENTS, partition).records
        if record.key != b"clock" or b"tick-" not in (record.value or b"")
    ]
    dead = set(refused(world.cluster, topics.DEAD_LETTERS, topics.RAW))
    expected: dict[bytes, list[bytes]] = {}
    for partition in range(world.shape.partitions):
        for record in world.cluster.log(topics.RAW, partition).records:
            value = record.value or b""
            letter = f"{topics.RAW}|{partition}|{record.offset}".encode()
            if (value in written) == (letter in dead):
                found.append(f"intake: {letter.decode()} is {'both' if letter in dead else 'neither'} event and letter")
            elif value in written:
                order = expected.setdefault(orjson.loads(value)["subject"].encode(), [])
                if value not in order:
                    order.append(value)
    if topics.EVENTS in world.cluster.holes:
        return found  # what came before a hole came again behind it: at least once, not in order
    for subject, order in expected.items():
        mine = [value for value in dict.fromkeys(written) if value in set(order)]
        if mine != order:
            found.append(f"intake: the events of {subject.decode()} are out of order")
    return found
