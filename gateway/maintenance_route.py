"""``/v1/maintenance``: maintenance windows, planned, listed and removed by programs.

A window is a record of the log of incidents, so a replay holds the same messages back. What is listed is what the workers know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from aiohttp import web
from msgspec import Meta, Struct, field, structs

from alerts.append import ALERTS_KEY
from alerts.codec import encode_input
from alerts.incident import Maintenance
from alerts.kinds.registry import ALL_KINDS
from alerts.maintenance import as_record, check_number, listed, planned, same, state_of, within
from alerts.plan_fault import PlanFault
from alerts.routing.matchers import MatcherFault, planned_matcher
from alerts.settings.routes import check_known
from gateway.answers import answer, refused, unavailable
from gateway.authenticator import Sender
from gateway.body import reading
from gateway.context import GATEWAY, Gateway, share_of
from gateway.http_connections import EVENTS
from gateway.plans import PlansUnavailable
from gateway.publisher import Overloaded
from streams.models.timestamps import BadTimestamp, parse_rfc3339_ms

MAINTENANCE_PATH = "/v1/maintenance"
MOST_BODY_BYTES = 65_536
KNOWN_WITHIN_S = 5.0
"""How long an answer waits until a worker knows of the window."""
_POLL_S = 0.1
_UNSOUND = "what it asks for is not right; the answer says what"


class _WindowBody(Struct, forbid_unknown_fields=True):
    """The body of a request for a window."""

    match: Annotated[list[str], Meta(max_length=100)] | str
    begin: str = field(name="from")
    to: str
    id: str = ""
    note: str = ""
    by: str = ""


_decode = msgspec.json.Decoder(_WindowBody).decode


async def plan_window(request: web.Request) -> web.Response:
    """Plan a window, or change the one of its id.

    Returns:
        201 once a worker knows it, 200 where it was planned so already, 202 where none knows it yet.
    """
    gateway, sender = _let_in(request)
    with reading(gateway.events, share_of(request, sender), gateway.settings) as held:
        window = _window(await held.body(request), gateway, sender)
        try:
            known = await gateway.plans.windows()
        except PlansUnavailable:
            known = {}  # it is taken all the same: the log is what counts
        if same(known.get(window.id), window):
            return answer(200, _said(window, gateway, in_force=True) | _warned(window, gateway))
        try:
            check_number(known.values(), window)
        except PlanFault as fault:
            raise _refused(fault) from None
        return await _put(gateway, window, 201, _warned(window, gateway))


async def list_windows(request: web.Request) -> web.Response:
    """List the windows that are on or planned; with ``?all=true`` also those that are over or removed."""
    gateway, sender = _let_in(request)
    gone = request.query.get("all", "").lower() in ("1", "true", "yes")
    found = await _visible(gateway, sender)
    if isinstance(found, web.Response):
        return found
    now_ms = gateway.clock_ms()
    return answer(200, {"maintenance": [as_record(one, now_ms) for one in listed(found.values(), now_ms, gone=gone)]})


async def show_window(request: web.Request) -> web.Response:
    """Show one window."""
    gateway, sender = _let_in(request)
    found = await _visible(gateway, sender)
    if isinstance(found, web.Response):
        return found
    return answer(200, as_record(_named(request, found), gateway.clock_ms()))


async def remove_window(request: web.Request) -> web.Response:
    """Remove a window: 200 once a worker knows, or where there was nothing to remove any more; 202 where none knows yet."""
    gateway, sender = _let_in(request)
    found = await _visible(gateway, sender)
    if isinstance(found, web.Response):
        return found
    window, now_ms = _named(request, found), gateway.clock_ms()
    _check_id(window.id, sender)
    if state_of(window, now_ms) in ("removed", "over"):
        return answer(200, _said(window, gateway, in_force=True))
    return await _put(gateway, structs.replace(window, removed=True, by=_by("", sender), at_ms=now_ms), 200)


def _let_in(request: web.Request) -> tuple[Gateway, Sender]:
    """Return the gateway and the sender, if it may plan."""
    gateway = request.app[GATEWAY]
    sender = gateway.sender(request, EVENTS)
    gateway.check_rate(share_of(request, sender))
    source = gateway.settings.sources.get(sender.name)
    if source is not None and not source.may_plan:
        reason, hint = f"{sender.name} may not plan maintenance", f"set gateway.sources.{sender.name}.maintenance: true"
        raise refused(web.HTTPForbidden, "not_permitted", reason, hint)
    return gateway, sender


def _window(body: bytes, gateway: Gateway, sender: Sender) -> Maintenance:
    """Return the window that a body asks for."""
    if len(body) > MOST_BODY_BYTES:
        reason = f"the body is larger than {MOST_BODY_BYTES} bytes"
        raise refused(web.HTTPRequestEntityTooLarge, "too_large", reason, "send one window")
    hint = 'send {"match": ["vendor=bpo-a"], "from": "2026-12-03T14:00:00Z", "to": "2026-12-03T16:00:00Z"}'
    hint += "; id, note and by may be added"
    try:
        asked = _decode(body)
    except msgspec.ValidationError as error:
        raise refused(web.HTTPUnprocessableEntity, "bad_window", str(error), hint, logged=_UNSOUND) from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise refused(web.HTTPBadRequest, "bad_body", "the body is no JSON", hint) from None
    match = [asked.match] if isinstance(asked.match, str) else asked.match
    try:
        begin_ms, end_ms = _time("from", asked.begin), _time("to", asked.to)
        window = planned(
            match,
            begin_ms,
            end_ms,
            by=_by(asked.by, sender),
            now_ms=gateway.clock_ms(),
            note=asked.note.strip(),
            name=asked.id,
            known={"kind": ALL_KINDS},  # which rules there are, workers know
        )
    except PlanFault as fault:
        raise _refused(fault) from None
    return _own(window, asked.id, sender)


def _own(window: Maintenance, name: str, sender: Sender) -> Maintenance:
    """Return the window of a sender; one that is bound to a part of the floor plans for that alone, under ids of its own."""
    grant = sender.grant
    if not grant.bound:
        return window
    dimension = within(window.match, grant.bound)
    if dimension is not None:
        values = grant.bound[dimension]
        wanted = f"{dimension}={values[0]}" if len(values) == 1 else f"{dimension}=~{'|'.join(values)}"
        reason = f"{sender.name} may plan only for its own {dimension}"
        raise refused(web.HTTPForbidden, "not_permitted", reason, f"add {wanted} to match")
    own = window if name else structs.replace(window, id=f"{_begin_of(sender)}{window.id}")
    _check_id(own.id, sender)
    return own


def _begin_of(sender: Sender) -> str:
    """Return the beginning of the ids of a bound sender, which is that of no other."""
    return f"{quote(sender.name, safe='')}/"


def _check_id(name: str, sender: Sender) -> None:
    """Refuse an id that is not a bound sender's own: it might be that of a window which somebody else has planned."""
    if sender.grant.bound and not name.startswith(_begin_of(sender)):
        reason = f"the ids of {sender.name} begin with {_begin_of(sender)}"
        raise refused(web.HTTPForbidden, "not_permitted", reason, "to plan, write the id so or leave it out")


