"""Times as settings: zones, times of the day and of the week, local times, instants and durations with bounds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from functools import lru_cache
from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from alerts.oncall.local_time import instant_ms
from alerts.oncall.policy import WeeklyTimes
from alerts.settings.names import Place, some
from config.base import Section, SettingsFault, refuse_one
from config.durations import Seconds
from config.fault_text import shown
from config.nearest import choices
from config.zone_names import hint as zone_hint
from streams.core.durations import UNITS_S, format_duration
from streams.models.timestamps import BadTimestamp, parse_local, parse_rfc3339, to_ms

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MIN, WEEK_MIN = 1_440, 10_080

_EARLIEST, _LATEST = 2000, 2100
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d|24:00")
_LOOSE_CLOCK = re.compile(r"(\d{1,2})(?:[:.h]?(\d{2}))?\s*([ap])?\.?m?\.?", re.IGNORECASE)
_LOCAL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:00)?")
_ZONED = re.compile(rf"({_LOCAL.pattern})(Z|[+-]\d\d:\d\d)")
_WEEKS = re.compile(r"\s*(\d{1,3}(?:\.\d+)?)\s*(?:w|weeks?)\s*", re.IGNORECASE)


@lru_cache(maxsize=1)
def known_zones() -> frozenset[str]:
    """Return the IANA names of the time zones there are."""
    return frozenset(available_timezones())


def _zone(text: str) -> str:
    if text not in known_zones():
        refuse_one(f'there is no time zone "{text}"', zone_hint(text))
    return text


Zone = Annotated[str, AfterValidator(_zone)]
"""An IANA name such as ``Asia/Kuala_Lumpur``."""


def _clock(value: object) -> str:
    if not isinstance(value, str) or not _CLOCK.fullmatch(value.strip()):
        refuse_one(f"must be a time of the day, not {shown(value)}", _clock_hint(value))
    return value.strip()


def _clock_hint(value: object) -> str:
    """Return how a time of the day is written. A number is never guessed: 540 may be 05:40 or, to old YAML readers, 09:00."""
    found = _LOOSE_CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is not None:
        hours, minutes, half = int(found[1]), int(found[2] or 0), (found[3] or "").lower()
        if half and 1 <= hours <= 12:
            hours = hours % 12 + (12 if half == "p" else 0)
        if hours < 24 and minutes < 60:
            return f'write "{hours:02}:{minutes:02}"'
    return 'write hours and minutes in quotes: "09:00", "22:30"'


ClockTime = Annotated[str, BeforeValidator(_clock)]
"""A time of the day, ``09:00``; ``24:00`` is the end of the day."""


def minute_of(clock: str) -> int:
    """Return the minute of the day of a ``ClockTime``."""
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _days(value: object) -> str:
    """Check a day or a run of days; numbers and others are refused, so that nobody wonders whether 1 is Monday."""
    text = value.strip().lower() if isinstance(value, str) else ""
    parts = [part.strip() for part in text.split("-")]
    wrong = next((part for part in parts if part not in DAYS), None)
    if wrong is not None or len(parts) > 2:
        short = [part[:3] for part in parts]
        meant = len(parts) <= 2 and all(part in DAYS for part in short)
        said = f"write {'-'.join(short)}" if meant else f"{choices(wrong or text, DAYS)}, or a run such as mon-fri"
        refuse_one(f"{shown(value)} is no day", said)
    return "-".join(parts)


DaysText = Annotated[str, BeforeValidator(_days)]
"""``mon``, or a run of days: ``mon-fri``, ``fri-mon``."""


def _numbers(text: str) -> range | list[int]:
    first, _, last = text.partition("-")
    begin, end = DAYS.index(first), DAYS.index(last or first)
    return [day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)]


class WeeklySettings(Section):
    """A time of the week, by the local clock of what it belongs to.

    Attributes:
        days: ``[mon-fri]``, ``[sat, sun]``; the days on which it begins. Without any: every day.
        begin: Written ``from``.
        to: Its end; where it is not later than ``from``, that of the next day.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    days: Annotated[tuple[DaysText, ...], some("write [mon-fri], or leave days out for every day")] = tuple(DAYS)
    begin: ClockTime = Field(default="00:00", alias="from")
    to: ClockTime = "24:00"

    def policy(self) -> WeeklyTimes:
        """Return the time as the pure machines take it."""
        days = {day for text in self.days for day in _numbers(text)}
        return WeeklyTimes(tuple(sorted(days)), minute_of(self.begin), minute_of(self.to))

    def fault(self) -> tuple[str, str, str] | None:
        """Return the setting, what is wrong between begin and end, and how to mend it; None: nothing."""
        if self.begin == "24:00":
            return "from", "24:00 is the end of a day", 'write "00:00" and the day after'
        if self.begin == self.to:
            return "to", f"it begins and ends at {self.to}", "leave from and to out for the whole day"
        return None


