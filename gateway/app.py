"""The HTTP gateway as an aiohttp application: routes, limits, metrics, health. The only wiring of its parts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

from aiohttp import web

from gateway.answers import LOGGED, REFUSAL, of_status, refused, unavailable, with_reason
from gateway.authenticator import ClockMs, authenticator
from gateway.body import Pool
from gateway.browser import BrowserRules
from gateway.context import GATEWAY, SENDER, Gateway, Limits
from gateway.events_route import post_events
from gateway.fair_share import FairShare
from gateway.http_connections import begun
from gateway.maintenance_route import MAINTENANCE_PATH, list_windows, plan_window, remove_window, show_window
from gateway.metrics import GatewayMetrics
from gateway.plans import NoPlans, PlanStore
from gateway.publisher import PlanPublisher
from gateway.refusal_log import SAY_EVERY_S, RefusalLog
from gateway.refused_counts import RefusedCounts, RefusedStore
from gateway.settings import GatewaySettings
from gateway.sources.registry import TOOLS
from gateway.time_slices import SliceScheduler
from gateway.tool_state import ToolState
from gateway.webhook_queue import WebhookQueue
from gateway.webhooks_route import route_of
from streams.adapters.token_buckets import TokenBuckets
from telemetry.background import BackgroundTasks
from telemetry.http import Ready, add_routes, without_version
from telemetry.occasionally import Occasionally
from telemetry.version import VERSION

EVENTS_PATH = "/v1/events"
_EVENT_BODIES = 12
"""How many bodies of the greatest length may be held at once: 192 MiB by default. Usual bodies are a thousandth of that
size."""

_HOOK_BODIES = 4
"""The same for webhooks: they never wait behind events."""

_PUBLISHING = 0.75
"""Share of the bytes waiting for the broker that events may take; the rest is for webhooks."""

_STRANGERS_PER_S, _STRANGERS_BURST = 100, 400
"""Requests without a token of one address, such as probes and scrapes."""

_COUNTED = (EVENTS_PATH, MAINTENANCE_PATH, *(tool.path for tool in TOOLS.values()))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_app(
    settings: GatewaySettings,
    publisher: PlanPublisher,
    tool_state: ToolState,
    clock_ms: ClockMs,
    limits: Limits | None = None,
    plans: PlanStore | None = None,
    rules: Sequence[str] = (),
    refused_store: RefusedStore | None = None,
) -> web.Application:
    """Return the gateway.

    Args:
        settings: The ``gateway`` section.
        publisher: Where events go; started and stopped by the caller.
        tool_state: What upstream tools leave out.
        clock_ms: Wall clock, Unix milliseconds.
        limits: What is refused of an event. They are intake's, so that intake accepts everything accepted here.
        plans: What people have planned; None: it cannot be read.
        rules: Names of the rules of the configuration; empty: they are not known.
        refused_store: Where what is refused is counted over all gateways; None: nowhere.

    Raises:
        UnauthenticatedGateway: It would listen beyond loopback without tokens.
        TokenFault: A token file cannot be read.
        MappingFault: A mapping cannot be used.
    """
    senders = authenticator(settings, clock_ms)
    metrics = GatewayMetrics(VERSION)
    limits = limits or Limits()
    webhook_queue = WebhookQueue(
        settings, publisher, tool_state, clock_ms, metrics, limits=limits.events, plan=limits.sampling
    )
    events, hooks = _pools(settings)
    metrics.watch_spool(lambda: webhook_queue.waiting, lambda: webhook_queue.waiting_bytes)
    metrics.watch_memory(lambda: publisher.in_flight_bytes, lambda: events.body_bytes.held + hooks.body_bytes.held)
    metrics.watch_damage(lambda: webhook_queue.damaged_bytes)
    metrics.watch_requests(lambda: events.requests.held + hooks.requests.held)
    app = web.Application(middlewares=[_count, _never_a_traceback, _no_page])
    app[GATEWAY] = Gateway(
        settings=settings,
        limits=limits,
        publisher=publisher,
        webhook_queue=webhook_queue,
        authenticator=senders,
        buckets=TokenBuckets(settings.requests_per_s, settings.burst_requests, clock_ms),
        metrics=metrics,
        refusals=RefusalLog(settings.sources, Occasionally(SAY_EVERY_S, time.monotonic)),
        clock_ms=clock_ms,
        browser=BrowserRules(settings),
        events=events,
        hooks=hooks,
        strangers=TokenBuckets(_STRANGERS_PER_S, _STRANGERS_BURST, clock_ms),
        publishing=FairShare(round(_PUBLISHING * settings.max_in_flight_bytes)),
        plans=plans or NoPlans(),
        rules=tuple(rules),
        refused_counts=None if refused_store is None else RefusedCounts(refused_store, clock_ms),
    )
    app.router.add_post(EVENTS_PATH, post_events, expect_handler=_expect)
    app.router.add_get(MAINTENANCE_PATH, list_windows)
    app.router.add_post(MAINTENANCE_PATH, plan_window, expect_handler=_expect)
    app.router.add_get(MAINTENANCE_PATH + "/{id:.+}", show_window)
    app.router.add_delete(MAINTENANCE_PATH + "/{id:.+}", remove_window)
    for tool in TOOLS.values():
        app.router.add_post(tool.path, route_of(tool), expect_handler=_expect)
    add_routes(app, metrics.registry, lambda: _ready(publisher, webhook_queue), lambda: _healthy(webhook_queue))
    app.cleanup_ctx.append(_saying_refusals)
    app.cleanup_ctx.append(_running_lane)
    return app


def _pools(settings: GatewaySettings) -> tuple[Pool, Pool]:
    """Return what requests with events may hold together, and what webhooks may."""
    for_hooks, body = max(1, settings.max_requests // 4), settings.max_body_bytes
    events = Pool(FairShare(settings.max_requests - for_hooks), FairShare(_EVENT_BODIES * body), SliceScheduler())
    return events, Pool(FairShare(for_hooks), FairShare(_HOOK_BODIES * body), SliceScheduler())


async def _saying_refusals(app: web.Application) -> AsyncIterator[None]:
    refusals, counts = app[GATEWAY].refusals, app[GATEWAY].refused_counts

    async def each_second() -> None:
        while True:
            await asyncio.sleep(1)
            refusals.say_rest()

    async with BackgroundTasks() as tasks:
        tasks.start("refusals", each_second)
        if counts is not None:
            tasks.start("counts of refusals", counts.write_forever)
        yield
    refusals.say_rest(last=True)
    if counts is not None:
        await counts.write()


async def _running_lane(app: web.Application) -> AsyncIterator[None]:
    webhook_queue = app[GATEWAY].webhook_queue
    await webhook_queue.start()
    yield
    await webhook_queue.stop()


def _ready(publisher: PlanPublisher, webhook_queue: WebhookQueue) -> Ready:
    reasons = (*publisher.faults(), *webhook_queue.faults(), *_healthy(webhook_queue).reasons)
    return Ready(not reasons, (*reasons, *webhook_queue.notes()))


def _healthy(webhook_queue: WebhookQueue) -> Ready:
    return Ready(ok=True) if webhook_queue.alive else Ready(ok=False, reasons=("the webhook queue has ended: restart",))


async def _expect(request: web.Request) -> None:
    """Look at the Expect header; the body is asked for only once its sender is known and has room."""
    if request.headers.get("Expect", "").lower() != "100-continue":
        refusal = web.HTTPExpectationFailed(text="")
        _note(request, refusal)  # middlewares come after this
        raise refusal


def _route(request: web.Request) -> str | None:
    """Return the path under which a request is counted; None: it is of no sender."""
    path = MAINTENANCE_PATH if request.path.startswith(f"{MAINTENANCE_PATH}/") else request.path
    return path if path in _COUNTED else None


@web.middleware
async def _count(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Count every request by route and status, and the refused ones by reason and sender."""
    begun(request)
    route = _route(request) or "other"
    metrics = request.app[GATEWAY].metrics
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    status = 499  # the sender went away
    response: web.StreamResponse | None = None
    try:
        response = await handler(request)
        status = response.status
    except web.HTTPException as refusal:
        response, status = refusal, refusal.status
        raise
    finally:
        metrics.answered(route, status, loop.time() - began_s)
        if response is not None:
            _note(request, response)
    return response