def _by(said: str, sender: Sender) -> str:
    """Return who plans: the name that was said, and whose token it was."""
    if not sender.name:
        return said.strip() or "anyone"
    return f"{said.strip()} (token of {sender.name})" if said.strip() else f"token of {sender.name}"


def _time(name: str, text: str) -> int:
    try:
        return parse_rfc3339_ms(text)
    except BadTimestamp as error:
        raise PlanFault(name, "is no time with a zone", str(error)) from None


def _refused(fault: PlanFault) -> web.HTTPException:
    reason = f"{fault.field}: {fault.reason}"
    return refused(web.HTTPUnprocessableEntity, "bad_window", reason, fault.hint, logged=_UNSOUND)


async def _visible(gateway: Gateway, sender: Sender) -> dict[str, Maintenance] | web.Response:
    """Return the windows that a sender may see: a bound one those of its part of the floor. Else why they cannot be read."""
    try:
        found = await gateway.plans.windows()
    except PlansUnavailable as error:
        return unavailable(str(error), 2)
    bound = sender.grant.bound
    return {key: one for key, one in found.items() if not bound or within(one.match, bound) is None}


def _named(request: web.Request, found: dict[str, Maintenance]) -> Maintenance:
    window = found.get(request.match_info["id"])
    if window is None:
        hint = "GET /v1/maintenance?all=true lists them; one that was answered with 202 a moment ago is not listed yet"
        raise refused(web.HTTPNotFound, "unknown_window", "there is no such maintenance window", hint)
    return window


async def _put(
    gateway: Gateway, window: Maintenance, status: int, more: Mapping[str, Any] | None = None
) -> web.Response:
    """Write a window to the log and answer: with the status once a worker knows it, else with 202."""
    try:
        async with asyncio.timeout(gateway.settings.publish_timeout_s):
            await gateway.publisher.plan([(ALERTS_KEY, encode_input(window))])
    except Overloaded as error:
        return unavailable(str(error), error.retry_after_s)
    except TimeoutError:
        return unavailable("the broker did not confirm in time", 2)
    known = await _is_known(gateway, window)
    return answer(status if known else 202, _said(window, gateway, in_force=known) | dict(more or {}))


async def _is_known(gateway: Gateway, window: Maintenance) -> bool:
    """Wait until the workers know a window; return whether they do."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + KNOWN_WITHIN_S
    while True:
        try:
            if (await gateway.plans.windows()).get(window.id) == window:
                return True
        except PlansUnavailable:
            pass
        if loop.time() >= until_s:
            return False
        await asyncio.sleep(_POLL_S)


def _warned(window: Maintenance, gateway: Gateway) -> dict[str, list[str]]:
    """Return under ``warnings`` which rules a window names that the gateway does not know. The workers may know newer ones."""
    said = []
    for text in window.match if gateway.rules else ():
        try:
            check_known(planned_matcher(text), {"rule": gateway.rules})
        except MatcherFault as fault:
            said.append(f"{fault.reason} in the configuration of this gateway; {fault.hint}")
    return {"warnings": said} if said else {}


def _said(window: Maintenance, gateway: Gateway, *, in_force: bool) -> dict[str, Any]:
    said = as_record(window, gateway.clock_ms())
    if not in_force:
        said["pending"] = "it is on the log; no worker knows it yet. GET shows it as soon as one does"
    return said
