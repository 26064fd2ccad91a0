"""Text leaves a command through floorwatch/output only: what goes another way has no escape."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for path in (ROOT / "floorwatch").rglob("*.py")
    if "output" not in path.relative_to(ROOT).parts and path.name != "__main__.py"
)
OTHER_WAYS = {
    "print": "say",
    "typer.echo": "say",
    "typer.secho": "say",
    "click.echo": "say",
    "sys.stdout.write": "say",
    "sys.stderr.write": "say",
    "Console": "wide_console",
    "Table": "DataTable",
    "Text.from_markup": "Text",
    "csv.writer": "write_csv",
    "csv.DictWriter": "write_csv",
    "logging.basicConfig": "set_up_logging",
    "logging.StreamHandler": "set_up_logging",
}
ALLOWED = {("floorwatch/cli/__init__.py", "typer.echo")}
"""The version."""


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the dotted names that are called, with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node.lineno


def other_ways(text: str, name: str) -> list[str]:
    """Return what a source does another way."""
    return [
        f"{name}:{line}: {called} → {OTHER_WAYS[called]}"
        for called, line in calls(ast.parse(text))
        if called in OTHER_WAYS and (name, called) not in ALLOWED
    ]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_text_leaves_by_its_outlet(path: Path) -> None:
    assert other_ways(path.read_text(), path.relative_to(ROOT).as_posix()) == []


def test_another_way_is_found() -> None:
    source = "import typer\nfrom rich.table import Table\ntyper.echo(name)\nTable(title=name)\nprint(name)\n"
    assert len(other_ways(source, "x.py")) == 3
