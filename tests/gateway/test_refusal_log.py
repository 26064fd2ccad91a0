"""Every refused request is one line in the log, a flood is a few, and no line quotes what was sent."""

from __future__ import annotations

import json
import logging
import re
from typing import Any

import pytest

import gateway.events_route
from gateway.context import GATEWAY
from gateway.refusal_log import AT_ONCE, MAX_CHARS, RefusalLog, address_class, shown_path
from gateway.settings import GatewaySettings
from telemetry.occasionally import Occasionally
from tests.gateway.harness import Bench, Steps, label, raw_fixture
from tests.gateway.raw import KUL, raw, secured
from tests.waits import until

SECRET = "SECRET-5f2a"
MINE = {"Authorization": f"Bearer {KUL}"}


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.name == "gateway.refusal_log"]


def logged(caplog: pytest.LogCaptureFixture, steps: Steps, settings: GatewaySettings | None = None) -> list[str]:
    with caplog.at_level(logging.INFO):
        Bench(settings or secured()).run(steps)
    return lines(caplog)


def asked(method: str, path: str, *headers: str, body: bytes = b"") -> bytes:
    named = "".join(f"{one}\r\n" for one in (*headers, f"Content-Length: {len(body)}"))
    return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{named}\r\n".encode() + body


def bearer(token: str = KUL) -> str:
    return f"Authorization: Bearer {token}"


JSON = "Content-Type: application/json"
HOOK = "/v1/hooks/label-studio"

OURS, NOBODY = "source kul, from this machine", "source unknown, from this machine"

