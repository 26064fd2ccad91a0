"""``POST /v1/hooks/<tool>``: webhooks of labelling tools, answered within a second whatever else is slow."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import msgspec
from aiohttp import web

from gateway.answers import answer, refused, unavailable
from gateway.authenticator import Sender, Signer
from gateway.body import BodyRead, reading
from gateway.context import GATEWAY, SENDER, Gateway, share_of
from gateway.http_connections import HOOKS
from gateway.json_stream import TooLargePart
from gateway.publisher import Overloaded
from gateway.sources.base import BadSignature, Bounds, Signature, Tool, TooManyParts, Webhook
from gateway.time_slices import MAX_COMMAS, TooComplex
from gateway.webhook_batch import WebhookOutcome
from gateway.webhooks import BadWebhook

_MAX_NAME = 200
_MOST_TOLD = 1000
"""Problems told one by one; all are dead letters."""

Handler = Callable[[web.Request], Awaitable[web.Response]]


def route_of(tool: Tool) -> Handler:
    """Return what answers a tool's webhooks: 200 with what came of one, 202 when that is not known before the deadline."""

    async def post(request: web.Request) -> web.Response:
        gateway = request.app[GATEWAY]
        source, sender, parts = await _accepted(request, gateway, tool)
        # From the end of the body: that is when Label Studio begins to wait, and a large body takes a while to come.
        until_s = asyncio.get_running_loop().time() + gateway.settings.hook_deadline_s
        return await _kept(request, tool, until_s, source, sender, parts)

    return post


async def _kept(
    request: web.Request, tool: Tool, until_s: float, source: str, sender: Sender, parts: list[Webhook]
) -> web.Response:
    """Keep a webhook and answer what came of it, or that it waits."""
    gateway, action = request.app[GATEWAY], parts[0]["action"]
    try:
        async with asyncio.timeout_at(until_s):
            asked = gateway.webhook_queue.submit_parts(source, parts, share_of(request, sender), sender.grant)
            outcomes = await asked
    except (Overloaded, TimeoutError) as error:
        reason = str(error) or "the spool's disk does not answer"
        gateway.metrics.events(tool.name, "rejected")
        return unavailable(reason, error.retry_after_s if isinstance(error, Overloaded) else 5)
    # While the broker is away each connection would else be held for the whole time that a tool gives.
    left_s = 0.0 if gateway.webhook_queue.behind else until_s - asyncio.get_running_loop().time()
    await asyncio.wait(outcomes, timeout=max(0.0, left_s))
    if all(one.done() for one in outcomes):
        return _told(action, [one.result() for one in outcomes])
    if tool.retries and not gateway.webhook_queue.durable:
        # It goes on in memory, which may be lost; the tool's retry makes the same events.
        return unavailable(
            "the webhook's events are not published yet, and there is no gateway.spool_dir to keep it in", 5
        )
    return answer(202, {"status": "waiting", "action": action, "durable": gateway.webhook_queue.durable})


# -- who sends ---------------------------------------------------------------------------------------------------


async def _accepted(request: web.Request, gateway: Gateway, tool: Tool) -> tuple[str, Sender, list[Webhook]]:
    """Return source, sender and reduced webhook in its parts, in the way in which the tool, or the source of it, says who sends."""
    if not tool.of_source:
        return await _accept(request, gateway, tool)
    name = _source_of(request, gateway, tool)
    signature = gateway.settings.sources[name].signature
    if signature is None:
        return await _accept(request, gateway, tool, name)
    return await _accept_signed(request, gateway, tool, name, signature)


async def _accept(
    request: web.Request, gateway: Gateway, tool: Tool, of_source: str = ""
) -> tuple[str, Sender, list[Webhook]]:
    """Return source, sender and reduced webhook of a tool that signs nothing: a token says who sends.

    Args:
        request: The webhook.
        gateway: Who may send.
        tool: What it is of.
        of_source: The only source whose token will do; empty for any that may send for the source named.
    """
    sender = gateway.sender(request, HOOKS)
    if of_source and sender.name != of_source:
        reason = f"the token is not that of the source {of_source}"
        raise refused(web.HTTPForbidden, "foreign_source", reason, f"send with a token of gateway.sources.{of_source}")
    name = of_source or request.query.get("source") or sender.name
    source = _source(tool, name or gateway.settings.tool_settings(f"{tool.name}/").source, sender)
    with reading(gateway.hooks, share_of(request, sender), gateway.settings) as held:
        return source, sender, await _reduced(request, gateway, held, tool, source)


async def _accept_signed(
    request: web.Request, gateway: Gateway, tool: Tool, name: str, signature: Signature
) -> tuple[str, Sender, list[Webhook]]:
    """Return source, sender and reduced webhook once its signature is known to be right.

    Until then the request counts against its address, and nothing of it is decoded.
    """
    signer = _signer(request, gateway, tool, name, signature)
    sender = signer.sender
    source = _source(tool, sender.name, sender)
    with reading(gateway.hooks, f"ip:{request.remote}", gateway.settings) as held:
        body = await _signed_body(request, gateway, held, signer, signature)
        request[SENDER] = sender.name
        gateway.own_connection(request, HOOKS, sender)
        with _refusals(gateway, tool):
            hook = await tool.redact(body, gateway.settings.tool_settings(source), held.time_slices)
        return source, sender, [hook]


