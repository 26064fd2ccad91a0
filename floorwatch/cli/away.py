"""What every command says when no Floorwatch runs, or when its Kafka or Redis cannot be reached."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from floorwatch.settings.schema import FloorwatchConfig

_MORE = "`floorwatch doctor` tells more."


class Away(Exception):
    """A server cannot be used. Operator: do what the message says."""


def nothing_runs(where: str) -> str:
    """Return the message for when no stack was found and no server was named.

    Args:
        where: The default address, at which nothing answers.
    """
    return (
        f"No Floorwatch runs here: no `floorwatch up` of yours was found, and nothing answers at the default, {where}. "
        "Start one with `floorwatch up`, or name the Kafka and the Redis of yours: --config FILE with kafka.brokers and redis.url, "
        f"or FLOORWATCH_KAFKA__BROKERS and FLOORWATCH_REDIS__URL. {_MORE}"
    )


def redis_away(url: str, error: Exception, env: Mapping[str, str] = os.environ) -> str:
    """Return the message for a Redis that cannot be used: what, where and how to fix it.

    Args:
        url: Its address; secrets in it are masked.
        error: What the client said.
        env: The environment, which may have named the address.
    """
    from config.masking import without_secrets
    from config.redis import RedisSettings
    from floorwatch.cli.doctor_redis import refusal_of

    if url == RedisSettings().url and not env.get("FLOORWATCH_REDIS__URL"):
        return nothing_runs(url)
    said, fix = refusal_of(error)
    return f"Redis at {without_secrets(url)} cannot be reached: {without_secrets(said)} ({fix}). {_MORE}"


def kafka_away(settings: FloorwatchConfig, error: Exception | None = None, env: Mapping[str, str] = os.environ) -> str:
    """Return the message for a Kafka that cannot be used: what, where and how to fix it.

    Args:
        settings: Whose brokers were asked.
        error: What the client said, if it was asked already.
        env: The environment, which may have named the brokers.
    """
    from streams.models.kafka_error import said_by

    told = ""
    with suppress(OSError):
        told = asyncio.run(obstacles(settings, env))
    return told or f"Kafka did not do it: {said_by(error) if error is not None else 'no reason is known'}. {_MORE}"


async def obstacles(settings: FloorwatchConfig, env: Mapping[str, str] = os.environ) -> str:
    """Return why no broker can be used, in words; empty if one can. Takes at most eight seconds."""
    from config.kafka import KafkaSettings
    from streams.adapters.clients import kafka_settings
    from streams.adapters.reachability import connection_fault_of

    options = kafka_settings(settings)
    addresses: list[str] = options["bootstrap_servers"]
    found = await asyncio.gather(*(connection_fault_of(address, options) for address in addresses))
    if None in found:
        return ""
    if settings.kafka.brokers == KafkaSettings().brokers and not env.get("FLOORWATCH_KAFKA__BROKERS"):
        return nothing_runs(", ".join(addresses))
    told = zip(addresses, found, strict=True)
    each = "; ".join(f"{address}: {one.said} ({one.fix})" for address, one in told if one is not None)
    return f"Kafka cannot be reached. Broker {each}. {_MORE}"


async def check_kafka(settings: FloorwatchConfig) -> None:
    """Return as soon as a broker can be used. The client itself would wait long and say little.

    Raises:
        Away: None does.
    """
    told = await obstacles(settings)
    if told:
        raise Away(told)
