"""Composition root: the only place where configuration, Faust, Kafka, Redis and the stages meet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import faust
from aiokafka import AIOKafkaProducer
from faust.types import TP

from alerts.append import append_encoded
from alerts.outbox import Outbox, wall_ms
from alerts.receipt_log import ReceiptLog
from alerts.rules import Rule
from config.events import event_limits
from floorwatch.embedded.kept_alerts import AlertKeeper, looked_ms
from floorwatch.settings.policies import (
    core_policy,
    exported_kinds,
    incident_policy,
    routing_policy,
    sla_classes_ms,
    stream_incident_policies,
)
from floorwatch.settings.schema import FloorwatchConfig
from streams.adapters.clients import kafka_settings, redis_client, started_producer
from streams.adapters.cold_store import RocksStore, StateDirectory
from streams.adapters.readmodel import ReadModel
from streams.adapters.redis_retry import RedisRetry
from streams.adapters.source_counts import SourceTally
from streams.adapters.topic_names import TopicNames
from streams.agents.aggregate import AggregateStage
from streams.agents.incidents import IncidentsStage
from streams.agents.intake import Intake, IntakePolicy
from streams.agents.ledger import LedgerStage
from streams.agents.publish_schedule import PublishSlot
from streams.agents.rule_runner import RuleRunner
from streams.agents.shown_rows import Shown
from streams.agents.stage_pace import AT_ONCE, BACKLOG, COMMIT_PAUSE_S, PROMPT_S, RARE_BEHIND
from streams.agents.ticker import Ticker
from streams.core.tasks import TaskTable
from streams.engine.batches import BatchSchema
from streams.engine.commit import Membership, commit, committed, membership
from streams.engine.errors import Fenced
from streams.engine.faust_app import faust_app
from streams.engine.host import FAR_BEHIND, StageHost
from streams.engine.log import KafkaLogReader, KafkaLogWriter
from streams.engine.partition_state import Processor
from streams.models import topics as names
from telemetry.engine_metrics import EngineMetrics

log = logging.getLogger(__name__)

_Stage = TypeVar("_Stage")

_NOT_YET_S = 0.05


@dataclass
class Worker:
    """One worker process: a Faust app and the stages it hosts.

    ``kept`` is the folder where incidents are kept for the next broker; None: the broker itself keeps what it is given.
    """

    config: FloorwatchConfig
    metrics: EngineMetrics
    rules: tuple[Rule, ...] = ()
    kept: Path | None = None
    hosts: dict[str, StageHost] = field(default_factory=dict)
    app: faust.App = field(init=False)

    def __post_init__(self) -> None:
        """Wire everything; nothing connects before ``app`` starts."""
        config = self.config
        self.topics = TopicNames(config.kafka.topic_prefix, config.kafka.partitions)
        self.policy = core_policy(config)
        self.app = faust_app(config.kafka, config.engine.max_batch_records)
        self.redis = redis_client(config)
        self._redis_retry = RedisRetry(self.metrics)
        self.read_model = ReadModel(
            self.redis, config.redis.prefix, partitions=config.kafka.partitions, redis_retry=self._redis_retry
        )
        self.receipts = ReceiptLog(partial(append_encoded, lambda: self.writer, self.topics), lambda: self.connected)
        self.outbox = Outbox(self.redis, wall_ms, prefix=config.redis.prefix, receipts=self.receipts.write)
        self.tally = SourceTally()
        self._state = StateDirectory(config.engine.state_dir)
        self._producer: AIOKafkaProducer | None = None
        self._writer: KafkaLogWriter | None = None
        self._member: Membership | None = None
        self._reader = KafkaLogReader(kafka_settings(config))
        self._publish_slot = PublishSlot()
        self._shown = Shown(exported_kinds(config))
        prefix, partitions = config.kafka.topic_prefix, config.kafka.partitions
        self._keeper = None if self.kept is None else AlertKeeper(self.kept, prefix, partitions)
        self.runner = RuleRunner(
            self.rules,
            self.read_model,
            self.topics,
            self.metrics,
            cuts=exported_kinds(config),
            looked_ms=-1 if self.kept is None else looked_ms(self.kept),
        )
        self._add_stages()
        self.app.on_partitions_assigned.connect(self._assigned)
        self.app.on_partitions_revoked.connect(self._revoked)
        self.app.task(self._flush_forever)
        ticker = Ticker(
            self.hosts,
            self.topics,
            lambda: self.writer,
            lambda: self.app.should_stop,
            config.engine.idle_timeout_s,
        )
        self.app.task(ticker.run)

    # -- stages --------------------------------------------------------------------------------------------------

    def _add_stages(self) -> None:
        config, out = self.config, self.topics
        intake = IntakePolicy(
            config.engine.max_event_bytes,
            round(config.engine.future_tolerance_s * 1000),
            config.kafka.trust_record_time,
            sla_classes_ms(config),
            event_limits(config.events),
            config.topic_grants(),
            config.gateway.grant_keys,
            config.sampling.plan(),
        )
        for number, raw in enumerate(config.kafka.intake_topics):

            def make_intake(partition: int, raw: str = raw) -> Processor:
                return Intake(raw, partition, out, self.writer, self._reader, intake, self.metrics, tally=self.tally)

            self._add_stage("intake" if not number else f"intake:{raw}", raw, make_intake)
        self._add_stage("ledger", out.name(names.EVENTS), self._make_ledger)
        self._add_stage("scopes", out.name(names.PARTIALS), self._make_scopes)
        self._add_stage("incidents", out.name(names.SIGNALS), self._make_incidents)

    def _have_backlog(self, *stages: str) -> bool:
        """Tell whether one of some stages has a backlog."""
        return any(host.behind >= BACKLOG for host in self.hosts.values() if host.name.partition(":")[0] in stages)

    def intake_behind(self) -> int:
        """Return how many records the intake of this worker has still to read, at most."""
        return max((host.behind for host in self.hosts.values() if host.name.partition(":")[0] == "intake"), default=0)

    def _make_ledger(self, partition: int) -> LedgerStage:
        return LedgerStage(
            partition,
            self.policy,
            self.topics,
            self.writer,
            self._reader,
            self.metrics,
            make_tasks=self._make_tasks,
            row_bytes=self.config.kafka.max_message_bytes * 7 // 8,
        )

    def _make_tasks(self, partition: int) -> TaskTable:
        limit = self.config.engine.hot_tasks
        if not limit:
            return TaskTable()
        return TaskTable(RocksStore(self._state.path / f"tasks-{partition}-{uuid4().hex[:8]}"), limit)

    def _make_scopes(self, partition: int) -> AggregateStage:
        async def after_publish(published: int, watermark_ms: int, idle: bool) -> None:
            if published == 0:
                await self.read_model.say_idle(watermark_ms if idle else None)
                await self.runner.run(self.writer, watermark_ms, idle=idle)

        self.read_model.begin(partition)
        if partition == 0:
            self.runner.begin()
        return AggregateStage(
            partition,
            self.policy,
            self.topics,
            self.writer,
            self._reader,
            self.read_model,
            self.metrics,
            publish_interval_s=self.config.engine.publish_interval_s,
            shown=self._shown,
            after_publish=after_publish,
            siblings=lambda: len(self.hosts[self.topics.name(names.PARTIALS)].owned),
            ledgers_ready=lambda: self.hosts[self.topics.name(names.EVENTS)].ready,
            backlog=lambda: self._have_backlog("intake", "ledger"),
            publish_slot=self._publish_slot,
        )

    def _make_incidents(self, partition: int) -> IncidentsStage:
        return IncidentsStage(
            partition,
            self.rules,
            self.topics,
            self.writer if self._keeper is None else self._keeper.over(self.writer),
            self._reader,
            self.redis,
            self.config.redis.prefix,
            self.outbox,
            base=incident_policy(self.config),
            routing=routing_policy(self.config),
            others=stream_incident_policies(self.config),
            redis_retry=self._redis_retry,
            meter=self.metrics,
            keep=None if self._keeper is None else self._keeper.keep,
        )

    def _add_stage(self, stage: str, topic: str, make: Callable[[int], Processor]) -> None:
        engine, kind = self.config.engine, stage.partition(":")[0]
        host = StageHost(
            stage,
            topic,
            make,
            self._commit,
            self._seek,
            self.metrics,
            self.app.crash,
            max_unflushed=engine.max_unflushed_records,
            max_unflushed_bytes=engine.max_unflushed_bytes,
            fenced_patience_s=max(60.0, 5 * self.config.kafka.session_timeout_s),
            committed=partial(committed, self.app),
            at_once=AT_ONCE.get(kind, 1),
            far_behind=RARE_BEHIND.get(kind, FAR_BEHIND),
            source_behind=lambda: kind == "ledger" and self._have_backlog("intake"),
            commit_pause_s=COMMIT_PAUSE_S,
            revoke_patience_s=self.config.kafka.rebalance_timeout_s / 2,
        )
        self.hosts[topic] = host
        source = self.app.topic(topic, schema=BatchSchema(), acks=False)

        async def agent(stream: faust.Stream[Any]) -> None:
            async for batch in stream:
                if not host.folds(batch.partition):
                    # Faust lets records flow before it has announced all partitions.
                    await asyncio.sleep(_NOT_YET_S)
                    batch.drop()
                    continue
                try:
                    await self._guard(host.process(batch))
                finally:
                    batch.done()

        agent.__name__ = stage.replace(":", "_").replace(".", "_").replace("-", "_")
        self.app.agent(source, name=stage)(agent)

    async def _guard(self, work: Any) -> None:
        """Run work whose failure must stop the worker: a restart recovers exactly, going on might not."""
        try:
            await work
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("stopping")
            await self.app.crash(error)
            raise

    # -- broker --------------------------------------------------------------------------------------------------

    @property
    def writer(self) -> KafkaLogWriter:
        """The one writer of this worker; it exists once partitions are assigned."""
        if self._writer is None:
            raise RuntimeError("the worker has no partitions yet, so nothing may be written")
        return self._writer

    @property
    def connected(self) -> bool:
        """Whether a broker has let this worker in."""
        return self._writer is not None

    async def connect(self) -> None:
        """Start the producer, if it is not; best before the app, for a broker takes its time to give a producer id.

        Raises:
            Misconfigured: A broker is there and refuses us as we are configured.
        """
        if self._writer is None:
            self._producer = await started_producer(self.config)
            self._writer = KafkaLogWriter(
                self._producer,
                self.metrics,
                self.config.engine.max_in_flight_bytes,
                max_record_bytes=self.config.kafka.max_message_bytes,
            )

    async def _commit(self, topic: str, partition: int, offset: int) -> bool:
        try:
            taken = await commit(self.app, topic, partition, offset, self.config.kafka.session_timeout_s)
        except Fenced as error:
            # The group has removed the worker, so it owns no partition of any stage.
            for host in self.hosts.values():
                host.fence(str(error))
            raise
        if not taken:
            log.warning(
                "commit of %s[%d] at %d was not taken; offered again at the next flush", topic, partition, offset
            )
        return taken

    async def _seek(self, topic: str, partition: int, offset: int) -> int:
        tp = TP(topic, partition)
        earliest = await self.app.consumer.earliest_offsets(tp)
        position = max(offset, int(earliest[tp]))
        await self.app.consumer.seek(tp, position)
        return position

    async def _assigned(self, _: faust.App, assigned: set[TP], **__: Any) -> None:
        await self.connect()
        before, self._member = self._member, membership(self.app)
        goes_on = self._member.directly_after(before)
        for topic, host in self.hosts.items():
            mine = {tp.partition for tp in assigned if tp.topic == topic}
            stay = mine.difference(host.fenced) if goes_on else set()
            await host.revoke([p for p in host.owned if p not in stay], flush=False)
            host.assign(sorted(mine))

    async def _revoked(self, _: faust.App, revoked: set[TP], **__: Any) -> None:
        given = [
            host.revoke([tp.partition for tp in revoked if tp.topic == topic], park=True)
            for topic, host in self.hosts.items()
        ]
        await asyncio.gather(*given)

    async def _flush_forever(self) -> None:
        # One loop for each stage, so that a stage that waits for Redis or the broker does not keep another from
        # flushing.
        await asyncio.gather(*(self._flush_host(host) for host in self.hosts.values()))

    async def _flush_host(self, host: StageHost) -> None:
        interval_s = self.config.engine.flush_interval_s
        pause_s = min(interval_s, PROMPT_S.get(host.name.partition(":")[0], interval_s))
        while not self.app.should_stop:
            await asyncio.sleep(pause_s)
            await self._guard(host.flush_all())

    async def close(self, *, flush: bool) -> None:
        """Give every partition back and disconnect.

        Args:
            flush: Flush and commit first; False after a failure, when the next owner replays instead.

        Raises:
            Exception: What failed, once everything else is closed.
        """
        async with AsyncExitStack() as left:  # from the last to the first, and all of it, whatever fails on the way
            left.callback(self._state.close)
            left.push_async_callback(self.redis.aclose)
            left.push_async_callback(self.receipts.close)
            if self._keeper is not None:
                left.push_async_callback(self._keeper.close)
            if self._producer is not None:
                left.push_async_callback(self._producer.stop)
            for host in self.hosts.values():
                left.push_async_callback(_give_back, host, flush=False)  # what a failed flush left
            for host in reversed(self.hosts.values()):
                left.push_async_callback(_give_back, host, flush=flush)

    def window_rows(self) -> Iterable[dict[str, Any]]:
        """Return the rows of the metrics that this worker holds now: those of a partition that left are gone.

        To be called on the event loop; what it returns does not change, and may be read, once, in another thread.
        """
        return chain.from_iterable([stage.shown_rows() for stage in self.stages(AggregateStage)])

    def live_incidents(self) -> list[dict[str, Any]]:
        """Return the open incidents that this worker owns."""
        return [
            {name: getattr(incident, name) for name in ("rule", "severity", "state", "window", "scope_key")}
            for stage in self.stages(IncidentsStage)
            for incident in stage.live()
        ]

    def stages(self, kind: type[_Stage]) -> list[_Stage]:
        """Return this worker's stages of a kind that have recovered."""
        owned = [owned for host in self.hosts.values() for owned in list(host.owned.values()) if owned.ready.is_set()]
        return [one.processor for one in owned if isinstance(one.processor, kind)]

    @property
    def ready(self) -> bool:
        """Whether partitions are assigned and all of them have recovered."""
        return any(host.owned for host in self.hosts.values()) and all(host.ready for host in self.hosts.values())


async def _give_back(host: StageHost, *, flush: bool) -> None:
    await host.revoke(list(host.owned), flush=flush)
