"""Answers that are too large to be decoded at once, such as brush masks: reduced in bounded memory, and compared all the same."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from pydantic import SecretStr

import gateway.sources.label_studio.digest
import gateway.sources.label_studio.large
import gateway.sources.label_studio.large_parts
from gateway.settings import GatewaySettings
from gateway.sources.base import Bounds
from gateway.sources.label_studio.digest import digest_of, same
from gateway.sources.label_studio.large import HookStream
from gateway.sources.label_studio.read import distill
from gateway.sources.label_studio.settings import LabelStudioSettings
from tests.gateway.harness import Bench

KEY = "k" * 32
OURS = LabelStudioSettings(digest_key=SecretStr(KEY))
CHOICE = {"from_name": "c", "to_name": "t", "type": "choices", "value": {"choices": ["Spam"]}}


def mask(rle: Any, **value: Any) -> dict[str, Any]:
    held = {"format": "rle", "rle": rle, "brushlabels": ["Face"], **value}
    return {"id": "r1", "from_name": "brush", "to_name": "img", "type": "brushlabels", "value": held}


def webhook(*parts: Any, action: str = "ANNOTATION_CREATED", **changes: Any) -> dict[str, Any]:
    annotation = {
        "id": 7,
        "unique_id": "u-7",
        "created_at": "2026-11-23T10:00:00Z",
        "updated_at": "2026-11-23T10:00:00Z",
        "completed_by": 3,
        "lead_time": 12.5,
        "result": [CHOICE, *parts],
        "was_cancelled": False,
        "task": 5,
        **changes,
    }
    task = {"id": 5, "created_at": "2026-11-23T09:00:00Z", "data": {"queue": "q"}, "project": 1}
    return {"action": action, "annotation": annotation, "task": task, "project": {"id": 1, "title": "Masks"}}


def read(body: bytes, most: int = 131_072) -> tuple[dict[str, Any], int]:
    """Return what is kept of a webhook, and the most bytes that were held."""
    reading = HookStream(OURS, Bounds(16_777_216, 50_000))
    held = 0
    for at in range(0, len(body), most):
        reading.feed(body[at : at + most])
        held = max(held, reading.held_bytes)
    (hook,) = reading.end()
    return json.loads(msgspec.json.encode(hook)), held


def numbers(count: int, seed: int = 1, *, floats: bool = False) -> list[Any]:
    chance = random.Random(seed)
    return [chance.randrange(256) + (0.5 if floats and chance.random() < 0.1 else 0) for _ in range(count)]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let parts of 200 bytes be large."""
    monkeypatch.setattr(gateway.sources.label_studio.large, "_SMALL_BYTES", 0)
    monkeypatch.setattr(gateway.sources.label_studio.large, "WHOLE_BYTES", 200)
    monkeypatch.setattr(gateway.sources.label_studio.large_parts, "WHOLE_BYTES", 200)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("most", [1, 7, 100, 100_000])
@pytest.mark.parametrize(
    "parts",
    [
        [mask(numbers(3000))],
        [mask(numbers(3000, floats=True)), mask(numbers(1000, 2)), mask([1, 2])],
        [mask(numbers(3000)), {"type": "relation", "from_id": "r1", "to_id": "r2"}],
        [{"id": str(n), "type": "labels", "value": {"start": n, "end": n + 1, "labels": ["X"]}} for n in range(40)],
        [mask([1], extra={"of": numbers(2000)})],
        [7, None, "x", [1, 2, 3]],
    ],
    ids=["mask", "masks", "relation", "spans", "deeper", "no parts"],
)
def test_a_large_answer_says_what_it_says_as_a_whole(parts: list[Any], most: int) -> None:
    for hook in (
        webhook(*parts),
        webhook(*parts, action="ANNOTATIONS_CREATED"),
        webhook(*parts, draft={"result": parts}, history=[parts]),
    ):
        found, _ = read(json.dumps(hook).encode(), most)
        assert found == json.loads(msgspec.json.encode(distill(hook, OURS)))


