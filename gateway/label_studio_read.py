"""Reads Label Studio's webhooks: what is needed of them and nothing else, so that no content gets any further."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec

from gateway.hooks import BadHook
from gateway.settings import LabelStudioSettings

Hook = dict[str, Any]

_ANNOTATION = (
    "id",
    "unique_id",
    "was_cancelled",
    "ground_truth",
    "created_at",
    "updated_at",
    "lead_time",
    "task",
    "project",
    "completed_by",
    "updated_by",
)
_TASK = ("id", "created_at", "overlap", "project")


def distill(payload: Any, settings: LabelStudioSettings) -> Hook:
    """Return a webhook reduced to ids, times, dimensions and choices, in the shape it had.

    Task text, notes, project tokens and unknown fields do not get past this function.

    Args:
        payload: The decoded body, or what this function returned.
        settings: Which fields of task.data are dimensions.

    Raises:
        BadHook: It is no webhook of Label Studio.
    """
    if not isinstance(payload, dict) or not isinstance(payload.get("action"), str):
        raise BadHook("missing_field", "$.action", "a Label Studio webhook is a JSON object with an action")
    hook: Hook = {"action": payload["action"][:64]}
    project = payload.get("project")
    if isinstance(project, dict):
        hook["project"] = {"id": project.get("id"), "title": project.get("title")}
    hook["tasks"] = [_task(one, settings) for one in listed(payload, "task")]
    hook["annotations"] = [_annotation(one) for one in listed(payload, "annotation")]
    return hook


def listed(payload: Hook, name: str) -> list[dict[str, Any]]:
    """Return objects that stand under a name or its plural, one or a list: Label Studio mixes all four."""
    found = payload.get(name, payload.get(f"{name}s"))
    items = found if isinstance(found, list) else [] if found is None else [found]
    for index, item in enumerate(items):
        if not isinstance(item, dict):
            raise BadHook("wrong_type", f"$.{name}s[{index}]", f"{name} {index} is not an object")
    return items


def _task(task: dict[str, Any], settings: LabelStudioSettings) -> dict[str, Any]:
    kept = {name: task[name] for name in _TASK if _plain(task.get(name))}
    for part in ("data", "meta"):
        held = task.get(part)
        if isinstance(held, dict):
            kept[part] = {name: held[name] for name in settings.data_fields if _plain(held.get(name))}
    return kept


def _annotation(annotation: dict[str, Any]) -> dict[str, Any]:
    kept = {name: annotation[name] for name in _ANNOTATION if _plain(annotation.get(name))}
    for name in ("completed_by", "updated_by"):
        user = annotation.get(name)
        if isinstance(user, dict) and _plain(user.get("id")):
            kept[name] = user["id"]  # some serializers of Label Studio put the whole user here
    result = annotation.get("result")
    if isinstance(result, list):
        kept["result"] = list(_choices(result))
    return kept


def _choices(result: list[Any]) -> Iterable[dict[str, Any]]:
    for part in result:
        value = part.get("value") if isinstance(part, dict) else None
        chosen = value.get("choices") if isinstance(value, dict) else None
        if isinstance(chosen, list) and part.get("type", "choices") == "choices":
            texts = [one for one in chosen if isinstance(one, str) and one]
            yield {"from_name": part.get("from_name"), "type": "choices", "value": {"choices": texts}}


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def need(held: dict[str, Any], name: str, place: str) -> Any:
    """Return a field, or raise BadHook where it is missing or null."""
    value = held.get(name)
    if value is None:
        raise BadHook("missing_field", f"{place}.{name}", f"{place}.{name} is missing")
    return value


def time_of(held: dict[str, Any], name: str, place: str) -> datetime:
    """Return a field as a time. Raises BadHook where it is none."""
    value = need(held, name, place)
    try:
        found = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        found = None
    if found is None or found.tzinfo is None:
        raise BadHook("wrong_time", f"{place}.{name}", f"{place}.{name} is no RFC 3339 time with a zone")
    return found


def dim(task: dict[str, Any] | None, name: str) -> str | None:
    """Return a dimension from task.data, else from task.meta."""
    for part in ("data", "meta"):
        value = (task or {}).get(part, {}).get(name)
        if value is not None and value != "":
            return str(value)[:256]
    return None


def choices_of(annotation: dict[str, Any], settings: LabelStudioSettings) -> tuple[list[str], str | None]:
    """Return (decision values in order, severity choice or None) of an annotation."""
    values: list[str] = []
    severity = None
    for part in annotation.get("result", ()):
        chosen = part["value"]["choices"]
        if part["from_name"] == settings.severity_control:
            severity = chosen[0] if chosen else severity
        else:
            values += [value for value in chosen if value not in values]
    return values, severity
