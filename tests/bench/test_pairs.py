"""The comparison of two revisions: its interval, what it reads, and what it says of a revision that is none."""

from __future__ import annotations

import math
import random
from pathlib import Path

import pytest

from bench.pairs import in_tree, one_pair, parts_of, ratio_of, state_table, student_quantile, table, tree
from bench.profile import Sections
from bench.stack import ROOT, BenchError


@pytest.mark.parametrize(("degrees", "expected"), [(1, 12.7062), (2, 4.3027), (4, 2.7764), (9, 2.2622), (30, 2.0423)])
def test_the_quantile_is_that_of_the_tables(degrees: int, expected: float) -> None:
    assert student_quantile(degrees) == pytest.approx(expected, abs=5e-5)


def test_the_interval_holds_the_ratio_as_often_as_it_says() -> None:
    rng, held = random.Random(1), 0
    for _ in range(1_000):
        machine = [rng.uniform(0.8, 1.6) for _ in range(5)]
        found = ratio_of(
            [(29 * at * math.exp(rng.gauss(0, 0.02)), 30 * at * math.exp(rng.gauss(0, 0.02))) for at in machine]
        )
        held += found.low <= 30 / 29 <= found.high
    assert 930 <= held <= 970


def test_what_the_profile_prints_is_read() -> None:
    sections = Sections(
        cpu_s={"intake: fold": 0.002, "ledger: restore (not in the sum)": 0.003, "ledger: fold": 0.0061}
    )
    found = parts_of(sections.table(1_000, ("intake: fold", "ledger: fold")))
    assert found == {
        "intake: fold": 2.0,
        "ledger: restore (not in the sum)": 3.0,
        "ledger: fold": 6.1,
        "sum of all parts": 8.1,
    }
    assert "0.500 (0.500 to 0.500)" in table({"ledger: fold": [(2.0, 1.0), (4.0, 2.0)]})


def test_a_folder_is_compared_with_itself_by_two_runs() -> None:
    runs = iter(range(1, 5))

    def measure(folder: Path) -> dict[str, float]:
        return {folder.name: next(runs)}

    same = (ROOT, ROOT)
    assert one_pair(same, 0, measure) == ({ROOT.name: 1}, {ROOT.name: 2})
    assert one_pair(same, 1, measure) == ({ROOT.name: 4}, {ROOT.name: 3}), "in each other pair the second is first"


@pytest.mark.servers
def test_a_revision_that_is_none_is_told(tmp_path: Path) -> None:
    with tree(str(ROOT), tmp_path) as folder:
        assert folder == ROOT
    with pytest.raises(BenchError, match="neither a revision nor a folder"), tree("no-such-revision", tmp_path):
        pass


@pytest.mark.slow
def test_the_state_of_this_tree_is_measured() -> None:
    found = in_tree(ROOT, "state", 300)
    assert found["rows"] > 300
    assert found["row_bytes"] / found["rows"] > 20
    assert "1.000" in state_table(found, found)
