"""A schedule as an iCalendar file, for the calendars of people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import blake2b

import icalendar

from alerts.oncall.duty import duties
from alerts.oncall.policy import RotaFacts, SchedulePolicy

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_ical(schedule: SchedulePolicy, facts: RotaFacts, from_ms: int, to_ms: int) -> bytes:
    """Return who is on duty from one time to another as iCalendar: an event for each person and time, in UTC.

    The same duty gives the same event with the same UID, so a calendar that reads the file again updates it. Read as a schedule,
    the file names the same people at each instant of that time.
    """
    calendar = icalendar.Calendar()
    calendar.add("prodid", "-//Floorwatch//on-call schedule//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", f"On call: {schedule.name}")
    for span in duties(schedule, facts, from_ms, to_ms):
        for duty in span.duties:
            identity = "\x1f".join((schedule.name, duty.person, str(span.from_ms)))  # names hold no control characters
            event = icalendar.Event()
            event.add("uid", f"{blake2b(identity.encode(), digest_size=16).hexdigest()}@floorwatch")
            event.add("dtstamp", _utc(span.from_ms))  # no clock: a file of the same duties has the same bytes
            event.add("dtstart", _utc(span.from_ms))
            event.add("dtend", _utc(span.to_ms))
            event.add("summary", duty.person)
            event.add("description", duty.why)
            calendar.add_component(event)
    return bytes(calendar.to_ical())


def _utc(at_ms: int) -> datetime:
    """Return an instant in UTC, to the second: iCalendar has no parts of it."""
    return _EPOCH + timedelta(seconds=at_ms // 1000)
