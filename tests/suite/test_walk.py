"""The walk of an event in ARCHITECTURE.md is short, and each hop is a file and function that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "ARCHITECTURE.md"
MOST_HOPS = 12
HOP = re.compile(r"^\d+\. `([^`:]+):([^`:]+)`", re.MULTILINE)
NUMBERED = re.compile(r"^\d+\. ", re.MULTILINE)
NAMED = re.compile(r"`([\w/]+\.py):([\w.]+)`")


def walk(page: str) -> str:
    """The section of the page that tells the walk."""
    _, _, rest = page.partition("## The walk of one event\n")
    return rest.partition("\n## ")[0]


def is_function(path: str, name: str) -> bool:
    """Whether a file of the project defines a function, or ``Class.method``, of this name."""
    file = ROOT / path
    if not file.is_file():
        return False
    body: list[ast.stmt] = ast.parse(file.read_text(encoding="utf-8")).body
    *classes, function = name.split(".")
    for one in classes:
        body = [stmt for node in body if isinstance(node, ast.ClassDef) and node.name == one for stmt in node.body]
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == function for node in body)


def test_the_walk_has_at_most_twelve_hops_from_http_to_panel() -> None:
    text = walk(PAGE.read_text(encoding="utf-8"))
    hops = HOP.findall(text)
    assert 2 <= len(hops) <= MOST_HOPS
    assert len(hops) == len(NUMBERED.findall(text)), "a hop does not begin with `path:function`"
    assert hops[0][0].startswith("gateway/")
    assert hops[-1][0].startswith("grafana/")


def test_everything_the_page_names_as_a_function_is_one() -> None:
    named = NAMED.findall(PAGE.read_text(encoding="utf-8"))
    assert len(named) >= MOST_HOPS
    assert [f"{path}:{name}" for path, name in named if not is_function(path, name)] == []


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("streams/core/ledger.py", "Ledger.folds"),
        ("streams/core/ledger.py", "fold"),
        ("streams/core/ledger.py", "Ledger"),
        ("streams/core/legder.py", "Ledger.fold"),
    ],
)
def test_a_wrong_name_is_found(path: str, name: str) -> None:
    assert not is_function(path, name)
    assert is_function("streams/core/ledger.py", "Ledger.fold")
