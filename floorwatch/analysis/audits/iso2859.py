"""Acceptance sampling of lots by attributes: code letters, single sampling plans and switching rules of ISO 2859-1:1999.

Table 1 of the standard is written out. Tables 2-A, 2-B and 2-C (single sampling; normal, tightened, reduced) have one structure: along
the diagonals on which sample size times AQL is about constant the acceptance number is the same. It is 0 on one diagonal, arrows on the
next ones, then 1, 2, 3, and so on. An arrow down means the first plan below it, an arrow up the first above it. So the tables are
computed from their diagonals; a test compares every cell with a transcription of GB/T 2828.1-2012, which is identical to the standard.

Only AQLs up to 10% are here: above that the standard counts faults per hundred items, and a label is either right or wrong.
"""

from __future__ import annotations

from bisect import bisect_right
from enum import StrEnum
from typing import NamedTuple

LETTERS = "ABCDEFGHJKLMNPQR"
"""Code letters of sample sizes; I and O are left out."""

LEVELS = ("S-1", "S-2", "S-3", "S-4", "I", "II", "III")
"""Inspection levels; II unless there is a reason for another. The special ones are for small samples."""

AQLS = (0.01, 0.015, 0.025, 0.04, 0.065, 0.1, 0.15, 0.25, 0.4, 0.65, 1.0, 1.5, 2.5, 4.0, 6.5, 10.0)
"""Preferred acceptance quality limits, percent wrong."""

_LOT_ENDS = (8, 15, 25, 50, 90, 150, 280, 500, 1_200, 3_200, 10_000, 35_000, 150_000, 500_000)

_TABLE_1 = (
    *("AAAAAAB", "AAAAABC", "AABBBCD", "ABBCCDE", "BBCCCEF", "BBCDDFG", "BCDEEGH", "BCDEFHJ"),
    *("CCEFGJK", "CDEGHKL", "CDFGJLM", "CDFHKMN", "DEGJLNP", "DEGJMPQ", "DEHKNQR"),
)
"""For each range of lot sizes the code letters of the levels."""

_SIZES = (2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500, 800, 1_250, 2_000)
_REDUCED_SIZES = (2, 2, 2, 3, 5, 8, 13, 20, 32, 50, 80, 125, 200, 315, 500, 800)
_DOWN, _UP = "down", "up"


class Severity(StrEnum):
    """How strictly lots are inspected; the switching rules lead from one to the other."""

    normal = "normal"
    tightened = "tightened"
    reduced = "reduced"


class _Table(NamedTuple):
    """One table: sample sizes by letter, on which diagonal the acceptance number is 0, and what the following ones hold."""

    name: str
    sizes: tuple[int, ...]
    zero: int
    diagonals: tuple[int | str, ...]


_TABLES = {
    Severity.normal: _Table("2-A", _SIZES, 14, (0, _UP, _DOWN, 1, 2, 3, 5, 7, 10, 14, 21)),
    Severity.tightened: _Table("2-B", (*_SIZES, 3_150), 15, (0, _DOWN, _DOWN, 1, 2, 3, 5, 8, 12, 18)),
    Severity.reduced: _Table("2-C", _REDUCED_SIZES, 14, (0, _UP, _DOWN, _DOWN, 1, 2, 3, 5, 6, 8, 10)),
}


class AcceptancePlan(NamedTuple):
    """A single sampling plan for one lot.

    Attributes:
        lot: Labels of the lot.
        level: Inspection level.
        aql: Acceptance quality limit, percent wrong.
        severity: Which table it is from.
        table: Its name in the standard.
        letter: Code letter of the lot and level.
        plan_letter: Letter of the plan that the arrows lead to.
        size: Labels to audit: the whole lot where the plan asks for as many or more.
        accept: Most wrong ones with which the lot is accepted (Ac).
        reject: Least wrong ones with which it is not (Re).
    """

    lot: int
    level: str
    aql: float
    severity: Severity
    table: str
    letter: str
    plan_letter: str
    size: int
    accept: int
    reject: int

    @property
    def probability(self) -> float:
        """The sampling probability of each label of the lot, 0..1."""
        return self.size / self.lot

    def accepts(self, wrong: int) -> bool:
        """Tell whether a sample with so many wrong ones accepts the lot."""
        return wrong <= self.accept


