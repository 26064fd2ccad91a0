"""Every public function with a formula says where the formula is from, in its own docstring or its class's or module's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES = (
    *("streams/core/detectors", "streams/core/forecast", "streams/core/rca"),
    *(
        "streams/core/row_layout.py",
        "streams/core/beta.py",
        "streams/core/counters.py",
        "streams/core/binomial.py",
        "streams/core/proportions.py",
        "streams/core/multiplicity.py",
        "floorwatch/analysis",
    ),
    *(
        "alerts/baseline.py",
        "alerts/contributors.py",
        "alerts/statistics.py",
        "alerts/kinds",
        "floorwatch/sims/lines.py",
    ),
)
MODULES = {"math", "np", "numpy"}
PLAIN = {"math": {"inf", "isfinite", "floor", "ceil", "fsum"}, "np": {"array", "ndarray", "float64", "int64"}}
NAMED = re.compile(
    r"Source|\b(1[789]|20)\d\d\b|arXiv|docs/\w+\.md|docs/[\w-]+\.md|``streams\.core\.binomial|``alerts\.statistics"
)
NO_FORMULA = {
    "streams/core/detectors/summary.py:on_grid": "rounds to a grid",
    "streams/core/rca/ratio_tally.py:RatioTally.share": "a plain share",
    "streams/core/row_layout.py:ratio": "a plain share",
    "floorwatch/analysis/people/learning.py:Tenure.days": "milliseconds to days",
    "alerts/kinds/backlog_age.py:evaluate": "milliseconds to seconds",
    "alerts/kinds/sla_breach_predicted.py:evaluate": "milliseconds to seconds",
    "alerts/kinds/stream_health.py:rate_words": "by the hour to by the minute",
}


def functions(tree: ast.AST, above: str, name: str = "") -> Iterator[tuple[str, ast.FunctionDef, str]]:
    """Public functions with their dotted name and the docstrings of module, class and function together."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            said = above + "\n" + (ast.get_docstring(node) or "")
            if isinstance(node, ast.ClassDef):
                yield from functions(node, said, node.name + ".")
            else:
                yield name + node.name, node, said


def has_formula(function: ast.FunctionDef) -> bool:
    """Whether it divides (numbers, not paths), raises to a power, or uses more of math and numpy than constants."""
    for node in ast.walk(function):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.Pow):
            return True
        if isinstance(node, ast.Name) and node.id == "NormalDist":
            return True
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = node.value.id
            if module in MODULES and node.attr not in PLAIN.get(module, set()):
                return True
    return False


def formulas(path: Path) -> Iterator[tuple[str, str]]:
    """(place, docstrings) of every public function with a formula."""
    tree = ast.parse(path.read_text())
    for name, function, said in functions(tree, ast.get_docstring(tree) or ""):
        if has_formula(function):
            yield f"{path.relative_to(ROOT).as_posix()}:{name}", said


@pytest.mark.parametrize("place", PLACES)
def test_a_formula_names_its_source(place: str) -> None:
    found = ROOT / place
    files = [found] if found.is_file() else sorted(found.rglob("*.py"))
    told = dict(item for file in files for item in formulas(file))
    assert told, "no formula at all: the place is wrong"
    assert [name for name, said in told.items() if not NAMED.search(said) and name not in NO_FORMULA] == []


def test_what_is_excused_is_there() -> None:
    known = {name for place in {name.partition(":")[0] for name in NO_FORMULA} for name, _ in formulas(ROOT / place)}
    assert set(NO_FORMULA) - known == set()
