"""The contract's README: a table of every type and field."""

from __future__ import annotations

import json
from typing import Any

from streams.models.contract_schema import Json, components, type_name
from streams.models.events import EVENT_CLASSES
from streams.models.time_rules import RULES, said

_INTRO = """\
# The event contract

<!-- Generated from streams/models by `make generate`; do not edit. -->

Events are [CloudEvents 1.0](https://cloudevents.io) in JSON structured mode, one a Kafka record (key: the task's id)
or one a line. `floorwatch check-events FILE` explains every fault of a file with its line, field and fix.

- [`floorwatch-events.schema.json`](floorwatch-events.schema.json): one JSON Schema (2020-12) for all; \
[`schema/`](schema) has one for each type, and for `floorwatch.audit.requested.v1` and `floorwatch.audit.drawn.v1`, which \
Floorwatch sends to your tools.
- [`floorwatch-dead-letter.schema.json`](floorwatch-dead-letter.schema.json): what is written of an event that was refused.
- [`asyncapi.yaml`](asyncapi.yaml): the topics, as AsyncAPI 3.0.
- [`examples.jsonl`](examples.jsonl): events of each type.

The schema and the rules below say what is accepted; gateway, SDK, intake and `check-events` use the same code. Events
on `events.v1` were accepted by the rules of their time and are counted even if the rules have changed.

- `source` and `id` together are the identity of an event of a task. The same pair with the same content is a duplicate
  and ignored; with other content it goes to the dead letters, and the first one stands. The same pair under another
  `subject` is another event: tasks are spread over partitions, which do not know of each other. `check-events` warns of
  it within a file.
- `subject` is the task's id; all events of a task carry the same one. Order matters only within a task.
- `time` may be as old as you like (backfill), but at most 5 minutes after its arrival. Arrival is when the gateway or the
  broker took the event; a Kafka record's own timestamp is not looked at.
- Times are RFC 3339 with a zone, in the years 2000 to 2099; T and Z in lower case, a space for T and an offset without
    its colon are accepted too; a leap second (:60) and 24:00 are not. Except for these and for other years, everything
    that a validator with `format: date-time` passes is accepted. Digits beyond the millisecond are cut, never rounded.
- Whole numbers may be written as `1000.0` or `1e3`, as JSON Schema has it.
- Control characters (C0, DEL, C1), line and paragraph separators and bidirectional embeddings, overrides and isolates
  are refused in every text but `reason`, escaped or not. A `reason` longer than 256 characters is cut.
- Events over 1 MiB are refused, and JSON nested deeper than 64 levels. If a key occurs twice, the last one counts.
- Fields that the contract does not have may be sent and are dropped: they are on no topic of Floorwatch.
- A field that may be null may as well be left out. `floorwatchgrant` and `floorwatchproof` are reserved: they are dropped.
- A sender that is bound to a vendor, site, … may send only what belongs to it; [docs/security.md](../docs/security.md)
    has the rules.

Times of an event relative to its own `time` (the limits are `events` in the configuration):

RULES
"""


def render_readme(examples: list[Json]) -> str:
    """Return the README as Markdown.

    Args:
        examples: One event of each type, shown beside its fields.
    """
    schemas = components(EVENT_CLASSES, "{name}")
    first: dict[str, Json] = {}
    for example in examples:
        first.setdefault(str(example["type"]), example)
    parts = [_INTRO.replace("RULES\n", _rules()), "## Envelope\n\n" + _table(_envelope(schemas), schemas)]
    for cls in EVENT_CLASSES:
        name = type_name(cls)
        data = schemas[schemas[cls.__name__]["properties"]["data"].get("$ref") or _ref(schemas[cls.__name__])]
        body = f"## {name}\n\n{' '.join(data.get('description', '').split())}\n\n{_table(data, schemas)}"
        if name in first:
            shown = json.dumps(first[name]["data"], ensure_ascii=False)
            body += f"\nExample `data`:\n\n```json\n{shown}\n```\n"
        parts.append(body)
    return "\n".join(parts)


def _rules() -> str:
    """Return the table of rules relative to an event's own time."""
    rows = ["| code | type | field | rule |", "| --- | --- | --- | --- |"]
    for rule in RULES:
        kinds = ", ".join(type_name(cls).removeprefix("floorwatch.").removesuffix(".v1") for cls in rule.kinds)
        rows.append(f"| `{rule.code}` | {kinds} | `{rule.field}` | {said(rule)} |")
    return "\n".join(rows) + "\n"


def _envelope(schemas: dict[str, Json]) -> Json:
    """Return the fields that all events share."""
    schema = schemas[EVENT_CLASSES[0].__name__]
    properties = {name: inner for name, inner in schema["properties"].items() if name not in ("type", "data")}
    kept: Json = {"type": {"type": "string", "description": "The event's type: a heading below."}, **properties}
    kept["data"] = {"type": "object", "description": "What happened: the fields of the type, below."}
    return {"properties": kept, "required": schema["required"]}


def _ref(schema: Json) -> str:
    """Return the name of the data's schema where it has a default."""
    for option in (*schema["properties"]["data"].get("anyOf", ()), *schema["properties"]["data"].get("allOf", ())):
        if "$ref" in option:
            return str(option["$ref"])
    raise KeyError(f"{schema.get('title')} has no data schema")


def _table(schema: Json, schemas: dict[str, Json]) -> str:
    rows = ["| field | type | required | meaning |", "| --- | --- | --- | --- |"]
    required = set(schema.get("required", ()))
    for name, inner in schema.get("properties", {}).items():
        rows.append(_row(name, inner, name in required))
        for nested, deeper in schemas.get(_nested(inner), {}).get("properties", {}).items():
            rows.append(_row(f"{name}.{nested}", deeper, False))
    return "\n".join(rows) + "\n"


def _nested(schema: Json) -> str:
    options = [schema, *schema.get("anyOf", ())]
    return next((str(option["$ref"]) for option in options if "$ref" in option), "")


def _row(name: str, schema: Json, required: bool) -> str:
    return f"| `{name}` | {_type(schema)} | {'yes' if required else ''} | {schema.get('description', '')} |"


def _type(schema: Json) -> str:
    """Return a schema's type in words."""
    if "anyOf" in schema:
        return " or ".join(_type(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if "$ref" in schema:
        return "object"
    if schema.get("format") == "date-time":
        return "time"
    if schema.get("type") == "array":
        most = f", at most {schema['maxItems']}" if "maxItems" in schema else ""
        return f"list of {_type(schema['items'])}{most}"
    return f"{_word(schema)}{_bounds(schema)}"


def _word(schema: Json) -> str:
    words = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return words.get(str(schema.get("type")), str(schema.get("type", "any")))


def _bounds(schema: Json) -> str:
    low: Any = schema.get("minimum", schema.get("minLength"))
    high: Any = schema.get("maximum", schema.get("maxLength"))
    if low is None and high is None:
        return ""
    unit = " characters" if "maxLength" in schema else ""
    return f", {low if low is not None else 'any'} to {high if high is not None else 'any'}{unit}"
