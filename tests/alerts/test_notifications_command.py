"""``floorwatch notifications`` against an embedded Valkey: what was given up is listed, shown, revived; a channel is tried."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import yaml
from click.testing import Result
from redis.asyncio import Redis
from typer.testing import CliRunner

from alerts.outbox import Outbox
from floorwatch.cli.notifications import notifications_app
from tests.alerts.receiver import Receiver, receiving
from tests.alerts.test_outbox import note

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
    client = Redis.from_url(url)
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
    for name, said in (("nowhere", "defined: bad, ops"), ("bad", "did you mean slack://?")):
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
