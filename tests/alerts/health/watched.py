"""A watch over a real notifier on a real Valkey, in this process; what is not under test is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from alerts.health.facts import HealthLimits
from alerts.health.sources import KEPT_MS, SourceLimits
from alerts.incident import Incident
from alerts.looks import LOOKS, Look, encode_look
from alerts.outbox import Outbox
from alerts.routes import RoutingSettings
from alerts.settings.health import HeartbeatSettings
from alerts.signals import Signal
from streams.adapters.readmodel import ReadModel
from streams.adapters.refused_requests import refused_store
from streams.adapters.source_counts import SourceStore, SourceTally
from streams.health import HealthWatch, WatchedSources, clock_ms, heartbeat_of
from streams.notify import NotificationService
from telemetry.background import BackgroundTasks
from telemetry.engine_metrics import EngineMetrics
from tests.redis_clients import async_client

PREFIX = "floorwatch:"
LIMITS = HealthLimits(stalled_ms=60_000, notifier_dead_ms=1_500, receiver_failing_ms=1_000)


@dataclass
class Stage:
    """The stage of all alerts."""

    taken_in_ms: int | None = None
    incidents: list[Incident] = field(default_factory=list)
    said: list[Signal] = field(default_factory=list)

    def live(self) -> list[Incident]:
        return self.incidents

    async def append(self, signals: Sequence[Signal]) -> None:
        self.said += signals


@dataclass
class Watched:
    """A worker's notifier and what watches it."""

    watch: HealthWatch
    tasks: BackgroundTasks
    redis: Redis
    outbox: Outbox
    read_model: ReadModel
    stage: Stage
    tally: SourceTally
    behind: int = 0
    ahead_ms: int = 0
    """How far the watch's clock is moved on."""
    owner: bool = True

    async def rules_look(self, ago_s: float = 0.0) -> None:
        """Say that rules have looked."""
        now_ms = clock_ms() - round(ago_s * 1000)
        await self.read_model.say(LOOKS, encode_look(Look(now_ms, now_ms + 60_000, now_ms)))

    @property
    def broken(self) -> list[str]:
        return list(self.watch.status()["broken"])


@asynccontextmanager
async def watched(
    redis_url: str,
    alerts: dict[str, Any],
    heartbeat: dict[str, Any] | None = None,
    name: str = "w1:9464",
    *,
    sources: bool = False,
) -> AsyncIterator[Watched]:
    """Run a notifier; the test looks by ``watch.look()``."""
    redis = async_client(redis_url)
    metrics = EngineMetrics(component="worker", version="0", stages=())
    outbox, read_model = Outbox(redis, clock_ms, prefix=PREFIX), ReadModel(redis, PREFIX)
    tasks = BackgroundTasks()
    delivery = NotificationService(RoutingSettings.model_validate(alerts), outbox, metrics, tasks)
    beat = None if heartbeat is None else HeartbeatSettings.model_validate({"every": 1, **heartbeat})
    made: list[Watched] = []
    stage, tally = Stage(), SourceTally()
    store = SourceStore(redis, PREFIX, KEPT_MS)
    watch = HealthWatch(
        name,
        delivery,
        outbox,
        read_model,
        lambda: made[0].stage if made[0].owner else None,
        LIMITS,
        append=stage.append,
        sources=WatchedSources(tally, store, SourceLimits(), lambda: made[0].behind, refused_store(redis, PREFIX))
        if sources
        else None,
        heartbeat=heartbeat_of(beat, delivery.channels.by_name, metrics),
        beat_every_s=0.0,
        clock=lambda: clock_ms() + made[0].ahead_ms,
    )
    made.append(Watched(watch, tasks, redis, outbox, read_model, stage, tally))
    stop = asyncio.Event()
    try:
        delivery.start(stop)
        await made[0].rules_look()
        yield made[0]
    finally:
        stop.set()
        await tasks.close()
        await watch.close()
        await delivery.close()
        await redis.aclose()
