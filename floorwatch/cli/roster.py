"""``floorwatch roster``: one day's staffing against the work, per site, vendor, team or queue."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from floorwatch.cli.facts_file import load_facts
from floorwatch.cli.options import (
    AtOption,
    ConfigOption,
    EventsOption,
    JsonLinesOption,
    VarOption,
    day_of,
    duration_ms,
    timestamp_ms,
)
from floorwatch.cli.people_options import as_percent, fail
from floorwatch.output.reader_zone import local_instant
from floorwatch.output.terminal import MISSING, aligned, say, say_json_text, window_width
from streams.core.time_text import local_moment

if TYPE_CHECKING:
    from floorwatch.analysis.roster.presence import RosterPolicy
    from floorwatch.analysis.roster.roster_rows import Row, Scope
    from floorwatch.cli.facts_file import FloorLog
    from floorwatch.settings.schema import FloorwatchConfig

KINDS = ("site", "vendor", "team", "queue")


class RosterDay(NamedTuple):
    """One scope's day.

    Attributes:
        scope: Dimension and value pairs.
        zone: IANA time zone of the day.
        start_ms: Its first instant.
        end_ms: The next day's.
        hours: Integers by start of the hour.
    """

    scope: Scope
    zone: str
    start_ms: int
    end_ms: int
    hours: dict[int, Row]


def roster(
    by: Annotated[str, typer.Option(help="site, vendor, team, queue, several with commas, or all.")] = "site",
    day: Annotated[str | None, typer.Option(help="YYYY-MM-DD; by default the day of the last event.")] = None,
    hours: Annotated[bool, typer.Option("--hours", help="Every hour of the day too.")] = False,
    zone: Annotated[str | None, typer.Option(help="Time zone of the day; by default the site's.")] = None,
    events: EventsOption = None,
    at: AtOption = None,
    away: Annotated[
        str | None, typer.Option(help="A longer stretch without a sign of work is away; else roster.away_s.")
    ] = None,
    occupancy: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Occupancy target in percent, for required people; else as configured."),
    ] = None,
    shrinkage: Annotated[
        float | None,
        typer.Option(min=0, max=100, help="Shrinkage in percent, for required people; by default as measured."),
    ] = None,
    as_json: JsonLinesOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Show a day's staffed hours, occupancy, adherence, conformance, shrinkage and required people."""
    from floorwatch.analysis.roster.headcount import LIMITS
    from floorwatch.cli.common import exit_on_config_error, load_for_reader

    kinds = _kinds(by)
    with exit_on_config_error():
        settings = load_for_reader(config, var, needed=events is None)
    policy = _policy(settings, away, occupancy)
    fixed = None if shrinkage is None else _permille("--shrinkage", shrinkage)
    log = load_facts(events, config, var)
    until_ms = log.watermark_ms if at is None else timestamp_ms("--at", at)
    days = days_of(log, kinds, (None if day is None else day_of("--day", day)), zone, until_ms, policy, settings)
    if as_json:
        import orjson

        for one in days:
            say_json_text(orjson.dumps(day_json(one, policy, fixed)))
        return
    lines = roster_lines(days, until_ms, policy, fixed, hours=hours)
    say("\n".join([*lines, "", *_notes(log), LIMITS]))


def _kinds(by: str) -> tuple[str, ...]:
    if by == "all":
        return ()
    names = tuple(part.strip() for part in by.split(","))
    wrong = [name for name in names if name not in KINDS]
    if wrong or len(set(names)) != len(names):
        raise fail(f"--by {by}: all, or some of {', '.join(KINDS)}, each once")
    return tuple(name for name in KINDS if name in names)


def _permille(option: str, percent: float) -> int:
    return 0 if percent == 0 else round(as_percent(option, percent) * 10)


def _policy(settings: FloorwatchConfig, away: str | None, occupancy: float | None) -> RosterPolicy:
    from floorwatch.settings.policies import roster_policy

    policy = roster_policy(settings)
    if away is not None:
        policy = replace(policy, away_ms=duration_ms("--away", away))
    if occupancy is None:
        return policy
    percent = occupancy if occupancy == 100 else as_percent("--occupancy", occupancy)
    return replace(policy, occupancy_target_permille=round(percent * 10))


