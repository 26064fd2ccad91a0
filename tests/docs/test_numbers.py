"""docs/numbers.md explains every number a table, its command or a metric of it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from floorwatch.cli.table_text import COLUMNS
from streams.models.outputs import AccuracyRow, Row, SlaRow, ThroughputRow
from telemetry import numbers_page
from telemetry.table_metrics import TABLE_METRICS

PAGE = (Path(__file__).parents[2] / "docs" / "numbers.md").read_text()


@pytest.mark.parametrize("table", [AccuracyRow, ThroughputRow, SlaRow])
def test_every_field_of_a_row_is_explained(table: type[Row]) -> None:
    own = [name for name in table.__struct_fields__ if name not in Row.__struct_fields__]
    assert [name for name in [*own, "evidence"] if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("table", sorted(COLUMNS))
def test_every_column_of_the_command_is_explained(table: str) -> None:
    shown = {word.strip() for line in PAGE.splitlines() if line.startswith("|") for word in cells_of(line)}
    listed = {heading if heading != "p90" else "handle p50, p90" for heading, _ in COLUMNS[table]}
    assert [heading for heading in listed if not any(heading in words for words in shown)] == []


def cells_of(line: str) -> list[str]:
    """The first cell of a table's line."""
    return [line.split("|")[1]]


def test_every_metric_of_a_table_is_explained() -> None:
    fields = {field.name.partition(".")[0] for metric in TABLE_METRICS for field in metric.fields}
    assert fields
    assert [name for name in sorted(fields) if f"`{name}`" not in PAGE] == []


def test_a_page_that_is_stale_or_has_lost_its_marks_is_told(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    page = tmp_path / numbers_page.PATH
    page.write_text(PAGE.replace("Open tasks now.", "Open tasks."))
    assert numbers_page.check(tmp_path) == ["docs/numbers.md: run `make generate` and commit the result"]
    numbers_page.generate(tmp_path)
    assert (page.read_text(), numbers_page.check(tmp_path)) == (PAGE, [])
    page.write_text(PAGE.replace("<!-- end of sla -->", ""))
    with pytest.raises(ValueError, match="marks around the measures of sla are gone"):
        numbers_page.check(tmp_path)
