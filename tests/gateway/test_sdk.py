"""The SDK: checks before it sends, keeps order, tries again, and says what did not arrive."""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

import floorwatch.sdk as sdk
from floorwatch.sdk import BadEvents, BreakData, BreakStarted, Client, HttpClient, LabelSubmittedData, NotEmitted, event
from gateway.context import Limits
from streams.adapters.admin import create_topics
from streams.models.topics import partition_of, topic_specs
from tests.embedded.tansu import read_topic, running_broker
from tests.gateway.harness import Bench, label

ROOT = Path(__file__).parents[2]


def made(number: int, task: str = "t-1") -> sdk.Event:
    return event(
        LabelSubmittedData(label_id=f"l-{number}", labeler_id="ana"), task_id=task, source="tool", id=f"{number}"
    )


def test_an_event_is_named_by_its_data() -> None:
    when = datetime(2026, 11, 23, 10, tzinfo=UTC)
    first = event(LabelSubmittedData(label_id="l", labeler_id="a"), task_id="t", source="s", time=when)
    assert (type(first), first.subject, first.time) == (sdk.LabelSubmitted, "t", when)
    second = event(BreakData(labeler_id="a"), task_id="a", source="s", kind=BreakStarted)
    assert type(second) is BreakStarted
    assert second.id != first.id
    with pytest.raises(TypeError, match="kind=BreakStarted"):
        event(BreakData(labeler_id="a"), task_id="a", source="s")
    with pytest.raises(TypeError, match=r"sdk\.\*Data"):
        event("text", task_id="a", source="s")  # type: ignore[arg-type]
    for name in sdk.__all__:
        assert hasattr(sdk, name)


def with_gateway(steps: Callable[[HttpClient, Bench], Awaitable[None]], **bench: Any) -> Bench:
    async def run(bench: Bench) -> None:
        bench.now_ms = int(datetime.now(UTC).timestamp() * 1000)
        url = bench.url + "/"
        async with HttpClient(url) as client:
            await steps(client, bench)

    return Bench(**bench).run(run)


def test_events_go_to_the_gateway_in_order_and_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("floorwatch.sdk.http.CHUNK_EVENTS", 3)

    async def steps(client: HttpClient, bench: Bench) -> None:
        assert await client.emit(made(n) for n in range(8)) == 8
        assert (await bench.metrics())['floorwatch_gateway_requests_total{route="/v1/events",status="202"}'] == 3
        assert await client.emit([]) == 0
        assert await client.emit([label("x"), json.dumps(label("y")).encode()]) == 2

    bench = with_gateway(steps)
    assert [one["id"] for one in bench.events] == [*map(str, range(8)), "e-x", "e-y"]


def test_nothing_is_sent_when_something_is_wrong() -> None:
    async def steps(client: HttpClient, bench: Bench) -> None:
        bad = label(time="2026-11-23T10:00:00")
        with pytest.raises(BadEvents, match="event 1: .*RFC 3339 with a zone") as caught:
            await client.emit([label(), bad])
        assert [(place, one.field) for place, one in caught.value.refusals] == [(1, "$.time")]
        assert not caught.value.others_sent
        assert bench.publisher.records == []

    with_gateway(steps)


def test_what_the_gateway_refuses_is_told_with_the_place_in_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("floorwatch.sdk.http.CHUNK_EVENTS", 2)

    async def steps(client: HttpClient, bench: Bench) -> None:
        big = event(LabelSubmittedData(label_id="l", labeler_id="a", values=["x" * 256] * 8), task_id="t", source="s")
        with pytest.raises(BadEvents) as caught:
            await client.emit([made(0), made(1), made(2), big, made(4)])
        assert [(place, one.code) for place, one in caught.value.refusals] == [(3, "too_large")]
        assert [one["id"] for one in bench.events] == ["0", "1", "2", "4"]
        assert caught.value.others_sent

    with_gateway(steps, limits=Limits(max_event_bytes=1500))


def with_server(answers: list[tuple[int, dict[str, str]]], steps: Callable[[str], Awaitable[None]]) -> list[bytes]:
    """Run steps against a server that answers as told, then 202; return the bodies it got."""
    bodies: list[bytes] = []

    async def post(request: web.Request) -> web.Response:
        bodies.append(await request.read())
        status, headers = answers.pop(0) if answers else (202, {})
        told = {"accepted": len(json.loads(bodies[-1])), "rejected_count": 0, "rejected": []}
        return web.Response(status=status, headers=headers, text=json.dumps(told if status == 202 else {}))

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/events", post)
        async with TestServer(app) as server:
            await steps(str(server.make_url("")))

    asyncio.run(main())
    return bodies