def day_span(day: date | None, zone: str, until_ms: int) -> tuple[int, int]:
    """Return a calendar day in a zone as a half-open range in ms; without a day, the one ``until_ms`` stands in."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        place = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        raise fail(f"there is no time zone {zone}; use an IANA name such as Asia/Kuala_Lumpur") from None
    here = day if day is not None else local_moment(until_ms, place).date()
    first, after = (
        int(datetime(one.year, one.month, one.day, tzinfo=place).timestamp()) * 1000
        for one in (here, here + timedelta(days=1))
    )
    return first, after


def days_of(
    log: FloorLog,
    by: tuple[str, ...],
    day: date | None,
    zone: str | None,
    until_ms: int,
    policy: RosterPolicy,
    settings: FloorwatchConfig,
) -> list[RosterDay]:
    """Return the day of every scope of one kind, each in the time zone of its site."""
    from floorwatch.analysis.roster.roster_rows import Activity, roster_rows
    from streams.core.roster.roster_plan import fold_roster

    activity = Activity(log.works, log.signs, log.arrivals)
    plan = fold_roster(log.roster)
    zones: dict[str, str] = dict(settings.tables.zones) if "site" in by and zone is None else {}
    usual = zone if zone is not None else settings.tables.default_zone
    found: list[RosterDay] = []
    for name in sorted({usual, *zones.values()}):
        span = day_span(day, name, until_ms)
        for scope, hours in roster_rows(plan, activity, by, span, until_ms, policy).items():
            if zones.get(dict(scope).get("site", ""), usual) == name:
                found.append(RosterDay(scope, name, *span, hours))
    found.sort(key=lambda one: one.scope)
    return found


def _measured(day: RosterDay, policy: RosterPolicy, shrinkage: int | None) -> tuple[dict[str, Any], dict[str, int]]:
    from floorwatch.analysis.roster.roster_rows import add_rows, measures

    total = add_rows(day.hours.values())
    return measures(total, day.end_ms - day.start_ms, policy, shrinkage), total


def _by_hour(day: RosterDay, policy: RosterPolicy, shrinkage: int | None) -> list[tuple[int, dict[str, Any]]]:
    """Measures of each hour. Required people use the day's shrinkage, because an hour's own is too rough."""
    from floorwatch.analysis.roster.roster_rows import measures
    from streams.core.policy import HOUR_MS

    used = shrinkage
    if used is None:
        used = round(1000 * _measured(day, policy, None)[0]["shrinkage_used_ratio"])
    return [(start_ms, measures(row, HOUR_MS, policy, used)) for start_ms, row in sorted(day.hours.items())]


def _peak(hours: list[tuple[int, dict[str, Any]]]) -> int | None:
    """Return the most people that any hour needs. A mean over a day that includes a night would not help."""
    return max((values["required_heads"] for _, values in hours if values["required_heads"] is not None), default=None)


def day_json(day: RosterDay, policy: RosterPolicy, shrinkage: int | None) -> dict[str, Any]:
    """Return one scope's day with its hours, measures and the integers they are made of."""
    from streams.core.time_text import rfc3339

    measured, total = _measured(day, policy, shrinkage)
    hours = _by_hour(day, policy, shrinkage)
    return {
        "scope": dict(day.scope),
        "zone": day.zone,
        "start": rfc3339(day.start_ms),
        "end": rfc3339(day.end_ms),
        **measured,
        "peak_required_heads": _peak(hours),
        "counts": total,
        "hours": [{"start": rfc3339(start_ms), **values, "counts": day.hours[start_ms]} for start_ms, values in hours],
    }


HEADING = [
    *("staffed h", "occupancy", "adherence", "conformance", "shrinkage", "labels", "handle", "arrived", "scheduled h"),
    *("needed h", "needed heads"),
]


