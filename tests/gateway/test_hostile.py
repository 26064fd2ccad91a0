"""What is no HTTP, what comes from web pages, and that no log or answer ever quotes a request."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from gateway.settings import GatewaySettings
from tests.gateway.harness import Bench, label, raw_fixture
from tests.gateway.raw import KUL, head, raw, secured

SECRET = b"SECRET-5f2a"
AUTH = b"Authorization: Bearer " + SECRET + b"\r\n"
POST = b"POST /v1/events?password=" + SECRET + b" HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + AUTH

NONSENSE = {
    "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + SECRET + b"\r\n\r\n",
    "http 0.9": b"GET /" + SECRET + b"\r\n\r\n",
    "no version": b"POST /v1/events?token=" + SECRET + b"\r\n" + AUTH + b"\r\n",
    "http 9": b"POST /?" + SECRET + b" HTTP/9.9.9\r\n" + AUTH + b"\r\n",
    "control in a header": POST + b"Authorization: Bearer " + SECRET + b"\x00\r\n\r\n",
    "bare newline in a header": POST + b"Authorization: Bearer " + SECRET + b"\nX\r\n\r\n",
    "no colon": POST + b"Authorization Bearer " + SECRET + b"\r\n\r\n",
    "space in a name": POST + b"Authorization : Bearer " + SECRET + b"\r\n\r\n",
    "folded": POST + b"Authorization: Bearer\r\n " + SECRET + b"\x01\r\n\r\n",
    "long header": POST + b"Authorization: Bearer " + SECRET * 2000 + b"\r\n\r\n",
    "long path": b"GET /" + SECRET * 2000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "many headers": POST + b"".join(b"X-%d: %s\r\n" % (n, SECRET) for n in range(200)) + b"\r\n",
    "no host": b"POST /v1/events HTTP/1.1\r\n" + AUTH + b"Content-Length: 2\r\n\r\n[]",
    "two lengths": POST + AUTH + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n" + SECRET,
    "length and chunks": POST + AUTH + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n" + SECRET,
    "bad chunk": POST
    + AUTH
    + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    + SECRET
    + b"\r\n",
    "redis": b"*1\r\n$4\r\nAUTH " + SECRET + b"\r\n",
    "zeros": b"\0" * 10_000 + SECRET,
    "bad url": b"GET http://[" + SECRET + b"/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "connect": b"CONNECT " + SECRET + b":443 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "trace": b"TRACE /v1/events HTTP/1.1\r\nHost: localhost\r\n" + AUTH + b"\r\n",
    "options": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n" + AUTH + b"\r\n",
    "expect": POST + AUTH + b"Content-Type: application/json\r\nExpect: " + SECRET + b"\r\nContent-Length: 2\r\n\r\n[]",
    "upgrade": GET.replace(b"healthz", b"nowhere") + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + SECRET,
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SECRET,
    "encoding": POST
    + AUTH
    + b"Content-Type: application/json\r\nContent-Encoding: "
    + SECRET
    + b"\r\nContent-Length: 2\r\n\r\n[]",
    "media": POST + AUTH + b"Content-Type: " + SECRET + b"\r\nContent-Length: 2\r\n\r\n[]",
    "origin": GET + b"Origin: http://" + SECRET + b"\r\n\r\n",
}


@pytest.mark.parametrize("name", NONSENSE)
@pytest.mark.parametrize("settings", [GatewaySettings(), secured()], ids=["open", "tokens"])
def test_nonsense_is_answered_with_a_reason_and_quoted_nowhere(
    name: str, settings: GatewaySettings, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    async def steps(bench: Bench) -> None:
        async with raw(bench.url) as one:
            await one.send(NONSENSE[name])
            status, said = await one.answer()
            assert SECRET.decode() not in json.dumps(said)
            assert 400 <= status < 500
            assert {"code", "reason", "hint"} <= set(said["error"])
        async with bench.client.get("/healthz") as answer:
            assert answer.status == 200
        async with bench.client.get("/metrics") as answer:
            assert SECRET.decode() not in await answer.text()

    with caplog.at_level(logging.DEBUG):
        Bench(settings).run(steps)
    out = "".join(capfd.readouterr())
    assert SECRET.decode() not in caplog.text + out
    assert "Traceback" not in caplog.text + out


def test_many_that_send_nonsense_are_a_few_lines_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    async def steps(bench: Bench) -> None:
        for _ in range(40):
            async with raw(bench.url) as one:
                await one.send(NONSENSE["tls"])
                assert (await one.rest()).startswith(b"HTTP/1.0 400")
        metrics = await bench.metrics()
        assert metrics['floorwatch_gateway_connections_ended_total{reason="malformed"}'] == 40

    with caplog.at_level(logging.WARNING):
        Bench().run(steps)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 6
    assert said[-1] == f"{said[0]} (and 35 more since)"


def test_pipelined_requests_are_answered_in_order_and_an_upgrade_is_declined() -> None:
    ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"

    async def steps(bench: Bench) -> None:
        async with raw(bench.url) as one:
            await one.send(
                (ask + b"\r\n") * 100 + b"HEAD /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            assert (await one.rest()).count(b"HTTP/1.1 200 OK") == 101
        async with raw(bench.url) as one:
            await one.send(ask + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            assert (await one.answer())[0] == 200

    Bench().run(steps)


MINE = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        (MINE, None),
        ({**MINE, "Host": "localhost:8090"}, None),
        ({**MINE, "Host": "LOCALHOST."}, None),
        ({**MINE, "Host": "floor.localhost"}, None),
        ({**MINE, "Host": "[::1]:8090"}, None),
        ({**MINE, "Host": "10.1.2.3"}, None),
        ({**MINE, "Host": "floor.example:443"}, None),
        ({**MINE, "Host": "evil.example"}, "foreign_host"),
        ({**MINE, "Host": "localhost.evil.example"}, "foreign_host"),
        ({**MINE, "Host": "127.0.0.1.evil.example"}, "foreign_host"),
        ({**MINE, "Host": "evil.example@localhost"}, "foreign_host"),
        ({**MINE, "Host": "localhost:80:80"}, "foreign_host"),
        ({**MINE, "Host": ""}, "foreign_host"),
        ({**MINE, "Origin": "http://localhost:8090", "Host": "localhost:8090"}, None),
        ({**MINE, "Origin": "http://localhost:3000", "Host": "localhost:8090"}, "foreign_origin"),
        ({**MINE, "Origin": "https://evil.example"}, "foreign_origin"),
        ({**MINE, "Origin": "null"}, "foreign_origin"),
        ({**MINE, "Origin": "http://["}, "foreign_origin"),
        ({**MINE, "Sec-Fetch-Site": "cross-site"}, "foreign_origin"),
        ({**MINE, "Sec-Fetch-Site": "same-site"}, "foreign_origin"),
        ({**MINE, "Sec-Fetch-Site": "none"}, None),
        ({"Content-Type": "text/plain"}, "unsupported_media_type"),
        ({"Content-Type": "text/plain; charset=application/json"}, "unsupported_media_type"),
        ({"Content-Type": " TEXT/Plain"}, "unsupported_media_type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "unsupported_media_type"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, "unsupported_media_type"),
        ({"Content-Type": ""}, "unsupported_media_type"),
        ({"Content-Type": "application/cloudevents+json"}, None),
    ],
)
@pytest.mark.parametrize("hook", [False, True])
def test_a_web_page_is_not_heard(headers: dict[str, str], code: str | None, hook: bool) -> None:
    async def steps(bench: Bench) -> None:
        path = "/v1/hooks/label-studio" if hook else "/v1/events"
        body = raw_fixture("0009") if hook else json.dumps(label())
        async with bench.client.post(path, data=body.encode(), headers=headers) as answer:
            said = await answer.json()
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        if code is None:
            assert answer.status in (200, 202), said
        else:
            assert said["error"]["code"] == code
            assert said["error"]["hint"]
            assert answer.status == (415 if code == "unsupported_media_type" else 403)

    bench = Bench(GatewaySettings(allowed_hosts=("floor.example",))).run(steps)
    assert bool(bench.publisher.records) == (code is None)


@pytest.mark.parametrize("media", ["application/x-www-form-urlencoded", "text/plain", "application/json"])
def test_a_wrong_path_is_told_as_that_whatever_the_media_type(media: str) -> None:
    """What `curl -d` sends by default; the paths that take events still want a type that no page may send."""

    async def steps(bench: Bench) -> None:
        for path, status in (("/v1/event", 404), ("/", 404), ("/events", 404), ("/metrics", 405)):
            async with bench.client.post(path, data=b"{}", headers={"Content-Type": media}) as answer:
                assert answer.status == status, path
        headers = {"Content-Type": media, "Origin": "https://evil.example"}
        async with bench.client.post("/v1/event", data=b"{}", headers=headers) as answer:
            assert answer.status == 403

    Bench().run(steps)


def test_a_page_gets_no_leave_to_send_and_reads_nothing_through_a_rebound_name() -> None:
    async def steps(bench: Bench) -> None:
        leave = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        async with bench.client.options("/v1/events", headers=leave) as answer:
            assert answer.status == 403
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        for path in ("/metrics", "/readyz", "/nowhere"):
            async with bench.client.get(path, headers={"Host": "rebound.example"}) as answer:
                assert (answer.status, (await answer.json())["error"]["code"]) == (403, "foreign_host")

    Bench().run(steps)


@pytest.mark.parametrize(
    ("hosts", "host", "status"),
    [((), "any.example", 202), (("floor.example",), "any.example", 403), (("floor.example",), "floor.example", 202)],
)
def test_with_tokens_a_proxy_may_use_any_name_unless_names_are_given(
    hosts: tuple[str, ...], host: str, status: int
) -> None:
    async def steps(bench: Bench) -> None:
        ours: Any = {"Authorization": f"Bearer {KUL}", "Host": host}
        assert (await bench.post(label(), "text/plain", **ours))[0] == status
        assert (await bench.post(label(), **{**ours, "Origin": "https://evil.example"}))[0] == 403

    Bench(secured(allowed_hosts=hosts)).run(steps)


def test_without_tokens_any_host_can_be_allowed() -> None:
    async def steps(bench: Bench) -> None:
        assert (await bench.post(label(), Host="any.example"))[0] == 202

    Bench(GatewaySettings(allowed_hosts=("*",))).run(steps)


@pytest.mark.slow
def test_a_wrong_token_is_refused_before_any_of_the_body_is_waited_for() -> None:
    async def steps(bench: Bench) -> None:
        async with raw(bench.url) as one:
            await one.send(head(token="no-token-of-ours"))
            status, said = await one.answer()
            assert (status, said["error"]["code"]) == (401, "unauthorized")

    Bench(secured()).run(steps)
