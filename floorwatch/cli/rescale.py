"""``floorwatch rescale``: how many partitions and workers to have, and how to grow partitions without a gap."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from floorwatch.cli.compare_sets import compare_tables
from floorwatch.cli.options import VarOption, config_option
from floorwatch.cli.rescale_plan import steps
from floorwatch.output.terminal import say
from streams.core.formatting import plural
from streams.models.timestamps import HOUR_MS

if TYPE_CHECKING:
    from floorwatch.settings.schema import FloorwatchConfig
    from floorwatch.simulate.compare import Difference

DEFAULT_PER_WORKER = 8_000.0
"""Events per second of one worker on the slowest machine measured; `make bench` measures yours."""

FEW_EVENTS = 10_000
"""With fewer events, neither a rate nor the share of a partition can be measured. A busy floor has this many in
minutes."""

DEFAULT_RESTORE = 50_000.0
"""Changelog records per second that a new owner reads; `make bench` measures yours."""

HEADROOM = 2.0
"""Capacity over the busiest hour: half for bursts within it, half for the backlog after an outage."""

SPARE_PARTITIONS = 2
"""Partitions per worker, so that a worker's share can be divided among the others when it dies, and the floor may
double once."""

SKEW_WARN = 1.5
_HOURS = 24


@dataclass(frozen=True)
class Measured:
    """What the cluster says of the log of events.

    Attributes:
        partitions: Of the log.
        now_per_s: Events per second while looking.
        peak_per_s: The busiest hour of the last 24; 0 when nothing is that old.
        lag: Events not folded yet.
        busiest_share: Share of the busiest partition over the share of an even one (1 is even).
        changelog: Records of the largest changelog partition: what a new owner reads.
        workers: Members of the consumer group.
        kept: Events that the log holds.
    """

    partitions: int
    now_per_s: float
    peak_per_s: float
    lag: int
    busiest_share: float
    changelog: int
    workers: int
    kept: int | None = None


@dataclass(frozen=True)
class Advice:
    """How many to have, and why, one sentence a line."""

    workers: int
    partitions: int
    reasons: tuple[str, ...]


def advise(measured: Measured, rate: float | None, per_worker: float, restore: float) -> Advice:
    """Choose workers and partitions.

    Workers are ``ceil(headroom × busiest rate × skew / per_worker)``, at least 2, so that one may die. Partitions are
    ``SPARE_PARTITIONS`` per worker, rounded up to a multiple of the workers (an even share each), never fewer than now.

    Args:
        measured: What the cluster says.
        rate: Events per second to plan for; None takes the busiest that was measured.
        per_worker: Events per second of one worker.
        restore: Changelog records per second of a recovery.

    Returns:
        Counts and reasons.

    Example:
        >>> advise(Measured(4, 20.0, 26.0, 0, 1.1, 90_000, 1), None, 8000.0, 50_000.0).partitions
        4
    """
    busiest = rate if rate is not None else max(measured.now_per_s, measured.peak_per_s)
    few = measured.kept is not None and measured.kept < FEW_EVENTS
    skew = 1.0 if few else max(1.0, measured.busiest_share)
    needed = max(1, math.ceil(HEADROOM * busiest * skew / per_worker))
    workers = max(2, needed)
    fits = measured.partitions >= SPARE_PARTITIONS * workers or measured.partitions >= workers == 2
    partitions = measured.partitions if fits else SPARE_PARTITIONS * workers
    whence = "given" if rate is not None else "the busiest seen"
    who = "worker carries" if needed == 1 else "workers carry"
    sum_ = f"{busiest:,.1f} events/s ({whence}) × {HEADROOM:g} headroom × {skew:.2f} for the busiest partition"
    reasons = [f"{sum_}, over {per_worker:,.0f} a worker: {needed} {who} it"]
    if few and rate is None:
        held = plural(measured.kept or 0, "event")
        said = f"the log holds {held}: too few to measure by, so this is the least for any floor"
        reasons = [f"{said}; ask again after a busy day, or say with --rate how many events a second will come"]
    if workers > needed:
        reasons.append(f"{workers} workers, so that one may die and the other goes on after the session timeout")
    if fits:
        reasons.append(f"{measured.partitions} partitions are enough for {workers} workers: nothing to change")
    else:
        reasons.append(
            f"{partitions} partitions: {SPARE_PARTITIONS} for each worker, because a partition is the smallest share "
            f"one can have; there are {measured.partitions}. Not many more: each scope keeps a row per pane and partition"
        )
    per_partition_s = measured.changelog / restore
    if few:
        return Advice(workers, partitions, tuple(reasons))
    reasons.append(
        f"a new owner reads up to {measured.changelog:,} changelog records of a partition: "
        f"about {per_partition_s:.1f} s at {restore:,.0f} a second, after the session timeout"
    )
    if measured.busiest_share > SKEW_WARN:
        reasons.append(
            f"the busiest partition has {measured.busiest_share:.1f} times its share: look for a task id that many events share"
        )
    return Advice(workers, partitions, tuple(reasons))


def rescale(
    config: Annotated[Path | None, config_option("YAML file of the running floor.")] = None,
    rate: Annotated[
        float | None, typer.Option(min=0, max=1e9, help="Events per second to plan for, instead of measured.")
    ] = None,
    per_worker: Annotated[
        float, typer.Option(min=1, max=1e9, help="Events/s of one worker (make bench).")
    ] = DEFAULT_PER_WORKER,
    restore: Annotated[
        float, typer.Option(min=1, max=1e9, help="Changelog records/s of a recovery.")
    ] = DEFAULT_RESTORE,
    sample: Annotated[float, typer.Option(min=1, max=3600, help="Seconds to measure the present rate.")] = 5.0,
    plan: Annotated[bool, typer.Option("--plan", help="Print the steps to another number of partitions.")] = False,
    partitions: Annotated[int | None, typer.Option(min=1, max=1024, help="For --plan; else as advised.")] = None,
    compare: Annotated[Path | None, typer.Option(help="YAML of the new set: compare its tables with the old.")] = None,
    var: VarOption = None,
) -> None:
    """Say how many partitions and workers to have and why; --plan tells how to get there without a gap."""
    import asyncio
    import logging

    from floorwatch.cli.common import exit_on_config_error, exit_on_kafka_error, load_for_reader
    from floorwatch.settings.load import load

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    with exit_on_config_error():
        settings = load_for_reader(config, var)
        other = load(compare, {}, process="reader") if compare is not None else None
    if plan and partitions is not None:
        say(steps(settings, str(config or "floorwatch.yaml"), partitions))
        return
    with exit_on_kafka_error(settings, "The cluster cannot be measured"):
        if other is not None:
            _report_comparison(*asyncio.run(compare_tables(settings, other)))
            return
        measured = asyncio.run(measure(settings, sample))
    advice = advise(measured, rate, per_worker, restore)
    say(_measured_text(settings, measured))
    say(f"→ {advice.workers} workers, {advice.partitions} partitions\n  " + "\n  ".join(advice.reasons))
    if plan:
        say("\n" + steps(settings, str(config or "floorwatch.yaml"), advice.partitions))
    elif advice.partitions != measured.partitions:
        say("How to get there: floorwatch rescale --plan")


def _measured_text(settings: FloorwatchConfig, measured: Measured) -> str:
    kafka = settings.kafka
    return (
        f"{kafka.topic_prefix}events.v1: {measured.partitions} partitions, {measured.now_per_s:,.1f} events/s now, "
        f"{measured.peak_per_s:,.1f} in the busiest of the last {_HOURS} hours, {measured.lag:,} waiting; "
        f"{measured.workers} in group {kafka.group}"
    )


async def measure(settings: FloorwatchConfig, sample_s: float) -> Measured:
    """Ask the cluster for rates, lag and sizes.

    Args:
        settings: Of the running floor.
        sample_s: How long to watch the log grow, in seconds.

    Raises:
        KafkaError: The cluster cannot be asked.
    """
    import asyncio

    from aiokafka import AIOKafkaConsumer, TopicPartition

    from streams.adapters.admin import committed, open_admin
    from streams.adapters.clients import kafka_settings
    from streams.models import topics

    options = kafka_settings(settings)
    events, changelog = (settings.kafka.topic_prefix + name for name in (topics.EVENTS, topics.LEDGER))
    admin = await open_admin(options, 5.0)
    consumer = AIOKafkaConsumer(group_id=None, enable_auto_commit=False, **options)
    try:
        await consumer.start()
        found = await _partitions_of(admin, events)
        tps = [TopicPartition(events, number) for number in range(found)]
        before = await consumer.end_offsets(tps)
        await asyncio.sleep(sample_s)
        ends = await consumer.end_offsets(tps)
        begins = await consumer.beginning_offsets(tps)
        done = await committed(admin, settings.kafka.group, events, found)
        logs = [TopicPartition(changelog, number) for number in range(found)]
        log_begins, log_ends = await consumer.beginning_offsets(logs), await consumer.end_offsets(logs)
        kept = [ends[tp] - begins[tp] for tp in tps]
        return Measured(
            partitions=found,
            now_per_s=sum(ends[tp] - before[tp] for tp in tps) / sample_s,
            peak_per_s=await _peak_per_s(consumer, tps, ends),
            lag=sum(max(0, ends[tp] - max(done[tp.partition], begins[tp])) for tp in tps),
            busiest_share=max(kept) * found / sum(kept) if sum(kept) else 1.0,
            changelog=max(log_ends[tp] - log_begins[tp] for tp in logs),
            workers=await _members(admin, settings.kafka.group),
            kept=sum(kept),
        )
    finally:
        await consumer.stop()
        await admin.close()


async def _peak_per_s(consumer: Any, tps: list[Any], ends: Mapping[Any, int]) -> float:
    """Return the rate of the busiest whole hour of the last day, by when records were written."""
    import time

    now_ms = int(time.time() * 1000)
    marks = []
    for hour in range(_HOURS, 0, -1):
        found = await consumer.offsets_for_times(dict.fromkeys(tps, now_ms - hour * HOUR_MS))
        marks.append(sum(found[tp].offset if found.get(tp) else ends[tp] for tp in tps))
    marks.append(sum(ends.values()))
    return max((later - earlier) / 3600 for earlier, later in pairwise(marks))


async def _partitions_of(admin: Any, topic: str) -> int:
    from aiokafka.errors import UnknownTopicOrPartitionError

    described = await admin.describe_topics([topic])
    if not described or described[0]["error_code"]:
        raise UnknownTopicOrPartitionError(f"there is no topic {topic}")
    return len(described[0]["partitions"])


async def _members(admin: Any, group: str) -> int:
    response = await admin.describe_consumer_groups([group])
    return sum(len(described[5]) for answer in response for described in answer.groups)


def _report_comparison(found: list[Difference], rows: int) -> None:
    from floorwatch.simulate.compare import report

    say(report(found, rows))
    if found or not rows:
        say("compare again when neither set has lag" if rows else "no hour is closed in both sets yet", err=True)
        raise typer.Exit(1)
