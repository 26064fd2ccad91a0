"""``floorwatch maintenance``: times in which nobody is told of some incidents, planned while the system runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from config.nearest import choices
from floorwatch.cli.operator_actions import NoteText, checked
from floorwatch.cli.options import ConfigOption, JsonLinesOption, VarOption, misused
from floorwatch.cli.plans import (
    ForOption,
    FromOption,
    PlannedBy,
    ToOption,
    WaitOption,
    fault_words,
    known_plans,
    loaded,
    now_ms,
    plan,
    planner,
    plans_of,
    span_of,
)
from floorwatch.output.reader_zone import local_instant, local_times_in
from floorwatch.output.terminal import DataTable, json_line, say, say_json_text, say_lines, wide_console

if TYPE_CHECKING:
    from collections.abc import Iterable

    from alerts.incident import Maintenance
    from alerts.oncall.policy import RotaFacts
    from alerts.plan_fault import PlanFault
    from floorwatch.settings.schema import FloorwatchConfig

maintenance_app = typer.Typer(
    help="Times in which nobody is told of some incidents: plan, list, remove.", no_args_is_help=True
)

MatchOption = Annotated[
    list[str],
    typer.Option(
        "--match", help="Which incidents: vendor=bpo-a, site=~kul|pen; repeated, all must fit (docs/oncall.md)."
    ),
]


@maintenance_app.command("add")
def add(
    match: MatchOption,
    begin: FromOption = "now",
    end: ToOption = None,
    span: ForOption = None,
    note: NoteText = "",
    name: Annotated[str, typer.Option("--id", help="Its id, e.g. deploy-42; that of another window changes it.")] = "",
    by: PlannedBy = None,
    wait: WaitOption = 30,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Plan a time in which nobody is told of what fits; what is still open at its end is told then."""
    from alerts.kinds.registry import ALL_KINDS
    from alerts.maintenance import check_number, planned, same
    from alerts.plan_fault import PlanFault
    from alerts.routing.matchers import planned_matcher
    from floorwatch.settings.route_review import rules_fitted

    at_ms = now_ms()
    begin_ms, end_ms = span_of(begin, end, span, at_ms)
    note, who = checked("--note", note, empty=True), planner(by)
    settings, stack = loaded(config, var)
    names = {"kind": ALL_KINDS, "rule": settings.alerts.rule_names()}
    try:
        window = planned(match, begin_ms, end_ms, by=who, now_ms=at_ms, note=note, name=name, known=names)
        known = known_plans(settings)
        held = {} if known is None else known.maintenance
        check_number(held.values(), window)
    except PlanFault as fault:
        _refuse(fault, at_ms, span)
    if same(held.get(window.id), window):
        say(f"{_words(window, at_ms)} already; nothing was written")
        return
    _warn_of_others(held.values(), window, at_ms)
    if not rules_fitted(settings, [planned_matcher(text) for text in window.match]):
        say(f"warning: no rule in force has an incident that fits {_match(window)}", err=True)
    plan(settings, stack, window, lambda facts: facts.maintenance.get(window.id) == window, wait)
    say(f"{_words(window, at_ms)}{_held(settings, window, at_ms)}")


