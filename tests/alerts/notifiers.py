"""A notifier over an outbox, with channels that fail as they are told."""

from __future__ import annotations

from typing import Any

from alerts.channels.base import Channel
from alerts.deliveries import channel_states, listed
from alerts.notifier import Notifier
from alerts.outbox import Outbox
from alerts.outgoing import Notification


class FakeChannel:
    """Takes notifications, failing as scripted."""

    idempotent = False

    def __init__(self, name: str, faults: list[BaseException] | None = None) -> None:
        self.name = name
        self.faults = faults or []
        self.keys: list[str] = []
        self.titles: list[str] = []

    async def send(self, note: Notification, idempotency_key: str) -> None:
        if self.faults:
            raise self.faults.pop(0)
        self.keys.append(idempotency_key)
        self.titles.append(note.title)

    async def close(self) -> None:
        pass


def notifier_of(outbox: Outbox, *channels: Channel, **options: Any) -> Notifier:
    """A notifier whose every route has all of some channels."""
    names = [channel.name for channel in channels]
    return Notifier(outbox, {channel.name: channel for channel in channels}, lambda _: names, **options)


async def dead_ones(outbox: Outbox) -> list[tuple[str, str, int]]:
    return [(one.channel, one.reason, one.attempts) for one in await listed(outbox, "dead")]


async def waiting(outbox: Outbox) -> int:
    return sum(state.waiting for state in await channel_states(outbox, []))
