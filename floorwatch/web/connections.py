"""Connections of the web pages: what is no HTTP gets a page too, and neither a page nor a log quotes it, because it may hold a link.

aiohttp by itself answers such requests with its own text, which repeats what was sent, and logs them whole.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from aiohttp import web

from floorwatch.web.page import Page
from floorwatch.web.render import HEADERS, html_of
from telemetry.http import SERVER
from telemetry.occasionally import Occasionally

_log = logging.getLogger(__name__)

KEEP_ALIVE_S = 30.0
SAY_EVERY_S = 10.0
_TOO_LONG = Page(
    "That request is too long",
    "sorry",
    ("Its address or one of its headers has more than 8,190 bytes.", "Open the link from the message again."),
    status=431,
)
_NO_HTTP = Page(
    "That is not a request",
    "sorry",
    ("It is no valid HTTP/1.1. Is it for another program, or for https?", "Open the link from the message again."),
    status=400,
)
_FAILED = Page("Something went wrong", "sorry", ("Open the link again in a minute.",), status=500)


class PageConnection(web.RequestHandler):
    """One connection."""

    __slots__ = ("_say",)

    def __init__(self, server: web.Server, say: Occasionally) -> None:
        """Use the runner's server; ``say`` keeps the log short."""
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEP_ALIVE_S,
            access_log=None,  # type: ignore[arg-type] # addresses of links are secrets
        )
        self._say = say

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - quotes what was sent
    ) -> web.StreamResponse:
        """Answer what is not HTTP, and close the connection."""
        kind = type(exc).__name__
        self._noted(f"a request was no HTTP ({kind})")
        if getattr(request.writer, "output_size", 0) > 0:
            raise ConnectionError("an answer has begun already")
        page = _TOO_LONG if kind == "LineTooLong" else _FAILED if status >= 500 else _NO_HTTP
        found = web.Response(text=html_of(page), content_type="text/html", charset="utf-8", status=page.status)
        found.headers.update(HEADERS)
        found.headers["Server"] = SERVER
        found.force_close()
        return found

    def log_exception(self, *args: Any, **kw: Any) -> None:  # noqa: ARG002 - may quote what was sent
        """Log only the kind of a fault."""
        self._noted(f"the handling of a connection failed ({type(kw.get('exc_info')).__name__})")

    def _noted(self, what: str) -> None:
        count = self._say.due(what)
        if count:
            _log.warning("%d connections of the web pages in the last while: %s", count, what)


class PagesSite(web.BaseSite):
    """A listening address of a runner."""

    __slots__ = ("_host", "_port")

    def __init__(self, runner: web.BaseRunner, host: str, port: int) -> None:
        """Name the address; nothing is opened yet."""
        super().__init__(runner)
        self._host, self._port = host, port

    @property
    def name(self) -> str:
        """The address as it was named."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The address cannot be used.
        """
        await super().start()
        loop, server = asyncio.get_running_loop(), self._runner.server
        if server is None:  # BaseSite refuses such a runner before
            raise RuntimeError("the runner is not set up")
        say = Occasionally(SAY_EVERY_S, loop.time)
        self._server = await loop.create_server(
            lambda: PageConnection(server, say), self._host, self._port, backlog=self._backlog
        )
