"""A TCP proxy that a test can slow, stall, cut, and let tell Kafka's produce requests from others."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from floorwatch.chaos.kafka import KafkaNode
from tests.brokers import kafka_jars
from tests.support import require

PRODUCE = 0
"""Kafka's api key of Produce."""

Request = tuple[int, str]
"""(api key, client id) of a Kafka request."""


class Proxy:
    """Passes connections on to a server on loopback.

    Attributes:
        port: Where it listens.
        open: Cleared, nothing passes in either direction: the server stalls.
        refusing: New connections are closed at once: the server is down. ``cut`` closes those that exist.
        pause_s: Seconds each piece of an answer takes: the server is slow.
        hold: Kafka requests for which this is true wait until it is false; others pass.
        lose_answer: Kafka requests for which this is true reach the server, and their connection is cut before its answer.
    """

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self.open = asyncio.Event()
        self.open.set()
        self.refusing = False
        self.pause_s = 0.0
        self.hold: Callable[[Request], bool] | None = None
        self.lose_answer: Callable[[Request], bool] | None = None
        self._target_port = target_port
        self._writers: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Close every connection."""
        for writer in list(self._writers):
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        if self.refusing:
            writer.close()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:
            writer.close()
            return
        self._writers |= {writer, up_writer}
        muted = asyncio.Event()
        requests = self._requests if self.hold or self.lose_answer else self._pieces
        ways = [
            asyncio.ensure_future(requests(reader, up_writer, muted)),
            asyncio.ensure_future(self._pieces(up_reader, writer, muted, answers=True)),
        ]
        try:
            with suppress(asyncio.CancelledError):
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for one in (writer, up_writer):
                self._writers.discard(one)
                one.close()

    async def _pieces(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        muted: asyncio.Event,
        *,
        answers: bool = False,
    ) -> None:
        with suppress(OSError):
            while (piece := await reader.read(1 << 16)) and not muted.is_set():
                if answers and self.pause_s:
                    await asyncio.sleep(self.pause_s)
                await self.open.wait()
                writer.write(piece)
                await writer.drain()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, muted: asyncio.Event) -> None:
        """Pass Kafka requests on, one whole frame at a time."""
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readexactly(4)
                frame = await reader.readexactly(int.from_bytes(head, "big"))
                request = request_of(frame)
                while self.hold is not None and self.hold(request):  # noqa: ASYNC110 - may change at any time
                    await asyncio.sleep(0.02)
                await self.open.wait()
                lost = self.lose_answer is not None and self.lose_answer(request)
                if lost:
                    muted.set()
                writer.write(head + frame)
                await writer.drain()
                if lost:
                    await asyncio.sleep(0.3)  # the server gets it and answers to nobody
                    return


def request_of(frame: bytes) -> Request:
    """Return what a Kafka request asks and who asks."""
    key, _, _, length = struct.unpack_from(">hhih", frame)
    return key, frame[10 : 10 + length].decode() if length > 0 else ""


@asynccontextmanager
async def proxied(target_port: int, *, frames: bool = False) -> AsyncIterator[Proxy]:
    """Run a proxy before a server; ``frames`` makes it read Kafka requests from the beginning."""
    proxy = Proxy(target_port)
    if frames:
        proxy.hold = lambda _: False
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        proxy.cut()
        server.close()


@asynccontextmanager
async def kafka_behind_a_proxy(folder: Path) -> AsyncIterator[Proxy]:
    """Run a real Kafka whose clients are told the proxy's address; skip or fail where it cannot be had."""
    require("java")
    kafka_jars()
    node = KafkaNode(folder)
    port = node.bootstrap.rpartition(":")[2]
    async with proxied(int(port), frames=True) as proxy:
        advertised = node._properties["advertised.listeners"]
        node._properties["advertised.listeners"] = advertised.replace(f":{port}", f":{proxy.port}", 1)
        node.start()  # waits on the node's own port, so the proxy may stand still meanwhile
        try:
            yield proxy
        finally:
            node.stop()
