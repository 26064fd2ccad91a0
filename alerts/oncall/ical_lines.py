"""Lines of an iCalendar text: where each event and each of its properties stands, so that a fault can name its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from icalendar.parser import Contentline

from alerts.incident import MOST_CALENDAR

_DEPTH = 2
"""An event stands in a calendar."""
_BREAK = re.compile(r"\r\n|\n|\r")
_EXPORT = "export the calendar as iCalendar (.ics) again, and take the whole file"


class CalendarFault(NamedTuple):
    """What is wrong with an iCalendar text: the line (from 1), why, and how to mend it."""

    line: int
    reason: str
    hint: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}; {self.hint}"


class EventLines(NamedTuple):
    """An event in its text: the line of its BEGIN, and by property its line, value and TZID. Alarms in it are left out.

    ``defined`` are the zones that the text defines.
    """

    line: int
    lines: dict[str, int]
    values: dict[str, str]
    zones: dict[str, str]
    defined: set[str]


class CalendarLines(NamedTuple):
    """A text by lines.

    Attributes:
        events: Its events; None where it is no calendar.
        bad: Lines of the BEGIN of events that hold a line which cannot be read.
        readable: The text without these events and lines.
        faults: What is wrong so far.
    """

    events: list[EventLines] | None
    bad: set[int]
    readable: str
    faults: list[CalendarFault]


def scan(text: str) -> CalendarLines:  # noqa: C901 - one pass; each kind of line is one branch
    """Return a text by its lines; a fault where it is no whole calendar."""
    fault = _no_calendar(text)
    if fault is not None:
        return CalendarLines(None, set(), "", [fault])
    events: list[EventLines] = []
    found = CalendarLines(events, set(), "", [])
    kept: list[tuple[int, str]] = []  # line of the event that holds it or 0, and the text
    stack: list[tuple[str, int]] = []
    defined: set[str] = set()
    for number, line in _unfolded(text):
        parts = _parts(line)
        if parts is None:
            found.faults.append(
                CalendarFault(number, f'this is no line of a calendar: "{line[:60]}"', "write NAME:value")
            )
            found.bad.add(_event_of(stack))
            continue
        name, params, value = parts
        if name == "BEGIN":
            stack.append((value.upper(), number))
            if len(stack) == _DEPTH and _event_of(stack):
                events.append(EventLines(number, {}, {}, {}, defined))
        kept.append((_event_of(stack), line))
        if name == "END":
            if not stack or stack.pop()[0] != value.upper():
                return _broken(found, CalendarFault(number, f"END:{value} ends what is not open here", _EXPORT))
        elif name == "TZID" and [part for part, _ in stack] == ["VCALENDAR", "VTIMEZONE"]:
            defined.add(value)
        elif name != "BEGIN" and len(stack) == _DEPTH and _event_of(stack):
            _note(events[-1], number, name, value, params.get("TZID"))
    for part, number in reversed(stack):
        return _broken(found, CalendarFault(number, f"{part} has no END: the text is cut off", _EXPORT))
    readable = "\r\n".join(line for inside, line in kept if not inside or inside not in found.bad) + "\r\n"
    return found._replace(readable=readable)


def _parts(line: str) -> tuple[str, Mapping[str, object], str] | None:
    try:
        name, params, value = Contentline(line).parts()  # type: ignore[no-untyped-call]
    except ValueError:
        return None
    return str(name).upper(), params, str(value)


def _event_of(stack: list[tuple[str, int]]) -> int:
    """Return the line of the event of the calendar that is open; 0: none is."""
    return stack[1][1] if len(stack) >= _DEPTH and stack[1][0] == "VEVENT" else 0


def _note(event: EventLines, number: int, name: str, value: str, zone: object) -> None:
    event.lines.setdefault(name, number)
    event.values.setdefault(name, value)
    if zone is not None:
        event.zones.setdefault(name, str(zone))


def _broken(found: CalendarLines, fault: CalendarFault) -> CalendarLines:
    return CalendarLines(None, set(), "", [*found.faults, fault])


def _no_calendar(text: str) -> CalendarFault | None:
    """Return a fault where a text is no calendar at all."""
    begin = text.lstrip("\ufeff \t\r\n")[:200].upper()
    if len(text) > MOST_CALENDAR:
        return CalendarFault(1, f"the calendar has more than {MOST_CALENDAR // 1024} KB", "export a shorter time")
    if not begin:
        return CalendarFault(1, "the calendar is empty", _EXPORT)
    if begin.startswith(("<", "{")):
        what = "a web page" if begin.startswith("<") else "JSON"
        return CalendarFault(
            1, f"this is {what}, not a calendar", "use the secret address in iCalendar format; it often ends in .ics"
        )
    if not begin.startswith("BEGIN:VCALENDAR"):
        return CalendarFault(1, "a calendar begins with BEGIN:VCALENDAR", _EXPORT)
    calendars = [number for number, line in _unfolded(text) if line.upper().rstrip() == "BEGIN:VCALENDAR"]
    if len(calendars) > 1:
        return CalendarFault(calendars[1], "a second calendar begins here", "give each calendar a file of its own")
    return None


def _unfolded(text: str) -> list[tuple[int, str]]:
    """Return the lines of a text with their numbers; one that begins with a space or tab continues the one before it."""
    found: list[tuple[int, str]] = []
    for number, line in enumerate(_BREAK.split(text.lstrip("\ufeff")), 1):
        if line[:1] in (" ", "\t") and found:
            found[-1] = (found[-1][0], found[-1][1] + line[1:])
        elif line.strip():
            found.append((number, line))
    return found
