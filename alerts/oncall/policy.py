"""Schedules and calendars as the pure machines take them, and what the log says about them."""

from __future__ import annotations

from msgspec import Struct, field

from alerts.incident import Calendar, Maintenance, Override


class Span(Struct, frozen=True):
    """A time from ``from_ms`` to ``to_ms`` (wall time, end excluded); ``to_ms`` None: no end is known."""

    from_ms: int
    to_ms: int | None


class Duty(Struct, frozen=True):
    """A person on duty, and why in words: ``schedule kul-lead, layer 1``."""

    person: str
    why: str


class DutySpan(Struct, frozen=True):
    """Who is on duty from ``from_ms`` to ``to_ms`` (wall time, end excluded); nobody in a gap."""

    from_ms: int
    to_ms: int
    duties: tuple[Duty, ...]


class WeeklyTimes(Struct, frozen=True):
    """A time of the week in local time: on ``days`` (0 is Monday) from ``from_min`` to ``to_min`` minutes of the day.

    A ``to_min`` that is not later than ``from_min`` is on the next day. ``from_min`` is below 1440, ``to_min`` at most 1440.
    """

    days: tuple[int, ...]
    from_min: int = 0
    to_min: int = 1440


class CalendarPolicy(Struct, frozen=True):
    """Named times: weekly ones in ``zone``, and the events of the iCalendar text that the log has under ``ical``.

    ``ical`` is None where there is no such text.
    """

    name: str
    zone: str
    times: tuple[WeeklyTimes, ...] = ()
    ical: str | None = None


class RotaLayer(Struct, frozen=True):
    """People who take turns.

    Attributes:
        people: Names, in the order of their turns.
        start: Local time at which the first turn begins: ``2026-11-30T09:00``. Later turns begin at the same time of the day.
        turn_hours: Length of a turn on the local clock: 12, 24, 168 …. Turns begin at the same local times also after a change of the
            clock, so the turn in which it falls is an hour shorter or longer.
        only: When the layer names anybody; empty: always.
    """

    people: tuple[str, ...]
    start: str
    turn_hours: int
    only: tuple[WeeklyTimes, ...] = ()


class SchedulePolicy(Struct, frozen=True):
    """A rota. Later layers win where they name somebody, overrides win over all layers.

    ``ical`` is the name under which the log has an iCalendar text with the turns; ``person_from`` is then the property of an
    event that names the person. ``overrides`` are those of the configuration; the log may have more. ``known_as`` says which
    person is meant by a name as the calendar writes it (``Mei Tan``); a name that is not there is taken as it stands.
    """

    name: str
    zone: str
    layers: tuple[RotaLayer, ...] = ()
    overrides: tuple[Override, ...] = ()
    ical: str | None = None
    person_from: str = "summary"
    known_as: dict[str, str] = field(default_factory=dict)


class RotaFacts(Struct, frozen=True):
    """What the log says about schedules and calendars: the last record of each id or name."""

    overrides: dict[str, Override] = field(default_factory=dict)
    maintenance: dict[str, Maintenance] = field(default_factory=dict)
    calendars: dict[str, Calendar] = field(default_factory=dict)
