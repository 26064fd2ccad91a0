"""What every route of the gateway works with, and how it answers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from gateway.lane import HookLane
from gateway.limits import Bodies, Buckets, ClockMs, Doorkeeper, Sender
from gateway.metrics import GatewayMetrics
from gateway.publisher import Publisher
from gateway.settings import GatewaySettings

BODY_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Limits:
    """What of an event is refused; the same as intake's.

    Attributes:
        max_event_bytes: Larger events are refused.
        future_ms: An event dated further than this after its arrival is refused.
    """

    max_event_bytes: int = 1_048_576
    future_ms: int = 300_000


@dataclass(frozen=True)
class Gateway:
    """Everything a route needs."""

    settings: GatewaySettings
    limits: Limits
    publisher: Publisher
    lane: HookLane
    doorkeeper: Doorkeeper
    buckets: Buckets
    metrics: GatewayMetrics
    clock_ms: ClockMs
    bodies: Bodies

    def sender(self, request: web.Request) -> Sender:
        """Return who sends.

        Raises:
            HTTPUnauthorized: There is no token, or none of ours.
        """
        found = self.doorkeeper.sender(request.headers.get("Authorization"))
        if found is None:
            hint = "send 'Authorization: Bearer TOKEN' with a token of gateway.sources"
            raise refused(
                web.HTTPUnauthorized, "unauthorized", "no valid bearer token", hint, {"WWW-Authenticate": "Bearer"}
            )
        return found

    async def body(self, request: web.Request) -> bytes:
        """Return the body, unpacked.

        Raises:
            HTTPRequestEntityTooLarge: It is larger than ``max_body_bytes``.
            HTTPRequestTimeout: It did not come within ``BODY_TIMEOUT_S``.
            HTTPBadRequest: It cannot be unpacked.
            HTTPServiceUnavailable: Too many bodies are being read already.
        """
        most = self.settings.max_body_bytes
        announced = None if request.headers.get("Content-Encoding") else request.content_length
        size = most if announced is None else min(announced, most)
        if not self.bodies.reserve(size):
            reason = f"bodies of {self.bodies.held_bytes} bytes are being read already"
            hint = "send the same request again in a second"
            raise refused(web.HTTPServiceUnavailable, "unavailable", reason, hint, {"Retry-After": "1"})
        try:
            return await self._read(request)
        finally:
            self.bodies.release(size)

    async def _read(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(BODY_TIMEOUT_S):
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            most = self.settings.max_body_bytes
            reason = f"the body is larger than {most} bytes"
            raise refused(web.HTTPRequestEntityTooLarge, "too_large", reason, "send fewer events at once") from None
        except TimeoutError:
            reason = f"the body did not come within {BODY_TIMEOUT_S:g} s"
            raise refused(web.HTTPRequestTimeout, "slow_body", reason, "send fewer events at once") from None
        except web.RequestPayloadError:
            reason = "the body could not be read or unpacked"
            raise refused(web.HTTPBadRequest, "bad_body", reason, "check Content-Length and Content-Encoding") from None


GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway", Gateway)


def answer(status: int, body: Any, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON answer."""
    return web.Response(
        status=status, body=msgspec.json.encode(body), content_type="application/json", headers=headers or {}
    )


def refused(
    kind: type[web.HTTPException], code: str, reason: str, hint: str, headers: dict[str, str] | None = None
) -> web.HTTPException:
    """Return an exception that answers with a code, a reason and a hint."""
    text = msgspec.json.encode({"error": {"code": code, "reason": reason, "hint": hint}}).decode()
    arguments: dict[str, Any] = {"text": text, "content_type": "application/json", "headers": headers}
    if issubclass(kind, web.HTTPRequestEntityTooLarge):
        return kind(max_size=0, actual_size=0, **arguments)
    return kind(**arguments)


def unavailable(reason: str, retry_after_s: int) -> web.Response:
    """Return 503: nothing was lost that the sender does not still have."""
    hint = "send the same request again; what was taken already is recognised as a duplicate"
    body = {"error": {"code": "unavailable", "reason": reason, "hint": hint}}
    return answer(503, body, {"Retry-After": str(retry_after_s)})
