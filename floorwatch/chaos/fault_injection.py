"""Doing what the schedule says, each fault in a task of its own, and watching who takes over from the killed."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from redis.asyncio import Redis
from redis.exceptions import RedisError

from floorwatch.chaos import schedule as s
from floorwatch.chaos.cluster import Cluster
from floorwatch.chaos.stack import SESSION_TIMEOUT_S, ChaosStack, WorkerSlot
from floorwatch.chaos.workload import Load
from streams.models import topics

TAKEOVER_LIMIT_S = 300.0
"""How long a takeover is watched: no bound on the product, but far more than it takes on a machine that does other work."""
_READY_S = 40.0
_READY_POLL_S = 0.2
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Takeover:
    """What followed a SIGKILL.

    Attributes:
        at_s: When, in seconds of the run.
        partitions: Partitions of the log of events the killed worker had.
        took_s: Until the last of them was committed by somebody again; None if that did not happen within ``TAKEOVER_LIMIT_S``.
        alone: No other worker was there: this is the time of a new start.
        disturbed: Another fault fell into it.
    """

    at_s: float
    partitions: tuple[int, ...]
    took_s: float | None
    alone: bool
    disturbed: bool


class Faults:
    """Runs a schedule against a stack.

    Attributes:
        done: Faults by kind.
        skipped: Entries of the schedule that found no worker to suffer them.
        takeovers: One entry a SIGKILL.
        hung: Workers that had to be killed because SIGTERM did not end them.
    """

    def __init__(
        self, stack: ChaosStack, cluster: Cluster, load: Load, rng: Random, say: Callable[[str], None]
    ) -> None:
        """Take what is shaken, the chooser of duplicates, and where to tell."""
        self._stack, self._cluster, self._load, self._rng, self._say = stack, cluster, load, rng, say
        self._broker = asyncio.Lock()
        self._redis = asyncio.Lock()
        self._under_way = 0
        self._begun = 0
        self._began_s = time.monotonic()
        self.done: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.takeovers: list[Takeover] = []
        self.hung = 0

    async def run(self, faults: tuple[s.InjectedFault, ...]) -> None:
        """Do every fault at its time and wait until all have passed."""
        self._began_s = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for fault in faults:
                await asyncio.sleep(max(0.0, fault.at_s - (time.monotonic() - self._began_s)))
                tasks.create_task(self._do(fault))

    async def _do(self, fault: s.InjectedFault) -> None:
        self._under_way += 1
        self._begun += 1
        try:
            if fault.kind == s.SCALE:
                await self._scale(fault.worker)
            elif fault.kind in (s.KILL, s.ZOMBIE, s.STALL, s.TERM):
                await self._to_a_worker(fault)
            elif fault.kind == s.ROLLING:
                await self._rolling(fault)
            elif fault.kind == s.BROKER:
                await self._broker_kill(fault)
            elif fault.kind == s.DUPLICATES:
                self._tell(fault)
                await self._load.duplicate(self._rng, fault.lasts_s)
            else:
                await self._redis_fault(fault)
        finally:
            self._under_way -= 1

    def _tell(self, fault: s.InjectedFault, place: WorkerSlot | None = None) -> None:
        self.done[fault.kind] += 1
        whom = f" worker {place.number}" if place is not None else ""
        self._say(f"{fault.kind}{whom} ({fault.lasts_s:g} s)")

    # -- workers -------------------------------------------------------------------------------------------------

    async def _scale(self, workers: int) -> None:
        """Have so many workers; the ones started last stay."""
        self._say(f"scale to {workers} workers")
        self.done[s.SCALE] += 1
        places = self._stack.places
        running = [place for place in places if place.wanted]
        for place in running[: max(0, len(running) - workers)]:
            async with place.busy:
                place.wanted = False
                self.hung += not await self._stack.end_worker(place)
        for place in places:
            if sum(other.wanted for other in places) >= workers:
                break
            if not place.wanted:
                place.wanted = True
                async with place.busy:
                    self._stack.start_worker(place)

    def _victim(self, fault: s.InjectedFault) -> WorkerSlot | None:
        """Return the first worker, counted from the scheduled place, that runs and suffers nothing yet."""
        places = self._stack.places
        for step in range(len(places)):
            place = places[(fault.worker + step) % len(places)]
            if place.wanted and place.running and not place.busy.locked():
                return place
        return None

    async def _to_a_worker(self, fault: s.InjectedFault) -> None:
        place = self._victim(fault)
        if place is None:
            self.skipped[fault.kind] += 1
            self._say(f"{fault.kind}: skipped, no worker to suffer it")
            return
        async with place.busy:
            self._tell(fault, place)
            if fault.kind == s.KILL:
                await self._kill(fault, place)
            elif fault.kind == s.TERM:
                await self._restart(place, fault.lasts_s)
            else:
                beyond_s = SESSION_TIMEOUT_S if fault.kind == s.ZOMBIE else 0.0
                place.send(signal.SIGSTOP)
                await asyncio.sleep(beyond_s + fault.lasts_s)
                place.send(signal.SIGCONT)
                self._say(f"worker {place.number} goes on after {beyond_s + fault.lasts_s:g} s")

    async def _restart(self, place: WorkerSlot, pause_s: float) -> None:
        if not await self._stack.end_worker(place):
            self.hung += 1
            self._say(f"worker {place.number} did not end on SIGTERM and was killed")
        await asyncio.sleep(pause_s)
        if place.wanted:
            self._stack.start_worker(place)

    async def _rolling(self, fault: s.InjectedFault) -> None:
        self._tell(fault)
        for place in self._stack.places:
            if not place.wanted or not place.running or place.busy.locked():
                continue
            async with place.busy:
                await self._restart(place, fault.lasts_s)
            for _ in range(round(_READY_S / _READY_POLL_S)):
                if await self._stack.ready(place):
                    break
                await asyncio.sleep(_READY_POLL_S)

    async def _kill(self, fault: s.InjectedFault, place: WorkerSlot) -> None:
        held = await self._stack.held(place) or set()
        # A worker that has just been given partitions does not show them yet: then all are watched.
        partitions = tuple(sorted(number for stage, number in held if stage == "ledger"))
        partitions = partitions or tuple(range(self._stack.partitions))
        alone = self._alone(place)
        disturbed = self._under_way > 1
        begun = self._begun
        place.send(signal.SIGKILL)
        killed_s = time.monotonic()
        if alone:
            await asyncio.sleep(fault.lasts_s)
            self._stack.start_worker(place)
        took_s = await self._committed_again(partitions, killed_s, place)
        disturbed = disturbed or begun != self._begun
        self.takeovers.append(Takeover(killed_s - self._began_s, partitions, took_s, alone, disturbed))
        told = f"not within {TAKEOVER_LIMIT_S:g} s" if took_s is None else f"after {took_s:.1f} s"
        self._say(f"partitions {', '.join(map(str, partitions))} of worker {place.number} committed again {told}")
        if not place.running and place.wanted:
            await asyncio.sleep(0.0 if alone else fault.lasts_s)
            self._stack.start_worker(place)

    def _alone(self, place: WorkerSlot) -> bool:
        return not any(other is not place and other.running and not other.frozen for other in self._stack.places)

    async def _committed_again(self, partitions: tuple[int, ...], killed_s: float, place: WorkerSlot) -> float | None:
        before = await self._cluster.commits(topics.EVENTS)
        left = set(partitions)
        while time.monotonic() - killed_s < TAKEOVER_LIMIT_S:
            now = await self._cluster.commits(topics.EVENTS)
            left = {number for number in left if now[number] <= before[number]}
            if not left:
                return time.monotonic() - killed_s
            if self._alone(place) and not place.running and place.wanted:
                self._stack.start_worker(place)  # whoever should have taken over has gone meanwhile
            await asyncio.sleep(_POLL_S)
        return None

    # -- servers -------------------------------------------------------------------------------------------------

    async def _broker_kill(self, fault: s.InjectedFault) -> None:
        async with self._broker:
            self._tell(fault)
            self._stack.kafka.kill()
            await asyncio.sleep(fault.lasts_s)
            began_s = time.monotonic()
            await self._stack.start_kafka()
            self._say(f"Kafka listens again, {time.monotonic() - began_s:.1f} s after its start")

    async def _redis_fault(self, fault: s.InjectedFault) -> None:
        async with self._redis:
            self._tell(fault)
            if fault.kind == s.REDIS_KILL:
                self._stack.kill_redis()
                await asyncio.sleep(fault.lasts_s)
                self._stack.start_redis()
                return
            await flush_redis(self._stack.redis_url)


async def flush_redis(url: str) -> None:
    """Have Redis forget everything; waits for one that is still coming up."""
    redis = Redis.from_url(url)
    try:
        for _ in range(50):
            try:
                await redis.flushall()
                return
            except (RedisError, OSError):
                await asyncio.sleep(0.1)
    finally:
        await redis.aclose()
