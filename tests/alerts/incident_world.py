"""An incidents stage in a world of one log, one Redis and what people are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis

from alerts.codec import Input, decode_input, encode_input
from alerts.health.incidents import stream_policies
from alerts.incident import Tick, incident_key
from alerts.lifecycle import EscalationTier, IncidentPolicy
from alerts.notifier import Notifier
from alerts.outbox import Outbox
from alerts.outgoing import Notification
from alerts.routing.policy import RoutingPolicy
from alerts.rules import Rule
from alerts.signals import Signal
from streams.adapters.topic_names import TopicNames
from streams.agents.incidents import IncidentsStage
from streams.core.records import Record
from streams.engine.log import ProducerRecord
from tests.alerts.machine import ROUTING, signal
from tests.alerts.rows import MINUTE_MS, NOW_MS, rule
from tests.alerts.test_requests import Log
from tests.redis_clients import async_client

SIGNALS, INCIDENTS = "f.signals.v1", "f.incidents.v1"
TIERS = [{"after": "15m", "route": "lead"}, {"after": "1h", "route": "manager"}]


VENDOR = rule("accuracy_low", scope={"by": "vendor"}, **{"for": 1}, resolve_for=2, severity="page", escalate=TIERS)


FLOOR = rule("accuracy_low", scope="all", **{"for": 1}, resolve_for=2).model_copy(update={"name": "floor"})


TWICE = VENDOR.model_copy(update={"for_evaluations": 2})


KEY = incident_key("the-rule", "vendor=bpo-a", 1)


class Killed(Exception):
    """The worker is killed here."""


class Ear:
    """A channel that notes which step came on which route."""

    def __init__(self, route: str, told: list[tuple[str, str]]) -> None:
        self.name, self._told, self.idempotent = route, told, True

    async def close(self) -> None:
        pass

    async def send(self, note: Notification, _key: str) -> None:
        self._told.append((self.name, note.step))


class World:
    """What outlives a worker: the log, Redis, the wall clock; and the worker of the moment."""

    def __init__(self, redis: Redis, rules: tuple[Rule, ...] = (VENDOR,), routing: RoutingPolicy = ROUTING) -> None:
        self.log, self.redis, self.now_ms = Log(), redis, NOW_MS
        self.told: list[tuple[str, str]] = []
        self._rules, self.routing = rules, routing
        self.others = stream_policies(IncidentPolicy(), {"page": (EscalationTier(30 * MINUTE_MS, "lead"),)})
        self.outbox = Outbox(redis, lambda: self.now_ms, prefix="f:")
        self.stage = self._stage()

    def _stage(self) -> IncidentsStage:
        return IncidentsStage(
            0,
            self._rules,
            TopicNames("f.", 1),
            self.log,
            self.log,  # type: ignore[arg-type]
            self.redis,
            "f:",
            self.outbox,
            routing=self.routing,
            others=self.others,
            clock=lambda: self.now_ms,
        )

    async def restart(self) -> None:
        self.stage = self._stage()
        await self.stage.recover()

    async def put(self, *inputs: Input) -> None:
        """Write inputs; behind signals a tick, as the rules do."""
        if any(isinstance(given, Signal) for given in inputs):
            inputs = (*inputs, Tick(self.now_ms))
        await self.log.append(SIGNALS, 0, [ProducerRecord(b"x", encode_input(given)) for given in inputs])

    async def turn(self, *, commit: bool = True) -> None:
        """Fold what is on the log, flush, commit; then hand out what is due."""
        records = self.log.records.get(SIGNALS, [])
        begin = self.log.committed if self.stage.next is None else self.stage.next
        self.stage.fold([Record(n, NOW_MS, None, records[n].value) for n in range(begin, len(records))])
        upto = await self.stage.flush()
        if upto is not None and commit:
            self.log.committed = upto
        await self._deliver()

    async def wait(self, minutes: float) -> None:
        """Let time pass: a turn puts the tick on the log, the next folds it."""
        self.now_ms += round(minutes * MINUTE_MS)
        await self.turn()
        await self.turn()

    async def _deliver(self) -> None:
        ears = {name: Ear(name, self.told) for name in self.routing.channels}
        await Notifier(self.outbox, ears, lambda one: one.channels).drain()

    async def shown(self, key: str = KEY) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self.redis.hget("f:incidents", key) or b"{}")
        return found

    def ticks(self) -> list[Tick]:
        inputs = [decode_input(record.value or b"") for record in self.log.records.get(SIGNALS, [])]
        return [given for given in inputs if isinstance(given, Tick)]


def on(minute: float = 0, **more: Any) -> Input:
    return signal(True, NOW_MS + round(minute * MINUTE_MS), **{"rule": "the-rule", **more})


def run(url: str, story: Callable[[World], Awaitable[None]], *rules: Rule, how: RoutingPolicy = ROUTING) -> None:
    async def go() -> None:
        redis = async_client(url)
        try:
            await redis.flushall()
            world = World(redis, rules or (VENDOR,), how)
            await world.restart()
            await story(world)
        finally:
            await redis.aclose()

    asyncio.run(go())
