"""Settings of calendars: named times, for quiet hours, mute times and maintenance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field

from alerts.oncall.local_time import merged
from alerts.oncall.policy import CalendarPolicy
from alerts.settings.names import EntryName, needed, required
from alerts.settings.times import WEEK_MIN, WeeklySettings, Zone, minutes_of_week, weekly_faults
from config.base import Section, SettingsFault


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

    def always(self) -> bool:
        """Tell whether its weekly times leave nothing of the week."""
        return merged(minutes_of_week(tuple(one.policy() for one in self.times))) == [(0, WEEK_MIN)]


Calendars = dict[EntryName, CalendarSettings]


def calendar_faults(calendars: Mapping[str, CalendarSettings]) -> Iterator[SettingsFault]:
    """Yield calendars that are never on, and times without a length."""
    for name, calendar in calendars.items():
        place = ("alerts", "calendars", name)
        if not calendar.times and calendar.ical is None:
            hint = 'add e.g. times: [{days: [mon-fri], from: "22:00", to: "07:00"}]'
            yield SettingsFault(place, "has neither times nor an ical, so it is never on", hint, (place,))
        yield from weekly_faults((*place, "times"), calendar.times)
