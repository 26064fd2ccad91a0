"""People, schedules and escalations of a file, as the pure machines take them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import SecretStr

from alerts.incident import Override
from alerts.oncall.policy import CalendarPolicy, RotaLayer, SchedulePolicy, WeeklyTimes
from alerts.routes import RoutingSettings, build_channels, channel_zones, zone_of
from alerts.routing.policy import EscalationPolicy, MaintenancePolicy, Matcher, PersonPolicy, RoutePolicy, TierPolicy
from alerts.settings.channels import ConsoleSettings, WebhookSettings
from alerts.settings.names import receiver_of
from alerts.settings.people import PersonSettings
from alerts.settings.route import RouteSettings
from alerts.settings.times import DAYS, WEEK_MIN, WeeklySettings, minutes_of_week
from config.errors import ConfigErrors
from floorwatch.settings.load import loads
from floorwatch.settings.policies import routing_policy
from floorwatch.settings.render import show
from floorwatch.settings.route_review import route_warnings
from floorwatch.settings.schema import FloorwatchConfig
from floorwatch.web.serve import zones
from streams.models.timestamps import parse_rfc3339_ms as ms
from tests.alerts.test_zones import note

KUL, BERLIN = "Asia/Kuala_Lumpur", "Europe/Berlin"
MINUTE = 60_000
CONFIG = """
alerts:
  channels: {ops: {type: console}, sms: {type: console}, desk: {type: console}}
  group_wait_s: 30s
  route_zones: {default: Europe/Berlin}
  routes:
    default: [ops, person:mei]
    lead:
      notify: [schedule:kul-lead, channel:desk]
      escalation: kul
      group_by: [vendor, kind]
      group_wait: 90s
      group_interval: 10m
      renotify: 4h
      mute: [holidays]
      quiet: [nights, weekends]
      quiet_except: [page]
      digest: {at: 09:30, severities: [warn, info]}
      zone: Asia/Kuala_Lumpur
  people:
    mei: {name: Mei Tan, zone: Asia/Kuala_Lumpur, channels: {page: [sms, ops], warn: [ops]}}
    arif: {channels: [ops]}
  schedules:
    kul-lead:
      zone: Asia/Kuala_Lumpur
      layers:
        - {people: [mei, arif], start: 2026-11-30T09:00, turn: 1w}
        - {people: [arif], start: 2026-11-30 21:00, turn: 12h, only: [{days: [fri-mon, wed], from: "21:00", to: "09:00"}]}
      overrides:
        - {person: arif, from: 2026-12-24T09:00, to: 2026-12-26T09:00}
        - {person: mei, from: 2026-12-25T09:00+01:00, to: 2026-12-25T12:00Z}
      ical: rota
      person_from: attendee
      known_as: {Azrul: arif}
  escalations:
    kul: {tiers: [{notify: [schedule:kul-lead], ack_within: 10m}, {notify: [person:mei, ops], ack_within: 1h}], repeat: 2}
  calendars:
    nights: {zone: Asia/Kuala_Lumpur, times: [{from: 22:00, to: 07:00}]}
    weekends: {zone: Europe/Berlin, times: [{days: [sat, sun]}], ical: bridges}
    holidays: {zone: Asia/Kuala_Lumpur, ical: holidays}
  maintenance:
    - {name: move, match: [site=kul, "queue=~a|b"], from: 2026-12-05T01:00+08:00, to: 2026-12-05 05:00+08:00}
    - {name: berlin, match: [site=ber], from: 2026-03-29T01:00, to: 2026-03-29T04:00, zone: Europe/Berlin}
    - {name: backup, match: [queue=hate], calendar: nights}
  rules:
    - {name: a, kind: accuracy_low, scope: {by: vendor}, window: 8h, severity: page, route: lead}
