"""POST /v1/events: shapes of bodies, what is refused and why, limits, tokens."""

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.app import build_app
from gateway.authenticator import TokenFault, UnauthenticatedGateway
from gateway.context import Limits
from gateway.settings import GatewaySettings
from gateway.split import split
from streams.adapters.token_buckets import TokenBuckets
from streams.models import acceptance as explain_module
from streams.models.acceptance import Refusal
from tests.gateway.doubles import LocalToolState, MemoryPublisher
from tests.gateway.harness import Bench, label

TOKEN = "a-long-enough-token"
OTHER = "another-long-token"


def lines(*events: Any) -> bytes:
    return b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in events)


TWO = [label("l-1"), label("l-2", "t-2")]


@pytest.mark.parametrize(
    ("body", "media", "count"),
    [
        (lines(TWO[0]), "application/json", 1),
        (lines(TWO[0]), "application/cloudevents+json; charset=utf-8", 1),
        (json.dumps(TWO[0], indent=2).encode(), "application/json", 1),
        (json.dumps(TWO).encode(), "application/json", 2),
        (json.dumps(TWO, indent=2).encode(), "application/cloudevents-batch+json", 2),
        (lines(*TWO), "application/x-ndjson", 2),
        (lines(*TWO) + b"\r\n\n", "application/jsonl", 2),
        (lines(*TWO), "application/json", 2),
        (lines(*TWO), "application/octet-stream", 2),
        (b"[]", "application/json", 0),
    ],
)
def test_one_event_an_array_or_one_a_line(body: bytes, media: str, count: int) -> None:
    async def steps(bench: Bench) -> None:
        status, said = await bench.post(body, media)
        assert (status, said) == (202, {"accepted": count, "rejected_count": 0, "rejected": []})

    bench = Bench().run(steps)
    assert [key for key, _ in bench.publisher.records] == [b"t-1", b"t-2"][:count]
    assert [event["id"] for event in bench.events] == ["e-l-1", "e-l-2"][:count]


def test_the_good_are_published_and_the_bad_told_with_place_and_reason() -> None:
    bad = {**label("l-2"), "type": "floorwatch.label.submited.v1"}

    async def steps(bench: Bench) -> None:
        status, said = await bench.post(lines(label("l-1"), b"", b"{oops", bad, label("l-3")), "application/x-ndjson")
        assert (status, said["accepted"], said["rejected_count"]) == (422, 2, 2)
        first, second = said["rejected"]
        assert (first["index"], first["line"], first["code"], first["field"]) == (1, 3, "not_json", None)
        assert (second["index"], second["line"], second["code"], second["field"]) == (2, 4, "unknown_type", "$.type")
        assert "floorwatch.label.submitted.v1" in second["hint"]
        metrics = await bench.metrics()
        assert metrics['floorwatch_gateway_events_total{outcome="accepted",source_kind="events"}'] == 2
        assert metrics['floorwatch_gateway_events_total{outcome="rejected",source_kind="events"}'] == 2
        assert metrics['floorwatch_gateway_requests_total{route="/v1/events",status="422"}'] == 1
        assert metrics['floorwatch_gateway_request_seconds_count{route="/v1/events"}'] == 1

    bench = Bench().run(steps)
    assert [event["id"] for event in bench.events] == ["e-l-1", "e-l-3"]


def test_an_event_of_a_pretty_array_is_told_with_its_line() -> None:
    body = json.dumps([label("l-1"), {"type": "nonsense"}], indent=1).encode()
    at = body[: body.index(b'{\n  "type": "nonsense"')].count(b"\n") + 1

    async def steps(bench: Bench) -> None:
        _, said = await bench.post(body)
        assert [(one["index"], one["line"]) for one in said["rejected"]] == [(1, at)]

    Bench().run(steps)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b'[{"a": 1}, {oops]', "not_json"),
        (b"[NaN]", "not_json"),
        (b"[" * 200_000, "not_json"),
        (b"\xff\xfe", "not_utf8"),
        (b'"text"', "wrong_type"),
        (b"5", "wrong_type"),
    ],
)
def test_a_body_that_is_no_events_is_told(body: bytes, code: str) -> None:
    async def steps(bench: Bench) -> None:
        status, said = await bench.post(body)
        assert (status, said["accepted"], said["rejected"][0]["code"]) == (422, 0, code)

    assert Bench().run(steps).publisher.records == []


def test_a_declared_batch_is_an_array() -> None:
    found = split(b"{}", "application/cloudevents-batch+json")
    assert isinstance(found, Refusal)
    assert found.code == "wrong_type"


def test_unknown_fields_never_get_any_further() -> None:
    event = label(text="SECRET 1")
    event["data"].update(content="SECRET 2", prediction={"values": [], "explanation": "SECRET 3"})

    async def steps(bench: Bench) -> None:
        assert (await bench.post(event))[0] == 202

    bench = Bench().run(steps)
    assert b"SECRET" not in b"".join(value for _, value in bench.publisher.records)
    assert bench.events[0]["data"]["labeler_id"] == "ana"


