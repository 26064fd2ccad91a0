"""A gateway with everything outside it in memory, and Label Studio's webhooks as they were captured."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from gateway.app import build_app
from gateway.context import GATEWAY, Limits
from gateway.serve import listening
from gateway.settings import GatewaySettings
from gateway.webhook_queue import WebhookQueue
from streams.adapters.refused_requests import refused_store
from tests.gateway.doubles import LocalToolState, MemoryPublisher, WorkersPlans
from tests.redis_clients import async_client

FIXTURES = Path(__file__).parents[1] / "fixtures" / "label-studio-1.23.2"
NOW_MS = int(datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp() * 1000)
REDACTED = "REDACTED"
LONG_S = 60.0
"""Deadline of a webhook in a test that is not about deadlines: on a busy machine the usual 0.8 s pass."""

Client = Any
Steps = Callable[["Bench"], Awaitable[None]]


class Bench:
    """One running gateway."""

    def __init__(self, settings: GatewaySettings | None = None, limits: Limits | None = None) -> None:
        given = settings or GatewaySettings()
        waits = {} if "hook_deadline_s" in given.model_fields_set else {"hook_deadline_s": LONG_S}
        self.settings = given.model_copy(update={"port": 0, **waits})
        self.limits = limits
        self.publisher = MemoryPublisher()
        self.tool_state = LocalToolState()
        self.plans = WorkersPlans(self.publisher)
        self.rules: tuple[str, ...] = ()
        self.redis_url = ""
        self.now_ms = NOW_MS
        self.client: Client = None
        self.app: web.Application = None  # type: ignore[assignment]
        self.url = ""

    @property
    def webhook_queue(self) -> WebhookQueue:
        return self.app[GATEWAY].webhook_queue

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(value) for _, value in self.publisher.records]

    @property
    def dead(self) -> list[dict[str, Any]]:
        return [json.loads(value) for _, value in self.publisher.dead]

    async def hook(self, body: dict[str, Any] | str, query: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
        text = body if isinstance(body, str) else json.dumps(body)
        path = f"/v1/hooks/label-studio{query}"
        async with self.client.post(path, data=text.encode(), headers=headers) as answer:
            return answer.status, await answer.json()

    async def post(self, body: Any, media: str = "application/json", **headers: str) -> tuple[int, dict[str, Any]]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": media, **headers}
        async with self.client.post("/v1/events", data=raw, headers=headers) as answer:
            return answer.status, await answer.json()

    async def metrics(self) -> dict[str, float]:
        async with self.client.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return {name: float(number) for name, _, number in (line.rpartition(" ") for line in lines if line[0] != "#")}

    def run(self, steps: Steps) -> Bench:
        async def main() -> None:
            async with AsyncExitStack() as stack:
                refused = None  # what is refused is counted where a test names a Redis
                if self.redis_url:
                    refused = refused_store(await stack.enter_async_context(async_client(self.redis_url)), "f:")
                given = (self.publisher, self.tool_state, lambda: self.now_ms, self.limits, self.plans, self.rules)
                self.app = build_app(self.settings, *given, refused)
                self.app[GATEWAY].webhook_queue._retry_s = (0.01, 0.02)
                async with listening(self.app) as self.url, aiohttp.ClientSession(self.url) as self.client:
                    await steps(self)

        asyncio.run(main())
        return self


def fixture_names() -> list[str]:
    return sorted(path.stem for path in FIXTURES.glob("*.json"))


def raw_fixture(name: str) -> str:
    """The exact body of a captured webhook, by the beginning of its file's name."""
    (path,) = FIXTURES.glob(f"{name}*.json")
    return str(json.loads(path.read_text())["body_raw"])


def fixture(name: str) -> dict[str, Any]:
    return copy.deepcopy(json.loads(raw_fixture(name)))


def label(label_id: str = "l-1", task: str = "t-1", **changes: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"e-{label_id}",
        "source": "tool/kul-1",
        "type": "floorwatch.label.submitted.v1",
        "subject": task,
        "time": "2026-11-23T10:00:00Z",
        "data": {"label_id": label_id, "labeler_id": "ana", "values": ["hate"]},
        **changes,
    }
