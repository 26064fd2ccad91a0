"""The incidents of the read model, as the commands about incidents read them."""

from __future__ import annotations

import json
from typing import Any

import typer

from floorwatch.cli.people_options import fail
from floorwatch.output.terminal import say

LEAST_DIGITS = 6


def start_of(key: str) -> str:
    """Return the start of a key as it is stored.

    Raises:
        typer.Exit: It is none, or too short to mean one.
    """
    start = key.strip().lower()
    if len(start) < LEAST_DIGITS or not set(start) <= set("0123456789abcdef"):
        raise fail(f"{key!r} is no incident: give at least {LEAST_DIGITS} digits of what `floorwatch incidents` shows")
    return start


def read_incidents(options: dict[str, Any], prefix: str, key: str | None = None) -> list[dict[str, Any]]:
    """Return the incidents of the read model, or the one with a key.

    Args:
        options: Arguments of ``Redis.from_url``.
        prefix: Prefix of the keys in Redis.
        key: Key of an incident; None takes all.

    Raises:
        typer.Exit: Redis does not answer.
    """
    import redis

    name = f"{prefix}incidents"
    try:
        client = redis.Redis.from_url(**options, socket_connect_timeout=5, socket_timeout=10)
        try:
            values: list[Any] = list(client.hvals(name)) if key is None else [client.hget(name, key)]
        finally:
            client.close()
    except ValueError as error:
        say("floorwatch incidents: the Redis address is no redis:// URL; check --redis", err=True)
        raise typer.Exit(2) from error
    except redis.RedisError as error:
        # The address may hold a password, so only its fault is told.
        say(f"floorwatch incidents: Redis does not answer ({type(error).__name__}).", err=True)
        say("  Is `floorwatch up` running? Else give --redis or FLOORWATCH_REDIS_URL.", err=True)
        raise typer.Exit(1) from error
    return [json.loads(value) for value in values if value is not None]
