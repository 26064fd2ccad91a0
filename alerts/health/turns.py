"""How each worker's notifier fares, as the workers say it to each other in Redis."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, Final, cast

import msgspec

from alerts.health.facts import NotifierTurn
from alerts.outbox import Outbox
from streams.models import formats

FORGOTTEN_MS: Final = 86_400_000
"""After this long without a word a worker's entry is removed: it is another process by now."""


async def say_turn(outbox: Outbox, turn: NotifierTurn) -> None:
    """Say how this worker's notifier fares.

    Raises:
        RedisError: Redis did not take it.
    """
    value = formats.stamped_json(formats.HEALTH, msgspec.json.encode(turn))
    await cast("Awaitable[Any]", outbox.redis.hset(_key(outbox), turn.worker, value))


async def heard_turns(outbox: Outbox) -> tuple[NotifierTurn, ...]:
    """Return how the notifiers fare that were heard of in the last day, by the name of their worker.

    Raises:
        RedisError: Redis cannot be asked.
    """
    raw = await cast("Awaitable[dict[Any, Any]]", outbox.redis.hgetall(_key(outbox)))
    found, gone = [], []
    for field, value in raw.items():
        turn = _decoded(value)
        if turn is not None and outbox.clock() - turn.at_ms < FORGOTTEN_MS:
            found.append(turn)
        elif turn is not None:
            gone.append(field)
    if gone:
        await cast("Awaitable[Any]", outbox.redis.hdel(_key(outbox), *gone))
    return tuple(sorted(found, key=lambda one: one.worker))


def _key(outbox: Outbox) -> str:
    return outbox.key("notifiers")


def _decoded(value: bytes | str) -> NotifierTurn | None:
    """Return a turn; None where another version wrote it."""
    try:
        formats.check_json(formats.HEALTH, value)
        return msgspec.json.decode(value, type=NotifierTurn)
    except (msgspec.MsgspecError, formats.NewerFormat):
        return None
