"""One chaos run from an empty cluster to a verdict."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from random import Random

import aiokafka.errors

from floorwatch.chaos import schedule as s
from floorwatch.chaos.cluster import Cluster, Compaction, StuckError
from floorwatch.chaos.fault_injection import Faults, flush_redis
from floorwatch.chaos.stack import GROUP, PREFIX, ChaosStack
from floorwatch.chaos.verdict import ChaosVerdict, Expected, judge, redis_windows
from floorwatch.chaos.workload import Load, end_input, floor_log
from floorwatch.embedded.servers import end_with
from floorwatch.simulate.compare import differences
from floorwatch.simulate.oracle import Oracle

REDIS_PREFIX = "floorwatch:"
_SUPERVISE_S = 0.5
_STUCK_S = 420.0
_NICE = 5
"""Of the recount: workers go first, and it still gets its turn. At 15 it waited for ever beside two busy loops."""
_REASON = re.compile(r"after a failure: (\w+)\(")


@dataclass(frozen=True)
class ChaosPlan:
    """What to run; everything that decides a run is here.

    Attributes:
        seed: Of the floor, the schedule and the duplicates.
        load_s: Seconds over which events are sent.
        rate: Events per second.
        partitions: Of every topic.
        compaction_lag_s: ``min.compaction.lag.ms`` of the compacted topics, in seconds; production keeps 15 minutes.
        faults: The schedule.
    """

    seed: int
    load_s: float
    rate: float
    partitions: int
    compaction_lag_s: float
    faults: tuple[s.InjectedFault, ...]


@dataclass
class ChaosOutcome:
    """What a run showed.

    Attributes:
        plan: What was run.
        events: Events of the floor, all of which the broker acknowledged.
        faults: Counts, takeovers, and what was skipped.
        verdict: After the input had ended; None if that was never reached.
        rebuilt: The read model after the last worker was killed and Redis emptied once more.
        exits: How workers that nobody ended have ended.
        stuck: Why no verdict could be reached; empty otherwise.
        took_s: The whole run, and ``drained_s`` from the last event to everything folded.
    """

    plan: ChaosPlan
    events: int = 0
    repeated: int = 0
    retried: int = 0
    faults: Faults | None = None
    verdict: ChaosVerdict | None = None
    rebuilt: ChaosVerdict | None = None
    exits: list[str] = field(default_factory=list)
    compaction: list[Compaction] = field(default_factory=list)
    stuck: str = ""
    drained_s: float = 0.0
    took_s: float = 0.0

    @property
    def faulty(self) -> list[str]:
        """Of the exits, those that were not for want of a broker: faults of the program, though no row is wrong."""
        return [how for how in self.exits if not _for_want_of_a_broker(how)]

    @property
    def exact(self) -> bool:
        """Whether every row of every table is what the oracle says."""
        verdicts = [self.verdict, self.rebuilt]
        return not self.stuck and all(v is not None and not v.wrong and not v.dead for v in verdicts)

    @property
    def right(self) -> bool:
        """Whether it is exact, and no worker had a reason of its own to end."""
        return self.exact and not self.faulty


def _for_want_of_a_broker(how: str) -> bool:
    found = _REASON.search(how)
    return found is not None and hasattr(aiokafka.errors, found[1])


async def run_chaos(plan: ChaosPlan, folder: Path, say: Callable[[str], None]) -> ChaosOutcome:
    """Run a plan and judge it.

    Args:
        plan: What to run.
        folder: For data and logs; the caller removes it.
        say: Told each fault as it happens.

    Raises:
        KafkaUnavailableError: Java or Kafka's jars cannot be had.
    """
    began_s = time.monotonic()
    outcome = ChaosOutcome(plan)
    stack = ChaosStack(folder, plan.partitions)
    cluster = Cluster({"bootstrap_servers": stack.kafka.bootstrap}, PREFIX, GROUP, plan.partitions)
    log = floor_log(*_floor(plan))
    outcome.events = len(log)
    # The oracle needs no cluster: it recounts the same floor meanwhile, in a process that lets others go first.
    recounting = ProcessPoolExecutor(1, get_context("spawn"), step_back, (os.getpid(),))
    expected = asyncio.get_running_loop().run_in_executor(recounting, recount, *_floor(plan))
    try:
        await stack.start()
        await cluster.create(plan.compaction_lag_s)
        load = Load(stack.kafka.bootstrap, PREFIX, plan.partitions, log, plan.rate)
        faults = outcome.faults = Faults(stack, cluster, load, Random(f"duplicates-{plan.seed}"), say)  # noqa: S311
        stack.places[0].wanted = True
        stack.start_worker(stack.places[0])
        supervisor = asyncio.create_task(_supervise(stack, say))
        try:
            await asyncio.gather(load.run(), faults.run(plan.faults))
            outcome.repeated, outcome.retried = load.repeated, load.retried
            say("all events are sent and all faults have passed")
            await _end(stack, cluster, outcome, (await expected).watermark_ms, say)
            outcome.verdict = await judge(cluster, stack.redis_url, REDIS_PREFIX, await expected)
            outcome.compaction = await cluster.compaction()
            outcome.rebuilt = await _rebuild(stack, await expected, say)
        except StuckError as error:
            outcome.stuck = str(error)
        finally:
            supervisor.cancel()
    finally:
        recounting.shutdown(wait=False, cancel_futures=True)
        outcome.exits = [exit_ for place in stack.places for exit_ in place.exits]
        await cluster.close()
        await stack.stop()
        outcome.took_s = time.monotonic() - began_s
    return outcome


async def _supervise(stack: ChaosStack, say: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(_SUPERVISE_S)
        for line in stack.supervise():
            say(line)


def step_back(parent: int) -> None:
    """Let other processes go first, and end with the one that asked."""
    os.nice(_NICE)
    end_with(parent)


def _floor(plan: ChaosPlan) -> tuple[int, int, float]:
    return plan.seed, round(plan.rate * plan.load_s), plan.load_s


def recount(seed: int, events: int, load_s: float) -> Expected:
    """Return the rows of a floor as the oracle counts them; arguments as ``floor_log``."""
    return Expected(Oracle.from_events([sent.value for sent in floor_log(seed, events, load_s)]))


async def _end(
    stack: ChaosStack, cluster: Cluster, outcome: ChaosOutcome, watermark_ms: int, say: Callable[[str], None]
) -> None:
    """End the input and wait until everything is folded."""
    began_s = time.monotonic()
    await cluster.folded(_STUCK_S)
    await end_input(stack.kafka.bootstrap, PREFIX, cluster.partitions, watermark_ms)
    await cluster.folded(_STUCK_S)
    outcome.drained_s = time.monotonic() - began_s
    say(f"everything is folded after {outcome.drained_s:.0f} s; comparing")


async def _rebuild(stack: ChaosStack, expected: Expected, say: Callable[[str], None]) -> ChaosVerdict:
    """Kill the workers, empty Redis, start one: the read model must come back from the compacted topics alone."""
    say("killing the workers and emptying Redis once more: the read model must come back")
    for place in stack.places:
        place.wanted = False
        if place.process is not None and place.running:
            place.process.kill()
            place.process.wait()
    await flush_redis(stack.redis_url)
    stack.places[0].wanted = True
    stack.start_worker(stack.places[0])
    fields = {table: list(_first_fields(table)) for table in expected.windows}
    came_s, before = time.monotonic(), ""
    while time.monotonic() - came_s < _STUCK_S:
        await asyncio.sleep(2)
        wrong = -1
        with suppress(OSError):
            wrong = len(differences(expected.windows, await redis_windows(stack.redis_url, REDIS_PREFIX), fields))
        if not wrong:
            break
        # On a busy machine a worker needs minutes to recover. As long as it says something, or rows come, it gets on.
        now = f"{wrong} rows, {stack.places[0].log.stat().st_size} bytes"
        if now != before:
            came_s, before = time.monotonic(), now
    verdict = ChaosVerdict()
    verdict.add("Redis, rebuilt", expected.windows, await redis_windows(stack.redis_url, REDIS_PREFIX), fields)
    return verdict


def _first_fields(table: str) -> Sequence[str]:
    from floorwatch.simulate.compare import COMPARED

    return COMPARED[table]