"""


def config_of(text: str = CONFIG) -> FloorwatchConfig:
    return loads(text, {}, name="f.yaml", base=Path(), channels="built")


def test_a_file_becomes_the_policy() -> None:
    policy = routing_policy(config_of())
    assert policy.routes == {
        "default": RoutePolicy("default", ("channel:ops", "person:mei"), group_wait_ms=30_000, zone=BERLIN),
        "lead": RoutePolicy(
            "lead",
            ("schedule:kul-lead", "channel:desk"),
            escalation="kul",
            group_by=("vendor", "kind"),
            group_wait_ms=90_000,
            group_interval_ms=600_000,
            renotify_ms=240 * MINUTE,
            mute=("holidays",),
            quiet=("nights", "weekends"),
            quiet_except=("page",),
            digest_at_min=570,
            digest_severities=("warn", "info"),
            zone=KUL,
        ),
    }
    assert policy.people == {
        "mei": PersonPolicy("mei", KUL, {"page": ("sms", "ops"), "warn": ("ops",)}),
        "arif": PersonPolicy("arif", "UTC", {"warn": ("ops",)}),
    }
    by = "the configuration"
    at = [("2026-12-24T09:00:00+08:00", "2026-12-26T09:00:00+08:00"), ("2026-12-25T08:00:00Z", "2026-12-25T12:00:00Z")]
    assert policy.schedules == {
        "kul-lead": SchedulePolicy(
            "kul-lead",
            KUL,
            (
                RotaLayer(("mei", "arif"), "2026-11-30T09:00", 168),
                RotaLayer(("arif",), "2026-11-30T21:00", 12, (WeeklyTimes((0, 2, 4, 5, 6), 1260, 540),)),
            ),
            (
                Override("kul-lead-1", "kul-lead", "arif", ms(at[0][0]), ms(at[0][1]), by, 1),
                Override("kul-lead-2", "kul-lead", "mei", ms(at[1][0]), ms(at[1][1]), by, 2),
            ),
            "rota",
            "attendee",
            {"mei": "mei", "arif": "arif", "Mei Tan": "mei", "Azrul": "arif"},
        )
    }
    tiers = (
        TierPolicy(("schedule:kul-lead",), 10 * MINUTE),
        TierPolicy(("person:mei", "channel:ops"), 60 * MINUTE),
    )
    assert policy.escalations == {"kul": EscalationPolicy("kul", tiers, 2)}
    assert policy.calendars == {
        "nights": CalendarPolicy("nights", KUL, (WeeklyTimes(tuple(range(7)), 1320, 420),)),
        "weekends": CalendarPolicy("weekends", BERLIN, (WeeklyTimes((5, 6)),), "bridges"),
        "holidays": CalendarPolicy("holidays", KUL, (), "holidays"),
    }
    site, queue = Matcher("site", "=", "kul"), Matcher("queue", "=~", "a|b")
    berlin = (ms("2026-03-29T00:00:00Z"), ms("2026-03-29T02:00:00Z"))  # the clock goes forward in between
    assert policy.maintenance == (
        MaintenancePolicy("move", (site, queue), ms("2026-12-04T17:00:00Z"), ms("2026-12-04T21:00:00Z")),
        MaintenancePolicy("berlin", (Matcher("site", "=", "ber"),), *berlin),
        MaintenancePolicy("backup", (Matcher("queue", "=", "hate"),), calendar="nights"),
    )


def test_the_environment_may_say_a_route_as_a_list_or_whole() -> None:
    env = {"FLOORWATCH_ALERTS__ROUTES__DEFAULT": "desk, person:mei"}
    config = loads(CONFIG, env, name="f.yaml", base=Path())
    assert routing_policy(config).routes["default"].notify == ("channel:desk", "person:mei")
    env = {"FLOORWATCH_ALERTS__ROUTES__LEAD__GROUP_INTERVAL": "1h"}
    config = loads(CONFIG, env, name="f.yaml", base=Path())
    assert routing_policy(config).routes["lead"].group_interval_ms == 60 * MINUTE


def test_what_nothing_uses_is_a_warning() -> None:
    assert [one for one in route_warnings(config_of()) if "route" not in one.partition(":")[0]] == []
    unused = CONFIG.replace("escalation: kul", "escalation: kul2").replace(
        "  escalations:\n", "  escalations:\n    kul2: {tiers: [{notify: [ops], ack_within: 10m}]}\n"
    )
    assert "alerts.escalations.kul: no route takes this escalation; name it in a route, or remove it" in route_warnings(
        config_of(unused)
    )
    unused = unused.replace("schedule:kul-lead, ", "")
    said = route_warnings(config_of(unused))
    assert any(one.startswith("alerts.schedules.kul-lead: nobody is told by this schedule") for one in said)
    assert not any(one.startswith("alerts.people.") for one in said)  # the schedule's calendar may name anybody
    said = route_warnings(config_of(unused.replace("      ical: rota\n", "").replace(", arif]", "]")))
    assert not any(one.startswith("alerts.people.") for one in said)
    lonely = unused.replace(
        "    arif: {channels: [ops]}\n", "    arif: {channels: [ops]}\n    ann: {channels: [ops]}\n"
    )
    said = route_warnings(config_of(lonely.replace("      ical: rota\n", "")))
    assert [one for one in said if one.startswith("alerts.people.")] == [
        "alerts.people.ann: nothing tells this person; name them in a route, a schedule or an escalation, or remove them"
    ]


def test_a_calendar_that_nothing_takes_is_a_warning() -> None:
    text = CONFIG.replace("quiet: [nights, weekends]", "quiet: [nights]")
    said = "alerts.calendars.weekends: nothing takes this calendar; name it in a route or in maintenance, or remove it"
    assert said in route_warnings(config_of(text))


def test_a_rule_of_which_nobody_is_ever_told_is_a_warning() -> None:
    rule = "  rules:\n    - {name: vendor-sla, kind: sla_attainment, scope: {by: vendor}, window: 1h, target: 0.9, severity: warn}\n"
    silent = """  channels: {ops: {type: console}}
  routes: {default: {notify: [ops], mute: [weekends], quiet: [nights], quiet_except: [page]}}
  calendars:
    nights: {zone: UTC, times: [{from: "18:00", to: "09:00"}]}
    weekends: {zone: UTC, times: [{days: [sat, sun]}]}
    days: {zone: UTC, times: [{days: [mon-fri], from: "09:00", to: "18:00"}]}
  maintenance:
    - {name: vendors, match: ["vendor=~.+", "severity!=info"], calendar: days}