def test_limits_of_size_and_time_are_those_of_intake() -> None:
    async def steps(bench: Bench) -> None:
        big = label()
        big["data"]["x"] = "y" * 3000
        future = label(time="2026-11-23T12:00:02Z")
        _, said = await bench.post([big, future, label()])
        assert [one["code"] for one in said["rejected"]] == ["too_large", "future_time"]
        assert said["accepted"] == 1

    Bench(limits=Limits(max_event_bytes=2000, future_ms=1000)).run(steps)


def test_a_long_reason_is_cut_and_no_fault() -> None:
    withdrawn = label(type="floorwatch.label.withdrawn.v1", data={"label_id": "l", "reason": "y" * 1_040_000})

    async def steps(bench: Bench) -> None:
        assert (await bench.post(withdrawn))[0] == 202
        assert len(bench.events[0]["data"]["reason"]) == 256

    Bench().run(steps)


def test_an_event_that_kafka_would_not_take_is_refused_here() -> None:
    shift = {
        "shift_id": "s",
        "from": "2026-11-23T09:00:00Z",
        "to": "2026-11-23T17:00:00Z",
        "labeler_ids": ["y" * 250] * 4140,
    }
    large = label(type="floorwatch.shift.scheduled.v1", data=shift)

    async def steps(bench: Bench) -> None:
        status, said = await bench.post(large)
        assert (status, said["rejected"][0]["code"]) == (422, "too_large")

    Bench().run(steps)


@pytest.mark.parametrize("packed", [False, True])
def test_a_large_body_is_refused_also_when_it_is_packed(packed: bool) -> None:
    body = b" " * 200_000

    async def steps(bench: Bench) -> None:
        headers = {"Content-Encoding": "gzip"} if packed else {}
        status, said = await bench.post(gzip.compress(body) if packed else body, **headers)
        assert (status, said["error"]["code"]) == (413, "too_large")
        status, _ = await bench.post(gzip.compress(lines(*TWO)), **{"Content-Encoding": "gzip"})
        assert status == 202

    Bench(GatewaySettings(max_body_bytes=100_000)).run(steps)


def test_other_media_types_and_methods_are_refused() -> None:
    async def steps(bench: Bench) -> None:
        status, said = await bench.post(label(), "text/html")
        assert (status, said["error"]["code"]) == (415, "unsupported_media_type")
        async with bench.client.get("/v1/events") as answer:
            assert answer.status == 405
        async with bench.client.post("/elsewhere/<script>") as answer:
            assert answer.status == 404
        metrics = await bench.metrics()
        assert metrics['floorwatch_gateway_requests_total{route="other",status="404"}'] == 1

    Bench().run(steps)


def test_a_broker_that_is_away_is_503_and_nothing_is_claimed() -> None:
    async def steps(bench: Bench) -> None:
        bench.publisher.broken = True
        async with bench.client.post("/v1/events", json=label()) as answer:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) >= 1
            assert "broken on purpose" in (await answer.json())["error"]["reason"]
        async with bench.client.get("/readyz") as answer:
            assert (answer.status, (await answer.json())["reasons"]) == (503, ["broken on purpose"])
        async with bench.client.get("/healthz") as answer:
            assert answer.status == 200
        bench.publisher.broken = False
        async with bench.client.get("/readyz") as answer:
            assert answer.status == 200

    Bench().run(steps)


def test_a_broker_that_hangs_is_503_at_the_deadline() -> None:
    async def steps(bench: Bench) -> None:
        bench.publisher.gate = asyncio.Event()
        status, said = await bench.post(label())
        assert (status, said["error"]["code"]) == (503, "unavailable")
        bench.publisher.gate.set()

    Bench(GatewaySettings(publish_timeout_s=0.05)).run(steps)


def test_requests_beyond_the_rate_are_429_until_the_bucket_fills() -> None:
    async def steps(bench: Bench) -> None:
        assert [(await bench.post(label()))[0] for _ in range(3)] == [202, 202, 429]
        async with bench.client.post("/v1/events", json=label()) as answer:
            assert answer.headers["Retry-After"] == "2"
        bench.now_ms += 2000
        assert [(await bench.post(label()))[0] for _ in range(2)] == [202, 429]

    Bench(GatewaySettings(requests_per_s=0.5, burst_requests=2)).run(steps)


def test_each_sender_has_a_bucket_of_its_own_and_a_clock_that_steps_back_gives_nothing() -> None:
    now = [0]
    buckets = TokenBuckets(1.0, 1, lambda: now[0])
    assert [buckets.wait_s("a"), buckets.wait_s("a"), buckets.wait_s("b")] == [0, 1, 0]
    now[0] = -60_000
    assert buckets.wait_s("a") == 1
    now[0] = -59_000
    assert buckets.wait_s("a") == 0
    assert [TokenBuckets(0, 1, lambda: 0).wait_s("a") for _ in range(9)] == [0] * 9


