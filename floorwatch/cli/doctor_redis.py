"""The doctor's checks of Redis: whether it is reachable, accepts the login, is new enough, keeps its data, and has the same time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError

from config.connect import redis_options
from config.masking import without_secrets
from config.redis import RedisSettings
from floorwatch.cli.doctor_check import ANSWER_TIMEOUT_S, CONNECT_TIMEOUT_S, Check

MIN_VERSION = (6, 2)
SKEW_WARN_S = 1.0


async def redis_checks(
    settings: RedisSettings, future_tolerance_s: float, clock: Callable[[], float] = time.time
) -> list[Check]:
    """Check Redis, and this machine's clock against its.

    Args:
        settings: The ``redis`` section.
        future_tolerance_s: How far ahead events may be dated; a clock that is off by half of it refuses good events.
        clock: This machine's wall time in seconds.
    """
    name = f"redis {without_secrets(settings.url)}"
    options = redis_options(settings)
    try:
        client: Redis = Redis.from_url(
            options.pop("url"), **options, socket_connect_timeout=CONNECT_TIMEOUT_S, socket_timeout=CONNECT_TIMEOUT_S
        )
        client.connection_pool.make_connection()  # type: ignore[no-untyped-call]  # tells of parameters that it does not know
    except (ValueError, TypeError) as error:
        said = f"the URL cannot be used: {without_secrets(str(error))}"
        return [Check("fail", name, said, "write redis.url as redis://host:port/db")]
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await client.ping()
            info = await client.info()
            before = clock()
            seconds, micros = await client.time()
            skew_s = seconds + micros / 1e6 - (before + clock()) / 2
    except (RedisError, OSError, TimeoutError, UnicodeDecodeError) as error:
        return [Check("fail", name, *refusal_of(error))]
    finally:
        await client.aclose()
    return [Check("ok", name, "answers"), _version(info), _eviction(info), _skew(skew_s, future_tolerance_s)]


_REFUSALS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("noauth", "wrongpass", "invalid password", "noperm"),
        "asks for another login",
        "set redis.password_file (and the user in redis.url)",
    ),
    (
        ("refused", "error 111"),
        "nothing listens there",
        "start Redis, or correct redis.url; floorwatch up brings its own",
    ),
    (("not known", "name resolution"), "the host is not known", "correct redis.url, or the DNS of this machine"),
    (("certificate", "ssl"), "there is no TLS with it", "set redis.ca_file, or use redis:// on a port without TLS"),
    (("timeout", "timed out"), "does not answer in time", "check host, port, firewall, and that it is a Redis"),
)
"""Parts of what the client says in lower case, what it means, how to mend it."""


def refusal_of(error: Exception) -> tuple[str, str]:
    """Return why a client cannot use Redis, and how to fix it."""
    if isinstance(error, AuthenticationError | NoPermissionError):
        return _REFUSALS[0][1:]
    if isinstance(error, TimeoutError):
        return _REFUSALS[-1][1:]
    said = str(error).strip().lower()
    for parts, detail, fix in _REFUSALS:
        if any(part in said for part in parts):
            return detail, fix
    if isinstance(error, ResponseError):
        return f"answers with an error: {said[:200]}", "check that the user may run PING, INFO and TIME"
    return f"something answers, but not as Redis ({type(error).__name__})", "check redis.url: this is another service"


def _version(info: dict[str, Any]) -> Check:
    product = "valkey" if "valkey_version" in info else "redis"
    text = str(info.get("valkey_version") or info.get("redis_version") or "0")
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    if numbers < MIN_VERSION:
        needed = ".".join(map(str, MIN_VERSION))
        return Check("fail", "redis version", f"{product} {text} is too old", f"use Redis {needed} or later, or Valkey")
    return Check("ok", "redis version", f"{product} {text}")


def _eviction(info: dict[str, Any]) -> Check:
    policy, limit = str(info.get("maxmemory_policy", "unknown")), int(info.get("maxmemory", 0))
    if policy in ("noeviction", "unknown"):
        return Check("ok", "redis eviction", policy)
    detail = f"maxmemory-policy {policy} may drop notifications that are not sent yet"
    if not limit:
        detail += " (once maxmemory is set)"
    return Check("warn", "redis eviction", detail, "set maxmemory-policy noeviction")


def _skew(skew_s: float, tolerance_s: float) -> Check:
    said = f"{abs(skew_s):.1f} s {'behind' if skew_s > 0 else 'ahead of'} that of Redis"
    fix = "set both clocks by NTP (chrony or systemd-timesyncd)"
    if abs(skew_s) > max(tolerance_s / 2, SKEW_WARN_S):
        return Check("fail", "clock", f"this clock is {said}: good events would be refused as future", fix)
    if abs(skew_s) > SKEW_WARN_S:
        return Check("warn", "clock", f"this clock is {said}", fix)
    return Check("ok", "clock", f"within {SKEW_WARN_S:.0f} s of that of Redis")
