"""Runs one worker: the Faust app, the metrics endpoint and the notifier, until a signal or a crash."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from aiohttp import web

from alerts.health.sources import KEPT_MS
from alerts.incident import Incident
from floorwatch.settings.policies import exported_kinds
from floorwatch.settings.review import warnings
from floorwatch.settings.schema import FloorwatchConfig
from streams.adapters.refused_requests import refused_store
from streams.adapters.source_counts import SourceStore
from streams.agents.incidents import IncidentsStage
from streams.app import Worker
from streams.engine.errors import Misconfigured
from streams.gauges import sample, set_limits
from streams.health import HealthWatch, WatchedSources, appender, heartbeat_of, limits_of, source_limits_of
from streams.heap import trim_forever
from streams.models.formats import NewerFormat
from streams.notify import NotificationService
from streams.status import sites_of, status_of
from streams.zones import ZoneWatch
from telemetry.background import BackgroundTasks
from telemetry.engine_metrics import EngineMetrics
from telemetry.exporter import ExportPolicy, FloorCollector
from telemetry.http import Ready, build_app
from telemetry.registry import build_registry
from telemetry.shutdown import LIMIT_S, ShutdownWatchdog
from telemetry.version import VERSION

log = logging.getLogger(__name__)

_CLOSE_S, _APP_S, _OTHERS_S = 12.0, 4.0, 1.0
"""Longest times of the steps of a shutdown, together less than ``LIMIT_S``: to flush and give the partitions back, to stop Faust,
and each of the others. What is not flushed is folded again by the next owner."""

_GC_THRESHOLDS = (50_000, 20, 50)
"""Events and packed facts are untracked; at Python's own 700 the collector would run in every batch for nothing."""


async def run_worker(config: FloorwatchConfig, kept_alerts: Path | None = None) -> int:
    """Run until SIGTERM or SIGINT (flush, commit, leave the group) or a failure. A broker that is away is waited for.

    Args:
        config: The loaded configuration.
        kept_alerts: Where the embedded stack keeps incidents for its next broker; None with a broker that keeps its topics.

    Returns:
        Exit code: 0 after a signal, 1 after a failure (start it again: it recovers exactly), ``EX_CONFIG`` (78) where starting
        again does not help before somebody has changed what the log says.
    """
    gc.set_threshold(*_GC_THRESHOLDS)
    gc.freeze()
    metrics = EngineMetrics(component="worker", version=VERSION, stages=("intake", "ledger"))
    rules = config.rules
    worker = Worker(config, metrics, rules, kept_alerts)
    set_limits(metrics, config)
    metrics.on_collect(lambda: sample(worker))
    stopping = asyncio.Event()
    watchdog = ShutdownWatchdog("the worker", LIMIT_S)
    tasks = BackgroundTasks()
    zones = ZoneWatch(config.tables, partial(sites_of, worker))
    for said in warnings(config):
        log.warning("configuration: %s", said)
    delivery = NotificationService(
        config.alerts,
        worker.outbox,
        metrics,
        tasks,
        config.web.signer(),
        partial(_known_since, worker),
        worker.receipts,
        buttons=bool(config.web.slack_secrets),
    )
    health = _health_watch(worker, delivery, metrics)
    metrics.on_collect(lambda: _sample_tasks(metrics, tasks))
    _stop_on_signals(stopping, watchdog)
    web_runner = await _serve_metrics(worker, metrics, tasks, delivery, zones, health, watchdog)
    delivery.start(stopping)
    tasks.start("memory: trim", trim_forever)
    tasks.start("zones: watch", zones.run)
    tasks.start("health: watch", health.run)
    code, said = 1, ""
    try:
        code, said = await _until_ended(worker, stopping)
    except (Misconfigured, NewerFormat) as error:
        code, said = os.EX_CONFIG, str(error)
    finally:
        stopping.set()
        watchdog.begin(code or None)
        if (
            await watchdog.within("flush and give back partitions", worker.close(flush=code == 0), _CLOSE_S)
            and not code
        ):
            watchdog.exit_code = 0
        await watchdog.within("stop Faust", worker.app.stop(), _APP_S)
        await watchdog.within("end background tasks", tasks.close(), _OTHERS_S)
        await watchdog.within("close the heartbeat", health.close(), _OTHERS_S)
        await watchdog.within("close alert channels", delivery.close(), _OTHERS_S)
        await watchdog.within("stop the metrics endpoint", web_runner.cleanup(), _OTHERS_S)
    if code:
        log.error("the worker stopped after a failure: %s", said)
    if code or watchdog.overran:
        # Faust's threads may hang on a broker that has gone; the state is on the log, so leave at once.
        logging.shutdown()
        os._exit(watchdog.exit_code)
    return code


def _alerts_stage(worker: Worker) -> IncidentsStage | None:
    """Return this worker's stage of all alerts; None while another worker has it."""
    return next((stage for stage in worker.stages(IncidentsStage) if stage.has_alerts), None)


