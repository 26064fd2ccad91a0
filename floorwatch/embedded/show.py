"""Shows a stack coming up and recovering: a moving line a process on a terminal, plain lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from floorwatch.embedded.status import Status
from floorwatch.output.terminal import DataConsole
from streams.core.formatting import printable

_MARKS = {
    "ready": ("✓", "green"),
    "ended": ("!", "yellow"),
    "stopped": ("-", "dim"),
    "waiting": ("!", "red"),
    "unready": ("!", "red"),
    "damaged": ("!", "red"),
}


class StackView:
    """Reports of a stack, shown. Use as a context around the start; call it with each status."""

    def __init__(self, console: DataConsole) -> None:
        """Show on a console; a console that is not a terminal gets one plain line a change."""
        self._console = console
        self._latest: dict[str, Status] = {}
        self._live = Live(self._render(), console=console, refresh_per_second=12) if console.is_terminal else None
        self._moving = False

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
            self._moving = True
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()
            self._moving = False

    def __call__(self, status: Status) -> None:
        """Take a report of :class:`~floorwatch.embedded.supervisor.Stack`."""
        before = self._latest.get(status.name)
        self._latest[status.name] = status
        if self._moving and self._live is not None:
            self._live.update(self._render())
        elif before != status:
            self._console.print(_plain(status), soft_wrap=True)

    def _render(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for status in self._latest.values():
            mark, style = _MARKS.get(status.phase, ("", ""))
            cell = Text(mark, style=style) if mark else Spinner("dots")
            table.add_row(
                cell, Text(status.name, style="bold"), Text(status.phase), Text(printable(status.detail), style="cyan")
            )
        return table


def _plain(status: Status) -> str:
    return f"{status.name}: {status.phase}" + (f" ({printable(status.detail)})" if status.detail else "")