REQUESTS: dict[str, tuple[bytes, str]] = {
    "no token": (
        asked("POST", "/v1/events", JSON, body=b"[]"),
        f"refused 401 unauthorized: POST /v1/events, {NOBODY}: no valid bearer token",
    ),
    "a wrong token of a hook that says its source": (
        asked("POST", f"{HOOK}?source=kul", bearer(SECRET), body=b"{}"),
        f"refused 401 unauthorized: POST {HOOK}, source kul, as it says, from this machine: no valid bearer token",
    ),
    "a source that is not ours": (
        asked("POST", f"{HOOK}?source={SECRET}", bearer(SECRET), body=b"{}"),
        f"refused 401 unauthorized: POST {HOOK}, {NOBODY}: no valid bearer token",
    ),
    "a webhook that is none": (
        asked("POST", f"{HOOK}?source={SECRET}", bearer(), body=b'{"no": "' + SECRET.encode() + b'"}'),
        f"refused 400 missing_field: POST {HOOK}, {OURS}: a Label Studio webhook is a JSON object with an action",
    ),
    "too large": (
        asked("POST", "/v1/events", bearer(), JSON, body=b"[" + b" " * 4096 + b"]"),
        f"refused 413 too_large: POST /v1/events, {OURS}: the body is larger than 1024 bytes",
    ),
    "no type of events": (
        asked("POST", "/v1/events", bearer(), f"Content-Type: {SECRET}", body=b"[]"),
        f"refused 415 unsupported_media_type: POST /v1/events, {OURS}: this is not a type of events",
    ),
    "events of which one is wrong": (
        asked("POST", "/v1/events", bearer(), JSON, body=json.dumps([label(), label(type=SECRET), SECRET]).encode()),
        f"refused 422 events_rejected: POST /v1/events, {OURS}: 2 events rejected (unknown_type $.type, wrong_type $), 1 accepted",
    ),
    "no events": (
        asked("POST", "/v1/events", bearer(), JSON),
        f"refused 422 events_rejected: POST /v1/events, {OURS}: 1 events rejected (empty), 0 accepted",
    ),
    "a window that is none": (
        asked("POST", "/v1/maintenance", bearer(), JSON, body=json.dumps({SECRET: SECRET}).encode()),
        f"refused 422 bad_window: POST /v1/maintenance, {OURS}: what it asks for is not right; the answer says what",
    ),
    "a window that cannot be read": (
        asked("GET", f"/v1/maintenance/{SECRET}", bearer()),
        f"refused 404 unknown_window: GET /v1/maintenance/…, {OURS}: there is no such maintenance window",
    ),
    "a path nearly right": (
        asked("POST", f"/v1/hooks/label-studo?token={SECRET}", body=b"{}"),
        f"refused 404 not_found: POST /v1/hooks/label-studo, {NOBODY}: there is no such address",
    ),
    "a path with a secret": (
        asked("GET", f"/v1/{SECRET}/events/{SECRET}"),
        f"refused 404 not_found: GET /v1/…/events/…, {NOBODY}: there is no such address",
    ),
    "a method": (
        asked("PUT", "/v1/events"),
        f"refused 405 method_not_allowed: PUT /v1/events, {NOBODY}: this address does not take that method",
    ),
    "a method that nobody knows": (
        asked("SECRET", f"/v1/{SECRET}"),
        "refused 400 bad_request: from this machine: a request was no HTTP (BadHttpMethod)",
    ),
    "a web page": (
        asked("POST", "/v1/events", f"Origin: http://{SECRET}", body=b"[]"),
        f"refused 403 foreign_origin: POST /v1/events, {NOBODY}: the request comes from a web page elsewhere",
    ),
    "an expectation": (
        asked("POST", "/v1/events", bearer(), f"Expect: {SECRET}", body=b"[]"),
        f"refused 417 expectation_failed: POST /v1/events, {NOBODY}: the Expect header is not understood",
    ),
    "no HTTP": (
        b"\x16\x03\x01" + SECRET.encode() + b"\r\n\r\n",
        "refused 400 bad_request: from this machine: a request was no HTTP (BadHttpMethod)",
    ),
    "a long header": (
        asked("GET", "/healthz", "X: " + SECRET * 2000),
        "refused 431 head_too_large: from this machine: a request was no HTTP (LineTooLong)",
    ),
    "no version": (
        b"GET /v1/events\r\n\r\n",
        f"refused 400 bad_request: GET /v1/events, {NOBODY}: the request is not valid HTTP",
    ),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_refused_request_is_one_line_that_quotes_nothing(name: str, caplog: pytest.LogCaptureFixture) -> None:
    request, line = REQUESTS[name]

    async def steps(bench: Bench) -> None:
        async with raw(bench.url) as one:
            await one.send(request)
            await one.answer()

    assert logged(caplog, steps, secured(max_body_bytes=1024)) == [line]
    assert SECRET not in caplog.text


def test_what_is_accepted_leaves_no_line_and_neither_does_a_probe(caplog: pytest.LogCaptureFixture) -> None:
    async def steps(bench: Bench) -> None:
        assert (await bench.post(label(), **MINE))[0] == 202
        assert (await bench.hook(raw_fixture("0009"), **MINE))[0] == 200
        bench.publisher.broken = True
        async with bench.client.get("/readyz") as answer:
            assert answer.status == 503
        bench.publisher.broken = False

    assert logged(caplog, steps) == []


def test_a_head_that_does_not_come_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def steps(bench: Bench) -> None:
        async with raw(bench.url) as one:
            await one.send(b"POST /v1/events?" + SECRET.encode())
            assert (await one.answer())[0] == 408

    said = logged(caplog, steps, secured(header_timeout_s=0.05))
    assert said == ["refused 408 slow_head: from this machine: no whole request head came in time"]


def test_a_fault_of_ours_is_one_line_with_its_place(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise KeyError(SECRET)

    monkeypatch.setattr(gateway.events_route, "_check", broken)

    async def steps(bench: Bench) -> None:
        assert (await bench.post(label(), **MINE))[0] == 500

    (said,) = logged(caplog, steps)
    assert re.fullmatch(
        r"refused 500 internal_error: POST /v1/events, source kul, from this machine: "
        r"the gateway failed: KeyError at .*test_refusal_log\.py:\d+; report it",
        said,
    )
    assert SECRET not in caplog.text


def test_a_webhook_that_the_spool_has_no_room_for_is_told_with_its_source(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def steps(bench: Bench) -> None:
        bench.publisher.broken = True
        statuses = [(await bench.hook(raw_fixture("0009"), **MINE))[0] for _ in range(3)]
        assert statuses == [202, 202, 503]
        bench.publisher.broken = False

    said = logged(caplog, steps, secured(spool_max_hooks=3, hook_deadline_s=0.02))
    assert [one.partition(" of ")[0] for one in said] == [
        f"refused 503 unavailable: POST {HOOK}, source kul, from this machine: 2 webhooks"
    ]


def test_a_flood_of_one_source_is_a_few_lines_and_the_other_is_heard(caplog: pytest.LogCaptureFixture) -> None:
    async def steps(bench: Bench) -> None:
        for _ in range(200):
            assert (await bench.hook("{}", **MINE))[0] == 400
        assert (await bench.hook("{}", Authorization=f"Bearer {SECRET}"))[0] == 401

    said = logged(caplog, steps)
    assert len(said) == AT_ONCE + 2
    assert [one for one in said if " 401 " in one]
    (summary,) = [one for one in said if "more since" in one]
    assert summary == said[0] + f" (and {200 - AT_ONCE} more since)"


def test_many_more_are_told_while_the_gateway_runs(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]

    async def steps(bench: Bench) -> None:
        refusals = bench.app[GATEWAY].refusals
        refusals._say = Occasionally(10, lambda: now[0])
        for _ in range(AT_ONCE + 3):
            await bench.hook("{}", **MINE)
        assert len(lines(caplog)) == AT_ONCE
        now[0] = 10.0
        await until(lambda: len(lines(caplog)) > AT_ONCE, "the rest is told", progress=lambda: len(lines(caplog)))
        assert lines(caplog)[-1].endswith(" (and 3 more since)")
        now[0] = 30.0
        await until(lambda: not refusals._last, "what is over is forgotten", progress=lambda: len(refusals._last))

    logged(caplog, steps)


def test_a_line_is_short_and_of_one_line() -> None:
    said: list[str] = []
    log = RefusalLog((), Occasionally(10, lambda: 0.0))

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger, kept = logging.getLogger("gateway.refusal_log"), Kept()
    logger.addHandler(kept)
    try:
        log.connection("failed", "x" * 10_000)
    finally:
        logger.removeHandler(kept)
    assert [len(one) for one in said] == [MAX_CHARS]


@pytest.mark.parametrize(
    ("address", "where"),
    [
        ("127.0.0.1", "from this machine"),
        ("::1", "from this machine"),
        ("::ffff:127.0.0.1", "from this machine"),
        ("192.168.1.7", "from a private address"),
        ("fe80::1%eth0", "from a private address"),
        ("93.184.216.34", "from a public address"),
        ("2606:2800:220:1::1", "from a public address"),
        ("", "from an unknown address"),
        ("?", "from an unknown address"),
    ],
)
def test_of_an_address_only_where_it_lies_is_told(address: str, where: str) -> None:
    assert address_class(address) == where


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v1/hooks/label_studio/", "/v1/hooks/label_studio/"),
        ("/hooks/labelstudio", "/hooks/labelstudio"),
        ("/v1/hooks/argila", "/v1/hooks/argila"),
        ("/", "/"),
        ("", "/"),
        ("/wp-login.php", "/…"),
        ("/v1/hooks/" + "4f2c" * 8, "/v1/hooks/…"),
        ("/v1/events\n2026 forged", "/v1/…"),
        ("/v1/évents", "/v1/…"),
        ("/a" * 50, "/…/…/…/…/…/…/…"),
    ],
)
def test_of_a_path_only_what_is_like_ours_is_shown(path: str, shown: str) -> None:
    assert shown_path(path) == shown


def test_sources_of_the_settings_alone_make_kinds() -> None:
    async def steps(bench: Bench) -> None:
        for number in range(50):
            await bench.hook("{}", query=f"?source=made-up-{number}", Authorization="Bearer nobody")
        assert len(bench.app[GATEWAY].refusals._last) == 1

    Bench(secured()).run(steps)
