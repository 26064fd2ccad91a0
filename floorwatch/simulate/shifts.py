"""Rosters and breaks of the simulated floor, hour by hour."""

from __future__ import annotations

from itertools import groupby

from floorwatch.simulate.chance import Chance
from floorwatch.simulate.people import Labeler
from floorwatch.simulate.wire import Wire, rfc3339
from streams.models.timestamps import HOUR_MS

_SHIFT_MS = 8 * HOUR_MS
_AHEAD_MS = 2 * HOUR_MS
_BREAKS = 0.3


class Shifts:
    """Sends shift.scheduled two hours ahead of every team's shift and a few breaks in it.

    ``next_ms`` is when ``begin_hour`` wants to be called next.
    """

    def __init__(self, people: list[Labeler], wire: Wire, chance: Chance, start_ms: int) -> None:
        by_team = sorted(people, key=lambda person: person.team)
        self._teams = [list(members) for _, members in groupby(by_team, key=lambda person: person.team)]
        self._wire = wire
        self._chance = chance
        self.next_ms = start_ms

    def begin_hour(self) -> None:
        """Send what belongs to the hour that begins now, and move on to the next full hour."""
        now_ms = self.next_ms
        self.next_ms = (now_ms // HOUR_MS + 1) * HOUR_MS
        for team in self._teams:
            person = team[0]
            soon_ms = (now_ms + _AHEAD_MS) // HOUR_MS * HOUR_MS
            if person.on_shift(soon_ms) and not person.on_shift(soon_ms - HOUR_MS):
                self._roster(team, now_ms, soon_ms)
            if person.on_shift(now_ms) and not person.on_shift(now_ms - HOUR_MS):
                self._breaks(team, now_ms)

    def _roster(self, team: list[Labeler], now_ms: int, from_ms: int) -> None:
        first = team[0]
        data = {
            "shift_id": f"{first.team}-{from_ms // HOUR_MS}",
            "site": first.site,
            "vendor": first.vendor,
            "team": first.team,
            "labeler_ids": [person.labeler_id for person in team],
            "headcount": len(team),
            "from": rfc3339(from_ms),
            "to": rfc3339(from_ms + _SHIFT_MS),
        }
        subject = f"roster/{first.site}/{first.team}"
        self._wire.send(f"wfm/{first.site.lower()}", "shift.scheduled", subject, now_ms, data)

    def _breaks(self, team: list[Labeler], now_ms: int) -> None:
        for person in team:
            if self._chance.happens(_BREAKS):
                data = {"labeler_id": person.labeler_id}
                subject = f"people/{person.labeler_id}"
                started_ms = now_ms + round(self._chance.between(HOUR_MS, 6 * HOUR_MS))
                ended_ms = started_ms + round(self._chance.around(900_000, 0.3))
                self._wire.send(person.source, "break.started", subject, started_ms, data)
                self._wire.send(person.source, "break.ended", subject, ended_ms, data)
