"""The engine's ports over the memory cluster: every call waits until the schedule lets it through, in parts if it likes.

A call is an *operation*: what it does at the broker (land) and the answer (settle) are two moments, and anything may come
between them, death included.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable
from typing import TYPE_CHECKING, Any

from redis.exceptions import ConnectionError as RedisGone

from streams.engine.log import Entry
from tests.simulation.cluster import Cluster, Commit, Partition, Stored

if TYPE_CHECKING:
    from tests.simulation.loop import SimLoop

_READ = 64


class BrokerAway(OSError):
    """What a worker is told when the broker did not take its records, or took them and could not say so."""


class Operation:
    """One call of a worker that has left it and is not answered yet.

    Attributes:
        channel: Operations of one channel happen in the order they were asked for.
        landed: Whether its effect is complete at the other side.
    """

    kind = ""

    def __init__(self, loop: SimLoop, channel: tuple[Any, ...]) -> None:
        self.channel = channel
        self.landed = False
        self.future: asyncio.Future[Any] = loop.create_future()

    def land(self, rng: random.Random, *, whole: bool) -> None:
        """Take effect, wholly or in part."""
        raise NotImplementedError

    def settle(self) -> None:
        """Answer the caller."""
        if not self.future.done():
            self.future.set_result(self.answer())

    def answer(self) -> Any:
        """Return what the caller gets."""
        return None

    def fail(self, rng: random.Random) -> bool:
        """Fail towards the caller; False when this kind of call cannot."""
        raise NotImplementedError

    def __str__(self) -> str:
        return self.kind


class Append(Operation):
    """Records on their way to one partition."""

    kind = "append"

    def __init__(
        self, loop: SimLoop, cluster: Cluster, topic: str, partition: int, records: list[tuple[Any, Any, int]]
    ) -> None:
        super().__init__(loop, ("append", topic, partition))
        self.cluster, self.topic, self.partition, self.records = cluster, topic, partition, records
        self.done = 0

    def land(self, rng: random.Random, *, whole: bool) -> None:
        left = len(self.records) - self.done
        count = left if whole or left == 1 else rng.randint(1, left)
        if not whole and self.done and rng.random() < 0.1:
            # A request answered too late is sent again by a producer without idempotence: its records stand twice.
            again = self.records[rng.randrange(self.done) : self.done]
            self.cluster.append(self.topic, self.partition, again)
        self.cluster.append(self.topic, self.partition, self.records[self.done : self.done + count])
        self.done += count
        self.landed = self.done == len(self.records)

    def fail(self, rng: random.Random) -> bool:
        # Of several requests any may have arrived: an earlier one can be given up and a later one taken.
        while not self.landed:
            count = rng.randint(1, len(self.records) - self.done)
            if rng.random() < 0.5:
                self.cluster.append(self.topic, self.partition, self.records[self.done : self.done + count])
            elif self.done + count < len(self.records):
                self.cluster.holes.add(self.topic.removeprefix(self.cluster.prefix))
            self.done += count
            self.landed = self.done == len(self.records)
        if not self.future.done():
            self.future.set_exception(BrokerAway(f"{self.topic}[{self.partition}]: the broker is away"))
        return True

    def __str__(self) -> str:
        name = self.topic.removeprefix(self.cluster.prefix)
        return f"{name}[{self.partition}] {self.done}/{len(self.records)}"


class Call(Operation):
    """A call answered in one piece: a commit, a read of the next records, a command to Redis."""

    def __init__(self, loop: SimLoop, kind: str, work: Callable[[], Any], channel: tuple[Any, ...], text: str) -> None:
        super().__init__(loop, channel)
        self.kind = kind
        self._work, self._text = work, text
        self._answer: Any = None

    def land(self, rng: random.Random, *, whole: bool) -> None:
        self._answer = self._work()
        self.landed = True

    def answer(self) -> Any:
        return self._answer

    def fail(self, rng: random.Random) -> bool:
        if self.future.done():
            return False
        if not self.landed and self.kind == "redis" and rng.random() < 0.5:
            self.land(rng, whole=True)
        self.landed = True
        if self.kind == "commit":
            self.future.set_result(Commit.LATER)
        else:
            error: Exception = RedisGone("Redis is away") if self.kind == "redis" else BrokerAway(str(self))
            self.future.set_exception(error)
        return True

    def __str__(self) -> str:
        return f"{self.kind} {self._text}"


class Wire:
    """All operations of one worker that are under way, in the order they were asked for."""

    def __init__(self, loop: SimLoop) -> None:
        self.loop = loop
        self.operations: list[Operation] = []
        self.reads: list[tuple[Partition, object]] = []
        self.dead = False

    def ask(self, operation: Operation) -> asyncio.Future[Any]:
        """Send an operation off; the future is its answer."""
        if not self.dead:
            self.operations.append(operation)
        return operation.future

    def first(self) -> list[Operation]:
        """Return the operations that may go on now: the first of each channel."""
        seen: set[tuple[Any, ...]] = set()
        found = []
        for operation in self.operations:
            if operation.channel not in seen:
                seen.add(operation.channel)
                found.append(operation)
        return found

    def remove(self, operation: Operation) -> None:
        """Forget an operation that has been answered or lost."""
        self.operations.remove(operation)

    def cut(self) -> list[Operation]:
        """End the connection for good; return what was under way."""
        left, self.operations, self.dead = self.operations, [], True
        for log, read in self.reads:
            log.readers.pop(read, None)
        self.reads.clear()
        return left


class SimWriter:
    """The writer port of one worker."""

    def __init__(self, wire: Wire, cluster: Cluster, now_ms: Callable[[], int]) -> None:
        self._wire, self._cluster, self._now_ms = wire, cluster, now_ms

    async def append(self, topic: str, partition: int, records: Iterable[Entry]) -> None:
        """Append, and wait until the schedule acknowledges it."""
        now_ms = self._now_ms()
        rows = [(key, value, now_ms if time_ms is None else time_ms) for key, value, time_ms in records]
        if rows:
            await self._wire.ask(Append(self._wire.loop, self._cluster, topic, partition, rows))


class SimReader:
    """The reader port of one worker: from the beginning to the end.

    The end is that of the last fetch, as in the Kafka reader: had it stopped at the end of when it was asked, it could miss a
    key altogether whose old record compaction drops for a new one behind that end.
    """

    def __init__(self, wire: Wire, cluster: Cluster) -> None:
        self._wire, self._cluster = wire, cluster
        self._reads = 0

    async def read(self, topic: str, partition: int) -> AsyncIterator[list[tuple[int, bytes, bytes | None]]]:
        """Yield batches; compaction and appends may happen between two of them."""
        log = self._cluster.log(topic, partition)
        end, position = log.end, 0
        if not log.records:
            return
        read = (log, object())
        log.readers[read[1]] = self._cluster.step
        self._wire.reads.append(read)
        self._reads += 1
        channel = ("read", self._reads)

        def fetch() -> tuple[list[Stored], int]:
            return log.read(position, _READ), log.end

        try:
            while position < end:
                text = f"{topic.removeprefix(self._cluster.prefix)}[{partition}] from {position}"
                answer: tuple[list[Stored], int] = await self._wire.ask(
                    Call(self._wire.loop, "read", fetch, channel, text)
                )
                found, end = answer
                if not found:
                    return
                position = found[-1].offset + 1
                yield [(record.offset, record.key or b"", record.value) for record in found]
        finally:
            log.readers.pop(read[1], None)
            if read in self._wire.reads:
                self._wire.reads.remove(read)

    async def empty(self, topic: str, partition: int) -> bool:
        """Tell whether a partition holds no record."""
        log = self._cluster.log(topic, partition)
        self._reads += 1
        text = f"whether {topic.removeprefix(self._cluster.prefix)}[{partition}] is empty"
        call = Call(self._wire.loop, "read", lambda: not log.records, ("read", self._reads), text)
        return bool(await self._wire.ask(call))


class Memory:
    """What Redis holds."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.hashes: dict[str, dict[str, bytes]] = {}

    def clear(self) -> None:
        """Lose everything, as a restart without a snapshot does."""
        self.values.clear()
        self.hashes.clear()

    def do(self, name: str, *args: Any) -> Any:
        """Run one command."""
        if name == "exists":
            return int(args[0] in self.values)
        if name == "set":
            self.values[args[0]] = args[1] if isinstance(args[1], bytes) else str(args[1]).encode()
            return True
        if name == "mget":
            return [self.values.get(key) for key in args[0]]
        if name == "get":
            return self.values.get(args[0])
        if name == "hset":
            self.hashes.setdefault(args[0], {}).update(args[1])
            return len(args[1])
        if name == "hdel":
            held = self.hashes.get(args[0], {})
            return sum(held.pop(field, None) is not None for field in args[1:])
        if name == "hkeys":
            return [field.encode() for field in self.hashes.get(args[0], {})]
        if name == "hgetall":
            return {field.encode(): value for field, value in self.hashes.get(args[0], {}).items()}
        raise NotImplementedError(f"the simulated Redis has no {name}")


