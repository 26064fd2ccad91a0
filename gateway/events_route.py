"""``POST /v1/events``: contract events as one CloudEvent, a JSON array, or one a line."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from aiohttp import web

from gateway.context import GATEWAY, Gateway, answer, refused, unavailable
from gateway.limits import Sender
from gateway.publisher import Overloaded
from gateway.records import Record, checked
from gateway.split import KNOWN, Item, split
from streams.models.explain import Refusal

MAX_TOLD = 1000
"""Rejections told one by one; all are counted."""

_KIND = "events"
_YIELD_EVERY = 256

Told = dict[str, Any]


async def post_events(request: web.Request) -> web.Response:
    """Accept events: 202 when all were accepted, 422 when some were not; what was accepted is published either way."""
    gateway = request.app[GATEWAY]
    sender = gateway.sender(request)
    wait_s = gateway.buckets.wait_s(sender.name)
    if wait_s:
        hint = "send several events in one request, or raise gateway.requests_per_s"
        headers = {"Retry-After": str(wait_s)}
        raise refused(web.HTTPTooManyRequests, "too_many_requests", "too many requests", hint, headers)
    media = _media_type(request)
    body = await gateway.body(request)
    found = split(body, media)
    if isinstance(found, Refusal):
        gateway.metrics.events(_KIND, "rejected")
        return answer(422, {"accepted": 0, "rejected_count": 1, "rejected": [_told(None, found)]})
    records, rejected = await _check(gateway, sender, found)
    if records:
        try:
            async with asyncio.timeout(gateway.settings.publish_timeout_s):
                await gateway.publisher.publish(records)
        except Overloaded as error:
            return unavailable(str(error), error.retry_after_s)
        except TimeoutError:
            return unavailable("the broker did not confirm in time", 2)
    gateway.metrics.events(_KIND, "accepted", len(records))
    gateway.metrics.events(_KIND, "rejected", len(rejected))
    said = {"accepted": len(records), "rejected_count": len(rejected), "rejected": rejected[:MAX_TOLD]}
    return answer(422 if rejected else 202, said)


def _media_type(request: web.Request) -> str:
    media = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media not in KNOWN:
        hint = "send application/cloudevents+json, application/cloudevents-batch+json, application/json or x-ndjson"
        raise refused(web.HTTPUnsupportedMediaType, "unsupported_media_type", "this is no type of events", hint)
    return media


async def _check(gateway: Gateway, sender: Sender, items: Sequence[Item]) -> tuple[list[Record], list[Told]]:
    """Return what to publish and what is refused; lets others run now and then."""
    limits, now_ms = gateway.limits, gateway.clock_ms()
    records: list[Record] = []
    rejected: list[Told] = []
    for count, item in enumerate(items, 1):
        found = checked(item.raw, now_ms, limits.max_event_bytes, limits.future_ms)
        if isinstance(found, Refusal):
            rejected.append(_told(item, found))
        elif not sender.may_send(found[0].source):
            rejected.append(_told(item, _foreign(sender, found[0].source)))
        else:
            records.append(found[1])
        if count % _YIELD_EVERY == 0:
            await asyncio.sleep(0)
    return records, rejected


def _foreign(sender: Sender, source: str) -> Refusal:
    allowed = ", ".join(sender.event_sources)
    reason = f"the token of {sender.name} may not send for source {source!r}"
    return Refusal("foreign_source", "$.source", reason, f"begin source with {allowed}, or use that source's own token")


def _told(item: Item | None, refusal: Refusal) -> Told:
    place = {"index": item.number, "line": item.line} if item is not None else {"index": None, "line": None}
    said = {"code": refusal.code, "field": refusal.field, "reason": refusal.reason, "hint": refusal.hint}
    return {**place, **said}
