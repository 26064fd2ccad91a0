"""Connections: how many there may be, of whom and for how long, and what is logged when one sends malformed data.

aiohttp has a timeout for idle connections but none for a slow head, a slow reader or a descriptor shortage, no bound on
connections, and it logs malformed requests, including their Authorization header. This module adds all of these, around
aiohttp's own handler of a connection.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Callable
from typing import Any

from aiohttp import web

from gateway.answers import REFUSAL, of_status, with_reason
from gateway.fair_share import FairShare
from gateway.refusal_log import RefusalLog
from gateway.settings import GatewaySettings

_log = logging.getLogger(__name__)

WRITE_TIMEOUT_S = 30.0
"""How long an answer may take to be read by its sender."""

LINGER_S = 2.0
"""How long the rest of a refused body is still read, so that its sender sees the answer before the connection ends."""

READ_BYTES = 65_536
MAX_HEADERS = 64
_SPARE_DESCRIPTORS = 128
"""For files, broker and Redis."""

NEW, EVENTS, HOOKS = "new", "events", "hooks"
"""Kinds of connections: those on which no request has been accepted yet, and those of senders."""

_QUARTERS = {NEW: 1, EVENTS: 2, HOOKS: 1}
"""The share of all connections that each kind may have, so that there is room for webhooks, which are never sent
again."""


class ConnectionTable:
    """Which connections are open, and which are closed when there are too many.

    A connection counts for its peer's address until a request on it is accepted; from then on it counts for the sender.
    Each kind has its own bound. When it is reached, the sender or address with the most connections loses its oldest
    idle one.

    Attributes:
        counted: Connections that were ended or refused, by reason.
    """

    def __init__(self, most: int, refusals: RefusalLog) -> None:
        """Begin with none; ``most`` is the bound on all, ``refusals`` the log."""
        self._shares = {kind: FairShare(max(1, most * part // 4)) for kind, part in _QUARTERS.items()}
        self._open: dict[Connection, tuple[str, str]] = {}
        self._of: dict[tuple[str, str], dict[Connection, None]] = {}
        self._refusals = refusals
        self.counted: Callable[[str], None] = lambda _: None

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, one: Connection, peer: str) -> None:
        """Take a new connection. If there is no room, an idle one of the sender with the most is closed."""
        while not self._shares[NEW].take(peer, 1):
            if not self._end_one(NEW, peer):
                self.noted("too_many", "more than gateway.max_connections allows, and none of them is idle", peer=peer)
                one.abort()
                return
        self._note(one, (NEW, peer))

    def belongs(self, one: Connection, kind: str, sender: str) -> bool:
        """Note the sender of a connection. False when that sender has more than its share and all of them are busy."""
        held = self._open.get(one)
        if held is None or held == (kind, sender):
            return True
        while not self._shares[kind].take(sender, 1):
            if not self._end_one(kind, sender):
                # Its request is answered, and that answer logged.
                self.counted("too_many")
                return False
        self.closed(one)
        self._note(one, (kind, sender))
        return True

    def closed(self, one: Connection) -> None:
        """Forget a connection."""
        held = self._open.pop(one, None)
        if held is not None:
            self._shares[held[0]].give(held[1], 1)
            del self._of[held][one]
            if not self._of[held]:
                del self._of[held]

    def noted(self, reason: str, what: str, *, code: str = "", status: int = 0, peer: str = "") -> None:
        """Count a connection that ended badly and log it, or now and then how many, without anything that it sent.

        Args:
            reason: As it is counted.
            what: The same in words.
            code: Code of the answer; empty without one.
            status: Its status.
            peer: The other side, as ``Connection.peer``.
        """
        self.counted(reason)
        self._refusals.connection(code or reason, what, status, peer.removeprefix("ip:"))

    def _end_one(self, kind: str, asking: str) -> bool:
        """Close the oldest idle connection of the sender with the most of a kind, else of the one that asks.

        False if there is none.
        """
        shares = self._shares[kind]
        mine = shares.of(asking)
        by_most = sorted((whose for its_kind, whose in self._of if its_kind == kind), key=shares.of, reverse=True)
        for whose in by_most:
            if shares.of(whose) < mine:
                break  # the one that asks has the most, and none of its connections is idle
            ended = next((one for one in self._of[kind, whose] if not one.busy), None)
            if ended is not None:
                self.counted("too_many")
                self.closed(ended)
                ended.abort()
                return True
        return False

    def _note(self, one: Connection, whose: tuple[str, str]) -> None:
        self._open[one] = whose
        self._of.setdefault(whose, {})[one] = None


class Connection(web.RequestHandler):
    """One connection: aiohttp's, with a bound on how long a head may take and an answer may wait to be read.

    Attributes:
        busy: Whether a request is being worked on.
        peer: The other side's address.
    """

    __slots__ = ("_draining", "_head_timer", "_settings", "_table", "busy", "peer")

    def __init__(self, server: web.Server, table: ConnectionTable, settings: GatewaySettings) -> None:
        """Use the runner's server; the options of aiohttp are set here and nowhere else."""
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=settings.idle_timeout_s,
            lingering_time=LINGER_S,
            read_bufsize=READ_BYTES,
            max_headers=MAX_HEADERS,
            auto_decompress=False,
            access_log=None,  # type: ignore[arg-type]
        )
        self._table = table
        self._settings = settings
        self._head_timer: asyncio.TimerHandle | None = None
        self._draining = False
        self.busy = False
        self.peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; a head must come in time."""
        super().connection_made(transport)
        name = transport.get_extra_info("peername")
        self.peer = f"ip:{name[0]}" if isinstance(name, tuple) else "ip:?"
        self._await_head()
        self._table.opened(self, self.peer)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._stop_timer()
        self._table.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the first ones after an answer begin a head, which must then come in time."""
        if not self.busy and not self._draining and self._head_timer is None:
            self._await_head()
        super().data_received(data)

    def begun(self) -> None:
        """Take note that a request's head is complete."""
        self.busy = True
        self._stop_timer()

    def belongs(self, kind: str, sender: str) -> bool:
        """Note whose the connection is; False when that sender has too many."""
        return self._table.belongs(self, kind, sender)

    def abort(self) -> None:
        """End at once."""
        if self.transport is not None:
            self.transport.abort()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer; a sender that does not read it loses the connection."""
        resp = with_reason(resp)
        if not request.content.is_eof():
            # Reading the rest only to keep the connection would be work for a body that is refused.
            self._draining = True
            resp.force_close()
        try:
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                return await super().finish_response(request, resp, start_time)
        except TimeoutError:
            self._table.noted("slow_reader", "an answer was not read by its sender", peer=self.peer)
            self.abort()
            return resp, True
        finally:
            self.busy = False

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - quotes what was sent
    ) -> web.StreamResponse:
        """Answer what is not HTTP. Neither answer nor log quotes it, because it may hold a token."""
        self._stop_timer()
        kind = type(exc).__name__
        if kind == "LineTooLong":
            status = 431
        begun_already = getattr(request.writer, "output_size", 0) > 0
        found = of_status(status)
        found.force_close()
        said = f"a request was no HTTP ({kind})"
        code, answered = ("", 0) if begun_already else (found[REFUSAL], found.status)
        self._table.noted("malformed", said, code=code, status=answered, peer=self.peer)
        if begun_already:
            raise ConnectionError("an answer has begun already")
        return found

    def log_exception(self, *args: Any, **kw: Any) -> None:  # noqa: ARG002 - may quote what was sent
        """Log only the kind of a fault, because its text may quote a request."""
        kind = type(kw.get("exc_info")).__name__
        self._table.noted("failed", f"the connection's handling failed ({kind})", peer=self.peer)

    def _await_head(self) -> None:
        self._head_timer = self._loop.call_later(self._settings.header_timeout_s, self._head_is_late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.busy or self.transport is None:
            return
        said = of_status(408)
        what = "no whole request head came in time"
        self._table.noted("slow_head", what, code=said[REFUSAL], status=said.status, peer=self.peer)
        body = said.body if isinstance(said.body, bytes) else b""
        head = f"HTTP/1.1 408 Request Timeout\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"Connection: close\r\n\r\n" + body)
        self.force_close()


def begun(request: web.BaseRequest) -> None:
    """Note that a request's head is complete. Under a test server this does nothing."""
    if isinstance(request.protocol, Connection):
        request.protocol.begun()


def most_connections(wanted: int) -> int:
    """Return how many connections the file descriptors of this process allow, after raising the soft limit if possible."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + _SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < needed:
        raised = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
            soft = raised
        except (OSError, ValueError):
            _log.info("the limit on open files stays %d", soft)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    fewer = max(1, soft - _SPARE_DESCRIPTORS if soft > 2 * _SPARE_DESCRIPTORS else soft // 2)
    _log.warning("gateway.max_connections is %d, but this process may open %d files: %d are used", wanted, soft, fewer)
    return fewer