def _source_of(request: web.Request, gateway: Gateway, tool: Tool) -> str:
    """Return the source a webhook says it is of, or refuse it."""
    said = request.query.get("source") or None
    name = gateway.authenticator.source_of(tool.name, said)
    if name is None:
        reason = f"there is no such source of {tool.title}" if said else f"?source= is needed to know the {tool.title}"
        hint = f"send to {tool.path}?source=NAME, where gateway.sources.NAME has tool: {tool.name}"
        raise _unauthorized(request, gateway, BadSignature("unauthorized", reason, hint))
    return name


def _signer(request: web.Request, gateway: Gateway, tool: Tool, name: str, signature: Signature) -> Signer:
    """Return who signs for a source; refuses a head that cannot be right, before the body is read."""
    signer = gateway.authenticator.signer(name)
    assert signer is not None
    section = gateway.settings.tool_settings(f"{tool.name}/{name}")
    tolerance_s = section.timestamp_tolerance_s if signature.timed else math.inf
    try:
        signature.check_head(request.headers, gateway.clock_ms(), tolerance_s)
    except BadSignature as fault:
        raise _unauthorized(request, gateway, fault) from None
    return signer


async def _signed_body(
    request: web.Request, gateway: Gateway, held: BodyRead, signer: Signer, signature: Signature
) -> bytes:
    body = await held.body(request)
    try:
        signature.check_body(request.headers, body, signer.secrets)
    except BadSignature as fault:
        raise _unauthorized(request, gateway, fault) from None
    return body


def _unauthorized(request: web.Request, gateway: Gateway, fault: BadSignature) -> web.HTTPException:
    """Return 401, or 429 to an address that has had too many of them."""
    gateway.check_stranger(request)
    return refused(web.HTTPUnauthorized, fault.code, fault.reason, fault.hint, {"WWW-Authenticate": "Signature"})


def _source(tool: Tool, name: str, sender: Sender) -> str:
    """Return the CloudEvents source of a webhook, or refuse it: of ``?source=``, of the token, or of the settings."""
    if len(name) > _MAX_NAME or not name.isprintable():
        reason = f"?source= is not a printable name of at most {_MAX_NAME} characters"
        raise refused(web.HTTPBadRequest, "bad_source", reason, f"name the {tool.title}, e.g. ?source=kul-1")
    source = f"{tool.name}/{name}"
    if not sender.may_send(source):
        reason, allowed = f"the token of {sender.name} may not send for {source}", ", ".join(sender.event_sources)
        logged = f"the token may not send for the {tool.title} that it names; allowed: {allowed}"
        raise refused(web.HTTPForbidden, "foreign_source", reason, f"allowed: {allowed}", logged=logged)
    return source


# -- what it says ------------------------------------------------------------------------------------------------


async def _reduced(request: web.Request, gateway: Gateway, held: BodyRead, tool: Tool, source: str) -> list[Webhook]:
    """Return what is kept of a webhook that is not signed; of some tools it is reduced while it arrives."""
    settings = gateway.settings.tool_settings(source)
    if tool.reader is None:
        body = await held.body(request)
        with _refusals(gateway, tool):
            return [await tool.redact(body, settings, held.time_slices)]
    reader = tool.reader(settings, Bounds(gateway.settings.max_body_bytes, gateway.settings.max_events))

    def take(piece: bytes) -> int:
        reader.feed(piece)
        return reader.held_bytes

    with _refusals(gateway, tool):
        await held.feed(request, take, gateway.settings.max_hook_bytes)
        return reader.end()


@contextmanager
def _refusals(gateway: Gateway, tool: Tool) -> Iterator[None]:
    """Raise what is wrong with a webhook as an HTTP answer: 400 where it is none of the tool's, 413 where it is too large."""
    hint = f"this address takes {tool.title}'s webhooks; contract events go to /v1/events"
    try:
        yield
    except TooLargePart:
        gateway.metrics.events(tool.name, "rejected")
        reason = f"a part of the webhook, such as a task, is larger than {gateway.settings.max_body_bytes} bytes"
        raise refused(web.HTTPRequestEntityTooLarge, "too_large", reason, "raise gateway.max_body_bytes") from None
    except TooManyParts:
        gateway.metrics.events(tool.name, "rejected")
        reason = f"the webhook has more than {gateway.settings.max_events} tasks, annotations or reviews"
        raise refused(web.HTTPRequestEntityTooLarge, "too_many_events", reason, "raise gateway.max_events") from None
    except TooComplex:
        gateway.metrics.events(tool.name, "rejected")
        reason = f"a task, an annotation or an answer of the webhook has more than {MAX_COMMAS} values"
        raise refused(web.HTTPRequestEntityTooLarge, "too_complex", reason, "export it and send events") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        gateway.metrics.events(tool.name, "rejected")
        raise refused(web.HTTPBadRequest, "not_json", "the webhook is not JSON", hint) from None
    except BadWebhook as fault:
        gateway.metrics.events(tool.name, "rejected")
        raise refused(web.HTTPBadRequest, fault.code, fault.reason, hint) from None


def _told(action: str, outcomes: list[WebhookOutcome]) -> web.Response:
    found = [problem for one in outcomes for problem in one.problems][:_MOST_TOLD]
    problems = [{"code": one.code, "field": one.field, "reason": one.reason} for one in found]
    counts = {name: sum(getattr(one, name) for one in outcomes) for name in ("events", "incomparable")}
    ignored = outcomes[0].ignored if len(outcomes) == 1 else None
    return answer(200, {"status": "done", "action": action, **counts, "ignored": ignored, "problems": problems})
