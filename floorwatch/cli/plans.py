"""What people plan while the system runs, as the commands about it read and write it: maintenance windows, overrides, calendars."""

from __future__ import annotations

import asyncio
import getpass
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from floorwatch.cli.operator_actions import checked, journal_of, put
from floorwatch.cli.options import misused, timestamp_ms
from floorwatch.output.reader_zone import reader_zone
from floorwatch.output.terminal import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from alerts.oncall.kept import Plan
    from alerts.oncall.policy import RotaFacts
    from alerts.plan_fault import PlanFault
    from floorwatch.sdk.stacks import Found
    from floorwatch.settings.schema import FloorwatchConfig

FromOption = Annotated[
    str, typer.Option("--from", help="When it begins: 2026-12-03T22:00 of your zone, a time with a zone, or now.")
]
ToOption = Annotated[str | None, typer.Option("--to", help="When it ends, as --from.")]
ForOption = Annotated[str | None, typer.Option("--for", help="How long it is, in place of --to: 30m, 2h, 1d …")]
PlannedBy = Annotated[str | None, typer.Option("--by", help="Your name; by default your user's.")]
WaitOption = Annotated[float, typer.Option(help="Seconds to wait until a worker knows it.", min=0, max=600)]

_POLL_S = 0.2
_LOCAL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?")


def now_ms() -> int:
    """Return the wall clock in Unix milliseconds."""
    return int(time.time() * 1000)


def planner(by: str | None) -> str:
    """Return who plans: the name given, else that of the user of this machine.

    Raises:
        typer.Exit: 2 where it is none.
    """
    if by is not None:
        return checked("--by", by)
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        misused("this machine does not say who you are; use --by NAME")


def time_of(option: str, text: str, at_ms: int) -> int:
    """Return the time that an option gives, in ms since 1970.

    Args:
        option: Its name.
        text: ``now``, a time with a zone, or one of the reader's zone.
        at_ms: Wall time, for ``now``.

    Raises:
        typer.Exit: 2 where it is no time.
    """
    from alerts.oncall.local_time import instant_ms
    from streams.models.timestamps import parse_local

    if text.strip().lower() == "now":
        return at_ms
    if not _LOCAL.fullmatch(text.strip()):
        return timestamp_ms(option, text)
    try:
        return instant_ms(parse_local(text), reader_zone())
    except (ValueError, OverflowError):
        misused(f"{option} {text}: there is no such time; write for example 2026-12-03T22:00")


def span_of(begin: str, end: str | None, span: str | None, at_ms: int) -> tuple[int, int]:
    """Return the begin and the end that ``--from``, ``--to`` and ``--for`` give, in ms since 1970.

    Raises:
        typer.Exit: 2 where one is no time, or not exactly one end is given.
    """
    from floorwatch.cli.options import duration_ms

    begin_ms = time_of("--from", begin, at_ms)
    if (end is None) == (span is None):
        misused("say when it ends with --to, or how long it is with --for; one of them")
    if span is not None:
        return begin_ms, begin_ms + duration_ms("--for", span)
    return begin_ms, time_of("--to", end or "", at_ms)


def fault_words(fault: PlanFault, span: str | None) -> str:
    """Return what is wrong with a plan in words, by the option that was given: an end by ``--for`` where that said it."""
    option = "for" if fault.field == "to" and span is not None else fault.field
    return f"--{option}: {fault.reason}; {fault.hint}"


def loaded(config: Path | None, var: Path | None) -> tuple[FloorwatchConfig, Found | None]:
    """Return the configuration, and the embedded stack that it points at, if any."""
    from floorwatch.cli.common import exit_on_config_error, load_target

    with exit_on_config_error():
        return load_target(config, var, process="reader")


def known_plans(settings: FloorwatchConfig) -> RotaFacts | None:
    """Return what the workers know to be planned; None where none has written it yet.

    Raises:
        typer.Exit: 1 where Redis does not answer, or holds what is no plan.
        NewerFormat: A newer version of Floorwatch wrote it.
    """
    import msgspec

    from alerts.oncall.kept import PLANS, shown_plans
    from config.connect import redis_options
    from floorwatch.cli.incident_records import asked

    name = f"{settings.redis.prefix}{PLANS}"
    found = asked(redis_options(settings.redis), lambda client: client.hgetall(name))
    try:
        return shown_plans(found)
    except msgspec.DecodeError as error:
        say(f"{name} in Redis cannot be read: {error}. A worker that starts writes it anew.", err=True)
        raise typer.Exit(1) from None


def plans_of(settings: FloorwatchConfig) -> RotaFacts:
    """Return what the workers know to be planned.

    Raises:
        typer.Exit: 1 where Redis does not answer, or no worker has written it yet.
    """
    found = known_plans(settings)
    if found is None:
        say("No worker has written yet what is planned. Is one running? `floorwatch doctor` tells.", err=True)
        raise typer.Exit(1)
    return found


def plan(
    settings: FloorwatchConfig,
    stack: Found | None,
    given: Plan,
    is_known: Callable[[RotaFacts], bool],
    wait_s: float,
) -> None:
    """Put a plan on the log, and wait until a worker knows it.

    Args:
        settings: Whose log.
        stack: The embedded stack, if it is one.
        given: The plan.
        is_known: Tells by what the workers know whether they know it.
        wait_s: Seconds to wait.

    Raises:
        typer.Exit: 1 where it cannot be written, or no worker knows it in that time.
    """
    place = asyncio.run(put(settings, given, journal_of(settings, stack)))
    until_s = time.monotonic() + wait_s
    while True:
        facts = known_plans(settings)
        if facts is not None and is_known(facts):
            return
        if time.monotonic() >= until_s:
            break
        time.sleep(_POLL_S)
    say(
        f"Accepted, as {place}, but no worker knows it after {wait_s:g} s. It counts from when a worker comes to it: is one "
        "running and not far behind? `floorwatch doctor` tells.",
        err=True,
    )
    raise typer.Exit(1)
