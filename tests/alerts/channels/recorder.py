"""A receiver on a free loopback port that keeps each request and answers as scripted; and notifications to send to it."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web
from msgspec import structs

from alerts.channels.base import Channel
from alerts.incident import Incident, Notify
from alerts.outgoing import Notification, notification
from alerts.routes import RoutingSettings, build_channels
from alerts.signals import Contributor
from tests.alerts.machine import opened
from tests.alerts.message.told import at_step
from tests.alerts.rows import MINUTE_MS, NOW_MS
from tests.alerts.test_outbox import Clock

GOLDEN = Path(__file__).parent / "golden"
CALLS = re.compile(r"@(everyone|here|channel|U123|&456)|<[!#]|<@\w|(?i:https?://evil|www\.evil)")
"""What of the names in tests/data/nasty_names.json would call somebody in a chat, or become a link."""
AT_MS = NOW_MS + 5 * MINUTE_MS


@dataclass
class Answer:
    """What a request gets. ``then``: ``hang`` never answers, ``cut`` ends the connection without an answer."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    then: str = "answer"


@dataclass
class Request:
    """One request that came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Recorder:
    """The requests, and the answers still to give; after them ``usual``."""

    usual: Answer = field(default_factory=Answer)
    answers: list[Answer] = field(default_factory=list)
    seen: list[Request] = field(default_factory=list)
    url: str = ""
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.Response:
        answer = self.answers.pop(0) if self.answers else self.usual
        self.seen.append(Request(request.path, dict(request.headers), await request.read()))
        if answer.then == "cut" and request.transport is not None:
            request.transport.close()
        elif answer.then == "hang":
            await self.over.wait()
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


@asynccontextmanager
async def recording(*answers: Answer, usual: Answer | None = None) -> AsyncIterator[Recorder]:
    """Serve every path until the block ends."""
    recorder = Recorder(usual or Answer(), list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", recorder.handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    recorder.url = f"http://{host}:{port}"
    try:
        yield recorder
    finally:
        recorder.over.set()
        await runner.cleanup()


def built(settings: dict[str, Any], at_ms: int = AT_MS) -> Channel:
    """Return a channel called ``ops`` as the configuration builds it."""
    routing = RoutingSettings.model_validate({"channels": {"ops": settings}, "routes": {"default": ["ops"]}})
    found = build_channels(routing, Clock(at_ms))
    assert found.faults == (), found.faults
    return found.by_name["ops"]


def faults(settings: dict[str, Any]) -> list[tuple[tuple[str | int, ...], str, str]]:
    """Return what is wrong with a channel's settings: place below the channel, reason and hint."""
    routing = RoutingSettings.model_validate(
        {"channels": {"ops": settings, "con": {"type": "console"}}, "routes": {"default": ["con"]}}
    )
    return [(one.field[2:], one.reason, one.hint) for one in build_channels(routing, Clock()).faults]


def noted(step: str = "open", incident: Incident | None = None) -> Notification:
    """Return the notification of an incident's step."""
    known = at_step(incident or opened(), step)
    return notification(Notify(f"{known.key}:{step}", step, "default", known))


def at_offset(note: Notification, offset: int) -> Notification:
    """Return the notification of a state that an input at a place of the log made."""
    return structs.replace(note, incident={**note.incident, "stamp": {"partition": 0, "offset": offset}})


def named(name: str) -> Incident:
    """Return an incident that holds a name wherever it can hold one."""
    part = Contributor("queue", name, -5.2, 120, f"81.0% of 120 audits of {name}", clear=True)
    return structs.replace(
        opened(),
        rule="rule-of-names",
        scope={"queue": name},
        scope_key=f"queue={name}",
        contributors=(part,),
        examples=(name,),
        evidence=f"source {name} is silent",
        acknowledged_by=name,
    )


def largest() -> Incident:
    """Return an incident of the largest size that names allow."""
    name = "\N{GRINNING FACE}<&>*_`" * 200
    parts = tuple(Contributor("queue", f"{name}{place}", -5.2, 120, name, clear=True) for place in range(10))
    return structs.replace(
        named(name), contributors=parts, examples=(name,) * 20, board_url=f"https://b.example/?{'x' * 1900}"
    )


def key_of(note: Notification) -> str:
    """Return the idempotency key that the notifier gives."""
    return f"{note.id}:ops"


def golden(name: str, shown: str) -> None:
    """Compare with a golden file."""
    path = GOLDEN / name
    if os.environ.get("FLOORWATCH_UPDATE_GOLDEN") == "1":
        path.write_text(shown, encoding="utf-8")
    assert shown == path.read_text(encoding="utf-8"), (
        "set FLOORWATCH_UPDATE_GOLDEN=1 to write it anew, then read the diff"
    )


def pretty(body: Any) -> str:
    """Return JSON that is easy to compare."""
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"
