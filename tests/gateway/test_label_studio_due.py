"""Due times of tasks: with a zone as they are, without one in the configured zone, also where clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from gateway.sources.label_studio.due import BadDueTime, due_time
from gateway.sources.label_studio.settings import LabelStudioSettings
from tests.gateway.harness import fixture
from tests.gateway.test_label_studio import Tool


@pytest.mark.parametrize(
    ("said", "zone", "instant"),
    [
        ("2026-11-23T18:00:00", "Asia/Kuala_Lumpur", "2026-11-23T10:00:00"),
        ("2026-11-23 18:00", "Asia/Kolkata", "2026-11-23T12:30:00"),
        ("2026-11-23T18:00:00.5", "UTC", "2026-11-23T18:00:00.500000"),
        ("2026-01-15T12:00", "America/New_York", "2026-01-15T17:00:00"),
        ("2026-07-15T12:00", "America/New_York", "2026-07-15T16:00:00"),
        # Clocks went from 02:00 to 03:00: 02:30 was left out. By the clock before it is 07:30 UTC, 03:30 in the new time.
        ("2026-03-08T02:30", "America/New_York", "2026-03-08T07:30:00"),
        ("2026-03-29T02:30", "Europe/Berlin", "2026-03-29T01:30:00"),
        # Clocks went from 02:00 back to 01:00: 01:30 was there twice. The first is still in summer time.
        ("2026-11-01T01:30", "America/New_York", "2026-11-01T05:30:00"),
        ("2026-10-25T02:30", "Europe/Berlin", "2026-10-25T00:30:00"),
    ],
)
def test_a_local_due_time_is_in_the_configured_zone(said: str, zone: str, instant: str) -> None:
    assert due_time(said, zone) == datetime.fromisoformat(instant).replace(tzinfo=UTC)


@pytest.mark.parametrize("zone", [None, "Asia/Tokyo"])
def test_a_zone_of_its_own_counts_before_the_configured_one(zone: str | None) -> None:
    assert due_time("2026-11-23T08:00:00+04:00", zone).isoformat() == "2026-11-23T08:00:00+04:00"
    assert due_time("2026-11-23t08:00:00z", zone) == datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "zone", "reason"),
    [
        ("tomorrow", "UTC", "no time of a day"),
        ("2026-02-30T18:00:00", "UTC", "no calendar has"),
        ("2026-11-23T25:00", "UTC", "no calendar has"),
        ("2026-11-23", "UTC", "no time of a day"),
        ("20261123", "UTC", "no time of a day"),
        ("2026-W48-1", "UTC", "no time of a day"),
        ("2026-11-23T18:00:00", None, "gateway.label_studio.due_zone"),
        ("9999-12-31T23:59:59", "America/New_York", "end of the calendar"),
        ("0001-01-01T00:00:00", "Asia/Tokyo", "end of the calendar"),
    ],
)
def test_what_is_no_due_time_says_why(said: str, zone: str | None, reason: str) -> None:
    with pytest.raises(BadDueTime, match=reason):
        due_time(said, zone)


def test_tasks_with_local_due_times_are_due_in_the_zone_and_without_one_are_told() -> None:
    hook = fixture("0003")
    hook["tasks"] = hook["tasks"][:2]
    hook["tasks"][0]["data"]["due_at"] = "2026-11-23T18:00"
    hook["tasks"][1]["data"]["due_at"] = "2026-11-23"
    tool = Tool(LabelStudioSettings(due_zone="Asia/Kuala_Lumpur"))
    first, second = tool.says(hook)
    assert (first.data.due_at, second.data.due_at) == (datetime(2026, 11, 23, 10, tzinfo=UTC), None)
    (problem,) = tool.problems
    assert (problem.code, problem.field) == ("wrong_time", "$.tasks[1].data.due_at")
    unset = Tool(LabelStudioSettings())
    first, second = unset.says(hook)
    assert (first.data.due_at, second.data.due_at) == (None, None)
    assert "gateway.label_studio.due_zone" in unset.problems[0].reason


def test_a_zone_that_is_none_is_refused_with_what_was_meant() -> None:
    with pytest.raises(ValidationError, match='there is no time zone "MYT"'):
        LabelStudioSettings(due_zone="MYT")
