"""The terminal: the only way text leaves a command. Names in it are data: they steer nothing and style nothing.

Whoever sends events chooses the names of queues, people and values. Here nothing in them is markup (``[bold]``, ``:smile:``),
nothing steers the terminal (escape sequences, carriage returns, backspaces), nothing turns the line around (bidirectional marks)
or hides (zero width): each such character is shown as U+FFFD. Older records and files hold them, though the contract refuses most.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import typer
from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Column, Table
from rich.text import Text

from streams.core.formatting import printable

PIPED_WIDTH = 160
"""Columns where nobody's window says how many: ids and intervals cut to 80 are of no use in a file."""

MISSING = "n/a"
"""What stands in a table for a number that there is not. A name that is not set is ``–`` (``scope_text``)."""

_NAME_WIDTH = 14
"""Cells that a name gets before a table takes them from others; longer ones go on in the next line."""


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


def say_crlf_lines(text: str) -> None:
    """Print a text whose lines end with CR and LF, as iCalendar has it; each is one line whatever is in it."""
    lines = text.removesuffix("\r\n").split("\r\n")
    typer.echo("".join(f"{printable(line)}\r\n" for line in lines), nl=False)


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
    """A table of data: a cell is one line of text, and a name that is too long goes on in the next line instead of being cut.

    Headings break between words only. Where the window is too narrow, the lines between columns go first, then the columns
    that were called spare, and a note says which. Where that is not enough, the last columns stand in a table of their own below,
    behind the names again.
    """

    def __init__(self, title: str | Text | None = None) -> None:
        """Make a table.

        Args:
            title: Stands above it, at the left.
        """
        super().__init__(title=Text(printable(title)) if isinstance(title, str) else title, title_justify="left")
        self.caption_justify = "left"
        self._spare: list[str] = []

    def add_names(self, *headings: str) -> None:
        """Add columns of names, to the left."""
        for heading in headings:
            self.add_column(heading, overflow="fold", min_width=_word_width(heading))

    def add_numbers(self, *headings: str, spare: Sequence[str] = ()) -> None:
        """Add columns of numbers, to the right.

        Args:
            headings: Their headings.
            spare: Which of them a narrow window may leave out, the first one first.
        """
        self._spare += spare
        for heading in headings:
            self.add_column(heading, justify="right", overflow="fold", min_width=_word_width(heading))

    def add_row(self, *cells: RenderableType | None, **options: Any) -> None:
        """Add a row; texts are shown as they are."""
        super().add_row(*(Text(printable(cell)) if isinstance(cell, str) else cell for cell in cells), **options)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Show the table as the width allows."""
        if self._width(console, self._wanted) <= options.max_width:
            yield from super().__rich_console__(console, options)
            return
        shown = copy(self)
        shown.squeeze(console, options.max_width)
        for part in shown.parts(console, options.max_width):
            yield from Table.__rich_console__(part, console, options)

    def squeeze(self, console: Console, width: int) -> None:
        """Make the table fit a narrow window: spare columns go, names get what is left.

        Args:
            console: Where it is shown.
            width: Cells of the window.
        """
        if self.least_width(console) > width:
            self.box, self.show_edge, self.pad_edge, self.padding = SIMPLE_HEAD, False, False, (0, 0)
        hidden = []
        for heading in self._spare:
            if self.least_width(console) <= width:
                break
            self.columns = [column for column in self.columns if column.header != heading]
            hidden.append(heading)
        if hidden:
            self.caption = Text(f"Too narrow for: {', '.join(hidden)}. A wider window shows all, --json and --csv too.")
        left = width - self.least_width(console)
        if left < 0:
            return
        widths = [self._least(console, column) for column in self.columns]
        for place in sorted(range(len(widths)), key=lambda place: self.columns[place].justify != "left"):
            more = max(0, min(left, self._wanted(console, self.columns[place]) - widths[place]))
            widths[place] += more
            left -= more
        self.columns = [replace(column, width=own) for column, own in zip(self.columns, widths, strict=True)]

    def parts(self, console: Console, width: int) -> list[DataTable]:
        """Return the table as tables that fit a window, one below the other: each has the names and at least one more column.

        Args:
            console: Where it is shown.
            width: Cells of the window.
        """
        if self.least_width(console) <= width:
            return [self]
        names = [column for column in self.columns if column.justify == "left"] or self.columns[:1]
        part = copy(self)
        part.columns = list(names)
        found = [part]
        for column in self.columns:
            if column in names:
                continue
            part.columns.append(column)
            if len(part.columns) > len(names) + 1 and part.least_width(console) > width:
                part.columns.pop()
                part = copy(self)
                part.columns = [*names, column]
                found.append(part)
        for place, part in enumerate(found):
            part.title = part.title if place == 0 else None
            part.caption = part.caption if place == len(found) - 1 else None
            part.squeeze(console, width)
        return found

    def least_width(self, console: Console) -> int:
        """Return in how many cells the table breaks no heading, no number and no short name in a word."""
        return self._width(console, self._least)

    def _width(self, console: Console, of: Callable[[Console, Column], int]) -> int:
        """Return how wide the table is where each column is as wide as a function says."""
        padding = sum(self._get_padding_width(place) for place in range(len(self.columns)))
        return self._extra_width + padding + sum(of(console, column) for column in self.columns)

    def _wanted(self, console: Console, column: Column) -> int:
        """Return in how many cells a column is on one line."""
        widest = max((console.measure(cell).maximum for cell in column.cells), default=0)
        return max(widest, cell_len(str(column.header)))

    def _least(self, console: Console, column: Column) -> int:
        """Return in how many cells a column has no heading, no number and no short name broken in a word."""
        widest = max((console.measure(cell).maximum for cell in column.cells), default=0)
        words = max((console.measure(cell).minimum for cell in column.cells), default=0)
        least = min(_NAME_WIDTH, widest) if column.justify == "left" else words
        return max(column.min_width or 0, least)


def _word_width(heading: str) -> int:
    return max((cell_len(word) for word in heading.split()), default=0)


class DataConsole(Console):
    """A console on which a string is text: no markup, no emoji names, no highlighting, no control characters."""

    def __init__(self, **options: Any) -> None:
        """Make a console; for the options see rich."""
        super().__init__(**options, markup=False, emoji=False, highlight=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a string as text."""
        return super().render_str(clean(text), **options)


