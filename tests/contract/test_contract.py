"""The contract's files agree with the wire types, the examples and the tables."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from jsonschema import Draft202012Validator
from msgspec import Struct

from streams.core import row_layout, tables
from streams.models import topics
from streams.models.acceptance import Refusal, parse_event
from streams.models.contract_files import check, generate
from streams.models.contract_schema import bundle, components, event_schema, type_name
from streams.models.events import EVENT_CLASSES, TYPE_NAMES
from streams.models.field_docs import EVENT_DOCS, OUTPUT_DOCS, describe
from streams.models.outputs import OUTPUT_CLASSES, AccuracyRow, Row, SlaRow, ThroughputRow

ROOT = Path(__file__).parents[2]
EXAMPLES = [json.loads(line) for line in (ROOT / "contract" / "examples.jsonl").read_text().splitlines()]
VALIDATORS = {type_name(cls): Draft202012Validator(event_schema(cls)) for cls in EVENT_CLASSES}
BUNDLE = Draft202012Validator(bundle())


def accepts(event: Any) -> bool:
    """What intake says, clock aside."""
    return not isinstance(parse_event(json.dumps(event).encode(), None), Refusal)


def test_the_committed_files_are_what_the_types_say() -> None:
    assert check(ROOT) == [], "run: make generate"


@pytest.mark.slow
def test_check_names_stale_missing_and_orphaned_files(tmp_path: Path) -> None:
    (tmp_path / "contract").mkdir()
    (tmp_path / "contract" / "examples.jsonl").write_text((ROOT / "contract" / "examples.jsonl").read_text())
    written = generate(tmp_path)
    assert check(tmp_path) == []
    (tmp_path / "contract" / "README.md").write_text("stale")
    (tmp_path / "contract" / "asyncapi.yaml").unlink()
    (tmp_path / "contract" / "schema" / "gone.schema.json").write_text("{}")
    assert sorted(check(tmp_path)) == [
        "contract/README.md",
        "contract/asyncapi.yaml",
        "contract/schema/gone.schema.json",
    ]
    assert generate(tmp_path) == written
    assert check(tmp_path) == []


@pytest.mark.parametrize("schema", [bundle(), *(event_schema(cls) for cls in EVENT_CLASSES)], ids=lambda s: s["title"])
def test_every_schema_is_a_schema(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event["id"])
def test_every_example_is_valid(event: dict[str, Any]) -> None:
    assert accepts(event)
    assert VALIDATORS[event["type"]].is_valid(event)
    assert BUNDLE.is_valid(event)


def mutations(event: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the event with one place changed: left out, null, of another type, empty, too long, unknown."""
    values: list[tuple[str, Any]] = [
        ("dropped", None),
        ("null", None),
        ("number", 7),
        ("text", ""),
        ("long", "x" * 257),
        ("list", []),
        ("control", "a\x00b"),
    ]
    for path in [(key,) for key in event] + [("data", key) for key in event["data"]]:
        for name, value in values:
            changed = copy.deepcopy(event)
            target = changed if len(path) == 1 else changed["data"]
            if name == "dropped":
                del target[path[-1]]
            else:
                target[path[-1]] = value
            yield f"{'.'.join(path)} {name}", changed
    yield "unknown field", {**event, "data": {**event["data"], "unknown": 1}}
    yield "unknown type", {**event, "type": "floorwatch.label.liked.v1"}


@pytest.mark.slow
@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: event["id"])
def test_the_schema_and_intake_agree(event: dict[str, Any]) -> None:
    refused = 0
    for name, changed in mutations(event):
        accepted = accepts(changed)
        refused += not accepted
        assert BUNDLE.is_valid(changed) == accepted, name
    assert refused > 10


def structs() -> dict[str, dict[str, Any]]:
    return components((*EVENT_CLASSES, *OUTPUT_CLASSES), "#/$defs/{name}")


def test_every_field_is_described_and_no_description_is_left_over() -> None:
    fields = {(name, field) for name, schema in structs().items() for field in schema["properties"]}
    assert [f"{name}.{field}" for name, field in sorted(fields) if not describe(name, field)] == []
    known = {field for _, field in fields} | {f"{name}.{field}" for name, field in fields}
    assert [key for key in (*EVENT_DOCS, *OUTPUT_DOCS) if key not in known] == []


@pytest.mark.parametrize(
    ("cls", "row"),
    [
        (AccuracyRow, tables.accuracy(row_layout.parts_of({}))),
        (ThroughputRow, tables.throughput(row_layout.parts_of({}))),
        (SlaRow, tables.sla(row_layout.parts_of({}))),
    ],
)
def test_the_rows_of_the_tables_are_the_rows_of_the_contract(cls: type[Struct], row: dict[str, Any]) -> None:
    shared = {field.encode_name for field in msgspec.structs.fields(Row)}
    assert set(row) == {field.encode_name for field in msgspec.structs.fields(cls)} - shared


def test_asyncapi_says_each_topic_and_every_reference_resolves() -> None:
    document = yaml.safe_load((ROOT / "contract" / "asyncapi.yaml").read_text())
    known = {spec.name for spec in topics.topic_specs("floorwatch.", 4)}
    assert {channel["address"] for channel in document["channels"].values()} <= known
    assert document["operations"]["raw"]["action"] == "receive"
    names = {message["name"] for message in document["components"]["messages"].values()}
    assert set(TYPE_NAMES) < names
    for reference in references(document):
        target: Any = document
        for part in reference.removeprefix("#/").split("/"):
            target = target[part]


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_the_readme_has_every_type_and_field() -> None:
    text = (ROOT / "contract" / "README.md").read_text()
    for cls in EVENT_CLASSES:
        section = text.split(f"## {type_name(cls)}\n")[1].split("\n## ")[0]
        data = next(field.type for field in msgspec.structs.fields(cls) if field.name == "data")
        for field in msgspec.structs.fields(data):
            assert f"| `{field.encode_name}` |" in section
