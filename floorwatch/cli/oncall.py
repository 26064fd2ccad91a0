"""``floorwatch oncall``: who is on duty, and changes of it that are planned while the system runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from config.nearest import choices
from floorwatch.cli.oncall_text import as_records, now_lines, span_lines
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
    time_of,
)
from floorwatch.output.reader_zone import local_instant, local_times_in
from floorwatch.output.terminal import json_line, say, say_crlf_lines, say_json_text, say_lines
from streams.models.timestamps import DAY_MS

if TYPE_CHECKING:
    from alerts.incident import Override
    from alerts.oncall.policy import RotaFacts, SchedulePolicy
    from alerts.routing.policy import RoutingPolicy
    from floorwatch.settings.schema import FloorwatchConfig

oncall_app = typer.Typer(help="Who is on duty: now, later, overrides, iCalendar in and out.", no_args_is_help=True)

MOST_SHOWN_MS = 366 * DAY_MS
_SHOWN_MS, _EXPORTED_MS, _NEXT_MS = 14 * DAY_MS, 90 * DAY_MS, 31 * DAY_MS
_MOST_READ = 4 * 1024 * 1024
"""Bytes of a file; a calendar may be shorter yet."""

Schedule = Annotated[str, typer.Argument(metavar="SCHEDULE", help="Its name in alerts.schedules.")]
AnySchedule = Annotated[str | None, typer.Argument(metavar="[SCHEDULE]", help="Its name; without it, all of them.")]


@oncall_app.command("now")
def now(as_json: JsonLinesOption = False, config: ConfigOption = None, var: VarOption = None) -> None:
    """Tell by schedule who is on duty now, until when, and who is next."""
    _, policy, facts = _known(config, var)
    at_ms = now_ms()
    for schedule in _chosen(policy, None):
        if as_json:
            for record in as_records(schedule, facts, at_ms, at_ms + _NEXT_MS)[:2]:
                say_json_text(json_line(record))
            continue
        say_lines(now_lines(schedule, facts, at_ms, at_ms + _NEXT_MS))


@oncall_app.command("show")
def show(
    schedule: AnySchedule = None,
    begin: FromOption = "now",
    end: ToOption = None,
    as_json: JsonLinesOption = False,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Show who is on duty when, two weeks by default; times in which nobody is are called a gap."""
    at_ms = now_ms()
    begin_ms, end_ms = _shown_span(begin, end, at_ms, _SHOWN_MS)
    _, policy, facts = _known(config, var)
    for one in _chosen(policy, schedule):
        if as_json:
            for record in as_records(one, facts, begin_ms, end_ms):
                say_json_text(json_line(record))
            continue
        say_lines(span_lines(one, facts, begin_ms, end_ms, at_ms))


