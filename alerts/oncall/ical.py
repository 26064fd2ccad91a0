"""Reads iCalendar texts of others (Google, Outlook, PagerDuty, Opsgenie …): when their events are, and whom they name.

The libraries read the text and work repetitions out. What they leave to us: a fault is told with its line, an event with a fault
is left out and the others count, and nothing in a text keeps us busy without end. Pure: equal texts give equal events.
"""

from __future__ import annotations

import re
import threading
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

import icalendar
import recurring_ical_events
from icalendar.timezone import tzp

from alerts.oncall.ical_lines import CalendarFault, EventLines, scan
from alerts.oncall.ical_rules import rule_fault
from alerts.oncall.local_time import instant_ms
from streams.models.timestamps import DAY_MS, to_ms

MOST_EVENTS, MOST_REPEATED = 2_000, 200
"""Events of a text, and those of them that are repeated."""

MOST_DAYS, MOST_DAYS_REPEATED = 366, 31
"""Days that an event lasts, and one that is repeated."""

EARLIEST = 1990
"""Year of the first event: a repetition is worked out from its beginning."""

_ONCE = ("DTSTART", "DTEND", "DURATION", "RRULE", "UID", "RECURRENCE-ID", "SEQUENCE", "STATUS")
_CHUNK_MS = 28 * DAY_MS
_UNREADABLE = (ValueError, KeyError, TypeError, AttributeError, OverflowError, IndexError)
"""What the libraries raise for a text that they cannot read."""
_HINTS = {
    "RRULE": "write e.g. FREQ=WEEKLY;BYDAY=MO,TU",
    "DURATION": "write a length such as PT8H, P1D or P1W, at most 366 days",
}
_HUGE = re.compile(r"=[+-]?\d{10}")
_NUMBER_HINT = "write smaller numbers for COUNT and INTERVAL, or UNTIL=20261231T000000Z"
_DATE_HINT = "write 20261130T090000Z, or 20261130T090000 with TZID=Asia/Kuala_Lumpur, or 20261130 with VALUE=DATE"


_zones = threading.Lock()
"""Held while a text is read: the library keeps the zones that texts define for the whole process."""


class Occurrence(NamedTuple):
    """An event at one of its times (wall time, end excluded), and the people that it names."""

    from_ms: int
    to_ms: int
    people: tuple[str, ...] = ()


class _Read(NamedTuple):
    query: Any
    faults: tuple[CalendarFault, ...]
    good: int = 0


def calendar_faults(text: str, person_from: str | None = None) -> tuple[CalendarFault, ...]:
    """Return what is wrong with an iCalendar text, in the order of its lines; each with line, reason and hint.

    Args:
        text: The text.
        person_from: For a schedule the property of an event that names the person: ``summary``, ``attendee`` …; None: none does.
    """
    return _read(text, person_from).faults


def good_events(text: str, person_from: str | None = None) -> int:
    """Return how many events of a text have no fault; arguments as of ``calendar_faults``."""
    return _read(text, person_from).good