def _known_since(worker: Worker, at_ms: int) -> list[Incident] | None:
    stage = _alerts_stage(worker)
    return None if stage is None else stage.known_since(at_ms)


def _health_watch(worker: Worker, delivery: NotificationService, metrics: EngineMetrics) -> HealthWatch:
    config = worker.config
    every_s = 60.0 if config.alerts.heartbeat is None else config.alerts.heartbeat.every
    return HealthWatch(
        f"{socket.gethostname()}:{config.metrics.port}",
        delivery,
        worker.outbox,
        worker.read_model,
        partial(_alerts_stage, worker),
        limits_of(config.alerts.health),
        append=appender(worker),
        sources=WatchedSources(
            worker.tally,
            SourceStore(worker.redis, config.redis.prefix, KEPT_MS),
            source_limits_of(config.alerts.health),
            worker.intake_behind,
            refused_store(worker.redis, config.redis.prefix),
        ),
        heartbeat=heartbeat_of(config.alerts.heartbeat, delivery.channels.by_name, metrics),
        beat_every_s=every_s,
    )


def _stop_on_signals(stopping: asyncio.Event, watchdog: ShutdownWatchdog) -> None:
    """Stop on SIGTERM and SIGINT.

    The handler is not the event loop's own: the watchdog must hear of the signal where the loop is held up.
    """
    loop = asyncio.get_running_loop()

    def stop(_number: int, _frame: FrameType | None) -> None:
        watchdog.begin()
        loop.call_soon_threadsafe(stopping.set)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)


async def _until_ended(worker: Worker, stopping: asyncio.Event) -> tuple[int, str]:
    """Connect, start and run; return the exit code and, where it is not 0, the reason."""
    stopped = asyncio.ensure_future(stopping.wait())
    crash = asyncio.ensure_future(worker.app._crashed.wait())  # noqa: SLF001 - mode has no public handle on it
    if await _before({stopped, crash}, worker.connect()) and await _before({stopped, crash}, worker.app.start()):
        ended = asyncio.ensure_future(worker.app.wait_until_stopped())
        await asyncio.wait({stopped, ended, crash}, return_when=asyncio.FIRST_COMPLETED)
    if stopped.done() and not worker.app.crashed:
        return 0, ""
    reason = worker.app.crash_reason
    return (os.EX_CONFIG, str(reason)) if isinstance(reason, Misconfigured | NewerFormat) else (1, repr(reason))


async def _before(events: set[asyncio.Future[Any]], work: Coroutine[Any, Any, Any]) -> bool:
    """Do some work unless one of some events comes first; return whether it was done."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({*events, task}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
        return True
    task.cancel()
    await asyncio.wait({task}, timeout=_OTHERS_S)  # mode swallows cancellations
    return False


async def _serve_metrics(
    worker: Worker,
    metrics: EngineMetrics,
    tasks: BackgroundTasks,
    delivery: NotificationService,
    zones: ZoneWatch,
    health: HealthWatch,
    watchdog: ShutdownWatchdog,
) -> web.AppRunner:
    config = worker.config
    policy = ExportPolicy(exported_kinds(config), first=config.shown_window)
    rules = [(rule.name, rule.severity) for rule in worker.rules]
    floor = FloorCollector(worker.window_rows, policy=policy, incidents=worker.live_incidents, rules=rules)
    app = build_app(
        build_registry(floor, metrics),
        lambda: _ready(worker, tasks, stopping=watchdog.begun),
        status=partial(status_of, worker, tasks, delivery, zones, health),
    )
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, config.metrics.host, config.metrics.port)
    await site.start()
    host, port = runner.addresses[0][:2]
    log.info("metrics at http://%s:%d/metrics", host, port)
    return runner


def _ready(worker: Worker, tasks: BackgroundTasks, *, stopping: bool) -> Ready:
    waits = []
    if not worker.connected:
        waits.append("waiting for Kafka")
    elif not any(host.owned for host in worker.hosts.values()):
        waits.append("no partitions assigned yet")
    recovering = [
        f"{host.name}[{owned.partition}] is recovering"
        for host in worker.hosts.values()
        for owned in host.owned.values()
        if not owned.ready.is_set()
    ]
    ill = ["it is stopping"] if stopping else []
    if worker.app.crashed:
        ill.append("it has failed, see the log")
    ill.extend(
        f"{host.name}{host.fenced} was taken for dead and waits to be assigned anew"
        for host in worker.hosts.values()
        if host.fenced
    )
    ill.extend(tasks.reasons())
    reasons = (*waits, *recovering, *ill)
    return Ready(not reasons, reasons, recovering=bool(recovering), waits=bool(reasons) and not ill)


def _sample_tasks(metrics: EngineMetrics, tasks: BackgroundTasks) -> None:
    for state in tasks.states():
        metrics.background(state.name, state.down_s)