def wide_console(*, stderr: bool = False, piped_width: int = PIPED_WIDTH) -> DataConsole:
    """Return a console as wide as the window, or wide enough for every table where the output is not a terminal.

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


def window_width() -> int | None:
    """Return how many cells a line of the window has, None where standard output is no window: a file takes any line."""
    return shutil.get_terminal_size().columns if "COLUMNS" in os.environ or sys.stdout.isatty() else None


def aligned(rows: list[list[str]], width: int | None = None) -> list[str]:
    """Return rows of equal length as lines of aligned columns: the first to the left, the others to the right.

    Wide characters (Chinese, emoji) take two cells, combining marks none.

    Args:
        rows: The headings, then the rows.
        width: Cells of the window. Where the lines are longer, headings are broken between words; where that is not enough,
            the last columns stand in a block of their own below, behind the first column again. None: a line may have any length.
    """
    shown = [[printable(cell) for cell in row] for row in rows]
    if not shown:
        return []
    columns = range(len(shown[0]))
    widths = [max(cell_len(row[column]) for row in shown) for column in columns]
    blocks = [list(columns)]
    if width is not None and sum(widths) + _GAP * (len(widths) - 1) > width:
        shown = [*_broken_headings(shown), *shown[1:]]
        widths = [max(cell_len(row[column]) for row in shown) for column in columns]
        blocks = _blocks(widths, width)
    found: list[str] = []
    for block in blocks:
        found += [""] if found else []
        lines = (_aligned_line([row[at] for at in block], [widths[at] for at in block]) for row in shown)
        found += [line for line in lines if line or len(blocks) == 1]
    return found


_GAP = 2
"""Cells between two aligned columns."""


def _aligned_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (_padded(cell, width, right=at > 0) for at, (cell, width) in enumerate(zip(cells, widths, strict=True)))
    return (" " * _GAP).join(padded).rstrip()


def _broken_headings(rows: list[list[str]]) -> list[list[str]]:
    """Return the headings in as many lines as no column is wider than its cells and its longest word needs."""
    broken: list[list[str]] = []
    for column, heading in enumerate(rows[0]):
        cells = max((cell_len(row[column]) for row in rows[1:]), default=0)
        broken.append(textwrap.wrap(heading, max(1, cells, _word_width(heading)), break_on_hyphens=False) or [""])
    lines = max(map(len, broken))
    return [list(line) for line in zip(*([""] * (lines - len(one)) + one for one in broken), strict=True)]


def _blocks(widths: Sequence[int], width: int) -> list[list[int]]:
    """Return which columns stand side by side: in each block the first and at least one more."""
    blocks, used = [[0]], widths[0]
    for column in range(1, len(widths)):
        if used + _GAP + widths[column] > width and len(blocks[-1]) > 1:
            blocks.append([0])
            used = widths[0]
        blocks[-1].append(column)
        used += _GAP + widths[column]
    return blocks


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
