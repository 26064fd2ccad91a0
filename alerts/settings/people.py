"""Settings of people: by which channels each is told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from alerts.routing.policy import PersonPolicy
from alerts.routing.routes import FALLBACK_SEVERITY
from alerts.settings.names import EntryName, Known, needed, repeated, required, some
from alerts.settings.times import Zone
from alerts.signals import Severity
from config.base import Section, SettingsFault
from streams.core.formatting import UTC_ZONE

_CHANNELS_HOW = "write e.g. channels: {page: [sms, ops], warn: [ops]}, or a list for all severities"
_HOW = "name a channel, e.g. [ops]"


def _by_severity(value: Any) -> Any:
    """Return channels by severity; a list is for all of them."""
    return {FALLBACK_SEVERITY: value} if isinstance(value, list | tuple) else value


class PersonSettings(Section):
    """A person.

    Attributes:
        name: As calendars write it; the entry's own name is understood too.
        zone: IANA name of the zone in which the person sees times.
        channels: By severity; a severity that is missing has those of ``warn``. A list is for all severities.
    """

    name: str = Field(default="", max_length=200)
    zone: Zone | None = None
    channels: Annotated[
        dict[Severity, Annotated[tuple[str, ...], some(_HOW)]],
        BeforeValidator(_by_severity),
        some(_CHANNELS_HOW),
        required(_CHANNELS_HOW),
    ] = needed()

    def policy(self, name: str) -> PersonPolicy:
        """Return the person as the pure machines take it."""
        return PersonPolicy(
            name, self.zone or UTC_ZONE, {str(severity): some for severity, some in self.channels.items()}
        )


People = dict[EntryName, PersonSettings]


def people_faults(people: Mapping[str, PersonSettings], known: Known) -> Iterator[SettingsFault]:
    """Yield the channels of people that there are not, and names that calendars cannot tell apart."""
    first: dict[str, str] = {}
    for name, person in people.items():
        place = ("alerts", "people", name)
        for severity, channels in person.channels.items():
            at = (*place, "channels", severity)
            for number, channel in enumerate(channels):
                yield from known.unknown((*at, number), "channel", channel)
            yield from repeated(at, channels)
        called = (person.name or name).casefold()
        if called in first:
            reason = f'{first[called]} is called "{person.name or name}" too, so calendars would mean either'
            yield SettingsFault(
                (*place, "name"), reason, "give each a name of its own", (("alerts", "people", first[called]),)
            )
        first.setdefault(called, name)


def names_called(people: Mapping[str, PersonSettings]) -> dict[str, str]:
    """Return the names by which calendars may mean people, with the person that each means."""
    return {name: name for name in people} | {one.name: name for name, one in people.items() if one.name}
