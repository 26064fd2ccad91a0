"""What a mapping may say of each event: the contract's fields by their names, and of what kind each is."""

from __future__ import annotations

from functools import cache
from typing import Literal

import msgspec

from streams.models.events import EVENT_CLASSES
from streams.models.grants import short
from streams.models.lenient import TIMES, WHOLE, data_class

Kind = Literal["text", "texts", "time", "whole", "number", "flag", "seconds"]

_CLASSES = {short(str(cls.__struct_config__.tag)): cls for cls in EVENT_CLASSES}

EVENTS = tuple(name for name in _CLASSES if name.partition(".")[0] in ("task", "label", "audit", "appeal"))
"""Events that a mapping may make. Shifts and breaks are nobody's webhook: they come from rosters."""

IDS = frozenset(("label_id", "labeler_id", "audit_id", "auditor_id", "appeal_id", "by", "decided_by"))
"""Fields that name something of the tool: they carry the name of the source, as the task does."""

DIMENSIONS = frozenset(
    ("queue", "policy", "policy_version", "market", "priority", "team", "site", "vendor", "sla_class")
)
"""Fields without which an event still counts: one that no table knows is left out, and told."""

_KINDS: dict[str, Kind] = {
    "values": "texts",
    "prediction.values": "texts",
    "prediction.score": "number",
    "sampling.probability": "number",
    "blind": "flag",
    "gold": "flag",
    "active_s": "seconds",
}
_INNER = {"prediction": ("values", "score", "model"), "sampling": ("method", "probability")}


def event_class(event: str) -> type[msgspec.Struct]:
    """Return the class of an event by its short name, e.g. ``label.submitted``."""
    return _CLASSES[event]


def fields_of(event: str) -> dict[str, Kind]:
    """Return the fields that a mapping may fill in, with their kinds; ``prediction.model`` stands in ``prediction``.

    ``active_s`` is for tools that tell seconds: it becomes ``active_ms``.
    """
    tag = str(_CLASSES[event].__struct_config__.tag)
    found: dict[str, Kind] = {}
    for field in msgspec.structs.fields(data_class(_CLASSES[event])):
        name = field.encode_name
        if name in _INNER:
            for inner in _INNER[name]:
                found[f"{name}.{inner}"] = _KINDS.get(f"{name}.{inner}", "text")
            continue
        timed = "time" if field.name in TIMES[tag] else "whole" if field.name in WHOLE[tag] else "text"
        found[name] = _KINDS.get(name, timed)  # type: ignore[arg-type]
        if name == "active_ms":
            found["active_s"] = "seconds"
    return found


@cache
def required_of(event: str) -> tuple[str, ...]:
    """Return the fields without which there is no such event."""
    return tuple(one.encode_name for one in msgspec.structs.fields(data_class(_CLASSES[event])) if one.required)
