"""Weeks on call, fast forward, from YAML to who is told: quiet hours, hand-overs and maintenance while a clock is changed.

In the night to Sunday 25 October 2026 Berlin's clock goes back at 01:00Z (UTC+2 to UTC+1); on Sunday 8 March New York's goes forward at
07:00Z (UTC-5 to UTC-4). Kuala Lumpur is UTC+8 all year. The lists are written by hand.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec import structs

from alerts.dues import Scene
from alerts.incident import Incident, Stamp
from alerts.notice import IncidentGroup
from alerts.telling import tell
from floorwatch.settings.load import loads
from floorwatch.settings.policies import routing_policy
from streams.models.timestamps import parse_rfc3339_ms
from tests.alerts.machine import opened

CONFIG = """
alerts:
  channels:
    {ops: {type: console}, anna: {type: console}, ben: {type: console},
     mei: {type: console}, arif: {type: console}, boss: {type: console}}
  people:
    anna: {channels: {page: [anna], warn: [ops]}}
    ben: {channels: {page: [ben], warn: [ops]}}
    mei: {channels: {page: [mei], warn: [ops]}}
    arif: {channels: {page: [arif], warn: [ops]}}
    boss: {channels: [boss]}
  schedules:
    ber:
      zone: Europe/Berlin
      layers:
        - {people: [anna, ben], start: 2026-10-19T09:00, turn: 1d}
        - {people: [ben], start: 2026-10-19T00:00, turn: 1w, only: [{days: [sat, sun]}]}
    nyc: {zone: America/New_York, layers: [{people: [anna, ben], start: 2026-03-02T09:00, turn: 1d}]}
    kul: {zone: Asia/Kuala_Lumpur, layers: [{people: [mei, arif], start: 2026-03-02T08:00, turn: 12h}]}
  escalations:
    ber: {tiers: [{notify: [schedule:ber], ack_within: 30m}, {notify: [person:boss], ack_within: 1h}]}
    nyc: {tiers: [{notify: [schedule:nyc], ack_within: 30m}, {notify: [person:boss], ack_within: 1h}]}
    kul: {tiers: [{notify: [schedule:kul], ack_within: 30m}, {notify: [schedule:kul], ack_within: 1h}]}
  calendars:
    ber-nights: {zone: Europe/Berlin, times: [{from: "22:00", to: "07:00"}]}
    nyc-nights: {zone: America/New_York, times: [{from: "22:00", to: "07:00"}]}
    kul-nights: {zone: Asia/Kuala_Lumpur, times: [{from: "22:00", to: "07:00"}]}
  maintenance:
    - {name: move, match: [site=kul], from: 2026-10-21T10:00, to: 2026-10-21T12:00, zone: Asia/Kuala_Lumpur}
  routes:
    default: [ops]
    ber: {escalation: ber, group_by: [queue], group_interval: 0s, quiet: [ber-nights], quiet_except: [page]}
    nyc: {escalation: nyc, group_by: [queue], group_interval: 0s, quiet: [nyc-nights], quiet_except: [page]}
    kul: {escalation: kul, group_by: [queue], group_interval: 0s, quiet: [kul-nights], quiet_except: [page]}
  routing:
    - {match: [site=ber], route: ber}
    - {match: [site=nyc], route: nyc}
    - {match: [site=kul], route: kul}
