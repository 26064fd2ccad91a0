"""Whose clock: ``--zone`` and FLOORWATCH_ZONE, before or behind the command; what programs read stays UTC."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from floorwatch.cli import build
from floorwatch.cli.age import Age, mark_of
from floorwatch.cli.forecast import forecast_table
from floorwatch.cli.incidents import evidence_words, state_words
from floorwatch.cli.notifications import words_of
from floorwatch.cli.parsing import with_zone
from floorwatch.cli.pending import pending_lines
from floorwatch.cli.why import span_words
from floorwatch.output.reader_zone import ZONE_VARIABLE, local_instant, local_rfc3339

AT_MS = 1_796_148_360_000  # 2026-12-01T18:06:00Z
KUL = "Asia/Kuala_Lumpur"


@pytest.fixture
def kul(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ZONE_VARIABLE, KUL)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ZONE_VARIABLE, raising=False)


def test_without_a_zone_times_are_utc() -> None:
    assert (local_instant(AT_MS), local_rfc3339(AT_MS)) == ("Tue 1 Dec 18:06 UTC", "2026-12-01T18:06:00Z")


@pytest.mark.usefixtures("kul")
def test_times_are_the_readers_and_say_so() -> None:
    assert (local_instant(AT_MS), local_rfc3339(AT_MS)) == ("Wed 2 Dec 02:06 UTC+8", "2026-12-02T02:06:00+08:00")
    assert local_rfc3339(AT_MS + 5) == "2026-12-02T02:06:00.005+08:00"
    assert Age(AT_MS, AT_MS).text == "as of 2026-12-02T02:06:00+08:00, 0 s behind the clock"
    assert Age(AT_MS, AT_MS).for_programs["as_of"] == "2026-12-01T18:06:00Z"
    row = {"watermark": "2026-12-01T18:06:00Z", "open_as_of": "2026-11-30T16:00:00Z"}
    assert mark_of(row) == " (open tasks as of 2026-12-01T00:00:00+08:00)"
    span = SimpleNamespace(start_ms=AT_MS, end_ms=AT_MS + 1000)
    assert span_words(span, -1) == "2026-12-02T02:06:00+08:00 to 2026-12-02T02:06:01+08:00"  # type: ignore[arg-type]


@pytest.mark.usefixtures("kul")
def test_times_of_incidents_deliveries_and_forecasts() -> None:
    record = {
        "state": "open",
        "severity": "page",
        "title": "T",
        "rule": "r",
        "evidence": "0 of 50 since Tue 1 Dec 18:06 UTC",
        "updated_at": "2026-12-01T18:10:00Z",
        "machine": {"silenced_until_ms": AT_MS, "streak": 1},
    }
    assert state_words(record) == "open, silenced until Wed 2 Dec 02:06 UTC+8"
    assert evidence_words(record) == "0 of 50 since Wed 2 Dec 02:06 UTC+8"
    assert pending_lines([record], {})[0].endswith("since Wed 2 Dec 02:06 UTC+8")
    sent = SimpleNamespace(channel="ops", attempts=1, reason="", state="sent", at_ms=AT_MS, instead_of="")
    assert words_of(sent) == "ops: delivered Wed 2 Dec 02:06 UTC+8"  # type: ignore[arg-type]
    forecast = {
        "open_by_due": [],
        "overdue": 0,
        "tasks_per_hour": None,
        "basis": "unknown",
        "shortfall": 1,
        "spare": None,
    }
    rows = [{"scope": {"queue": "q"}, "watermark": "x", "forecast": {**forecast, "breach_at": "2026-12-01T18:06:00Z"}}]
    table = forecast_table(rows, Age(AT_MS, AT_MS))
    (column,) = [one for one in table.columns if str(one.header) == f"breach at ({KUL})"]
    assert [str(cell) for cell in column.cells] == ["12-02 02:06"]


@pytest.mark.parametrize("line", ["--zone {} table sla", "table sla --zone {}", "incidents --zone {}", "--zone {} incidents",
                                  "notifications list --zone {}", "notifications --zone {} list", "forecast --zone {}"])  # fmt: skip
def test_a_zone_that_there_is_not_is_told_with_what_may_be_meant(line: str) -> None:
    done = CliRunner().invoke(build(), line.format("MYT").split(), env={"COLUMNS": "200"})
    assert done.exit_code == 2
    assert "there is no time zone MYT; did you mean Asia/Kuala_Lumpur?" in done.output
    done = CliRunner().invoke(
        build(), line.format("").replace("--zone ", "").split(), env={"COLUMNS": "200", ZONE_VARIABLE: "MYT"}
    )
    assert "did you mean Asia/Kuala_Lumpur?" in done.output


def test_the_zone_holds_as_long_as_the_command_runs() -> None:
    seen: list[str | None] = []

    def look(_name: str = "x") -> None:
        seen.append(os.environ.get(ZONE_VARIABLE))

    app = typer.Typer()
    app.command()(with_zone(look))
    assert CliRunner().invoke(app, ["--zone", KUL]).exit_code == 0
    assert CliRunner().invoke(app, []).exit_code == 0
    assert seen == [KUL, None]
    assert with_zone(with_zone(look)).__wrapped__ is look  # type: ignore[attr-defined]
