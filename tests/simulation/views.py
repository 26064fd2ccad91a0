"""What of a stage is compared, in plain values. The only place of the simulation that looks inside the engine."""

from __future__ import annotations

from typing import Any

import orjson

from streams.core.facts import unpack
from streams.core.floor import Floor
from streams.core.policy import CorePolicy
from tests.simulation.cluster import Cluster
from tests.simulation.ports import Memory

_VOLATILE = ("start", "end", "watermark", "closed", "labels_per_hour", "oldest_open_age_ms", "open_as_of")
"""Fields of a window's row that move with the watermark even where nothing else does, and are shown as last written."""

_PLACE = frozenset({"table", "scope", "scope_key", "start", "end", "closed", "window", "pane_s", "pane_start"})

View = dict[str, dict[Any, Any]]


def ledger_view(stage: Any, policy: CorePolicy) -> View:
    """Return rows that can still change, facts, counters and watermark of a ledger stage."""
    ledger = stage.store.ledger
    ledger.drain()
    rows = {}
    for (tier, pane_ms, scope), row in ledger.rows.places():
        spec = policy.all_tiers[tier]
        if row.counters and pane_ms + spec.pane_ms + spec.kept_ms > ledger.watermark_ms:
            rows[ledger.scopes.keys[scope], tier, pane_ms] = dict(row.counters)
    return {
        "rows": rows,
        "facts": {task_id: unpack(packed) for task_id, packed in ledger.tasks.items()},
        "counters": {"counters": ledger.fold_counts},
        "place": {
            "next": ledger.next,
            "watermark_ms": ledger.watermark_ms,
            "idle": ledger.idle,
            "floor_ms": ledger.floor_ms,
        },
    }


def floor_view(floor: Floor, policy: CorePolicy) -> View:
    """Return the panes that can still change, the windows' sums, the backlog and the watermarks of a floor."""
    floor.absorb()
    watermarks = {source: held[1:] for source, held in floor.watermarks.items()}
    panes = {}
    for key, state in floor.scopes.items():
        for tier, of_tier in enumerate(state.panes):
            spec = policy.all_tiers[tier]
            for pane_ms in of_tier:
                counters = state.pane_counters(tier, pane_ms)
                if counters and pane_ms + spec.pane_ms + spec.kept_ms > floor.watermark_ms:
                    panes[key, tier, pane_ms] = dict(counters)
    floor.all_windows()
    windows = {
        (key, window.name): dict(total.counters)
        for key, state in floor.scopes.items()
        for window, total in zip(policy.windows, state.windows, strict=True)
        if total.counters
    }
    backlog = {key: dict(state.open_by_hour) for key, state in floor.scopes.items() if state.open_by_hour}
    return {"panes": panes, "windows": windows, "backlog": backlog, "watermarks": watermarks}


def published(cluster: Cluster, topic: str, partition: int) -> dict[str, dict[str, Any]]:
    """Return the last row of each key of a table topic, less what moves with the watermark alone."""
    last = {(record.key or b"").decode(): record.value for record in cluster.log(topic, partition).records}
    rows = {key: steady(value) for key, value in last.items() if value is not None and not key.startswith("~")}
    return {key: row for key, row in rows.items() if row["window"] != "pane" or not _empty(row)}


def steady(value: bytes) -> dict[str, Any]:
    """Return a row less what moves with the watermark alone."""
    row: dict[str, Any] = orjson.loads(value)
    of_open_pane = ("watermark", "open_as_of", *(() if row["closed"] else ("labels_per_hour",)))
    drop = _VOLATILE if row["window"] != "pane" else of_open_pane
    return {name: held for name, held in row.items() if name not in drop}


def _empty(row: dict[str, Any]) -> bool:
    """Tell whether a pane's row counts nothing: what was counted there once was moved or taken back."""
    measures = [held for name, held in row.items() if name not in _PLACE]
    return not any(any(held.values()) if isinstance(held, dict) else held for held in measures)


def model_view(memory: Memory) -> dict[tuple[str, str], Any]:
    """Return the rows of the read model."""
    return {(key, scope): steady(value) for key, rows in memory.hashes.items() for scope, value in rows.items()}


def refused(cluster: Cluster, topic: str, source: str) -> list[bytes]:
    """Return the keys of the letters on a topic that concern a source topic, each once."""
    logs = [cluster.log(topic, partition) for partition in range(cluster.partitions)]
    keys = {record.key or b"" for log in logs for record in log.records}
    return sorted(key for key in keys if key.startswith(source.encode() + b"|"))
