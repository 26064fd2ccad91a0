"""The terminal: the only way text leaves a command. Names in it are data: they steer nothing and style nothing.

Whoever sends events chooses the names of queues, people and values. Here nothing in them is markup (``[bold]``, ``:smile:``),
nothing steers the terminal (escape sequences, carriage returns, backspaces), nothing turns the line around (bidirectional marks)
or hides (zero width): each such character is shown as U+FFFD. Older records and files hold them, though the contract refuses most.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from alerts.words import printable

PIPED_WIDTH = 160
"""Columns where nobody's window says how many: ids and intervals cut to 80 are of no use in a file."""


def say(text: object = "", *, err: bool = False) -> None:
    """Print a block of text.

    Args:
        text: Lines of ours. Line breaks are kept, so a name must not bring its own: put it through ``printable`` first.
        err: Print to standard error.
    """
    typer.echo(clean(str(text)), err=err)


def say_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines; each is one line whatever is in it."""
    for line in lines:
        typer.echo(printable(line), err=err)


def say_json(value: Any, *, indent: bool = False) -> None:
    """Print a value as JSON: on one line, or with an indent for reading."""
    typer.echo(json_text(json.dumps(value, ensure_ascii=False, indent=2)) if indent else json_line(value))


def say_json_text(text: str | bytes) -> None:
    """Print JSON that was written elsewhere; its value stays."""
    typer.echo(json_text(text))


def clean(text: str) -> str:
    """Return a block of text in which only line breaks are control characters."""
    return "\n".join(map(printable, text.split("\n")))


def json_line(value: Any) -> str:
    """Return a value as JSON on one line; what a terminal or a reader of lines could trip over is escaped, letters are not."""
    return _escaped(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def json_text(text: str | bytes) -> str:
    """Return JSON that was written elsewhere, on one line or more, escaped as in ``json_line``; its value stays."""
    lines = (text if isinstance(text, str) else text.decode()).split("\n")
    return "\n".join(map(_escaped, lines))


def _escaped(text: str) -> str:
    return text if text.isprintable() else "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


class DataTable(Table):
    """A table of data: a cell is one line of text, and a name that is too long goes on in the next line instead of being cut."""

    def __init__(self, title: str | Text | None = None) -> None:
        """Make a table.

        Args:
            title: Stands above it, at the left.
        """
        super().__init__(title=Text(printable(title)) if isinstance(title, str) else title, title_justify="left")

    def add_names(self, *headings: str) -> None:
        """Add columns of names, to the left."""
        for heading in headings:
            self.add_column(heading, overflow="fold")

    def add_numbers(self, *headings: str) -> None:
        """Add columns of numbers, to the right."""
        for heading in headings:
            self.add_column(heading, justify="right", overflow="fold")

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; texts are shown as they are."""
        super().add_row(*(Text(printable(cell)) if isinstance(cell, str) else cell for cell in cells), **options)


class DataConsole(Console):
    """A console on which a string is text: no markup, no emoji names, no highlighting, no control characters."""

    def __init__(self, **options: Any) -> None:
        """Make a console; for the options see rich."""
        super().__init__(**options, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as text."""
        return super().render_str(clean(text), **options)


def wide_console(*, stderr: bool = False, piped_width: int = PIPED_WIDTH) -> DataConsole:
    """Return a console as wide as the window, or wide enough for every table where the output is no terminal.

    Args:
        stderr: Print to standard error.
        piped_width: Columns where there is no window.
    """
    console = DataConsole(stderr=stderr)
    if console.is_terminal or "COLUMNS" in os.environ:
        return console
    return DataConsole(stderr=stderr, width=piped_width)


def shows_live() -> bool:
    """Tell whether standard output is a window in which what is shown can be shown again in place."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def aligned(rows: list[list[str]]) -> list[str]:
    """Return rows of equal length as lines of aligned columns: the first to the left, the others to the right.

    Wide characters (Chinese, emoji) take two cells, combining marks none.
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    widths = [max(cell_len(row[column]) for row in shown) for column in range(len(shown[0]))] if shown else []
    return ["  ".join(_padded(cell, widths[at], right=at > 0) for at, cell in enumerate(row)).rstrip() for row in shown]


def _padded(cell: str, width: int, *, right: bool) -> str:
    space = " " * (width - cell_len(cell))
    return space + cell if right else cell + space


def scope_text(scope: Mapping[str, str]) -> str:
    """Return the values of a scope for a table: ``bpo-a, hate``; ``all`` for the whole floor, ``–`` where none is set."""
    return ", ".join(_value(value) for value in scope.values()) or "all"


def _value(name: str) -> str:
    if not name:
        return "–"
    return f"'{name}'" if name.isspace() and name.isprintable() else printable(name)
