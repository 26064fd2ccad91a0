"""ISO 2859-1: every cell of Tables 1 and 2 as published, the structure of the tables, and the curves they promise."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import pytest

from floorwatch.analysis.audits.iso2859 import (
    AQLS,
    LETTERS,
    LEVELS,
    Severity,
    acceptance_plan,
    code_letter,
    single_plan,
)
from floorwatch.analysis.audits.operating import (
    chance_accepted,
    characteristic,
    lot_chance_accepted,
    share_accepted_with,
)

PUBLISHED = Path(__file__).parents[1] / "data" / "iso2859.txt"
NAMES = {"2-A": Severity.normal, "2-B": Severity.tightened, "2-C": Severity.reduced}


def published() -> tuple[dict[str, list[int]], list[tuple[str, str, list[str]]]]:
    """The transcription: sample sizes by table, and rows of (table, letter, cells)."""
    sizes, rows = {}, []
    for line in PUBLISHED.read_text().splitlines():
        match line.split():
            case ["#", *_]:
                continue
            case ["sizes", table, *numbers]:
                sizes[table] = [int(number) for number in numbers]
            case [table, letter, *cells]:
                rows.append((table, letter, cells))
    return sizes, rows


def test_every_cell_is_as_published() -> None:
    sizes, rows = published()
    letters, cells = LETTERS + "S", 0
    for table, letter, row in rows:
        assert len(row) == len(AQLS)
        for aql, cell in zip(AQLS, row, strict=True):
            size, accept = sizes[table][letters.index(cell[0])], int(cell[1:])
            assert single_plan(letter, aql, NAMES[table]) == (cell[0], size, accept, accept + 1), (table, letter, aql)
            cells += 1
    assert cells == 3 * 16 * 16


@pytest.mark.parametrize(
    ("lot", "level", "letter"),
    [
        (2, "II", "A"),
        (8, "III", "B"),
        (9, "II", "B"),
        (500, "II", "H"),
        (501, "II", "J"),
        (1_200, "II", "J"),
        (1_201, "II", "K"),
        (10_000, "I", "J"),
        (35_001, "S-4", "J"),
        (500_000, "III", "Q"),
        (500_001, "II", "Q"),
        (10**9, "III", "R"),
        (10**9, "S-1", "D"),
    ],
)
def test_code_letters_of_table_1(lot: int, level: str, letter: str) -> None:
    assert code_letter(lot, level) == letter


def test_larger_lots_and_higher_levels_never_take_smaller_letters() -> None:
    lots = [
        2,
        8,
        9,
        15,
        16,
        25,
        26,
        50,
        51,
        90,
        91,
        150,
        151,
        280,
        281,
        500,
        501,
        1_200,
        3_200,
        10_000,
        35_000,
        500_001,
    ]
    for level in LEVELS:
        places = [LETTERS.index(code_letter(lot, level)) for lot in lots]
        assert places == sorted(places)
    for lot in lots:
        places = [LETTERS.index(code_letter(lot, level)) for level in LEVELS[4:]]
        assert places == sorted(places)


def test_published_examples() -> None:
    """Lot 1,001 at AQL 1.0: J, 80 with 2/3; tightened 80 with 1/2; reduced 32 with 1/2. Letter G at 1.0: arrow down to H."""
    found = {severity: acceptance_plan(1_001, 1.0, severity=severity)[6:] for severity in Severity}
    assert found == {
        Severity.normal: ("J", 80, 2, 3),
        Severity.tightened: ("J", 80, 1, 2),
        Severity.reduced: ("J", 32, 1, 2),
    }
    assert acceptance_plan(200, 1.0)[5:] == ("G", "H", 50, 1, 2)
    assert acceptance_plan(4_000, 6.5)[6:] == ("L", 200, 21, 22)


def test_a_sample_as_large_as_the_lot_audits_the_whole_lot() -> None:
    whole = acceptance_plan(100, 0.1)
    assert (whole.size, whole.accept, whole.probability) == (100, 0, 1.0)
    assert chance_accepted(0, 0, 0.5) == 1.0
    assert lot_chance_accepted(100, 1, 100, 0) == 0.0
    assert lot_chance_accepted(100, 0, 100, 0) == 1.0


@pytest.mark.parametrize("severity", list(Severity))
def test_a_stricter_aql_never_accepts_worse_work(severity: Severity) -> None:
    """What a vendor may deliver and be accepted in 95 of 100 lots falls with the AQL, for every letter."""
    for letter in LETTERS:
        safe = [
            share_accepted_with(size, ac, 0.95) for _, size, ac, _ in (single_plan(letter, a, severity) for a in AQLS)
        ]
        assert all(one <= following + 1e-9 for one, following in pairwise(safe)), letter


def test_tightened_accepts_less_and_reduced_asks_for_less() -> None:
    for letter in LETTERS:
        for aql in AQLS:
            normal, tight, less = (single_plan(letter, aql, severity) for severity in Severity)
            assert less[1] <= normal[1]
            if normal[0] == tight[0]:
                assert chance_accepted(tight[1], tight[2], aql / 50) <= chance_accepted(normal[1], normal[2], aql / 50)


@pytest.mark.parametrize(
    ("size", "accept", "chance", "percent"),
    [
        (80, 2, 0.95, 1.03),
        (80, 2, 0.1, 6.52),
        (80, 5, 0.95, 3.32),
        (80, 5, 0.1, 11.3),
        (32, 0, 0.95, 0.160),
        (50, 1, 0.1, 7.56),
    ],
)
def test_the_curves_are_those_of_table_10(size: int, accept: int, chance: float, percent: float) -> None:
    """Tabulated operating characteristic values (Tables 10-A to 10-R), percent wrong."""
    assert 100 * share_accepted_with(size, accept, chance) == pytest.approx(percent, rel=0.006)


def test_a_curve_falls_and_its_two_kinds_meet_in_large_lots() -> None:
    small, large = (characteristic(acceptance_plan(lot, 1.0)) for lot in (1_000, 400_000_000))
    for found in (small, large):
        assert 10 <= len(found.points) <= 25
        assert found.points[0].lot_accepted == found.points[0].process_accepted == 1.0
        for one, following in pairwise(found.points):
            assert following.process_accepted < one.process_accepted
            assert following.lot_accepted <= one.lot_accepted
        assert found.points[-1].process_accepted < 0.01
    assert all(math.isclose(one.lot_accepted, one.process_accepted, abs_tol=0.002) for one in large.points)
    assert small.risk_at_aql == pytest.approx(0.0467, abs=0.001)


def test_hypergeometric_chances_by_hand() -> None:
    """Two of five labels wrong, two audited: none wrong in 3 of 10 samples, at most one in 9 of 10."""
    assert lot_chance_accepted(5, 2, 2, 0) == pytest.approx(0.3)
    assert lot_chance_accepted(5, 2, 2, 1) == pytest.approx(0.9)
    assert lot_chance_accepted(5, 5, 2, 1) == 0.0


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: acceptance_plan(1, 1.0), "write 2 or more"),
        (lambda: acceptance_plan(100, 1.1), "use one of 0.01, 0.015"),
        (lambda: code_letter(100, "IV"), "use one of S-1"),
        (lambda: single_plan("I", 1.0), "use one of A, B"),
    ],
)
def test_what_is_not_in_the_tables_is_told(call, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        call()


@pytest.mark.parametrize("lot", [10**9, 10**11, 10**12])
def test_large_lots_are_as_exact_as_small_ones(lot: int) -> None:
    """A lot without end is the binomial distribution; logarithms of its factorials are wrong by tenths of a percent and more."""
    for size, accept in ((80, 2), (1_250, 21)):
        for share in (0.001, 0.01, 0.02):
            found = lot_chance_accepted(lot, round(lot * share), size, accept)
            assert found == pytest.approx(chance_accepted(size, accept, share), rel=1e-5)
