"""The storm: twenty queues breach and a site goes down on a floor with two weeks behind it; who is told, how often, of what.

.venv/bin/python -m bench.storm
.venv/bin/python -m bench.storm --days 9 --minutes 14 --keep FOLDER

A floor of 20 queues is played into a real ``floorwatch up`` with the default rules and two channels that tell of everything. Site
KUL has been down for some minutes when the log reaches the present, and each queue gets several times its usual tasks. Then
accuracy falls on the whole floor; the floor's incident is silenced; then a vendor falls much lower. It has a route of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from bench.stack import ROOT, BenchError
from floorwatch.embedded.child_process import free_port
from floorwatch.embedded.journal import open_free_writer
from floorwatch.embedded.player import play
from floorwatch.embedded.servers import stop
from floorwatch.sdk import AuditCompletedData, LabelSubmittedData, Sampling, emit, event
from floorwatch.sdk.stacks import read_state
from floorwatch.simulate.config import FloorConfig, parse_scenario
from floorwatch.simulate.people import open_queues
from floorwatch.simulate.simulated_floor import simulate
from floorwatch.simulate.wire import Sent, rfc3339
from streams.models.timestamps import DAY_MS, HOUR_MS, parse_rfc3339_ms

CHANNELS = ("ops", "leads", "bpo-b")
"""The first two are told of everything, the last of its vendor."""

_UP_S, _PATIENCE_S = 120.0, 1800.0
_HALF_HOUR_MS = HOUR_MS // 2


@dataclass
class Told:
    """What a channel got: Unix seconds, title, incidents named."""

    channel: str
    at_s: float
    title: str
    incidents: list[str]


@dataclass
class Run:
    """A stack with its receivers.

    Attributes:
        var: Folder of the stack.
        config: Its configuration.
        told: Messages in the order in which they came.
    """

    var: Path
    config: Path
    told: list[Told] = field(default_factory=list)

    def command(self, *words: str) -> str:
        """Run a floorwatch command on the stack; its output."""
        line = [sys.executable, "-m", "floorwatch", "--var", str(self.var), *words]
        done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, timeout=120, check=False)
        if done.returncode:
            raise BenchError(f"{' '.join(words)} ended with {done.returncode}: {done.stderr or done.stdout}")
        return done.stdout

    def incidents(self) -> list[dict[str, Any]]:
        """Return the incidents that people see."""
        return [json.loads(line) for line in self.command("incidents", "--all", "--json").splitlines()]


async def _receive(run: Run) -> tuple[web.AppRunner, int]:
    async def take(request: web.Request) -> web.Response:
        body = await request.json()
        named = [one["incident"]["key"] for one in body.get("members", [])] or [body.get("incident", {}).get("key", "")]
        told = Told(request.match_info["channel"], time.time(), body["title"], named)
        run.told.append(told)
        print(f"{time.strftime('%H:%M:%S')} {told.channel:6} {told.title}", flush=True)
        return web.Response(status=204)

    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_post("/{channel}", take)
    runner, port = web.AppRunner(app), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    return runner, port


def _configuration(port: int) -> dict[str, Any]:
    return {
        "alerts": {
            "channels": {name: {"type": "webhook", "url": f"http://127.0.0.1:{port}/{name}"} for name in CHANNELS},
            "routes": {"default": ["ops", "leads"], "bpo-b": ["bpo-b"]},
            "routing": [{"match": ["vendor=bpo-b"], "route": "bpo-b", "continue": True}, {"route": "default"}],
        }
    }


def _floor(now_ms: int, given: argparse.Namespace) -> FloorConfig:
    start_ms = now_ms - round(given.days * DAY_MS)
    at = f"{(now_ms - start_ms) / 1000 - given.down * 60:.0f}s"
    plain = FloorConfig(start_ms=start_ms, duration_s=1, rate=given.rate)
    surges = [f"queue_surge@{at}:queue={queue.name},factor=8" for queue in open_queues(plain)]
    return FloorConfig(
        start_ms=start_ms,
        duration_s=given.days * 86_400 + given.minutes * 60,
        rate=given.rate,
        errors=0.5,
        audit_delay_scale=0.02,
        scenarios=tuple(parse_scenario(text) for text in (f"site_outage@{at}:site=KUL", *surges)),
    )


_TIME = re.compile(rb'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"')


def _hurried(events: Iterable[Sent], until_ms: int) -> Iterator[Sent]:
    """Yield events whose times before some moment lie in the first minute of their half hour, in the same order.

    Rules look once in each minute of event time that has events: two weeks are replayed in minutes, and each hour has its labels.
    """

    def moved_ms(at_ms: int) -> int:
        begin = at_ms - at_ms % _HALF_HOUR_MS
        return at_ms if at_ms >= until_ms else begin + (at_ms - begin) // 30

    def moved(found: re.Match[bytes]) -> bytes:
        return b'"%s"' % rfc3339(moved_ms(parse_rfc3339_ms(found[1].decode()))).encode()

    for one in events:
        hurried = one.arrival_ms < until_ms
        yield Sent(moved_ms(one.arrival_ms), one.task_id, _TIME.sub(moved, one.value)) if hurried else one


def audited(vendors: tuple[str, ...], count: int, wrong_ratio: float, prefix: str) -> Iterator[Any]:
    """Yield labels of vendors with an audit each, of which a share is wrong."""
    for number in range(count):
        label = LabelSubmittedData(
            label_id=f"{prefix}-{number}",
            labeler_id=f"{prefix}-{number % 40}",
            vendor=vendors[number % len(vendors)],
            site="LIS",
            queue="comments",
            values=["spam"],
        )
        wrong = int(number * wrong_ratio) != int((number + 1) * wrong_ratio)
        audit = AuditCompletedData(
            audit_id=f"a-{prefix}-{number}",
            label_id=label.label_id,
            verdict="incorrect" if wrong else "correct",
            sampling=Sampling(probability=0.05),
        )
        yield from (event(data, task_id=f"t-{prefix}-{number}", source="storm") for data in (label, audit))


async def _until(what: str, found: Any, seconds: float) -> Any:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        with suppress(BenchError, ValueError):
            if result := await asyncio.to_thread(found):
                return result
        await asyncio.sleep(1)
    raise BenchError(f"{what}: not within {seconds:.0f} s")


async def _accuracy(run: Run, url: str) -> dict[str, Any]:
    """Let accuracy fall on the floor, silence the floor's incident, then let a vendor fall lower; when who was told."""

    def opened(rule: str, scope: dict[str, str]) -> dict[str, Any] | None:
        for one in run.incidents():
            if one["rule"] == rule and one["scope"] == scope and one["state"] in ("open", "acknowledged", "escalated"):
                return one
        return None

    await asyncio.to_thread(emit, list(audited(("inhouse", "bpo-a"), 3_000, 0.15, "floor")), url=url)
    floor = await _until("the floor's incident", lambda: opened("accuracy-low-floor", {}), _PATIENCE_S)
    await asyncio.to_thread(run.command, "silence", floor["key"], "--for", "2h", "--by", "storm")
    began_s = time.time()
    await asyncio.to_thread(emit, list(audited(("bpo-b",), 1_500, 0.4, "vendor")), url=url)
    vendor = await _until(
        "the vendor's message",
        lambda: next((one for one in run.told if one.channel == "bpo-b" and one.at_s > began_s), None),
        _PATIENCE_S,
    )
    return {
        "floor_silenced": floor["key"],
        "vendor_told_after_s": round(vendor.at_s - began_s, 1),
        "title": vendor.title,
    }


