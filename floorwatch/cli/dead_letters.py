"""``floorwatch dead-letters``: what was refused, by reason, and letter by letter."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from floorwatch.cli.options import ConfigOption, JsonLinesOption, VarOption, past_ms
from floorwatch.output.reader_zone import local_rfc3339
from floorwatch.output.terminal import say, say_json, say_lines
from streams.core.formatting import plural
from streams.models.topics import DEAD_LETTERS

if TYPE_CHECKING:
    from pathlib import Path

    from floorwatch.analysis.dead_letters import Letter, LetterBox, LetterFilter, LetterGroup
    from floorwatch.replay.reader import EventLog

dead_letters_app = typer.Typer(help="What was refused, and why.", no_args_is_help=True)

CodeOption = Annotated[str | None, typer.Option("--code", help="Only of this reason, e.g. unknown_type.")]
StageOption = Annotated[
    str | None, typer.Option("--stage", help="Only of this stage: gateway, intake, ledger, scopes, incidents.")
]
SourceOption = Annotated[str | None, typer.Option("--source", help="Only of this source, e.g. cvat/roads or cvat/*.")]
SinceOption = Annotated[str | None, typer.Option("--since", help="Only those refused since, RFC 3339.")]


@dead_letters_app.command("list")
def list_(
    code: CodeOption = None,
    stage: StageOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    as_json: JsonLinesOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Group what was refused by reason, most letters first."""
    found = _read(_filter(code, stage, source, since), 0, config, var)
    for one in found.by_number():
        if as_json:
            say_json(one.as_json(found.replayed_of(one)))
        else:
            say_lines(_group_lines(one, found.replayed_of(one)))
    _end(found, as_json, "Look at one reason with `floorwatch dead-letters show --code CODE`.")


@dead_letters_app.command("show")
def show(
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="A letter's key, or its start.")] = None,
    code: CodeOption = None,
    stage: StageOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many at most, the newest first.")] = 20,
    as_json: JsonLinesOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Show letters whole, the newest first: why, what to do, and what is kept of the event."""
    found = _read(_filter(code, stage, source, since, key), limit, config, var)
    for one in found.newest():
        if as_json:
            say_json(one.as_json())
        else:
            say_lines(_letter_lines(one, again=one.key in found.replayed))
    more = found.letters - len(found.newest())
    _end(found, as_json, f"{plural(more, 'older letter')} not shown; --limit shows more." if more else "")


@dead_letters_app.command("replay")
def replay(
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="A letter's key, or its start.")] = None,
    code: CodeOption = None,
    source: SourceOption = None,
    since: SinceOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent again.")] = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Send records that intake refused again, once their cause is mended; each counts once, however often this runs."""
    from floorwatch.cli.cluster_session import open_session
    from floorwatch.cli.dead_letters_replay import MOST_LETTERS, NotSent, replay, report_lines
    from floorwatch.cli.operator_actions import journal_of

    wanted = _filter(code, None, source, since, key)
    session = open_session(config, var)
    found = session.run(lambda log: _box(log, wanted, MOST_LETTERS), DEAD_LETTERS)
    journal = journal_of(session.settings, session.stack)
    try:
        done = asyncio.run(replay(session.settings, found, journal, dry_run=dry_run))
    except NotSent as fault:
        say(f"{fault}. Run it again: nothing counts twice.", err=True)
        raise typer.Exit(1) from None
    say_lines(report_lines(done, dry_run=dry_run))
    _end(found, False, "")


def _filter(
    code: str | None, stage: str | None, source: str | None, since: str | None, key: str | None = None
) -> LetterFilter:
    from floorwatch.analysis.dead_letters import LetterFilter

    return LetterFilter(stage, code, source, None if since is None else past_ms("--since", since), key)


def _read(wanted: LetterFilter, most: int, config: Path | None, var: Path | None) -> LetterBox:
    from floorwatch.cli.cluster_session import open_session

    return open_session(config, var).run(lambda log: _box(log, wanted, most), DEAD_LETTERS)


async def _box(log: EventLog, wanted: LetterFilter, most: int) -> LetterBox:
    """Read the whole topic and return what is meant of it."""
    from floorwatch.analysis.dead_letters import LetterBox

    box = LetterBox(wanted, most)
    for partition in log.partitions:
        async for records in log.read(await log.extent(partition)):
            for one in records:
                box.take(one.key or b"", one.value or b"")
    return box


def _end(found: LetterBox, as_json: bool, hint: str) -> None:
    if not found.letters and not as_json:
        say("Nothing of that was refused.")
    elif hint:
        say(hint, err=True)


def _group_lines(group: LetterGroup, replayed: int) -> list[str]:
    one = group.latest
    when = _when(one.at_ms) if group.letters == 1 else f"{_when(group.first_ms)} to {_when(one.at_ms)}"
    place = f" at {one.field}" if one.field else ""
    return [
        f"{group.letters:>9,}  {one.code}{place}, by {one.stage or 'nobody'}: {group.named_sources()}",
        f"{'':>11}{when}{f'; {replayed:,} sent again' if replayed else ''}",
        f"{'':>11}{one.reason}",
        f"{'':>11}→ {one.hint}",
        "",
    ]


def _letter_lines(one: Letter, *, again: bool) -> list[str]:
    place, sent = f" at {one.field}" if one.field else "", "; sent again" if again else ""
    lines = [
        f"{_when(one.at_ms)}  {one.code}{place}, by {one.stage or 'nobody'}{sent}",
        f"    key     {one.key}",
        f"    source  {one.source or 'no source'}",
    ]
    if one.place is not None:
        topic, partition, offset = one.place
        lines.append(f"    record  {topic}, partition {partition}, offset {offset}")
    lines += [f"    why     {one.reason}", f"    do      {one.hint}", f"    kept    {one.value}"]
    if one.removed:
        gone = ", ".join(f"{place} ({size:,} bytes)" for place, size in one.removed)
        lines.append(f"    removed {gone}")
    return [*lines, ""]


def _when(at_ms: int) -> str:
    return local_rfc3339(at_ms) if at_ms >= 0 else "at an unknown time"
