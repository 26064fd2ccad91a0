"""Webhooks translated in parts of chance sizes, as a gateway finds them waiting."""

from __future__ import annotations

import random
from typing import Any

from gateway.settings import GatewaySettings
from gateway.webhook_batch import PendingWebhook, keys_of, rounds_of, translate_all


def published(
    waiting: list[PendingWebhook], held: GatewaySettings, most: int, rng: random.Random
) -> tuple[list[Any], dict[str, Any]]:
    """Return the records of webhooks that were translated at most so many together, and what is remembered then."""
    state: dict[str, Any] = {}
    records: list[Any] = []
    done = 0
    while done < len(waiting):
        some = waiting[done : done + rng.randint(1, most)]
        done += len(some)
        seen: dict[str, Any] = {}
        for _ in range(rounds_of(some)):
            seen |= {key: state[key] for key in keys_of(some, held, seen) if key in state}
        batch = translate_all(some, seen, held)
        state.update(batch.remember)
        records += batch.records
    return records, state
