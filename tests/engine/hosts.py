"""A stage host with a processor that counts what it is given."""

from __future__ import annotations

import asyncio
from typing import Any

from streams.core.records import Record
from streams.engine.batches import Batch
from streams.engine.host import StageHost


class Meter:
    def __getattr__(self, _: str) -> Any:
        return lambda *_a, **_k: None


class Counting:
    """A processor that keeps offsets and says what happened in which order."""

    dense = True

    def __init__(self, journal: list[Any], start: int = 0) -> None:
        self.next: int | None = start
        self.seen: list[int] = []
        self.journal = journal
        self.dirty = False

    async def recover(self) -> None:
        await asyncio.sleep(0)

    def fold(self, records: list[Record]) -> None:
        for record in records:
            self.seen.append(record.offset)
            self.next, self.dirty = record.offset + 1, True

    async def flush(self) -> int | None:
        if not self.dirty:
            return None
        self.dirty = False
        self.journal.append(("flush", self.next))
        return self.next

    async def close(self) -> None:
        self.journal.append(("close",))


def batch(first: int, last: int) -> Batch:
    return Batch("t", 0, [Record(offset, 0, None, b"") for offset in range(first, last + 1)], last + 1)


def host_of(processor: Counting, journal: list[Any], log_begins: int = 0, **more: Any) -> StageHost:
    async def commit(topic: str, partition: int, offset: int) -> bool:
        journal.append(("commit", offset))
        return True

    async def seek(topic: str, partition: int, offset: int) -> int:
        journal.append(("seek", offset))
        return max(offset, log_begins)

    async def fail(error: BaseException) -> None:
        journal.append(("fail", str(error)))

    return StageHost("stage", "t", lambda _: processor, commit, seek, Meter(), fail, **more)


async def ready(host: StageHost) -> None:
    host.assign([0])
    await host.owned[0].ready.wait()


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)
