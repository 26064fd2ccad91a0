"""Settings of schedules: who is on call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import lcm
from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from alerts.incident import Override
from alerts.oncall.local_time import merged
from alerts.oncall.policy import RotaLayer, SchedulePolicy
from alerts.settings.names import EntryName, Known, Place, needed, required, some
from alerts.settings.times import (
    WEEK_MIN,
    LocalTime,
    Moment,
    Turn,
    WeeklySettings,
    Zone,
    minutes_of_week,
    moment_ms,
    weekly_faults,
)
from config.base import Section, SettingsFault
from streams.core.formatting import plural
from streams.models.timestamps import parse_local

CONFIGURED = "the configuration"
"""Who makes the overrides that stand in the configuration; one of the log that is newer counts before them."""
_PEOPLE_HOW = "name who takes turns, e.g. people: [mei, arif]"
_WHOLE_WEEK = [(0, WEEK_MIN)]


class LayerSettings(Section):
    """People who take turns.

    Attributes:
        people: In the order of their turns.
        start: Local time at which the first turn begins; later ones begin at the same time of the day.
        turn: Length of a turn.
        only: When the layer names anybody; without any: always.
    """

    people: Annotated[tuple[str, ...], some(_PEOPLE_HOW), Field(max_length=100), required(_PEOPLE_HOW)] = needed()
    start: Annotated[LocalTime, required("write when the first turn begins: start: 2026-11-30T09:00")] = needed()
    turn: Annotated[Turn, required("write e.g. turn: 1w")] = needed()
    only: tuple[WeeklySettings, ...] = Field(default=(), max_length=50)

    def policy(self) -> RotaLayer:
        """Return the layer as the pure machines take it."""
        only = tuple(one.policy() for one in self.only)
        return RotaLayer(self.people, self.start, round(self.turn / 3600), only)


class OverrideSettings(Section):
    """A person takes the schedule for a time, whatever its layers say."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    person: Annotated[str, required("name who takes it, e.g. person: mei")] = needed()
    begin: Annotated[Moment, required("write e.g. from: 2026-12-24T09:00")] = needed("from")
    to: Annotated[Moment, required("write e.g. to: 2026-12-26T09:00")] = needed()


class ScheduleSettings(Section):
    """A rota. Later layers count before earlier ones, and overrides before all layers.

    Attributes:
        zone: IANA name of the zone of its times.
        layers: People who take turns.
        overrides: Who takes it over, and when; the last that holds a time counts.
        ical: Name of an iCalendar text with the turns; it is asked where no layer names anybody.
        person_from: Which property of its events names the person.
        known_as: Which person is meant by a name as the calendar writes it, besides the names of people.
    """

    zone: Annotated[Zone, required("its times are local: write e.g. zone: Asia/Kuala_Lumpur")] = needed()
    layers: tuple[LayerSettings, ...] = Field(default=(), max_length=50)
    overrides: tuple[OverrideSettings, ...] = Field(default=(), max_length=500)
    ical: EntryName | None = None
    person_from: Literal["summary", "attendee", "organizer", "description", "location"] = "summary"
    known_as: dict[str, str] = Field(default={})

    def policy(self, name: str, called: Mapping[str, str]) -> SchedulePolicy:
        """Return the schedule as the pure machines take it.

        Args:
            name: Its name.
            called: Names of people as calendars write them, with the person that each means.
        """
        overrides = tuple(
            Override(
                f"{name}-{number}",
                name,
                one.person,
                moment_ms(one.begin, self.zone),
                moment_ms(one.to, self.zone),
                CONFIGURED,
                number,
            )
            for number, one in enumerate(self.overrides, 1)
        )
        layers = tuple(one.policy() for one in self.layers)
        known = {**called, **self.known_as}
        return SchedulePolicy(name, self.zone, layers, overrides, self.ical, self.person_from, known)

    def people(self) -> tuple[str, ...]:
        """Return everybody whom it names in the configuration."""
        layers = [name for one in self.layers for name in one.people]
        return tuple(dict.fromkeys([*layers, *(one.person for one in self.overrides), *self.known_as.values()]))


