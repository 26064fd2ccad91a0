"""The gateway's metrics: declared as data, counted with prometheus-client."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import Counter, Gauge, Histogram

from gateway.sources.registry import TOOLS
from telemetry.engine_metrics import EngineMetrics
from telemetry.metric import Metric
from telemetry.registry import Registry

REQUESTS = Metric("floorwatch_gateway_requests_total", "counter", "Requests answered.", "requests", ("route", "status"))
EVENTS = Metric(
    "floorwatch_gateway_events_total",
    "counter",
    "Events by where they came from and what became of them: accepted, rejected, ignored or dead.",
    "events",
    ("source_kind", "outcome"),
)
SPOOL = Metric(
    "floorwatch_gateway_spool_events", "gauge", "Webhooks that wait for the broker or for Redis.", "webhooks", ()
)
SPOOL_BYTES = Metric("floorwatch_gateway_spool_bytes", "gauge", "Size of the webhooks that wait.", "bytes", ())
IN_FLIGHT = Metric(
    "floorwatch_gateway_in_flight_bytes",
    "gauge",
    "Bytes of events that wait for the broker or the journal; their senders wait too.",
    "bytes",
    (),
)
BODIES = Metric(
    "floorwatch_gateway_body_bytes",
    "gauge",
    "Bytes of request bodies that have arrived and are not answered.",
    "bytes",
    (),
)
UNDER_WAY = Metric(
    "floorwatch_gateway_requests_under_way", "gauge", "Requests with events or webhooks under way.", "requests", ()
)
REFUSED = Metric(
    "floorwatch_gateway_refused_total",
    "counter",
    "Requests refused, by the code in the answer and by the source whose token they showed: anyone where there are no "
    "tokens, unknown before a token was looked at. events_rejected: some or all events of a request.",
    "requests",
    ("reason", "sender"),
)
CONNECTIONS = Metric("floorwatch_gateway_connections", "gauge", "Open connections.", "connections", ())
ENDED = Metric(
    "floorwatch_gateway_connections_ended_total",
    "counter",
    "Connections refused or ended by the gateway: too_many, slow_head, slow_reader, malformed, no_descriptors, "
    "not_accepted, failed.",
    "connections",
    ("reason",),
)
UNMAPPED = Metric(
    "floorwatch_gateway_unmapped_total",
    "counter",
    "Webhooks with a person or a project that no mapping places, where others of its source are placed: tool, and person or "
    "project. The log names each once.",
    "webhooks",
    ("source_kind", "of"),
)
DAMAGED = Metric(
    "floorwatch_gateway_spool_damaged_bytes",
    "gauge",
    "Bytes of the spool that could not be read and were set aside in files ending in .damaged.",
    "bytes",
    (),
)
SECONDS = Metric(
    "floorwatch_gateway_request_seconds",
    "histogram",
    "Time from a request's head to its answer.",
    "seconds",
    ("route",),
)
GATEWAY_METRICS: tuple[Metric, ...] = (
    REQUESTS,
    EVENTS,
    REFUSED,
    UNMAPPED,
    SPOOL,
    SPOOL_BYTES,
    DAMAGED,
    IN_FLIGHT,
    BODIES,
    UNDER_WAY,
    CONNECTIONS,
    ENDED,
    SECONDS,
)

SECONDS_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.8, 1.0, 2.5, 10.0)
"""Label Studio gives up at 1 s; 0.8 s is where the gateway answers before it has published."""

KINDS = ("events", *TOOLS)
OUTCOMES = ("accepted", "rejected", "ignored", "dead")


class GatewayMetrics:
    """Counts what one gateway does."""

    def __init__(self, version: str) -> None:
        """Begin with every series of events at zero, so that a first rejection is seen as an increase."""
        self.registry = Registry()
        self.engine = EngineMetrics(component="gateway", version=version, stages=("gateway",))
        self.registry.register(self.engine)
        self._requests = Counter(REQUESTS.name, REQUESTS.help, REQUESTS.labels, registry=self.registry)
        self._events = Counter(EVENTS.name, EVENTS.help, EVENTS.labels, registry=self.registry)
        self._refused = Counter(REFUSED.name, REFUSED.help, REFUSED.labels, registry=self.registry)
        self._unmapped = Counter(UNMAPPED.name, UNMAPPED.help, UNMAPPED.labels, registry=self.registry)
        self._ended = Counter(ENDED.name, ENDED.help, ENDED.labels, registry=self.registry)
        self._spool = Gauge(SPOOL.name, SPOOL.help, registry=self.registry)
        self._seconds = Histogram(
            SECONDS.name, SECONDS.help, SECONDS.labels, buckets=SECONDS_BUCKETS, registry=self.registry
        )
        for kind in KINDS:
            for outcome in OUTCOMES:
                self._events.labels(kind, outcome)

    def answered(self, route: str, status: int, seconds: float) -> None:
        """Count a request and how long it took."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def refused(self, reason: str, sender: str) -> None:
        """Count a request refused: a code of ours, and a name of the settings."""
        self._refused.labels(reason, sender).inc()

    def unmapped(self, kind: str, of: str) -> None:
        """Count a webhook with a person or a project that no mapping places."""
        self._unmapped.labels(kind, of).inc()

    def ended(self, reason: str) -> None:
        """Count a connection refused or ended."""
        self._ended.labels(reason).inc()

    def events(self, kind: str, outcome: str, count: int = 1) -> None:
        """Count events."""
        if count:
            self._events.labels(kind, outcome).inc(count)

    def dead_letter(self, code: str) -> None:
        """Count a dead letter written by the gateway."""
        self.engine.dead_letter("gateway", code)

    def watch_spool(self, waiting: Callable[[], int], waiting_bytes: Callable[[], int]) -> None:
        """Ask for the number and size of waiting webhooks whenever metrics are scraped."""
        self._spool.set_function(waiting)
        self._gauge(SPOOL_BYTES).set_function(waiting_bytes)

    def watch_memory(self, in_flight_bytes: Callable[[], int], body_bytes: Callable[[], int]) -> None:
        """Ask for the bytes of events and of bodies under way whenever metrics are scraped."""
        self._gauge(IN_FLIGHT).set_function(in_flight_bytes)
        self._gauge(BODIES).set_function(body_bytes)

    def watch_requests(self, under_way: Callable[[], int]) -> None:
        """Ask for the number of requests under way whenever metrics are scraped."""
        self._gauge(UNDER_WAY).set_function(under_way)

    def watch_connections(self, open_now: Callable[[], int]) -> None:
        """Ask for the number of connections whenever metrics are scraped."""
        self._gauge(CONNECTIONS).set_function(open_now)

    def watch_damage(self, damaged_bytes: Callable[[], int]) -> None:
        """Ask for the bytes of the spool that were set aside whenever metrics are scraped."""
        self._gauge(DAMAGED).set_function(damaged_bytes)

    def _gauge(self, metric: Metric) -> Gauge:
        return Gauge(metric.name, metric.help, registry=self.registry)
