"""Records of measures: what clashes is refused, what one declares is found wherever measures are shown."""

from __future__ import annotations

import msgspec
import pytest

from floorwatch.replay.fact_text import counter_name
from floorwatch.simulate.runs import simulated_log
from streams.core import row_layout, tables
from streams.models.acceptance import Refusal, parse_event
from streams.models.measures import TABLES, registry
from streams.models.measures.records import Computed, Count, Quantile, Ratio, Total
from streams.models.measures.registry import Clash, MeasureRegistry
from telemetry.numbers_page import section
from tests.core.harness import CoreRun


def made() -> MeasureRegistry:
    held = MeasureRegistry()
    held.counter(1, "labels")
    held.histogram(1000, "handle_bucket")
    held.table("accuracy", "Accuracy.", "labels").show("labels", "labels", "Labels.", Count(1))
    return held


def test_a_counter_that_is_taken_is_refused() -> None:
    held = made()
    for number, name in ((1, "other"), (2, "labels"), (1000, "bucket"), (2999, "bucket")):
        with pytest.raises(Clash, match="taken by"):
            held.counter(number, name)
    with pytest.raises(Clash, match="taken by labels"):
        held.family(0, "by_class", ("a", "b"))
    assert held.counter(3000, "beyond the histogram") == 3000


def test_a_histogram_over_counters_is_refused() -> None:
    held = made()
    for first in (0, 999, 1000, 2999):
        with pytest.raises(Clash, match="not all free"):
            held.histogram(first, "other_bucket")


def test_a_field_is_there_once() -> None:
    with pytest.raises(Clash, match="has a field labels already"):
        made().tables["accuracy"].count(2, "labels", "labels", "Labels.", counter="others")


def test_a_count_is_listed_for_why_the_recount_and_the_page() -> None:
    held = made()
    table = held.tables["accuracy"]
    table.count(2, "weight_sum", "labels", "Sum of weights.", counter="weight_nano", scale=10)
    table.family(5, "wrong", ("a", "b"), "labels", "Wrong ones by class.")
    table.show("share", "ratio", "wrong / labels", Ratio((5, 6), (1,)))
    assert table.explained_counters() == {
        "labels": (1,),
        "weight_nano": (2,),
        "wrong": (5, 6),
        "wrong.a": (5,),
        "wrong.b": (6,),
    }
    assert table.recounted() == ("labels", "weight_sum", "wrong.a", "wrong.b")
    assert "| – | `weight_sum` | Sum of weights. |" in section(table)


@pytest.mark.parametrize("name", list(TABLES))
def test_no_field_of_a_row_is_forgotten(name: str) -> None:
    parts = row_layout.parts_of({})
    row = {
        "accuracy": tables.accuracy(parts),
        "throughput": tables.throughput(parts),
        "sla": tables.sla(parts),
    }
    assert list(row[name]) == list(TABLES[name].measures)
    assert msgspec.json.decode(msgspec.json.encode(row[name])) == row[name]


def test_an_empty_row_has_zeros_for_counts_and_nothing_else() -> None:
    """What has no denominator, and no duration to take a quantile of, is unknown."""
    parts = row_layout.parts_of({})
    for name, row in (("accuracy", tables.accuracy(parts)), ("sla", tables.sla(parts))):
        for field, measure in TABLES[name].measures.items():
            match measure.source:
                case Ratio() | Quantile():
                    assert row[field] is None
                case Computed():
                    pass
                case _:
                    assert not row[field] or set(row[field].values()) == {0}


def test_every_counter_of_a_floor_has_a_name() -> None:
    lines = simulated_log(5, days=0.3, rate=0.02, start_ms=1_794_700_800_000)
    run = CoreRun(1)
    run.send([line for line in lines if not isinstance(parse_event(line, None), Refusal)])
    run.finish()
    counters = {counter for row in run.floor.all_windows() for counter in row.counters}
    assert len(counters) > 100
    assert [counter for counter in counters if counter_name(counter).startswith("cell.")] == []
    assert registry.names[0] == "revision"


def test_each_kind_of_source_is_shown_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    table = MeasureRegistry().table("made", "Made for this test.", "labels")
    table.count(1, "labels", "labels", "Labels.")
    table.count(2, "weight", "labels", "Weight.", scale=10)
    table.family(5, "wrong", ("a", "b"), "labels", "Wrong ones by class.")
    table.family(10, "by_share", ("1", "2", "4"), "labels", "Labels by share.", sparse=True)
    table.family(15, "weights", ("1", "2"), "labels", "Weight by share.", counter="weights_nano", scale=10, sparse=True)
    table.show("share", "ratio", "wrong / labels", Ratio((5, 6), (1,)))
    table.show("per_hour", "labels per hour", "labels / hours", Ratio((1,), (5,), unit=2))
    table.show("right", "labels", "labels - wrong", Total((1,), (5, 6)))
    table.show("p50", "ms", "Median.", Quantile(1000, 0.5))
    monkeypatch.setitem(tables.measures.TABLES, "made", table)
    layout = row_layout.Layout("made")
    assert layout.row(row_layout.parts_of({})) == {
        "labels": 0,
        "weight": 0.0,
        "wrong": {"a": 0, "b": 0},
        "by_share": {},
        "weights": {},
        "share": None,
        "per_hour": None,
        "right": 0,
        "p50": None,
    }
    counters = {1: 8, 2: 25, 5: 1, 6: 3, 10: 0, 12: 7, 16: 15, 1000: 3}
    assert layout.row(row_layout.parts_of(counters)) == {
        "labels": 8,
        "weight": 2.5,
        "wrong": {"a": 1, "b": 3},
        "by_share": {"4": 7},
        "weights": {"2": 1.5},
        "share": 0.5,
        "per_hour": 16.0,
        "right": 4,
        "p50": 0.0,
    }
    assert [*table.explained_counters()] == [
        "labels",
        "weight",
        "wrong",
        "wrong.a",
        "wrong.b",
        "by_share",
        "weights_nano",
    ]
    assert table.recounted()[-6:] == ("by_share.1", "by_share.2", "by_share.4", "weights.1", "weights.2", "right")
