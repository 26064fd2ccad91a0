"""The gateway as a process: with the broker away, killed, with broker and Redis back, and stopped politely."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from floorwatch.embedded.child_process import Child, free_port
from floorwatch.embedded.valkey import redis_url, valkey_spec
from gateway.tool_state import RedisToolState, ToolStateUnavailable
from streams.adapters.admin import create_topics
from streams.models.topics import partition_of, topic_specs
from tests.embedded.tansu import read_topic, running_broker
from tests.gateway.harness import label, raw_fixture
from tests.redis_clients import async_client
from tests.waits import until

pytestmark = pytest.mark.servers

ROOT = Path(__file__).parents[2]


class Process:
    """A running ``floorwatch gateway``."""

    def __init__(self, child: asyncio.subprocess.Process, url: str) -> None:
        self.child = child
        self.url = url

    async def hook(self, name: str) -> tuple[int, dict[str, Any]]:
        return await self._post("/v1/hooks/label-studio?source=kul-1", raw_fixture(name).encode())

    async def event(self, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        return await self._post("/v1/events", json.dumps(event).encode())

    async def _post(self, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        async with aiohttp.ClientSession() as session, session.post(self.url + path, data=body) as answer:
            return answer.status, await answer.json(content_type=None)

    async def wait_ready(self) -> None:
        async with aiohttp.ClientSession() as session:

            async def status() -> tuple[int, str]:
                async with session.get(f"{self.url}/readyz") as answer:
                    return answer.status, await answer.text()

            async def ready() -> bool:
                return (await status())[0] == 200

            await until(ready, "the gateway to be ready", progress=status)

    async def end(self, number: signal.Signals) -> int:
        self.child.send_signal(number)
        return await self.child.wait()


@asynccontextmanager
async def gateway(log: Path, env: Mapping[str, str], *arguments: str) -> AsyncIterator[Process]:
    with log.open("ab") as file:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "floorwatch", "gateway", "--port", "0", *arguments),
            cwd=ROOT,
            env={**os.environ, **env},
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
        )
    assert child.stdout is not None
    try:
        line = (await child.stdout.readline()).decode()
        assert line.startswith("gateway at http://"), "see the log of the gateway"
        yield Process(child, line.split()[2])
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


def test_what_was_accepted_survives_kill_9_and_arrives_once_broker_and_redis_are_there(tmp_path: Path) -> None:
    broker_port, redis_port = free_port(), free_port()
    arguments = ["--brokers", f"127.0.0.1:{broker_port}", "--redis", redis_url(redis_port)]
    env = {"FLOORWATCH_GATEWAY__SPOOL_DIR": str(tmp_path / "spool"), "FLOORWATCH_KAFKA__TOPIC_PREFIX": "f."}
    env["FLOORWATCH_GATEWAY__LABEL_STUDIO__CONFIRMATIONS"] = '["ground_truth"]'
    log = tmp_path / "gateway.log"

    async def main() -> None:
        async with gateway(log, env, *arguments) as first:
            for name in ("0009", "0014"):
                status, said = await first.hook(name)
                assert (status, said["status"], said["durable"]) == (202, "waiting", True)
            status, said = await first.event(label(time=datetime.now(UTC).isoformat()))
            assert (status, said["error"]["code"]) == (503, "unavailable")
            await first.end(signal.SIGKILL)
        valkey = Child(valkey_spec(redis_port, tmp_path / "valkey", tmp_path / "valkey.log"))
        await valkey.start()
        try:
            async with running_broker(tmp_path, broker_port) as (_, bootstrap):
                await create_topics({"bootstrap_servers": bootstrap}, topic_specs("f.", 4))
                async with gateway(log, env, *arguments) as second:
                    await second.wait_ready()
                    status, said = await second.hook("0015")
                    assert (status, said["status"]) in [(200, "done"), (202, "waiting")]
                    assert (await second.event(label(time=datetime.now(UTC).isoformat())))[0] == 202
                    assert await second.end(signal.SIGTERM) == 0
                found = await read_topic(bootstrap, "f.raw.v1", 4, 4)
                await check_redis(redis_port)
            kinds = [json.loads(record.value or b"")["type"].split(".", 1)[1] for record in found]
            assert sorted(kinds) == ["audit.completed.v1", *["label.submitted.v1"] * 3]
            assert all(record.partition == partition_of(bytes(record.key or b""), 4) for record in found)
        finally:
            await valkey.stop()

    asyncio.run(main())
    assert "2 webhooks wait in" in log.read_text()
    assert "Traceback" not in log.read_text()


async def check_redis(port: int) -> None:
    """The memory's contract on a real server: all or none of a put, a time to live, damage is unknown."""
    redis = async_client(redis_url(port))
    try:
        keys = [key.decode() async for key in redis.scan_iter()]
        assert {key.split(":")[1] for key in keys} == {"gateway"}
        for key in keys:
            assert 14 * 86_400 < await redis.ttl(key) <= 15 * 86_400
        tool_state = RedisToolState(redis, "x:", 100)
        assert await tool_state.get([]) == {}
        await tool_state.put({})
        await tool_state.put({"a": {"n": 1}, "b": {"v": ["ü"]}})
        assert await tool_state.get(["a", "b", "c"]) == {"a": {"n": 1}, "b": {"v": ["ü"]}}
        await redis.set("x:gateway:a", b"{torn")
        assert await tool_state.get(["a", "b"]) == {"b": {"v": ["ü"]}}
    finally:
        await redis.aclose()


