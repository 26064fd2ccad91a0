"""Web pages over an incidents stage in memory: the log, Redis and the clock of ``tests.alerts.incident_world``."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer
from msgspec import structs

from alerts.codec import decode_input
from alerts.incident import Act
from alerts.links import LinkSigner
from alerts.routing.policy import RoutingPolicy, RuleTier
from floorwatch.web.app import build_web_app
from floorwatch.web.link_actions import LinkActions, LookAtTasks, NotWritten
from floorwatch.web.links_store import RedisLinksStore
from floorwatch.web.settings import WebSettings
from streams.core.durations import seconds_to_ms
from tests.alerts import incident_world
from tests.alerts.incident_world import KEY, SIGNALS, VENDOR, World
from tests.alerts.machine import ROUTING

RULE_TIERS = tuple(RuleTier(seconds_to_ms(tier.after), tier.route) for tier in VENDOR.escalate or ())
KEYS = ("k" * 40, "old" * 20)
NOTICE = f"{KEY}:open"
SETTINGS = WebSettings.model_validate({"link_keys": "\n".join(KEYS), "url": "https://fw.example/x"})
SIGNER = SETTINGS.signer()
assert SIGNER is not None


class Pages:
    """A world with an incident, and a browser without scripts."""

    def __init__(self, world: World, http: aiohttp.ClientSession, address: str) -> None:
        self.world, self.http, self.address = world, http, address
        self.faults: list[NotWritten] = []

    def link(self, purpose: Any, receiver: str = "ops", *, notice: str = NOTICE, key: str = KEY) -> str:
        """Return the address of a link here, as the notifier signs it."""
        signer: LinkSigner = SIGNER  # type: ignore[assignment]
        return self.address + signer.url(purpose, key, notice, receiver, self.world.now_ms).removeprefix(SETTINGS.url)

    async def get(self, url: str, method: str = "GET") -> tuple[int, str]:
        async with self.http.request(method, url) as answer:
            return answer.status, text_of(await answer.text())

    async def press(self, url: str, **fields: str) -> tuple[int, str]:
        """Press the button, and follow where it leads."""
        async with self.http.post(url, data=fields or {"by": ""}) as answer:
            return answer.status, text_of(await answer.text())

    def acts(self) -> list[Act]:
        inputs = [decode_input(record.value or b"") for record in self.world.log.records.get(SIGNALS, [])]
        return [given for given in inputs if isinstance(given, Act)]


Story = Callable[[Pages], Awaitable[None]]


def run(
    url: str,
    story: Story,
    settings: WebSettings = SETTINGS,
    how: RoutingPolicy = ROUTING,
    *,
    look: LookAtTasks | None = None,
    task_url: str = "",
    vendors: tuple[str, ...] = ("bpo-a",),
) -> None:
    """Tell a story of open incidents, of a vendor each, whose people got a message by a configuration of routes."""

    async def go(world: World) -> None:
        await world.put(
            *(incident_world.on(scope={"vendor": vendor}, scope_key=f"vendor={vendor}") for vendor in vendors)
        )
        await world.turn()
        pages: Pages

        async def append(act: Act) -> str:
            if pages.faults:
                raise pages.faults.pop(0)
            await world.put(act)
            return "signals"

        def clock() -> int:
            return world.now_ms

        store, zone = RedisLinksStore(world.redis, "f:"), "Asia/Kuala_Lumpur"
        known = how if how.rule_tiers else structs.replace(how, rule_tiers={VENDOR.name: RULE_TIERS})
        actions = LinkActions(store, append, clock, lambda _: zone, known, look, task_url)
        server = TestServer(build_web_app(settings, actions, clock))
        async with server, aiohttp.ClientSession() as http:
            pages = Pages(world, http, str(server.make_url("/")))
            await story(pages)

    incident_world.run(url, go, how=how)


def text_of(html: str) -> str:
    """Return the words of a page, one line an element."""
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    lines = [re.sub(r"<[^>]+>", " ", line).strip() for line in body.splitlines()]
    return "\n".join(re.sub(r"\s+", " ", line) for line in lines if line)