def weekly_faults(place: Place, times: tuple[WeeklySettings, ...]) -> Iterator[SettingsFault]:
    """Yield weekly times that have no length."""
    for number, one in enumerate(times):
        found = one.fault()
        if found is not None:
            yield SettingsFault((*place, number, found[0]), found[1], found[2], ((*place, number),))


def minutes_of_week(times: tuple[WeeklyTimes, ...]) -> list[tuple[int, int]]:
    """Return times as spans of minutes of a week from Monday, without changes of the clock; those past its end go on at its begin."""
    found = []
    for one in times:
        length = (one.to_min - one.from_min) % DAY_MIN or DAY_MIN
        for day in one.days:
            begin = day * DAY_MIN + one.from_min
            found.append((begin, min(begin + length, WEEK_MIN)))
            if begin + length > WEEK_MIN:
                found.append((0, begin + length - WEEK_MIN))
    return found


def _dated(text: str, how: str) -> str:
    try:
        year = _read(text).year
    except BadTimestamp:
        refuse_one(f'there is no time "{text}"', how)
    if not _EARLIEST <= year < _LATEST:
        refuse_one(f'"{text}" is not between {_EARLIEST} and {_LATEST}', how)
    return text


def _read(text: str) -> datetime:
    return parse_rfc3339(text) if has_offset(text) else parse_local(text)


_LOCAL_HOW = "write day and time: 2026-11-30T09:00"


def _local(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if _ZONED.fullmatch(text):
        refuse_one(
            f"must be a local time, not {shown(value)}", f"leave {_offset(text)} out: the schedule's zone counts"
        )
    if not _LOCAL.fullmatch(text):
        refuse_one(f"must be a local time, not {shown(value)}", _LOCAL_HOW)
    return _dated(text.replace(" ", "T"), _LOCAL_HOW)


def _offset(text: str) -> str:
    return str(_ZONED.fullmatch(text)[3])  # type: ignore[index]


LocalTime = Annotated[str, BeforeValidator(_local)]
"""A time of the local clock: ``2026-11-30T09:00``."""

_MOMENT_HOW = "write day and time: 2026-11-30T09:00, or with its offset 2026-11-30T09:00+08:00"


def _moment(value: object) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not _LOCAL.fullmatch(text) and not _ZONED.fullmatch(text):
        refuse_one(f"must be a time, not {shown(value)}", _MOMENT_HOW)
    return _dated(text.replace(" ", "T"), _MOMENT_HOW)


Moment = Annotated[str, BeforeValidator(_moment)]
"""A time with its offset, or one of the local clock where the zone is known: ``2026-11-30T09:00+08:00``."""


def has_offset(moment: str) -> bool:
    """Tell whether a ``Moment`` says its offset."""
    return _ZONED.fullmatch(moment) is not None


def moment_ms(moment: str, zone: str) -> int:
    """Return when a ``Moment`` is (wall time); ``zone`` is that of one without an offset."""
    at = _read(moment)
    return to_ms(at) if has_offset(moment) else instant_ms(at, zone)


def between(least_s: float, most_s: float) -> AfterValidator:
    """Return a check that a duration is within bounds."""
    bounds = f"{format_duration(least_s)} to {format_duration(most_s)}"

    def check(seconds: float) -> float:
        if not least_s <= seconds <= most_s:
            refuse_one(f"must be from {bounds}, not {format_duration(seconds)}", f"write a time from {bounds}")
        return seconds

    return AfterValidator(check)


def _weeks(value: object) -> object:
    found = _WEEKS.fullmatch(value) if isinstance(value, str) else None
    return value if found is None else float(found[1]) * 7 * UNITS_S["d"]


def _hours(seconds: float) -> float:
    if seconds % 3600 or not 3600 <= seconds <= 366 * UNITS_S["d"]:
        refuse_one(f"a turn is of whole hours up to a year, not {format_duration(seconds)}", "write 12h, 1d or 1w")
    return seconds


Turn = Annotated[Seconds, BeforeValidator(_weeks), AfterValidator(_hours)]
"""The length of a turn in seconds, whole hours: ``12h``, ``1d``, ``1w``."""