"""
    said = [one for one in route_warnings(config_of(f"alerts:\n{silent}{rule}")) if one.startswith("alerts.rules")]
    assert said == [
        (
            "alerts.rules: nobody is ever told of vendor-sla, because this is on all the time: maintenance vendors, "
            "mute: [weekends] of route default, quiet: [nights] of route default; shorten one of these times"
        )
    ]
    for before, after in (
        ("severity: warn}", "severity: page}"),  # told by night
        ("{by: vendor}", "{by: queue}"),
        ('"vendor=~.+"', '"vendor=~bpo-.+"'),
        ('"18:00"}]}\n  maint', '"17:00"}]}\n  maint'),
    ):
        assert before in silent + rule
        text = f"alerts:\n{silent}{rule}".replace(before, after)
        assert not [one for one in route_warnings(config_of(text)) if one.startswith("alerts.rules")], before


def test_quiet_hours_that_are_always_may_except_a_severity() -> None:
    config_of(CONFIG.replace("[{from: 22:00, to: 07:00}]", "[{}]"))
    with pytest.raises(ConfigErrors, match="nothing would ever be told here"):
        config_of(
            CONFIG.replace("[{from: 22:00, to: 07:00}]", "[{}]").replace("quiet_except: [page]", "quiet_except: []")
        )


def test_what_is_shown_of_a_configuration_is_read_back_as_the_same() -> None:
    shown = json.dumps(show(config_of()))
    assert routing_policy(config_of(shown)) == routing_policy(config_of())


def test_a_route_uses_the_channels_of_everybody_whom_it_may_tell() -> None:
    alerts = config_of().alerts
    assert set(alerts.channels_of_route("lead")) == {"desk", "ops", "sms"}
    assert alerts.channels_of_route("gone") == ()
    only = CONFIG.replace("default: [ops, person:mei]", "default: [person:arif]")
    assert config_of(only).alerts.channels_of_route("default") == ("ops",)


def test_a_route_whose_people_cannot_be_reached_is_a_fault() -> None:
    broken = WebhookSettings(type="webhook", url=SecretStr("nonsense"))
    settings = RoutingSettings(
        channels={"ops": ConsoleSettings(type="console"), "phone": broken},
        routes={"default": ("ops",), "mei": ("person:mei",)},
        people={"mei": PersonSettings(channels={"warn": ("phone",)})},
    )
    faults = build_channels(settings, lambda: 0).faults
    assert [fault.field for fault in faults] == [("channels", "phone", "url"), ("routes", "mei")]


def test_a_phone_belongs_to_a_person_and_shows_times_there() -> None:
    settings = RoutingSettings(
        channels={name: ConsoleSettings(type="console") for name in ("ops", "mei", "both", "shared")},
        routes={"default": RouteSettings(notify=("ops", "person:mei", "shared"), zone=BERLIN)},
        people={
            "mei": PersonSettings(zone=KUL, channels={"page": ("mei", "both"), "warn": ("shared",)}),
            "ann": PersonSettings(zone=BERLIN, channels={"warn": ("both",)}),
        },
    )
    assert channel_zones(settings) == {"ops": BERLIN, "mei": KUL, "both": BERLIN, "shared": BERLIN}
    zone, of_receiver = zone_of(settings), zones(settings)
    assert [zone(note(), name) for name in ("ops", "mei", "both", "shared", "gone")] == [
        BERLIN,
        KUL,
        BERLIN,
        BERLIN,
        "UTC",
    ]
    assert [of_receiver(name) for name in ("channel:ops", "mei", "both", "gone")] == [BERLIN, KUL, BERLIN, "UTC"]


@pytest.mark.parametrize(
    ("days", "begin", "to", "spans"),
    [
        (("mon",), "00:00", "24:00", [(0, 1440)]),
        (("sun",), "22:00", "07:00", [(WEEK_MIN - 120, WEEK_MIN), (0, 420)]),
        (("sat-mon",), "01:00", "02:00", [(60, 120), (7260, 7320), (8700, 8760)]),
    ],
)
def test_a_time_of_the_week_is_its_minutes(
    days: tuple[str, ...], begin: str, to: str, spans: list[tuple[int, int]]
) -> None:
    times = WeeklySettings(days=days, begin=begin, to=to).policy()
    assert sorted(minutes_of_week((times,))) == sorted(spans)


def test_a_run_of_days_goes_over_the_end_of_the_week() -> None:
    assert WeeklySettings(days=("Fri - mon",)).policy().days == (0, 4, 5, 6)
    assert WeeklySettings().policy() == WeeklyTimes(tuple(range(7)), 0, 1440)
    assert len(DAYS) == 7


@pytest.mark.parametrize("text", ["ops", "a:b", "channel:ops", "person:mei", "schedule:x:y"])
def test_a_receiver_says_its_kind(text: str) -> None:
    found = receiver_of(text)
    assert found == (text if text.startswith(("channel:", "person:", "schedule:")) else f"channel:{text}")
    assert receiver_of(found) == found
