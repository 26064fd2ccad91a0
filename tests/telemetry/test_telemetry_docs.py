"""docs/metrics.md is what the catalogue says."""

from __future__ import annotations

from pathlib import Path

from telemetry import docs
from telemetry.catalogue import CATALOGUE

ROOT = Path(__file__).resolve().parents[2]


def test_the_committed_page_is_current() -> None:
    assert docs.check(ROOT) == []


def test_the_page_names_every_metric() -> None:
    page = docs.render()
    assert [m.name for m in CATALOGUE if f"| `{m.name}` |" not in page] == []


def test_a_stale_page_is_reported_with_the_command_that_mends_it(tmp_path: Path) -> None:
    assert "make generate" in docs.check(tmp_path)[0]
    path, *_ = docs.generate(tmp_path)
    assert docs.check(tmp_path) == []
    path.write_text(path.read_text().replace("gauge", "gouge", 1))
    assert len(docs.check(tmp_path)) == 1
