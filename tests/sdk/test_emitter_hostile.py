"""Whatever answers in place of a gateway: nothing is lost, nothing is taken for delivered that is not, and words say what it was."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from floorwatch.sdk.answers import NotNow, Settled, TooMuch, meaning
from floorwatch.sdk.backoff import MAX_TOLD_S, told_wait_s, wait_s
from tests.sdk.scripted_gateway import GONE, QUICK, Reply, accepted, emitter, made, said, scripted, talking
from tests.waits import until_plain

pytestmark = pytest.mark.fixed_clock  # the emitter's thread waits with deadlines

WAIT_S = 60.0
WHOLE = b'{"accepted":1,"rejected_count":0,"rejected":[]}'


def told(count: int, **changes: Any) -> dict[str, Any]:
    one = {"index": 0, "line": 1, "code": "bad", "field": None, "reason": "r", "hint": "h"}
    return {"accepted": count - 1, "rejected_count": 1, "rejected": [{**one, **changes}]}


# -- answers that are none ---------------------------------------------------------------------------------------------

GARBAGE: dict[str, Reply] = {
    "a page with status 200": said(200, b"<html>Sign in</html>", Content_Type="text/html"),
    "202 without a body": said(202, b""),
    "202 of somebody else": said(202, b'{"status":"queued"}'),
    "202 for fewer events": said(202, {"accepted": 1, "rejected_count": 0, "rejected": []}),
    "202 with refusals": said(202, told(2)),
    "422 without refusals": said(422, {"accepted": 2, "rejected_count": 0, "rejected": []}),
    "422 of a place that is not there": said(422, told(2, index=2)),
    "422 of a place that is none": said(422, told(2, index="0")),
    "422 of true": said(422, told(2, index=True)),
    "422 with a list in a list": said(422, {"accepted": 1, "rejected_count": 1, "rejected": [[]]}),
    "422 that is no JSON": said(422, b"\xff\xfe{"),
    "422 nested deeply": said(422, b"[" * 100_000),
    "a redirect": said(302, b"", Location="http://127.0.0.1:9/"),
    "a proxy's 502": said(502, b"<html>Bad Gateway</html>"),
    "a proxy's 400": said(400, b"<html>The plain HTTP request was sent to HTTPS port</html>"),
    "503 until a day that is past": said(503, b"", Retry_After="Wed, 21 Oct 2015 07:28:00 GMT"),
    "Retry-After of nonsense": said(503, b"", Retry_After="soon"),
    "404": said(404, b"not here"),
    "an answer without end": said(202, WHOLE + b" " * (5 * 1024 * 1024)),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_word_of_a_gateway_settles_nothing(tmp_path: Path, name: str) -> None:
    with scripted(GARBAGE[name], GARBAGE[name]) as gateway, emitter(gateway.url, tmp_path) as fw:
        fw.send(made(1), made(2))
        fw.flush(WAIT_S)
        assert gateway.ids == ["e-1", "e-2"] * 3
        assert (fw.status().delivered, fw.status().refused) == (2, 0)


def http(body: bytes, length: int | None = None) -> bytes:
    return b"HTTP/1.1 202 Accepted\r\nContent-Length: %d\r\n\r\n%s" % (length or len(body), body)


def half_closed(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    while connection.recv(65536):
        pass


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def drip(connection: socket.socket) -> None:
    for byte in b"HTTP/1.1 202 Accepted\r\nX-Slow: " + b"a" * 10_000:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)  # slower than any deadline of the test, and quicker than a timeout of one read


TALKS: dict[str, tuple[Callable[[socket.socket], None], str]] = {
    "half-closed": (half_closed, "the connection broke off"),
    "reset": (reset, "the connection broke off"),
    "another protocol": (lambda c: c.sendall(b"-ERR unknown command\r\n"), "not by HTTP"),
    "a header without end": (lambda c: c.sendall(b"HTTP/1.1 202 OK\r\nX: " + b"a" * 100_000), "not by HTTP"),
    "a body that is cut": (lambda c: c.sendall(http(WHOLE, 500)), "the answer was cut off"),
    "a chunk of nonsense": (
        lambda c: c.sendall(b"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        "the answer was cut off",
    ),
    "a byte now and then": (drip, "no answer within 0.3 s"),
    "silence": (lambda c: time.sleep(1.0), "no answer within 0.3 s"),
}


@pytest.mark.parametrize("name", TALKS)
def test_a_connection_that_fails_is_said_in_words_and_loses_nothing(tmp_path: Path, name: str) -> None:
    talk, words = TALKS[name]
    with talking(talk) as url, emitter(url, tmp_path, replace(GONE, timeout_s=0.3)) as fw:
        fw.send(made(1))
        until_plain(lambda: words in fw.status().trouble, words, progress=lambda: fw.status().trouble)
        assert fw.status().waiting == 1
    with scripted() as gateway, emitter(gateway.url, tmp_path) as fw:
        fw.flush(WAIT_S)
        assert gateway.ids == ["e-1"]


def test_a_kept_connection_that_the_gateway_has_closed_is_replaced_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    answered = []

    def one_answer(connection: socket.socket) -> None:
        answered.append(1)
        connection.sendall(http(WHOLE))

    with (
        talking(one_answer) as url,
        emitter(url, tmp_path, replace(QUICK, retry_first_s=3600, retry_most_s=3600)) as fw,
    ):
        for number in range(3):
            fw.send(made(number))
            fw.flush(WAIT_S)
    assert len(answered) == 3
    assert caplog.text == ""


# -- requests that are too large ---------------------------------------------------------------------------------------


def test_a_batch_that_is_too_large_is_sent_in_smaller_ones(tmp_path: Path) -> None:
    def answer(events: list[dict[str, Any]]) -> Reply:
        return said(413, b"<html>Request Entity Too Large</html>") if len(events) > 3 else accepted(events)

    with scripted(answering=answer) as gateway:
        with emitter(gateway.url, tmp_path) as fw:
            fw.send(*map(made, range(20)))
            fw.flush(WAIT_S)
        taken = [one["id"] for asked in gateway.asked if len(asked.events) <= 3 for one in asked.events]
        assert taken == [f"e-{number}" for number in range(20)]
        assert fw.refused() == []


@pytest.mark.parametrize(
    ("reply", "code", "reason"),
    [
        (said(413, b"<html></html>"), "status_413", "one event is too large"),
        (said(413, {"error": {"code": "too_large", "reason": "no", "hint": "h"}}), "too_large", "no"),
        (said(400, {"error": {"code": "damaged", "reason": "cut", "hint": "h"}}), "damaged", "cut"),
        (said(422, told(1, index=None) | {"accepted": 0}), "bad", "r"),
    ],
)
def test_one_event_that_is_too_large_is_refused_and_the_others_go_on(
    tmp_path: Path, reply: Reply, code: str, reason: str
) -> None:
    def answer(events: list[dict[str, Any]]) -> Reply:
        return reply if any(one["id"] == "e-5" for one in events) else accepted(events)

    with scripted(answering=answer) as gateway, emitter(gateway.url, tmp_path, replace(QUICK, batch_events=8)) as fw:
        fw.send(*map(made, range(40)))
        fw.flush(WAIT_S)
        taken = [
            one["id"]
            for asked in gateway.asked
            for one in asked.events
            if not any(o["id"] == "e-5" for o in asked.events)
        ]
        assert taken == [f"e-{number}" for number in range(40) if number != 5]
        (refused,) = fw.refused()
        assert (refused.event["id"], refused.refusal.code) == ("e-5", code)
        assert reason in refused.refusal.reason
        assert gateway.sizes[-1] > 1, "batches grow again"


# -- pure --------------------------------------------------------------------------------------------------------------


def test_waits_grow_to_a_bound_and_chance_spreads_them() -> None:
    assert [wait_s(n, 1.0, None, 0.5, 60.0) for n in (1, 2, 3, 8, 10_000)] == [0.5, 1.0, 2.0, 60.0, 60.0]
    assert wait_s(3, 0.0, None, 0.5, 60.0) == 0.0
    assert wait_s(9, 0.0, 30.0, 0.5, 60.0) == 30.0
    assert wait_s(1, 1.0, 30.0, 0.5, 60.0) == 33.0
    assert wait_s(1, 1.0, 86_400.0, 0.5, 60.0) == MAX_TOLD_S * 1.1
    assert wait_s(1, 1.0, 0.0, 0.5, 60.0) == 0.5, "a gateway that says 0 to everybody is not asked by everybody at once"


def test_retry_after_is_seconds_or_a_date() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    later = format_datetime(datetime(2026, 11, 23, 12, 1, tzinfo=UTC), usegmt=True)
    assert [told_wait_s(text, now) for text in ("0", " 7 ", later, "9" * 400)] == [0.0, 7.0, 60.0, 999_999_999.0]
    assert told_wait_s("Wed, 21 Oct 2015 07:28:00 GMT", now) == 0.0
    assert [told_wait_s(text, now) for text in (None, "", "-1", "1.5", "soon", "٣", "Wed, 21 Oct")] == [None] * 7


def test_only_a_sum_that_is_right_settles_events() -> None:
    assert meaning(202, WHOLE, 1) == Settled()
    assert isinstance(meaning(202, WHOLE, 2), NotNow)
    found = meaning(422, b'{"accepted":0,"rejected_count":2,"rejected":[{"index":1},{"index":0}]}', 2)
    assert isinstance(found, Settled)
    assert [place for place, _ in found.refused] == [0, 1]
    assert found.refused[0][1].reason == "answered 422: no reason given"
    assert isinstance(meaning(413, b"", 9), TooMuch)
    assert meaning(401, b"\x1b[2J", 1) == NotNow(
        "answered 401: it does not know who sends (give the token of a source of gateway.sources: token= or FLOORWATCH_TOKEN)",
        None,
        lasting=True,
    )
    assert meaning(418, b"\x1b[2Jtea", 1) == NotNow("answered 418: [2Jtea", None, lasting=True)
