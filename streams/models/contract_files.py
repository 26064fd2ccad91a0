"""The contract as files: JSON Schema, AsyncAPI and a README, generated from the wire types.

``generate(root)`` writes ``contract/``; ``check(root)`` names what is stale. Nothing here runs while events flow.
"""

from __future__ import annotations

import json
from pathlib import Path

from msgspec import Struct

from streams.models.asyncapi import render_asyncapi
from streams.models.contract_readme import render_readme
from streams.models.contract_schema import Json, bundle, event_schema, output_schema, type_name
from streams.models.events import EVENT_CLASSES
from streams.models.outputs import AuditDrawn, AuditRequested, DeadLetter

BUNDLE = "contract/floorwatch-events.schema.json"
SCHEMA_FOLDER = "contract/schema"
DEAD_LETTER = "contract/floorwatch-dead-letter.schema.json"
ASYNCAPI = "contract/asyncapi.yaml"
README = "contract/README.md"


def render(root: Path) -> dict[str, str]:
    """Return every generated file's text by its path below the root.

    Args:
        root: The project's root; examples are read from ``contract/examples.jsonl``.
    """
    lines = (root / "contract" / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    examples = [json.loads(line) for line in lines if line.strip()]
    files = {BUNDLE: _json(bundle())}
    own_schema: tuple[type[Struct], ...] = (*EVENT_CLASSES, AuditRequested, AuditDrawn)
    for cls in own_schema:
        files[f"{SCHEMA_FOLDER}/{type_name(cls)}.schema.json"] = _json(event_schema(cls))
    files[DEAD_LETTER] = _json(output_schema(DeadLetter, "urn:floorwatch:dead-letter:v1"))
    files[ASYNCAPI] = render_asyncapi(examples)
    files[README] = render_readme(examples)
    return files


def _json(value: Json) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def generate(root: Path) -> list[Path]:
    """Write the contract's files below the project's root, remove schemas of types that are gone.

    Args:
        root: The project's root.

    Returns:
        The paths written.
    """
    files = render(root)
    written = []
    for name, text in files.items():
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        written.append(target)
    for name in _orphans(root, files):
        (root / name).unlink()
    return written


def check(root: Path) -> list[str]:
    """Return the names of files that are not as ``generate`` would leave them."""
    files = render(root)
    stale = [name for name, text in files.items() if _read(root / name) != text]
    return stale + _orphans(root, files)


def _orphans(root: Path, files: dict[str, str]) -> list[str]:
    found = [f"{SCHEMA_FOLDER}/{path.name}" for path in sorted((root / SCHEMA_FOLDER).glob("*.schema.json"))]
    return [name for name in found if name not in files]


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None
