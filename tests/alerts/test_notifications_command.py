"""``floorwatch notifications`` against an embedded Valkey: what was given up is listed, shown, revived; a channel is tried."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from alerts.deliveries import channel_states
from alerts.outbox import Outbox
from alerts.routes import build_channels
from floorwatch.cli.doctor import Check
from floorwatch.cli.doctor_alerts import alert_checks
from floorwatch.cli.notifications import notifications_app
from floorwatch.settings.load import load
from floorwatch.settings.schema import FloorwatchConfig
from streams.notify import channel_status
from tests.alerts.receiver import Receiver, receiving
from tests.alerts.test_outbox import note
from tests.redis_clients import async_client

CHANNELS = {"ops": {"type": "console"}, "bad": {"type": "apprise", "url": "slakc://x"}}


@pytest.fixture
def config(redis_url: str, tmp_path: Path) -> Path:
    path = tmp_path / "f.yaml"
    path.write_text(
        yaml.safe_dump({"redis": {"url": redis_url}, "alerts": {"channels": CHANNELS, "routes": {"default": ["ops"]}}})
    )
    asyncio.run(_fill(redis_url))
    return path


async def _fill(url: str) -> None:
    """k1 is given up on mail and delivered on ops, k2 given up on both, k3 waits."""
    client = async_client(url)
    outbox = Outbox(client, lambda: 1_795_428_120_000)
    for name in ("k1", "k2", "k3"):
        await outbox.enqueue(note(f"{name}:open"))
        await outbox.route(lambda _: ["ops", "mail"])
        for channel in ("ops", "mail"):
            lease = await outbox.claim(channel, 30)
            assert lease is not None
            if name == "k1" and channel == "ops":
                await outbox.sent(lease)
            elif name != "k3":
                await outbox.bury(lease, f"{channel} answered 404")
    await client.aclose()


def _run(config: Path, *arguments: str) -> Result:
    return CliRunner().invoke(notifications_app, [arguments[0], "--config", str(config), *arguments[1:]])


def _ids(result: Result) -> list[tuple[str, str]]:
    found = [json.loads(line) for line in result.output.splitlines()]
    return sorted((one["id"], one["channel"]) for one in found)


def test_given_up_ones_are_listed_with_their_reason(config: Path) -> None:
    result = _run(config, "list")
    assert result.exit_code == 0
    assert "k1:open  mail: given up Mon 23 Nov 10:02 UTC after 1 attempt: mail answered 404" in result.output
    assert _ids(_run(config, "list", "--json")) == [("k1:open", "mail"), ("k2:open", "mail"), ("k2:open", "ops")]
    assert _ids(_run(config, "list", "--json", "--channel", "ops")) == [("k2:open", "ops")]
    assert _ids(_run(config, "list", "--waiting", "--json")) == [("k3:open", "mail"), ("k3:open", "ops")]


def test_one_or_all_are_revived_once(config: Path) -> None:
    assert "revived k1:open on mail" in _run(config, "revive", "k1").output
    assert _ids(_run(config, "list", "--json")) == [("k2:open", "mail"), ("k2:open", "ops")]
    again = _run(config, "revive", "k1")
    assert again.exit_code == 2
    assert "not given up: k1" in again.output
    assert _run(config, "revive", "--all", "--channel", "ops").output == "revived k2:open on ops\n"
    assert _run(config, "revive", "--all").output == "revived k2:open on mail\n"
    assert "No notification was given up." in _run(config, "revive", "--all").output
    assert "No notification was given up." in _run(config, "list").output
    assert _run(config, "revive").exit_code == _run(config, "revive", "k1", "--all").exit_code == 2


def test_show_tells_text_and_every_channel(config: Path) -> None:
    shown = _run(config, "show", "k2").output
    assert "k2:open  T" in shown
    assert "  ops: given up" in shown
    assert _run(config, "show", "nothing*").exit_code == 2


def test_a_channel_is_tried_from_here(config: Path) -> None:
    assert "Floorwatch can reach this channel" in _run(config, "test", "ops").output
    for name, said in (
        ("nowhere", "use one of bad, ops. Add it to alerts.channels there"),
        ("bad", "did you mean slack://?"),
    ):
        result = _run(config, "test", name)
        assert result.exit_code == 2
        assert said in result.output


def test_a_receiver_that_refuses_the_test_is_told(redis_url: str, tmp_path: Path) -> None:
    async def main() -> tuple[Result, list[bytes]]:
        async with receiving(Receiver([200, 503])) as receiver:
            path = tmp_path / "f.yaml"
            channels = {"ops": {"type": "webhook", "url": receiver.url}}
            path.write_text(
                yaml.safe_dump(
                    {"redis": {"url": redis_url}, "alerts": {"channels": channels, "routes": {"default": ["ops"]}}}
                )
            )
            first = await asyncio.to_thread(_run, path, "test", "ops")
            assert first.exit_code == 0
            return await asyncio.to_thread(_run, path, "test", "ops"), [body for _, body, _ in receiver.seen]

    result, bodies = asyncio.run(main())
    assert result.exit_code == 1
    assert "the receiver answered 503" in result.output
    assert json.loads(bodies[0])["step"] == "test"
    # Doctor and statusz know of it.
    config = load(tmp_path / "f.yaml", {})
    heartbeat, check = asyncio.run(alert_checks(config))
    assert (heartbeat.name, heartbeat.status) == ("heartbeat", "warn")
    assert check.status == "warn"
    assert "did not take a test message" in check.detail
    assert "the receiver answered 503" in check.detail
    assert "floorwatch notifications test ops" in (check.fix or "")
    status = asyncio.run(_status(redis_url, config))
    assert status["last_test_success"] is not None
    assert status["last_test_failure"] is not None
    assert "503" in status["last_test_failure_reason"]


def test_a_test_that_was_taken_shows_in_doctor_and_statusz(config: Path) -> None:
    path = config.with_name("fresh.yaml")
    path.write_text(config.read_text().replace("ops", "fresh"))

    def check() -> Check:
        found = asyncio.run(alert_checks(load(path, {}, channels="tolerated")))
        return next(one for one in found if one.name == "channel fresh")

    assert (check().status, "nothing delivered yet" in check().detail) == ("ok", True)
    assert "notifications test" in check().detail
    assert _run(path, "test", "fresh").exit_code == 0
    assert "took a test message" in check().detail
    assert "notifications test" not in check().detail.partition("; took")[2]


def test_a_test_without_redis_is_sent_and_says_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "redis": {"url": "redis://127.0.0.1:1/0"},
                "alerts": {"channels": {"ops": {"type": "console"}}, "routes": {"default": ["ops"]}},
            }
        )
    )
    result = _run(path, "test", "ops")
    assert result.exit_code == 0
    assert "took a test message" in result.output
    assert "will not show this test: Redis does not answer" in result.output


async def _status(url: str, config: FloorwatchConfig) -> dict[str, Any]:
    client = async_client(url)
    built = build_channels(config.alerts, lambda: 0)
    (state,) = await channel_states(Outbox(client, lambda: 0), built.by_name)
    await client.aclose()
    return channel_status(built, "ops", state)
