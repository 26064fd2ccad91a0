"""What every route of the gateway works with."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from gateway.answers import refused
from gateway.authenticator import Authenticator, ClockMs, Sender
from gateway.body import Pool
from gateway.browser import BrowserRules
from gateway.fair_share import FairShare
from gateway.http_connections import Connection
from gateway.metrics import GatewayMetrics
from gateway.plans import PlanStore
from gateway.publisher import PlanPublisher
from gateway.refusal_log import RefusalLog
from gateway.refused_counts import RefusedCounts
from gateway.settings import GatewaySettings
from gateway.webhook_queue import WebhookQueue
from streams.adapters.token_buckets import TokenBuckets
from streams.models.sampling_plan import NO_PLAN, SamplingPlan
from streams.models.time_rules import DEFAULT_LIMITS, EventLimits

SENDER: web.RequestKey[str] = web.RequestKey("sender", str)
"""Under which a request carries its sender's name, for the metrics."""


@dataclass(frozen=True)
class Limits:
    """What of an event is refused; the same as intake's.

    Attributes:
        max_event_bytes: Larger events are refused.
        future_ms: An event dated further than this after its arrival is refused.
        events: How far an event's times may be from its own.
        sampling: What is said of audits that name no probability.
    """

    max_event_bytes: int = 1_048_576
    future_ms: int = 300_000
    events: EventLimits = DEFAULT_LIMITS
    sampling: SamplingPlan = NO_PLAN


@dataclass(frozen=True)
class Gateway:
    """Everything a route needs.

    Attributes:
        events: What requests to ``/v1/events`` may hold together.
        hooks: The same for webhooks. They are never sent again, so they never wait behind events.
        publishing: Bytes of events that wait for the broker.
        plans: What people have planned.
        strangers: Requests without a valid token, by address: probes, scrapes, and floods.
        refusals: What was refused, for the log.
        refused_counts: The same for all gateways together; None: it is not counted.
        rules: Names of the rules in its configuration, which may be older than that of the workers; empty: they are not known.
    """

    settings: GatewaySettings
    limits: Limits
    publisher: PlanPublisher
    webhook_queue: WebhookQueue
    authenticator: Authenticator
    buckets: TokenBuckets
    metrics: GatewayMetrics
    refusals: RefusalLog
    clock_ms: ClockMs
    browser: BrowserRules
    events: Pool
    hooks: Pool
    publishing: FairShare
    strangers: TokenBuckets
    plans: PlanStore
    rules: tuple[str, ...] = ()
    refused_counts: RefusedCounts | None = None

    def sender(self, request: web.Request, kind: str) -> Sender:
        """Return the sender. From now on the connection counts for that sender.

        Args:
            request: Its head is enough.
            kind: ``EVENTS`` or ``HOOKS``.

        Raises:
            HTTPUnauthorized: There is no token, or none of ours, or one that has expired.
            HTTPServiceUnavailable: The sender has more than its share of connections, and all of them are busy.
        """
        found = self.authenticator.sender(request.headers.get("Authorization"))
        if found is None:
            self.check_stranger(request)
            hint = "send 'Authorization: Bearer TOKEN' with a token of gateway.sources"
            raise refused(
                web.HTTPUnauthorized, "unauthorized", "no valid bearer token", hint, {"WWW-Authenticate": "Bearer"}
            )
        request[SENDER] = found.name or "anyone"
        if found.expired:
            reason, hint = f"the token of {found.name} expired at {found.expired}", "use the token that came after it"
            raise refused(web.HTTPUnauthorized, "token_expired", reason, hint, {"WWW-Authenticate": "Bearer"})
        self.own_connection(request, kind, found)
        return found

    def own_connection(self, request: web.Request, kind: str, found: Sender) -> None:
        """Count the request's connection as the sender's.

        Raises:
            HTTPServiceUnavailable: The sender has more than its share of connections, and all of them are busy.
        """
        protocol = request.protocol
        if isinstance(protocol, Connection) and not protocol.belongs(kind, share_of(request, found)):
            reason = "this sender has too many connections"
            hint = "use few connections again and again; send this request again in a second"
            raise refused(web.HTTPServiceUnavailable, "sender_share", reason, hint, {"Retry-After": "1"})

    def check_rate(self, share: str) -> None:
        """Take one request of a sender.

        Args:
            share: As ``share_of`` says.

        Raises:
            HTTPTooManyRequests: There were too many.
        """
        wait_s = self.buckets.wait_s(share)
        if wait_s:
            hint = "send several events in one request, or raise gateway.requests_per_s"
            headers = {"Retry-After": str(wait_s)}
            raise refused(web.HTTPTooManyRequests, "too_many_requests", "too many requests", hint, headers)

    def check_stranger(self, request: web.Request) -> None:
        """Take one request from an address that sends no token.

        Raises:
            HTTPTooManyRequests: There were too many; the connection ends, with whatever is pipelined on it.
        """
        if self.strangers.wait_s(f"ip:{request.remote}"):
            hint = "metrics and probes need a few requests a second; send events with a token"
            refusal = refused(
                web.HTTPTooManyRequests,
                "too_many_requests",
                "too many requests without a token",
                hint,
                {"Retry-After": "1"},
            )
            refusal.force_close()
            raise refusal


def share_of(request: web.Request, sender: Sender) -> str:
    """Return whose share a request counts against: that of its token or, without tokens, of its address."""
    return sender.name or f"ip:{request.remote}"


GATEWAY: web.AppKey[Gateway] = web.AppKey("gateway", Gateway)
