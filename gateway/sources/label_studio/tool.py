"""Label Studio behind the gateway's seam."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.sources.base import Tool, Webhook
from gateway.sources.label_studio.large import HookStream, distill_in_slices
from gateway.sources.label_studio.read import distill
from gateway.sources.label_studio.translate import lookups_of, translate_distilled
from gateway.time_slices import TimeSlices

_BIG_BYTES = 65_536


async def redact(body: bytes, settings: Any, time_slices: TimeSlices) -> Webhook:
    """Return the distilled webhook; a large one is read in slices. Raises as ``distill_in_slices``."""
    if len(body) <= _BIG_BYTES:
        return distill(msgspec.json.decode(body), settings)
    return await distill_in_slices(body, settings, time_slices)


def project_of(hook: Webhook) -> tuple[Any, Any]:
    """Return id and title of a webhook's project."""
    project = hook.get("project") or {}
    return project.get("id"), project.get("title")


LABEL_STUDIO = Tool(
    "label-studio",
    "Label Studio",
    None,
    redact,
    lookups_of,
    translate_distilled,
    lookup_rounds=2,
    reader=HookStream,
    project_of=project_of,
)
