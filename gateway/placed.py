"""What the mapping of a source makes of webhooks: which dimension comes from where, and what is not mapped. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.settings import GatewaySettings
from gateway.sources.base import Webhook
from gateway.sources.fields import LabelerDims
from gateway.sources.places import PlaceSettings, ProjectDims
from gateway.sources.registry import tool_of
from gateway.webhook_batch import PendingWebhook, WebhookBatch, translate_all

DIMS = tuple(ProjectDims.model_fields)
_TYPES = ("task.created", "label.submitted")


@dataclass(frozen=True)
class PlacedDim:
    """A dimension of an event.

    Attributes:
        name: Such as ``team``.
        value: What it became; None where it is unset.
        rule: Where that came from.
    """

    name: str
    value: str | None
    rule: str


@dataclass(frozen=True)
class PlacedEvent:
    """An event of a webhook: its type, task, labeller (of a label) and dimensions."""

    type: str
    task: str
    labeler: str | None
    dims: tuple[PlacedDim, ...]


def without_places(settings: GatewaySettings) -> GatewaySettings:
    """Return settings that place nobody and nothing, so that what a tool itself says is seen."""
    nothing: dict[str, Any] = {"labelers": {}, "users_csv": None, "projects": {}}
    sources = {}
    for name, source in settings.sources.items():
        sections = {tool: getattr(source, tool) for tool in type(source).model_fields}
        changed = {tool: _bare(one, nothing) for tool, one in sections.items() if isinstance(one, PlaceSettings)}
        sources[name] = source.model_copy(update=changed)
    return settings.model_copy(update={"sources": sources, "label_studio": _bare(settings.label_studio, nothing)})


def _bare(section: PlaceSettings, nothing: dict[str, Any]) -> PlaceSettings:
    found = section.model_copy(update=nothing)
    found._users = None  # noqa: SLF001 - a copy keeps what was read
    return found


def placed(
    source: str, hooks: Sequence[Webhook], received_ms: int, settings: GatewaySettings
) -> tuple[list[PlacedEvent], WebhookBatch]:
    """Return the tasks and labels that webhooks make, each dimension with its rule, and all that the webhooks mean.

    Args:
        source: CloudEvents source.
        hooks: Reduced, in order; nothing is remembered from before them.
        received_ms: When they arrive, Unix milliseconds.
        settings: The gateway's, with users loaded.
    """
    pending = [PendingWebhook(number, source, received_ms, hook) for number, hook in enumerate(hooks, 1)]
    batch = translate_all(pending, {}, settings)
    bare = translate_all(pending, {}, without_places(settings))
    section = settings.tool_settings(source)
    keys = (
        []
        if (said := tool_of(source).project_of) is None
        else [section.project_key(source, *said(one)) for one in hooks]
    )
    key = next((one for one in keys if one is not None), None)
    return list(_events(batch, bare, section, key)), batch


def _events(batch: WebhookBatch, bare: WebhookBatch, section: PlaceSettings, key: str | None) -> Iterator[PlacedEvent]:
    for (_, raw), (_, plain) in zip(batch.records, bare.records, strict=True):
        event, own = json.loads(raw), json.loads(plain)["data"]
        kind = event["type"].removeprefix("floorwatch.").removesuffix(".v1")
        if kind not in _TYPES:
            continue
        data = event["data"]
        labeler = data.get("labeler_id")
        person = section.people.get(labeler or "")
        dims = []
        for name in DIMS:
            value = data.get(name)
            if value is not None and value == own.get(name):
                rule = "what the tool says"
            elif value is not None and getattr(person, name, None) == value:
                rule = f"labelers: {labeler}" if labeler in section.labelers else f"{section.users_csv}: {labeler}"
            elif value is not None:
                rule = f"projects: {key}"
            else:
                rule = "nothing"
            if (
                kind == "label.submitted"
                if name in LabelerDims.model_fields
                else name != "sla_class" or kind == "task.created"
            ):
                dims.append(PlacedDim(name, value, rule))
        yield PlacedEvent(kind, event["subject"], labeler, tuple(dims))
