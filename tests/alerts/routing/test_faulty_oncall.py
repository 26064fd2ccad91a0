"""Faulty people, schedules, escalations, calendars, quiet hours, maintenance: each has a place, a reason, and a hint."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.oncall.duty import on_duty
from alerts.oncall.policy import RotaFacts
from config.errors import ConfigErrors
from config.nodes import read_yaml
from floorwatch.settings.load import loads
from floorwatch.settings.policies import routing_policy
from streams.models.timestamps import parse_rfc3339_ms

GOLDEN = Path(__file__).parent / "golden" / "faulty_oncall.txt"
HEAD = """  channels: {ops: {type: console}, sms: {type: console}}
  routes: {default: [ops], lead: {notify: [schedule:lead], escalation: lead}, calm: {notify: [ops], quiet: [nights], mute: [holidays]}}
"""
PEOPLE = "  people: {mei: {channels: {page: [sms, ops], warn: [ops]}}, arif: {channels: [sms]}}\n"
SCHEDULE = "  schedules: {lead: {zone: Asia/Kuala_Lumpur, layers: [{people: [mei, arif], start: 2026-11-30T09:00, turn: 1w}]}}\n"
ESCALATION = (
    "  escalations: {lead: {tiers: [{notify: [schedule:lead], ack_within: 15m}, {notify: [ops], ack_within: 15m}]}}\n"
)
CALENDARS = """  calendars:
    nights: {zone: Asia/Kuala_Lumpur, times: [{days: [mon-fri], from: "22:00", to: "07:00"}]}
    holidays: {zone: Asia/Kuala_Lumpur, ical: holidays}
"""
MAINTENANCE = """  maintenance:
    - {name: move, match: [site=kul], from: 2026-12-05T01:00+08:00, to: 2026-12-05T05:00+08:00}
    - {name: backup, match: [queue=hate], calendar: nights}