@pytest.mark.slow
def test_a_mask_of_twenty_megabytes_is_compared_in_little_memory() -> None:
    def body(last: int) -> bytes:
        return json.dumps(webhook(mask([*numbers(5_500_000), last]))).encode()

    one, other = body(1), body(2)
    assert len(one) > 20_000_000
    tracemalloc.start()
    found, held = read(one)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    print(f"{len(one)} bytes: at most {held} held of it, {most} bytes of memory")
    assert held < 600_000
    assert most < 12_000_000
    kept = found["annotations"][0]
    assert kept["result"][0]["value"] == {"choices": ["Spam"]}
    assert kept["digest"] == digest_of(json.loads(one)["annotation"]["result"][1:], KEY.encode())
    changed = read(other)[0]["annotations"][0]["digest"]
    assert same(kept["digest"], kept["digest"]) is True
    assert same(kept["digest"], changed) is False


def test_a_short_list_keeps_its_digest_and_a_long_one_has_another_version() -> None:
    """What was compared before there were hashes of lists is compared as before; digests of long lists are of version 2."""
    short = digest_of([mask(numbers(999))], KEY.encode())
    long = digest_of([mask(numbers(1000))], KEY.encode())
    assert (short[:2], long[:2]) == ("1.", "2.")
    assert same(short, long) is None
    assert digest_of([mask([7.0, *numbers(1000)])], KEY.encode()) == digest_of(
        [mask([7, *numbers(1000)])], KEY.encode()
    )


def test_many_parts_of_one_region_are_compared_in_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each part is taken with the whole of its region: 1,000 of one region would be 1,000 times as much."""
    key = KEY.encode()
    parts = [mask([n, n, n]) for n in range(1000)]
    related = [*parts, *({"type": "relation", "from_id": "r1", "to_id": "r1"} for _ in range(100))]
    tracemalloc.start()
    found = [digest_of(some, key) for some in (parts, list(reversed(parts)), related)]
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 20_000_000
    assert found[0] == found[1]
    assert [one[:2] for one in found] == ["2.", "2.", "2."]
    other = [{**parts[0], "id": "r2"}, *parts[1:]]
    changed = [mask([9, 9, 9, 9]), *parts[1:]]
    assert len({found[0], found[2], digest_of(other, key), digest_of(changed, key)}) == 4
    few = digest_of(parts[:20], key)
    monkeypatch.setattr(gateway.sources.label_studio.digest, "MOST_NAMED", 0)
    assert (few[:2], digest_of(parts[:20], key)[:2]) == ("1.", "2.")


def endless(name: str) -> Iterator[bytes]:
    yield json.dumps(webhook()).split('"result"')[0].encode() + b'"result": ['
    if name == "many parts":
        yield b",".join([json.dumps(mask([1, 2, 3])).encode()] * 40_000)
    elif name == "points":
        yield json.dumps(mask([[n, n] for n in range(400_000)])).encode()
    elif name == "deep":
        yield b'{"value": {"a": [{"rle": [' + b"1," * 400_000 + b"1]}]}}"
    yield b'], "task": 5}, "task": {"id": 5, "created_at": "2026-11-23T09:00:00Z", "project": 1}}'


@pytest.mark.slow
@pytest.mark.parametrize("name", ["many parts", "points", "deep"])
def test_what_cannot_be_compared_is_a_label_all_the_same(name: str) -> None:
    """Its digest is left out: a review of it has no verdict, and is not taken for an equal answer."""
    body = b"".join(endless(name))
    found, held = read(body)
    kept = found["annotations"][0]
    assert "digest" not in kept
    assert kept["other_results"] > 0
    assert held < 12_000_000

    async def steps(bench: Bench) -> None:
        status, said = await bench.hook(body.decode())
        assert (status, said["events"], said["problems"]) == (200, 1, []), said

    bench = Bench(GatewaySettings(label_studio=OURS)).run(steps)
    assert bench.events[-1]["type"] == "floorwatch.label.submitted.v1"


def test_a_task_with_a_large_series_is_a_task() -> None:
    hook = webhook(action="TASKS_CREATED")
    del hook["annotation"]
    hook["tasks"] = [hook.pop("task"), {"id": 6, "created_at": "2026-11-23T09:00:00Z", "data": {"lang": "ms"}}]
    hook["tasks"][1]["data"]["series"] = [{"t": n, "v": [n, n]} for n in range(150_000)]
    body = json.dumps(hook).encode()
    found, held = read(body)
    assert found["tasks"] == distill(hook, OURS)["tasks"]
    assert held < 1_000_000 < len(body)
