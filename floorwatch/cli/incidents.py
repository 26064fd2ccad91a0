"""``floorwatch incidents``: the incidents, who has acknowledged them and who was told, from the read model."""

from __future__ import annotations

import getpass
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from config.nearest import choices
from floorwatch.cli import options
from floorwatch.cli.act_words import act_lines, state_words
from floorwatch.cli.incident_records import read_incidents, read_look, read_pending, start_of
from floorwatch.cli.incident_told import (
    deliveries_by_incident,
    held_lines,
    nobody_words,
    titles_of,
    told_lines,
    who_words,
)
from floorwatch.cli.options import ConfigOption, JsonLinesOption, RedisOption, RedisPrefixOption, VarOption
from floorwatch.cli.parsing import hand_down
from floorwatch.cli.pending import pending_hint, pending_lines
from floorwatch.cli.people_options import fail
from floorwatch.output.reader_zone import local_instant, local_times_in
from floorwatch.output.terminal import DataConsole, json_line, say, say_json_text, say_lines, window_width

if TYPE_CHECKING:
    from rich.text import Text

    from alerts.deliveries import Delivery
    from floorwatch.settings.schema import FloorwatchConfig

_LIVE = ("open", "acknowledged", "escalated")
_STYLES = {"page": "bold red", "warn": "yellow", "info": "cyan"}
_COLUMNS = ("incident", "severity", "what and where", "state", "told", "opened", "evidence")
_CAPS = (12, 8, 60, 30, 40, 22, 200)
"""Most cells of each column where a window does not take the lines whole."""
_SEVERITIES = ("page", "warn", "info")
_FILE_WIDTH = 4_000

incidents_app = typer.Typer(help="List incidents, or show one whole.", invoke_without_command=True)


@dataclass(frozen=True)
class IncidentFilter:
    """Which incidents to list.

    Attributes:
        resolved: Also the resolved ones.
        scope: Values by dimension that the scope must have; an empty value takes any.
        severities: Empty takes all.
        by: Who has acknowledged it.
        untaken: Only what nobody has acknowledged.
    """

    resolved: bool = False
    scope: Mapping[str, str] = field(default_factory=dict)
    severities: Sequence[str] = ()
    by: str | None = None
    untaken: bool = False


