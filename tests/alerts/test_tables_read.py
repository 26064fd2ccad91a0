"""Each kind of rule says which tables it reads: a look fetches no others."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from alerts.evaluate import evaluate
from alerts.view import MemoryRowView, Row
from streams.agents.rule_runner import rows_read
from tests.alerts.rows import NOW_MS
from tests.alerts.test_scope_faults import CASES, rows_of


class Watched(MemoryRowView):
    """A view that notes what is asked for."""

    asked: set[tuple[str, str]]

    def rows(self, table: str, window: str) -> Mapping[str, Row]:
        self.asked.add((table, window))
        return super().rows(table, window)


@pytest.mark.parametrize("name", CASES)
def test_a_rule_reads_the_tables_that_its_kind_names(name: str) -> None:
    case = CASES[name]
    tables: dict[tuple[str, str], dict[str, Row]] = {}
    for (table, window, key), row in rows_of(case).items():
        tables.setdefault((table, window), {})[key] = row
    view = Watched(tables)
    view.asked = set()
    found = evaluate([case.rule], view, NOW_MS, case.baseline)
    assert any(signal.firing for signal in found)
    assert view.asked <= rows_read((case.rule,))
    assert {table for table, _ in view.asked} == set(case.rule.tables_read)