"""
TICK_MS = 5 * 60_000
_OVER_MS = 24 * 3_600_000


class Case(NamedTuple):
    """An incident: when it opens, its site and severity, when it is acknowledged or ends, and who is told when, by which channel."""

    opens: str
    site: str
    severity: str
    over: str
    told: tuple[str, ...]


OCTOBER = (
    # Monday noon in Berlin; nobody acknowledges within half an hour.
    Case("19T10:00", "ber", "warn", "", ("19T10:00 anna ops", "19T10:30 boss boss")),
    # 05:00: a warning waits for 07:00, a page does not.
    Case("20T03:00", "ber", "warn", "", ("20T05:00 anna ops", "20T05:30 boss boss")),
    Case("20T03:00", "ber", "page", "ack 20T03:10", ("20T03:00 anna anna",)),
    # 08:55: the turn ends at 09:00, and the step after it is the boss's.
    Case("21T06:55", "ber", "page", "", ("21T06:55 ben ben", "21T07:25 boss boss")),
    # 06:50: held for ten minutes, then acknowledged.
    Case("21T04:50", "ber", "warn", "ack 21T05:05", ("21T05:00 ben ops",)),
    # Ended within the night: nobody hears of it.
    Case("22T21:00", "ber", "warn", "end 23T03:00", ()),
    # Saturday 23:30 to Sunday 07:00, which is 06:00Z now: an hour longer than other nights.
    Case("24T21:30", "ber", "warn", "ack 25T06:10", ("25T06:00 ben ops",)),
    # 02:30, twice.
    Case("25T00:30", "ber", "page", "ack 25T00:40", ("25T00:30 ben ben",)),
    Case("25T01:30", "ber", "page", "ack 25T01:40", ("25T01:30 ben ben",)),
    # 06:30 of the new time is still night, 21:30 is not night yet.
    Case("25T05:30", "ber", "warn", "ack 25T06:05", ("25T06:00 ben ops",)),
    Case("25T20:30", "ber", "warn", "ack 25T20:40", ("25T20:30 ben ops",)),
    # Monday 00:30: the weekend is over, and Sunday's turn goes on until 09:00, which is 08:00Z now.
    Case("25T23:30", "ber", "page", "ack 25T23:40", ("25T23:30 anna anna",)),
    Case("26T07:30", "ber", "warn", "ack 26T07:40", ("26T07:30 anna ops",)),
    Case("26T08:05", "ber", "warn", "ack 26T08:10", ("26T08:05 ben ops",)),
    # 19:50 in Kuala Lumpur: the step after the hand-over at 20:00 is told to who is on duty then.
    Case("19T11:50", "kul", "page", "", ("19T11:50 mei mei", "19T12:20 arif arif")),
    # 23:00 there until 07:00.
    Case("20T15:00", "kul", "warn", "", ("20T23:00 arif ops", "20T23:30 arif ops")),
    Case("20T16:00", "kul", "page", "ack 20T16:10", ("20T16:00 arif arif",)),
    Case("20T14:30", "kul", "warn", "end 20T20:00", ()),
    # Nobody is told while the site moves, from 10:00 to 12:00 there.
    Case("21T02:30", "kul", "page", "ack 21T04:10", ("21T04:00 mei mei",)),
    Case("21T02:30", "kul", "page", "end 21T03:30", ()),
    # Berlin's clock is of no matter there: 07:10 on Monday.
    Case("25T23:10", "kul", "warn", "ack 25T23:20", ("25T23:10 arif ops",)),
)
MARCH = (
    # Friday 21:30 in New York.
    Case("07T02:30", "nyc", "warn", "ack 07T02:40", ("07T02:30 anna ops",)),
    # 01:30 before the clock goes forward; the night ends at 07:00, which is 11:00Z now: an hour shorter.
    Case("08T06:30", "nyc", "page", "ack 08T06:40", ("08T06:30 ben ben",)),
    Case("08T06:30", "nyc", "warn", "ack 08T11:05", ("08T11:00 ben ops",)),
    Case("08T11:30", "nyc", "warn", "ack 08T11:40", ("08T11:30 ben ops",)),
    # 08:55 and 09:05 of the new time.
    Case("08T12:55", "nyc", "page", "", ("08T12:55 ben ben", "08T13:25 boss boss")),
    Case("08T13:05", "nyc", "warn", "ack 08T13:10", ("08T13:05 anna ops",)),
    # 22:10, which was 21:10.
    Case("09T02:10", "nyc", "warn", "", ("09T11:00 anna ops", "09T11:30 boss boss")),
    Case("09T13:00", "nyc", "warn", "ack 09T13:10", ("09T13:00 ben ops",)),
    Case("08T14:30", "kul", "warn", "ack 08T23:10", ("08T23:00 arif ops",)),
)
WEEKS = {
    "Berlin back": ("2026-10-", "19", "27", OCTOBER),
    "New York forward": ("2026-03-", "06", "10", MARCH),
}


def told_of(month: str, first: str, last: str, cases: tuple[Case, ...]) -> list[set[str]]:
    """Return who is told of each case, tick by tick, as the cases are written."""

    def ms(text: str) -> int:
        return parse_rfc3339_ms(f"{month}{text}:00Z")

    scene = Scene(routing_policy(loads(CONFIG, {}, name="week.yaml", base=Path())))
    fresh = structs.replace(opened(), told_people=(), announced=False, groups=(), timer_ms=None, contributors=())
    groups: dict[str, IncidentGroup] = {}
    now: dict[str, Incident] = {}
    found: list[set[str]] = [set() for _ in cases]
    start_ms = ms(f"{first}T00:00")
    for tick, at_ms in enumerate(range(start_ms, ms(f"{last}T00:00"), TICK_MS)):
        for number, case in enumerate(cases):
            key, opens_ms = f"incident-{number}", ms(case.opens)
            what, _, over = case.over.partition(" ")
            if at_ms == opens_ms:
                scope = {"site": case.site, "queue": f"q{number}"}
                scope_key = ",".join(f"{name}={value}" for name, value in scope.items())
                now[key] = structs.replace(fresh, key=key, scope=scope, scope_key=scope_key, severity=case.severity)
            if over and at_ms == ms(over):
                now[key] = structs.replace(now[key], state="acknowledged" if what == "ack" else "resolved")
            if at_ms == opens_ms + _OVER_MS:
                del now[key]
        told = tell(scene, list(now.values()), groups, at_ms, Stamp(0, tick))
        assert not told.faults
        now |= told.incidents
        groups |= told.groups
        at = f"{int(first) + tick // 288:02}T{tick % 288 // 12:02}:{tick % 12 * 5:02}"
        for notice in told.notices:
            for key, step in notice.members:
                assert step.startswith(("open", "escalated"))
                for to in notice.targets:
                    said = f"{at} {to.receiver.removeprefix('person:')} {' '.join(to.channels)}"
                    number = int(key.removeprefix("incident-"))
                    assert said not in found[number]
                    found[number].add(said)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("week", WEEKS)
def test_a_week_on_call_tells_whom_the_list_names_and_nobody_else(week: str) -> None:
    cases = WEEKS[week][3]
    found = told_of(*WEEKS[week])
    wrong = {case: sorted(told) for case, told in zip(cases, found, strict=True) if told != {*case.told}}
    assert wrong == {}
