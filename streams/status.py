"""What a worker tells of itself on ``/statusz``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from streams.agents.aggregate import AggregateStage
from streams.agents.ledger import LedgerStage
from streams.app import Worker
from streams.core.formatting import rfc3339
from streams.core.scopes import parse_scope_key
from streams.health import HealthWatch
from streams.models import topics
from streams.notify import NotificationService
from streams.zones import ZoneWatch
from telemetry.background import BackgroundTasks
from telemetry.version import VERSION


async def status_of(
    worker: Worker, tasks: BackgroundTasks, delivery: NotificationService, zones: ZoneWatch, health: HealthWatch
) -> dict[str, Any]:
    """Return all of it as plain values."""
    return {
        "component": "worker",
        "version": VERSION,
        "rules": rules_status(worker),
        "scopes": scopes_status(worker),
        "sites_without_zone": zones.look(),
        "background_tasks": [asdict(state) for state in tasks.states()],
        "health": health.status(),
        "notifications": await delivery.status(),
    }


def scopes_status(worker: Worker) -> dict[str, Any]:
    """Return whether the cap on scopes keeps new ones out of this worker's partitions."""
    ledgers = worker.stages(LedgerStage)
    full = {str(stage.partition): stage.scopes_refused for stage in ledgers if stage.scopes_refused}
    return {"max_scopes": worker.config.tables.max_scopes, "refused_times_by_partition": full}


def rules_status(worker: Worker) -> dict[str, Any]:
    """Return how far the rules have looked; the owner of scopes partition 0 evaluates them."""
    mine = 0 in worker.hosts[worker.topics.name(topics.PARTIALS)].owned
    look = worker.runner.look if mine else None
    return {
        "evaluated_by_this_worker": mine,
        "looked_at_events_up_to": None if look is None else rfc3339(look.upto_ms),
        "next_look_when_event_time_passes": None if look is None else rfc3339(look.next_ms),
        "could_not_process": worker.runner.faults.status() if mine else None,
    }


def sites_of(worker: Worker) -> set[str]:
    """Return the sites that a worker counts."""
    keys = [key for stage in worker.stages(AggregateStage) for key in stage.floor.scopes if key.startswith("site=")]
    scopes = [parse_scope_key(key) for key in keys if "," not in key]
    return {scope["site"] for scope in scopes if "site" in scope}
