"""The endpoint: formats, readiness with its reasons, and scrapes that do not hold up the event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.core import Metric as Family
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Sample

from telemetry.engine_metrics import EngineMetrics
from telemetry.exporter import FloorCollector, Row
from telemetry.http import Probe, Ready, Status, always_ok, build_app
from telemetry.registry import build_registry
from tests.telemetry.sample_rows import floor_rows

Steps = Callable[[TestClient], Awaitable[None]]  # type: ignore[type-arg]


def full_registry() -> CollectorRegistry:
    metrics = EngineMetrics(component="worker", version="0.1.0", stages=("ledger",))
    metrics.folded("ledger", 0, 5)
    return build_registry(FloorCollector(floor_rows), metrics)


def run(
    steps: Steps,
    registry: CollectorRegistry,
    ready: Probe = always_ok,
    health: Probe = always_ok,
    status: Status | None = None,
) -> None:
    async def main() -> None:
        async with TestClient(TestServer(build_app(registry, ready, health, status))) as client:
            await steps(client)

    asyncio.run(main())


def test_metrics_speaks_text_and_openmetrics() -> None:
    async def steps(client: TestClient) -> None:  # type: ignore[type-arg]
        plain = await client.get("/metrics")
        assert plain.headers["Content-Type"].startswith("text/plain; version=")
        assert 'floorwatch_events_folded_total{partition="0",stage="ledger"} 5.0' in await plain.text()
        accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
        openmetrics = await client.get("/metrics", headers=accept)
        assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text")
        assert (await openmetrics.text()).endswith("# EOF\n")

    run(steps, full_registry())


def test_statusz_speaks_json_and_text_and_lets_no_name_steer_a_terminal() -> None:
    async def status() -> dict[str, object]:
        channels = [{"name": "ops", "usable": True}, {"name": "\x1b[31m\nready: true", "usable": False}]
        return {"version": "1", "channels": channels, "routes": {"default": ["ops"]}, "empty": []}

    async def steps(client: TestClient) -> None:  # type: ignore[type-arg]
        accept = {"Accept": "application/json"}
        body = await (await client.get("/statusz", headers=accept)).json()
        assert (body["ready"], body["reasons"], body["channels"][0]["name"]) == (False, ["no broker"], "ops")
        assert await (await client.get("/statusz?format=json")).json() == body
        text = await (await client.get("/statusz")).text()
        assert "\x1b" not in text
        assert text.splitlines()[:2] == ["ready: false", "reasons: no broker"]
        assert text.count("\nready: ") == 0
        assert "  - name: ops\n    usable: true\n" in text

    run(steps, full_registry(), lambda: Ready(ok=False, reasons=("no broker",)), status=status)


def test_readyz_says_why_not_and_recovers() -> None:
    state = [Ready(ok=False, reasons=("ledger partition 2 is recovering: 1,200 of 5,000 rows",))]

    async def steps(client: TestClient) -> None:  # type: ignore[type-arg]
        waiting = await client.get("/readyz")
        assert waiting.status == 503
        assert await waiting.json() == {"status": "unavailable", "reasons": list(state[0].reasons)}
        assert (await client.get("/healthz")).status == 200
        state[0] = Ready(ok=True)
        answer = await client.get("/readyz")
        assert (answer.status, await answer.json()) == (200, {"status": "ok", "reasons": []})

    run(steps, full_registry(), ready=lambda: state[0])


def test_healthz_can_ask_for_a_restart() -> None:
    async def steps(client: TestClient) -> None:  # type: ignore[type-arg]
        answer = await client.get("/healthz")
        assert (answer.status, (await answer.json())["reasons"]) == (503, ["the flush loop ended"])

    run(steps, full_registry(), health=lambda: Ready(ok=False, reasons=("the flush loop ended",)))


class SlowSamples(list[Sample]):
    """Samples whose encoding waits until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.started, self.release = threading.Event(), threading.Event()

    def __iter__(self) -> Iterator[Sample]:
        self.started.set()
        # Bounded only so that a broken build fails instead of hanging.
        self.release.wait(30)
        return super().__iter__()


class SlowCollector(Collector):
    """Yields one family that is slow to encode, and remembers in which thread it was collected."""

    def __init__(self) -> None:
        self.samples = SlowSamples()
        self.threads: set[int] = set()

    def describe(self) -> Iterable[Family]:
        return ()

    def collect(self) -> Iterable[Family]:
        self.threads.add(threading.get_ident())
        family = Family("floorwatch_slow", "Slow.", "gauge")
        family.samples = self.samples
        return [family]


def test_rows_are_read_on_the_event_loop_and_a_slow_encoding_does_not_hold_it_up() -> None:
    slow = SlowCollector()

    async def steps(client: TestClient) -> None:  # type: ignore[type-arg]
        scrape = asyncio.create_task(client.get("/metrics"))
        await asyncio.to_thread(slow.samples.started.wait, 30)
        answer = await client.get("/healthz")
        assert answer.status == 200
        assert not scrape.done()
        slow.samples.release.set()
        assert (await scrape).status == 200
        assert slow.threads == {threading.get_ident()}

    run(steps, build_registry(slow))


class RowsInAThread:
    """Rows that remember in which thread they were asked for and in which they were read."""

    def __init__(self) -> None:
        self.asked, self.read = set[int](), set[int]()

    def __call__(self) -> RowsInAThread:
        self.asked.add(threading.get_ident())
        return self

    def __iter__(self) -> Iterator[Row]:
        self.read.add(threading.get_ident())
        yield from floor_rows()


def test_rows_are_asked_for_on_the_event_loop_and_read_in_a_thread() -> None:
    rows = RowsInAThread()

    async def steps(client: TestClient) -> None:  # type: ignore[type-arg]
        text = await (await client.get("/metrics")).text()
        assert "floorwatch_labels{" in text
        assert rows.asked == {threading.get_ident()}
        assert threading.get_ident() not in rows.read

    run(steps, build_registry(FloorCollector(rows)))


def test_what_a_malformed_request_held_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def steps(client: TestClient) -> None:  # type: ignore[type-arg]
        for fault in (b"\x00", b"\x01"):
            reader, writer = await asyncio.open_connection(client.host, client.port)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer SECRET" + fault + b"\r\n\r\n")
            assert b" 400 " in await reader.readline()
            writer.close()

    with caplog.at_level(logging.DEBUG):
        run(steps, full_registry())
    assert "a request could not be handled" in caplog.text
    assert "SECRET" not in caplog.text
