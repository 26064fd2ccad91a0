"""Every setting does something: some code outside of its own definition reads it."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from config.base import Section
from config.introspect import alternatives, is_model
from floorwatch.settings.schema import FloorwatchConfig

READ_BY_TEXT = {
    "SamplingCondition.decision": "all conditions of a rule are compared by their names",
    "SourceSettings.argilla": "a tool's settings are asked for by the name of the tool",
    "SourceSettings.cvat": "a tool's settings are asked for by the name of the tool",
}
"""Settings that no code names, with the reason. A secret's file is read by the loader, which finds it by its ending."""

CODE = ("alerts", "config", "floorwatch", "gateway", "streams", "telemetry")


def sections(kind: Any, found: set[type[BaseModel]]) -> set[type[BaseModel]]:
    for one in alternatives(kind):
        if is_model(one) and one not in found:
            found.add(one)
            for info in one.model_fields.values():
                sections(info.annotation, found)
        elif not is_model(one):
            for argument in get_args(one):
                sections(argument, found)
    return found


def read_names() -> set[str]:
    """Return every name that some code reads of some object."""
    return {
        node.attr
        for folder in CODE
        for file in Path(folder).rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


@pytest.mark.slow
def test_every_setting_is_read() -> None:
    """Names of other things may hide a setting that nothing reads; a name of its own is caught."""
    wanted = {
        f"{one.__name__}.{name}": name
        for one in sections(FloorwatchConfig, set())
        if issubclass(one, Section)
        for name in one.model_fields
    }
    read = read_names()
    assert len(wanted) > 100
    assert {
        place for place, name in wanted.items() if name not in read and not name.endswith("_file")
    } == READ_BY_TEXT.keys()
