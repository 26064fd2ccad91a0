"""Whether the way from an event to a person works: every worker says how its notifier fares, one of them looks at all of it.

That one is the owner of the partition of all alerts. It looks by the wall clock, because a stream that stands still moves no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from msgspec import structs
from redis.exceptions import RedisError

from alerts.append import ALERTS_KEY
from alerts.channels.base import Channel, ChannelFault
from alerts.codec import encode_input
from alerts.health.facts import ChannelHealth, HealthFacts, HealthLimits, NotifierTurn, StreamFault
from alerts.health.faults import broken_path, faults_of
from alerts.health.heartbeat import HEARTBEAT, BeatMeter, Heartbeat, HeartbeatState, encode_state
from alerts.health.incidents import Place, stream_signals, worth_saying, worth_telling
from alerts.health.refusals import REFUSED, WITHIN_MS, refusals
from alerts.health.sources import (
    SILENT,
    SourceCounts,
    SourceLimits,
    quarters_wanted,
    silences,
    silent_so_far,
)
from alerts.health.turns import heard_turns, say_turn
from alerts.incident import Incident, Tick
from alerts.looks import LOOKS, decode_look
from alerts.outbox import Outbox
from alerts.settings.health import HealthSettings, HeartbeatSettings
from alerts.signals import Signal
from streams.adapters.readmodel import ReadModel
from streams.adapters.refused_requests import refused_since
from streams.adapters.source_counts import SourceStore, SourceTally
from streams.adapters.topic_names import TopicNames
from streams.agents.incidents import TICK_KEY
from streams.core.durations import seconds_to_ms
from streams.core.formatting import rfc3339
from streams.engine.log import LogWriter, ProducerRecord
from streams.models.topics import SIGNALS

log = logging.getLogger(__name__)

LOOK_S = 15.0
"""The pause between two looks, unless the heartbeat wants a shorter one."""
_BEHIND = 5_000
"""Records that intake has still to read, from which silence of a source is not believed: its events may be among them."""
_REDIS_S = 5.0
"""How long Redis may take for an answer, in seconds."""


def source_limits_of(settings: HealthSettings) -> SourceLimits:
    """Return from when on a source is silent."""
    return SourceLimits(
        silent_ms=seconds_to_ms(settings.source_silent_after),
        own_ms={name: seconds_to_ms(seconds) for name, seconds in settings.sources.items()},
        quiet=settings.quiet_sources,
    )


def clock_ms() -> int:
    """Return the wall time in ms."""
    return int(time.time() * 1000)


def limits_of(settings: HealthSettings) -> HealthLimits:
    """Return from when on something is a fault."""
    return HealthLimits(
        stalled_ms=seconds_to_ms(settings.stalled_after),
        notifier_dead_ms=seconds_to_ms(settings.notifier_dead_after),
        receiver_failing_ms=seconds_to_ms(settings.receiver_failing_after),
    )


def heartbeat_of(
    settings: HeartbeatSettings | None, channels: Mapping[str, Channel], meter: BeatMeter
) -> Heartbeat | None:
    """Return whom to give signs of life; None where nobody is named, or the url cannot be used, which is logged."""
    if settings is None:
        return None
    try:
        return Heartbeat(settings, channels, clock_ms, meter)
    except ChannelFault as fault:
        log.error("NOBODY OUTSIDE HEARS WHETHER FLOORWATCH LIVES: alerts.heartbeat: %s. Fix: %s", fault, fault.hint)  # noqa: TRY400 - a setting
        return None


Append = Callable[[Sequence[Signal]], Coroutine[Any, Any, None]]


def appender(worker: AppendsSignals) -> Append:
    """Return what writes signals to the log of the incidents, with a tick behind them: people are told at ticks."""

    async def append(signals: Sequence[Signal]) -> None:
        records = [ProducerRecord(ALERTS_KEY, encode_input(one)) for one in signals]
        tick = ProducerRecord(TICK_KEY, encode_input(Tick(clock_ms())))
        await worker.writer.append(
            worker.topics.name(SIGNALS), worker.topics.partition_of(ALERTS_KEY), [*records, tick]
        )

    return append


class AppendsSignals(Protocol):
    """A worker that is connected; ``streams.app.Worker`` is one."""

    @property
    def topics(self) -> TopicNames:
        """Names of topics."""

    @property
    def writer(self) -> LogWriter:
        """What writes to the log."""


@dataclass(frozen=True)
class WatchedSources:
    """What tells which senders are silent.

    Attributes:
        tally: What this worker's intake has counted.
        store: Where all workers' counts are.
        limits: From when on a source is silent.
        behind: Returns how many records this worker's intake has still to read.
        refused: Where the refusals of all gateways are; None: they are not looked at.
    """

    tally: SourceTally
    store: SourceStore
    limits: SourceLimits
    behind: Callable[[], int]
    refused: SourceStore | None = None


class WatchedDelivery(Protocol):
    """The notifier of this worker; ``streams.notify.NotificationService`` is one."""

    def turn(self, worker: str) -> NotifierTurn:
        """How it fares."""

    async def channel_health(self) -> tuple[ChannelHealth, ...]:
        """How all channels fare, over all workers; raises as Redis does."""

    @property
    def routes(self) -> Mapping[str, tuple[str, ...]]:
        """Channels of each route."""


class AlertsOwner(Protocol):
    """The stage that owns the partition of all alerts; ``streams.agents.incidents.IncidentsStage`` is one."""

    @property
    def taken_in_ms(self) -> int | None:
        """Time of the last tick that it has taken in."""

    def live(self) -> list[Incident]:
        """The incidents that are not over."""


class HealthWatch:
    """Looks again and again, tells the heartbeat's receivers, and keeps what was seen for ``/statusz`` and the doctor."""

    def __init__(
        self,
        name: str,
        delivery: WatchedDelivery,
        outbox: Outbox,
        read_model: ReadModel,
        owner: Callable[[], AlertsOwner | None],
        limits: HealthLimits,
        *,
        append: Append | None = None,
        sources: WatchedSources | None = None,
        heartbeat: Heartbeat | None = None,
        beat_every_s: float = 60.0,
        clock: Callable[[], int] = clock_ms,
    ) -> None:
        """Watch a worker.

        Args:
            name: Of this worker; others know it by that.
            delivery: Its notifier.
            outbox: Where workers say how their notifiers fare.
            read_model: What says how far rules and tables are.
            owner: Returns this worker's stage of all alerts, None while another worker has it.
            limits: From when on something is a fault.
            append: Writes signals to the log of the incidents; None: no incidents are made of faults.
            sources: What tells which senders are silent; None: that is not looked at.
            heartbeat: Whom to give signs of life; None: nobody.
            beat_every_s: Seconds between two of them.
            clock: Wall time in ms.
        """
        self._name, self._delivery, self._outbox, self._read_model = name, delivery, outbox, read_model
        self._owner, self._limits, self._clock = owner, limits, clock
        self._heartbeat, self._beat_every_s, self._beat_s = heartbeat, beat_every_s, float("-inf")
        self._append, self._sources = append, sources
        self._appending: asyncio.Task[None] | None = None
        self._said_ms: dict[Place, int] = {}
        self._watched_ms: int | None = None
        self._broken: tuple[str, ...] = ()
        self._looked_ms: int | None = None

    async def run(self) -> None:
        """Look until cancelled."""
        pause_s = LOOK_S if self._heartbeat is None else min(LOOK_S, self._beat_every_s)
        while True:
            await self.look()
            await asyncio.sleep(pause_s)

    async def look(self) -> None:
        """Say how this worker's notifier fares; as the owner of all alerts, look at everything and give signs of life."""
        stage = self._owner()
        now_ms = self._clock()
        if stage is None:
            self._watched_ms = None
            await self._say_turn()
            return
        self._watched_ms = now_ms if self._watched_ms is None else self._watched_ms
        facts = await self._facts(stage, now_ms, self._watched_ms)
        self._looked_ms, broken = now_ms, broken_path(facts, self._limits)
        if broken != self._broken:
            log.log(
                logging.WARNING if broken else logging.INFO,
                "the way from an event to a person: %s",
                " ".join(broken) or "all of it works again",
            )
        self._broken = broken
        if not facts.redis_fault:
            with contextlib.suppress(RedisError, OSError, TimeoutError):  # what is not known ends nothing
                silent = await self._silences(facts, stage.live())
                refused = await self._refusals(facts, stage.live())
                self._say_faults(facts, stage, [*faults_of(facts, self._limits), *silent, *refused])
        await self._beat(broken)

    async def _silences(self, facts: HealthFacts, live: Sequence[Incident]) -> list[StreamFault]:
        """Return the sources that are silent; while events wait to be read, only those that are told already."""
        watched = self._sources
        if watched is None:
            return []
        told = {one.scope.get("source", "") for one in live if one.kind == SILENT}
        async with asyncio.timeout(_REDIS_S):
            since_ms, last_ms = await watched.store.last()
            known = SourceCounts(since_ms, last_ms)
            names = silent_so_far(known, watched.limits, facts.now_ms)
            found = await watched.store.counts(quarters_wanted(known, names, facts.now_ms))
        faults = silences(structs.replace(known, counts=found), watched.limits, facts.now_ms, told)
        if any(one.behind > _BEHIND for one in facts.notifiers):
            return [one for one in faults if one.scope.get("source", "") in told]
        return faults

    async def _refusals(self, facts: HealthFacts, live: Sequence[Incident]) -> list[StreamFault]:
        """Return the sources whose requests the gateways refuse."""
        watched = self._sources
        if watched is None or watched.refused is None:
            return []
        told = {one.scope.get("source", "") for one in live if one.kind == REFUSED}
        async with asyncio.timeout(_REDIS_S):
            found = await refused_since(watched.refused, facts.now_ms - WITHIN_MS, facts.now_ms)
        return refusals(found, watched.limits, facts.now_ms, told)

    def _say_faults(self, facts: HealthFacts, stage: AlertsOwner, faults: Sequence[StreamFault]) -> None:
        """Write signals of what is broken to the log of the incidents. A log that takes nothing is not waited for."""
        if self._append is None:
            return
        if self._appending is not None:
            if not self._appending.done():
                return
            if (error := self._appending.exception()) is not None:
                log.warning("faults of the stream could not be written to the log: %s", type(error).__name__)
        live = stage.live()
        told = worth_telling(faults, live, facts, self._limits)
        signals = stream_signals(told, live, facts.now_ms)
        said = worth_saying(signals, self._said_ms, live)
        places = {(one.rule, one.scope_key) for one in said}
        self._said_ms = {place: facts.now_ms if place in places else self._said_ms.get(place, 0) for place in signals}
        self._appending = asyncio.create_task(self._append(said)) if said else None

    async def _say_turn(self) -> str:
        """Say how this worker's notifier fares; return why that failed."""
        try:
            async with asyncio.timeout(_REDIS_S):
                turn = self._delivery.turn(self._name)
                if self._sources is not None:
                    turn = structs.replace(turn, behind=self._sources.behind())
                    await self._sources.store.write(self._sources.tally, self._clock())
                await say_turn(self._outbox, turn)
        except (RedisError, OSError, TimeoutError) as error:
            return type(error).__name__
        return ""

    async def _facts(self, stage: AlertsOwner, now_ms: int, watched_ms: int) -> HealthFacts:
        if fault := await self._say_turn():
            return HealthFacts(now_ms, watched_ms, redis_fault=fault)
        try:
            async with asyncio.timeout(_REDIS_S):
                look = await self._read_model.asked(LOOKS)
                return HealthFacts(
                    now_ms,
                    watched_ms,
                    look=None if look is None else decode_look(look),
                    taken_in_ms=stage.taken_in_ms,
                    watermark_ms=await self._read_model.watermark_ms(),
                    notifiers=await heard_turns(self._outbox),
                    channels=await self._delivery.channel_health(),
                    routes=self._delivery.routes,
                )
        except (RedisError, OSError, TimeoutError) as error:
            return HealthFacts(now_ms, watched_ms, redis_fault=type(error).__name__)

    async def _beat(self, broken: tuple[str, ...]) -> None:
        now_s = time.monotonic()
        # A tenth less, so that a look that comes a little early does not leave a sign out.
        if self._heartbeat is None or now_s - self._beat_s < 0.9 * self._beat_every_s:
            return
        self._beat_s = now_s
        state = await self._heartbeat.tell(broken)
        try:
            async with asyncio.timeout(_REDIS_S):
                await self._read_model.say(HEARTBEAT, encode_state(state))
        except (RedisError, OSError, TimeoutError):
            log.debug("how the heartbeat fares could not be kept: Redis does not answer")

    async def close(self) -> None:
        """Close the connections."""
        if self._appending is not None:
            self._appending.cancel()
            await asyncio.gather(self._appending, return_exceptions=True)
        if self._heartbeat is not None:
            await self._heartbeat.close()

    def status(self) -> dict[str, Any]:
        """Return what was seen last, for ``/statusz``."""
        mine = self._watched_ms is not None
        return {
            "watched_by_this_worker": mine,
            "looked_at": rfc3339(self._looked_ms) if mine and self._looked_ms is not None else None,
            "broken": list(self._broken) if mine else None,
            "heartbeat": None if self._heartbeat is None or not mine else heartbeat_status(self._heartbeat.state),
        }


def heartbeat_status(state: HeartbeatState) -> list[dict[str, Any]]:
    """Return how each receiver of the heartbeat fares as plain values."""
    return [
        {
            "to": beat.to,
            "last_sign_of_life": None if beat.ok_ms is None else rfc3339(beat.ok_ms),
            "last_failure": None if beat.failed_ms is None else rfc3339(beat.failed_ms),
            "last_failure_reason": beat.reason or None,
        }
        for beat in state.beats
    ]