def occurrences(
    text: str, zone: str, from_ms: int, to_ms: int, *, person_from: str | None = None
) -> tuple[Occurrence, ...]:
    """Return the events that touch a time, whole and in their order. Events with a fault and cancelled ones are left out.

    Args:
        text: An iCalendar text, of any quality.
        zone: IANA name of the zone of dates and of times without a zone.
        from_ms: Wall time.
        to_ms: Wall time, excluded.
        person_from: The property that names the person; None: nobody is named.
    """
    found: set[Occurrence] = set()
    for chunk in range(from_ms // _CHUNK_MS, (to_ms - 1) // _CHUNK_MS + 1):
        found.update(
            one for one in _chunk(text, zone, person_from, chunk) if one.from_ms < to_ms and one.to_ms > from_ms
        )
    return tuple(sorted(found))


@lru_cache(maxsize=512)
def _chunk(text: str, zone: str, person_from: str | None, chunk: int) -> tuple[Occurrence, ...]:
    """Return the events that touch 28 days."""
    query = _read(text, person_from).query
    if query is None:
        return ()
    begin, end = chunk * _CHUNK_MS, (chunk + 1) * _CHUNK_MS
    # The library takes times without a zone for UTC: a day more on both sides.
    asked = [datetime.fromtimestamp(at // 1000, UTC) for at in (begin - DAY_MS, end + DAY_MS)]
    try:
        events = query.between(*asked)
    except _UNREADABLE:
        return ()
    found = (_occurrence(event, zone, person_from) for event in events if not _cancelled(event))
    return tuple(one for one in found if one.from_ms < one.to_ms and one.from_ms < end and one.to_ms > begin)


def _cancelled(event: Any) -> bool:
    return str(event.get("STATUS", "")).upper() == "CANCELLED"


def _occurrence(event: Any, zone: str, person_from: str | None) -> Occurrence:
    begin, end = (_instant(at, zone) for at in (event.start, event.end))
    return Occurrence(begin, end, _people(event, person_from) if person_from is not None else ())


def _instant(at: date, zone: str) -> int:
    if isinstance(at, datetime):
        return to_ms(at) if at.tzinfo is not None else instant_ms(at, zone)
    return instant_ms(datetime.combine(at, time()), zone)


def _people(event: Any, person_from: str) -> tuple[str, ...]:
    """Return the people that an event names: of an attendee the common name, else the address; of others the text."""
    given = event.get(person_from)
    each = given if isinstance(given, list) else [] if given is None else [given]
    names = (str(getattr(one, "params", {}).get("CN") or one) for one in each)
    plain = (" ".join(name.removeprefix("mailto:").removeprefix("MAILTO:").split()) for name in names)
    return tuple(dict.fromkeys(name for name in plain if name))


@lru_cache(maxsize=128)
def _read(text: str, person_from: str | None) -> _Read:
    with _zones:
        # Else a zone of an earlier text would count for this one, and who is on duty would hang on what was read before.
        tzp.use_default()
        return _read_alone(text, person_from)


def _read_alone(text: str, person_from: str | None) -> _Read:
    lines = scan(text)
    faults, bad = list(lines.faults), set(lines.bad)
    if lines.events is None:
        return _Read(None, tuple(faults))
    try:
        calendar = icalendar.Calendar.from_ical(lines.readable)
    except _UNREADABLE as error:
        return _Read(
            None, (*faults, CalendarFault(1, f"the text cannot be read: {_said(error)}", "export the calendar again"))
        )
    events = [part for part in calendar.subcomponents if part.name == "VEVENT"]
    kept = [one for one in lines.events if one.line not in bad]
    seen: dict[tuple[str, str, int], int] = {}
    repeated = 0
    good: list[Any] = []
    for place, event in zip(kept, events, strict=True):
        found = _fault(place, event, person_from) or _twice(place, event, seen)
        repeated += "RRULE" in place.lines
        if found is None and (len(good) >= MOST_EVENTS or ("RRULE" in place.lines and repeated > MOST_REPEATED)):
            found = CalendarFault(
                place.line,
                f"there are more than {MOST_EVENTS} events, or {MOST_REPEATED} repeated ones; this and later ones are left out",
                "export a shorter time",
            )
            if any("there are more than" in one.reason for one in faults):
                continue
        if found is not None:
            faults.append(found)
        else:
            good.append(event)
    calendar.subcomponents = [part for part in calendar.subcomponents if part.name != "VEVENT"] + good
    try:
        query = recurring_ical_events.of(calendar)
    except _UNREADABLE as error:
        faults.append(CalendarFault(1, f"its events cannot be worked out: {_said(error)}", "export the calendar again"))
        query = None
    return _Read(query, tuple(sorted(faults)), len(good) if query is not None else 0)


def _twice(place: EventLines, event: Any, seen: dict[tuple[str, str, int], int]) -> CalendarFault | None:
    """Return a fault where an event has the identity of one before it: the library would take one for the other."""
    if "UID" not in event:
        event.add("uid", f"line-{place.line}")
    recurrence = event.get("RECURRENCE-ID")
    identity = (str(event["UID"]), str(recurrence.dt) if recurrence is not None else "", int(event.get("SEQUENCE", 0)))
    if identity in seen:
        return CalendarFault(
            place.lines.get("UID", place.line),
            f"this event has the UID of the one at line {seen[identity]}, so it is left out",
            "give each event a UID of its own, or export the calendar again",
        )
    seen[identity] = place.line
    return None


def _fault(place: EventLines, event: Any, person_from: str | None) -> CalendarFault | None:
    """Return the first fault of an event."""
    for name, _ in event.errors:
        value = place.values.get(str(name), "")[:60]
        hint = _HINTS.get(str(name), _DATE_HINT)
        if name == "RRULE" and _HUGE.search(place.values.get("RRULE", "")):
            return CalendarFault(place.lines[str(name)], "RRULE has a number that is too large", _NUMBER_HINT)
        return CalendarFault(place.lines.get(str(name), place.line), f'{name} cannot be read: "{value}"', hint)
    several = next((name for name in _ONCE if isinstance(event.get(name), list)), None)
    if several is not None:
        hint = "write an event for each" if several == "RRULE" else "leave one of them"
        return CalendarFault(place.lines[several], f"this event has several {several}", hint)
    if "DTSTART" not in event:
        return CalendarFault(place.line, "this event has no DTSTART, so it is never", f"add DTSTART: {_DATE_HINT}")
    if person_from is not None and not _people(event, person_from):
        hint = "name the person there, or set person_from to the property that names the person"
        return CalendarFault(place.line, f"this event has no {person_from.upper()}, so it names nobody", hint)
    return _zone_fault(place) or _times_fault(place, event) or _rule_fault(place, event)


def _rule_fault(place: EventLines, event: Any) -> CalendarFault | None:
    found = rule_fault(place.values["RRULE"], event["DTSTART"].dt) if "RRULE" in event else None
    return CalendarFault(place.lines["RRULE"], *found) if found is not None else None


def _zone_fault(place: EventLines) -> CalendarFault | None:
    for name, zone in place.zones.items():
        known = icalendar.vDatetime.from_ical("20260101T000000", timezone=zone).tzinfo is not None  # type: ignore[no-untyped-call]
        if not known and zone not in place.defined:
            hint = "use an IANA name such as Asia/Kuala_Lumpur, or export the calendar with its VTIMEZONE"
            return CalendarFault(place.lines[name], f'"{zone}" is no time zone that is known', hint)
    return None


def _times_fault(place: EventLines, event: Any) -> CalendarFault | None:
    start = event["DTSTART"].dt
    if not isinstance(start, date):
        return CalendarFault(place.lines["DTSTART"], "DTSTART is no date", _DATE_HINT)
    if start.year < EARLIEST:
        return CalendarFault(place.lines["DTSTART"], f"DTSTART is before {EARLIEST}", "begin the event later")
    length = timedelta(days=1)
    name = "DTEND" if "DTEND" in event else "DURATION" if "DURATION" in event else "DTSTART"
    if name == "DTEND":
        end = event["DTEND"].dt
        if isinstance(end, datetime) != isinstance(start, datetime) or not isinstance(end, date):
            return CalendarFault(
                place.lines[name], "one of DTSTART and DTEND is a date, the other a time", "write both alike"
            )
        length = _noon(end) - _noon(start)
    elif name == "DURATION":
        length = event["DURATION"].dt
    if not isinstance(length, timedelta) or length < timedelta(0):
        return CalendarFault(place.lines[name], "this event ends before it begins", "write an end after DTSTART")
    most = MOST_DAYS_REPEATED if "RRULE" in event or "RDATE" in event else MOST_DAYS
    if length > timedelta(days=most):
        return CalendarFault(
            place.lines[name], f"this event lasts more than {most} days", "write a shorter one, or several"
        )
    return None


def _noon(at: date) -> datetime:
    """Return a time that can be compared with another of its kind: local times are taken as UTC, dates as their noon."""
    if isinstance(at, datetime):
        return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return datetime.combine(at, time(12), UTC)


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