def _up(run: Run, log: Path) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "floorwatch", "up", "--var", str(run.var), "--config", str(run.config)]
    with log.open("wb") as output:
        return subprocess.Popen(line, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT)


async def _run(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    run = Run(folder / "var", folder / "storm.yaml")
    receiver, port = await _receive(run)
    run.config.write_text(yaml.safe_dump(_configuration(port)))
    up = await asyncio.to_thread(_up, run, folder / "up.log")
    try:
        state = await _until("floorwatch up", lambda: read_state(run.var), _UP_S)
        writer = await open_free_writer(Path(state.journal), "storm")
        now_ms = int(time.time() * 1000)
        playing = asyncio.create_task(
            play(  # all before now at once
                _hurried(simulate(_floor(now_ms, given), 7), (now_ms // HOUR_MS - 1) * HOUR_MS),
                writer,
                start_ms=now_ms,
                speed=1.0,
            )
        )
        await _until("the first message", lambda: run.told, _PATIENCE_S)
        first_s = run.told[0].at_s
        await asyncio.sleep(max(0.0, first_s + 605 - time.time()))
        early = [one for one in run.told if one.at_s <= first_s + 600]
        figures: dict[str, Any] = {
            "messages_in_10_min": len(early),
            "by_channel": dict(Counter(one.channel for one in early)),
            "titles": [one.title for one in early],
            "open_incidents": Counter(one["rule"] for one in run.incidents()),
        }
        figures["accuracy"] = await _accuracy(run, state.urls["gateway"])
        playing.cancel()
        await writer.stop()
        return figures
    finally:
        await asyncio.to_thread(stop, up)
        await receiver.cleanup()


def main() -> None:
    """Play the storm and print figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=float, default=15.0, help="of history; a site is judged from the second week on")
    parser.add_argument("--rate", type=float, default=0.8, help="events a second on average")
    parser.add_argument(
        "--down", type=float, default=25.0, help="minutes that the site is down when the log reaches now"
    )
    parser.add_argument("--minutes", type=float, default=40.0, help="of live play at most")
    parser.add_argument("--keep", type=Path, help="folder to keep logs in")
    given = parser.parse_args()
    folder = given.keep or Path(tempfile.mkdtemp(prefix="storm-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(json.dumps(asyncio.run(_run(given, folder)), indent=2))


if __name__ == "__main__":
    main()
