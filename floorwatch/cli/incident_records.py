"""The incidents of the read model, as the commands about incidents read them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import typer

from alerts.incident import PENDING
from floorwatch.cli.people_options import fail
from floorwatch.output.terminal import say
from streams.models import formats

if TYPE_CHECKING:
    from redis import Redis

    from alerts.looks import Look

LEAST_DIGITS = 6

ANSWER_S = 10.0
"""Seconds that Redis may take to answer."""


def start_of(key: str) -> str:
    """Return the beginning of an incident's key as it is stored.

    Raises:
        typer.Exit: It is not a key, or too short to identify one.
    """
    start = key.strip().lower()
    if len(start) < LEAST_DIGITS or not set(start) <= set("0123456789abcdef"):
        raise fail(
            f"{key!r} is not an incident: give at least {LEAST_DIGITS} digits of what `floorwatch incidents` shows"
        )
    return start


def read_incidents(options: dict[str, Any], prefix: str, key: str | None = None) -> list[dict[str, Any]]:
    """Return the incidents of the read model, or the one with a key.

    Args:
        options: Arguments of ``Redis.from_url``.
        prefix: Prefix of the keys in Redis.
        key: Key of an incident; None takes all.

    Raises:
        typer.Exit: Redis does not answer.
        NewerFormat: A newer version of Floorwatch wrote one.
    """
    name = f"{prefix}incidents"

    def ask(client: Redis) -> list[Any]:
        return list(client.hvals(name)) if key is None else [client.hget(name, key)]

    found = [value for value in asked(options, ask) if value is not None]
    for value in found:
        formats.check_json(formats.INCIDENT, value, f"{name} in Redis")
    return [json.loads(value) for value in found]


def read_pending(options: dict[str, Any], prefix: str) -> list[dict[str, Any]]:
    """Return what may become an incident with the next evaluations, the newest first. See ``read_incidents``."""
    name = f"{prefix}{PENDING}"
    found = list(asked(options, lambda client: list(client.hvals(name))))
    for value in found:
        formats.check_json(formats.INCIDENT, value, f"{name} in Redis")
    records = [json.loads(value) for value in found]
    return sorted(records, key=lambda record: (record["updated_at"] or "", record["key"]), reverse=True)


def read_look(options: dict[str, Any], prefix: str) -> Look | None:
    """Return up to when the rules were evaluated, from the read model; None before the first evaluation. See ``read_incidents``."""
    from alerts.looks import LOOKS, decode_look

    found = asked(options, lambda client: client.get(f"{prefix}kept:{LOOKS}"))
    return None if found is None else decode_look(found)


def asked(options: dict[str, Any], ask: Callable[[Redis], Any]) -> Any:
    """Return what Redis answers.

    Args:
        options: Arguments of ``Redis.from_url``.
        ask: Asks a client.

    Raises:
        typer.Exit: It does not answer, or its address is none.
    """
    import redis

    from floorwatch.cli.away import redis_away

    try:
        client = redis.Redis.from_url(**options, socket_connect_timeout=5, socket_timeout=ANSWER_S)
        try:
            return ask(client)
        finally:
            client.close()
    except ValueError as error:
        say(
            "The address of Redis is not a redis:// URL: correct redis.url (FLOORWATCH_REDIS__URL), or --redis.",
            err=True,
        )
        raise typer.Exit(2) from error
    except redis.RedisError as error:
        say(redis_away(options["url"], error), err=True)
        raise typer.Exit(1) from error
