"""``floorwatch oncall``: what it shows in the reader's zone, and what it refuses before anything is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import floorwatch.cli.oncall
import floorwatch.cli.plans
from alerts.codec import encode_input
from alerts.incident import Override
from alerts.oncall.ical import occurrences
from alerts.oncall.kept import PLANS, SHOWN, Plan, plan_key
from floorwatch.cli import build
from streams.models.timestamps import parse_rfc3339_ms
from tests.alerts.rows import NOW_MS
from tests.embedded.test_oncall import ICS, SETTINGS
from tests.redis_clients import blocking_client

HOUR_MS = 3_600_000
TUESDAY_9_MS = parse_rfc3339_ms("2026-11-24T09:00:00+08:00")


class Stack:
    """Redis with what a worker would write there; what is put on the log is known at once."""

    def __init__(self, url: str) -> None:
        self._url, self.put = url, list[Plan]()

    def know(self, *plans: Plan) -> None:
        client = blocking_client(self._url)
        client.hset(f"floorwatch:{PLANS}", mapping={SHOWN: b"", **{plan_key(one): encode_input(one) for one in plans}})
        client.close()

    async def written(self, _settings: Any, given: Plan, _journal: Any) -> str:
        self.put.append(given)
        self.know(given)
        return "signals.v1[0] offset 0"


@pytest.fixture
def here(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Stack:
    client = blocking_client(redis_url)
    client.flushall()
    client.close()
    for name, value in {"REDIS__URL": redis_url, "KAFKA__BROKERS": "127.0.0.1:1", **SETTINGS}.items():
        monkeypatch.setenv(f"FLOORWATCH_{name}", value)
    made = Stack(redis_url)
    monkeypatch.setattr(floorwatch.cli.plans, "put", made.written)
    for module in (floorwatch.cli.oncall, floorwatch.cli.plans):
        monkeypatch.setattr(module, "now_ms", lambda: NOW_MS)
    return made


def run(*line: str, **more: Any) -> Result:
    return CliRunner().invoke(build("oncall"), ["oncall", *line], env={"COLUMNS": "200"}, **more)


def test_now_is_of_the_readers_zone_with_gaps_named(here: Stack) -> None:
    alone = run("now")
    assert "No worker has written yet what is planned, so this is by the configuration alone." in alone.output
    here.know(Override("o", "pen", "arif", NOW_MS - HOUR_MS, NOW_MS + HOUR_MS, "ann", NOW_MS))
    done = run("now", "--zone", "Asia/Kuala_Lumpur")
    assert (done.exit_code, done.stdout.splitlines()) == (
        0,
        [
            "kul: mei (layer 1)",
            "pen: arif until Mon 23 Nov 19:02 UTC+8 (override o by ann)",
            "  then NOBODY (gap)",
        ],
    )
    records = [json.loads(line) for line in run("now", "--json").stdout.splitlines()]
    assert [(one["schedule"], one["to"], [who["person"] for who in one["duty"]]) for one in records[1:]] == [
        ("pen", "2026-11-23T11:02:00.000Z", ["arif"]),
        ("pen", "2026-12-24T10:02:00.000Z", []),
    ]


def test_show_tells_each_span_and_how_long_nobody_is(here: Stack) -> None:
    here.know(Override("o", "pen", "arif", NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS, "ann", NOW_MS))
    done = run("show", "pen", "--to", "2026-11-23T13:02:00Z")
    assert done.stdout.splitlines() == [
        "pen (its zone: Asia/Kuala_Lumpur); nobody for 2 h",
        "  from                  to                    on duty       by",
        "  Mon 23 Nov 10:02 UTC  Mon 23 Nov 11:02 UTC  NOBODY (gap)",
        "  Mon 23 Nov 11:02 UTC  Mon 23 Nov 12:02 UTC  arif          override o by ann",
        "  Mon 23 Nov 12:02 UTC  Mon 23 Nov 13:02 UTC  NOBODY (gap)",
    ]


def test_times_of_another_year_name_it(here: Stack) -> None:
    begin = parse_rfc3339_ms("2026-12-31T23:00:00Z")
    here.know(Override("o", "pen", "arif", begin, begin + 2 * HOUR_MS, "ann", NOW_MS))
    span = ("--from", "2026-12-31T22:00:00Z", "--to", "2027-01-01T03:00:00Z")
    lines = run("show", "pen", *span).stdout.splitlines()[2:]
    assert [[part.strip() for part in line.split("  ") if part][:2] for line in lines] == [
        ["Thu 31 Dec 22:00 UTC", "Thu 31 Dec 23:00 UTC"],
        ["Thu 31 Dec 23:00 UTC", "Fri 1 Jan 2027 01:00 UTC"],
        ["Fri 1 Jan 2027 01:00 UTC", "Fri 1 Jan 2027 03:00 UTC"],
    ]
    shown = run("show", "pen", *span, "--zone", "Asia/Kuala_Lumpur").stdout
    assert "  Fri 1 Jan 2027 06:00 UTC+8" in shown  # it is the next year there already


def test_an_override_is_put_on_the_log_once_and_says_when_it_is_in_force(here: Stack) -> None:
    here.know()
    line = ("override", "kul", "--person", "arif", "--by", "ann", "--zone", "Asia/Kuala_Lumpur")
    done = run(*line, "--from", "2026-11-24T09:00", "--to", "2026-11-24T17:00", "--id", "swap")
    assert done.exit_code == 0, done.output
    assert done.stdout == (
        "override swap of schedule kul: arif will be on duty, from Tue 24 Nov 09:00 UTC+8 until Tue 24 Nov 17:00 UTC+8\n"
    )
    (made,) = here.put
    assert made == Override("swap", "kul", "arif", TUESDAY_9_MS, TUESDAY_9_MS + 8 * HOUR_MS, "ann", NOW_MS)


def test_an_override_that_does_not_count_is_told_as_that(here: Stack) -> None:
    here.know(Override("late", "kul", "mei", NOW_MS, NOW_MS + HOUR_MS, "bob", NOW_MS + 1))
    done = run("override", "kul", "--person", "arif", "--for", "30m", "--id", "swap", "--by", "ann")
    assert done.exit_code == 1
    assert (
        "override swap is known, and does not count: somebody has made a later one: on duty is mei (schedule kul, "
        "override late by bob)" in done.output
    )


def test_a_calendar_is_imported_once_and_its_strangers_are_told(here: Stack, tmp_path: Path) -> None:
    here.know()
    (tmp_path / "pen.ics").write_text(ICS.replace("Mei Tan", "Lee"))
    done = run("import", "pen-rota", str(tmp_path / "pen.ics"))
    assert done.exit_code == 0, done.output
    assert (
        'warning: schedule pen names "Lee", who is nobody in alerts.people, so their turns are told as a gap'
        in done.output
    )
    assert "line 12: " in done.output
    assert f"{tmp_path / 'pen.ics'}: 1 of its 2 events left out, the others count" in done.output
    assert run("import", "pen-rota", "-", input=ICS.replace("Mei Tan", "Lee")).stdout == (
        "pen-rota is known as it is; nothing was written\n"
    )
    assert len(here.put) == 1
    assert run("import", "pen-rota", "-", input=ICS).exit_code == 0
    assert [one.__class__.__name__ for one in here.put] == ["Calendar", "Calendar"]


def test_a_calendar_of_which_no_event_counts_leaves_the_one_in_force(here: Stack) -> None:
    here.know()
    assert run("import", "pen-rota", "-", input=ICS).exit_code == 0
    broken = ICS.replace("SUMMARY:", "COMMENT:")
    done = run("import", "pen-rota", "-", input=broken)
    assert (done.exit_code, done.stdout) == (1, "")
    said = done.stderr.splitlines()
    assert [line.partition(":")[2].split(":")[0] for line in said[:-1]] == [" line 3", " line 12"]
    assert said[-1] == (
        "-: none of its 2 events counts, so nothing was written; mend it, or take it all the same with --force"
    )
    empty = run("import", "pen-rota", "-", input="BEGIN:VCALENDAR\nVERSION:2.0\nEND:VCALENDAR\n")
    assert (empty.exit_code, "-: it has no event, so nothing was written" in empty.stderr) == (1, True)
    assert len(here.put) == 1
    forced = run("import", "pen-rota", "-", "--force", input=broken)
    assert (forced.exit_code, len(here.put)) == (0, 2), forced.output
    assert "pen: NOBODY (gap)" in forced.stdout
    assert run("import", "pen-rota", "-", input=broken).stdout == "pen-rota is known as it is; nothing was written\n"


def test_an_export_is_icalendar_that_names_the_same_people(here: Stack) -> None:
    here.know(Override("o", "pen", "arif", NOW_MS, NOW_MS + HOUR_MS, "ann", NOW_MS))
    done = run("export", "pen", "--to", "2026-11-24T10:00:00Z")
    raw = done.stdout_bytes
    assert raw.count(b"\n") == raw.count(b"\r\n") > 5
    found = occurrences(raw.decode(), "UTC", NOW_MS, NOW_MS + HOUR_MS, person_from="summary")
    assert [(one.from_ms, one.to_ms, one.people) for one in found] == [(NOW_MS, NOW_MS + HOUR_MS, ("arif",))]


def test_plans_that_cannot_be_read_are_told(here: Stack, redis_url: str) -> None:
    here.know()
    client = blocking_client(redis_url)
    client.hset(f"floorwatch:{PLANS}", "override/o", b"{")
    client.close()
    done = run("now")
    assert (done.exit_code, "floorwatch:plans in Redis cannot be read" in done.output) == (1, True)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("show kull", "there is no schedule kull; did you mean kul? Use one of kul, pen"),
        ("show --from 2026-11-24T00:00 --to 2026-11-23T00:00", "write an end after the begin, at most 366 days later"),
        ("show --to 2028-01-01T00:00", "at most 366 days later"),
        ("export kull", "there is no schedule kull"),
        ("override kull --person mei --for 1h", "there is no schedule kull"),
        ("override kul --person mai --for 1h", "there is no such person in alerts.people; did you mean mei?"),
        ("override kul --for 1h", "name a SCHEDULE and who takes it"),
        ("override kul --person mei", "say when it ends with --to, or how long it is with --for"),
        (
            "override kul --person mei --from 2026-11-24T09:00 --to 2026-11-24T08:00",
            "Tue 24 Nov 08:00 UTC is not after",
        ),
        (
            "override kul --person mei --to 2026-11-22T08:00 --from 2026-11-21T08:00",
            "is over; it is Mon 23 Nov 10:02 UTC",
        ),
        ("override kul --person mei --for 400d", "the override is longer than 366 days"),
        ("override --remove x --for 1h", "--remove ID needs nothing else"),
        ("override --remove swop", "there is no override swop; did you mean swap? Use one of swap"),
        ("import pen-rot FILE", "no schedule or calendar has ical: pen-rot; did you mean pen-rota?"),
        ("import pen-rota nowhere.ics", "nowhere.ics: No such file or directory; name an iCalendar file"),
        ("import pen-rota PAGE", "this is a web page, not a calendar; use the secret address in iCalendar format"),
        ("import pen-rota BINARY", "it is no text in UTF-8; export the calendar as iCalendar"),
    ],
)
def test_what_cannot_be_is_refused_with_a_hint_and_nothing_is_written(
    line: str, said: str, here: Stack, tmp_path: Path
) -> None:
    here.know(Override("swap", "kul", "arif", NOW_MS, NOW_MS + HOUR_MS, "ann", NOW_MS))
    (tmp_path / "page.html").write_text("<!doctype html>")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    names = {"PAGE": str(tmp_path / "page.html"), "BINARY": str(tmp_path / "binary")}
    done = run(*(names.get(part, part) for part in line.split()), "--zone", "UTC")
    assert (done.exit_code, said in done.output) == (2, True), done.output
    assert here.put == []


def test_without_schedules_it_says_where_they_are_written(here: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    here.know()
    monkeypatch.setenv("FLOORWATCH_ALERTS__SCHEDULES", "{}")
    monkeypatch.setenv("FLOORWATCH_ALERTS__ROUTES", '{"default": ["console"]}')
    done = run("now")
    assert (done.exit_code, "there are no schedules; write alerts.schedules" in done.output) == (2, True)
