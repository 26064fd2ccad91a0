"""Who is on duty, and whether a calendar is on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise

from alerts.incident import Maintenance, Override
from alerts.oncall.ical import Occurrence, occurrences
from alerts.oncall.local_time import instant_ms, local_at, merged, weekly_on, weekly_spans
from alerts.oncall.policy import CalendarPolicy, Duty, DutySpan, RotaFacts, RotaLayer, SchedulePolicy, Span
from streams.models.timestamps import DAY_MS, parse_local

_FIRST_REACH_MS, MOST_REACH_MS = 2 * DAY_MS, 512 * DAY_MS
"""How far the begin and the end of a calendar's span are looked for, at first and at most."""

_start = lru_cache(maxsize=1024)(parse_local)


def on_duty(schedule: SchedulePolicy, facts: RotaFacts, at_ms: int) -> tuple[Duty, ...]:
    """Return who is on duty; none where the schedule has a gap.

    An override comes before all layers; of overrides of one time the one that was made last counts. Then the last layer that
    names somebody counts, then the events of the schedule's calendar: only these may name several people at once.

    Args:
        schedule: The schedule.
        facts: What the log says.
        at_ms: Wall time of a record of the log.
    """
    for override in reversed(_overrides(schedule, facts)):
        if override.from_ms <= at_ms < override.to_ms:
            return (Duty(override.person, f"schedule {schedule.name}, override {override.id} by {override.by}"),)
    for number, layer in reversed(list(enumerate(schedule.layers, 1))):
        person = person_of(layer, schedule.zone, at_ms)
        if person is not None:
            return (Duty(person, f"schedule {schedule.name}, layer {number}"),)
    people = [name for one in _events(schedule, facts, at_ms, at_ms + 1) for name in one.people]
    named = dict.fromkeys(_known_as(schedule, name) for name in people)
    return tuple(Duty(person, f"schedule {schedule.name}, calendar {schedule.ical}") for person in named)


def person_of(layer: RotaLayer, zone: str, at_ms: int) -> str | None:
    """Return whom a layer names; None before its start and outside of its ``only``."""
    if not layer.people or (layer.only and not weekly_on(layer.only, zone, at_ms)):
        return None
    turn = _turn(layer, zone, at_ms)
    return layer.people[turn % len(layer.people)] if turn >= 0 else None


def active(calendar: CalendarPolicy, facts: RotaFacts, at_ms: int) -> Span | None:
    """Return the span of a calendar that holds a time; None where it is not on.

    Times that overlap or touch are one span: Saturday and Sunday, each of the whole day, end on Monday. Begin and end are looked
    for within 512 days; ``to_ms`` is None where the calendar is on for all of that.

    Args:
        calendar: The calendar.
        facts: What the log says.
        at_ms: Wall time of a record of the log.
    """
    if not _calendar_spans(calendar, facts, at_ms, at_ms + 1):
        return None
    reach = _FIRST_REACH_MS
    while True:
        spans = _calendar_spans(calendar, facts, at_ms - reach, at_ms + reach)
        begin, end = next(one for one in spans if one[0] <= at_ms < one[1])
        if reach >= MOST_REACH_MS or (begin > at_ms - reach and end < at_ms + reach):
            return Span(begin, end if end < at_ms + reach else None)
        reach *= 4


def maintenance_on(facts: RotaFacts, at_ms: int) -> tuple[Maintenance, ...]:
    """Return the maintenance windows of the log that hold a time, by their ids."""
    found = (one for _, one in sorted(facts.maintenance.items()))
    return tuple(one for one in found if not one.removed and one.from_ms <= at_ms < one.to_ms)


def duties(schedule: SchedulePolicy, facts: RotaFacts, from_ms: int, to_ms: int) -> list[DutySpan]:
    """Return who is on duty from one time to another, gaps included: spans in their order that cover all of it.

    The work grows with the number of turns in that time: ask for days or months, not for decades.
    """
    edges = {edge for edge in _edges(schedule, facts, from_ms, to_ms) if from_ms < edge < to_ms}
    found: list[DutySpan] = []
    for begin, end in pairwise(sorted({from_ms, to_ms} | edges)):
        who = on_duty(schedule, facts, begin)
        if found and found[-1].duties == who:
            found[-1] = DutySpan(found[-1].from_ms, end, who)
        else:
            found.append(DutySpan(begin, end, who))
    return found


