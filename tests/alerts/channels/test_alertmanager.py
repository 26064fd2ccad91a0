"""A real Alertmanager: it groups, silences and resolves incidents as its own alerts."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from alerts.channels.base import Channel, ChannelError
from floorwatch.embedded.servers import free_port
from tests.alerts.channels.recorder import Recorder, built, key_of, named, noted, recording
from tests.alerts.machine import opened
from tests.nasty import NASTY
from tests.support import require
from tests.waits import until

pytestmark = pytest.mark.servers

CONFIG = """
route:
  receiver: floor
  group_by: [vendor]
  group_wait: 0s
  group_interval: 1s
receivers:
  - name: floor
    webhook_configs: [{url: "URL/told", send_resolved: true}]
"""


@asynccontextmanager
async def alertmanager(folder: Path) -> AsyncIterator[tuple[str, Recorder]]:
    """Run an Alertmanager that tells a recorder; its URL and the recorder."""
    program = require("prometheus-alertmanager")
    async with recording() as told:
        (folder / "am.yml").write_text(CONFIG.replace("URL", told.url), encoding="utf-8")
        port = free_port()
        with (folder / "am.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: ASYNC220
                [
                    program,
                    f"--config.file={folder / 'am.yml'}",
                    f"--storage.path={folder / 'data'}",
                    f"--web.listen-address=127.0.0.1:{port}",
                    "--cluster.listen-address=",
                ],
                stdout=log,
                stderr=log,
            )
        try:
            yield f"http://127.0.0.1:{port}", told
        finally:
            process.terminate()
            process.wait()


async def amtool(url: str, *args: str) -> Any:
    """Run amtool; what it says, read where it is JSON."""
    process = await asyncio.create_subprocess_exec(
        require("amtool"), f"--alertmanager.url={url}", *args, "-o", "json", stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(said) if said[:1] in (b"[", b"{") else said.decode()


async def taken(channel: Channel, *notes: Any) -> None:
    """Deliver, once the Alertmanager listens."""

    async def once() -> bool:
        try:
            await channel.send(notes[0], key_of(notes[0]))
        except ChannelError as error:
            assert not error.permanent, error.reason
            return False
        return True

    await until(once, "the Alertmanager takes an alert")
    for note in notes[1:]:
        await channel.send(note, key_of(note))


def states(told: Recorder) -> list[tuple[str, str, list[str]]]:
    """What the receiver behind the Alertmanager was told: status, group, rules."""
    bodies = [one.json for one in told.seen]
    rules = [sorted({alert["labels"]["alertname"] for alert in body["alerts"]}) for body in bodies]
    return [
        (body["status"], body["groupLabels"].get("vendor", ""), names)
        for body, names in zip(bodies, rules, strict=True)
    ]


def test_an_incident_is_grouped_silenced_and_resolved_there(tmp_path: Path) -> None:
    import time

    async def main() -> None:
        async with alertmanager(tmp_path) as (url, told):
            channel = built({"type": "alertmanager", "url": url, "labels": {"env": "prod"}}, int(time.time() * 1000))
            one = opened()
            other = structs.replace(one, key="f" * 32, rule="sla-vendor", kind="sla_attainment")
            await taken(channel, noted(), noted(incident=other))
            await until(lambda: any(len(rules) == 2 for _, _, rules in states(told)), "both in one message")
            assert ("firing", "bpo-a", ["accuracy-low-vendor", "sla-vendor"]) in states(told)

            alerts = await amtool(url, "alert", "query", "vendor=bpo-a", "env=prod", "alertname=accuracy-low-vendor")
            assert [alert["labels"]["incident"] for alert in alerts] == [one.key]
            assert alerts[0]["annotations"]["summary"].startswith("bpo-a: accuracy 88.1%")
            assert alerts[0]["generatorURL"].startswith("https://grafana.example/d/")

            await amtool(url, "silence", "add", "alertname=sla-vendor", "-c", "tool is down", "-a", "mei", "-d", "1h")
            quiet = await amtool(url, "alert", "query", "--silenced", "vendor=bpo-a")
            assert [alert["labels"]["alertname"] for alert in quiet] == ["sla-vendor"]

            await channel.send(noted("resolved-0"), "over")
            await channel.send(noted(), key_of(noted()))  # the first, late: it stays over
            await until(
                lambda: any(status == "resolved" for status, _, _ in states(told)), "it is told that it is over"
            )
            assert await amtool(url, "alert", "query", "vendor=bpo-a") == []
            assert len(await amtool(url, "alert", "query", "--silenced", "vendor=bpo-a")) == 1
            await channel.close()

    asyncio.run(main())


def test_it_takes_every_name(tmp_path: Path) -> None:
    import time

    async def main() -> None:
        async with alertmanager(tmp_path) as (url, _):
            channel = built({"type": "alertmanager", "url": url}, int(time.time() * 1000))
            incidents = [structs.replace(named(name), key=f"{place:032x}") for place, name in enumerate(NASTY)]
            await taken(channel, *(noted(incident=incident) for incident in incidents))
            alerts = await amtool(url, "alert", "query", "alertname=rule-of-names")
            assert {alert["labels"]["incident"] for alert in alerts} == {incident.key for incident in incidents}
            await channel.close()

    asyncio.run(main())
