"""Comma-separated values for spreadsheets and programs: a cell never is a formula, numbers stay numbers.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-``, ``@`` (also in full width), a tab or a carriage return for a formula.
Names come from whoever sends events, so such a text gets an apostrophe in front, as OWASP advises ("CSV Injection").
A text that is a number stays as it is.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

from streams.core.formatting import printable

_FORMULA = re.compile(r"\s*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212]|[\t\r\n]")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")


def cell(value: Any) -> Any:
    """Return a value as it is written.

    Args:
        value: Text, number, truth value or None.

    Returns:
        Texts without control characters and never a formula; ``true`` or ``false``; numbers as they are; nothing for None.

    Example:
        >>> cell("=1+1"), cell(True), cell(-1.5), cell(None)
        ("'=1+1", 'true', -1.5, '')
    """
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    mark = "'" if _FORMULA.match(value) and not _NUMBER.fullmatch(value) else ""
    return mark + printable(value)


def write_csv(out: TextIO, columns: list[str], rows: Iterable[Mapping[str, Any]], *, heading: bool = True) -> None:
    """Write a heading and the rows.

    Args:
        out: Where to.
        columns: Names of the columns in order; a row without one leaves the cell empty.
        rows: Values by column; values of other columns are left out.
        heading: Begin with the names of the columns.
    """
    writer = csv.writer(out, lineterminator="\n")
    if heading:
        writer.writerow(columns)
    writer.writerows([cell(row.get(name)) for name in columns] for row in rows)
