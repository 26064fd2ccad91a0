"""What the page of details shows beside the incident's own record: how its messages went, and what is planned."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct, field
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alerts.deliveries import Delivery, deliveries
from alerts.oncall.kept import PLANS, shown_plans
from alerts.oncall.policy import RotaFacts
from alerts.outbox import Outbox
from streams.models.formats import NewerFormat


class Behind(Struct, frozen=True):
    """What stands behind an incident.

    Attributes:
        deliveries: What became of its notices.
        titles: Of other incidents that it names, by key.
        facts: What is planned; None: no worker has written it.
        known: Whether all of it could be read.
    """

    deliveries: tuple[Delivery, ...] = ()
    titles: dict[str, str] = field(default_factory=dict)
    facts: RotaFacts | None = None
    known: bool = True


async def read_behind(redis: Redis, prefix: str, record: Mapping[str, Any]) -> Behind:
    """Return what stands behind an incident; what cannot be read is left out, because the rest of the page helps all the same.

    Args:
        redis: The Redis of read model and outbox.
        prefix: Of its keys.
        record: The incident's record.
    """
    outbox = Outbox(redis, lambda: 0, prefix=prefix)
    notices = sorted({str(told["notice"]) for told in record.get("told") or ()})
    others = {str(hold.get("by") or "") for hold in record.get("held") or ()} | {str(record.get("merged_into") or "")}
    try:
        sent = await deliveries(outbox, notices)
        planned: Any = await redis.hgetall(f"{prefix}{PLANS}")
        titles = {}
        for key in sorted(others - {""}):
            found: Any = await redis.hget(f"{prefix}incidents", key)
            if found is not None:
                titles[key] = str(msgspec.json.decode(found, type=dict[str, Any])["title"])
        return Behind(tuple(one for some in sent.values() for one in some), titles, shown_plans(planned))
    except (RedisError, OSError, ValueError, KeyError, NewerFormat):  # msgspec's errors are ValueErrors
        return Behind(known=False)
