"""``floorwatch maintenance add``: what it refuses and warns of before anything is written."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

import floorwatch.cli.maintenance
from alerts.incident import Maintenance
from floorwatch.cli import build
from tests.alerts.oncall.test_oncall_command import HOUR_MS, Stack, here
from tests.alerts.rows import NOW_MS

__all__ = ["here"]  # the fixture


@pytest.fixture(autouse=True)
def _now(here: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floorwatch.cli.maintenance, "now_ms", lambda: NOW_MS)


def add(*line: str) -> Any:
    words = ["maintenance", "add", "--match", "vendor=bpo-a", "--by", "ann", "--zone", "Asia/Kuala_Lumpur", *line]
    return CliRunner().invoke(build("maintenance"), words, env={"COLUMNS": "200"})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--for 32d", "--for: the window is longer than 31 days"),
        ("--for 5w", "--for: the window is longer than 31 days"),
        ("--to 2026-12-31T10:00", "--to: the window is longer than 31 days"),
        (
            "--from 2027-01-01T09:00 --to 2026-12-31T23:00",
            "--to: Thu 31 Dec 2026 23:00 UTC+8 is not after the begin, Fri 1 Jan 2027 09:00 UTC+8",
        ),
        ("--from 2120-12-03T22:00 --for 1h", "--from: Tue 3 Dec 2120 22:00 UTC+8 is more than a year ahead"),
        ("--for 1h --match kind=accuracy_lo", '--match: there is no kind "accuracy_lo"; did you mean accuracy_low?'),
        (
            "--for 1h --match rule=accuracy-low-floo",
            '--match: there is no rule "accuracy-low-floo"; did you mean accuracy-low-floor?',
        ),
        ("--for 1h --id a/../b", "--id: cannot stand in an address"),
        ("--for 1h --id a\u202eb", "--id: holds U+202E (right-to-left override) at character 2"),
        (
            "--for 1h --match queue=\u202ea",
            "--match: 'queue=\\u202ea' holds U+202E (right-to-left override) at character 7",
        ),
    ],
)
def test_what_cannot_be_meant_is_told_by_its_own_option(line: str, said: str, here: Stack) -> None:
    here.know()
    done = add(*line.split())
    assert (done.exit_code, said in done.output) == (2, True), done.output
    assert here.put == []


def test_the_same_again_and_another_of_the_same_incidents_are_told(here: Stack) -> None:
    window = Maintenance("mine", ("vendor=bpo-a",), NOW_MS, NOW_MS + HOUR_MS, "ann", NOW_MS - 1)
    here.know(window)
    again = add("--for", "1h", "--id", "mine")
    assert (again.exit_code, here.put) == (0, []), again.output
    assert again.stdout == (
        "maintenance mine (vendor=bpo-a) is on, until Mon 23 Nov 19:02 UTC+8 already; nothing was written\n"
    )
    other = add("--for", "2h")
    assert (other.exit_code, len(here.put)) == (0, 1), other.output
    assert (
        "maintenance mine (vendor=bpo-a) is on, until Mon 23 Nov 19:02 UTC+8 and holds the same; this one comes besides it "
        "(--id mine changes it)" in other.stderr
    )
    next_year = add("--for", "1h", "--from", "2027-01-01T07:30")
    assert "is planned from Fri 1 Jan 2027 07:30 UTC+8 to Fri 1 Jan 2027 08:30 UTC+8" in next_year.stdout
    assert "holds the same" not in next_year.stderr
    assert "holds the same" not in add("--for", "3h", "--match", "queue=hate").stderr
