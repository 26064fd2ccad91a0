"""Age of tables: how far they are behind, for people, for programs, and as an exit code."""

from __future__ import annotations

import pytest
import typer

from floorwatch.cli.age import TOO_OLD, Age, age_of, age_of_log, exit_if_older, mark_of, partial_words, seconds_of
from floorwatch.cli.explain import rows_behind
from floorwatch.cli.forecast import forecast_table
from floorwatch.cli.table_text import rich_table

NOW_MS = 1_796_148_360_000  # 2026-12-01T18:06:00Z
HOUR_MS = 3_600_000


def test_people_see_how_far_behind_a_table_is() -> None:
    assert Age(NOW_MS - 2_000, NOW_MS).text == "as of 2026-12-01T18:05:58Z, 2 s behind the clock"
    old = Age(NOW_MS - 26 * HOUR_MS, NOW_MS)
    assert old.text == "as of 2026-11-30T16:06:00Z, 1 d 2 h behind the clock"
    assert str(rich_table("sla", [], "1h", old).title) == f"sla · last 1h · {old.text}"
    assert [span.style for span in old.title("sla").spans if span.style] == ["bold red"]
    assert not any(span.style for span in Age(NOW_MS - 2_000, NOW_MS).title("sla").spans)
    assert Age(NOW_MS - 318_011_000, NOW_MS).text.endswith(", 3 d 16 h behind the clock")
    assert Age(None, NOW_MS).text == "no data yet"
    assert Age(NOW_MS + 5_000, NOW_MS).behind_s == 0
    assert Age(NOW_MS + 299_000, NOW_MS).text == "as of 2026-12-01T18:10:59Z, 4 min 59 s ahead of this machine's clock"
    assert Age(NOW_MS + 400, NOW_MS).text.endswith("0 s behind the clock")


def test_rows_of_one_table_are_as_of_what_is_published_or_newer() -> None:
    """A row nothing has changed is not written again; one of a partition that has published since is newer."""
    age = Age(NOW_MS - 60_000, NOW_MS)
    unchanged = age.told({"scope_key": "all", "watermark": "2026-12-01T17:00:00Z"})
    assert (unchanged["as_of"], unchanged["behind_s"]) == ("2026-12-01T18:05:00Z", 60.0)
    newer = age.told({"scope_key": "all", "watermark": "2026-12-01T18:05:30Z"})
    assert (newer["as_of"], newer["behind_s"]) == ("2026-12-01T18:05:30Z", 30.0)
    rows = [{"watermark": "2026-12-01T18:05:30Z"}, {"watermark": "2026-12-01T18:04:00Z"}]
    assert age_of(None, rows).as_of_ms == NOW_MS - 120_000
    assert age_of(NOW_MS, rows).as_of_ms == NOW_MS


def test_open_tasks_of_an_idle_partition_are_marked() -> None:
    row = {"watermark": "2026-12-01T18:05:00Z", "open_as_of": "2026-11-30T16:00:00Z"}
    assert mark_of(row) == " (open tasks as of 2026-11-30T16:00:00Z)"
    assert mark_of({**row, "open_as_of": "2026-12-01T18:04:30Z"}) == ""
    assert mark_of({**row, "open_as_of": None}) == mark_of({"watermark": row["watermark"]}) == ""


