"""Argilla behind the gateway's seam."""

from __future__ import annotations

from typing import Any

from gateway.sources.argilla.read import redact
from gateway.sources.argilla.translate import lookups, translate
from gateway.sources.base import Tool, Webhook
from gateway.sources.standard_webhooks import STANDARD_WEBHOOKS


def dataset_of(hook: Webhook) -> tuple[Any, Any]:
    """Return id and name of a webhook's dataset, which is what other tools call a project."""
    dataset = hook.get("dataset") or {}
    return dataset.get("id"), dataset.get("name")


ARGILLA = Tool(
    "argilla",
    "Argilla",
    STANDARD_WEBHOOKS,
    redact,
    lookups,
    translate,
    lookup_rounds=2,
    retries=True,
    project_of=dataset_of,
)
