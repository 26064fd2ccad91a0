"""The table of situations and what runs the simulations: every row is somebody's, and no run is counted that did not happen."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from floorwatch import sims
from floorwatch.cli import build
from floorwatch.sims import lines, rows_of, runner, simulations, table

ROOT = Path(__file__).parents[2]
GOOD = lines.of_share("pages", 0, 40, "at most", 0.1, row=3)
BAD = lines.of_share("pages", 40, 40, "at most", 0.1, row=3)


def test_a_row_passes_if_every_claim_is_measured_and_holds() -> None:
    def passes(*found: lines.ReportLine) -> bool | None:
        return table.measured(found)[2].passes

    assert passes(GOOD) is True
    assert passes(GOOD, BAD) is False
    assert passes() is None
    one_of_two = lines.of_share("missed", 0, 40, "at most", 0.1, row=5)
    assert table.measured([one_of_two])[4].passes is None
    assert table.measured([one_of_two] * 2)[4].passes is True
    said = table.summary(table.measured([GOOD, BAD, one_of_two]))
    assert said.startswith("0 of 17 situations as promised; not as promised: 3; not measured: 1, 2, 4, 5, 6")


def test_what_an_interval_alone_allows_is_told_apart() -> None:
    """One of four was as good as forty of forty: both lines said ok."""
    wide = lines.of_share("pages", 1, 4, "at most", 0.1, row=3)
    assert (wide.ok, wide.shown, str(wide).split()[0]) == (True, False, "allowed")
    assert (GOOD.verdict, BAD.verdict, lines.of_share("held", 19, 20, "about", 1.0).verdict) == ("ok", "NOT", "ok")
    found = table.measured([wide, GOOD])
    assert "; an interval alone allows it: 3" in table.summary(found)
    assert "(at most 0.1) *allowed*<br>" in table.as_markdown(found, 0.1, 7)
    assert "| allowed |" in table.as_markdown(found, 0.1, 7)


def test_a_line_of_a_row_that_there_is_not_is_told() -> None:
    with pytest.raises(ValueError, match=r"'pages' is of row 18: use 1 to 17"):
        table.measured([lines.of_share("pages", 0, 40, "at most", 0.1, row=18)])


def test_the_table_in_the_docs_has_the_rows_of_the_code_and_says_what_was_measured() -> None:
    """The figures are those of a long run; a test cannot draw them anew. That their row is as they say, it can."""
    text = (ROOT / table.PAGE).read_text(encoding="utf-8")
    _, _, rest = text.partition(table.BEGIN)
    shown = rest.partition(table.END)[0].splitlines()
    assert shown[0].startswith(("Measured with seed ", "Not measured yet."))
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in shown[4:]]
    assert [row[:4] for row in rows] == [
        [str(one.row), one.words, one.before, one.promised] for one in table.SITUATIONS
    ]
    for one, (*_, found, said) in zip(table.SITUATIONS, rows, strict=True):
        claims = found.split("<br>") if found != "–" else []
        kept = not any(claim.endswith("**NOT**") for claim in claims)
        shown = not any(claim.endswith("*allowed*") for claim in claims)
        assert said == table.verdict((True if len(claims) >= one.claims else None) if kept else False, shown=shown)


def test_the_page_with_a_table_is_the_page_around_it() -> None:
    page = f"before\n{table.BEGIN}old\n{table.END}after\n"
    written = table.page_with(page, table.as_markdown(table.measured([GOOD, BAD]), 0.1, 7))
    assert written.startswith("before\n")
    assert written.endswith("after\n")
    assert "| 3 | vendor at 96.6%" in written
    assert "pages: 0 [0, 0.124] (at most 0.1)<br>pages: 1 [0.876, 1] (at most 0.1) **NOT** | NOT |" in written
    with pytest.raises(ValueError, match="the marks around the table are gone"):
        table.page_with("no marks", "")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three simulations: one that keeps its promise, one that does not, one that breaks."""

    def breaks(scale: float, seed: int) -> list[lines.ReportLine]:
        raise ZeroDivisionError("no runs")

    found = {"good": lambda scale, seed: [GOOD], "bad": lambda scale, seed: [BAD], "broken": breaks}
    monkeypatch.setattr(runner, "simulations", lambda: found)
    monkeypatch.setattr(runner, "cost_s", lambda name: {"good": 1.0, "bad": 3.0, "broken": 2.0}[name])


