"""What became of notifications: read from the outbox for people, metrics and the doctor. Changes nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from typing import Any, Literal, cast

import msgspec
from msgspec import Struct

from alerts.outbox import Outbox
from alerts.outgoing import Notification, decode_notification
from alerts.receipts import NO_CHANNEL
from streams.models.formats import NewerFormat

DeliveryState = Literal["waiting", "sent", "dead", "moved"]


class Delivery(Struct, frozen=True):
    """One notification on its way to one channel.

    Attributes:
        id: Of the notification.
        channel: Where it goes; ``(no channel)`` while its route has none.
        state: ``moved``: the channel is no longer configured, and others of the route got it.
        attempts: How often it was tried.
        reason: Why the last attempt failed, or empty.
        at_ms: Wall time of the last change.
        queued_ms: Wall time at which it was put in.
        failing_since_ms: Since when it fails, without a success between; None where it does not.
        instead_of: The channel in whose place it goes there, and why that one did not take it; else empty.
    """

    id: str
    channel: str
    state: DeliveryState
    attempts: int
    reason: str
    at_ms: int
    queued_ms: int
    failing_since_ms: int | None = None
    instead_of: str = ""


class ChannelState(Struct, frozen=True):
    """The state of a channel, over all workers. Times are wall ms. Counts are since the outbox was created.

    ``tested_ms``, ``test_failed_ms`` and ``test_reason`` come from ``floorwatch notifications test``, run on any
    machine.
    """

    name: str
    waiting: int = 0
    dead: int = 0
    oldest_waiting_ms: int | None = None
    sent: int = 0
    failed: int = 0
    sent_ms: int | None = None
    failed_ms: int | None = None
    failing_since_ms: int | None = None
    reason: str = ""
    tested_ms: int | None = None
    test_failed_ms: int | None = None
    test_reason: str = ""


_COUNTS = ("sent", "failed")
_TIMES = ("sent_ms", "failed_ms", "failing_since_ms", "tested_ms", "test_failed_ms")


async def channel_states(outbox: Outbox, configured: Iterable[str]) -> list[ChannelState]:
    """Return the state of every configured channel, and of others that still have something waiting or dead.

    ``oldest_waiting_ms`` is the age in ms of the one enqueued first among the 100 due first.
    """
    names = list(dict.fromkeys([*configured, *await outbox.channels(), NO_CHANNEL]))
    wanted = set(configured)
    found = [await _channel(outbox, name) for name in names]
    return [one for one in found if one.name in wanted or one.waiting or one.dead]


async def _channel(outbox: Outbox, name: str) -> ChannelState:
    due = outbox.key("due" if name == NO_CHANNEL else f"due:{name}")
    async with outbox.redis.pipeline(transaction=False) as pipe:
        pipe.zcard(due)
        pipe.zcard(outbox.key(f"dead:{name}"))
        pipe.hgetall(outbox.key(f"channel:{name}"))
        pipe.zrange(due, 0, 99)
        waiting, dead, raw, ids = await pipe.execute()
    fields = _texts(raw)
    numbers = {field: int(fields[field]) for field in (*_COUNTS, *_TIMES) if field in fields}
    return ChannelState(
        name,
        waiting=int(waiting),
        dead=int(dead),
        oldest_waiting_ms=await _oldest_ms(outbox, [_text(one) for one in ids]),
        reason=fields.get("reason", ""),
        test_reason=fields.get("test_reason", ""),
        **numbers,
    )


async def _oldest_ms(outbox: Outbox, ids: list[str]) -> int | None:
    if not ids:
        return None
    async with outbox.redis.pipeline(transaction=False) as pipe:
        for one in ids:
            pipe.hget(outbox.key(f"item:{one}"), "queued_ms")
        queued = [int(value) for value in await pipe.execute() if value is not None]
    return max(0, outbox.clock() - min(queued)) if queued else None


async def deliveries_of(outbox: Outbox, incident_keys: Iterable[str]) -> dict[str, list[Delivery]]:
    """Return the deliveries of each incident by its key, oldest first."""
    keys = list(incident_keys)
    async with outbox.redis.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.zrange(outbox.key(f"notes:{key}"), 0, -1)
        found = await pipe.execute() if keys else []
    ids = [[_text(one) for one in some] for some in found]
    states = await deliveries(outbox, [one for some in ids for one in some])
    return {key: [one for name in some for one in states.get(name, ())] for key, some in zip(keys, ids, strict=True)}


async def deliveries(outbox: Outbox, ids: Iterable[str]) -> dict[str, list[Delivery]]:
    """Return by notification id its deliveries by channel; ids that the outbox has forgotten are left out."""
    names = list(ids)
    async with outbox.redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hgetall(outbox.key(f"item:{name}"))
        raw = await pipe.execute() if names else []
    return {name: _deliveries(name, _texts(one)) for name, one in zip(names, raw, strict=True) if one}


def _deliveries(name: str, item: Mapping[str, str]) -> list[Delivery]:
    queued_ms = int(item.get("queued_ms", 0))
    found = []
    for field, state in item.items():
        kind, _, channel = field.partition("|")
        if kind != "s":
            continue
        at_ms = int(item.get(f"w|{channel}", queued_ms))
        attempts, reason = int(item.get(f"a|{channel}", 0)), item.get(f"r|{channel}", "")
        state = cast("DeliveryState", state)
        since_ms = int(item[f"f|{channel}"]) if f"f|{channel}" in item and state in ("waiting", "dead") else None
        instead_of = item.get(f"i|{channel}", "")
        found.append(Delivery(name, channel, state, attempts, reason, at_ms, queued_ms, since_ms, instead_of))
    if not found:
        found.append(Delivery(name, NO_CHANNEL, "waiting", 0, "", queued_ms, queued_ms))
    return sorted(found, key=lambda one: one.channel)


async def listed(outbox: Outbox, state: Literal["waiting", "dead"], limit: int = 1000) -> list[Delivery]:
    """Return the waiting or dead deliveries by channel, newest change first, at most ``limit`` of each channel."""
    found: list[Delivery] = []
    for channel in [*await outbox.channels(), NO_CHANNEL]:
        waits_unrouted = channel == NO_CHANNEL and state == "waiting"
        key = outbox.key("due" if waits_unrouted else f"{'due' if state == 'waiting' else 'dead'}:{channel}")
        ids = [_text(cast("bytes | str", one)) for one in await outbox.redis.zrevrange(key, 0, limit - 1)]
        held = await deliveries(outbox, ids)
        found += [one for name in ids for one in held.get(name, ()) if (one.channel, one.state) == (channel, state)]
    unique = {(one.id, one.channel): one for one in found}
    return sorted(unique.values(), key=lambda one: one.at_ms, reverse=True)


async def payload_of(outbox: Outbox, notification_id: str) -> Notification | None:
    """Return a notification if the outbox still has its text, else None."""
    held = await cast("Awaitable[Any]", outbox.redis.hget(outbox.key(f"item:{notification_id}"), "payload"))
    try:
        return None if held is None else decode_notification(held)
    except (msgspec.DecodeError, NewerFormat):
        return None


def _texts(raw: Mapping[Any, Any]) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in raw.items()}


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