def test_a_busy_gateway_is_asked_again_when_it_says() -> None:
    async def steps(url: str) -> None:
        async with HttpClient(url) as client:
            assert await client.emit([made(1), made(2)]) == 2

    bodies = with_server([(503, {"Retry-After": "0"}), (429, {"Retry-After": "0"})], steps)
    assert len(bodies) == 3
    assert len(set(bodies)) == 1, "the same ids, so that nothing counts twice"


def test_patience_ends_and_says_so() -> None:
    async def steps(url: str) -> None:
        async with HttpClient(url, attempts=2) as client:
            with pytest.raises(NotEmitted, match="503"):
                await client.emit([made(1)])
        async with HttpClient(url) as client:
            with pytest.raises(NotEmitted, match="answered 401"):
                await client.emit([made(1)])

    bodies = with_server([(503, {"Retry-After": "0"})] * 2 + [(401, {})], steps)
    assert len(bodies) == 3


def test_a_call_that_is_cancelled_holds_nothing_up_and_the_client_goes_on() -> None:
    asked = asyncio.Event()

    async def post(request: web.Request) -> web.Response:
        if len(await request.json()) == 1:
            asked.set()
            await asyncio.Event().wait()
        return web.json_response({"accepted": 2, "rejected_count": 0, "rejected": []}, status=202)

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/v1/events", post)
        async with TestServer(app) as server, HttpClient(str(server.make_url("")), timeout_s=3600) as client:
            call = asyncio.create_task(client.emit([made(1)]))
            await asyncio.wait_for(asked.wait(), 60)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await asyncio.gather(*(client.emit([made(1), made(2)]) for _ in range(5))) == [2] * 5

    asyncio.run(main())


def test_an_answer_of_somebody_else_is_no_promise() -> None:
    async def main() -> None:
        async def post(_: web.Request) -> web.Response:
            return web.Response(status=202, text="<html>queued</html>")

        app = web.Application()
        app.router.add_post("/v1/events", post)
        async with TestServer(app) as server, HttpClient(str(server.make_url("")), attempts=1) as client:
            with pytest.raises(NotEmitted, match="without a word of what became of the events"):
                await client.emit([made(1)])

    asyncio.run(main())


def test_a_gateway_that_is_not_there_is_told() -> None:
    async def steps() -> None:
        async with HttpClient("http://127.0.0.1:9", attempts=1) as client:
            with pytest.raises(NotEmitted, match="cannot be reached"):
                await client.emit([made(1)])
        with pytest.raises(NotEmitted, match="not started"):
            await HttpClient("http://127.0.0.1:9").emit([made(1)])

    asyncio.run(steps())


def test_what_keeps_a_sender_from_a_gateway_is_said_with_what_to_do(tmp_path: Path) -> None:
    """In words, without the names of library classes, and at once where trying again cannot help."""

    async def answered(status: int) -> str:
        async def post(_: web.Request) -> web.Response:
            return web.Response(status=status)

        app = web.Application()
        app.router.add_post("/v1/events", post)
        async with TestServer(app) as server:
            return await said(str(server.make_url("")))

    async def said(url: str, attempts: int | None = None, timeout_s: float = 30.0) -> str:
        async with HttpClient(url, attempts=attempts, timeout_s=timeout_s) as client:
            with pytest.raises(NotEmitted) as caught:
                await client.emit([made(1)])
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
        return str(caught.value)

    async def main() -> None:
        for status, words in (
            (401, "FLOORWATCH_TOKEN"),
            (403, "gateway.sources"),
            (404, "without a path"),
            (418, "418"),
        ):
            assert words in await answered(status)
        assert "http://host:port" in await said("127.0.0.1:8090")
        assert "nothing listens there (start one with `floorwatch up`" in await said("http://127.0.0.1:9", attempts=1)
        assert "the host nohost.invalid is not known" in await said("http://nohost.invalid", attempts=1)
        async with TestServer(web.Application()) as plain:
            assert "there is no TLS on this port" in await said(f"https://127.0.0.1:{plain.port}")

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            assert "no answer within 0.2 s" in await said(f"http://127.0.0.1:{port}", attempts=1, timeout_s=0.2)

        async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"-ERR unknown command\r\n")
            await writer.drain()
            writer.close()

        async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            assert "not by HTTP" in await said(f"http://127.0.0.1:{port}", attempts=1)

    asyncio.run(main())


def test_a_certificate_nobody_trusts_is_told() -> None:
    import aiohttp

    from gateway.http_faults import trouble_of

    class Key:
        host, port, ssl, is_ssl = "gateway", 443, True, True

    fault = ssl.SSLCertVerificationError("x")
    fault.verify_message = "self-signed certificate"
    found = trouble_of(aiohttp.ClientConnectorCertificateError(Key(), fault), 1.0)  # type: ignore[arg-type]
    assert found.lasting
    assert "its certificate is not trusted: self-signed certificate" in str(found)
    assert "SSL_CERT_FILE" in str(found)