def gaps(schedule: SchedulePolicy, facts: RotaFacts, from_ms: int, to_ms: int) -> list[Span]:
    """Return when nobody is on duty, from one time to another (wall time, end excluded)."""
    return [Span(one.from_ms, one.to_ms) for one in duties(schedule, facts, from_ms, to_ms) if not one.duties]


def _overrides(schedule: SchedulePolicy, facts: RotaFacts) -> list[Override]:
    """Return the overrides of a schedule that are not removed, the last made last. A record of the log replaces one of its id."""
    last = {one.id: one for one in schedule.overrides}
    last |= {one.id: one for one in facts.overrides.values() if one.schedule == schedule.name}
    return sorted((one for one in last.values() if not one.removed), key=lambda one: (one.at_ms, one.id))


def _turn(layer: RotaLayer, zone: str, at_ms: int) -> int:
    """Return the number of the turn, the first is 0; below 0 before the start."""
    start, length = _start(layer.start), timedelta(hours=layer.turn_hours)
    # By the local clock; where that is changed, the turn before or after may be meant.
    turn = (local_at(at_ms, zone) - start) // length + 1
    while _begin(start, length, turn, zone) > at_ms:
        turn -= 1
    return turn


def _begin(start: datetime, length: timedelta, turn: int, zone: str) -> int:
    return instant_ms(start + turn * length, zone)


def _edges(schedule: SchedulePolicy, facts: RotaFacts, from_ms: int, to_ms: int) -> Iterator[int]:
    """Return every instant at which somebody else may be on duty."""
    for override in _overrides(schedule, facts):
        yield from (override.from_ms, override.to_ms)
    for layer in schedule.layers:
        start, length = _start(layer.start), timedelta(hours=layer.turn_hours)
        first, last = (_turn(layer, schedule.zone, at_ms) for at_ms in (from_ms, to_ms))
        yield from (_begin(start, length, turn, schedule.zone) for turn in range(max(first, 0), last + 1))
        for span in weekly_spans(layer.only, schedule.zone, from_ms, to_ms):
            yield from (span.from_ms, span.to_ms or to_ms)
    for event in _events(schedule, facts, from_ms, to_ms):
        yield from (event.from_ms, event.to_ms)


def _events(schedule: SchedulePolicy, facts: RotaFacts, from_ms: int, to_ms: int) -> tuple[Occurrence, ...]:
    text = facts.calendars.get(schedule.ical or "")
    if text is None:
        return ()
    return occurrences(text.text, schedule.zone, from_ms, to_ms, person_from=schedule.person_from)


def _known_as(schedule: SchedulePolicy, text: str) -> str:
    """Return the person that a calendar means by a text: all of it is a known name, or the longest that it holds; else the text."""
    known = {name.casefold(): person for name, person in schedule.known_as.items()}
    said = text.casefold()
    if said in known:
        return known[said]
    held = [name for name in known if f" {name} " in f" {''.join(c if c.isalnum() else ' ' for c in said)} "]
    return known[max(held, key=lambda name: (len(name), name))] if held else text


def _calendar_spans(calendar: CalendarPolicy, facts: RotaFacts, from_ms: int, to_ms: int) -> list[tuple[int, int]]:
    """Return the spans of a calendar that touch a time, whole and in their order."""
    spans = [(one.from_ms, one.to_ms or to_ms) for one in weekly_spans(calendar.times, calendar.zone, from_ms, to_ms)]
    text = facts.calendars.get(calendar.ical or "")
    if text is not None:
        spans += [(one.from_ms, one.to_ms) for one in occurrences(text.text, calendar.zone, from_ms, to_ms)]
    return merged(spans)
