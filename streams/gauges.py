"""Gauges nobody keeps up to date all the time: they are read off the worker at each scrape. And the bounds they have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.agents.ledger import LedgerStage
from streams.core.scopes import TUPLES_LIMIT
from streams.engine.batches import IN_HAND
from telemetry import catalogue as c

if TYPE_CHECKING:
    from floorwatch.settings.schema import FloorwatchConfig
    from streams.app import Worker
    from telemetry.engine_metrics import EngineMetrics


def set_limits(metrics: EngineMetrics, config: FloorwatchConfig) -> None:
    """Tell the bound of each gauge that has one, so that boards and alerts can show how full a buffer is."""
    engine = config.engine
    metrics.limit(c.BATCHES_IN_HAND, IN_HAND)
    metrics.limit(c.UNFLUSHED, engine.max_unflushed_records)
    metrics.limit(c.UNFLUSHED_BYTES, engine.max_unflushed_bytes)
    metrics.limit(c.IN_FLIGHT, engine.max_in_flight_bytes)
    metrics.limit(c.LARGEST_RECORD, config.kafka.max_message_bytes)
    metrics.limit(c.SCOPES, config.tables.max_scopes)
    metrics.limit(c.INTERNED, TUPLES_LIMIT)


def sample(worker: Worker) -> None:
    """Set the gauges of what a worker holds now."""
    metrics, hosts = worker.metrics, worker.hosts
    consumer = worker.app.consumer if worker.ready else None
    for (topic, partition), batches in getattr(consumer, "batches_in_hand", {}).items():
        if topic in hosts and partition in hosts[topic].owned:
            metrics.batches_in_hand(hosts[topic].name, partition, batches)
    ledgers = [
        owned.processor.store.ledger
        for host in hosts.values()
        for owned in host.owned.values()
        if owned.ready.is_set() and isinstance(owned.processor, LedgerStage)
    ]
    metrics.scopes(max((len(ledger.scopes) for ledger in ledgers), default=0))