"""
WHOLE = HEAD + PEOPLE + SCHEDULE + ESCALATION + CALENDARS + MAINTENANCE
_MOVE = "from: 2026-12-05T01:00+08:00, to: 2026-12-05T05:00+08:00"

FAULTY: dict[str, tuple[str, str]] = {
    "a route that tells a person that there is not": ("[schedule:lead], escalation", "[person:may], escalation"),
    "a route that tells a schedule that there is not": ("[schedule:lead], escalation", "[schedule:leed], escalation"),
    "a person named as if a channel": ("[schedule:lead], escalation", "[mei], escalation"),
    "a receiver without a name": ("[schedule:lead], escalation", '["person:"], escalation'),
    "an escalation that there is not": ("escalation: lead}", "escalation: leads}"),
    "a route that tells nobody": ("{notify: [schedule:lead], escalation: lead}", "{group_by: [vendor]}"),
    "a route that is one word": ("default: [ops]", "default: ops"),
    "a setting of a route that there is not": ("escalation: lead}", "escalate: lead}"),
    "groups by what no incident has": ("escalation: lead}", "escalation: lead, group_by: [vendro]}"),
    "a wait without a unit that there is": ("escalation: lead}", "escalation: lead, group_wait: 90x}"),
    "a wait that is too long": ("escalation: lead}", "escalation: lead, group_wait: 1d}"),
    "a zone of a route that there is not": ("escalation: lead}", "escalation: lead, zone: MYT}"),
    "a person without channels": ("arif: {channels: [sms]}", "arif: {}"),
    "a person with no channels": ("arif: {channels: [sms]}", "arif: {channels: []}"),
    "a person's channel that there is not": ("arif: {channels: [sms]}", "arif: {channels: [phone]}"),
    "a person's severity that there is not": ("arif: {channels: [sms]}", "arif: {channels: {critical: [sms]}}"),
    "a person whose name has a space": ("arif: {channels: [sms]}", "arif: {channels: [sms]}, ann lee: {channels: [sms]}"),
    "two people of one name": ("arif: {channels: [sms]}", "arif: {name: Mei, channels: [sms]}"),
    "a zone of a schedule that there is not": ("zone: Asia/Kuala_Lumpur", "zone: Asia/Kuala_Lumpor"),
    "a schedule without a zone": ("zone: Asia/Kuala_Lumpur, ", ""),
    "a schedule that names nobody": ("layers: [{people: [mei, arif], start: 2026-11-30T09:00, turn: 1w}]", "layers: []"),
    "a schedule of people that there are not": ("people: [mei, arif]", "people: [mei, arfi]"),
    "a layer without people": ("people: [mei, arif]", "people: []"),
    "a person who is a number": ("people: [mei, arif]", "people: [mei, 7]"),
    "a layer without a start": ("start: 2026-11-30T09:00, ", ""),
    "a layer without a turn": (", turn: 1w", ""),
    "a step without a time": ("{notify: [ops], ack_within: 15m}", "{notify: [ops]}"),
    "an override without an end": ("turn: 1w}]", "turn: 1w}], overrides: [{person: mei, from: 2026-12-24T09:00}]"),
    "a start with an offset": ("start: 2026-11-30T09:00", 'start: "2026-11-30T09:00+08:00"'),
    "a start without a time": ("start: 2026-11-30T09:00", "start: 2026-11-30"),
    "a start on a day that there is not": ("start: 2026-11-30T09:00", "start: 2026-11-31T09:00"),
    "a turn of half an hour": ("turn: 1w", "turn: 30m"),
    "a turn in words": ("turn: 1w", "turn: weekly"),
    "a day that there is not": ("turn: 1w", "turn: 1w, only: [{days: [monday-friday]}]"),
    "days that are a number": ("turn: 1w", "turn: 1w, only: [{days: [1]}]"),
    "no days at all": ("turn: 1w", "turn: 1w, only: [{days: []}]"),
    "a time without quotes that old readers take for a number": ("turn: 1w", "turn: 1w, only: [{from: 540, to: 18:00}]"),
    "a time of twelve hours": ("turn: 1w", "turn: 1w, only: [{from: 9pm, to: 23:00}]"),
    "a time with one digit": ("turn: 1w", 'turn: 1w, only: [{from: "9:00", to: "18:00"}]'),
    "a time of no length": ("turn: 1w", 'turn: 1w, only: [{from: "09:00", to: "09:00"}]'),
    "a person whose turns are all outside of only": (
        "turn: 1w",
        'turn: 12h, only: [{days: [mon-fri], from: "09:00", to: "18:00"}]',
    ),
    "a layer that never names anybody": (
        "turn: 1w}]",
        "turn: 1w}, {people: [arif], start: 2026-11-30T09:00, turn: 1d}]",
    ),
    "an override that ends before it begins": (
        "turn: 1w}]",
        "turn: 1w}], overrides: [{person: mei, from: 2026-12-24T09:00, to: 2026-12-23T09:00}]",
    ),
    "an override by somebody unknown": (
        "turn: 1w}]",
        "turn: 1w}], overrides: [{person: ann, from: 2026-12-24T09:00, to: 2026-12-25T09:00}]",
    ),
    "a calendar's name for somebody unknown": ("turn: 1w}]", "turn: 1w}], known_as: {Ann Lee: ann}"),
    "a property that names nobody": ("turn: 1w}]", "turn: 1w}], ical: rota, person_from: title"),
    "an escalation without steps": (
        "tiers: [{notify: [schedule:lead], ack_within: 15m}, {notify: [ops], ack_within: 15m}]",
        "tiers: []",
    ),
    "a step that tells nobody": ("{notify: [ops], ack_within", "{notify: [], ack_within"),
    "a step that tells somebody unknown": ("{notify: [ops], ack_within", "{notify: [person:ann], ack_within"),
    "a step that tells one twice": ("{notify: [ops], ack_within", "{notify: [ops, channel:ops], ack_within"),
    "a step that waits for a second": ("{notify: [ops], ack_within: 15m", "{notify: [ops], ack_within: 1s"),
    "steps without end": ("ack_within: 15m}]}", "ack_within: 15m}], repeat: 20}"),
    "a calendar that there is not": ("quiet: [nights]", "quiet: [night]"),
    "quiet hours that are always": ('{days: [mon-fri], from: "22:00", to: "07:00"}', "{}"),
    "a mute time of words": ("mute: [holidays]", "mute: holidays"),
    "severities that are excepted from nothing": ("quiet: [nights]", "quiet_except: [page]"),
    "a severity that there is not in quiet hours": ("quiet: [nights]", "quiet: [nights], quiet_except: [critical]"),
    "a page in a digest": ("quiet: [nights]", 'quiet: [nights], zone: UTC, digest: {at: "09:00", severities: [page]}'),
    "a digest without a zone": ("quiet: [nights]", 'quiet: [nights], digest: {at: "09:00"}'),
    "a digest without a time": ("quiet: [nights]", "quiet: [nights], zone: UTC, digest: {severities: [info]}"),
    "a digest of nothing": ("quiet: [nights]", 'quiet: [nights], zone: UTC, digest: {at: "09:00", severities: []}'),
    "told again all the time": ("quiet: [nights]", "quiet: [nights], renotify: 10s"),
    "a calendar that is never on": ('times: [{days: [mon-fri], from: "22:00", to: "07:00"}]', "times: []"),
    "a calendar without a zone": ("nights: {zone: Asia/Kuala_Lumpur, ", "nights: {"),
    "a time that there is not": ('from: "22:00"', 'from: "25:00"'),
    "a time without a colon": ('from: "22:00"', "from: 2200"),
    "an end of the day as a begin": ('from: "22:00"', 'from: "24:00"'),
    "maintenance that ends before it begins": (_MOVE, "from: 2026-12-05T05:00+08:00, to: 2026-12-05T01:00+08:00"),
    "maintenance by a clock of nowhere": (_MOVE, "from: 2026-12-05T01:00, to: 2026-12-05T05:00+08:00"),
    "maintenance without an end": (_MOVE, "from: 2026-12-05T01:00+08:00"),
    "maintenance without a time": (f", {_MOVE}", ""),
    "maintenance once and by a calendar": (_MOVE, f"{_MOVE}, calendar: nights"),
    "maintenance by a calendar that there is not": ("calendar: nights", "calendar: nightly"),
    "maintenance of everything": ("match: [site=kul]", "match: []"),
    "maintenance of what no incident has": ("match: [site=kul]", "match: [city=kul]"),
    "maintenance of a rule that there is not": ("match: [site=kul]", "match: [rule=accuracy-low-vender]"),
    "maintenance of what excludes itself": ("match: [site=kul]", "match: [site=kul, site=pen]"),
    "maintenance without a name": ("{name: move, ", "{"),
    "two maintenance windows of one name": ("name: backup", "name: move"),
    "maintenance on a date alone": (_MOVE, "from: 2026-12-05, to: 2026-12-05T05:00+08:00"),
}  # fmt: skip

EVENING = """  calendars:
    days: {zone: Asia/Kuala_Lumpur, times: [{from: "07:00", to: "22:00"}]}
    dusk: {zone: Asia/Tokyo, times: [{from: "21:00", to: "08:30"}]}
    weekdays: {zone: Asia/Kuala_Lumpur, times: [{days: [mon-fri]}]}
    weekends: {zone: Asia/Kuala_Lumpur, times: [{days: [sat, sun]}]}