Schedules = dict[EntryName, ScheduleSettings]


def schedule_faults(schedules: Mapping[str, ScheduleSettings], known: Known) -> Iterator[SettingsFault]:
    """Yield what of schedules names nobody: people that there are not, layers that never count, times that end early."""
    for name, schedule in schedules.items():
        place = ("alerts", "schedules", name)
        if not schedule.layers and schedule.ical is None:
            yield SettingsFault(
                place, "has neither layers nor an ical, so nobody is ever on duty", "add layers", (place,)
            )
        for number, layer in enumerate(schedule.layers):
            yield from _layer_faults((*place, "layers", number), layer, known)
        yield from _hidden_layers(place, schedule.layers)
        for number, override in enumerate(schedule.overrides):
            yield from _override_faults((*place, "overrides", number), override, schedule.zone, known)
        for called, person in schedule.known_as.items():
            yield from known.unknown((*place, "known_as", called), "person", person)


def _layer_faults(place: Place, layer: LayerSettings, known: Known) -> Iterator[SettingsFault]:
    for number, name in enumerate(layer.people):
        yield from known.unknown((*place, "people", number), "person", name)
    yield from weekly_faults((*place, "only"), layer.only)
    never = _never_named(layer.policy())
    for number, name in enumerate(layer.people):
        if number in never and not any(other == name for at, other in enumerate(layer.people) if at not in never):
            reason = f"{name} never has a turn: all of them are outside of only"
            hint = "take a turn of another length, such as 1d or 1w, or leave only out"
            yield SettingsFault((*place, "people", number), reason, hint, (place,))


def _never_named(layer: RotaLayer) -> set[int]:
    """Return the places in ``people`` whose turns are all outside of the layer's weekly times, by a clock that is never changed."""
    size = len(layer.people)
    if not layer.only or layer.turn_hours >= WEEK_MIN // 60:
        return set()
    on = merged(minutes_of_week(layer.only))
    length = layer.turn_hours * 60
    first = _minute_of_week(layer.start)
    left = set(range(size))
    for turn in range(lcm(length * size, WEEK_MIN) // length):
        if not left:
            break
        begin = (first + turn * length) % WEEK_MIN
        spans = [(begin, begin + length), (begin - WEEK_MIN, begin - WEEK_MIN + length)]
        if any(start < to and begin_on < end for start, end in spans for begin_on, to in on):
            left.discard(turn % size)
    return left


def _minute_of_week(local: str) -> int:
    at = parse_local(local)
    return at.weekday() * 1440 + at.hour * 60 + at.minute


def _hidden_layers(place: Place, layers: tuple[LayerSettings, ...]) -> Iterator[SettingsFault]:
    """Yield the layers that later ones count before whenever they name anybody."""
    for number, layer in enumerate(layers):
        later = [one for one in layers[number + 1 :] if one.start <= layer.start]
        covered = merged(span for one in later for span in _on(one))
        if all(any(begin <= start and end <= to for begin, to in covered) for start, end in merged(_on(layer))):
            others = plural(len(later), "later layer")
            reason = f"never names anybody: {others} that {'begins' if len(later) == 1 else 'begin'} no later"
            reason += f" count{'s' if len(later) == 1 else ''} before it all the time"
            hint = "remove it, move it below them, or give them  only:"
            yield SettingsFault((*place, "layers", number), reason, hint, ((*place, "layers"),))


def _on(layer: LayerSettings) -> list[tuple[int, int]]:
    return minutes_of_week(layer.policy().only) if layer.only else _WHOLE_WEEK


def _override_faults(place: Place, override: OverrideSettings, zone: str, known: Known) -> Iterator[SettingsFault]:
    yield from known.unknown((*place, "person"), "person", override.person)
    if moment_ms(override.to, zone) <= moment_ms(override.begin, zone):
        yield SettingsFault((*place, "to"), f"ends before it begins ({override.begin})", "write a later end", (place,))
