"""Webhooks of whole projects: reduced while they arrive, in memory that does not grow with them."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gateway.json_stream
import gateway.sources.label_studio.large
from gateway.context import GATEWAY
from gateway.json_stream import JsonStream, TooLargePart
from gateway.settings import GatewaySettings
from gateway.sources.base import Bounds, TooManyParts
from gateway.sources.label_studio.large import HookStream
from gateway.sources.label_studio.read import distill
from gateway.sources.label_studio.settings import LabelStudioSettings
from gateway.time_slices import TooComplex
from gateway.webhooks import BadWebhook
from tests.gateway.harness import Bench
from tests.gateway.raw import head, raw
from tests.support import size
from tests.waits import until

OURS = LabelStudioSettings()
PROJECT = {"id": 1, "title": "Posts", "skip_queue": "IGNORE_SKIPPED", "parsed_label_config": {"c": {"type": "Choices"}}}
BOUNDS = Bounds(1_000_000, 50_000)


def task(number: int, text: str = "x" * 2400) -> dict[str, Any]:
    """A task as Label Studio sends it, about 3 KB."""
    return {
        "id": number,
        "created_at": "2026-11-23T10:00:00.000000Z",
        "updated_at": "2026-11-23T10:00:00.000000Z",
        "overlap": 1,
        "project": 1,
        "inner_id": number,
        "total_annotations": 0,
        "cancelled_annotations": 0,
        "total_predictions": 0,
        "comment_authors": [],
        "file_upload": 3,
        "meta": {},
        "data": {"text": text, "queue": "q", "lang": "ms"},
    }


def webhook(count: int, text: str = "x" * 2400) -> dict[str, Any]:
    return {"action": "TASKS_CREATED", "tasks": [task(number, text) for number in range(count)], "project": PROJECT}


def read(pieces: Iterator[bytes], bounds: Bounds = BOUNDS) -> tuple[Any, int]:
    """Return what is kept of a webhook that comes in pieces, in one, and the most bytes that were held."""
    reading = HookStream(OURS, bounds)
    most = 0
    for piece in pieces:
        reading.feed(piece)
        most = max(most, reading.held_bytes)
    parts = json.loads(msgspec.json.encode(reading.end()))
    whole = {name: held for name, held in parts[0].items() if name != "first"}
    if len(parts) > 1:
        assert [part["first"] for part in parts[1:]] == [
            sum(len(one["tasks"]) for one in parts[: number + 1]) for number in range(len(parts) - 1)
        ]
        whole["tasks"] = [one for part in parts for one in part["tasks"]]
    return whole, most


def cut(body: bytes, most: int, seed: int = 0) -> Iterator[bytes]:
    chance = random.Random(seed)
    at = 0
    while at < len(body):
        end = at + chance.randint(1, most)
        yield body[at:end]
        at = end


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet='a{}[],:"\\é \n\U0001f600', max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "data", "queue", "result", "overlap", 'a,{"']), inner, max_size=4)
    ),
    max_leaves=10,
)
NAMES = ("action", "project", "task", "tasks", "annotation", "annotations", "review", "reviews", "other")


@pytest.mark.slow
@settings(max_examples=size(300, 3000), deadline=None)
@given(
    members=st.lists(st.tuples(st.sampled_from(NAMES), values | st.lists(values, max_size=9)), max_size=7),
    action=st.integers(0, 7),
    indent=st.sampled_from([None, 1]),
    most=st.sampled_from([1, 3, 50, 5000]),
    damage=st.none() | st.tuples(st.integers(0, 2000), st.sampled_from(list(b'x"{}[],:\\ 1-.e'))),
    ascii_only=st.booleans(),
    seed=st.integers(0, 9),
)
def test_in_pieces_it_says_what_it_says_as_a_whole(
    members: list[tuple[str, Any]],
    action: int,
    indent: int | None,
    most: int,
    damage: tuple[int, int] | None,
    ascii_only: bool,
    seed: int,
) -> None:
    """Names in any order, also twice, with any damage: the same is kept, or both refuse it."""
    members.insert(min(action, len(members)), ("action", "TASKS_CREATED"))
    text = ",\n".join(
        f"{json.dumps(name)} : {json.dumps(value, indent=indent, ensure_ascii=ascii_only)}" for name, value in members
    )
    body = f" {{ {text} }} ".encode()
    if damage:
        place = damage[0] % len(body)
        body = body[:place] + bytes([damage[1]]) + body[place + 1 :]
    refusals = (msgspec.DecodeError, UnicodeDecodeError, BadWebhook)
    expected: Any = None
    with suppress(*refusals):
        expected = json.loads(msgspec.json.encode(distill(msgspec.json.decode(body), OURS)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gateway.sources.label_studio.large, "_SMALL_BYTES", 0)
        patch.setattr(gateway.sources.label_studio.large, "_AT_ONCE", 2)
        try:
            found = read(cut(body, most, seed))[0]
        except refusals:
            found = None
    if expected is None and found is not None:
        msgspec.json.decode(body, type=msgspec.Raw)  # of what is not kept only its form is looked at
    else:
        assert found == expected


@pytest.mark.slow
def test_sixty_megabytes_take_no_more_memory_than_what_is_kept() -> None:
    """20,000 tasks of 3 KB: a piece, one task and what is kept of the others, whatever their names' order."""
    count = 20_000

    def pieces() -> Iterator[bytes]:
        begin = json.dumps({"project": PROJECT, "tasks": []}).encode().removesuffix(b"]}")
        held = begin
        for number in range(count):
            held += json.dumps(task(number)).encode() + b"," * (number + 1 < count)
            while len(held) >= 65_536:
                yield held[:65_536]
                held = held[65_536:]
        yield held + b'], "action": "TASKS_CREATED"}'

    tracemalloc.start()
    reading = HookStream(OURS, BOUNDS)
    total = 0
    for piece in pieces():
        total += len(piece)
        reading.feed(piece)
    most = tracemalloc.get_traced_memory()[1]
    parts = reading.end()
    tracemalloc.stop()
    kept = sum(len(bytes(part["tasks"])) for part in parts)
    print(f"{total} bytes came, {kept} are kept, at most {most} were held")
    assert total > 50_000_000
    assert most < kept + 1_500_000
    assert {part["action"] for part in parts} == {"TASKS_CREATED"}
    assert sum(len(json.loads(bytes(part["tasks"]))) for part in parts) == count


