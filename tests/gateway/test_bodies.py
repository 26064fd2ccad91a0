"""Bodies that are cut, damaged, packed or huge: refused whole, and never in the way of others."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gateway.time_slices
from gateway.context import GATEWAY
from gateway.settings import GatewaySettings
from gateway.sources.label_studio.large import distill_in_slices
from gateway.sources.label_studio.read import distill
from gateway.sources.label_studio.settings import LabelStudioSettings
from gateway.split import Item, split
from gateway.time_slices import SliceScheduler, TimeSlices, TooComplex, TooManyItems, split_in_slices
from gateway.webhooks import BadWebhook
from streams.models.acceptance import Refusal
from tests.gateway.harness import Bench, fixture, label
from tests.gateway.raw import head, raw
from tests.support import size

CASES = Path(__file__).parents[1] / "data" / "cases"
EVENTS = "\n".join(json.dumps(label(f"l-{number}")) for number in range(40)).encode()
PACKED = gzip.compress(EVENTS)
DEFLATED = zlib.compress(EVENTS)
RAW_DEFLATED = zlib.compress(EVENTS)[2:-4]


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", PACKED),
        ("GZip", PACKED),
        ("x-gzip", PACKED),
        ("gzip", gzip.compress(EVENTS[:1000]) + gzip.compress(EVENTS[1000:])),
        ("deflate", DEFLATED),
        ("deflate", RAW_DEFLATED),
        ("identity", EVENTS),
        ("", EVENTS),
    ],
)
def test_a_whole_body_is_taken_however_it_is_packed(encoding: str, body: bytes) -> None:
    async def steps(bench: Bench) -> None:
        status, said = await bench.post(body, "application/x-ndjson", **{"Content-Encoding": encoding})
        assert (status, said.get("accepted")) == (202, 40), said

    Bench().run(steps)


async def sliced(body: bytes, media: str, most: int) -> list[Item] | Refusal:
    return await split_in_slices(body, media, most, TimeSlices(SliceScheduler(), ""))


async def reduced(body: bytes) -> dict[str, Any]:
    return await distill_in_slices(body, LabelStudioSettings(), TimeSlices(SliceScheduler(), ""))


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize(
    ("encoding", "body", "status", "code"),
    [
        *[("gzip", PACKED[:-cut], 400, "bad_body") for cut in (1, 4, 8, 9, 100, len(PACKED) - 1)],
        ("gzip", PACKED + b"x", 400, "bad_body"),
        ("gzip", PACKED + b"\0" * 8, 400, "bad_body"),
        ("gzip", PACKED + PACKED[:20], 400, "bad_body"),
        ("gzip", flipped(PACKED, 60), 400, "bad_body"),
        ("gzip", flipped(PACKED, -6 + len(PACKED)), 400, "bad_body"),
        ("gzip", flipped(PACKED, len(PACKED) - 1), 400, "bad_body"),
        ("gzip", EVENTS, 400, "bad_body"),
        ("gzip", b"", 400, "bad_body"),
        ("deflate", DEFLATED[:-1], 400, "bad_body"),
        ("deflate", DEFLATED + b"x", 400, "bad_body"),
        ("deflate", RAW_DEFLATED[:-1], 400, "bad_body"),
        ("deflate", PACKED, 400, "bad_body"),
        ("br", b"\x0b\x02\x80", 415, "unsupported_encoding"),
        ("zstd", b"\x28\xb5\x2f\xfd", 415, "unsupported_encoding"),
        ("compress", EVENTS, 415, "unsupported_encoding"),
        ("gzip, gzip", gzip.compress(PACKED), 415, "unsupported_encoding"),
        ("gzip,", PACKED, 415, "unsupported_encoding"),
    ],
)
def test_a_body_that_is_cut_damaged_or_packed_otherwise_is_refused_whole(
    encoding: str, body: bytes, status: int, code: str
) -> None:
    async def steps(bench: Bench) -> None:
        found, said = await bench.post(body, "application/x-ndjson", **{"Content-Encoding": encoding})
        assert (found, said["error"]["code"]) == (status, code)
        assert "accepted" in said["error"]["hint"] or "gzip" in said["error"]["hint"]

    assert Bench().run(steps).publisher.records == []


def test_the_case_of_gzip_without_its_end() -> None:
    async def steps(bench: Bench) -> None:
        body = (CASES / "05-truncated.ndjson.gz").read_bytes()
        status, said = await bench.post(body, "application/x-ndjson", **{"Content-Encoding": "gzip"})
        assert (status, said["error"]["code"]) == (400, "bad_body")

    assert Bench().run(steps).publisher.records == []


ONE = json.dumps(label()).encode()


@pytest.mark.parametrize(
    ("begin", "status"),
    [
        (head(token=None, length=len(ONE) + 5) + ONE, None),  # shorter than announced, then the end
        (head("/v1/events", "Transfer-Encoding: chunked", token=None, length=None) + b'5\r\n{"a"', None),
        (head("/v1/events", "Transfer-Encoding: chunked", token=None, length=None) + b"zz\r\n", 400),
        (head("/v1/events", "Transfer-Encoding: chunked", token=None, length=5) + ONE, 400),
        (head("/v1/events", "Content-Length: 7", token=None, length=5) + ONE, 400),
        (head("/v1/events", "Transfer-Encoding: gzip, chunked, x", token=None, length=None) + ONE, 400),
        (head("/v1/events", "Content-Length: -1", token=None, length=None) + ONE, 400),
    ],
)
def test_a_body_whose_length_is_a_lie_is_refused_whole(begin: bytes, status: int | None) -> None:
    async def steps(bench: Bench) -> None:
        async with raw(bench.url) as one:
            await one.send(begin)
            if status is None:
                one.writer.write_eof()
                assert await one.is_ended()
            else:
                assert (await one.answer())[0] == status
        for _ in range(500):  # the client may see the end a moment before the gateway has let go of the request
            if bench.app[GATEWAY].events.requests.held == 0:
                break
            await asyncio.sleep(0.01)
        assert bench.app[GATEWAY].events.requests.held == 0
        assert (await bench.post(label()))[0] == 202

    assert len(Bench().run(steps).publisher.records) == 1


@pytest.mark.slow
def test_chunks_without_an_end_are_413_at_the_bound() -> None:
    async def steps(bench: Bench) -> None:
        async with raw(bench.url) as one:
            await one.send(head("/v1/events", "Transfer-Encoding: chunked", token=None, length=None))
            asking = asyncio.create_task(one.answer())
            while not asking.done():
                one.writer.write(b"1\r\n \r\n" * 1000)
                await asyncio.sleep(0)
            status, said = asking.result()
            assert (status, said["error"]["code"]) == (413, "too_large")

    Bench(GatewaySettings(max_body_bytes=50_000)).run(steps)


@pytest.mark.slow
def test_the_body_is_asked_for_only_when_its_sender_is_known() -> None:
    async def steps(bench: Bench) -> None:
        async with raw(bench.url) as one:
            await one.send(head("/v1/events", "Expect: 100-continue", token=None, length=len(ONE)))
            assert await one.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await one.send(ONE)
            assert (await one.answer())[0] == 202
        for token, line, status in [("wrong-token", "Expect: 100-continue", 401), (None, "Expect: SECRET", 417)]:
            async with raw(bench.url) as one:
                await one.send(head("/v1/events", line, token=token, length=len(ONE)))
                found, said = await one.answer()
                assert found == (status if token is None else 100)
                assert "SECRET" not in json.dumps(said)

    Bench().run(steps)


async def while_others_ask(bench: Bench, work: Callable[[], Any]) -> tuple[Any, int, float]:
    """Do something, and count others' turns meanwhile; with the most milliseconds of this thread between two of them.

    Processor time, because other processes on this machine may take any amount of the clock's.
    """
    task = asyncio.ensure_future(work())
    time_slices, longest_s = 0, 0.0

    async def watch() -> None:
        nonlocal time_slices, longest_s
        while not task.done():
            began_s = time.thread_time()
            await asyncio.sleep(0)
            longest_s = max(longest_s, time.thread_time() - began_s)
            time_slices += 1

    watching = asyncio.create_task(watch())
    async with bench.client.get("/healthz") as answer:
        assert answer.status == 200
        assert not task.done()
    await watching
    return task.result(), time_slices, longest_s * 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("made", "status", "time_slices"),
    [
        (lambda: b"[" + b",".join([b"1"] * 1_000_000) + b"]", 413, 5),
        (lambda: b"\n".join([b"1"] * 1_000_000), 422, 5),
        (lambda: b"[" + b",".join([b"1"] * 50_000) + b"]", 422, 10),
        (lambda: b"[[" + b",".join([b"1"] * 4_000_000) + b"]]", 413, 5),
        (lambda: b"[" + b",".join([json.dumps(label()).encode()] * 50_000) + b"]", 202, 30),
    ],
    ids=["ones", "lines of ones", "as many as allowed", "nested", "good events"],
)
def test_others_are_answered_while_a_large_body_is_worked_on(
    made: Callable[[], bytes], status: int, time_slices: int
) -> None:
    body = made()
    packed = gzip.compress(body, 6)

    async def steps(bench: Bench) -> None:
        async def send() -> Any:
            return await bench.post(packed, **{"Content-Encoding": "gzip"})

        (found, said), count, stall_ms = await while_others_ask(bench, send)
        print(f"{len(packed)} bytes, {len(body)} unpacked: {count} turns of others, longest stall {stall_ms:.0f} ms")
        assert found == status
        assert len(said.get("rejected", ())) <= 1000
        assert count >= time_slices

    bench = Bench().run(steps)
    assert len(bench.publisher.records) == (50_000 if status == 202 else 0)


@pytest.mark.slow
def test_a_webhook_of_many_tasks_is_worked_on_in_turns() -> None:
    project = fixture("0009")["project"]
    webhook = {"action": "TASKS_CREATED", "project": project, "tasks": [_task(n) for n in range(20_000)]}
    body = json.dumps(webhook)

    async def steps(bench: Bench) -> None:
        (found, _), count, stall_ms = await while_others_ask(bench, lambda: bench.hook(body))
        print(f"{len(body)} bytes of webhook: {count} turns of others, longest stall {stall_ms:.0f} ms")
        assert found in (200, 202)
        assert count >= 10

    Bench().run(steps)


def _task(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "created_at": "2026-11-23T10:00:00Z",
        "overlap": 1,
        "project": 1,
        "data": {"text": "x" * 400, "queue": "q"},
    }


def test_a_large_webhook_says_the_same_as_a_small_one() -> None:
    ours = LabelStudioSettings()
    for name in ("0009", "0014", "0015"):
        webhook = {"unknown": ["x" * 100], **fixture(name)}
        found = asyncio.run(reduced(json.dumps(webhook).encode()))
        assert found == distill(webhook, ours)
    parts = [
        {},
        {"tasks": [1, {"id": 2}]},
        {"task": None, "tasks": [{"id": 2}]},
        {"annotations": None},
        {"annotation": "x"},
        {"annotations": [None] * 70},
    ]
    for part in parts:
        webhook = {"action": "x", **part}
        assert asyncio.run(reduced(json.dumps(webhook).encode())) == distill(webhook, ours)
    for body in (b"[1]", b'{"action": 5}'):
        with pytest.raises(BadWebhook) as fault:
            asyncio.run(reduced(body))
        with pytest.raises(BadWebhook, match=re.escape(str(fault.value))):
            distill(json.loads(body), ours)


def test_a_task_of_more_values_than_can_be_decoded_in_one_turn_is_read_without_them() -> None:
    body = b'{"action": "TASKS_CREATED", "tasks": [{"id": [' + b"1," * 400_000 + b"1]}]}"

    async def steps(bench: Bench) -> None:
        status, said = await bench.hook(body.decode())
        assert (status, [one["field"] for one in said["problems"]]) == (200, ["$.tasks[0].id"])

    Bench().run(steps)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(alphabet='a{}[],"\\é \n', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(alphabet='a,{"', max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=size(80, 500), deadline=None)
@given(
    values=st.lists(json_values, max_size=40),
    indent=st.sampled_from([None, 1]),
    window=st.sampled_from([8, 32, 100]),
    damage=st.none() | st.tuples(st.integers(0, 2000), st.sampled_from(list(b'x"{}[],'))),
    media=st.sampled_from(["application/json", "application/x-ndjson", "application/cloudevents-batch+json"]),
)
def test_in_slices_it_is_split_as_it_is_at_once(
    values: list[Any], indent: int | None, window: int, damage: tuple[int, int] | None, media: str
) -> None:
    body = json.dumps(values, indent=indent, ensure_ascii=False).encode()
    if media.endswith("ndjson"):
        body = b"\n".join(json.dumps(value).encode() for value in values)
    if damage and body:
        place = damage[0] % len(body)
        body = body[:place] + bytes([damage[1]]) + body[place + 1 :]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gateway.time_slices, "WINDOW_BYTES", window)
        found = asyncio.run(sliced(body, media, 10_000))
    at_once = split(body, media)
    if isinstance(at_once, Refusal):
        assert isinstance(found, Refusal)
        assert (found.code, found.field, found.reason) == (at_once.code, at_once.field, at_once.reason)
    else:
        assert not isinstance(found, Refusal)
        assert [(one.number, one.line, one.raw) for one in found] == [(o.number, o.line, o.raw) for o in at_once]


def test_too_many_and_too_complex() -> None:
    with pytest.raises(TooManyItems):
        asyncio.run(sliced(b"[1,2,3]", "application/json", 2))
    with pytest.raises(TooComplex):
        asyncio.run(sliced(b"[[" + b"1," * 300_000 + b"1]]", "application/json", 2))
    whole = asyncio.run(sliced(b"[" + b"\n" * 200_000 + b"{}]", "application/json", 2))
    assert not isinstance(whole, Refusal)
    assert [(one.line, bytes(one.raw)) for one in whole] == [(200_001, b"{}")]
    assert msgspec.json.decode(whole[0].raw) == {}


def test_turns_go_from_sender_to_sender() -> None:
    async def main() -> list[str]:
        queue = SliceScheduler()
        order: list[str] = []

        async def work(sender: str) -> None:
            for _ in range(2):
                await queue.wait(sender)
                order.append(sender)

        tasks = [asyncio.create_task(work(sender)) for sender in "aaab"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return order

    order = asyncio.run(main())
    assert sorted(order) == list("aaaabb")
    assert order[:4].count("b") == 2
