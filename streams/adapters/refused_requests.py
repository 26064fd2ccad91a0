"""How many requests of each source all gateways have refused, and when the last: kept in Redis as the counts of events are."""

from __future__ import annotations

from dataclasses import dataclass

from redis.asyncio import Redis

from streams.adapters.source_counts import QUARTER_MS, SourceStore
from streams.models.timestamps import DAY_MS

KEPT_MS = DAY_MS
"""How long refusals are remembered after the last of their kind: a day."""

UNKNOWN = "unknown"
"""Whose requests are of no source: those without a valid token that name none."""

ANYONE = "anyone"
"""Whose requests are of no source either: nobody has a token."""

_BETWEEN = " "


@dataclass(frozen=True)
class RefusedRequests:
    """Requests of one source that were refused for one reason.

    Attributes:
        sender: Name of the source in ``gateway.sources``; ``anyone`` where there are no tokens, ``unknown``.
        status: Of the answer.
        code: Of the answer.
        last_ms: When the last was refused (wall ms).
        times: How many in the time that was asked for.
    """

    sender: str
    status: int
    code: str
    last_ms: int
    times: int


def refused_name(sender: str, status: int, code: str) -> str:
    """Return under which name refusals of a source are counted."""
    return _BETWEEN.join((str(status), code, sender))


def refused_store(redis: Redis, prefix: str) -> SourceStore:
    """Return where the refusals of all gateways are; the caller closes the connection."""
    return SourceStore(redis, f"{prefix}refused:", KEPT_MS)


async def refused_since(store: SourceStore, since_ms: int, now_ms: int) -> list[RefusedRequests]:
    """Return what was refused since a time, the latest first; times are counted by whole quarters of an hour.

    Args:
        store: As ``refused_store`` gives it.
        since_ms: Not longer ago than ``KEPT_MS``.
        now_ms: Wall time.

    Raises:
        RedisError: Redis cannot be asked.
    """
    _, last_ms = await store.last()
    names = [name for name, at_ms in last_ms.items() if at_ms >= since_ms]
    quarters = range(since_ms // QUARTER_MS, now_ms // QUARTER_MS + 1) if names else ()
    counts = await store.counts(dict.fromkeys(quarters, names))
    found = []
    for name in names:
        status, code, sender = name.split(_BETWEEN, 2)
        times = sum(one.get(name, 0) for one in counts.values())
        found.append(RefusedRequests(sender, int(status), code, last_ms[name], times))
    return sorted(found, key=lambda one: (-one.last_ms, one.sender, one.code))
