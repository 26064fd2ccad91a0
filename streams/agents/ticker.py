"""Ticker: appends clock events to partitions without events, so that the passing of time is replayed exactly too."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from streams.adapters.topic_names import TopicNames
from streams.agents.aggregate import AggregateStage
from streams.agents.ledger import LedgerStage
from streams.core.time_text import moment, rfc3339
from streams.engine.host import StageHost
from streams.engine.log import LogWriter, ProducerRecord
from streams.models import topics
from streams.models.events import Tick, TickData, encode_event

log = logging.getLogger(__name__)


def tick_event(partition: int, time_ms: int, reason: str, *, idle: bool = False, floor_ms: int = -1) -> ProducerRecord:
    """Return the record of a clock event.

    Args:
        partition: Partition it is for; part of its id.
        time_ms: The time that has been reached.
        reason: Why, for people reading the log.
        idle: The partition does not hold the floor back from here until its next event.
        floor_ms: How far the floor has come; negative where that is not known.
    """
    floor_at = None if floor_ms < 0 else moment(floor_ms)
    event = Tick(
        specversion="1.0",
        id=f"tick-{partition}-{rfc3339(time_ms)}",
        source="floorwatch/clock",
        subject="clock",
        time=moment(time_ms),
        data=TickData(reason, idle, floor_at),
    )
    return ProducerRecord(b"clock", encode_event(event))


class Ticker:
    """Watches the ledger partitions of this worker."""

    def __init__(
        self,
        hosts: Mapping[str, StageHost],
        topics: TopicNames,
        writer: Callable[[], LogWriter],
        stopping: Callable[[], bool],
        idle_timeout_s: float,
    ) -> None:
        """Watch the stages of a worker.

        Args:
            hosts: Its stages by the full name of their topic.
            topics: Names of topics.
            writer: Returns the writer of the log, once partitions are assigned.
            stopping: Tells whether the worker stops.
            idle_timeout_s: Silence after which a partition is idle, in seconds.
        """
        self._hosts, self._topics, self._writer, self._stopping = hosts, topics, writer, stopping
        self._idle_ms = round(idle_timeout_s * 1000)

    async def run(self) -> None:
        """Look every quarter of the idle timeout, at most once a second."""
        pause_s = max(0.25, min(5.0, self._idle_ms / 4000))
        host = self._hosts[self._topics.name(topics.EVENTS)]
        while not self._stopping():
            await asyncio.sleep(pause_s)
            for owned in list(host.owned.values()):
                held_ms = (time.monotonic() - owned.since_s) * 1000
                # Silence is known only where the log has been read to its end.
                if (
                    owned.ready.is_set()
                    and host.folds(owned.partition)
                    and not owned.behind
                    and held_ms >= self._idle_ms
                ):
                    await self._tick(owned.partition, owned.processor, self._writer())

    async def _tick(self, partition: int, stage: Any, writer: LogWriter) -> None:
        ledger = stage.store.ledger if isinstance(stage, LedgerStage) else None
        if ledger is None or ledger.watermark_ms < 0:
            return
        now_ms = int(time.time() * 1000)
        silent_ms = now_ms - ledger.last_record_ms
        if silent_ms < self._idle_ms:
            return
        # Event time goes on from where it was, at the pace of the clock. That is right for a live floor and does no
        # harm in a backfill.
        time_ms, floor_ms = ledger.watermark_ms + silent_ms, self._floor_ms()
        record = tick_event(partition, time_ms, "no events", idle=True, floor_ms=floor_ms)
        await writer.append(self._topics.name(topics.EVENTS), partition, [record])

    def _floor_ms(self) -> int:
        """Return how far the floor has come, as far as this worker knows: by its scopes, else by its ledgers; -1 unknown."""
        hosts, name = self._hosts, self._topics.name
        scopes = [owned.processor for owned in list(hosts[name(topics.PARTIALS)].owned.values())]
        floors = [stage.floor.watermark_ms for stage in scopes if isinstance(stage, AggregateStage)]
        if any(floor_ms >= 0 for floor_ms in floors):
            return max(floors)
        ledgers = [owned.processor for owned in list(hosts[name(topics.EVENTS)].owned.values())]
        return max((stage.store.ledger.watermark_ms for stage in ledgers if isinstance(stage, LedgerStage)), default=-1)
