"""``floorwatch doctor`` against closed ports, garbage, an embedded broker and an embedded Valkey."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import typer
from pydantic import SecretStr
from typer.testing import CliRunner

from config.redis import RedisSettings
from floorwatch.cli import doctor_kafka, doctor_redis
from floorwatch.cli.doctor import as_text, diagnose, disk_check, doctor, grant_checks, port_check
from floorwatch.cli.doctor_check import Check
from floorwatch.embedded.servers import Servers, free_port
from floorwatch.settings.load import loads
from streams.adapters.admin import create_topics
from streams.models.topics import TopicSpec, topic_specs
from tests.redis_clients import async_client

Found = dict[str, Check]


async def findings(tmp_path: Path, env: dict[str, str], path: Path | None = None) -> Found:
    return {check.name: check for check in await diagnose(path, env, tmp_path)}


def pointed_at(kafka_port: int, redis_port: int) -> dict[str, str]:
    return {
        "FLOORWATCH_KAFKA__BROKERS": f"127.0.0.1:{kafka_port}",
        "FLOORWATCH_REDIS__URL": f"redis://127.0.0.1:{redis_port}/0",
    }


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handle: Handler) -> AsyncIterator[int]:
    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def answering(reply: bytes) -> Handler:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(reply)
        await writer.drain()
        writer.close()

    return handle


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()
    writer.close()


def test_closed_ports_say_that_nothing_listens(tmp_path: Path) -> None:
    kafka, redis = free_port(), free_port()
    found = asyncio.run(findings(tmp_path, pointed_at(kafka, redis)))
    for name in (f"broker 127.0.0.1:{kafka}", f"redis redis://127.0.0.1:{redis}/0"):
        assert (found[name].status, found[name].detail) == ("fail", "nothing listens there")
        assert "floorwatch up" in str(found[name].fix)
    assert "topics" not in found, "no topics can be asked for without a broker"


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00\x00\x00\x05hello", b"\xff" * 64, b""])
def test_garbage_is_told_from_silence_and_from_the_real_thing(tmp_path: Path, reply: bytes) -> None:
    async def run() -> Found:
        async with serving(answering(reply)) as kafka, serving(answering(reply)) as redis:
            return await findings(tmp_path, pointed_at(kafka, redis))

    found = asyncio.run(run())
    for check in found.values():
        if check.name.startswith(("broker", "redis")):
            assert check.status == "fail", check
            assert check.fix
            assert "nothing listens" not in check.detail


@pytest.mark.slow
def test_a_port_that_never_answers_is_given_up_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (doctor_kafka, doctor_redis):
        monkeypatch.setattr(module, "ANSWER_TIMEOUT_S", 0.2)

    async def run() -> Found:
        async with serving(silent) as port:
            return await findings(tmp_path, pointed_at(port, port))

    broker, redis = (check for name, check in asyncio.run(run()).items() if name.startswith(("broker", "redis")))
    assert "does not answer within" in broker.detail
    assert "does not answer in time" in redis.detail


@pytest.mark.servers
def test_an_embedded_stack_is_healthy_and_its_faults_are_named(tmp_path: Path) -> None:
    async def run() -> dict[str, Found]:
        async with Servers(tmp_path / "servers") as servers:
            env = servers.environment()
            connection = {"bootstrap_servers": servers.brokers}
            specs = topic_specs("floorwatch.", 4)
            stages = {"fresh": await findings(tmp_path, env)}
            await create_topics(connection, specs[:4])
            stages["partly"] = await findings(tmp_path, env)
            await create_topics(connection, specs)
            stages["complete"] = await findings(tmp_path, env)
            more = {**env, "FLOORWATCH_KAFKA__PARTITIONS": "8", "FLOORWATCH_KAFKA__FOREIGN_RAW_TOPICS": "mine"}
            stages["other count"] = await findings(tmp_path, more)
            odd = [
                TopicSpec("odd." + specs[0].name[11:], 3, {}),
                TopicSpec("odd." + specs[2].name[11:], 4, specs[0].config),
            ]
            await create_topics(connection, odd)
            stages["odd"] = await findings(tmp_path, {**env, "FLOORWATCH_KAFKA__TOPIC_PREFIX": "odd."})
            two = f"127.0.0.1:{free_port()},{servers.brokers}"
            stages["one down"] = await findings(tmp_path, {**env, "FLOORWATCH_KAFKA__BROKERS": two})
            login = {"FLOORWATCH_KAFKA__SECURITY__PROTOCOL": "SASL_PLAINTEXT"}
            login["FLOORWATCH_KAFKA__SECURITY__USERNAME"] = "u"
            login["FLOORWATCH_KAFKA__SECURITY__PASSWORD"] = "hunter2"
            stages["login"] = await findings(tmp_path, {**env, **login})
            return stages

    stages = asyncio.run(run())
    assert (stages["fresh"]["topics"].status, stages["partly"]["topics"].status) == ("warn", "fail")
    assert "floorwatch.deadletters.v1" in stages["partly"]["topics"].detail
    for stage in ("fresh", "partly"):
        assert "floorwatch topics create" in stages[stage]["topics"].fix
    complete = stages["complete"]
    assert [str(check) for check in complete.values() if check.status != "ok"] == []
    assert {"topics", "partitions", "cleanup policy", "redis version", "clock"} < set(complete)
    assert (
        stages["other count"]["partitions"].fix == "set kafka.partitions: 4; with data in place the count cannot change"
    )
    assert "mine" in stages["other count"]["raw topics"].detail
    assert "odd.raw.v1 has 3" in stages["odd"]["partitions"].detail
    assert "odd.ledger-changelog.v1 is delete, not compact" in stages["odd"]["cleanup policy"].detail
    down = [check for name, check in stages["one down"].items() if name.startswith("broker")]
    assert [check.status for check in down] == ["warn", "ok"]
    login = next(check for name, check in stages["login"].items() if name.startswith("broker"))
    assert login.status == "fail"
    assert "hunter2" not in as_text(list(stages["login"].values()))


@pytest.mark.servers
def test_redis_login_eviction_and_clock(tmp_path: Path) -> None:
    async def run() -> tuple[list[Check], list[Check], list[Check], list[Check]]:
        async with Servers(tmp_path / "servers") as servers:
            settings = RedisSettings(url=servers.redis_url)
            client = async_client(servers.redis_url)
            await client.config_set("maxmemory-policy", "allkeys-lru")
            evicting = await doctor_redis.redis_checks(settings, 300)
            slow = await doctor_redis.redis_checks(settings, 300, clock=lambda: 1_700_000_000.0)
            await client.config_set("requirepass", "hunter2")
            closed = await doctor_redis.redis_checks(settings, 300)
            open_ = await doctor_redis.redis_checks(
                RedisSettings(url=servers.redis_url, password=SecretStr("hunter2")), 300
            )
            await client.aclose()
            return evicting, slow, closed, open_

    evicting, slow, closed, open_ = asyncio.run(run())
    assert {check.name: check.status for check in evicting}["redis eviction"] == "warn"
    assert {check.name: check.status for check in slow}["clock"] == "fail"
    assert [(check.status, check.detail) for check in closed] == [("fail", "asks for another login")]
    assert open_[0].status == "ok"
    assert "hunter2" not in as_text([*closed, *open_])


def test_a_bad_configuration_is_shown_and_nothing_is_connected_to(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("kafka: {partitions: four, grup: x}\n")
    checks = asyncio.run(diagnose(path, {}, tmp_path))
    said = [check for check in checks if check.name == "configuration"]
    assert [check.status for check in said] == ["fail", "fail"]
    assert "bad.yaml:1:21" in said[0].detail
    assert said[1].fix == "did you mean group?"
    assert not any(check.name.startswith(("broker", "redis")) for check in checks)


def test_ports_are_free_ours_or_taken() -> None:
    async def run() -> list[Check]:
        free = await port_check("metrics.port", "127.0.0.1", free_port())
        async with serving(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as ours, serving(answering(b"SSH-2.0\r\n")) as other:
            return [
                free,
                await port_check("metrics.port", "127.0.0.1", ours),
                await port_check("metrics.port", "127.0.0.1", other),
                await port_check("metrics.port", "127.0.0.1", 0),
            ]

    assert [check.status for check in asyncio.run(run())] == ["ok", "ok", "fail", "ok"]


def test_the_disk_of_a_folder_that_is_not_there_yet_is_its_parent_s(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert disk_check(tmp_path / "var" / "deep").status in ("ok", "warn")
    assert disk_check(tmp_path / "file" / "var").status == "fail"


def test_the_command_prints_marks_and_json_and_exits_1(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(doctor)
    env = {**pointed_at(free_port(), free_port()), "FLOORWATCH_CONFIG": ""}
    result = CliRunner().invoke(app, ["--var", str(tmp_path)], env=env)
    assert result.exit_code == 1
    assert "✓ python" in result.stdout
    assert "✗ broker" in result.stdout
    assert "checks failed" in result.stdout
    data = json.loads(CliRunner().invoke(app, ["--json", "--var", str(tmp_path)], env=env).stdout)
    assert data["ok"] is False
    assert {"status", "name", "detail", "fix"} == set(data["checks"][0])


def test_a_host_that_is_not_known_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    found = asyncio.run(findings(tmp_path, {"FLOORWATCH_KAFKA__BROKERS": "kafka.invalid:9092"}))
    assert "kafka.invalid is not known" in found["broker kafka.invalid:9092"].detail


def test_where_some_senders_have_grants_the_others_are_named() -> None:
    def said(text: str) -> list[tuple[str, str]]:
        config = loads(text, {}, name="f.yaml", base=Path())
        return [(check.status, check.detail) for check in grant_checks(config)]

    free = "gateway: {sources: {a: {token: t0123456789}}}"
    assert said(free) == said("") == []
    some = "gateway: {sources: {a: {token: t0123456789}, b: {token: t0123456780, may: [label.*]}}}"
    assert said(some) == [
        ("warn", "gateway sources that may do everything: a"),
        ("warn", "raw topics on which a producer may do everything: floorwatch.raw.v1"),
    ]
    every = (
        "gateway: {sources: {b: {token: t0123456780, may: [label.*]}}}\n"
        "kafka: {raw_topics: [{topic: raw.v1, may: []}], foreign_raw_topics: [{topic: x.v1, source: b}]}"
    )
    assert said(every) == [("ok", "every sender has one: b, floorwatch.raw.v1, x.v1")]