@pytest.mark.slow
def test_who_waits_for_a_gateway_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with HttpClient("http://127.0.0.1:9", attempts=3) as client:
            with pytest.raises(NotEmitted):
                await client.emit([made(1)])

    asyncio.run(main())
    told = [record.getMessage() for record in caplog.records if record.name == "floorwatch.sdk"]
    assert len(told) == 1
    assert "nothing listens there" in told[0]
    assert told[0].endswith("trying again")


@pytest.mark.servers
@pytest.mark.parametrize(
    "given", ["", "url='nonsense'", "url='https://127.0.0.1:9', token='t'", "brokers='127.0.0.1:9'"]
)
def test_a_program_that_does_not_catch_it_ends_with_a_short_message(given: str, tmp_path: Path) -> None:
    """Of sending itself only the call is in the trace, and nothing of what lies below."""
    program = tmp_path / "send.py"
    program.write_text(
        "import floorwatch.sdk.http as http\n"
        "from floorwatch.sdk import LabelSubmittedData, emit, event\n"
        "http.HttpClient.__init__.__kwdefaults__['attempts'] = 1\n"
        "label = LabelSubmittedData(label_id='l', labeler_id='a', values=['x'])\n"
        f"emit([event(label, task_id='t', source='s')], {given})\n"
    )
    env = {**environment(), "XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(program)], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[-1].startswith("floorwatch.sdk.events.NotEmitted: ")
    assert len(lines) <= 12, done.stderr
    assert "asyncio" not in done.stderr
    assert "direct cause" not in done.stderr


@pytest.mark.servers
def test_the_token_is_sent_and_the_example_runs() -> None:
    async def steps(bench: Bench) -> None:
        url = bench.url
        child = await asyncio.create_subprocess_exec(
            sys.executable, "examples/emit_event.py", url, cwd=ROOT, stdout=-1, stderr=-1, env=environment()
        )
        out, err = await child.communicate()
        assert out.decode() == "2 events accepted\n", err.decode()
        bench.publisher.records.clear()
        async with HttpClient(url, token="secret-token") as client:
            await client.emit([made(2)])
            assert client._gateway is not None
            assert client._gateway._headers["Authorization"] == "Bearer secret-token"
        bench.publisher.records.clear()
        from floorwatch.sdk import emit_http

        assert await asyncio.to_thread(emit_http, [made(1)], url=url) == 1

    bench = Bench()
    # The example says when it happened by its own clock.
    bench.now_ms = int(datetime.now(UTC).timestamp() * 1000)
    bench.run(steps)
    assert [one["id"] for one in bench.events] == ["1"]
    assert len((ROOT / "examples" / "emit_event.py").read_text().splitlines()) <= 30


def environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.servers
def test_kafka_has_every_event_by_task_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        async with running_broker(tmp_path) as (_, bootstrap):
            await create_topics({"bootstrap_servers": bootstrap}, topic_specs("f.", 3))
            async with Client(brokers=bootstrap, topic="f.raw.v1") as client:
                events = [made(n, f"t-{n % 5}") for n in range(60)]
                assert await client.emit(events[:40]) == 40
                assert sum(await asyncio.gather(client.emit(events[40:50]), client.emit(events[50:]))) == 20
                with pytest.raises(BadEvents):
                    await client.emit([made(99), b"{}"])
            assert await asyncio.to_thread(sdk.emit, [made(60, "t-0")], brokers=[bootstrap], topic="f.raw.v1") == 1
            found = await read_topic(bootstrap, "f.raw.v1", 3, 61)
            by_task: dict[bytes, list[int]] = {}
            for record in found:
                key = bytes(record.key or b"")
                assert record.partition == partition_of(key, 3)
                by_task.setdefault(key, []).append(int(json.loads(record.value or b"")["id"]))
            assert by_task == {
                f"t-{task}".encode(): [*range(task, 60, 5), *([60] if task == 0 else [])] for task in range(5)
            }

    asyncio.run(main())


def test_a_broker_that_is_not_there_is_told() -> None:
    async def main() -> None:
        with pytest.raises(NotEmitted, match=r"topic floorwatch\.raw\.v1 on 127\.0\.0\.1:9 cannot be reached"):
            await Client(brokers="127.0.0.1:9").start()
        with pytest.raises(NotEmitted, match="not started"):
            await Client(brokers="127.0.0.1:9").emit([made(1)])

    asyncio.run(main())
