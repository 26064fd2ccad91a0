"""``POST /v1/events``: contract events as one CloudEvent, a JSON array, or one a line."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gateway.answers import LOGGED, REFUSAL, answer, refused, unavailable
from gateway.authenticator import Sender
from gateway.body import reading
from gateway.context import GATEWAY, Gateway, share_of
from gateway.http_connections import EVENTS
from gateway.publisher import Overloaded
from gateway.recorded import Record, checked
from gateway.split import KNOWN, Item
from gateway.time_slices import MAX_COMMAS, TimeSlices, TooComplex, TooManyItems, split_in_slices
from streams.models.acceptance import Refusal

MAX_TOLD = 1000
"""Rejections told one by one; all are counted."""

_KIND = "events"
_LOGGED = 3
"""Rejections whose code the log names."""

_PART_RECORDS = 1000
_PART_BYTES = 1_048_576

Told = dict[str, Any]


async def post_events(request: web.Request) -> web.Response:
    """Accept events: 202 when all were accepted, 422 when some were not. Accepted events are published in both cases."""
    gateway = request.app[GATEWAY]
    sender = gateway.sender(request, EVENTS)
    share = share_of(request, sender)
    gateway.check_rate(share)
    media = _media_type(request)
    with reading(gateway.events, share, gateway.settings) as held:
        found = await _split(gateway, await held.body(request), media, held.time_slices)
        if isinstance(found, Refusal):
            gateway.metrics.events(_KIND, "rejected")
            return _partly(0, _Rejected(1, [_told(None, found)]))
        records, rejected = await _check(gateway, sender, found, held.time_slices)
        del found
        try:
            async with asyncio.timeout(gateway.settings.publish_timeout_s):
                await _publish(gateway, share, records)
        except Overloaded as error:
            return unavailable(str(error), error.retry_after_s)
        except TimeoutError:
            return unavailable("the broker did not confirm in time", 2)
    gateway.metrics.events(_KIND, "accepted", len(records))
    gateway.metrics.events(_KIND, "rejected", rejected.count)
    return _partly(len(records), rejected)


async def _split(gateway: Gateway, body: bytes, media: str, time_slices: TimeSlices) -> list[Item] | Refusal:
    most = gateway.settings.max_events
    try:
        return await split_in_slices(body, media, most, time_slices)
    except TooManyItems:
        reason = f"the body holds more than {most} events"
        hint = "nothing was accepted; send it in several requests, or raise gateway.max_events"
        raise refused(web.HTTPRequestEntityTooLarge, "too_many_events", reason, hint) from None
    except TooComplex:
        reason = f"a part of the array has more than {MAX_COMMAS} values between two events"
        hint = "nothing was accepted; send events one a line (application/x-ndjson)"
        raise refused(web.HTTPRequestEntityTooLarge, "too_complex", reason, hint) from None


async def _publish(gateway: Gateway, share: str, records: Sequence[Record]) -> None:
    """Publish in order and in parts. A request never has more than one part waiting for the broker.

    Raises:
        Overloaded: Nothing may be assumed of what was written.
    """
    for part in _parts(records):
        size = sum(len(key) + len(value) for key, value in part)
        if not gateway.publishing.take(share, size):
            raise Overloaded(f"{gateway.publishing.of(share)} bytes of this sender wait for the broker already")
        try:
            await gateway.publisher.publish(part)
        finally:
            gateway.publishing.give(share, size)


def _parts(records: Sequence[Record]) -> Iterator[Sequence[Record]]:
    begin, size = 0, 0
    for place, (key, value) in enumerate(records):
        if place - begin == _PART_RECORDS or (size and size + len(value) > _PART_BYTES):
            yield records[begin:place]
            begin, size = place, 0
        size += len(key) + len(value)
    if begin < len(records):
        yield records[begin:]


def _media_type(request: web.Request) -> str:
    media = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media not in KNOWN:
        hint = "send application/cloudevents+json, application/cloudevents-batch+json, application/json or x-ndjson"
        raise refused(web.HTTPUnsupportedMediaType, "unsupported_media_type", "this is not a type of events", hint)
    return media


@dataclass
class _Rejected:
    """What was refused of a request: the number, and details of the first ones."""

    count: int = 0
    told: list[Told] = field(default_factory=list)

    def add(self, item: Item, refusal: Refusal) -> None:
        self.count += 1
        if len(self.told) < MAX_TOLD:
            self.told.append(_told(item, refusal))


async def _check(
    gateway: Gateway, sender: Sender, items: Sequence[Item], time_slices: TimeSlices
) -> tuple[list[Record], _Rejected]:
    """Return what to publish and what is refused; lets others run now and then."""
    limits, now_ms, key = gateway.limits, gateway.clock_ms(), next(iter(gateway.settings.grant_keys), None)
    records: list[Record] = []
    rejected = _Rejected()
    for item in items:
        found = checked(
            item.raw,
            now_ms,
            limits.max_event_bytes,
            limits.future_ms,
            limits.events,
            sender.grant,
            key,
            limits.sampling,
            explained=rejected.count < MAX_TOLD,
        )
        if isinstance(found, Refusal):
            rejected.add(item, found)
        else:
            records.append(found[1])
        await time_slices.give_way()
    return records, rejected


def _partly(accepted: int, rejected: _Rejected) -> web.Response:
    """Return how many events were accepted, and which were not."""
    said = {"accepted": accepted, "rejected_count": rejected.count, "rejected": rejected.told}
    found = answer(422 if rejected.count else 202, said)
    if rejected.count:
        # Reasons may quote an event, codes and fields do not.
        codes = ", ".join(
            dict.fromkeys(f"{one['code']} {one['field'] or ''}".strip() for one in rejected.told[:_LOGGED])
        )
        found[REFUSAL] = "events_rejected"
        found[LOGGED] = f"{rejected.count} events rejected ({codes}), {accepted} accepted"
    return found


def _told(item: Item | None, refusal: Refusal) -> Told:
    place = {"index": item.number, "line": item.line} if item is not None else {"index": None, "line": None}
    said = {"code": refusal.code, "field": refusal.field, "reason": refusal.reason, "hint": refusal.hint}
    return {**place, **said}