@pytest.mark.usefixtures("few")
def test_the_longest_begins_first_and_one_that_breaks_stops_no_other() -> None:
    said: list[str] = []
    done = runner.run_all(["good", "bad", "broken"], 1.0, 7, say=said.append)
    assert [(one.name, one.lines, one.error) for one in done] == [
        ("good", (GOOD,), ""),
        ("bad", (BAD,), ""),
        ("broken", (), "ZeroDivisionError: no runs"),
    ]
    assert [line for line in said if line.endswith("begins")] == ["bad begins", "broken begins", "good begins"]
    assert any(line.startswith("bad: 0 of 1 as promised; took 0 s") for line in said)


@pytest.mark.usefixtures("few")
def test_what_has_finished_is_kept_and_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep, said = tmp_path / "kept.jsonl", []
    endless = lines.ReportLine("delay", "at most", 10.0, math.inf, 8.0, math.inf)
    monkeypatch.setattr(runner, "simulations", lambda: {"good": lambda scale, seed: [GOOD, endless]})
    first = runner.run_all(["good"], 1.0, 7, keep=keep)
    monkeypatch.setattr(runner, "simulations", lambda: {"good": lambda scale, seed: [BAD]})
    again = runner.run_all(["good"], 1.0, 7, keep=keep, say=said.append)
    assert again[0].lines == first[0].lines == (GOOD, endless)
    assert said == [f"1 of 1 are in {keep}"]
    assert runner.run_all(["good"], 1.0, 8, keep=keep)[0].lines == (BAD,)
    monkeypatch.setattr(runner, "code_version", lambda: "changed")
    assert runner.run_all(["good"], 1.0, 7, keep=keep)[0].lines == (BAD,)
    keep.write_text("an older log\n")
    with pytest.raises(ValueError, match=r"kept\.jsonl, line 1: not a kept simulation"):
        runner.run_all(["good"], 1.0, 7, keep=keep)


@pytest.mark.slow
def test_the_numbers_do_not_depend_on_how_many_processes_there_are() -> None:
    def found(jobs: int) -> list[tuple[str, tuple[lines.ReportLine, ...], str]]:
        done = runner.run_all(["intervals", "sla"], 0.01, 7, jobs=jobs)
        return [(one.name, one.lines, one.error) for one in done]

    assert found(1) == found(2)


def test_the_command_takes_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sims, runner):
        monkeypatch.setattr(module, "simulations", lambda: {"good": lambda scale, seed: [GOOD]})
    monkeypatch.setattr(sims, "rows_of", lambda name: (3,))
    monkeypatch.setattr(runner, "cost_s", lambda name: 1.0)
    run, app = CliRunner(), build("sims")
    done = run.invoke(app, ["sims", "--row", "3"])
    assert done.exit_code == 0, done.output
    assert "1 of 1 situations as promised" in done.output
    assert "pages in 100% of runs of 13 days" in done.output
    assert run.invoke(app, ["sims"]).exit_code == 1, "sixteen situations are not measured"
    assert "--row 18: there is no such situation; use 1 to 17" in run.invoke(app, ["sims", "--row", "18"]).output
    none = run.invoke(app, ["sims", "--row", "4"])
    assert (none.exit_code, "--row 4: no simulation measures it" in none.output) == (2, True)
    shown = json.loads(run.invoke(app, ["sims", "--row", "3", "--json"]).stdout)
    assert [(one["row"], one["passes"], len(one["lines"])) for one in shown["situations"]] == [(3, True, 1)]
    assert shown["simulations"][0]["name"] == "good"


def test_pictures_are_refused_where_there_is_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before an hour of simulations, not after it."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(build("sims"), ["sims", "intervals", "--picture"])
    assert done.exit_code == 2
    assert "run it where the source of Floorwatch lies" in done.output
    assert "begins" not in done.output


def test_every_situation_is_measured_by_a_simulation() -> None:
    held = {row for name in simulations() for row in rows_of(name)}
    assert held == set(table.ROWS)