def endless(begin: bytes, piece: bytes, pieces: int) -> Iterator[bytes]:
    yield begin
    for _ in range(pieces):
        yield piece


@pytest.mark.parametrize(
    ("pieces", "refusal"),
    [
        (lambda: endless(b'{"action": "X", "tasks": [{"id": "', b"x" * 65_536, 1024), TooLargePart),
        (lambda: endless(b'{"action": "', b"x" * 65_536, 1024), TooLargePart),
        (lambda: endless(b'{"action": "X", "other": "', b"x" * 65_536, 1024), TooLargePart),
        (lambda: endless(b'{"action": "X", "tasks": [[', b"1," * 32_768, 1024), msgspec.DecodeError),
        (lambda: endless(b'{"action": "X", "tasks": [[{}', b",{}" * 20_000, 1024), TooComplex),
        (lambda: endless(b'{"action": "X", "tasks": [{"data": [[""', b',""' * 20_000, 1024), TooComplex),
        (
            lambda: endless(b'{"action": "X", "annotation": {"result": [', b'[["' + b"x" * 65_000 + b'"],', 1024),
            TooComplex,
        ),
        (lambda: endless(b'{"action": "X", "tasks": [', b"[" * 65_536, 1024), RecursionError),
        (lambda: endless(b"[" * 65_536, b"[" * 65_536, 1024), RecursionError),
        (lambda: endless(b'{"action": "X", "tasks": [{}', b",{}" * 20_000, 1024), TooManyParts),
        (lambda: endless(b'{"action": "X", "tasks": [1', b",1" * 30_000, 1024), TooManyParts),
        (lambda: endless(b'{"action": "X", "other": 1' + b" " * 70_000, b"}{", 1), msgspec.DecodeError),
        (lambda: endless(b'{"action": "X"' + b" " * 70_000, b'}, {"tasks": []}', 1), msgspec.DecodeError),
        (lambda: endless(b'{"action": "X", "tasks": [' + b" " * 70_000, b"{} {}", 2), msgspec.DecodeError),
    ],
    ids=[
        "text",
        "action",
        "unknown",
        "numbers",
        "objects",
        "texts",
        "nests",
        "depth",
        "no object",
        "tiny",
        "ones",
        "two",
        "list",
        "comma",
    ],
)
def test_what_has_no_end_is_refused_before_it_is_held(
    pieces: Any, refusal: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway.json_stream, "_MOST_SKIPPED", 20_000)
    reading = HookStream(OURS, BOUNDS)
    held = 0

    def feed() -> None:
        nonlocal held
        for piece in pieces():
            reading.feed(piece)
            held = max(held, reading.held_bytes)
        reading.end()

    with pytest.raises(refusal):
        feed()
    assert held < 2 * BOUNDS.part_bytes + 200_000


def test_white_space_is_not_held() -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"action": "TASKS_CREATED",'
        yield from [b" \n" * 32_768] * 500
        yield b'"tasks": [{"id": 1}]}'

    found, held = read(pieces())
    assert found["tasks"] == [{"id": 1}]
    assert held < 140_000


def test_a_large_value_is_not_read_again_with_each_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    read_bytes = 0
    skipped = JsonStream._skipped

    def counted(self: JsonStream, length: int) -> int | None:
        nonlocal read_bytes
        read_bytes += length
        return skipped(self, length)

    monkeypatch.setattr(JsonStream, "_skipped", counted)
    body = json.dumps({"action": "X", "tasks": [{"id": 1, "data": {"text": "x" * 900_000}}]}).encode()
    found, _ = read(cut(body, 9000))
    assert found["tasks"] == [{"id": 1, "data": {}}]
    assert read_bytes < 6 * len(body)


