"""The cluster seen from outside: ends, commits and the contents of topics, asked for with clients of its own."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.adapters.admin import committed, create_topics, open_admin
from streams.adapters.readmodel import table_row
from streams.models import topics
from streams.models.topics import TopicSpec

_COMPACTED = "compact"


class StuckError(RuntimeError):
    """The workers make no progress any more; the message says where they stand."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """How much of a compacted topic the cleaner has taken: records ever written, and records still there."""

    topic: str
    written: int
    left: int


class Cluster:
    """Questions to a broker that may be away: each is asked again until it is answered."""

    def __init__(
        self,
        settings: dict[str, Any],
        prefix: str,
        group: str,
        partitions: int,
        raw: Mapping[str, int] | None = None,
    ) -> None:
        """Connect to nothing yet.

        Args:
            settings: aiokafka connection settings.
            prefix: Of topic names.
            group: Of the workers.
            partitions: Of every topic.
            raw: Partitions of each raw topic the workers read, by full name; by default ``raw.v1`` of the prefix.
        """
        self._settings = settings
        self._prefix, self._group, self.partitions = prefix, group, partitions
        own = {prefix + topic: partitions for topic in (topics.EVENTS, topics.PARTIALS)}
        self._sources = {**(raw if raw is not None else {prefix + topics.RAW: partitions}), **own}
        self._admin: AIOKafkaAdminClient | None = None

    async def create(self, compaction_lag_s: float) -> None:
        """Create Floorwatch's topics as in production, but compacted after ``compaction_lag_s`` instead of minutes."""
        specs = [_sooner(spec, compaction_lag_s) for spec in topics.topic_specs(self._prefix, self.partitions)]
        await create_topics(self._settings, specs)

    async def commits(self, topic: str) -> dict[int, int]:
        """Return the committed offset by partition of one of the workers' sources; waits for a broker that is away."""
        name = self._name(topic)
        while True:
            try:
                if self._admin is None:
                    self._admin = await open_admin(self._settings)
                asked = committed(self._admin, self._group, name, self._sources[name])
                return await asyncio.wait_for(asked, 10)
            except (KafkaError, OSError, TimeoutError):
                await self.close()
                await asyncio.sleep(0.3)

    async def close(self) -> None:
        """Disconnect."""
        admin, self._admin = self._admin, None
        if admin is not None:
            with suppress(Exception):
                await asyncio.wait_for(admin.close(), 5)

    async def ends(self, topic: str) -> dict[int, int]:
        """Return the end of each partition."""
        async with _consumer(self._settings) as consumer:
            found = await consumer.end_offsets(self._tps(topic))
        return {tp.partition: end for tp, end in found.items()}

    async def folded(self, stuck_s: float) -> None:
        """Wait until every stage has committed the end of its source, and nothing moves any more.

        Raises:
            StuckError: Nothing was committed for ``stuck_s`` seconds.
        """
        before: list[dict[int, int]] = []
        moved_s = time.monotonic()
        while True:
            ends = [await self.ends(topic) for topic in self._sources]
            done = [await self.commits(topic) for topic in self._sources]
            if ends == done == before:
                return
            if done != before:
                moved_s = time.monotonic()
            if time.monotonic() - moved_s > stuck_s:
                listed = dict(zip(self._sources, zip(done, ends, strict=True), strict=True))
                raise StuckError(f"no commit for {stuck_s:g} s; by topic (committed, end): {listed}")
            before = done
            await asyncio.sleep(1.0)

    async def table(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the latest row by key of a table topic."""
        rows: dict[str, dict[str, Any]] = {}
        async for key, value in self.read(topics.TABLE_TOPICS[name]):
            if value is None:
                rows.pop(key.decode(), None)
            elif not key.startswith(b"~"):
                rows[key.decode()] = table_row(value)
        return rows

    async def refused(self) -> list[dict[str, Any]]:
        """Return every dead letter."""
        return [json.loads(value) async for _, value in self.read(topics.DEAD_LETTERS) if value is not None]

    async def compaction(self) -> list[Compaction]:
        """Return, by compacted topic, how much the cleaner has taken so far."""
        found = []
        for spec in topics.topic_specs(self._prefix, self.partitions):
            if spec.config["cleanup.policy"] != _COMPACTED:
                continue
            topic = spec.name.removeprefix(self._prefix)
            left = 0
            async for _ in self.read(topic):
                left += 1
            written = sum((await self.ends(topic)).values())
            if written:
                found.append(Compaction(topic, written, left))
        return found

    async def read(self, topic: str) -> AsyncIterator[tuple[bytes, bytes | None]]:
        """Yield key and value of every record there is, partition after partition."""
        async with _consumer(self._settings) as consumer:
            for tp in self._tps(topic):
                consumer.assign([tp])
                end = (await consumer.end_offsets([tp]))[tp]
                begin = (await consumer.beginning_offsets([tp]))[tp]
                consumer.seek(tp, begin)
                while begin < end and await consumer.position(tp) < end:
                    for records in (await consumer.getmany(tp, timeout_ms=1000, max_records=10_000)).values():
                        for record in records:
                            yield record.key or b"", record.value

    def _name(self, topic: str) -> str:
        return topic if topic in self._sources else self._prefix + topic

    def _tps(self, topic: str) -> list[TopicPartition]:
        name = self._name(topic)
        return [TopicPartition(name, number) for number in range(self._sources.get(name, self.partitions))]


class _consumer:  # noqa: N801 - used like a function
    """A consumer outside any group, stopped with the context."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self._consumer = AIOKafkaConsumer(
            group_id=None, enable_auto_commit=False, max_partition_fetch_bytes=8 * 1_048_576, **settings
        )

    async def __aenter__(self) -> Any:
        await self._consumer.start()
        return self._consumer

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()


def _sooner(spec: TopicSpec, lag_s: float) -> TopicSpec:
    if spec.config["cleanup.policy"] != _COMPACTED:
        return spec
    eager = {
        "min.compaction.lag.ms": str(round(lag_s * 1000)),
        "min.cleanable.dirty.ratio": "0.05",
        "segment.bytes": "1048576",
        "segment.ms": "15000",
        "delete.retention.ms": "60000",
    }
    return replace(spec, config={**spec.config, **eager})


def distinct(values: Iterable[Any]) -> int:
    """Return how many different values there are."""
    return len(set(values))
