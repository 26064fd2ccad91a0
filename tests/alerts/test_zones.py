"""Messages show times where their readers are: a channel's zone, else its route's, else UTC, always named."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from pydantic import SecretStr

from alerts.channels.message import message_for, short_message
from alerts.escape import HTML
from alerts.incident import Notify
from alerts.message.compose import compose
from alerts.message.model import Reader
from alerts.notifier import Notifier
from alerts.outbox import Lease
from alerts.outgoing import Notification, decode_notification, encode_notification, in_zone, notification
from alerts.routes import RoutingSettings, zone_of
from alerts.settings.channels import ConsoleSettings, WebhookSettings
from alerts.settings.people import PersonSettings
from alerts.settings.routes import RoutingEntrySettings
from config.errors import ConfigErrors
from floorwatch.settings.load import loads
from streams.core.formatting import instant, times_in
from tests.alerts.machine import opened

KUL, LIS, KATHMANDU = "Asia/Kuala_Lumpur", "Europe/Lisbon", "Asia/Kathmandu"
EVIDENCE = "accuracy 88% over 512 audits in the last 1h; evidence 210,000 : 1 (bar 140,000) since Sun 22 Nov 20:30 UTC"
_ANY_TIME = re.compile(r"\d\d:\d\d(?::\d\d)?(?! UTC)")


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def note() -> Notification:
    incident = structs.replace(opened(), evidence=EVIDENCE)
    return notification(Notify("k:open", "open", "default", incident, also=("lead",)))


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("UTC", "Sun 22 Nov 20:30 UTC"),
        (KUL, "Mon 23 Nov 04:30 UTC+8"),
        (KATHMANDU, "Mon 23 Nov 02:15 UTC+5:45"),
        ("America/St_Johns", "Sun 22 Nov 17:00 UTC-3:30"),
        (LIS, "Sun 22 Nov 20:30 UTC"),
        ("Nowhere/Else", "Sun 22 Nov 20:30 UTC"),
    ],
)
def test_an_instant_names_its_offset(zone: str, said: str) -> None:
    assert instant(ms("2026-11-22T20:30:00Z"), zone=zone) == said


def test_the_two_hours_of_an_autumn_night_are_told_apart() -> None:
    first, second = ms("2026-10-25T00:30:00Z"), ms("2026-10-25T01:30:00Z")
    assert [instant(at, zone=LIS) for at in (first, second)] == ["Sun 25 Oct 01:30 UTC+1", "Sun 25 Oct 01:30 UTC"]


@given(
    st.integers(ms("2024-01-01T00:00:00Z") // 1000, ms("2030-01-01T00:00:00Z") // 1000),
    st.integers(-180, 180),
    st.sampled_from([KUL, LIS, KATHMANDU, "America/New_York", "Pacific/Auckland", "UTC"]),
    st.booleans(),
)
def test_times_in_a_text_are_those_instants_elsewhere(at_s: int, days: int, zone: str, seconds: bool) -> None:
    at_ms = at_s * 1000
    said = f"since {instant(at_ms, seconds=seconds)}, and on"
    kept_ms = at_ms if seconds else at_ms - at_ms % 60_000
    expected = f"since {instant(kept_ms, seconds=seconds, zone=zone)}, and on"
    assert times_in(said, zone, at_ms + days * 86_400_000) == expected
    there = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
    assert f"{there:%H:%M}" in expected


@pytest.mark.parametrize("name", ["Mon 31 Feb 10:00 UTC", "Mon 3 Nov 10:00 UTC+8", "10:00 UTC", "Mon 3 Nov 99:99 UTC"])
def test_what_is_no_instant_of_ours_stays(name: str) -> None:
    with_years = "Thu 31 Dec 2026 20:30 UTC and Tue 3 Dec 2120 14:00 UTC"
    assert (
        times_in(with_years, KUL, ms("2026-11-22T20:30:00Z"))
        == "Fri 1 Jan 2027 04:30 UTC+8 and Tue 3 Dec 2120 22:00 UTC+8"
    )
    assert times_in(name, KUL, ms("2026-11-22T20:30:00Z")) == name


def test_every_time_of_a_message_is_the_readers() -> None:
    there = in_zone(note(), KUL)
    message = compose(note(), Reader(KUL))
    for said in (there.title, message_for(there, HTML).title, message.title, short_message(there, 300).body):
        assert "since 17:03 UTC+8" in said
    assert any("since Mon 23 Nov 04:30 UTC+8" in line for line in message.details)
    every = "\n".join((message.title, *message.lines, *message.details, there.body))
    assert not _ANY_TIME.search(every.replace("UTC+8", " UTC").replace("  UTC", " UTC"))
    assert there.incident == note().incident  # what programs read stays UTC
    assert in_zone(note(), "UTC") == note()
    assert decode_notification(encode_notification(there)) == there
    unreadable = structs.replace(note(), incident={})
    assert in_zone(unreadable, KUL) == unreadable


def test_a_channels_zone_comes_before_its_routes() -> None:
    settings = RoutingSettings(
        channels={
            "ops": ConsoleSettings(type="console"),
            "ana": WebhookSettings(type="webhook", url=SecretStr("https://a.example"), zone=LIS),
            "bo": ConsoleSettings(type="console"),
        },
        routes={"default": ("ops", "ana"), "lead": ("bo",), "other": ("bo",)},
        route_zones={"default": KUL, "other": KATHMANDU},
    )
    zone = zone_of(settings)
    assert [zone(note(), name) for name in ("ops", "ana", "bo", "gone")] == [KUL, LIS, KATHMANDU, "UTC"]
    assert zone(structs.replace(note(), route="removed", also=()), "ops") == KUL


@pytest.mark.parametrize("route", ["default", "kul", "lis"])
@pytest.mark.parametrize("entry", [(), (RoutingEntrySettings(match=("vendor=bpo-a",), route="kul"),)])
def test_a_channel_has_one_zone_by_whichever_route_a_message_comes(route: str, entry: tuple[Any, ...]) -> None:
    """A default route without a zone gave UTC, and another route UTC+8, on one phone."""
    settings = RoutingSettings(
        channels={name: ConsoleSettings(type="console") for name in ("ops", "desk", "crew")},
        routes={"default": ("ops", "crew"), "kul": ("ops",), "lis": ("ops", "desk")},
        route_zones={"kul": KUL, "lis": LIS},
        people={name: PersonSettings(zone=KATHMANDU, channels={"warn": ("crew", "ops")}) for name in ("mei", "ana")},
        routing=entry,
    )
    zone = zone_of(settings)
    found = [zone(structs.replace(note(), route=route, also=()), name) for name in ("ops", "desk", "crew")]
    assert found == [KUL, LIS, KATHMANDU]


class _Channel:
    idempotent = True

    def __init__(self, name: str) -> None:
        self.name = name
        self.got: list[Notification] = []

    async def send(self, given: Notification, _key: str) -> None:
        self.got.append(given)

    async def close(self) -> None:
        return None


class _Outbox:
    async def sent(self, _lease: Lease, _ref: str = "") -> bool:
        return True


def test_each_channel_gets_it_in_its_own_zone() -> None:
    channels = {name: _Channel(name) for name in ("ops", "ana")}
    zones = {"ops": "UTC", "ana": KUL}
    notifier = Notifier(cast("Any", _Outbox()), channels, lambda _: channels, zone_of=lambda _, name: zones[name])

    async def deliver() -> None:
        for name, channel in channels.items():
            await notifier.deliver(Lease("k:open", name, "t", note(), 1), channel)

    asyncio.run(deliver())
    assert channels["ops"].got[0].title.endswith("since 09:03 UTC")
    assert channels["ana"].got[0].title.endswith("since 17:03 UTC+8")


@pytest.mark.parametrize(
    ("text", "line", "said", "fix"),
    [
        ("  channels: {ops: {type: console, zone: MYT}}\n  routes: {default: [ops]}", 2, "MYT", KUL),
        (
            "  channels: {ops: {type: console}}\n  routes: {default: [ops]}\n  route_zones: {default: UTC+8}",
            4,
            "UTC+8",
            KUL,
        ),
        ("  route_zones: {led: Asia/Kuala_Lumpur}", 2, "there is no route led", "default"),
    ],
)
def test_a_zone_that_there_is_not_is_told_with_its_place(text: str, line: int, said: str, fix: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loads(f"alerts:\n{text}\n", {}, name="f.yaml", base=Path())
    (error,) = caught.value.errors
    assert (error.line, said in error.reason, fix in (error.hint or "")) == (line, True, True)


def test_zones_are_read_from_the_configuration() -> None:
    text = "alerts:\n  channels: {ops: {type: console, zone: Asia/Kuala_Lumpur}}\n  routes: {default: [ops]}\n"
    assert loads(text, {}, name="f.yaml", base=Path()).alerts.channels["ops"].zone == KUL
