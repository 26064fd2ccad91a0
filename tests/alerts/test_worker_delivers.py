"""A real worker process, a real Valkey, real HTTP receivers: whatever is wrong with one channel is told, and the others deliver.

The worker's broker is away all along: alerts that wait in the outbox are delivered without it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from redis.asyncio import Redis
from typer.testing import CliRunner

from alerts.outbox import Outbox
from floorwatch.cli.config_cmd import config_app
from floorwatch.cli.doctor_alerts import alert_checks
from floorwatch.embedded.servers import Servers, clean_environment, free_port, stop, worker_command
from floorwatch.settings.load import load
from streams.notify import clock_ms
from tests.alerts.receiver import Receiver, receiving
from tests.alerts.test_outbox import note
from tests.redis_clients import async_client

PATIENCE_S = 60.0
"""Bound of each wait: far above what any takes, so that a test on a busy machine is slow and does not fail."""

NO_APPRISE = 'raise ModuleNotFoundError("No module named \'apprise\'", name="apprise")\n'


@dataclass
class Running:
    """A worker and what it talks to."""

    http: aiohttp.ClientSession
    address: str
    outbox: Outbox
    redis: Redis
    config: Path
    servers: Servers

    async def get(self, path: str) -> tuple[int, str]:
        async with self.http.get(self.address + path) as answer:
            return answer.status, await answer.text()

    async def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((await self.get("/statusz?format=json"))[1])
        return found

    async def channel(self, name: str) -> dict[str, Any]:
        channels = (await self.status())["notifications"]["channels"]
        return next(one for one in channels if one["name"] == name)

    async def sample(self, name: str, channel: str) -> float:
        found = re.search(rf'^{name}{{channel="{channel}"}} (\S+)$', (await self.get("/metrics"))[1], re.MULTILINE)
        return -1.0 if found is None else float(found[1])

    @property
    def log(self) -> str:
        return self.servers.log_tail("worker", 10_000)


async def until(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not await true():  # noqa: ASYNC110 - another process makes it so
            await asyncio.sleep(0.1)


def write(path: Path, redis_url: str, alerts: dict[str, Any], port: int = 0) -> Path:
    sections = {
        "kafka": {"brokers": ["127.0.0.1:1"]},
        "redis": {"url": redis_url},
        "metrics": {"port": port},
        "alerts": {"rules": [], **alerts},
    }
    path.write_text(yaml.safe_dump(sections))
    return path


@asynccontextmanager
async def worker(
    redis_url: str, folder: Path, alerts: dict[str, Any], *, without_apprise: bool = False
) -> AsyncIterator[Running]:
    """Start a worker and wait until it serves."""
    port = free_port()
    env = clean_environment()
    if without_apprise:
        (folder / "apprise.py").write_text(NO_APPRISE)
        env["PYTHONPATH"] = str(folder)
    servers = Servers(folder)
    config = write(folder / "f.yaml", redis_url, alerts, port)
    process = servers.start("worker", worker_command(config), env)
    redis = async_client(redis_url)
    try:
        async with aiohttp.ClientSession() as http:
            found = Running(http, f"http://127.0.0.1:{port}", Outbox(redis, clock_ms), redis, config, servers)

            async def serves() -> bool:
                assert process.poll() is None, found.log
                try:
                    return (await found.get("/healthz"))[0] == 200
                except aiohttp.ClientError:
                    return False

            await until(serves)
            yield found
            assert process.poll() is None, found.log
    finally:
        await redis.aclose()
        await asyncio.to_thread(stop, process)


def checked(config: Path) -> str:
    result = CliRunner().invoke(config_app, ["check", str(config)])
    assert result.exit_code == 1
    return result.output


async def doctor(config: Path) -> dict[str, tuple[str, str]]:
    return {one.name: (one.status, one.detail) for one in await alert_checks(load(config, {}, channels="tolerated"))}


@pytest.mark.parametrize("case", ["missing package", "wrong scheme", "no host", "unreadable file", "misspelt setting"])
def test_a_channel_that_cannot_work_is_told_and_the_others_deliver(
    case: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel, place, said = {
        "missing package": ({"type": "apprise", "url": "json://127.0.0.1"}, "type", "apprise is not installed"),
        "wrong scheme": ({"type": "apprise", "url": "slakc://a/b/c"}, "url", "knows no service slakc"),
        "no host": ({"type": "webhook", "url": "https://"}, "url", "has no host"),
        "unreadable file": ({"type": "webhook", "url_file": "/nowhere/ops.url"}, "url_file", "cannot be read"),
        "misspelt setting": (
            {"type": "webhook", "url": "https://h.example", "timeout": 5},
            "timeout",
            "no such setting",
        ),
    }[case]
    missing = case == "missing package"

    async def main() -> None:
        async with receiving(Receiver()) as receiver:
            alerts = {
                "channels": {"bad": channel, "good": {"type": "webhook", "url": receiver.url}},
                "routes": {"default": ["bad", "good"]},
            }
            async with worker(redis_url, tmp_path, alerts, without_apprise=missing) as running:
                await running.outbox.enqueue(note())

                async def delivered() -> bool:
                    return receiver.accepted == ["k1:open:good"]

                await until(delivered)
                shown = await running.channel("bad")
                assert (shown["usable"], shown["dead"], shown["waiting"]) == (False, 0, 1)
                assert said in shown["why_not"]
                assert await running.sample("floorwatch_notification_channel_usable", "bad") == 0
                assert await running.sample("floorwatch_notification_channel_usable", "good") == 1
                assert "ALERTS ARE NOT DELIVERED AS CONFIGURED" in running.log
                assert said in running.log
                if missing:
                    monkeypatch.setitem(__import__("sys").modules, "apprise", None)
                found = await doctor(running.config)
                assert any(
                    status == "fail" and "bad" in name and said in text for name, (status, text) in found.items()
                )
        told = checked(tmp_path / "f.yaml")
        assert re.search(rf"f\.yaml:\d+:\d+: alerts\.channels\.bad\.{place}: .*{said}", told)

    asyncio.run(main())


def test_an_empty_route_is_told_and_what_waits_for_it_is_delivered_once_it_is_mended(
    redis_url: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with receiving(Receiver()) as receiver:
            channels = {"good": {"type": "webhook", "url": receiver.url}}
            empty = {"channels": channels, "routes": {"default": [], "lead": ["good"]}}
            async with worker(redis_url, tmp_path, empty) as running:
                await running.outbox.enqueue(note("k1:open"))
                await running.outbox.enqueue(note("k2:open", route="lead"))

                async def delivered() -> bool:
                    return receiver.accepted == ["k2:open:good"]

                await until(delivered)
                assert "alerts.routes.default has no channel" in running.log
                assert "alerts.routes.default has no channel" in (await running.status())["notifications"]["faults"][0]
                assert (await running.channel("(no channel)"))["waiting"] == 1
                assert re.search(
                    r"^floorwatch_notification_routes_silent 1\.0$", (await running.get("/metrics"))[1], re.MULTILINE
                )
                assert (await doctor(running.config))["alerts.routes.default"][0] == "fail"
            assert re.search(r"f\.yaml:\d+:\d+: alerts\.routes\.default: has no channel", checked(tmp_path / "f.yaml"))
            async with worker(redis_url, tmp_path, {"channels": channels, "routes": {"default": ["good"]}}):

                async def both() -> bool:
                    return receiver.accepted == ["k2:open:good", "k1:open:good"]

                await until(both)

    asyncio.run(main())


def test_a_dead_receiver_is_a_metric_in_status_and_doctor_and_does_not_make_the_worker_unready(
    redis_url: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with receiving(Receiver()) as receiver:
            alerts = {
                "channels": {
                    "good": {"type": "webhook", "url": receiver.url},
                    "down": {"type": "webhook", "url": f"http://127.0.0.1:{free_port()}/s3cret"},
                },
                "routes": {"default": ["down", "good"]},
            }
            async with worker(redis_url, tmp_path, alerts) as running:
                await running.outbox.enqueue(note())

                async def failed() -> bool:
                    return await running.sample("floorwatch_notification_failures_total", "down") > 0

                await until(failed)

                async def shown() -> bool:
                    return await running.sample("floorwatch_notifications_waiting", "down") == 1

                await until(shown)
                assert receiver.accepted == ["k1:open:good"]
                channel = await running.channel("down")
                assert channel["failing_since"] is not None
                assert "no connection" in channel["last_failure_reason"]
                assert (await running.channel("good"))["last_success"] is not None
                assert "down" in (await running.get("/statusz"))[1]
                status, text = (await doctor(running.config))["channel down"]
                assert status == "warn"
                assert "no connection" in text
                assert "background" not in (await running.get("/readyz"))[1]
                assert "s3cret" not in running.log + (await running.get("/statusz"))[1]

    asyncio.run(main())


@pytest.mark.slow
def test_a_part_of_the_notifier_that_crashes_turns_readyz_red_and_comes_back(redis_url: str, tmp_path: Path) -> None:
    """A key of the wrong type makes Redis refuse what that part asks, however often it is started again."""

    async def main() -> None:
        async with receiving(Receiver()) as receiver:
            hooks = {name: {"type": "webhook", "url": receiver.url} for name in ("ops", "good")}
            alerts = {"channels": hooks, "routes": {"default": ["good"], "ops": ["ops"]}}
            async with worker(redis_url, tmp_path, alerts) as running:
                assert "background" not in (await running.get("/readyz"))[1]
                await running.redis.set("floorwatch:{outbox}:due:ops", "no zset")

                async def crashed() -> bool:
                    return "background task notifier: channel ops failed" in running.log

                await until(crashed)

                async def red() -> bool:
                    status, text = await running.get("/readyz")
                    return status == 503 and "background task notifier: channel ops has been down" in text

                await until(red)
                await running.outbox.enqueue(note())

                async def delivered() -> bool:
                    return receiver.accepted == ["k1:open:good"]

                await until(delivered)
                states = {one["name"]: one for one in (await running.status())["background_tasks"]}
                assert states["notifier: channel ops"]["restarts"] > 0
                assert states["notifier: channel good"]["down_s"] is None
                await running.redis.delete("floorwatch:{outbox}:due:ops")
                await running.outbox.enqueue(note("k2:open", route="ops"))

                async def again() -> bool:
                    return receiver.accepted[-1] == "k2:open:ops" and not await red()

                await until(again)

    asyncio.run(main())


def test_a_worker_killed_while_it_sends_leaves_the_notification_to_the_next(redis_url: str, tmp_path: Path) -> None:
    async def main() -> None:
        receiver = Receiver()
        begun, go_on = asyncio.Event(), asyncio.Event()
        receiver.before_answer = lambda: _held(begun, go_on)
        async with receiving(receiver):
            alerts = {"channels": {"ops": {"type": "webhook", "url": receiver.url}}, "routes": {"default": ["ops"]}}
            servers = Servers(tmp_path)
            config = write(tmp_path / "f.yaml", redis_url, alerts)
            redis = async_client(redis_url)
            outbox = Outbox(redis, clock_ms)
            await outbox.enqueue(note())
            first = servers.start("first", worker_command(config), clean_environment())
            await asyncio.wait_for(begun.wait(), PATIENCE_S)
            first.kill()
            await asyncio.to_thread(first.wait)
            go_on.set()
            # Its lease still runs for a minute: here it ends at once.
            await redis.zadd("floorwatch:{outbox}:due:ops", {"k1:open": 0})
            second = servers.start("second", worker_command(config), clean_environment())

            async def sent() -> bool:
                return await redis.hget("floorwatch:{outbox}:item:k1:open", "state") == b"done"

            await until(sent)
            await redis.aclose()
            await asyncio.to_thread(stop, second)
            assert {headers["Idempotency-Key"] for headers, _, _ in receiver.seen} == {"k1:open:ops"}
            assert len(receiver.seen) == 2

    asyncio.run(main())


async def _held(begun: asyncio.Event, go_on: asyncio.Event) -> None:
    begun.set()
    await go_on.wait()