def code_letter(lot: int, level: str = "II") -> str:
    """Return the code letter of a lot.

    Source: ISO 2859-1:1999, Table 1.

    Args:
        lot: Labels of the lot, at least 2.
        level: One of ``LEVELS``.

    Raises:
        ValueError: The lot is smaller, or there is no such level.

    Example:
        >>> code_letter(1_150), code_letter(1_250, "I")
        ('J', 'H')
    """
    if lot < 2:
        raise ValueError(f"a lot of {lot} needs no sample; write 2 or more")
    if level not in LEVELS:
        raise ValueError(f"there is no inspection level {level}; use one of {', '.join(LEVELS)}")
    return _TABLE_1[bisect_right(_LOT_ENDS, lot - 1)][LEVELS.index(level)]


def single_plan(letter: str, aql: float, severity: Severity = Severity.normal) -> tuple[str, int, int, int]:
    """Return the single sampling plan of a code letter.

    Source: ISO 2859-1:1999, Tables 2-A, 2-B and 2-C.

    Args:
        letter: One of ``LETTERS``.
        aql: One of ``AQLS``, percent.
        severity: Which table.

    Returns:
        Letter of the plan that the arrows lead to, sample size, Ac and Re.

    Raises:
        ValueError: There is no such letter or AQL.

    Example:
        >>> single_plan("J", 1.0)
        ('J', 80, 2, 3)
        >>> single_plan("G", 1.0)  # an arrow down
        ('H', 50, 1, 2)
    """
    if letter not in LETTERS:
        raise ValueError(f"there is no code letter {letter}; use one of {', '.join(LETTERS)}")
    if aql not in AQLS:
        raise ValueError(f"AQL {aql:g} is not in the tables; use one of {', '.join(f'{one:g}' for one in AQLS)}")
    table, column = _TABLES[severity], AQLS.index(aql)
    row, last = LETTERS.index(letter), len(table.diagonals) - 1

    def number(at: int) -> int | str:
        diagonal = at + column - table.zero
        return _DOWN if diagonal < 0 else _UP if diagonal > last else table.diagonals[diagonal]

    found = number(row)
    if isinstance(found, str):
        above = [at for at in range(row - 1, -1, -1) if isinstance(number(at), int)]
        below = [at for at in range(row + 1, len(table.sizes)) if isinstance(number(at), int)]
        # At the edge of the table an arrow has only one way to go.
        row = (below or above)[0] if found == _DOWN else (above or below)[0]
        found = number(row)
    accept = int(found)
    return (LETTERS + "S")[row], table.sizes[row], accept, accept + 1


def acceptance_plan(lot: int, aql: float, level: str = "II", severity: Severity = Severity.normal) -> AcceptancePlan:
    """Return the single sampling plan of a lot.

    Source: ISO 2859-1:1999, Tables 1 and 2.

    Args:
        lot: Labels of the lot, at least 2.
        aql: One of ``AQLS``, percent.
        level: One of ``LEVELS``.
        severity: Normal unless the switching rules say otherwise.

    Raises:
        ValueError: An argument is not in the tables.

    Example:
        >>> acceptance_plan(1_150, 1.0)[6:]
        ('J', 80, 2, 3)
    """
    letter = code_letter(lot, level)
    plan_letter, size, accept, reject = single_plan(letter, aql, severity)
    table = _TABLES[severity].name
    return AcceptancePlan(lot, level, aql, severity, table, letter, plan_letter, min(lot, size), accept, reject)


SWITCHING = {
    Severity.normal: (
        "Go over to tightened as soon as 2 of 5 (or fewer) consecutive lots are not accepted.",
        (
            "Go over to reduced when the switching score is 30 or more, work is steady and whoever is responsible agrees. The "
            "score begins at 0. With Ac 0 or 1, an accepted lot adds 2. With Ac 2 or more, it adds 3 if it would also have been "
            "accepted at the next smaller AQL. Otherwise the score goes back to 0."
        ),
    ),
    Severity.tightened: (
        "Go back to normal when 5 consecutive lots are accepted.",
        "Stop accepting lots by sample when 5 lots in all are not accepted under tightened inspection, until the vendor has improved.",
    ),
    Severity.reduced: (
        "Go back to normal as soon as a lot is not accepted, work becomes irregular or stops, or other conditions ask for it.",
    ),
}
"""Switching rules of clause 9.3, by the severity that they lead away from. Without them the plans do not protect as promised."""
