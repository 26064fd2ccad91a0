"""A cell of comma-separated values is never a formula, and numbers stay numbers."""

from __future__ import annotations

import csv
import io

import pytest

from floorwatch.output.csv_file import cell, write_csv
from tests.nasty import NASTY, WHAT

FORMULA = (
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\uff1d1+1",
    "\uff0b1",
    "\uff20x",
    "-x",
    "-",
    "=",
)


@pytest.mark.parametrize("text", FORMULA)
def test_a_formula_is_text(text: str) -> None:
    assert str(cell(text)).startswith("'")


@pytest.mark.parametrize("name", NASTY, ids=WHAT)
def test_no_cell_begins_a_formula(name: str) -> None:
    out = io.StringIO()
    write_csv(out, ["name", "n"], [{"name": name, "n": -1}])
    ((_, *_), (shown, number)) = csv.reader(io.StringIO(out.getvalue()))
    assert not shown.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))
    assert number == "-1"
    assert out.getvalue().count("\n") == 2


@pytest.mark.parametrize(
    ("value", "written"),
    [(True, "true"), (False, "false"), (None, ""), (0, 0), (-3, -3), (-0.5, -0.5), (1e-9, 1e-9), (2**70, 2**70)],
)
def test_values(value: object, written: object) -> None:
    assert cell(value) == written


@pytest.mark.parametrize("text", ["-5", "+4.2", "-1e9", "00123", "bpo-a", "a=b", "x@y"])
def test_ids_stay_as_they_are(text: str) -> None:
    assert cell(text) == text


def test_rows_of_unequal_columns() -> None:
    out = io.StringIO()
    write_csv(out, ["a", "b"], [{"a": 1}, {"b": True, "c": 3}])
    assert out.getvalue().splitlines() == ["a,b", "1,", ",true"]
