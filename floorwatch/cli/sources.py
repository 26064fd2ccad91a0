"""``floorwatch sources``: which sources send, when they last did, and what the gateways refused of them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from floorwatch.cli.common import exit_on_config_error, exit_on_redis_error, load_target
from floorwatch.cli.options import ConfigOption, JsonLinesOption, VarOption
from floorwatch.output.reader_zone import local_rfc3339
from floorwatch.output.terminal import aligned, say, say_json, say_lines, window_width
from streams.core.time_text import rfc3339
from streams.models.timestamps import HOUR_MS

if TYPE_CHECKING:
    from streams.adapters.refused_requests import RefusedRequests


Heard = list[tuple[str, int, int]]
"""By source its last event (wall ms), and how many came in the last hour, counted by quarters."""


def sources(as_json: JsonLinesOption = False, config: ConfigOption = None, var: VarOption = None) -> None:
    """Show which sources send, when their last event came, and which requests were refused in the last day."""
    with exit_on_config_error():
        settings, _ = load_target(config, var, process="reader")
    with exit_on_redis_error(settings.redis.url):
        heard, refused = asyncio.run(_read(settings, int(time.time() * 1000)))
    if as_json:
        for line in [*map(_heard_json, heard), *map(_refused_json, refused)]:
            say_json(line)
        return
    say_lines(_heard_lines(heard))
    if refused:
        say()
        say_lines(_refused_lines(refused))
        say("The gateway's log says of each why, and where from: gateway/README.md", err=True)


async def _read(settings: Any, now_ms: int) -> tuple[Heard, list[RefusedRequests]]:
    from alerts.health.sources import KEPT_MS as HEARD_KEPT_MS
    from streams.adapters.clients import redis_client
    from streams.adapters.refused_requests import KEPT_MS, refused_since, refused_store
    from streams.adapters.source_counts import QUARTER_MS, SourceStore

    redis = redis_client(settings)
    try:
        store = SourceStore(redis, settings.redis.prefix, HEARD_KEPT_MS)
        _, last_ms = await store.last()
        first = (now_ms - HOUR_MS) // QUARTER_MS + 1
        counts = await store.counts({one: list(last_ms) for one in range(first, first + 4)} if last_ms else {})
        heard = [(name, at_ms, sum(one.get(name, 0) for one in counts.values())) for name, at_ms in last_ms.items()]
        refused = await refused_since(refused_store(redis, settings.redis.prefix), now_ms - KEPT_MS, now_ms)
    finally:
        await redis.aclose()
    return sorted(heard), refused


def _heard_lines(heard: Heard) -> list[str]:
    if not heard:
        return ["No source has sent an event in the last 8 days."]
    rows = [[name, local_rfc3339(last_ms), f"{number:,}"] for name, last_ms, number in heard]
    return aligned([["source", "last event", "last hour"], *rows], window_width())


def _refused_lines(refused: list[RefusedRequests]) -> list[str]:
    rows = [[one.sender, f"{one.status} {one.code}", f"{one.times:,}", local_rfc3339(one.last_ms)] for one in refused]
    return aligned([["refused requests of", "answer", "last day", "last"], *rows], window_width())


def _heard_json(one: tuple[str, int, int]) -> dict[str, Any]:
    name, last_ms, number = one
    return {"source": name, "last_event": rfc3339(last_ms), "events_last_hour": number}


def _refused_json(one: RefusedRequests) -> dict[str, Any]:
    said = {"refused_requests_of": one.sender, "status": one.status, "code": one.code}
    return {**said, "last": rfc3339(one.last_ms), "times_last_day": one.times}