@maintenance_app.command("list")
def list_(
    gone: Annotated[bool, typer.Option("--all", help="Also those that are over or removed.")] = False,
    as_json: JsonLinesOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """List the maintenance windows that are on or planned."""
    from alerts.maintenance import as_record, listed, state_of

    at_ms = now_ms()
    settings, _ = loaded(config, var)
    facts = plans_of(settings)
    found = listed(facts.maintenance.values(), at_ms, gone=gone)
    fixed = _configured(settings, facts, at_ms, gone=gone)
    if as_json:
        for record in [*(as_record(one, at_ms) for one in found), *(record for record, _ in fixed)]:
            say_json_text(json_line(record))
        return
    if not found and not fixed:
        say("No maintenance is on or planned." + ("" if gone else "  (--all shows what is over)"))
        return
    table = DataTable()
    table.add_names("id", "state", "from", "to", "fits", "by", "note")
    for one in found:
        begin, end = (local_instant(at, now_ms=at_ms) for at in (one.from_ms, one.to_ms))
        table.add_row(one.id, state_of(one, at_ms), begin, end, _match(one), one.by, one.note)
    for record, (begin, end) in fixed:
        table.add_row(record["id"], record["state"], begin, end, ", ".join(record["match"]), record["by"], "")
    wide_console().print(table)


@maintenance_app.command("remove")
def remove(
    name: Annotated[str, typer.Argument(metavar="ID", help="Its id, as the list shows it.")],
    by: PlannedBy = None,
    wait: WaitOption = 30,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Remove a maintenance window, or end one that is on: what it holds back is told then."""
    from msgspec import structs

    from alerts.maintenance import state_of

    who, at_ms = planner(by), now_ms()
    settings, stack = loaded(config, var)
    known = plans_of(settings).maintenance
    window = known.get(name)
    if window is None:
        there = [one.id for one in known.values() if state_of(one, at_ms) in ("on", "planned")]
        misused(f"there is no maintenance window {name}; {choices(name, there)}")
    state = state_of(window, at_ms)
    if state in ("over", "removed"):
        say_lines([f"maintenance {name} is {state} already"])
        return
    gone = structs.replace(window, removed=True, by=who, at_ms=at_ms)
    plan(settings, stack, gone, lambda facts: facts.maintenance.get(name) == gone, wait)
    held = "; what it held back is told now" if state == "on" else ""
    say(f"removed by {who}: maintenance {name} ({_match(window)}){held}")


def _configured(
    settings: FloorwatchConfig, facts: RotaFacts, at_ms: int, *, gone: bool
) -> list[tuple[dict[str, Any], tuple[str, str]]]:
    """Return the windows of the configuration: each as JSON shows it, and its begin and end in words."""
    from alerts.oncall.duty import active
    from alerts.routing.matchers import matcher_text
    from floorwatch.settings.policies import routing_policy
    from streams.core.formatting import rfc3339

    policy, found = routing_policy(settings), []
    for one in policy.maintenance:
        calendar = policy.calendars.get(one.calendar or "")
        span = None if calendar is None else active(calendar, facts, at_ms)
        begin_ms, end_ms = (
            (one.from_ms, one.to_ms) if calendar is None else (span.from_ms, span.to_ms) if span else (None, None)
        )
        over = end_ms is not None and end_ms <= at_ms
        state = "over" if over else "on" if begin_ms is not None and begin_ms <= at_ms else "planned"
        if over and not gone:
            continue
        record = {
            "id": one.name,
            "state": state,
            "match": [matcher_text(each) for each in one.match],
            **{name: None if at is None else rfc3339(at) for name, at in (("from", begin_ms), ("to", end_ms))},
            "by": "the configuration",
            "at": None,
            "note": "",
            "calendar": one.calendar,
        }
        words = [
            f"calendar {one.calendar}" if at is None else local_instant(at, now_ms=at_ms) for at in (begin_ms, end_ms)
        ]
        found.append((record, (words[0], words[1])))
    return found


def _warn_of_others(windows: Iterable[Maintenance], new: Maintenance, at_ms: int) -> None:
    """Say which windows hold the same incidents at a time of a new one: most likely one of them was meant to change."""
    from alerts.maintenance import listed

    for one in listed(windows, at_ms):
        if one.id != new.id and {*one.match} == {*new.match} and one.from_ms < new.to_ms and new.from_ms < one.to_ms:
            say(
                f"{_words(one, at_ms)} and holds the same; this one comes besides it (--id {one.id} changes it)",
                err=True,
            )


def _refuse(fault: PlanFault, at_ms: int, span: str | None) -> NoReturn:
    misused(local_times_in(fault_words(fault, span), at_ms))


def _match(window: Maintenance) -> str:
    return ", ".join(window.match)


def _words(window: Maintenance, at_ms: int) -> str:
    """Return a window in words: ``maintenance deploy-42 (vendor=bpo-a) is on, until …``."""
    begin, end = (local_instant(at, now_ms=at_ms) for at in (window.from_ms, window.to_ms))
    when = f"is on, until {end}" if window.from_ms <= at_ms else f"is planned from {begin} to {end}"
    return f"maintenance {window.id} ({_match(window)}) {when}"


def _held(settings: FloorwatchConfig, window: Maintenance, at_ms: int) -> str:
    """Return how many open incidents a window holds now, in words; nothing of one that has not begun."""
    from alerts.incident import LIVE
    from alerts.maintenance import held_by
    from config.connect import redis_options
    from floorwatch.cli.incident_records import read_incidents
    from streams.core.formatting import plural

    if window.from_ms > at_ms:
        return ""
    records = read_incidents(redis_options(settings.redis), settings.redis.prefix)
    count = held_by(window, [one for one in records if one["state"] in LIVE])
    return f"; {plural(count, 'open incident')} {'fits' if count == 1 else 'fit'} it now"
