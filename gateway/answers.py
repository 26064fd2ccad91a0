"""How the gateway answers: JSON, and every refusal with a code, a reason and a hint."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from gateway.sources.registry import TOOLS

REFUSAL: web.ResponseKey[str] = web.ResponseKey("refusal", str)
"""Under which an answer carries its refusal's code, for the metrics."""

LOGGED: web.ResponseKey[str] = web.ResponseKey("logged", str)
"""Under which it carries what the log says of it: words that quote nothing of the request."""

_HOOKS = " or ".join(one.path for one in TOOLS.values())

_PLAIN = {
    400: ("bad_request", "the request is not valid HTTP", "send HTTP/1.1; is this TLS or another protocol?"),
    404: (
        "not_found",
        "there is no such address",
        f"POST /v1/events, /v1/maintenance or {_HOOKS}",
    ),
    405: ("method_not_allowed", "this address does not take that method", "events and webhooks are sent by POST"),
    408: ("slow_head", "the request's head did not come in time", "send the whole head at once"),
    417: ("expectation_failed", "the Expect header is not understood", "send Expect: 100-continue, or none"),
    431: ("head_too_large", "the request line or a header is too long", "send fewer and shorter headers"),
    500: ("internal_error", "the gateway failed", "send it again; report it"),
}


def answer(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON answer."""
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers or {}
    )


def refused(
    kind: type[web.HTTPException],
    code: str,
    reason: str,
    hint: str,
    headers: dict[str, str] | None = None,
    *,
    logged: str | None = None,
) -> web.HTTPException:
    """Return an exception that answers with a code, a reason and a hint.

    Args:
        kind: Its status.
        code: For machines.
        reason: What is wrong.
        hint: How to mend it.
        headers: More of the answer's headers.
        logged: What the log says in place of a reason that quotes the request.
    """
    text = msgspec.json.encode({"error": {"code": code, "reason": reason, "hint": hint}}).decode()
    arguments: dict[str, Any] = {"text": text, "content_type": "application/json", "headers": headers}
    if issubclass(kind, web.HTTPRequestEntityTooLarge):
        found: web.HTTPException = kind(max_size=0, actual_size=0, **arguments)
    else:
        found = kind(**arguments)
    found[REFUSAL], found[LOGGED] = code, reason if logged is None else logged
    return found


def unavailable(reason: str, retry_after_s: int) -> web.Response:
    """Return 503: nothing was lost that the sender does not still have."""
    hint = "send the same request again; what was taken already is recognised as a duplicate"
    body = {"error": {"code": "unavailable", "reason": reason, "hint": hint}}
    found = answer(503, body, {"Retry-After": str(retry_after_s)})
    found[REFUSAL], found[LOGGED] = "unavailable", reason
    return found


def of_status(status: int, headers: dict[str, str] | None = None) -> web.Response:
    """Return the refusal of a request that no route has seen; it quotes nothing of the request."""
    code, reason, hint = _PLAIN.get(status, _PLAIN[500] if status >= 500 else _PLAIN[400])
    found = answer(status, {"error": {"code": code, "reason": reason, "hint": hint}}, headers)
    found[REFUSAL], found[LOGGED] = code, reason
    return found


def with_reason(response: web.StreamResponse) -> web.StreamResponse:
    """Return an answer, or in place of one that the HTTP library made, our own with code, reason and hint."""
    if isinstance(response, web.HTTPException) and response.content_type != "application/json":
        kept = {"Allow": response.headers["Allow"]} if "Allow" in response.headers else None
        return of_status(response.status, kept)
    return response
