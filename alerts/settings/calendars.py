"""Settings of calendars: named times, for quiet hours, mute times and maintenance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated

from pydantic import Field

from alerts.oncall.local_time import merged, weekly_spans
from alerts.oncall.policy import CalendarPolicy
from alerts.settings.names import EntryName, needed, required
from alerts.settings.times import WeeklySettings, Zone, weekly_faults
from config.base import Section, SettingsFault
from streams.models.timestamps import DAY_MS, parse_rfc3339_ms

_WEEKS_MS = tuple(parse_rfc3339_ms(day) for day in ("2030-01-06T00:00:00Z", "2030-07-07T00:00:00Z"))
"""Begins of a week of each half of the year, for zones change their clocks; 2030 has the rules that are in force today."""


class CalendarSettings(Section):
    """Named times: the weekly ones, and the events of an iCalendar text.

    Attributes:
        zone: IANA name of the zone of its times.
        times: Weekly times.
        ical: Name of an iCalendar text whose events are times too.
    """

    zone: Annotated[Zone, required("its times are local: write e.g. zone: Asia/Kuala_Lumpur")] = needed()
    times: tuple[WeeklySettings, ...] = Field(default=(), max_length=100)
    ical: EntryName | None = None

    def policy(self, name: str) -> CalendarPolicy:
        """Return the calendar as the pure machines take it."""
        return CalendarPolicy(name, self.zone, tuple(one.policy() for one in self.times), self.ical)


def always_on(calendars: Iterable[CalendarSettings]) -> bool:
    """Tell whether the weekly times of calendars together leave nothing of a week, be it in a zone each."""
    policies = [calendar.policy("") for calendar in calendars]
    for begin_ms in _WEEKS_MS:
        end_ms = begin_ms + 7 * DAY_MS
        spans = [span for one in policies for span in weekly_spans(one.times, one.zone, begin_ms, end_ms)]
        whole = merged((span.from_ms, span.to_ms or end_ms) for span in spans)
        if not any(begin <= begin_ms and end >= end_ms for begin, end in whole):
            return False
    return True


Calendars = dict[EntryName, CalendarSettings]


def calendar_faults(calendars: Mapping[str, CalendarSettings]) -> Iterator[SettingsFault]:
    """Yield calendars that are never on, and times without a length."""
    for name, calendar in calendars.items():
        place = ("alerts", "calendars", name)
        if not calendar.times and calendar.ical is None:
            hint = 'add e.g. times: [{days: [mon-fri], from: "22:00", to: "07:00"}]'
            yield SettingsFault(place, "has neither times nor an ical, so it is never on", hint, (place,))
        yield from weekly_faults((*place, "times"), calendar.times)
