"""The options that several commands share, and how what they hold is read. What cannot be read ends a command with code 2."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from floorwatch.output.terminal import say_lines

_CLOCKS_APART_MS = 60_000
"""Records are stamped by the broker's clock, which may be this far ahead of ours."""

VarOption = Annotated[
    Path | None,
    typer.Option(
        "--var",
        envvar="FLOORWATCH_VAR",
        show_envvar=False,
        help="Folder of a `floorwatch up`; without it ./var, or the only one of yours that runs.",
    ),
]
"""The option with which every command that reads a running stack is told which one."""


def config_option(help_text: str, *, env: bool = True) -> Any:
    """Return the option that names the YAML file.

    Args:
        help_text: What the file is to the command.
        env: ``FLOORWATCH_CONFIG`` names it, too.
    """
    return typer.Option("--config", "-c", envvar="FLOORWATCH_CONFIG" if env else None, help=help_text)


ConfigOption = Annotated[Path | None, config_option("YAML configuration.")]
"""The configuration, for a command that reads a running stack."""

ConfigFileOption = Annotated[Path | None, config_option("YAML file; without it, the defaults.")]
"""The same for a command that works on the file itself."""


def json_option(help_text: str) -> Any:
    """Return the option that asks for JSON, with what the command then prints."""
    return typer.Option("--json", help=help_text)


JsonOption = Annotated[bool, json_option("One JSON object.")]
JsonLinesOption = Annotated[bool, json_option("JSON lines: one object a line.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Comma-separated values.")]


def as_of_option(help_text: str) -> Any:
    """Return the option that asks for what was known at a past time."""
    return typer.Option("--as-of", help=help_text)


AsOfOption = Annotated[str | None, as_of_option("As known at this moment, e.g. 2026-11-22T18:00:00Z.")]
AtOption = Annotated[str | None, typer.Option("--at", help="As of when, RFC 3339; by default the last event.")]
"""The end of a report, in event time."""
OpensAtOption = Annotated[str | None, typer.Option("--at", help="When it opens, RFC 3339; by default now.")]
"""The time of an incident that somebody asks about."""

EventsOption = Annotated[
    Path | None,
    typer.Option("--events", help="Read JSON lines of contract events, .gz too; by default the cluster's log."),
]
RedisOption = Annotated[str | None, typer.Option("--redis", help="Read model; else as configured.")]
RedisPrefixOption = Annotated[str, typer.Option("--prefix", help="Prefix of the keys in Redis, with --redis.")]
LogLevelOption = Annotated[str, typer.Option("--log-level", help="debug, info, warning or error.")]


def misused(*said: str) -> NoReturn:
    """Print what is wrong with an option to standard error, one sentence a line, and end with code 2."""
    say_lines(said, err=True)
    raise typer.Exit(2)


def duration_s(option: str, text: str, *, least_s: float = 0.0) -> float:
    """Return the duration that an option gives, in seconds.

    Args:
        option: Its name, e.g. ``--for``.
        text: What was typed: ``300``, ``90s``, ``1h30m``.
        least_s: The least that is taken.

    Raises:
        typer.Exit: 2 where it is not a duration, or a shorter one.
    """
    from streams.core.durations import BadDuration, format_duration, parse_duration

    try:
        found_s = parse_duration(text)
    except BadDuration as error:
        misused(f"{option}: {error.reason}; {error.hint}")
    if found_s < least_s:
        misused(f"{option} {text}: write {format_duration(least_s)} or more")
    return found_s


def duration_ms(option: str, text: str) -> int:
    """Return the duration that an option gives, in ms, at least 1.

    Raises:
        typer.Exit: 2 where it is not a duration, or of no length.
    """
    found_ms = round(duration_s(option, text) * 1000)
    if found_ms <= 0:
        misused(f"{option} {text}: write a duration longer than nothing, for example 7d")
    return found_ms


def timestamp_ms(option: str, text: str) -> int:
    """Return the time that an option gives, in ms since 1970.

    Raises:
        typer.Exit: 2 where it is not RFC 3339 with a zone.
    """
    from streams.models.timestamps import BadTimestamp, parse_rfc3339_ms

    try:
        return parse_rfc3339_ms(text)
    except BadTimestamp as error:
        misused(f"{option}: {error}")


def past_ms(option: str, text: str) -> int:
    """Return the past time that an option gives, in ms since 1970.

    Raises:
        typer.Exit: 2 where it is not a time, or one to come.
    """
    from streams.core.time_text import rfc3339

    at_ms, now_ms = timestamp_ms(option, text), round(time.time() * 1000)
    if at_ms > now_ms + _CLOCKS_APART_MS:
        misused(f"{option} {text} is still to come: it is {rfc3339(now_ms)}. Leave it out for what is known now.")
    return at_ms


def day_of(option: str, text: str) -> date:
    """Return the calendar day that an option gives.

    Raises:
        typer.Exit: 2 where it is no day, or one without a day before or after.
    """
    try:
        day = date.fromisoformat(text)
        (day - timedelta(days=1), day + timedelta(days=1))
    except (ValueError, OverflowError):
        misused(f"{option} {text}: write YYYY-MM-DD, for example 2026-11-23")
    return day


def scope_of(
    option: str,
    text: str,
    *,
    names: Sequence[str] | None = None,
    kinds: Collection[Sequence[str]] = (),
    bare: bool = False,
) -> dict[str, str]:
    """Return the scope that an option gives, in the order of the dimensions; ``{}`` for ``all``.

    Args:
        option: Its name.
        text: What was typed: ``all`` or ``vendor=bpo-a,queue=hate``.
        names: The dimensions there are; None for those of a label.
        kinds: The kinds of scopes that are kept; none takes any.
        bare: Accept a dimension alone, which is the empty value.

    Raises:
        typer.Exit: 2 where it is not a scope, or of no kind that is kept.
    """
    from config.nearest import choices
    from streams.core.policy import DIMENSIONS
    from streams.core.scopes import BadScope, parse_scope

    known = DIMENSIONS if names is None else names
    try:
        found = parse_scope(text, known, bare=bare)
    except BadScope as error:
        if error.name is None:
            misused(f"{option} {text}: {error.reason}")
        hint = f"{choices(error.name, known)}; write DIMENSION=VALUE"
        misused(f"{option} {text}: {error.reason}; {hint}")
    if kinds and frozenset(found) not in {frozenset(kind) for kind in kinds}:
        kept = "; ".join(",".join(kind) or "all" for kind in kinds)
        misused(f"{option} {text}: no rows are kept by {','.join(found) or 'all'}; kept are: {kept}")
    return found


def kept_window(window: str, windows: Iterable[str]) -> str:
    """Return the name in ``tables.windows`` of the window that ``--window`` gives.

    Raises:
        typer.Exit: 2 where it is not kept.
    """
    from config.nearest import choices
    from streams.core.window_names import same_window

    names = list(windows)
    found = same_window(window, names)
    if found is None:
        misused(f"--window {window}: not kept; {choices(window, names)}")
    return found