def test_a_redis_that_is_not_there_is_unavailable() -> None:
    async def main() -> None:
        redis = async_client("redis://127.0.0.1:9")
        tool_state = RedisToolState(redis, "x:", 100)
        with pytest.raises(ToolStateUnavailable):
            await tool_state.get(["a"])
        with pytest.raises(ToolStateUnavailable):
            await tool_state.put({"a": {}})
        await redis.aclose()

    asyncio.run(main())


def test_into_the_journal_of_the_embedded_stack(tmp_path: Path) -> None:
    from floorwatch.embedded.frames import MAGIC, parse

    env = {"FLOORWATCH_JOURNAL": str(tmp_path / "journal"), "FLOORWATCH_REDIS__URL": "redis://127.0.0.1:9"}

    async def main() -> None:
        async with gateway(tmp_path / "log", env) as one:
            assert (await one.event(label(time=datetime.now(UTC).isoformat())))[0] == 202
            assert await one.end(signal.SIGINT) == 0

    asyncio.run(main())
    (segment,) = (tmp_path / "journal" / "gateway").glob("*.*")
    (record,) = parse(segment.read_bytes(), len(MAGIC)).records
    assert json.loads(record.value)["id"] == "e-l-1"


@pytest.mark.parametrize(
    ("arguments", "env", "code", "said"),
    [
        (["--host", "0.0.0.0"], {}, 2, "names no token"),
        ([], {"FLOORWATCH_GATEWAY__SOURCES__kul__TOKEN": "short"}, 2, "fewer than 8 characters"),
        ([], {"FLOORWATCH_GATEWAY__SPOOL_DIR": "/proc/nowhere"}, 1, "/proc/nowhere"),
        (
            ["--host", "203.0.113.7"],
            {"FLOORWATCH_GATEWAY__ALLOW_UNAUTHENTICATED": "true"},
            1,
            "gateway.host 203.0.113.7",
        ),
        ([], {"FLOORWATCH_GATEWAY__PROT": "1"}, 2, "prot"),
    ],
)
def test_what_keeps_it_from_starting_is_said(arguments: list[str], env: dict[str, str], code: int, said: str) -> None:
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", "floorwatch", "gateway", "--port", "0", *arguments],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, said.lower() in done.stderr.lower()) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert "short" not in done.stderr.replace("shorter", "")
