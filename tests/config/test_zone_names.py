"""What is suggested for a text that is not a time zone is right or nothing."""

from __future__ import annotations

import zoneinfo

import pytest

from config.tables import TableSettings
from config.zone_names import _LOCAL, _PLACES, hint
from floorwatch.cli.table import zone_notes
from floorwatch.simulate.config import SITES


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("MYT", "Asia/Kuala_Lumpur"),
        ("myt", "Asia/Kuala_Lumpur"),
        ("PHT", "Asia/Manila"),
        ("COT", "America/Bogota"),
        ("IST", "Europe/Dublin or Asia/Jerusalem or Asia/Kolkata"),
        ("PST", "America/Los_Angeles or Asia/Manila"),
        ("NZDT", "Pacific/Auckland"),
        ("Kuala Lumpur", "Asia/Kuala_Lumpur"),
        ("asia/manila", "Asia/Manila"),
        ("Asia/Kuala_Lumper", "Asia/Kuala_Lumpur"),
        ("Lisboa", "Europe/Lisbon"),
        ("Asia/KL", "Asia/Kuala_Lumpur"),
        ("America/NY", "America/New_York"),
        ("America/LA", "America/Los_Angeles"),
        ("Asia/Kuala", "Asia/Kuala_Lumpur"),
        ("asia/kuala lumpor", "Asia/Kuala_Lumpur"),
        ("Europe/Lisboa", "Europe/Lisbon"),
        ("Aisa/Manila", "Asia/Manila"),
    ],
)
def test_what_was_meant(text: str, meant: str) -> None:
    assert hint(text) == f"did you mean {meant}?"


NOTHING = (
    "XYZ",
    "MZT",
    "Asia/XY",
    "Asia/Ka",
    "Asia/Springfield",
    "KUL",
    "Foo/Bar",
    "",
    "Malaysia/KL",
    "UTC+25",
    "Etc/GMT-8x",
)


@pytest.mark.parametrize("text", NOTHING)
def test_nothing_rather_than_something_wrong(text: str) -> None:
    assert hint(text) == "use an IANA name such as Asia/Kuala_Lumpur"


@pytest.mark.parametrize("text", ["UTC+8", "+08:00", "gmt+8"])
def test_an_offset_is_a_place_with_it(text: str) -> None:
    assert hint(text).startswith("write a place with that offset, such as Asia/Kuala_Lumpur or Asia/Singapore")


def test_all_that_is_suggested_exists() -> None:
    suggested = {*_PLACES, *(place for places in _LOCAL.values() for place in places)}
    assert suggested <= zoneinfo.available_timezones()


def test_the_simulated_sites_have_zones() -> None:
    assert {site.name for site in SITES} == set(TableSettings().zones)


def test_sites_without_a_zone_are_told_where_a_day_is_shown() -> None:
    rows = [{"scope": {"site": name}} for name in ("KUL", "MNL", "")] + [{"scope": {}}]
    (said,) = zone_notes(rows, "day", TableSettings())
    assert said.startswith("no time zone is configured for MNL: their day is that of UTC.")
    assert zone_notes(rows, "1h", TableSettings()) == []
    assert zone_notes(rows[:1], "day", TableSettings()) == []
    many = [{"scope": {"site": f"S{number}"}} for number in range(9)]
    assert "S0, S1, S2, S3, S4 and 4 more" in zone_notes(many, "shift", TableSettings())[0]