@pytest.mark.parametrize(("as_of_ms", "limit_s"), [(NOW_MS - 301_000, 300.0), (None, 300.0)])
def test_too_old_is_an_exit_code(as_of_ms: int | None, limit_s: float, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left:
        exit_if_older(Age(as_of_ms, NOW_MS), limit_s)
    assert left.value.exit_code == TOO_OLD == 3
    assert "--max-behind is 5m" in capsys.readouterr().err


def test_what_is_young_enough_or_not_asked_for_passes() -> None:
    exit_if_older(Age(NOW_MS - 299_000, NOW_MS), 300.0)
    exit_if_older(Age(NOW_MS - 26 * HOUR_MS, NOW_MS), None)
    assert (seconds_of("5m"), seconds_of(None)) == (300.0, None)
    with pytest.raises(typer.Exit) as left:
        seconds_of("soon")
    assert left.value.exit_code == 2


def test_a_forecast_says_its_age() -> None:
    forecast = {"open_by_due": [], "overdue": 0, "tasks_per_hour": None, "basis": "unknown", "breach_at": None}
    forecast |= {"shortfall": None, "spare": None}
    rows = [{"scope": {"queue": "q"}, "watermark": "2026-12-01T18:05:00Z", "forecast": forecast}]
    assert "1 min behind" in str(forecast_table(rows, Age(NOW_MS - 60_000, NOW_MS)).title)


def test_a_table_that_is_complete_is_told_from_one_that_is_behind() -> None:
    """Where no event is newer, the rows are as old as the newest event, and not late: no red, and no talk of catching up."""
    complete = Age(NOW_MS - 26 * HOUR_MS, NOW_MS, complete=True)
    assert complete.text == "as of 2026-11-30T16:06:00Z, 1 d 2 h ago, complete: no event is newer"
    assert not any(span.style for span in complete.title("sla").spans)
    with pytest.raises(typer.Exit):
        exit_if_older(complete, 300.0)
    newer = complete.of({"watermark": "2026-12-01T18:00:00Z"})
    assert (newer.complete, newer.behind_s) == (True, 360.0)


def test_why_an_old_table_is_old(capsys: pytest.CaptureFixture[str]) -> None:
    for complete, why in ((True, "no event is newer"), (False, "catching up, or nothing comes in")):
        with pytest.raises(typer.Exit):
            exit_if_older(Age(NOW_MS - 26 * HOUR_MS, NOW_MS, complete), 300.0)
        assert capsys.readouterr().err == f"rows are 1 d 2 h behind the clock, --max-behind is 5m: {why}\n"


def test_what_is_counted_from_the_log_says_its_age_as_tables_do() -> None:
    """People, quality and why: the log as it is now is behind the clock; a file or a past moment is not."""
    age = age_of_log(NOW_MS - 60_000, live=True)
    assert age is not None
    assert age.text.startswith("as of 2026-12-01T18:05:00Z, ")
    assert age.text.endswith(" behind the clock") or "ahead" in age.text
    assert age.for_programs.keys() == {"as_of", "behind_s", "partial"}
    assert age_of_log(NOW_MS, live=False) is None
    empty = age_of_log(-1, live=True)
    assert empty is not None
    assert (empty.text, empty.for_programs) == ("no data yet", {"as_of": None, "behind_s": None, "partial": False})


def test_an_answer_made_of_rows_that_may_lack_something_says_so() -> None:
    whole = {"scope": {"vendor": "a"}, "watermark": "2026-12-01T18:05:00Z"}
    part = {**whole, "partial": True}
    assert partial_words([whole]) == ""
    assert partial_words([whole, part, part]).startswith("2 rows it is made of may lack a part")
    other = {"scope": {"queue": "q"}, "partial": True}
    kept = {"24h": {"vendor=a": whole, "queue=q": other}, "7d": {"vendor=a": part}}
    assert rows_behind(kept, {}, ("vendor",)) == [whole, part]
    assert rows_behind(kept, {"vendor": "b"}, ()) == []


def test_a_forecast_of_a_partial_row_is_marked() -> None:
    forecast = {"open_by_due": [], "overdue": 0, "tasks_per_hour": None, "basis": "unknown", "breach_at": None}
    forecast |= {"shortfall": None, "spare": None}
    row = {"scope": {"queue": "q"}, "watermark": "2026-12-01T18:05:00Z", "forecast": forecast, "partial": True}
    (cell,) = forecast_table([row], Age(NOW_MS, NOW_MS)).columns[0].cells
    assert str(cell) == "q (partial: tables.max_scopes)"
