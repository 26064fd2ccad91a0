"""One rule in all tables for what there is not, sizes, spans that go on, runbooks without a link, the lag of a fast floor."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from alerts.text import runbook_words
from floorwatch.analysis.quality.quality_text import coefficient, percent
from floorwatch.cli.demo import lag_words
from floorwatch.cli.forecast import forecast_table
from floorwatch.cli.table_text import COLUMNS
from floorwatch.cli.why import span_words
from streams.core.formatting import size_words

START_MS = 1_796_083_200_000  # 2026-12-01T00:00:00Z


class Nothing(dict[str, Any]):
    """A row in which nothing is known."""

    def __missing__(self, name: str) -> None:
        return None


@pytest.mark.parametrize("name", list(COLUMNS))
def test_a_row_without_numbers_has_one_mark_in_every_column(name: str) -> None:
    row = Nothing(critical_errors=None, audited=0)
    shown = {heading: read(row) for heading, read in COLUMNS[name] if heading not in ("audited", "random audits")}
    assert set(shown.values()) == {"n/a"}, shown


def test_other_tables_have_the_same_mark() -> None:
    assert coefficient(None) == percent(None) == "n/a"
    forecast = {"open_by_due": [], "overdue": 0, "tasks_per_hour": None, "basis": "unknown", "breach_at": None}
    rows = [
        {
            "scope": {"queue": "q"},
            "watermark": "2026-12-01T18:05:00Z",
            "forecast": {**forecast, "shortfall": None, "spare": None},
        }
    ]
    table = forecast_table(rows, SimpleNamespace(title=lambda what: what))  # type: ignore[arg-type]
    cells = [str(cell) for column in table.columns for cell in column.cells]
    assert "n/a" in cells
    assert not [cell for cell in cells if "–" in cell]


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1,023 bytes"),
        (1024, "1.0 KiB"),
        (14_200, "13.9 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (5 * 1024**3, "5.0 GiB"),
        (2000 * 1024**4, "2,000.0 TiB"),
    ],
)
def test_a_size_never_reads_as_nothing(size: int, said: str) -> None:
    assert size_words(size) == said


def test_a_span_that_goes_on_is_not_labelled_to_a_future_time() -> None:
    span = SimpleNamespace(start_ms=START_MS, end_ms=START_MS + 86_400_000)
    assert span_words(span, START_MS + 3_600_000) == (  # type: ignore[arg-type]
        "2026-12-01T00:00:00Z so far, to 2026-12-01T01:00:00Z (it ends at 2026-12-02T00:00:00Z)"
    )
    over = "2026-12-01T00:00:00Z to 2026-12-02T00:00:00Z"
    assert span_words(span, START_MS + 86_400_000) == over  # type: ignore[arg-type]
    assert span_words(span, -1) == over  # type: ignore[arg-type]


def test_a_runbook_without_a_link_says_where_its_page_is() -> None:
    assert runbook_words("/docs/runbooks/rushing.md") == "the page docs/runbooks/rushing.md of Floorwatch's repository"


def test_the_lag_of_the_demonstration_is_explained() -> None:
    assert "240 times as fast as the clock" in lag_words(4, 60)
    assert "is 4 minutes of the floor's time" in lag_words(4, 60)
