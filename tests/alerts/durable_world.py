"""A world whose notifier writes receipts to the log, and whose Redis and workers are lost at will."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis

from alerts.channels.base import ChannelError
from alerts.codec import decode_input, decode_receipts, encode_input
from alerts.incident import Receipt
from alerts.notifier import Notifier
from alerts.outbox import Outbox, OutboxSettings, SendingRate
from alerts.outgoing import Notification
from alerts.receipts import NoticeReceipts
from streams.engine.log import ProducerRecord
from tests.alerts.incident_world import SIGNALS, VENDOR, World
from tests.alerts.machine import ROUTING
from tests.redis_clients import async_client

NOTICES = "f.notices.v1"
SETTINGS = OutboxSettings(backoff_first_ms=1_000, backoff_most_ms=5_000)


class Dead(BaseException):
    """The notifier is killed here; nothing catches it."""


class Hearing:
    """A channel whose receiver notes each message; ``faults`` are raised first, ``after`` is called once it has one."""

    idempotent = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[tuple[str, str]] = []
        self.titles: list[str] = []
        self.faults: list[BaseException] = []
        self.down = False
        self.after: Callable[[], None] = lambda: None

    async def send(self, note: Notification, idempotency_key: str) -> str:
        if self.down:
            raise ChannelError(f"{self.name}: no connection")
        if self.faults:
            raise self.faults.pop(0)
        self.heard.append((idempotency_key, note.step))
        self.titles.append(note.title)
        self.after()
        return f"{self.name}/{len(self.heard)}"

    async def close(self) -> None:
        pass


class DurableWorld(World):
    """As ``World``, with receipts. ``away``: the log takes no receipts."""

    def __init__(self, redis: Redis, *args: Any, channels: tuple[str, ...] = (), **more: Any) -> None:
        super().__init__(redis, *args, **more)
        self.away = False
        self.killed_behind_receipt = False
        self.fallbacks: dict[str, str] = {}
        self.replaced: dict[str, str] = {}
        self.rates: dict[str, SendingRate] = {}
        self.outbox = Outbox(redis, lambda: self.now_ms, SETTINGS, prefix="f:", receipts=self._take)
        self.ears = {name: Hearing(name) for name in (*self.routing.channels, *channels)}
        self.stage = self._stage()

    async def _take(self, receipt: Receipt) -> bool:
        if self.away:
            return False
        await self.log.append(SIGNALS, 0, [ProducerRecord(b"alerts", encode_input(receipt))])
        if self.killed_behind_receipt:
            self.killed_behind_receipt = False
            raise Dead
        return True

    def notifier(self) -> Notifier:
        def chosen(note: Notification) -> tuple[str, ...]:
            names = (self.replaced.get(name, name) for name in note.channels)
            return tuple(name for name in names if name in self.ears)

        return Notifier(self.outbox, self.ears, chosen, fallbacks=self.fallbacks, rates=self.rates)

    async def _deliver(self) -> None:
        try:
            await self.notifier().drain()
        except Dead:
            return

    def receipts(self) -> list[Receipt]:
        inputs = [decode_input(record.value or b"") for record in self.log.records.get(SIGNALS, [])]
        return [one for one in inputs if isinstance(one, Receipt)]

    def states(self) -> dict[str, NoticeReceipts]:
        """What notices.v1 says of each notice, read from the beginning."""
        found: dict[str, NoticeReceipts] = {}
        for record in self.log.records.get(NOTICES, []):
            key = (record.key or b"").decode()
            if key.startswith("="):
                found.pop(key[1:], None)
                if record.value is not None:
                    found[key[1:]] = decode_receipts(record.value)
        return found

    def messages(self) -> set[str]:
        """Ids of the notices whose message notices.v1 still has."""
        last = {record.key or b"": record.value for record in self.log.records.get(NOTICES, [])}
        return {key[1:].decode() for key, value in last.items() if key.startswith(b"+") and value is not None}

    def heard(self) -> Counter[tuple[str, str]]:
        """How often each (channel, step) was heard."""
        return Counter((ear.name, step) for ear in self.ears.values() for _, step in ear.heard)

    async def settle(self, seconds: int = 90) -> None:
        """Let time pass until leases and waits have ended and what is due is delivered."""
        for _ in range(seconds // 6):
            await self.wait(0.1)


def run(url: str, story: Callable[[DurableWorld], Awaitable[None]], *rules: Any, **more: Any) -> None:
    """Tell a story in a world on an empty Redis."""

    async def go() -> None:
        redis = async_client(url)
        try:
            await redis.flushall()
            world = DurableWorld(redis, rules or (VENDOR,), more.pop("how", ROUTING), **more)
            await world.restart()
            await story(world)
        finally:
            await redis.aclose()

    asyncio.run(go())
