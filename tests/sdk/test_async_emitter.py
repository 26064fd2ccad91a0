"""The emitter with asyncio: calls at once share a write and keep their order, and nothing blocks the loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from floorwatch.sdk import AsyncEmitter, BadEvents, NotEmitted, SpoolFull
from tests.sdk.scripted_gateway import GONE, QUICK, made, refusing, said, scripted

pytestmark = pytest.mark.fixed_clock  # the emitter's thread waits with deadlines

NOWHERE = "http://127.0.0.1:9"
WAIT_S = 60.0


class Disk:
    """Counts writes, and holds them up while it is told to."""

    def __init__(self, fw: AsyncEmitter) -> None:
        assert fw._emitter is not None
        self.spool = fw._emitter._spool
        self.append = self.spool.append
        self.sizes: list[int] = []
        self.free = threading.Event()
        self.spool.append = self._append  # type: ignore[method-assign]

    def _append(self, records: Sequence[tuple[int, bytes]]) -> None:
        self.free.wait(WAIT_S)
        self.sizes.append(len(records))
        self.append(records)


def test_calls_at_once_are_written_together_and_arrive_in_their_order(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        async with AsyncEmitter(url, spool=tmp_path, settings=QUICK) as fw:
            disk = Disk(fw)
            calls = [asyncio.create_task(fw.send(made(number))) for number in range(100)]
            await asyncio.sleep(0)
            disk.free.set()
            assert await asyncio.gather(*calls) == [1] * 100
            assert sum(disk.sizes) == 100
            assert len(disk.sizes) <= 3
            await fw.flush(WAIT_S)
            assert fw.status().delivered == 100

    with scripted() as gateway:
        asyncio.run(main(gateway.url))
        assert gateway.ids == [f"e-{number}" for number in range(100)]


def test_each_call_has_an_answer_of_its_own(tmp_path: Path) -> None:
    async def main() -> list[Any]:
        settings = replace(GONE, max_spool_bytes=1500)
        async with AsyncEmitter(NOWHERE, spool=tmp_path, settings=settings) as fw:
            disk = Disk(fw)
            calls = [
                asyncio.create_task(fw.send(*given))
                for given in ([made(1)], [{"type": "x"}], list(map(made, range(2, 12))), [made(12)], [made(13)])
            ]
            await asyncio.sleep(0)
            calls[4].cancel()
            disk.free.set()
            found = await asyncio.gather(*calls, return_exceptions=True)
            await fw.close()
            assert fw.status().waiting == 3, "what was cancelled may have been kept"
            return found

    found = asyncio.run(main())
    assert [one if isinstance(one, int) else type(one) for one in found] == [
        1,
        BadEvents,
        SpoolFull,
        1,
        asyncio.CancelledError,
    ]


def test_flush_says_what_waits_and_can_be_cancelled(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        async with AsyncEmitter(url, spool=tmp_path, settings=GONE) as fw:
            await fw.send(made(1))
            with pytest.raises(NotEmitted, match="1 events wait in"):
                await fw.flush(0.05)
            flushing = asyncio.create_task(fw.flush())
            await asyncio.sleep(0)
            flushing.cancel()
            with pytest.raises(asyncio.CancelledError):
                await flushing
            waiting = asyncio.create_task(fw.flush())
            await asyncio.sleep(0)
            await fw.close()
            with pytest.raises(NotEmitted, match="1 events wait in"):
                await waiting
            with pytest.raises(NotEmitted, match="closed"):
                await fw.send(made(2))

    with scripted(answering=lambda _: said(503, {}, Retry_After="60")) as gateway:
        asyncio.run(main(gateway.url))


def test_refused_events_are_read_and_one_that_is_not_open_says_so(tmp_path: Path) -> None:
    async def main(url: str) -> None:
        fw = AsyncEmitter(url, spool=tmp_path, settings=QUICK)
        with pytest.raises(NotEmitted, match="async with"):
            await fw.send(made(1))
        await fw.close()
        async with fw:
            assert await fw.send() == 0
            await fw.send(made(1), made(2))
            await fw.flush(WAIT_S)
            assert [one.event["id"] for one in await fw.refused()] == ["e-1"]

    with scripted(answering=refusing("e-1")) as gateway:
        asyncio.run(main(gateway.url))


def test_an_error_nobody_foresaw_reaches_every_call(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncEmitter(NOWHERE, spool=tmp_path, settings=GONE) as fw:
            assert fw._emitter is not None

            def fail(_: object) -> int:
                raise RuntimeError("unforeseen")

            fw._emitter.keep = fail  # type: ignore[method-assign,assignment]
            found = await asyncio.gather(fw.send(made(1)), fw.send(made(2)), return_exceptions=True)
            assert [str(one) for one in found] == ["unforeseen"] * 2
            fw._writing = None

    asyncio.run(main())
