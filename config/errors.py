"""Configuration faults, shown the way a compiler shows them."""

from __future__ import annotations

from collections.abc import Sequence

_LINE_CHARS = 400
_BEFORE_CHARS = 100
_SENTENCE_CHARS = 1500
"""What is shown of a longer line, how much of that before the fault, and of a sentence that quotes a value."""


class ConfigError(Exception):
    """One fault of a configuration. Operator: mend the named place; nothing was started.

    Attributes:
        path: The file, or ``environment`` for a variable.
        line: Line from 1, or 0 where the fault has no line (a variable, a missing file).
        column: Column from 1, or 0.
        reason: What is wrong, with the dotted name of the setting.
        hint: How to mend it, or None.
        source: The source line with secrets masked, or None.
        caret: Column from 1 in ``source`` (masking moves text), by default ``column``.
        width: Columns to underline, at least 1.
    """

    def __init__(
        self,
        path: str,
        line: int,
        column: int,
        reason: str,
        hint: str | None = None,
        *,
        source: str | None = None,
        caret: int | None = None,
        width: int = 1,
    ) -> None:
        super().__init__(path, line, column, reason, hint)
        self.path = path
        self.line = line
        self.column = column
        self.reason = reason
        self.hint = hint
        self.source = source
        self.caret = caret or column
        self.width = max(1, width)

    def render(self) -> str:
        """Return ``file:line:column: reason``, the source line with a caret, and the hint."""
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        lines = [_one_line(f"{place}: {self.reason}")]
        if self.source is not None and self.line:
            gutter = f"{self.line:>5} | "
            blank = " " * (len(gutter) - 2) + "| "
            start = max(0, self.caret - 1 - _BEFORE_CHARS) if len(self.source) > _LINE_CHARS else 0
            source = self.source[start : start + _LINE_CHARS]
            caret = self.caret - start
            width = max(1, min(self.width, len(source) - caret + 1))
            lines.append(gutter + source)
            lines.append(blank + " " * (caret - 1) + "^" * width)
        if self.hint:
            lines.append(_one_line(f"  hint: {self.hint}"))
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render()


def _one_line(text: str) -> str:
    """Return a sentence on one line, whatever values it quotes: none of them begins a line of its own."""
    said = "\N{REPLACEMENT CHARACTER}".join(text.splitlines())
    return said if len(said) <= _SENTENCE_CHARS else said[:_SENTENCE_CHARS] + "…"


class ConfigErrors(Exception):
    """Every fault of a configuration at once, in the order of the file.

    Attributes:
        errors: The faults; at least one.
    """

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__(*errors)
        self.errors = tuple(errors)

    def render(self) -> str:
        """Return all faults and a closing count."""
        count = len(self.errors)
        blocks = [error.render() for error in self.errors]
        return "\n\n".join([*blocks, f"{count} fault{'' if count == 1 else 's'} in the configuration"])

    def __str__(self) -> str:
        return self.render()
