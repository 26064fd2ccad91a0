"""``POST /v1/hooks/label-studio``: Label Studio's webhooks, answered within its one second whatever else is slow."""

from __future__ import annotations

import asyncio
import logging

import msgspec
from aiohttp import web

from gateway.answers import answer, refused, unavailable
from gateway.authenticator import Sender
from gateway.body import reading
from gateway.context import GATEWAY, Gateway, share_of
from gateway.http_connections import HOOKS
from gateway.label_studio_large import distill_in_slices
from gateway.label_studio_read import Hook, distill
from gateway.publisher import Overloaded
from gateway.time_slices import MAX_COMMAS, TimeSlices, TooComplex
from gateway.webhook_batch import WebhookOutcome
from gateway.webhooks import BadWebhook

_log = logging.getLogger(__name__)

PATH = "/v1/hooks/label-studio"
_MAX_NAME = 200
_BIG_BYTES = 65_536


async def post_label_studio(request: web.Request) -> web.Response:
    """Accept a webhook: 200 with what came of it, 202 when that is not known before the deadline."""
    gateway = request.app[GATEWAY]
    loop = asyncio.get_running_loop()
    until_s = loop.time() + gateway.settings.hook_deadline_s
    sender = gateway.sender(request, HOOKS)
    source, share = _source(request, gateway, sender), share_of(request, sender)
    with reading(gateway.hooks, share, gateway.settings) as held:
        hook = await _read(await held.body(request), gateway, held.time_slices)
    try:
        async with asyncio.timeout_at(until_s):
            outcome = await gateway.webhook_queue.submit(source, hook, share, sender.grant)
    except (Overloaded, TimeoutError) as error:
        # Label Studio never asks again, so this one is lost unless somebody reads the log.
        reason = str(error) or "the spool's disk does not answer"
        gateway.metrics.events("label-studio", "rejected")
        _log.warning("a %r webhook was refused with 503: %s", hook["action"], reason)
        return unavailable(reason, error.retry_after_s if isinstance(error, Overloaded) else 5)
    await asyncio.wait({outcome}, timeout=max(0.0, until_s - loop.time()))
    if outcome.done():
        return _told(hook, outcome.result())
    return answer(202, {"status": "waiting", "action": hook["action"], "durable": gateway.webhook_queue.durable})


def _source(request: web.Request, gateway: Gateway, sender: Sender) -> str:
    """Return the CloudEvents source: of ``?source=``, else of the token, else of the settings."""
    name = request.query.get("source") or sender.name or gateway.settings.label_studio.source
    if len(name) > _MAX_NAME or not name.isprintable():
        reason = f"?source= is not a printable name of at most {_MAX_NAME} characters"
        raise refused(web.HTTPBadRequest, "bad_source", reason, "name the Label Studio, e.g. ?source=kul-1")
    source = f"label-studio/{name}"
    if not sender.may_send(source):
        reason = f"the token of {sender.name} may not send for {source}"
        raise refused(web.HTTPForbidden, "foreign_source", reason, f"allowed: {', '.join(sender.event_sources)}")
    return source


async def _read(body: bytes, gateway: Gateway, time_slices: TimeSlices) -> Hook:
    """Return the distilled webhook. Raises HTTPBadRequest where it is none."""
    hint = "this address takes Label Studio's webhooks; contract events go to /v1/events"
    settings = gateway.settings.label_studio
    try:
        if len(body) <= _BIG_BYTES:
            return distill(msgspec.json.decode(body), settings)
        return await distill_in_slices(body, settings, time_slices)
    except TooComplex:
        gateway.metrics.events("label-studio", "rejected")
        reason = f"a task or an annotation of the webhook has more than {MAX_COMMAS} values"
        raise refused(web.HTTPRequestEntityTooLarge, "too_complex", reason, "export it and send events") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        gateway.metrics.events("label-studio", "rejected")
        raise refused(web.HTTPBadRequest, "not_json", "the webhook is not JSON", hint) from None
    except BadWebhook as fault:
        gateway.metrics.events("label-studio", "rejected")
        raise refused(web.HTTPBadRequest, fault.code, fault.reason, hint) from None


def _told(hook: Hook, outcome: WebhookOutcome) -> web.Response:
    problems = [{"code": one.code, "field": one.field, "reason": one.reason} for one in outcome.problems]
    said = {"status": "done", "action": hook["action"], "events": outcome.events, "incomparable": outcome.incomparable}
    return answer(200, {**said, "ignored": outcome.ignored, "problems": problems})
