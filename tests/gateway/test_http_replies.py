"""What an answer's head says of us, requests without a version, and requests that come one behind another."""

from __future__ import annotations

import json

import pytest
from aiohttp.test_utils import TestServer
from prometheus_client import CollectorRegistry

from telemetry.http import always_ok, build_app
from tests.gateway.harness import Bench, label
from tests.gateway.raw import raw

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
ASKED = {
    "ok": HEALTH,
    "not found": HEALTH.replace(b"healthz", b"nowhere"),
    "wrong method": HEALTH.replace(b"GET", b"DELETE"),
    "no HTTP": b"\x16\x03\x01\r\n\r\n",
    "bad header": HEALTH.replace(b"Host", b"Ho st"),
    "no body": b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
    "options": HEALTH.replace(b"GET", b"OPTIONS"),
    "old": b"GET /metrics HTTP/1.0\r\n\r\n",
    "no version": b"GET /metrics\r\n\r\n",
}
UNVERSIONED = [
    b"GET /metrics\r\n\r\n",
    b"GET /healthz\r\n\r\n",
    b"GET /nowhere\r\n\r\n",
    b"GET /statusz HTTP/0.9\r\n\r\n",
]


@pytest.mark.parametrize("name", ASKED)
def test_no_answer_names_the_versions_of_what_we_are_made_of(name: str) -> None:
    async def steps(bench: Bench) -> None:
        worker = TestServer(build_app(CollectorRegistry(), always_ok))
        await worker.start_server()
        try:
            for url in (bench.url, str(worker.make_url("/"))):
                async with raw(url) as one:
                    await one.send(ASKED[name])
                    head = (await one.reader.readuntil(b"\r\n\r\n")).lower()
                    assert head.startswith(b"http/")
                    assert b"python" not in head
                    assert b"aiohttp" not in head
        finally:
            await worker.close()

    Bench().run(steps)


@pytest.mark.parametrize("asked", UNVERSIONED)
def test_a_request_without_a_version_is_refused(asked: bytes) -> None:
    async def steps(bench: Bench) -> None:
        worker = TestServer(build_app(CollectorRegistry(), always_ok))
        await worker.start_server()
        try:
            for url in (bench.url, str(worker.make_url("/"))):
                async with raw(url) as one:
                    await one.send(asked)
                    found = await one.rest()
                    assert found.split()[1] == b"400"
                    assert b"floorwatch_" not in found
        finally:
            await worker.close()

    Bench().run(steps)


def test_of_requests_in_one_piece_with_nonsense_among_them_none_is_taken() -> None:
    """One refusal stands for all: whoever sends all of it again loses nothing and doubles nothing."""

    async def steps(bench: Bench) -> None:
        body = json.dumps(label()).encode()
        kind = b"application/cloudevents+json"
        head = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + kind
        post = head + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body
        async with raw(bench.url) as one:
            await one.send(post + b"\x01\x02 nonsense\r\n\r\n" + post)
            found = await one.rest()
        assert found.split()[1] == b"400"
        assert found.count(b"Content-Length:") == 1
        assert bench.events == []

    Bench().run(steps)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (rb'{"id": "a \ud800"}', "line 1 column 11"),
        (rb'{"id": "a \ud800 and then much more"}', "line 1 column 11"),
        (rb'{"id": "a \udc00 and then much more"}', "line 1 column 11"),
        (rb'{"id": "a \ud83d\ude00 \\ud800 \ud83d\u0041 more"}', "line 1 column 32"),
        (b'{"id":\n "\\uD83D"}', "line 2 column 3"),
        (rb'{"\udfff": 1}', "line 1 column 3"),
    ],
)
def test_half_a_character_is_told_as_such_with_its_place(text: bytes, place: str) -> None:
    async def steps(bench: Bench) -> None:
        for media, body in (
            ("application/cloudevents+json", text),
            ("application/cloudevents-batch+json", b"[" + text + b"]"),
        ):
            _, said = await bench.post(body, media)
            told = json.dumps(said)
            assert "half of a character" in told
            if body is text:
                assert place in told
            assert "truncated" not in told

    Bench().run(steps)