def _cells(values: dict[str, Any], heads: int | None) -> list[str]:
    def percent(value: float | None) -> str:
        return MISSING if value is None else f"{value:.1f}%"

    def share(value: float | None) -> str:
        return percent(None if value is None else 100 * value)

    handle_ms = values["handle_ms_mean"]
    return [
        f"{values['staffed_h']:.1f}",
        share(values["occupancy_ratio"]),
        percent(values["adherence_percent"]),
        percent(values["conformance_percent"]),
        share(values["shrinkage_ratio"]),
        f"{values['labels']:,}",
        MISSING if handle_ms is None else f"{handle_ms / 1000:.1f} s",
        f"{values['arrivals']:,}",
        f"{values['scheduled_h']:.1f}",
        MISSING if values["required_h"] is None else f"{values['required_h']:.1f}",
        MISSING if heads is None else f"{heads}",
    ]


def roster_lines(
    days: list[RosterDay], until_ms: int, policy: RosterPolicy, shrinkage: int | None, *, hours: bool
) -> list[str]:
    """Return the answer for a terminal: a row a scope, on request a row an hour, and what stands out in words."""
    from zoneinfo import ZoneInfo

    if not days:
        return ["No shift, no label and no task on that day."]
    rows = [["", *HEADING]]
    said: list[str] = []
    for day in days:
        measured, total = _measured(day, policy, shrinkage)
        name = _name(day)
        by_hour = _by_hour(day, policy, shrinkage)
        rows.append([name, *_cells(measured, _peak(by_hour))])
        said += _words(name, measured, total, by_hour, ZoneInfo(day.zone))
        if hours:
            rows += [
                [f"  {_clock(start_ms, ZoneInfo(day.zone))}", *_cells(values, values["required_heads"])]
                for start_ms, values in by_hour
            ]
    dates = sorted({local_moment(day.start_ms, ZoneInfo(day.zone)).date().isoformat() for day in days})
    return [
        f"Roster of {', '.join(dates)}, as of {local_instant(until_ms)}",
        "",
        *aligned(rows, window_width()),
        "",
        *said,
    ]


def _name(day: RosterDay) -> str:
    from streams.core.formatting import printable

    parts = [printable(value) or f"no {name} said" for name, value in day.scope]
    return f"{' / '.join(parts) or 'the whole floor'} ({day.zone})"


def _clock(start_ms: int, zone: Any) -> str:
    return local_moment(start_ms, zone).strftime("%H:%M")


def _words(
    name: str, measured: dict[str, Any], total: dict[str, int], hours: list[tuple[int, dict[str, Any]]], zone: Any
) -> list[str]:
    """Return what a lead should see of one scope's day."""
    from streams.core.policy import HOUR_MS

    lines: list[str] = []
    if not total["scheduled_ms"]:
        lines.append(f"{name}: nobody is rostered, so nothing but the work can be measured.")
    elif not total["named_ms"]:
        lines.append(f"{name}: rostered by headcount only, so nobody can say who kept to it.")
    short = [
        (values["required_heads"] - values["scheduled_heads"], start_ms)
        for start_ms, values in hours
        if values["required_heads"] is not None and total["scheduled_ms"]
    ]
    if short and max(short)[0] > 0:
        gap, start_ms = max(short, key=lambda item: (item[0], -item[1]))
        lines.append(
            f"{name}: shortest of people in the hour from {_clock(start_ms, zone)}: {gap:.1f} more were needed; "
            f"{sum(over > 0 for over, _ in short)} of {len(short)} hours were short."
        )
    if total["away_ms"]:
        lines.append(
            f"{name}: {total['away_ms'] / HOUR_MS:.1f} h without any sign of work, {total['break_ms'] / HOUR_MS:.1f} h of "
            f"breaks, {total['overtime_ms'] / HOUR_MS:.1f} h of work outside of shifts."
        )
    if not total["scheduled_ms"]:
        return lines
    how = "as measured" if measured["shrinkage_measured"] else "as given or assumed, too little was measured"
    lines.append(
        f"{name}: needed people reckon with a shrinkage of {100 * measured['shrinkage_used_ratio']:.1f}%, {how}."
    )
    return lines


def _notes(log: FloorLog) -> list[str]:
    from streams.core.roster.roster_plan import fold_roster

    plan = fold_roster(log.roster)
    lines = ["A person with nothing to do sends nothing: on a starved queue, waiting looks like being away."]
    if plan.reversed:
        lines.append(f"{len(plan.reversed)} shifts end before they begin and count for nothing: {min(plan.reversed)} …")
    return lines
