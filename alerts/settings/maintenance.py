"""Settings of maintenance windows: when nobody is told of what their matchers fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated

from pydantic import ConfigDict, Field

from alerts.routing.matchers import SEVERITIES, fits_anything, fits_value, parse_matcher
from alerts.routing.policy import MaintenancePolicy, Matcher
from alerts.settings.calendars import CalendarSettings, always_on
from alerts.settings.names import EntryName, Known, Place, needed, required, some
from alerts.settings.routes import MatcherText, matcher_faults
from alerts.settings.times import Moment, Zone, has_offset, moment_ms
from config.base import Section, SettingsFault
from streams.core.formatting import UTC_ZONE

_MATCH_HOW = 'write e.g. match: [site=kul]; match: ["severity=~page|warn|info"] is everything'
_TIMES_HOW = "write  from: 2026-12-05T01:00+08:00  and  to:, or the name of a calendar"


class MaintenanceSettings(Section):
    """A maintenance window: once from ``from`` to ``to``, or whenever a calendar is on.

    Attributes:
        name: What holds messages back, in their list and in ``rules route``.
        match: As of a routing entry; all must fit.
        begin: Written ``from``: a time with its offset, or one of the local clock of ``zone``.
        to: Its end, as ``from``.
        zone: IANA name of the zone of a local ``from`` and ``to``.
        calendar: Name of a calendar, in place of ``from`` and ``to``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    name: Annotated[EntryName, required("write e.g. name: kul-move")] = needed()
    match: Annotated[tuple[MatcherText, ...], some(_MATCH_HOW), Field(max_length=20), required(_MATCH_HOW)] = needed()
    begin: Moment | None = Field(default=None, alias="from")
    to: Moment | None = None
    zone: Zone | None = None
    calendar: str | None = None

    def policy(self) -> MaintenancePolicy:
        """Return the window as the pure machines take it."""
        zone = self.zone or UTC_ZONE
        begin, end = (None if at is None else moment_ms(at, zone) for at in (self.begin, self.to))
        matchers = tuple(parse_matcher(text) for text in self.match)
        return MaintenancePolicy(self.name, matchers, begin, end, self.calendar)


def maintenance_faults(
    windows: Sequence[MaintenanceSettings],
    known: Known,
    calendars: Mapping[str, CalendarSettings],
    kinds: Sequence[str],
    rules: Sequence[str],
) -> Iterator[SettingsFault]:
    """Yield windows that never hold anything, that hold everything for ever, or that cannot be told apart.

    Args:
        windows: The windows.
        known: The names that there are.
        calendars: The calendars.
        kinds: Kinds of rules that there are.
        rules: Names of the rules, also of those that are not in force.
    """
    names: set[str] = set()
    for number, one in enumerate(windows):
        place = ("alerts", "maintenance", number)
        if one.name in names:
            hint = "rename one: messages say by its name what holds them"
            yield SettingsFault((*place, "name"), f"two windows are named {one.name}", hint, (place,))
        names.add(one.name)
        matchers = tuple(parse_matcher(text) for text in one.match)
        yield from matcher_faults(place, matchers, kinds, rules)
        yield from _time_faults(place, one, known)
    yield from _silence_faults(windows, calendars, kinds, rules)


def _silence_faults(
    windows: Sequence[MaintenanceSettings],
    calendars: Mapping[str, CalendarSettings],
    kinds: Sequence[str],
    rules: Sequence[str],
) -> Iterator[SettingsFault]:
    """Yield a fault at the last of the windows that together hold every incident all the time."""
    holding: set[int] = set()
    for severity in SEVERITIES:
        own = [
            (number, calendars[one.calendar])
            for number, one in enumerate(windows)
            if one.calendar is not None
            and one.calendar in calendars
            and all(_fits_all(parse_matcher(text), severity, kinds, rules) for text in one.match)
        ]
        if not own or not always_on(calendar for _, calendar in own):
            return
        holding.update(number for number, _ in own)
    last, names = max(holding), [windows[number].name for number in sorted(holding)]
    several = len(names) > 1
    who = f"{' and '.join(names)} together hold" if several else "it holds"
    on = list(dict.fromkeys(windows[number].calendar or "" for number in sorted(holding)))
    place, reads = ("alerts", "maintenance", last), tuple(("alerts", "calendars", name) for name in on)
    hint = f"let match fit less, or shorten {' or '.join(on)}"
    yield SettingsFault(
        (*place, "match"), f"{who} every incident all the time, so nothing would ever be told", hint, reads
    )


def _fits_all(matcher: Matcher, severity: str, kinds: Sequence[str], rules: Sequence[str]) -> bool:
    """Tell whether a matcher fits whatever has a severity."""
    values = {"severity": [severity], "kind": kinds, "rule": rules}.get(matcher.name)
    return fits_anything(matcher) if values is None else all(fits_value(matcher, value) for value in values)


def _time_faults(place: Place, one: MaintenanceSettings, known: Known) -> Iterator[SettingsFault]:
    times = {"from": one.begin, "to": one.to}
    given = {name: at for name, at in times.items() if at is not None}
    if one.calendar is not None:
        yield from known.unknown((*place, "calendar"), "calendar", one.calendar)
        if given:
            name = next(iter(given))
            reason = f"has a calendar and {' and '.join(given)}"
            yield SettingsFault(
                (*place, name), reason, "leave one of them: once, or whenever a calendar is on", (place,)
            )
        return
    if len(given) < len(times):
        missing = " and ".join(name for name in times if name not in given)
        reason = f"has no {missing}, so it would never end" if "from" in given else f"has no {missing}"
        yield SettingsFault(place, reason, _TIMES_HOW, (place,))
        return
    local = [name for name, at in given.items() if not has_offset(at)]
    if local and one.zone is None:
        hint = f"write its offset, e.g. {given[local[0]]}+08:00, or add  zone: Asia/Kuala_Lumpur"
        yield SettingsFault((*place, local[0]), f"{given[local[0]]} has no zone", hint, (place,))
        return
    policy = one.policy()
    if policy.from_ms is not None and policy.to_ms is not None and policy.to_ms <= policy.from_ms:
        yield SettingsFault((*place, "to"), f"ends before it begins ({one.begin})", "write a later end", (place,))