@oncall_app.command("override")
def override(
    schedule: AnySchedule = None,
    person: Annotated[str | None, typer.Option(help="Who takes it: a name in alerts.people.")] = None,
    begin: FromOption = "now",
    end: ToOption = None,
    span: ForOption = None,
    name: Annotated[str, typer.Option("--id", help="Its id; that of another override changes it.")] = "",
    remove: Annotated[str | None, typer.Option(metavar="ID", help="Remove this override instead.")] = None,
    by: PlannedBy = None,
    wait: WaitOption = 30,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Let a person take a schedule for a while, whatever its layers and its calendar say; the last one made counts."""
    from alerts.oncall.planning import check_overrides, override_of
    from alerts.plan_fault import PlanFault

    at_ms, who = now_ms(), planner(by)
    if remove is not None:
        if (schedule, person, end, span) != (None, None, None, None):
            misused("--remove ID needs nothing else: the id says which override")
        _remove(remove, who, wait, config, var)
        return
    if schedule is None or person is None:
        misused("name a SCHEDULE and who takes it: floorwatch oncall override kul-lead --person mei --for 8h")
    begin_ms, end_ms = span_of(begin, end, span, at_ms)
    settings, stack = loaded(config, var)
    policy = _policy(settings)
    (chosen,) = _chosen(policy, schedule)
    if person not in policy.people:
        misused(f"--person {person}: there is no such person in alerts.people; {choices(person, policy.people)}")
    try:
        made = override_of(schedule, person, begin_ms, end_ms, by=who, now_ms=at_ms, name=name)
        check_overrides((known_plans(settings) or _nothing()).overrides.values(), made)
    except PlanFault as fault:
        misused(local_times_in(fault_words(fault, span), at_ms))
    plan(settings, stack, made, lambda facts: facts.overrides.get(made.id) == made, wait)
    _say_override(chosen, plans_of(settings), made, at_ms)


@oncall_app.command("import")
def import_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The ical of a schedule or calendar in alerts.")],
    file: Annotated[str, typer.Argument(metavar="FILE.ics", help="An iCalendar file; - reads standard input.")],
    force: Annotated[bool, typer.Option("--force", help="Take it also where no event of it counts.")] = False,
    wait: WaitOption = 30,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Take an iCalendar text as the turns of a schedule, or the times of a calendar, in place of the one before."""
    from alerts.oncall.planning import calendar_of, events_left_out, faults_of
    from alerts.plan_fault import PlanFault

    at_ms = now_ms()
    settings, stack = loaded(config, var)
    policy = _policy(settings)
    schedules = [one for one in policy.schedules.values() if one.ical == name]
    calendars = [one for one in policy.calendars.values() if one.ical == name]
    if not schedules and not calendars:
        named = [*(one.ical for one in policy.schedules.values()), *(one.ical for one in policy.calendars.values())]
        there = sorted({one for one in named if one is not None})
        hint = choices(name, there) if there else "set ical of a schedule or calendar to a name (docs/oncall.md)"
        misused(f"no schedule or calendar has ical: {name}; {hint}")
    text = _read(file)
    try:
        given = calendar_of(name, text, at_ms)
    except PlanFault as fault:
        misused(f"{file}: {fault.reason}; {fault.hint}")
    for found in faults_of(text, name, schedules, calendars):
        say(f"{file}: {found}", err=True)
    held = (known_plans(settings) or _nothing()).calendars.get(name)
    if held is not None and held.sha == given.sha:
        say(f"{name} is known as it is; nothing was written")
        return
    _check_left_out(file, *events_left_out(text, name, schedules, calendars), force=force)
    plan(settings, stack, given, lambda facts: facts.calendars.get(name) == given, wait)
    say(f"{name} is in force: {', '.join([*_of('schedule', schedules), *_of('calendar', calendars)])}")
    facts = plans_of(settings)
    for one in schedules:
        say_lines(now_lines(one, facts, at_ms, at_ms + _NEXT_MS))
        _warn_of_strangers(policy, one, facts, at_ms)


@oncall_app.command("export")
def export(
    schedule: Schedule,
    begin: FromOption = "now",
    end: ToOption = None,
    config: ConfigOption = None,
    var: VarOption = None,
) -> None:
    """Write who is on duty as iCalendar to standard output, 90 days by default, for the calendars of people."""
    from alerts.oncall.export import to_ical

    begin_ms, end_ms = _shown_span(begin, end, now_ms(), _EXPORTED_MS)
    _, policy, facts = _known(config, var)
    (chosen,) = _chosen(policy, schedule)
    say_crlf_lines(to_ical(chosen, facts, begin_ms, end_ms).decode())


def _check_left_out(file: str, left_out: int, every: int, *, force: bool) -> None:
    """Say how many events do not count.

    Raises:
        typer.Exit: 1 where none does: what is in force stays.
    """
    from streams.core.formatting import plural

    if left_out == every and not force:
        why = f"none of its {plural(every, 'event')} counts" if every else "it has no event"
        say(f"{file}: {why}, so nothing was written; mend it, or take it all the same with --force", err=True)
        raise typer.Exit(1)
    if left_out:
        say(f"{file}: {left_out:,} of its {plural(every, 'event')} left out, the others count", err=True)


def _policy(settings: FloorwatchConfig) -> RoutingPolicy:
    from floorwatch.settings.policies import routing_policy

    return routing_policy(settings)


def _nothing() -> RotaFacts:
    from alerts.oncall.policy import RotaFacts

    return RotaFacts()


def _known(config: Path | None, var: Path | None) -> tuple[FloorwatchConfig, RoutingPolicy, RotaFacts]:
    """Return the configuration and what is planned; where no worker has written that, the configuration alone counts, which is said."""
    settings, _ = loaded(config, var)
    facts = known_plans(settings)
    if facts is None:
        say("No worker has written yet what is planned, so this is by the configuration alone.", err=True)
    return settings, _policy(settings), facts or _nothing()


def _chosen(policy: RoutingPolicy, name: str | None) -> list[SchedulePolicy]:
    """Return the schedule of a name, or all of them.

    Raises:
        typer.Exit: 2 where there is no such schedule, or none at all.
    """
    if not policy.schedules:
        misused("there are no schedules; write alerts.schedules (docs/routing.md)")
    if name is None:
        return list(policy.schedules.values())
    if name not in policy.schedules:
        misused(f"there is no schedule {name}; {choices(name, policy.schedules)}")
    return [policy.schedules[name]]


def _shown_span(begin: str, end: str | None, at_ms: int, usual_ms: int) -> tuple[int, int]:
    begin_ms = time_of("--from", begin, at_ms)
    end_ms = begin_ms + usual_ms if end is None else time_of("--to", end, at_ms)
    if not begin_ms < end_ms <= begin_ms + MOST_SHOWN_MS:
        misused(f"--to {end}: write an end after the begin, at most {MOST_SHOWN_MS // DAY_MS} days later")
    return begin_ms, end_ms


def _read(file: str) -> str:
    """Return the text of a file, or of standard input.

    Raises:
        typer.Exit: 2 where it cannot be read, or is no text.
    """
    try:
        if file == "-":
            raw = sys.stdin.buffer.read(_MOST_READ + 1)
        else:
            with Path(file).open("rb") as opened:
                raw = opened.read(_MOST_READ + 1)
        if len(raw) > _MOST_READ:
            misused(f"{file}: it is larger than {_MOST_READ // 1024 // 1024} MB; export a shorter time")
        return raw.decode("utf-8-sig")
    except OSError as error:
        misused(f"{file}: {error.strerror or error}; name an iCalendar file, or - for standard input")
    except UnicodeDecodeError:
        misused(f"{file}: it is no text in UTF-8; export the calendar as iCalendar (.ics)")


def _remove(name: str, who: str, wait: float, config: Path | None, var: Path | None) -> None:
    from msgspec import structs

    at_ms = now_ms()
    settings, stack = loaded(config, var)
    held = plans_of(settings).overrides
    one = held.get(name)
    if one is None:
        of_file = {each.id for schedule in _policy(settings).schedules.values() for each in schedule.overrides}
        if name in of_file:
            misused(f"override {name} stands in the configuration: remove it there, or make a later one for this time")
        there = [each.id for each in held.values() if not each.removed and each.to_ms > at_ms]
        misused(f"there is no override {name}; {choices(name, there)}")
    if one.removed or one.to_ms <= at_ms:
        say(f"override {name} is {'removed' if one.removed else 'over'} already")
        return
    gone = structs.replace(one, removed=True, by=who, at_ms=at_ms)
    plan(settings, stack, gone, lambda facts: facts.overrides.get(name) == gone, wait)
    say(f"removed by {who}: override {name} of schedule {one.schedule}")
    schedule = _policy(settings).schedules.get(one.schedule)
    if schedule is not None:
        say_lines(now_lines(schedule, plans_of(settings), at_ms, at_ms + _NEXT_MS))


def _say_override(schedule: SchedulePolicy, facts: RotaFacts, made: Override, at_ms: int) -> None:
    """Say when an override is in force, or why it is not."""
    from alerts.oncall.planning import counts

    when = f"until {local_instant(made.to_ms, now_ms=at_ms)}"
    if made.from_ms > at_ms:
        when = f"from {local_instant(made.from_ms, now_ms=at_ms)} {when}"
    why_not = counts(schedule, facts, made, at_ms)
    if why_not is not None:
        say(f"override {made.id} is known, and does not count: {why_not}", err=True)
        raise typer.Exit(1)
    state = "is on duty now" if made.from_ms <= at_ms else "will be on duty"
    say(f"override {made.id} of schedule {made.schedule}: {made.person} {state}, {when}")


def _warn_of_strangers(policy: RoutingPolicy, schedule: SchedulePolicy, facts: RotaFacts, at_ms: int) -> None:
    """Say whom a calendar names that could not be told, for the next 90 days."""
    from alerts.oncall.planning import unknown_people

    for name in unknown_people(schedule, facts, policy.people, at_ms, at_ms + _EXPORTED_MS):
        say(
            f'warning: schedule {schedule.name} names "{name}", who is nobody in alerts.people, so their turns are told as a gap; '
            f"set name of a person, or known_as of the schedule ({choices(name, policy.people)})",
            err=True,
        )


def _of(kind: str, found: list[Any]) -> list[str]:
    return [f"{kind} {one.name}" for one in found]
