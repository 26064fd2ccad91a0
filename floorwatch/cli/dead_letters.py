"""``floorwatch dead-letters``: what was refused, by reason, and letter by letter."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from floorwatch.cli.options import ConfigOption, JsonLinesOption, VarOption, past_ms
from floorwatch.output.reader_zone import local_rfc3339
from floorwatch.output.terminal import say, say_json, say_lines
from streams.core.formatting import plural

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
            say_json(one.as_json())
        else:
            say_lines(_group_lines(one))
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
            say_lines(_letter_lines(one))
    more = found.letters - len(found.newest())
    _end(found, as_json, f"{plural(more, 'older letter')} not shown; --limit shows more." if more else "")


def _filter(
    code: str | None, stage: str | None, source: str | None, since: str | None, key: str | None = None
) -> LetterFilter:
    from floorwatch.analysis.dead_letters import LetterFilter

    return LetterFilter(stage, code, source, None if since is None else past_ms("--since", since), key)


def _read(wanted: LetterFilter, most: int, config: Path | None, var: Path | None) -> LetterBox:
    """Read the whole topic and return what is meant of it."""
    from floorwatch.analysis.dead_letters import LetterBox
    from floorwatch.cli.cluster_session import open_session
    from streams.models.topics import DEAD_LETTERS

    async def work(log: EventLog) -> LetterBox:
        box = LetterBox(wanted, most)
        for partition in log.partitions:
            async for records in log.read(await log.extent(partition)):
                for one in records:
                    box.take(one.key or b"", one.value or b"")
        return box

    return open_session(config, var).run(work, DEAD_LETTERS)


def _end(found: LetterBox, as_json: bool, hint: str) -> None:
    if not found.letters and not as_json:
        say("Nothing of that was refused.")
    elif hint:
        say(hint, err=True)


def _group_lines(group: LetterGroup) -> list[str]:
    one = group.latest
    when = _when(one.at_ms) if group.letters == 1 else f"{_when(group.first_ms)} to {_when(one.at_ms)}"
    place = f" at {one.field}" if one.field else ""
    return [
        f"{group.letters:>9,}  {one.code}{place}, by {one.stage or 'nobody'}: {group.named_sources()}",
        f"{'':>11}{when}",
        f"{'':>11}{one.reason}",
        f"{'':>11}→ {one.hint}",
        "",
    ]


def _letter_lines(one: Letter) -> list[str]:
    lines = [
        f"{_when(one.at_ms)}  {one.code}{f' at {one.field}' if one.field else ''}, by {one.stage or 'nobody'}",
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
