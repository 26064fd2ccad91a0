"""JSON Schema of the contract, made from the wire types."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from msgspec import Struct

from streams.models.acceptance import CONTROLS, MAX_CONTENT_TYPE_CHARS
from streams.models.events import EVENT_CLASSES
from streams.models.field_docs import describe
from streams.models.time_rules import TIME_PATTERN

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_NO_CONTROLS = {"pattern": f"[{CONTROLS}]"}
"""``streams.models.acceptance`` refuses these characters; the schema tells senders so, with ``not``."""

_MAX_NUMBER = 1.7976931348623157e308
"""Larger numbers do not fit into 64 bits."""

Json = dict[str, Any]


def type_name(cls: type[Struct]) -> str:
    """Return an event class's contract name, e.g. ``floorwatch.label.submitted.v1``."""
    return str(cls.__struct_config__.tag)


def components(classes: tuple[type[Struct], ...], ref_template: str) -> dict[str, Json]:
    """Return the described JSON Schema of each class and of what it holds, by class name.

    Args:
        classes: Wire types.
        ref_template: Where references point, with ``{name}``.
    """
    _, found = msgspec.json.schema_components(classes, ref_template=ref_template)
    sent = _sent()
    schemas = {name: _described(name, schema, name in sent) for name, schema in sorted(found.items())}
    for cls in classes:
        schema = schemas[cls.__name__]
        schema.setdefault("description", _summary(cls))
        schema.pop("title", None)
        schema = schemas[cls.__name__] = {"title": str(cls.__struct_config__.tag or cls.__name__), **schema}
        _require_appeal_target(cls.__name__, schemas)
    return schemas


@functools.cache
def _sent() -> frozenset[str]:
    """Return the names of the classes that events are made of."""
    return frozenset(msgspec.json.schema_components(EVENT_CLASSES)[1])


def _summary(cls: type[Struct]) -> str:
    """Return the first line of an event's meaning: that of its data."""
    data = next((field.type for field in msgspec.structs.fields(cls) if field.name == "data"), cls)
    return (getattr(data, "__doc__", None) or "").strip().split("\n")[0]


def _described(struct_name: str, schema: Json, sent: bool) -> Json:
    properties: Json = {}
    for field, inner in schema.get("properties", {}).items():
        sentence = describe(struct_name, field)
        shaped = _checked(inner) if sent and field != "reason" else inner
        if field == "datacontenttype" and sent:
            shaped = {**shaped, "maxLength": MAX_CONTENT_TYPE_CHARS}
        properties[field] = {"description": sentence, **shaped} if sentence else shaped
    # The decoder refuses fields it does not know, so that they are dropped before the log; senders may send them.
    kept = {key: value for key, value in schema.items() if key != "additionalProperties"}
    return {**kept, "properties": properties}


def _checked(schema: Any) -> Any:
    """Add what ``streams.models.acceptance`` checks beside the wire types: characters, the form of times, numbers' size."""
    if isinstance(schema, list):
        return [_checked(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    changed = {key: _checked(value) for key, value in schema.items()}
    kind = changed.get("type")
    if kind == "string":
        changed["not"] = _NO_CONTROLS
    if changed.get("format") == "date-time":
        changed["pattern"] = TIME_PATTERN
    if kind == "number":
        changed = {**changed, "minimum": changed.get("minimum", -_MAX_NUMBER)}
        changed["maximum"] = changed.get("maximum", _MAX_NUMBER)
    return changed


def _require_appeal_target(name: str, schemas: dict[str, Json]) -> None:
    """Add what the wire types cannot express: an appeal names the label or the audit it is against."""
    if not name.startswith("Appeal"):
        return
    data = schemas[f"{name}Data"]
    data["allOf"] = [
        {
            "if": {"properties": {"against": {"const": kind}}},
            "then": {"required": [f"{kind}_id"], "properties": {f"{kind}_id": {"type": "string"}}},
        }
        for kind in ("label", "audit")
    ]


def bundle() -> Json:
    """Return one schema for all events: ``oneOf`` by type."""
    defs = components(EVENT_CLASSES, "#/$defs/{name}")
    return {
        "$schema": DIALECT,
        "$id": "urn:floorwatch:events:v1",
        "title": "Floorwatch event",
        "description": "A CloudEvents 1.0 event in JSON structured mode. Fields that are not named here may be sent and are dropped. "
        "Beyond the schema, README.md has rules on times relative to the event's own.",
        "type": "object",
        "required": ["type"],
        "oneOf": [{"$ref": f"#/$defs/{cls.__name__}"} for cls in EVENT_CLASSES],
        "$defs": defs,
    }


def event_schema(cls: type[Struct]) -> Json:
    """Return the self-contained schema of one event type."""
    defs = components((cls,), "#/$defs/{name}")
    top = defs.pop(cls.__name__)
    return {"$schema": DIALECT, "$id": f"urn:{type_name(cls).replace('.', ':')}", **top, "$defs": defs}


def output_schema(cls: type[Struct], urn: str) -> Json:
    """Return the self-contained schema of something that Floorwatch writes: all of its fields, and no others.

    Args:
        cls: Its wire type.
        urn: The schema's ``$id``.
    """
    defs = components((cls,), "#/$defs/{name}")
    for schema in defs.values():
        schema["additionalProperties"] = False
    top = defs.pop(cls.__name__)
    return {"$schema": DIALECT, "$id": urn, **top, "$defs": defs}
