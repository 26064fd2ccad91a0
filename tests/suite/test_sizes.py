"""Modules stay under 400 lines and functions under 70, tests included, without exceptions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST_LINES, MOST_IN_FUNCTION = 400, 70
PRODUCT = ("streams", "alerts", "config", "gateway", "telemetry", "grafana", "prometheus", "floorwatch")
TOPS = (*PRODUCT, "tests", "bench", "sdk", "examples")


def sources() -> Iterator[tuple[str, str]]:
    """(path, text) of every Python file of the project."""
    for top in TOPS:
        for path in sorted((ROOT / top).rglob("*.py")):
            name = path.relative_to(ROOT)
            if not any(part.startswith(".") for part in name.parts):
                yield name.as_posix(), path.read_text(encoding="utf-8")


def too_long(name: str, text: str) -> list[str]:
    """What is too long in a file: the file itself, or functions of it, with their decorators."""
    found = [name] if text.count("\n") > MOST_LINES else []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            lines = (node.end_lineno or node.lineno) - first + 1
            found += [f"{name}:{first} {node.name}: {lines} lines"] if lines > MOST_IN_FUNCTION else []
    return found


@pytest.mark.slow
def test_nothing_is_too_long() -> None:
    files = dict(sources())
    assert {name.partition("/")[0] for name in files} == set(TOPS)
    found = [one for name, text in files.items() for one in too_long(name, text)]
    assert found == [], "move the second thing it does to a place of its own"


def test_what_is_too_long_is_found() -> None:
    assert too_long("a.py", "x = 1\n" * 401) == ["a.py"]
    assert too_long("a.py", "@one\ndef f():\n" + "    x = 1\n" * 69) == ["a.py:1 f: 71 lines"]
    assert too_long("a.py", "x = 1\n" * 330 + "@one\ndef f():\n" + "    x = 1\n" * 68) == []
