"""Progress of long commands: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from floorwatch.output.terminal import DataConsole, wide_console
from streams.core.formatting import duration

_PLAIN_EVERY_S = 5.0


@contextmanager
def phases() -> Iterator[Callable[[str, int, int | None], None]]:
    """Yield a function to call with (phase, done, total or None)."""
    console = wide_console(stderr=True)
    if not console.is_terminal:
        yield _plain(console)
        return
    columns = (
        TextColumn("{task.description:>12}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        tasks: dict[str, TaskID] = {}

        def show(phase: str, done: int, total: int | None) -> None:
            if phase not in tasks:
                tasks[phase] = bar.add_task(phase, total=total)
            bar.update(tasks[phase], completed=done, total=total)

        yield show


def _plain(console: DataConsole, clock: Callable[[], float] = time.monotonic) -> Callable[[str, int, int | None], None]:
    last: dict[str, float] = {}
    began: dict[str, float] = {}

    def show(phase: str, done: int, total: int | None) -> None:
        now = clock()
        began.setdefault(phase, now)
        if now - last.get(phase, -_PLAIN_EVERY_S) >= _PLAIN_EVERY_S or (total and done >= total):
            if last.get(phase) == float("inf"):
                return
            last[phase] = float("inf") if total and done >= total else now
            if total is None:
                console.print(f"{phase} …" if not done else f"{phase}: {done:,}")
                return
            left_s = (now - began[phase]) / done * (total - done) if done else 0.0
            left = f", about {duration(max(1, round(left_s)))} left" if left_s else ""
            console.print(f"{phase}: {done:,} of {total:,}{left}")

    return show
