"""Who is on duty, worked out naively: every minute of a zone is written down with what the local clock shows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from alerts.oncall.policy import RotaLayer, SchedulePolicy, WeeklyTimes

MINUTE = timedelta(minutes=1)


def ms(at: datetime) -> int:
    return round(at.timestamp()) * 1000


class Clock:
    """The local clock of a zone for some weeks, minute by minute."""

    def __init__(self, zone: str, first: datetime, days: int) -> None:
        self.minutes = [first + n * MINUTE for n in range(days * 1440)]
        self.shown = [at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for at in self.minutes]
        self.first: dict[datetime, datetime] = {}
        for at, local in zip(self.minutes, self.shown, strict=True):
            self.first.setdefault(local, at)

    def when(self, local: datetime) -> datetime:
        """The first minute that shows a time; of one that is left out, as many minutes after the last that is not."""
        back = local
        while back not in self.first:
            back -= MINUTE
        return self.first[back] + (local - back)

    def on(self, times: tuple[WeeklyTimes, ...]) -> set[datetime]:
        """All minutes in which weekly times are on."""
        found: set[datetime] = set()
        day = self.shown[0].replace(hour=0, minute=0) + timedelta(days=1)
        while day + timedelta(days=3) < self.shown[-1]:
            for one in times:
                if day.weekday() in one.days:
                    begin = self.when(day + timedelta(minutes=one.from_min))
                    next_day = one.to_min <= one.from_min
                    end = self.when(day + timedelta(days=next_day, minutes=one.to_min))
                    while begin < end:
                        found.add(begin)
                        begin += MINUTE
            day += timedelta(days=1)
        return found

    def layer(self, layer: RotaLayer) -> dict[datetime, str]:
        """The person of each minute that a layer names."""
        only = self.on(layer.only) if layer.only else None
        begin, turn = datetime.fromisoformat(layer.start), timedelta(hours=layer.turn_hours)
        found, number = {}, 0
        while begin + turn < self.shown[-1] - timedelta(days=1):
            at, end = self.when(begin), self.when(begin + turn)
            while at < end:
                if only is None or at in only:
                    found[at] = layer.people[number % len(layer.people)]
                at += MINUTE
            begin, number = begin + turn, number + 1
        return found


@lru_cache
def clock(zone: str, first: datetime, days: int) -> Clock:
    return Clock(zone, first, days)


def people(schedule: SchedulePolicy, of: Clock) -> dict[datetime, str]:
    """The person of each minute; minutes without one are left out."""
    found: dict[datetime, str] = {}
    for layer in schedule.layers:
        found |= of.layer(layer)
    for override in sorted(schedule.overrides, key=lambda one: one.at_ms):
        begin = datetime.fromtimestamp(override.from_ms // 1000, UTC)
        while ms(begin) < override.to_ms:
            found[begin] = override.person
            begin += MINUTE
    return found