"""
_ROUTES = "  channels: {ops: {type: console}}\n  routes: {default: {notify: [ops]"
FOR_EVER = {
    "mute times that leave nothing of the week": f"{_ROUTES}, mute: [weekdays, weekends]}}}}\n{EVENING}",
    "mute times in two zones that leave nothing": f"{_ROUTES}, mute: [days, dusk]}}}}\n{EVENING}",
    "mute time and quiet hours that leave nothing": f"{_ROUTES}, mute: [weekdays], quiet: [weekends]}}}}\n{EVENING}",
    "maintenance of everything all the time": f"{_ROUTES}}}}}\n{EVENING.replace('[mon-fri]', '[mon-sun]')}"
    "  maintenance:\n    - {name: all, match: ['severity=~.*', 'vendor=~.*'], calendar: weekdays}\n",
    "maintenance of everything by turns": f"{_ROUTES}}}}}\n{EVENING}"
    "  maintenance:\n    - {name: week, match: ['severity=~page|warn|info'], calendar: weekdays}\n"
    "    - {name: pages, match: [severity=page], calendar: weekends}\n"
    "    - {name: rest, match: [severity!=page, 'kind=~.+'], calendar: weekends}\n",
}
"""Files that would silence everything for ever, each though no calendar of theirs is on all the time."""

_BY_DAY, _BY_ZONE, _BOTH, _ALL, _BY_TURNS = FOR_EVER.values()
LEAVES_TIME = {
    "an hour of the week": _BY_DAY.replace("{days: [mon-fri]}", "{days: [mon-fri], to: '23:00'}"),
    "an hour of each day": _BY_ZONE.replace('"08:30"', '"07:30"'),
    "pages in quiet hours": _BOTH.replace("quiet: [weekends]", "quiet: [weekends], quiet_except: [page]"),
    "a vendor": _ALL.replace("vendor=~.*", "vendor!~bpo-a"),
    "one severity": _BY_TURNS.replace("page|warn|info", "page|warn"),
    "a kind": _BY_TURNS.replace("kind=~.+", "kind!=rushing"),
}


def loaded(text: str) -> None:
    loads(f"alerts:\n{text}", {}, name="f.yaml", base=Path(), channels="built")


def test_what_would_silence_everything_for_ever_is_refused() -> None:
    said = []
    for name, text in FOR_EVER.items():
        with pytest.raises(ConfigErrors) as caught:
            loaded(text)
        (error,) = caught.value.errors
        assert error.line > 1, name
        said.append((error.reason, error.hint))
    at, so = "alerts.routes.default", "together are on all the time, so nothing would ever be told here"
    one, every = "remove one of them, or shorten it", "every incident all the time, so nothing would ever be told"
    assert said == [
        (f"{at}.mute[1]: calendars weekdays and weekends {so}", one),
        (f"{at}.mute[1]: calendars days and dusk {so}", one),
        (f"{at}.quiet[0]: calendars weekdays and weekends {so}", one),
        (f"alerts.maintenance[0].match: it holds {every}", "let match fit less, or shorten weekdays"),
        (
            f"alerts.maintenance[2].match: week and pages and rest together hold {every}",
            "let match fit less, or shorten weekdays or weekends",
        ),
    ]


@pytest.mark.parametrize("name", LEAVES_TIME)
def test_what_leaves_some_time_or_some_incidents_is_taken(name: str) -> None:
    loaded(LEAVES_TIME[name])


def test_a_clock_that_is_changed_in_summer_opens_a_gap() -> None:
    text = _BY_ZONE.replace("Asia/Tokyo", "Europe/Lisbon")
    night = text.replace('from: "21:00", to: "08:30"', 'from: "14:00", to: "23:00"')  # 14:00 to 23:00 UTC, in winter
    loaded(night)
    with pytest.raises(ConfigErrors):
        loaded(night.replace('to: "23:00"', 'to: "24:00"').replace('from: "14:00"', 'from: "13:00"'))


def test_the_whole_file_has_no_fault() -> None:
    loads("alerts:\n" + WHOLE, {}, name="f.yaml", base=Path(), channels="built")


def rendered(name: str) -> str:
    """Return what is said of a faulty file: one fault, with its place and a hint."""
    before, after = FAULTY[name]
    assert before in WHOLE
    with pytest.raises(ConfigErrors) as caught:
        loads("alerts:\n" + WHOLE.replace(before, after, 1), {}, name="f.yaml", base=Path(), channels="built")
    assert len(caught.value.errors) == 1, caught.value.render()
    (error,) = caught.value.errors
    assert error.line > 1
    assert error.column > 0
    assert error.hint
    return f"# {name}\n{error.render()}"


@pytest.mark.parametrize("name", FAULTY)
def test_each_fault_has_a_place_a_reason_and_a_hint(name: str) -> None:
    said = rendered(name)
    if not os.environ.get("FLOORWATCH_UPDATE_GOLDEN"):
        assert f"{said}\n\n" in GOLDEN.read_text(encoding="utf-8")


def test_what_is_said_of_all_of_them() -> None:
    text = "".join(f"{rendered(name)}\n\n" for name in FAULTY)
    if os.environ.get("FLOORWATCH_UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3000),
    st.text(max_size=6),
    st.just([]),
    st.just({}),
    st.just(float("1e300")),
)
TIMES = st.sampled_from(
    ["09:00", "24:00", "7:00", "00:00", "2026-11-30T09:00", "2026-11-30T09:00+08:00", "9999-12-31T23:59"]
)
NAMES = st.sampled_from(["ops", "mei", "lead", "nights", "person:mei", "schedule:lead", "x", "a b"])
LENGTHS = st.sampled_from(["1w", "12h", "23h", "0.5w", "999w", "1h", "5m", "0", "300d"])
LEAF = st.one_of(
    ODD, TIMES, NAMES, LENGTHS, st.sampled_from(["UTC", "Asia/Kuala_Lumpur", "page", "warn", "mon-fri", "site=kul"])
)
VALUES = st.one_of(LEAF, st.lists(LEAF, max_size=3), st.dictionaries(NAMES, LEAF, max_size=2))


def group(*names: str) -> st.SearchStrategy[Any]:
    return st.one_of(VALUES, st.fixed_dictionaries({}, optional=dict.fromkeys(names, VALUES)))


def weekly() -> st.SearchStrategy[Any]:
    return st.lists(group("days", "from", "to"), max_size=2)


WEEKLY = st.fixed_dictionaries(
    {},
    optional={
        "days": st.lists(st.sampled_from(["mon", "sat-mon", "mon-fri", "x"]), max_size=2),
        "from": st.sampled_from(["09:00", "00:00", "24:00"]),
        "to": st.sampled_from(["09:00", "00:00", "24:00"]),
    },
)
STARTS = st.sampled_from(["2026-11-30T09:00", "2026-11-29T21:30", "2026-03-29T02:30"])
TURNS = st.sampled_from(["1w", "12h", "23h", "1h", "300d"])
GOOD = st.fixed_dictionaries(
    {"people": st.lists(st.sampled_from(["mei", "arif", "x"]), min_size=1, max_size=3), "start": STARTS, "turn": TURNS},
    optional={"only": st.lists(WEEKLY, max_size=2)},
)
BAD = st.fixed_dictionaries(
    {"people": st.lists(NAMES, max_size=3), "start": TIMES, "turn": LENGTHS}, optional={"only": weekly()}
)
LAYER = st.one_of(GOOD, GOOD, BAD)
SECTIONS = {
    "people": group("name", "zone", "channels"),
    "schedules": st.fixed_dictionaries(
        {"zone": st.sampled_from(["UTC", "Asia/Kuala_Lumpur", "x"]), "layers": st.lists(LAYER, max_size=3)},
        optional={"ical": VALUES, "known_as": VALUES, "overrides": st.lists(group("person", "from", "to"), max_size=2)},
    ),
    "escalations": st.fixed_dictionaries(
        {"tiers": st.lists(group("notify", "ack_within"), max_size=3)}, optional={"repeat": VALUES}
    ),
    "calendars": st.fixed_dictionaries(
        {"zone": st.sampled_from(["UTC", "x"])}, optional={"times": weekly(), "ical": VALUES}
    ),
    "routes": group(
        "notify", "escalation", "mute", "quiet", "quiet_except", "digest", "renotify", "group_wait", "zone"
    ),
}


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(st.sets(st.sampled_from([*SECTIONS, "maintenance"]), min_size=1, max_size=2), st.data())
def test_anything_is_a_configuration_or_has_faults_with_places(changed: set[str], data: st.DataObject) -> None:
    alerts = read_yaml("alerts:\n" + WHOLE).data["alerts"]
    for name in sorted(changed):
        if name == "maintenance":
            alerts[name] = data.draw(st.lists(group("name", "match", "from", "to", "zone", "calendar"), max_size=2))
        else:
            alerts[name] |= data.draw(st.dictionaries(NAMES, SECTIONS[name], max_size=2))
    try:
        config = loads(json.dumps({"alerts": alerts}), {}, name="f.yaml", base=Path())
    except ConfigErrors as errors:
        assert all(error.line > 0 for error in errors.errors), errors.render()
    else:
        policy = routing_policy(config)
        for schedule in policy.schedules.values():
            on_duty(schedule, RotaFacts(), parse_rfc3339_ms("2026-12-05T03:00:00Z"))
