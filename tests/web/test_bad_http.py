"""What is no HTTP gets a page of ours, and neither the page nor the log says again what was sent."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from aiohttp import web

from floorwatch.web.app import build_web_app
from floorwatch.web.connections import PagesSite
from floorwatch.web.link_actions import LinkActions
from floorwatch.web.render import HEADERS
from tests.alerts.rows import NOW_MS
from tests.web.pages import SETTINGS

SECRET = b"the-token-of-a-link"


async def sent(*requests: bytes) -> list[bytes]:
    """Serve the pages; return what is answered to bytes, each on a connection of its own."""

    def unused(*_: Any) -> Any:
        raise AssertionError("nothing is looked at")

    runner = web.AppRunner(build_web_app(SETTINGS, LinkActions(unused, unused, lambda: NOW_MS), lambda: NOW_MS))  # type: ignore[arg-type]
    await runner.setup()
    try:
        await PagesSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        answers = []
        for request in requests:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(request)
            async with asyncio.timeout(20):
                answers.append(await reader.read())
            writer.close()
        return answers
    finally:
        await runner.cleanup()


BAD = {
    "a long path": (b"GET /a/" + SECRET + b"x" * 9_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431, "more than 8,190 bytes"),
    "a long header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + SECRET + b"x" * 9_000 + b"\r\n\r\n", 431, "more than 8,190 bytes"),
    "a bad status line": (b"GET /a/" + SECRET + b" HTTP/9\r\n\r\n", 400, "no valid HTTP/1.1"),
    "a bad header": (b"GET /a/x HTTP/1.1\r\nHost: a\r\nX: " + SECRET + b"\x00\r\n\r\n", 400, "no valid HTTP/1.1"),
    "another protocol": (b"\x16\x03\x01\x02\x00\x01" + SECRET + b"\r\n\r\n", 400, "no valid HTTP/1.1"),
    "a bad length": (b"POST /a/x HTTP/1.1\r\nHost: a\r\nContent-Length: " + SECRET + b"\r\n\r\n", 400, "no valid HTTP/1.1"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_http_gets_a_page(name: str, caplog: pytest.LogCaptureFixture) -> None:
    raw, status, said = BAD[name]
    with caplog.at_level(logging.DEBUG):
        (answer,) = asyncio.run(sent(raw))
    head, _, body = answer.decode().partition("\r\n\r\n")
    assert head.split()[1] == str(status), head
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Server"] == "floorwatch"
    assert headers.items() >= HEADERS.items()
    assert said in body
    for text in (answer.decode(), caplog.text):
        assert SECRET.decode() not in text
        assert "Traceback" not in text
    assert "a request was no HTTP" in caplog.text


def test_a_request_after_a_bad_one_is_served() -> None:
    good = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    _, answer = asyncio.run(sent(BAD["a bad header"][0], good))
    assert answer.startswith(b"HTTP/1.1 200 ")