@incidents_app.callback()
def incidents(
    context: typer.Context,
    show_all: Annotated[bool, typer.Option("--all", help="Also the resolved ones.")] = False,
    pending: Annotated[
        bool, typer.Option("--pending", help="Only what is no incident yet: a rule has fired, not yet `for` times.")
    ] = False,
    scope: Annotated[
        list[str] | None, typer.Option(help="Only scopes with this: queue=hate, or queue for any; may be repeated.")
    ] = None,
    severity: Annotated[list[str] | None, typer.Option(help="Only page, warn or info; may be repeated.")] = None,
    mine: Annotated[
        bool, typer.Option("--mine", help="Only those you have acknowledged (as $USER; else see --by).")
    ] = False,
    by: Annotated[str | None, typer.Option("--by", help="Only those acknowledged by this name.")] = None,
    untaken: Annotated[bool, typer.Option("--untaken", help="Only those nobody has acknowledged.")] = False,
    as_json: JsonLinesOption = False,
    redis_url: RedisOption = None,
    prefix: RedisPrefixOption = "floorwatch:",
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """List open incidents, one line each, the most urgent first. `incidents show KEY` tells all of one."""
    if context.invoked_subcommand is not None:
        hand_down(context, {"FLOORWATCH_VAR": var, "FLOORWATCH_CONFIG": config})
        return
    wanted = IncidentFilter(
        show_all, scope_of(scope or []), _severities(severity or []), by or (_me() if mine else None), untaken
    )
    source = _source(redis_url, prefix, config, var)
    waiting = [one for one in read_pending(source.options, source.prefix) if _fits(one, wanted)]
    if pending:
        _print_pending(waiting, source, as_json=as_json)
        return
    known = read_incidents(source.options, source.prefix)
    found = select(known, wanted)
    told = _told(source, found)
    if as_json:
        for record in found:
            say_json_text(_as_json(record, told.get(record["key"], [])))
        return
    console = DataConsole(width=_width())
    if not found:
        console.print("No incidents." if wanted.resolved else "No open incidents.  (--all shows the resolved ones)")
    else:
        for line in lines_of(found, told, console.width, titles_of(known)):
            console.print(line)
    # On standard error, because programs count the lines of the list.
    say_lines(filter(None, [pending_hint(waiting, source.looks)]), err=True)
    _say_look(source)


def _print_pending(records: list[dict[str, Any]], source: _Source, *, as_json: bool) -> None:
    if as_json:
        for record in records:
            say_json_text(json_line({**record, "looks_wanted": source.looks.get(record["rule"])}))
        return
    say_lines(pending_lines(records, source.looks) or ["Nothing is pending."])
    _say_look(source)


def _say_look(source: _Source) -> None:
    from alerts.looks import look_words

    look = read_look(source.options, source.prefix)
    say(look_words(look) if look is None else local_times_in(look_words(look), look.upto_ms), err=True)


@incidents_app.command("show")
def show(
    incident: Annotated[str, typer.Argument(metavar="KEY", help="Its key as the list shows it, or its start.")],
    as_json: JsonLinesOption = False,
    redis_url: RedisOption = None,
    prefix: RedisPrefixOption = "floorwatch:",
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Show one incident whole: evidence, contributors, what people did about it, who was told what and when."""
    start = start_of(incident)
    source = _source(redis_url, prefix, config, var)
    known = read_incidents(source.options, source.prefix)
    found = [one for one in known if one["key"].startswith(start)]
    if not found:
        raise fail(f"no incident begins with {start}; `floorwatch incidents --all` lists them")
    told = _told(source, found)
    for record in found:
        if as_json:
            say_json_text(_as_json(record, told.get(record["key"], [])))
        else:
            merged = [one for one in known if one.get("merged_into") == record["key"]]
            say_lines(whole(record, told.get(record["key"], []), titles_of(known), merged))


def scope_of(texts: Sequence[str]) -> dict[str, str]:
    """Return ``queue=hate`` and ``queue`` as values by dimension; an empty value takes any.

    Raises:
        typer.Exit: There is no such dimension.
    """
    wanted: dict[str, str] = {}
    for text in texts:
        wanted |= options.scope_of("--scope", text, bare=True)
    return wanted


def _severities(given: Sequence[str]) -> list[str]:
    wrong = [one for one in given if one not in _SEVERITIES]
    if wrong:
        raise fail(f"--severity {wrong[0]}: {choices(wrong[0], _SEVERITIES)}")
    return list(given)


def _me() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        raise fail("--mine: this machine does not say who you are; use --by NAME") from None


def select(records: list[dict[str, Any]], wanted: IncidentFilter) -> list[dict[str, Any]]:
    """Live incidents (or all that ever opened): live before resolved, pages first, then the newest."""
    states = (*_LIVE, "resolved") if wanted.resolved else _LIVE
    shown = [record for record in records if record["state"] in states and _fits(record, wanted)]
    urgency = {name: place for place, name in enumerate(_SEVERITIES)}
    shown.sort(key=lambda record: (record["opened_at"] or "", record["key"]), reverse=True)
    shown.sort(key=lambda record: (record["state"] == "resolved", urgency.get(record["severity"], 3)))
    return shown


def _fits(record: dict[str, Any], wanted: IncidentFilter) -> bool:
    taken = record.get("machine", {}).get("acknowledged_by")
    scope = record["scope"]
    return (
        all(name in scope and value in ("", scope[name]) for name, value in wanted.scope.items())
        and (not wanted.severities or record["severity"] in wanted.severities)
        and (wanted.by is None or taken == wanted.by)
        and not (wanted.untaken and taken is not None)
    )


def lines_of(
    records: list[dict[str, Any]],
    told: Mapping[str, list[Delivery]],
    width: int,
    titles: Mapping[str, str] | None = None,
) -> list[Text]:
    """Return a headline and one line for each incident. Values are text and never markup, because ids come from senders.

    Args:
        records: The incidents, in order.
        told: Deliveries by incident key.
        width: Cells of a line; what does not fit is cut, the key at its beginning never.
        titles: Titles of incidents by key, for those that speak for others.
    """
    from rich.cells import cell_len
    from rich.text import Text

    rows = [list(_COLUMNS)]
    for record in records:
        cells = (
            record["key"][:12],
            record["severity"],
            record["title"],
            state_words(record),
            who_words(record, told.get(record["key"], []), titles or {}),
            _at(record["opened_at"]),
            evidence_words(record),
        )
        rows.append([_printable(str(cell)) for cell in cells])
    whole = [max(Text(row[place]).cell_len for row in rows) for place in range(len(_COLUMNS))]
    fits = sum(whole) + 2 * len(whole) <= width
    widths = whole if fits else [min(cap, most) for cap, most in zip(_CAPS, whole, strict=True)]
    # A column of which less than its heading would be seen says nothing: neither it nor what is behind it is begun.
    ends = [sum(widths[:place]) + 2 * place + cell_len(name) for place, name in enumerate(_COLUMNS)]
    shown = next((place for place, end in enumerate(ends) if end > width), len(_COLUMNS))
    widths = widths[: max(1, shown)]
    rows = [row[: len(widths)] for row in rows]
    styles = ["bold", *(_style(record) for record in records)]
    return [_line(row, widths, width, style) for row, style in zip(rows, styles, strict=True)]


def _line(cells: Sequence[str], widths: Sequence[int], width: int, style: str) -> Text:
    from rich.text import Text

    line = Text(style=style, no_wrap=True)
    for cell, most in zip(cells, widths, strict=True):
        shown = Text(cell)
        shown.truncate(most, overflow="ellipsis", pad=True)
        line.append(shown).append("  ")
    line.rstrip()
    line.truncate(width, overflow="ellipsis")
    return line


def _style(record: dict[str, Any]) -> str:
    return "dim" if record["state"] == "resolved" else _STYLES.get(record["severity"], "")


def whole(
    record: dict[str, Any],
    deliveries: Sequence[Delivery],
    titles: Mapping[str, str] | None = None,
    merged: Sequence[dict[str, Any]] = (),
) -> list[str]:
    """Return everything about one incident as lines.

    Args:
        record: The incident.
        deliveries: Its messages.
        titles: Titles of all incidents by key.
        merged: The incidents that were merged into it.
    """
    import msgspec

    from alerts.signals import Contributor
    from alerts.text import contributors_heading, is_link, part_words, runbook_words

    page, into = record.get("runbook_page"), record.get("merged_into") or ""
    facts = [
        ("Incident", f"{record['key']}, rule {record['rule']}, episode {record['episode']}"),
        ("State", f"{record['severity']}, {state_words(record)}"),
        (
            "Since",
            _at(record["since"]) + (f", resolved {_at(record['resolved_at'])}" if record.get("resolved_at") else ""),
        ),
        ("Evidence", evidence_words(record)),
        ("Owner", record.get("owner") or ""),
        ("Merged", into and f"into {_printable((titles or {}).get(into, into))}"),
        *(("With it", f"{_printable(one['title'])} ({one['key'][:12]}), {one['state']}") for one in merged),
        ("Board", record["board_url"] if is_link(record.get("board_url")) else ""),
        ("Runbook", record.get("runbook_url") or (page and runbook_words(page))),
        *(("Link", url) for url in record.get("links") or ()),
    ]
    lines = [record["title"], *(f"  {name + ':':<10} {value}" for name, value in facts if value)]
    parts = msgspec.convert(record.get("contributors") or [], tuple[Contributor, ...])
    lines += [contributors_heading(parts), *(f"  {part_words(part)}" for part in parts)]
    if record.get("examples"):
        lines.append("Example tasks: " + ", ".join(record["examples"]))
    acts = [line for act in record.get("acts") or [] for line in act_lines(act, titles or {})]
    lines += ["What people did:", *acts] if acts else []
    told = [f"  {line}" for line in told_lines(record, deliveries)]
    held = [f"  {line}" for line in held_lines(record, titles or {})]
    return [
        *lines,
        "Who was told:",
        *(told or [f"  {nobody_words(record)}"]),
        *(["Who was not told:", *held] if held else []),
    ]


def evidence_words(record: Mapping[str, Any]) -> str:
    """Return an incident's evidence, with its times in the reader's zone."""
    from alerts.view import instant_ms

    return local_times_in(record["evidence"], instant_ms(record["updated_at"]))


def _at(text: str | None) -> str:
    from alerts.view import instant_ms

    return "" if not text else local_instant(instant_ms(text))


def _printable(text: str) -> str:
    from streams.core.formatting import printable

    return printable(text)


def _as_json(record: dict[str, Any], deliveries: Sequence[Delivery]) -> str:
    from floorwatch.cli.notifications import as_object

    told = [as_object(one) for one in deliveries]
    return json_line({**record, "deliveries": told})


def _width() -> int:
    """Return how wide a line may be: as the window, or as long as it takes in a file."""
    return window_width() or _FILE_WIDTH


@dataclass(frozen=True)
class _Source:
    """Where incidents and deliveries are read.

    Attributes:
        options: Arguments of ``Redis.from_url``.
        prefix: Of the keys.
        looks: Evaluations in a row that each configured rule takes to open; empty where only Redis was named.
    """

    options: dict[str, Any]
    prefix: str
    looks: Mapping[str, int] = field(default_factory=dict)


def _source(redis_url: str | None, prefix: str, config: Path | None, var: Path | None) -> _Source:
    if redis_url is not None:
        return _Source({"url": redis_url}, prefix)
    from config.connect import redis_options
    from floorwatch.cli.common import exit_on_config_error, load_for_reader

    with exit_on_config_error():
        settings: FloorwatchConfig = load_for_reader(config, var)
    looks = {rule.name: rule.for_evaluations for rule in settings.rules}
    return _Source(redis_options(settings.redis), settings.redis.prefix, looks)


def _told(source: _Source, records: Sequence[dict[str, Any]]) -> dict[str, list[Delivery]]:
    """Return the deliveries of some incidents by key; nothing if the outbox cannot be read."""
    import asyncio

    from redis.exceptions import RedisError

    from floorwatch.cli.notifications import on_outbox_of

    if not records:
        return {}

    try:
        return asyncio.run(
            on_outbox_of(source.options, source.prefix, lambda outbox: deliveries_by_incident(outbox, records))
        )
    except (RedisError, OSError) as error:
        say(f"who was told cannot be read: {type(error).__name__}", err=True)
        return {}