# -- through the gateway -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_five_thousand_tasks_of_three_kilobytes_are_taken(packed: bool) -> None:
    body = json.dumps(webhook(6000, "x" * 2700)).encode()
    assert len(body) > GatewaySettings().max_body_bytes
    headers = {"Content-Encoding": "gzip"} if packed else {}

    async def steps(bench: Bench) -> None:
        sent = gzip.compress(body, 1) if packed else body
        async with bench.client.post("/v1/hooks/label-studio", data=sent, headers=headers) as answer:
            said = await answer.json()
            assert (answer.status, said["events"], said["problems"]) == (200, 6000, []), said

    bench = Bench().run(steps)
    assert [one["subject"] for one in bench.events] == [f"ls-1-{number}" for number in range(6000)]


def test_a_large_webhook_of_which_little_is_kept() -> None:
    async def steps(bench: Bench) -> None:
        status, said = await bench.hook(webhook(1, "x" * 100_000))
        assert (status, said["events"]) == (200, 1)

    Bench().run(steps)


def test_a_bad_task_among_thousands_is_told_by_its_place() -> None:
    asked = webhook(3000)
    asked["tasks"][2345] = 7
    del asked["tasks"][2500]["created_at"]

    async def steps(bench: Bench) -> None:
        status, said = await bench.hook(asked)
        assert (status, said["events"]) == (200, 2998)
        assert [one["field"] for one in said["problems"]] == ["$.tasks[2345]", "$.tasks[2500].created_at"]

    assert len(Bench().run(steps).dead) == 2


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"max_hook_bytes": 100_000}, "too_large"), ({"max_events": 50}, "too_many_events"), ({}, "not_json")],
)
def test_what_is_refused_is_refused_whole(changes: dict[str, Any], code: str) -> None:
    body = json.dumps(webhook(100))
    body = body.removesuffix("}") if code == "not_json" else body

    async def steps(bench: Bench) -> None:
        status, said = await bench.hook(body)
        assert (status, said["error"]["code"]) == (400 if code == "not_json" else 413, code)
        assert (await bench.hook(webhook(2)))[0] == 200
        hooks = bench.app[GATEWAY].hooks
        assert (hooks.body_bytes.held, hooks.requests.held) == (0, 0)

    bench = Bench(GatewaySettings.model_validate(changes)).run(steps)
    assert len(bench.events) == 2


def test_the_deadline_begins_when_the_body_has_come(tmp_path: Path) -> None:
    """A body that takes longer than the deadline is kept, and answered within the deadline from its end."""
    body = json.dumps(webhook(50)).encode()

    async def steps(bench: Bench) -> None:
        now_s = asyncio.get_running_loop().time
        bench.publisher.gate = asyncio.Event()
        async with raw(bench.url) as one:
            await one.send(head("/v1/hooks/label-studio", token=None, length=len(body)) + body[:70_000])
            began_s = now_s()
            await until(lambda: now_s() > began_s + 0.4, "more than the deadline to pass")
            await one.send(body[70_000:])
            status, said = await one.answer()
            assert (status, said["status"]) == (202, "waiting")
        bench.publisher.gate.set()
        await until(lambda: len(bench.events) == 50, "the tasks")

    Bench(GatewaySettings(hook_deadline_s=0.3, spool_dir=tmp_path)).run(steps)


@pytest.mark.slow
def test_many_at_once_hold_little() -> None:
    """Thirty webhooks of 6 MB each, cut short of their end: together they hold less than one of them is long."""
    body = json.dumps(webhook(2000)).encode()

    async def steps(bench: Bench) -> None:
        gate = asyncio.Event()
        sent = 0

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal sent
            for at in range(0, len(body) - 1, 100_000):
                yield body[at : min(at + 100_000, len(body) - 1)]
            sent += 1
            await gate.wait()
            yield body[-1:]

        async def send() -> int:
            async with bench.client.post("/v1/hooks/label-studio", data=pieces()) as answer:
                return int(answer.status)

        asking = [asyncio.create_task(send()) for _ in range(30)]
        pool = bench.app[GATEWAY].hooks
        most = 0

        def arrived() -> bool:
            nonlocal most
            most = max(most, pool.body_bytes.held)
            return sent == 30

        await until(arrived, "all but the last byte of each")
        print(f"30 webhooks of {len(body)} bytes hold at most {most}")
        assert most < 30 * 2000 * 400
        assert (await bench.hook(webhook(2)))[0] == 200
        gate.set()
        assert await asyncio.gather(*asking) == [200] * 30
        assert pool.body_bytes.held == 0

    assert len(Bench().run(steps).events) == 30 * 2000 + 2
