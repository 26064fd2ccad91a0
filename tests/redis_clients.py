"""Redis clients for tests. They wait long: on a busy machine an answer may take longer than redis-py's own five seconds."""

from __future__ import annotations

from typing import Any

import redis
import redis.asyncio

ANSWER_S = 60.0
"""Seconds a test's client waits for an answer, and for a connection."""


def async_client(url: str, **options: Any) -> redis.asyncio.Redis:
    """Return an asyncio client of the Redis at ``url``."""
    return redis.asyncio.Redis.from_url(url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, **options)


def blocking_client(url: str, **options: Any) -> redis.Redis:
    """Return a blocking client of the Redis at ``url``."""
    return redis.Redis.from_url(url, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, **options)
