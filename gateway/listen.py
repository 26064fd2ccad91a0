"""Listens: accepts connections while there are file descriptors, and pauses, without a flood of log lines, when there are none.

asyncio's own server logs a traceback for each of its 128 tries when descriptors run out, every second, and schedules as
many further tries.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

from aiohttp import web

from gateway.http_connections import Connection, ConnectionTable

_log = logging.getLogger(__name__)

_BACKLOG = 1024
_AT_ONCE = 64
PAUSE_S = 1.0
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class GatewaySite(web.BaseSite):
    """A listening address of a runner."""

    __slots__ = ("_factory", "_host", "_paused", "_pending", "_port", "_sockets", "_table")

    def __init__(
        self,
        runner: web.BaseRunner,
        host: str,
        port: int,
        table: ConnectionTable,
        factory: Callable[[], Connection],
    ) -> None:
        """Name the address; nothing is opened yet.

        Args:
            runner: Set up already.
            host: Address or name.
            port: 0 takes a free one.
            table: Counts what cannot be taken.
            factory: Makes the handler of a new connection.
        """
        super().__init__(runner)
        self._host = host
        self._port = port
        self._table = table
        self._factory = factory
        self._sockets: list[socket.socket] = []
        self._pending: set[asyncio.Task[object]] = set()
        self._paused: list[asyncio.TimerHandle] = []

    @property
    def name(self) -> str:
        """The first address listened on."""
        host, port = self._sockets[0].getsockname()[:2] if self._sockets else (self._host, self._port)
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The address cannot be used.
        """
        await super().start()
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(self._host or None, self._port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listening = socket.socket(family, kind, protocol)
            self._sockets.append(listening)
            listening.setblocking(False)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
            self._watch(listening)

    async def stop(self) -> None:
        """Stop listening; connections that are open go on."""
        loop = asyncio.get_running_loop()
        for timer in self._paused:
            timer.cancel()
        for listening in self._sockets:
            loop.remove_reader(listening.fileno())
            listening.close()
        self._sockets.clear()
        await super().stop()

    def _watch(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listening.fileno(), self._accept, listening)

    def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(_AT_ONCE):
            try:
                taken, _address = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                kind = "no_descriptors" if error.errno in _EXHAUSTED else "not_accepted"
                self._table.noted(kind, f"none can be taken: {error.strerror}; tried again every {PAUSE_S:g} s")
                loop.remove_reader(listening.fileno())
                self._paused = [timer for timer in self._paused if timer.when() > loop.time()]
                self._paused.append(loop.call_later(PAUSE_S, self._watch, listening))
                return
            taken.setblocking(False)
            task: asyncio.Task[object] = loop.create_task(self._begin(taken))
            self._pending.add(task)
            task.add_done_callback(self._pending.discard)

    async def _begin(self, taken: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._factory, taken)
        except OSError:
            taken.close()
