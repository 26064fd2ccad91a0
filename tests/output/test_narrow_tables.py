"""Tables in narrow windows: headings break between words, never in one; what is left out is named."""

from __future__ import annotations

import io
import re

import pytest

from floorwatch.cli.forecast import forecast_table
from floorwatch.cli.table_as_of import diff_table
from floorwatch.cli.table_text import COLUMNS, SPARE
from floorwatch.output.terminal import DataConsole, DataTable

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
