"""A scopes stage whose publications are watched: a log, a read model and a clock in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import orjson

from streams.adapters.topic_names import TopicNames
from streams.agents.aggregate import AggregateStage
from streams.agents.shown_rows import Shown
from streams.core.floor import Floor
from streams.core.ledger_store import new_store
from streams.core.policy import CorePolicy
from streams.core.records import Record
from streams.core.tables import window_rows
from streams.models import topics
from tests.core.harness import encode
from tests.oracle.case_events import label

POLICY = CorePolicy()


_EVERY_S = 0.7


ACCURACY = "f." + topics.TABLE_TOPICS["accuracy"]


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0
        self.spent_s = 0.0
        self.spends_s = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def thread_time(self) -> float:
        self.spent_s += self.spends_s
        return self.spent_s


class Log:
    """Writer and reader: what was appended, append by append."""

    def __init__(self, *, empty: bool = True) -> None:
        self.appends: list[tuple[str, list[Any]]] = []
        self._empty = empty

    async def append(self, topic: str, partition: int, records: Any) -> None:
        await asyncio.sleep(0)
        self.appends.append((topic, list(records)))

    async def read(self, topic: str, partition: int) -> Any:
        for nothing in ():
            yield nothing

    async def empty(self, topic: str, partition: int) -> bool:
        return self._empty

    def last(self, topic: str) -> dict[bytes, bytes | None]:
        return {record[0]: record[1] for name, records in self.appends if name == topic for record in records}


class Model:
    """A read model that loses what it has at its nth write."""

    def __init__(self, lost_at: int = 0) -> None:
        self.puts: list[tuple[Mapping[Any, Any], int | None]] = []
        self._lost_at = lost_at

    async def lost(self, partition: int) -> bool:
        return False

    async def forgotten(self, partition: int) -> bool:
        return True

    async def patient_scopes(self, table: str, window: str) -> set[str]:
        return set()

    async def put(self, partition: int, rows: Mapping[Any, Any], watermark_ms: int | None = None) -> bool:
        self.puts.append((rows, watermark_ms))
        return len(self.puts) != self._lost_at


class Nothing:
    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def stage_of(log: Log, model: Model, **more: Any) -> AggregateStage:
    out = TopicNames("f.", 1)
    return AggregateStage(
        0,
        POLICY,
        out,
        log,
        log,
        model,
        Nothing(),
        publish_interval_s=0.5,
        shown=Shown({"1h": None}),  # type: ignore[arg-type]
        **more,
    )


def flushes(count: int, labels: int = 20, pace: float = 1.0) -> Iterator[list[Record]]:
    """Partial rows of some flushes, ``pace`` times as far apart in event time as on the clock."""
    store, offset, events = new_store(0, POLICY), 0, 0
    for number in range(count):
        records = []
        for n in range(labels):
            name = f"{number}-{n}"
            minute = pace * _EVERY_S / 60 * (number + n / labels)
            key, value = encode(label(name, minute, by=f"lab{n}", task=name, queue=f"q{n % 3}"))
            records.append(Record(events, 0, key, value))
            events += 1
        store.ledger.fold(records)
        flush = store.collect()
        assert flush is not None
        partials = [*flush.outputs, flush.watermark]
        yield [Record(offset + i, 0, key, value) for i, (key, value) in enumerate(partials)]
        offset += len(partials)


def labels_of(floor: Floor) -> dict[bytes, int]:
    """What the accuracy rows of a floor count."""
    return {
        f"{row.state.key}|{row.window}".encode(): window_rows(row, floor.watermark_ms)["accuracy"]["labels"]
        for row in floor.all_windows()
    }


class Run(NamedTuple):
    """What was true at each watermark and at each offset, and offsets committed with the appends there were by then."""

    truth: dict[int, dict[bytes, int]]
    truth_at: dict[int, dict[bytes, int]]
    committed: list[tuple[int, int]]


def run(stage: AggregateStage, clock: Clock, log: Log, count: int = 40) -> Run:
    """Bring flushes to a stage, one every ``_EVERY_S``."""
    reference, done = Floor(POLICY), Run({}, {}, [])

    async def step(seconds: float) -> None:
        clock.now_s += seconds
        offset = await stage.flush()
        if offset is not None:
            done.committed.append((offset, len(log.appends)))

    async def go() -> None:
        for records in flushes(count):
            stage.fold(records)
            reference.apply((record.key or b"", record.value) for record in records)
            done.truth[reference.watermark_ms] = done.truth_at[stage.next] = labels_of(reference)
            for _ in range(7):
                await step(_EVERY_S / 7)
        for _ in range(200):
            await step(0.1)

    asyncio.run(go())
    return done


def shown_in(appends: list[tuple[str, list[Any]]]) -> dict[bytes, int]:
    """Labels of the accuracy rows of windows as last written."""
    rows = {record[0]: record[1] for topic, records in appends if topic == ACCURACY for record in records}
    return {
        k: orjson.loads(row)["labels"] for k, row in rows.items() if b"|" in k and not k.rpartition(b"|")[2].isdigit()
    }
