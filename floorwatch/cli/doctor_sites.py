"""The doctor's checks across settings: risks, and sites without a time zone."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis
from redis.exceptions import RedisError

from config.connect import redis_options
from floorwatch.cli.doctor_check import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, Check
from floorwatch.settings.review import faults, warnings
from floorwatch.settings.schema import FloorwatchConfig
from floorwatch.settings.sites import FIX, zoneless, zoneless_words
from streams.core.scopes import parse_scope_key
from streams.core.window_names import CALENDAR_WINDOWS


async def review_checks(config: FloorwatchConfig) -> list[Check]:
    """Say what ``floorwatch config check`` says beyond single settings, and which sites of the tables have no time zone."""
    checks = [Check("fail", "configuration", said, "correct the setting named") for said in faults(config)]
    checks += [Check("warn", "configuration", said) for said in warnings(config)]
    seen = zoneless(await _sites(config), config.tables)
    if seen:
        checks.append(Check("warn", "sites", zoneless_words(seen, config.tables), FIX))
    return checks


async def _sites(config: FloorwatchConfig) -> set[str]:
    """Return the sites of the read model; none where Redis does not answer, which its own check tells."""
    windows = [name for name in CALENDAR_WINDOWS if name in config.tables.windows]
    options = redis_options(config.redis)
    options |= {"socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_timeout": CONNECT_TIMEOUT_S}
    try:
        redis: Redis = Redis.from_url(options.pop("url"), **options)
    except (ValueError, TypeError):
        return set()
    found: set[str] = set()
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            for window in windows:
                async for key, _ in redis.hscan_iter(f"{config.redis.prefix}rows:throughput:{window}", match="site=*"):
                    text = key.decode(errors="replace") if isinstance(key, bytes) else str(key)
                    if "," not in text:
                        found.add(parse_scope_key(text).get("site", ""))
    except (RedisError, OSError, TimeoutError, ValueError, TypeError):
        return found
    finally:
        await redis.aclose()
    return found - {""}