class SimRedis:
    """The few commands the read model uses, each a round trip the schedule may delay, cut or fail."""

    def __init__(self, wire: Wire, memory: Memory) -> None:
        self._wire, self._memory = wire, memory
        self._trips = 0

    def trip(self, commands: list[tuple[Any, ...]]) -> asyncio.Future[Any]:
        """Send commands in one round trip."""
        self._trips += 1
        memory = self._memory
        text = ", ".join(sorted({command[0] for command in commands}))
        call = Call(
            self._wire.loop,
            "redis",
            lambda: [memory.do(*command) for command in commands],
            ("redis", self._trips),
            text,
        )
        return self._wire.ask(call)

    def pipeline(self, **_: Any) -> SimPipeline:
        return SimPipeline(self)

    async def exists(self, key: str) -> int:
        return int((await self.trip([("exists", key)]))[0])

    async def get(self, key: str) -> bytes | None:
        found: bytes | None = (await self.trip([("get", key)]))[0]
        return found

    async def set(self, key: str, value: Any) -> bool:
        return bool((await self.trip([("set", key, value)]))[0])

    async def hkeys(self, key: str) -> list[bytes]:
        found: list[bytes] = (await self.trip([("hkeys", key)]))[0]
        return found

    async def hgetall(self, key: str) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = (await self.trip([("hgetall", key)]))[0]
        return found


class SimPipeline:
    """Commands gathered for one round trip."""

    def __init__(self, redis: SimRedis) -> None:
        self._redis = redis
        self._commands: list[tuple[Any, ...]] = []

    def hset(self, key: str, *, mapping: dict[str, bytes]) -> None:
        self._commands.append(("hset", key, dict(mapping)))

    def hdel(self, key: str, *fields: str) -> None:
        self._commands.append(("hdel", key, *fields))

    def set(self, key: str, value: Any) -> None:
        self._commands.append(("set", key, value))

    def mget(self, keys: list[str]) -> None:
        self._commands.append(("mget", keys))

    async def execute(self) -> list[Any]:
        commands, self._commands = self._commands, []
        answers: list[Any] = await self._redis.trip(commands)
        return answers