def secured(**changes: Any) -> GatewaySettings:
    sources = {"kul": {"token": TOKEN}, "mnl": {"token": OTHER, "event_sources": ["tool/mnl"]}}
    return GatewaySettings.model_validate({"sources": sources, **changes})


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer wrong-token-x", f"Basic {TOKEN}", TOKEN, "Bearer \xff"])
def test_without_a_token_of_ours_nothing_is_taken(header: str | None) -> None:
    async def steps(bench: Bench) -> None:
        headers = {} if header is None else {"Authorization": header}
        status, said = await bench.post(label(), **headers)
        assert (status, said["error"]["code"]) == (401, "unauthorized")
        assert (await bench.hook({"action": "PROJECT_CREATED"}, **headers))[0] == 401
        async with bench.client.get("/metrics") as answer:
            assert answer.status == 200

    assert Bench(secured()).run(steps).publisher.records == []


def test_a_token_opens_for_its_own_sources_only() -> None:
    async def steps(bench: Bench) -> None:
        ours = {"Authorization": f"Bearer {TOKEN}"}
        theirs = {"Authorization": f"bearer {OTHER}"}
        assert (await bench.post(label(), **ours))[0] == 202
        status, said = await bench.post([label("l-1"), label("l-2", source="tool/mnl-2")], **theirs)
        assert (status, said["accepted"], said["rejected"][0]["code"]) == (422, 1, "foreign_source")
        assert (await bench.hook({"action": "PROJECT_CREATED"}, **ours))[0] == 200
        status, said = await bench.hook({"action": "PROJECT_CREATED"}, **theirs)
        assert (status, said["error"]["code"]) == (403, "foreign_source")

    Bench(secured()).run(steps)


def test_tokens_come_from_files_too_and_faults_of_them_keep_it_from_starting(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    settings = GatewaySettings.model_validate({"sources": {"kul": {"token_file": str(path)}}})

    async def steps(bench: Bench) -> None:
        assert (await bench.post(label(), Authorization=f"Bearer {TOKEN}"))[0] == 202

    Bench(settings).run(steps)
    path.write_text("short")
    with pytest.raises(TokenFault, match="fewer than 8 characters"):
        build(settings)
    path.unlink()
    with pytest.raises(TokenFault, match="gateway.sources.kul.token_file"):
        build(settings)
    twice = {"sources": {"a": {"token": TOKEN}, "b": {"token": TOKEN}}}
    with pytest.raises(TokenFault, match="same token"):
        build(GatewaySettings.model_validate(twice))


def build(settings: GatewaySettings) -> None:
    build_app(settings, MemoryPublisher(), LocalToolState(), lambda: 0)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "gateway.example"])
def test_without_tokens_it_only_listens_on_loopback(host: str) -> None:
    with pytest.raises(UnauthenticatedGateway, match="TOKEN_FILE"):
        build(GatewaySettings(host=host))
    build(secured(host=host))
    build(GatewaySettings(host=host, allow_unauthenticated=True))
    build(GatewaySettings(host="::1"))


def test_a_fault_of_the_gateway_itself_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def steps(bench: Bench) -> None:
        async def broken(_: Any) -> None:
            raise ValueError("SECRET")

        bench.publisher.publish = broken  # type: ignore[method-assign]
        status, said = await bench.post(label())
        assert (status, said["error"]["code"]) == (500, "internal_error")
        assert "SECRET" not in json.dumps(said)

    Bench().run(steps)
    assert "ValueError" in caplog.text
    assert "SECRET" not in caplog.text


def test_what_comes_after_a_thousand_refusals_is_not_explained_and_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The explanation is most of what a refusal costs; the good events behind them are published."""
    explained = 0
    original = explain_module.explain_failure

    def counted(*given: Any) -> Any:
        nonlocal explained
        explained += 1
        return original(*given)

    monkeypatch.setattr(explain_module, "explain_failure", counted)
    bad = [b"1", b"{}", b'{"specversion":"1.0","type":"x"}', json.dumps({**label(), "time": "no"}).encode()]
    good = [json.dumps(label(f"l-{n}", f"t-{n}")).encode() for n in range(5)]
    items = [bad[n % len(bad)] for n in range(3000)]
    for place, one in zip((0, 900, 1500, 2900, 3004), good, strict=True):
        items.insert(place, one)

    async def steps(bench: Bench) -> None:
        status, said = await bench.post(b"[" + b",".join(items) + b"]")
        assert (status, said["accepted"], said["rejected_count"]) == (422, 5, 3000)
        assert len(said["rejected"]) == 1000
        assert "not_told" not in {one["code"] for one in said["rejected"]}

    Bench().run(steps)
    assert explained == 1000


def test_many_rejections_are_counted_and_the_first_are_told() -> None:
    async def steps(bench: Bench) -> None:
        status, said = await bench.post(b"[" + b",".join([b"1"] * 5000) + b"]")
        assert (status, said["rejected_count"], len(said["rejected"])) == (422, 5000, 1000)

    Bench().run(steps)
