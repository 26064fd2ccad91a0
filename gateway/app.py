"""The HTTP gateway as an aiohttp application: routes, limits, metrics, health. The only wiring of its parts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from floorwatch import __version__
from gateway.context import GATEWAY, Gateway, Limits, answer
from gateway.events_route import post_events
from gateway.hooks_route import PATH as HOOK_PATH
from gateway.hooks_route import post_label_studio
from gateway.lane import HookLane
from gateway.limits import Bodies, Buckets, ClockMs, Doorkeeper
from gateway.memory import Memory
from gateway.metrics import GatewayMetrics
from gateway.publisher import Publisher
from gateway.settings import GatewaySettings, open_to_strangers
from telemetry.http import Ready, add_routes

_log = logging.getLogger(__name__)

EVENTS_PATH = "/v1/events"
_BODIES = 16
"""Bodies of the greatest length that may be read at once: 256 MiB by default. Usual ones are a thousandth of that."""

_COUNTED = (EVENTS_PATH, HOOK_PATH)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class OpenToStrangers(Exception):
    """The gateway would take events from anyone. Operator: set a token; the message says how."""


def build_app(
    settings: GatewaySettings, publisher: Publisher, memory: Memory, clock_ms: ClockMs, limits: Limits | None = None
) -> web.Application:
    """Return the gateway.

    Args:
        settings: The ``gateway`` section.
        publisher: Where events go; started and stopped by the caller.
        memory: What upstream tools leave out.
        clock_ms: Wall clock, Unix milliseconds.
        limits: What of an event is refused; intake's, so that nothing accepted here is refused there.

    Raises:
        OpenToStrangers: It would listen beyond loopback without tokens.
        TokenFault: A token file cannot be read.
    """
    fault = open_to_strangers(settings)
    if fault is not None:
        raise OpenToStrangers(fault)
    metrics = GatewayMetrics(__version__)
    lane = HookLane(settings, publisher, memory, clock_ms, metrics)
    bodies = Bodies(_BODIES * settings.max_body_bytes)
    metrics.watch_spool(lambda: lane.waiting, lambda: lane.waiting_bytes)
    metrics.watch_memory(lambda: publisher.in_flight_bytes, lambda: bodies.held_bytes)
    app = web.Application(client_max_size=settings.max_body_bytes, middlewares=[_count, _never_a_traceback])
    app[GATEWAY] = Gateway(
        settings=settings,
        limits=limits or Limits(),
        publisher=publisher,
        lane=lane,
        doorkeeper=Doorkeeper(settings),
        buckets=Buckets(settings.requests_per_s, settings.burst_requests, clock_ms),
        metrics=metrics,
        clock_ms=clock_ms,
        bodies=bodies,
    )
    app.router.add_post(EVENTS_PATH, post_events)
    app.router.add_post(HOOK_PATH, post_label_studio)
    add_routes(app, metrics.registry, lambda: _ready(publisher, lane), lambda: _healthy(lane))
    app.cleanup_ctx.append(_running_lane)
    return app


async def _running_lane(app: web.Application) -> AsyncIterator[None]:
    lane = app[GATEWAY].lane
    await lane.start()
    yield
    await lane.stop()


def _ready(publisher: Publisher, lane: HookLane) -> Ready:
    reasons = (*publisher.faults(), *lane.faults())
    return Ready(not reasons, reasons)


def _healthy(lane: HookLane) -> Ready:
    return Ready(ok=True) if lane.alive else Ready(ok=False, reasons=("the lane of webhooks has ended: restart",))


@web.middleware
async def _count(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count every request by route and status, also the refused ones."""
    route = request.path if request.path in _COUNTED else "other"
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    status = 499  # the sender went away
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as refusal:
        status = refusal.status
        raise
    finally:
        request.app[GATEWAY].metrics.answered(route, status, loop.time() - began_s)
    return response


@web.middleware
async def _never_a_traceback(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 500 without showing, or logging, anything that may quote a body."""
    try:
        return await handler(request)
    except (web.HTTPException, ConnectionError):
        raise
    except Exception as error:  # noqa: BLE001 - the boundary of the process
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "?"
        _log.error("%s %s failed: %s at %s", request.method, request.path, type(error).__name__, place)
        body = {"error": {"code": "internal_error", "reason": "the gateway failed", "hint": "send it again; report it"}}
        return answer(500, body)
