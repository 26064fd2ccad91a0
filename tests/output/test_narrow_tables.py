"""Tables in narrow windows: headings break between words, never in one; what is left out is named."""

from __future__ import annotations

import io
import os
import re
from types import SimpleNamespace

import pytest

from floorwatch.analysis.rca.answer import RootCause
from floorwatch.analysis.rca.findings import PartFinding, change_of
from floorwatch.cli import incidents
from floorwatch.cli.explain import cut_table
from floorwatch.cli.forecast import forecast_table
from floorwatch.cli.table_as_of import diff_table
from floorwatch.cli.table_text import COLUMNS, SPARE
from floorwatch.output.terminal import DataConsole, DataTable, aligned
from streams.core.rca.ratio_tally import RatioTally

LONGEST = {"95% interval": "100.0% – 100.0%", "oldest open": "123.4 min", "turn-around p90": "59.9 min"}


def shown(table: DataTable, width: int) -> str:
    out = io.StringIO()
    DataConsole(file=out, width=width).print(table)
    return out.getvalue()


def rows_of(name: str) -> DataTable:
    table = DataTable(name)
    table.add_names("scope")
    table.add_numbers(*(heading for heading, _ in COLUMNS[name]), spare=SPARE[name])
    for scope in ("inhouse", "bog-bpo-a-01", "a name that is so long that it takes several lines"):
        table.add_row(scope, *(LONGEST.get(heading, "100.0%") for heading, _ in COLUMNS[name]))
    return table


def words_of(text: str) -> set[str]:
    return set(re.findall(r"[^\s│┃]+", text))


@pytest.mark.parametrize("width", [60, 72, 80, 90, 100, 120, 160])
@pytest.mark.parametrize("name", list(COLUMNS))
def test_no_heading_and_no_number_is_broken_in_a_word(name: str, width: int) -> None:
    text = shown(rows_of(name), width)
    assert max(map(len, text.splitlines())) <= width
    left_out = re.findall(r"Too narrow for: (.*?)\.\s", text.replace("\n", " "))
    hidden = {heading for heading in SPARE[name] if left_out and heading in left_out[0]}
    wanted = {word for heading, _ in COLUMNS[name] if heading not in hidden for word in heading.split()}
    assert wanted <= words_of(text), text
    assert {"inhouse", "100.0%"} <= words_of(text), text


def test_a_wide_window_shows_all_in_its_lines() -> None:
    text = shown(rows_of("accuracy"), 140)
    assert "Too narrow" not in text
    assert "│ bog-bpo-a-01" in text


def test_other_tables_too() -> None:
    empty = {"open_by_due": [], "overdue": 0, "tasks_per_hour": None, "basis": "unknown", "breach_at": None}
    row = {
        "scope": {"queue": "q"},
        "watermark": "2026-12-01T18:05:00Z",
        "forecast": {**empty, "shortfall": None, "spare": None},
    }
    forecast = forecast_table([row])
    headings = [str(column.header) for column in forecast.columns]
    text = shown(forecast, 80)
    assert {word for heading in headings for word in heading.split()} <= words_of(text), text


CHANGE = {
    "scope_key": "vendor=bpo-a",
    "start": "2026-12-01T16:58:00Z",
    "end": "2026-12-01T17:58:00Z",
    "measure": "completed",
}


def test_what_changed_since_says_its_time_once() -> None:
    changes = [
        {**CHANGE, "then": 21, "now": 23, "change": 2},
        {**CHANGE, "measure": "due", "then": 1, "now": 0, "change": -1},
    ]
    text = shown(diff_table("sla", changes, "2026-12-01T17:58:00Z"), 80)
    assert text.count("2026-12-01T16:58:00Z") == 1
    assert "as it was known at 2026-12-01T17:58:00Z" in " ".join(text.split())
    assert re.search(r"vendor=bpo-a .*completed .* 21 .* 23 .* \+2", text)
    later = {**changes[1], "start": "2026-12-01T17:00:00Z"}
    assert "from" in shown(diff_table("sla", [changes[0], later], "2026-12-01T17:58:00Z"), 160)


GROUPS = ["team", "people", "labels", "below target", "not told", "on target", "too few audits", "rushing", "near cap"]


@pytest.mark.parametrize("width", [24, 40, 60, 80, 100, 120])
def test_aligned_rows_fit_the_window_and_keep_every_number(width: int) -> None:
    """What people and roster print: headings break between words, and what still does not fit stands below."""
    rows = [GROUPS, *([f"team-{n:03}", *(f"{n},{column:03}" for column in range(1, 9))] for n in range(1, 4))]
    lines = aligned(rows, width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert {cell for row in rows[1:] for cell in row} | {word for name in GROUPS for word in name.split()} <= set(words)
    blocks = "\n".join(lines).split("\n\n")
    assert all(block.count("team-002") == 1 for block in blocks)


def test_aligned_rows_are_one_line_each_in_a_file_and_where_they_fit() -> None:
    rows = [GROUPS, ["kul", *"12345678"]]
    assert len(aligned(rows)) == len(aligned(rows, 200)) == 2


def test_columns_that_no_window_takes_stand_below_behind_the_names() -> None:
    table = DataTable("quality")
    headings = [f"measure {n}" for n in range(8)]
    table.add_names("vendor")
    table.add_numbers(*headings)
    for name in ("inhouse", "bpo-a"):
        table.add_row(name, *(f"94.{n}% (92.{n}–95.{n})" for n in range(8)))
    text = shown(table, 60)
    assert max(map(len, text.splitlines())) <= 60
    assert {f"(92.{n}–95.{n})" for n in range(8)} <= words_of(text), text
    assert text.count("bpo-a") == text.count("vendor") > 1
    assert text.count("quality") == 1
    assert "vendor" in shown(table, 300)
    assert shown(table, 300).count("bpo-a") == 1


def test_a_cut_of_a_cause_breaks_no_number_and_no_heading() -> None:
    tally = RatioTally(1_164, 1_291)
    one = PartFinding(
        ("vendor", "policy"), ("bpo-a", "minor_safety"), -4.34, -4.75, 0.06, 0.35, -17.43, -11.77, "evident", False,
        "both", tally, tally, 0.5, 0.5,
    )  # fmt: skip
    found = RootCause("accuracy", {}, tally, tally, change_of(tally, tally), [[one]], [])
    text = shown(cut_table(found, [one], 5), 80)
    words = {"vendor", "policy", "effect", "interval", "before", "now", "-17.43", "-11.77", "90.2%", "evident"}
    assert words <= words_of(text), text
    assert "…" not in text


def test_a_line_is_as_wide_as_the_window_and_whole_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window of 80 columns was written to as if it had 100, so that every line broke."""
    window = SimpleNamespace(get_terminal_size=lambda: os.terminal_size((80, 24)))
    monkeypatch.setattr("floorwatch.output.terminal.shutil", window)  # the name in that module: pytest asks shutil too
    monkeypatch.setattr("floorwatch.output.terminal.sys", _with_output(terminal=True))
    assert incidents._width() == 80
    monkeypatch.setattr("floorwatch.output.terminal.sys", _with_output(terminal=False))
    assert incidents._width() > 1_000


def _with_output(*, terminal: bool) -> SimpleNamespace:
    return SimpleNamespace(stdout=SimpleNamespace(isatty=lambda: terminal))