def _note(request: web.Request, response: web.StreamResponse) -> None:
    """Count and log an answer if it is a refusal."""
    told = with_reason(response)
    code = told.get(REFUSAL)
    if code:
        gateway, sender = request.app[GATEWAY], request.get(SENDER, "")
        gateway.metrics.refused(code, sender or "unknown")
        named = gateway.refusals.request(request, told, sender)
        if gateway.refused_counts is not None:
            gateway.refused_counts.add(named, told.status, code)


@web.middleware
async def _never_a_traceback(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer 500, or 503 when it takes too long. Neither the answer nor the log shows anything that may quote a body."""
    try:
        async with asyncio.timeout(request.app[GATEWAY].settings.request_timeout_s):
            return await handler(request)
    except TimeoutError:
        return unavailable("the request was not done in time", 5)
    except (web.HTTPException, ConnectionError):
        raise
    except Exception as error:  # noqa: BLE001 - the boundary of the process
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame else "?"
        found = of_status(500)
        found[LOGGED] = f"the gateway failed: {type(error).__name__} at {place}; report it"
        return found


@web.middleware
async def _no_page(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse requests from foreign web pages before anything else is checked."""
    # A wrong path is told as that: a media type would not mend it.
    if without_version(request):
        answer = of_status(400)
        answer.force_close()
        return answer
    # Browsers ask before they send a DELETE elsewhere, and are refused.
    bare = ("GET", "HEAD", "OPTIONS", "DELETE")
    has_body = request.method not in bare and request.match_info.http_exception is None
    gateway = request.app[GATEWAY]
    if _route(request) is None:
        gateway.check_stranger(request)
    fault = gateway.browser.fault(request.headers, has_body=has_body)
    if fault is not None:
        status, code, reason, hint = fault
        kind = web.HTTPForbidden if status == 403 else web.HTTPUnsupportedMediaType
        raise refused(kind, code, reason, hint)
    return await handler(request)
