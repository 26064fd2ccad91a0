"""Age: how far the rows of the read model are behind the clock. Every table shows it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import typer

from floorwatch.cli.options import duration_s
from floorwatch.output.reader_zone import local_rfc3339
from floorwatch.output.terminal import say
from streams.core.durations import format_duration
from streams.core.formatting import duration, percent, plural
from streams.core.stand_for import assumed_part, awaited_audits, stand_for_too_many
from streams.core.time_text import rfc3339
from streams.models.timestamps import parse_rfc3339_ms

if TYPE_CHECKING:
    from rich.text import Text

WARN_BEHIND_S = 300.0
"""A table that is further behind the clock than this is shown with a red title."""

TOO_OLD = 3
"""Exit code of a command whose rows are further behind than ``--max-behind``, or that found none."""

_APART_MS = 60_000
"""Open tasks are marked if they are known as of a time this much earlier than the rest of their row."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Age:
    """As of when rows are.

    Attributes:
        as_of_ms: The watermark up to which every partition has published, Unix ms; None before the first.
        now_ms: The clock, Unix ms.
        complete: Nothing newer had come at the watermark: it is as old as the newest event, and no row is behind any event.
        partial: Rows it is made of may lack a part of what was counted (``tables.max_scopes``).
    """

    as_of_ms: int | None
    now_ms: int
    complete: bool = False
    partial: bool = False

    @property
    def behind_s(self) -> float | None:
        """Seconds from the watermark to the clock, never negative; None without a watermark. See ``ahead_s`` for the opposite."""
        return None if self.as_of_ms is None else max(0, self.now_ms - self.as_of_ms) / 1000

    @property
    def ahead_s(self) -> float:
        """Seconds from the clock to a watermark that is ahead of it: this machine's clock is behind, or a broker's ahead."""
        return 0.0 if self.as_of_ms is None else max(0, self.as_of_ms - self.now_ms) / 1000

    @property
    def text(self) -> str:
        """What stands above a table."""
        if self.as_of_ms is None or self.behind_s is None:
            return "no data yet"
        if round(self.ahead_s):
            return (
                f"as of {local_rfc3339(self.as_of_ms)}, {duration(round(self.ahead_s))} ahead of this machine's clock"
            )
        if self.complete:
            return f"as of {local_rfc3339(self.as_of_ms)}, {duration(round(self.behind_s))} ago, complete: no event is newer"
        return f"as of {local_rfc3339(self.as_of_ms)}, {duration(round(self.behind_s))} behind the clock"

    @property
    def for_programs(self) -> Row:
        """``as_of`` and ``behind_s``, both None without a watermark, and ``partial``."""
        as_of = None if self.as_of_ms is None else rfc3339(self.as_of_ms)
        return {"as_of": as_of, "behind_s": self.behind_s, "partial": self.partial}

    def title(self, what: str) -> Text:
        """Return the title of a table, red if the table is too old."""
        from rich.text import Text

        late = self.behind_s is not None and self.behind_s > WARN_BEHIND_S and not self.complete
        return Text.assemble(f"{what} · ", (self.text, "bold red" if late else ""))

    def of(self, row: Mapping[str, Any]) -> Age:
        """Return the age of one row. It may be newer than the others if its partition has published again since.

        A row that has not changed is not written again, so its own watermark may be older than the published one.
        """
        return replace(self, as_of_ms=max(self.as_of_ms or 0, parse_rfc3339_ms(row["watermark"])))

    def told(self, row: Mapping[str, Any]) -> Row:
        """Return a row with ``as_of`` and ``behind_s`` for programs."""
        own = self.of(row)
        return {**row, "as_of": rfc3339(own.as_of_ms or 0), "behind_s": own.behind_s}


def age_of(as_of_ms: int | None, rows: Iterable[Mapping[str, Any]], *, complete: bool = False) -> Age:
    """Return the age of some rows by the clock of this machine.

    Args:
        as_of_ms: The published watermark; where the read model has none, the least of the rows' own counts.
        rows: The rows.
        complete: Nothing newer had come at the published watermark.
    """
    if as_of_ms is None:
        as_of_ms = min((parse_rfc3339_ms(row["watermark"]) for row in rows), default=None)
    return Age(as_of_ms, int(time.time() * 1000), complete)


def age_of_log(watermark_ms: int, *, live: bool) -> Age | None:
    """Return the age of what was counted from the log: people, quality, why and explain say it as tables do.

    Args:
        watermark_ms: Event time that the log had reached; negative for an empty log.
        live: Whether the log was read as it is now. A file, or the log as of a past moment, is not behind anything: None.
    """
    return age_of(watermark_ms if watermark_ms >= 0 else None, ()) if live else None


def partial_words(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return what to say where rows that a number is made of may lack a part of their scope; empty where none may."""
    count = sum(bool(row.get("partial")) for row in rows)
    if not count:
        return ""
    return (
        f"{plural(count, 'row')} it is made of may lack a part of what was counted (partial: tables.max_scopes), so the numbers may "
        "be too low. --source log counts all."
    )


def mark_of(row: Mapping[str, Any]) -> str:
    """Return the mark behind a scope that is not what it seems.

    It may be a part only; most of its audits may be still to come, stand for more labels than there are, or say nothing of sampling
    beside others that do; none of its labels may be known; its open tasks may be known as of an earlier time than its row.
    """
    partial = " (partial: tables.max_scopes)" if row.get("partial") else ""
    as_of = row.get("open_as_of")
    late = (
        f" (open tasks as of {local_rfc3339(parse_rfc3339_ms(as_of))})"
        if as_of and parse_rfc3339_ms(row["watermark"]) - parse_rfc3339_ms(as_of) > _APART_MS
        else ""
    )
    return partial + _audits_mark(row) + late


_HALF = 0.5


def _audits_mark(row: Mapping[str, Any]) -> str:
    if not row.get("audited"):
        return ""
    if "labels" in row and row["labels"] is None:
        return " (audits only: labels are not counted there)"
    if row.get("labels") == 0:
        return " (its labels never came)"
    awaited = awaited_audits(row)
    if awaited is not None:
        return f" (awaits audits: they stand for {percent(awaited / row['labels'], 0)} of labels)"
    if stand_for_too_many(row) is not None:
        return " (audits stand for too many labels: a probability is named wrongly)"
    silent = assumed_part(row)
    return (
        "" if silent < _HALF else f" (audits that say nothing of sampling are taken for {percent(silent, 0)} of labels)"
    )


def seconds_of(option: str | None) -> float | None:
    """Return ``--max-behind`` in seconds.

    Raises:
        typer.Exit: 2 where it is not a duration.
    """
    if option is None:
        return None
    return duration_s("--max-behind", option)


def exit_if_older(age: Age, max_behind_s: float | None) -> None:
    """Exit with ``TOO_OLD`` if rows are further behind than ``max_behind_s``; None accepts any age."""
    if max_behind_s is None or (age.behind_s is not None and age.behind_s <= max_behind_s):
        return
    how = (
        "there are no rows yet"
        if age.behind_s is None
        else f"rows are {duration(round(age.behind_s))} behind the clock"
    )
    why = "no event is newer" if age.complete else "catching up, or nothing comes in"
    say(f"{how}, --max-behind is {format_duration(max_behind_s)}: {why}", err=True)
    raise typer.Exit(TOO_OLD)
