"""``/metrics``, ``/healthz``, ``/readyz`` and ``/statusz`` over aiohttp."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import HttpVersion10, web, web_response
from prometheus_client.exposition import choose_encoder

from telemetry.registry import Registry

SERVER = "floorwatch"
"""The Server header, in place of the versions of Python and aiohttp, which would only help an attacker."""

web_response.SERVER_SOFTWARE = SERVER  # type: ignore[attr-defined]

_NO_STORE = {"Cache-Control": "no-store"}
_UNAVAILABLE = 503


@dataclass(frozen=True, slots=True)
class Ready:
    """Whether something can do its work, and if not, why: sentences a person can act on.

    Attributes:
        ok: It can.
        reasons: Why not.
        recovering: It restores its state, which takes longer for more state.
        waits: A restart would not help: it recovers, or waits for others.
    """

    ok: bool
    reasons: tuple[str, ...] = ()
    recovering: bool = False
    waits: bool = False


Probe = Callable[[], Ready]
Status = Callable[[], Awaitable[dict[str, Any]]]
"""The status of a process, for people and programs: plain values, lists and objects, without secrets."""


def always_ok() -> Ready:
    """Return that all is well: the default for a process that cannot fail and still answer."""
    return Ready(ok=True)


class _NothingQuoted(logging.Filter):
    """Removes the content of malformed requests, such as the Authorization header, from aiohttp's log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record, with the kind of the fault in place of its text."""
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is not None:
            record.msg, record.args = f"a request could not be handled ({type(error).__name__})", ()
            record.exc_info = record.exc_text = None
        return True


_NOTHING_QUOTED = _NothingQuoted()


def add_routes(
    app: web.Application,
    registry: Registry,
    ready: Probe,
    health: Probe = always_ok,
    status: Status | None = None,
) -> None:
    """Add the routes to an application that also serves something else.

    Args:
        app: Application to extend.
        registry: What ``/metrics`` renders.
        ready: Asked on ``/readyz``: is the state recovered, are broker and Redis reached.
        health: Asked on ``/healthz``: should this process be restarted.
        status: Asked on ``/statusz``, which says what ``/readyz`` says and more; JSON for those who accept it, else text.
    """
    logging.getLogger("aiohttp.server").addFilter(_NOTHING_QUOTED)  # the same one twice counts once
    one_at_a_time = asyncio.Lock()

    async def metrics(request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        # What is shown is taken here, because it belongs to the event loop and would change during a read from another
        # thread. Decoding rows, choosing and encoding are nearly all of the work. They run in a thread, so that the loop
        # keeps its heartbeats, and one at a time, so that scrapes cannot pile up.
        async with one_at_a_time:
            body = await asyncio.to_thread(encode, registry.snapshot())
        return web.Response(body=body, headers={**_NO_STORE, "Content-Type": content_type})

    async def healthz(_: web.Request) -> web.Response:
        return _answer(health())

    async def readyz(_: web.Request) -> web.Response:
        return _answer(ready())

    async def statusz(request: web.Request) -> web.Response:
        told = ready()
        body = {"ready": told.ok, "reasons": list(told.reasons), **({} if status is None else await status())}
        if "json" in request.headers.get("Accept", "") or request.query.get("format") == "json":
            return web.json_response(body, headers=_NO_STORE)
        return web.Response(text="\n".join(_as_lines(body)) + "\n", headers=_NO_STORE)

    app.router.add_get("/statusz", statusz)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)


def build_app(
    registry: Registry, ready: Probe, health: Probe = always_ok, status: Status | None = None
) -> web.Application:
    """Return an application that serves only telemetry; see :func:`add_routes` for the arguments."""
    app = web.Application(middlewares=[_versioned])
    add_routes(app, registry, ready, health, status)
    return app


def without_version(request: web.BaseRequest) -> bool:
    """Tell whether a request's first line ended without ``HTTP/1.1``: half a line, or somebody trying things by hand."""
    return request.version < HttpVersion10


@web.middleware
async def _versioned(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    if without_version(request):
        answer = web.Response(status=400, text="the request has no HTTP version; send e.g. GET /metrics HTTP/1.1\n")
        answer.force_close()
        return answer
    return await handler(request)


def _as_lines(value: Any, indent: int = 0) -> list[str]:
    """Return an object of plain values as indented ``name: value`` lines."""
    lines, pad = [], "  " * indent
    for name, held in value.items():
        if isinstance(held, dict):
            lines += [f"{pad}{name}:", *_as_lines(held, indent + 1)]
        elif isinstance(held, list) and held and isinstance(held[0], dict):
            lines.append(f"{pad}{name}:")
            for one in held:
                first, *rest = _as_lines(one, indent + 2)
                lines += [f"{pad}  - {first.strip()}", *rest]
        else:
            lines.append(f"{pad}{name}: {_plain(held)}")
    return lines


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(_plain(one) for one in value) or "none"
    if value is None:
        return "none"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _answer(state: Ready) -> web.Response:
    body: dict[str, Any] = {"status": "ok" if state.ok else "unavailable", "reasons": list(state.reasons)}
    body.update({name: True for name in ("recovering", "waits") if getattr(state, name)})
    return web.json_response(body, status=200 if state.ok else _UNAVAILABLE, headers=_NO_STORE)
