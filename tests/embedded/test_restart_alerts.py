"""``floorwatch up`` ended by TERM and by kill -9, and started again: incidents, what people did and who was told stay as they were."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from alerts.append import ALERTS_KEY
from alerts.codec import decode_input, encode_input
from alerts.incident import Act
from alerts.links import LinkSigner, keys_of
from floorwatch.embedded.journal import JournalWriter
from floorwatch.embedded.state import Paths
from floorwatch.sdk import AuditCompletedData, LabelSubmittedData, Sampling, event
from floorwatch.sdk.blocking import emit_http
from floorwatch.sdk.stacks import StackState, find_stack
from streams.engine.log import KafkaLogReader
from streams.models import topics
from tests.redis_clients import async_client
from tests.waits import until

pytestmark = [pytest.mark.servers, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
VENDORS = ("bpo-a", "bpo-b", "bpo-c")
SAME = ("key", "episode", "state", "opened_at", "acts", "told", "owner", "links", "merged_into")
"""What people read of an incident and a restart must not change."""


def configuration(url: str) -> dict[str, Any]:
    hooks = {name: {"type": "webhook", "url": f"{url}/{name}"} for name in ("ops", "duty", "lead")}
    tiers = [{"notify": ["duty"], "ack_within": "30m"}, {"notify": ["lead"], "ack_within": "30m"}]
    rule = {"kind": "accuracy_low", "name": "vendors", "method": "interval", "scope": {"by": "vendor"}, "window": "1h"}
    return {
        "engine": {"idle_timeout_s": 2},
        "alerts": {
            "channels": hooks,
            "escalations": {"esc": {"tiers": tiers}},
            "routes": {"default": {"notify": ["ops"], "escalation": "esc", "group_by": ["vendor"]}},
            "rules": [{**rule, "target": 0.95, "min_sample": 50, "for": 1, "severity": "page", "route": "default"}],
        },
    }


@dataclass
class Floor:
    """A folder of a stack, whatever runs on it, and what receivers got."""

    var: Path
    config: Path
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    up: subprocess.Popen[bytes] | None = None

    @property
    def state(self) -> StackState:
        found = find_stack(self.var)
        assert found is not None
        return found

    async def start(self) -> None:
        env = {name: value for name, value in os.environ.items() if not name.startswith("FLOORWATCH_")}
        env |= {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(self.var.parent / "home")}
        line = [sys.executable, "-m", "floorwatch", "up", "--var", str(self.var), "--config", str(self.config)]
        self.up = await asyncio.to_thread(started, line, self.var.parent / "up.log", env)
        await until(self._ready, "a stack that is ready", process=self.up)

    async def _ready(self) -> bool:
        found = find_stack(self.var)
        if found is None or "worker-1" not in found.children:
            return False
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{found.urls['gateway']}/readyz") as answer:
                gateway = answer.status
            ready = found.urls["metrics"].replace("/metrics", "/readyz")
            async with aiohttp.ClientSession() as http, http.get(ready) as answer:
                return (gateway, answer.status) == (200, 200)
        except aiohttp.ClientError:
            return False

    async def end(self, number: int) -> None:
        """End ``floorwatch up`` by a signal, and wait until all its processes are gone."""
        assert self.up is not None
        pids = [mark.pid for mark in self.state.children.values()]
        self.up.send_signal(number)
        await asyncio.to_thread(self.up.wait)

        async def gone() -> bool:
            return not any(os.path.exists(f"/proc/{pid}") for pid in pids)  # noqa: ASYNC240, PTH110

        await until(gone, "processes that have ended")

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[Any]:
        """Give a client of the stack's Redis."""
        client = async_client(self.state.urls["redis"], password=secret(self.state.redis_password_file))
        try:
            yield client
        finally:
            await client.aclose()

    async def looked_ms(self) -> int:
        async with self.redis() as client:
            found = await client.get("floorwatch:kept:rules-looked")
        return -1 if found is None else int(json.loads(found)["upto_ms"])

    async def incidents(self) -> dict[str, dict[str, Any]]:
        """Return the incidents of the rule by vendor."""
        async with self.redis() as client:
            found = [json.loads(value) for value in await client.hvals("floorwatch:incidents")]
        return {one["scope"]["vendor"]: one for one in found if one["rule"] == "vendors"}

    async def same(self) -> dict[str, Any]:
        found = await self.incidents()
        return {vendor: {name: one.get(name) for name in SAME} for vendor, one in found.items()}

    async def marks(self) -> list[Act]:
        """Return all marks on the log of the present broker."""
        reader, found = KafkaLogReader({"bootstrap_servers": self.state.urls["kafka"]}), []
        for partition in range(self.state.partitions):
            async for records in reader.read(self.state.topic_prefix + topics.SIGNALS, partition):
                given = [decode_input(value) for _, _, value in records if value is not None]
                found += [one for one in given if isinstance(one, Act) and one.what == "useful"]
        return found

    async def command(self, *words: str) -> str:
        env = {name: value for name, value in os.environ.items() if not name.startswith("FLOORWATCH_")}
        line = [sys.executable, "-m", "floorwatch", *words, "--var", str(self.var)]
        env |= {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(self.var.parent / "home"), "COLUMNS": "250"}
        done = await asyncio.to_thread(subprocess.run, line, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    async def press(self, purpose: str, key: str, **form: str) -> None:
        """Follow a link of the message of an incident and press its button."""
        signer = LinkSigner(f"{self.state.urls['web']}/", keys_of(secret(Paths(self.var).link_keys)), 86_400_000)
        url = signer.url(purpose, key, "g:1", "duty", round(time.time() * 1000))  # type: ignore[arg-type]
        async with aiohttp.ClientSession() as http, http.post(url, data=form) as answer:
            assert answer.status == 200, await answer.text()

    def send(self) -> None:
        events = []
        for vendor in VENDORS:
            for n in range(60):
                who = {"labeler_id": f"{vendor}-{n % 20}", "vendor": vendor, "queue": "comments"}
                label = LabelSubmittedData(label_id=f"{vendor}-l{n}", values=["spam"], **who)
                audit = AuditCompletedData(
                    audit_id=f"{vendor}-a{n}",
                    label_id=f"{vendor}-l{n}",
                    verdict="correct" if n % 2 else "incorrect",
                    sampling=Sampling(probability=0.5),
                )
                events += [event(data, task_id=f"{vendor}-{n}", source="tool") for data in (label, audit)]
        emit_http(events, url=self.state.urls["gateway"])


def secret(path: Path | str) -> str:
    return Path(path).read_text().strip()


def started(line: list[str], log: Path, env: dict[str, str]) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(line, stdout=out, stderr=out, env=env)


@asynccontextmanager
async def floor(folder: Path) -> AsyncIterator[Floor]:
    """A folder with a configuration, and a receiver of its webhooks."""
    here = Floor(folder / "var", folder / "floorwatch.yaml")

    async def hook(request: web.Request) -> web.Response:
        here.got.append((request.path.strip("/"), json.loads(await request.read())))
        return web.Response()

    app = web.Application()
    app.router.add_post("/{name}", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    here.config.write_text(json.dumps(configuration(f"http://127.0.0.1:{runner.addresses[0][1]}")))
    try:
        yield here
    finally:
        if here.up is not None and here.up.poll() is None:
            here.up.terminate()
            await asyncio.to_thread(here.up.wait)
        await runner.cleanup()


async def breached(here: Floor) -> dict[str, str]:
    """Send what raises an incident for each vendor; return their keys once all were told and all receipts are folded."""
    await asyncio.to_thread(here.send)

    async def told() -> bool:
        return {body["incident"]["scope"]["vendor"] for name, body in here.got if name == "duty"} == set(VENDORS)

    await until(told, "a message of each vendor", progress=lambda: _count(here), process=here.up)
    return {vendor: one["key"] for vendor, one in (await here.incidents()).items()}


async def _count(here: Floor) -> int:
    return len(here.got)


async def acts_of_every_kind(here: Floor, keys: dict[str, str]) -> None:
    """A is taken and all that may be noted is; B is escalated, snoozed and merged; of C nobody does anything."""
    one, two, _ = (keys[vendor] for vendor in VENDORS)
    await here.press("comment", one, note="seen", by="Ana")
    await here.press("silence", one, **{"for": "4h", "by": "Ana"})
    await here.press("useful", one, by="Ana")
    await here.press("escalate", two, by="Ben")

    async def lead_told() -> bool:
        return any(name == "lead" for name, _ in here.got)

    await until(lead_told, "the next tier of an escalation asked for by link", progress=lambda: _count(here))
    for words in (
        ("assign", one, "--to", "ben", "--by", "ana"),
        ("link", one, "https://wiki.example/a", "--by", "ana"),
        ("ack", one, "--by", "ana", "--note", "mine"),
        ("snooze", two, "--for", "3h", "--by", "ana"),
        ("merge", two, one, "--by", "ana"),
    ):
        await here.command(*words)

    async def all_there() -> bool:
        found = await here.incidents()
        kinds = [[act["what"] for act in found[vendor]["acts"]] for vendor in VENDORS]
        return sum(map(len, kinds)) == 9

    await until(all_there, "all acts", progress=here.same, process=here.up)


async def looked_again(here: Floor) -> None:
    """Wait until the rules have looked again: all of the journal is counted then."""
    before = await here.looked_ms()

    async def later() -> bool:
        return await here.looked_ms() > before

    await until(later, "rules that look", progress=here.looked_ms, process=here.up)


async def settled(here: Floor) -> tuple[dict[str, Any], list[str]]:
    return await here.same(), sorted(f"{name} {body['id']}" for name, body in here.got)


def act(keys: dict[str, str], at_ms: int) -> Act:
    return Act("comment", keys["bpo-c"], "dead of night", at_ms, note="written while nothing ran")


async def story(here: Floor) -> None:
    await here.start()
    keys = await breached(here)
    assert keys.keys() == set(VENDORS)
    await acts_of_every_kind(here, keys)
    before = await settled(here)
    for number in (signal.SIGTERM, signal.SIGKILL):
        await here.end(number)
        await here.start()
        await looked_again(here)
        assert await settled(here) == before, number
        assert [(one.key, one.by) for one in await here.marks()] == [(keys["bpo-a"], "Ana (link of duty)")]
    await here.command("comment", keys["bpo-c"], "a last word", "--by", "ana")
    await here.end(signal.SIGKILL)
    async with JournalWriter(Paths(here.var).journal, "acts") as journal:
        await journal.publish([(ALERTS_KEY, encode_input(act(keys, round(time.time() * 1000))))], topics.SIGNALS)
    for number in (signal.SIGKILL, signal.SIGTERM):
        await here.start()

        async def noted() -> bool:
            return len((await here.incidents())["bpo-c"]["acts"]) > 1

        await until(noted, "what was written while nothing ran", progress=here.same, process=here.up)
        if number == signal.SIGTERM:
            await looked_again(here)
        notes = [one["note"] for one in (await here.incidents())["bpo-c"]["acts"]]
        assert notes == ["a last word", "written while nothing ran"]
        await here.end(number)
    assert before[1] == sorted(f"{name} {body['id']}" for name, body in here.got)


def test_a_restart_changes_no_incident_and_tells_nobody_again(tmp_path: Path) -> None:
    async def go() -> None:
        async with floor(tmp_path) as here:
            await story(here)

    asyncio.run(go())
