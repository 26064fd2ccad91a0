"""What people have planned, as the gateway reads it: from the read model, which the workers keep."""

from __future__ import annotations

import logging
from typing import Any, Protocol

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alerts.incident import Maintenance
from alerts.oncall.kept import PLANS, shown_plans
from streams.models.formats import NewerFormat

_log = logging.getLogger(__name__)


class PlansUnavailable(Exception):
    """What is planned cannot be read now. Operator: is Redis up, and does a worker run?"""


class PlanStore(Protocol):
    """Knows the maintenance windows that workers know."""

    async def windows(self) -> dict[str, Maintenance]:
        """Return the windows by id, also those that are over or removed.

        Raises:
            PlansUnavailable: They cannot be read now.
        """


class NoPlans:
    """A store that knows nothing: of a gateway without a read model."""

    async def windows(self) -> dict[str, Maintenance]:
        """Refuse; see the port."""
        raise PlansUnavailable("this gateway has no read model")


class RedisPlans:
    """Reads the hash that the workers write."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        """Use a client that the caller closes; ``prefix`` is put before the key."""
        self._redis, self._key = redis, f"{prefix}{PLANS}"

    async def windows(self) -> dict[str, Maintenance]:
        """Read all of them; see the port."""
        try:
            found: Any = await self._redis.hgetall(self._key)
        except (RedisError, OSError) as error:
            raise PlansUnavailable(f"Redis cannot be asked: {type(error).__name__}") from error
        try:
            facts = shown_plans(found)
        except (NewerFormat, msgspec.DecodeError, ValueError) as error:
            raise PlansUnavailable(f"{self._key} in Redis cannot be read: {error}") from error
        if facts is None:
            raise PlansUnavailable("no worker has written yet what is planned")
        return facts.maintenance
