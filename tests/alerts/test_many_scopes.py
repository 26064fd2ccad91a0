"""Thousands of scopes that fire at once: a look at the rules takes time by their number, not by its square."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.baseline import BaselineState
from alerts.contributors import children, crosses
from alerts.part_index import IndexedRows, PartIndex
from alerts.scopes import child_dimension, is_parent, scope_key
from alerts.view import Row
from tests.alerts.rows import accuracy, flat_baseline, rule, signals, sla, throughput
from tests.alerts.test_kind_breach import forecast

QUEUES = 60


class Counted(dict[str, Any]):
    """A row that counts how often its scope is asked for."""

    asked = 0

    def __getitem__(self, name: str) -> Any:
        Counted.asked += name == "scope"
        return super().__getitem__(name)


def scopes(queues: int) -> Iterable[dict[str, str]]:
    """Yield so many queues, each with two policies."""
    for number in range(queues):
        yield {"queue": f"q{number}"}
        for policy in ("P1", "P2"):
            yield {"queue": f"q{number}", "policy": policy}


def firing_row(kind: str, scope: dict[str, str]) -> Row:
    if kind == "backlog_age":
        return sla(scope, 0, 0, backlog=1, oldest_open_age_ms=7_200_000)
    if kind == "sla_breach_predicted":
        return sla(scope, 90, 10, backlog=1100, oldest_open_age_ms=7_200_000, forecast=forecast())
    if kind == "sla_attainment":
        return sla(scope, 10, 90)
    if kind == "throughput_drop":
        return throughput(scope, 10)
    return accuracy(scope, 100, 200)


SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "backlog_age": {"window": "1h", "target": "1h"},
    "sla_breach_predicted": {},
    "sla_attainment": {"method": "interval", "window": "1h"},
    "throughput_drop": {"method": "baseline", "window": "1h"},
    "accuracy_low": {"method": "interval", "window": "1h"},
}


def asked(kind: str, queues: int) -> int:
    """Return how often scopes are read in a look in which so many queues fire."""
    found = list(scopes(queues))
    rows = [Counted(firing_row(kind, scope)) for scope in found]
    baseline: BaselineState | None = None
    if kind == "throughput_drop":
        baseline = flat_baseline({scope_key(scope): [500] * 30 for scope in found})
    Counted.asked = 0
    said = signals(rule(kind, scope={"by": "queue"}, **SETTINGS[kind]), *rows, baseline=baseline)
    assert sum(signal.firing for signal in said) == queues
    assert all(signal.contributors for signal in said) or kind in ("accuracy_low", "sla_attainment")
    return Counted.asked


@pytest.mark.parametrize("kind", SETTINGS)
def test_twice_as_many_firing_scopes_take_twice_the_work(kind: str) -> None:
    assert asked(kind, 2 * QUEUES) <= 2.1 * asked(kind, QUEUES)


values = st.sampled_from("ab")
any_scopes = st.lists(
    st.dictionaries(st.sampled_from(("vendor", "queue", "policy", "labeler")), values), unique_by=scope_key
)


@given(any_scopes, st.dictionaries(st.sampled_from(("vendor", "queue")), values))
def test_the_index_finds_what_a_look_at_every_scope_finds(found: list[dict[str, str]], wide: dict[str, str]) -> None:
    rows = {scope_key(scope): {"scope": scope} for scope in found}
    by_dimension: dict[str, dict[str, Row]] = {}
    pairs = []
    for row in rows.values():
        scope = row["scope"]
        name = child_dimension(wide, scope)
        if name is not None:
            by_dimension.setdefault(name, {})[scope[name]] = row
        if len(scope) == len(wide) + 2 and is_parent(wide, scope) and "labeler" not in scope:
            pairs.append(row)
    for given_rows in (rows, IndexedRows(rows)):
        assert children(wide, given_rows) == by_dimension
        assert [row for cut in crosses(wide, given_rows).values() for row in cut.values() if row not in pairs] == []
        assert sum(map(len, crosses(wide, given_rows).values())) == len(pairs)
    assert PartIndex((key, row["scope"]) for key, row in rows.items()).at(wide) == [
        key for key, row in rows.items() if row["scope"] == wide
    ]
