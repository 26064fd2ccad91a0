"""Comparing two sets of table rows: what a row lacks is 0, and every difference can be read by a person."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from streams.core.time_text import moment
from streams.core.window_names import CALENDAR_WINDOWS
from streams.models.measures import TABLES
from streams.models.timestamps import parse_rfc3339_ms

Rows = Mapping[tuple[str, Any], Mapping[str, Any]]

COMPARED = {name: table.recounted() for name, table in TABLES.items()}
"""Per table, the fields that must be equal in every row: all that are counted, so that the oracle must count each of them."""

ABSOLUTE_TOLERANCE = 1.5e-9
"""Weights are sums of whole nanos (1e-9): as floats they may differ by less than one and a half of them."""

RELATIVE_TOLERANCE = 1e-12
"""…and by a few units in the last place of a float once they are large."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one row that is not what it should be. ``pane`` is a start in RFC 3339 or a window's name."""

    table: str
    scope_key: str
    pane: str
    field: str
    expected: float
    actual: float

    def __str__(self) -> str:
        where = f"{self.table} {self.scope_key} {self.pane}"
        return f"{where}: {self.field} should be {_number(self.expected)}, is {_number(self.actual)}"


def differences(
    expected: Mapping[str, Rows],
    actual: Mapping[str, Rows],
    fields: Mapping[str, Collection[str]] | None = None,
) -> list[Difference]:
    """All differences between two sets of tables, ordered by table, scope, pane and field.

    Args:
        expected: table -> (scope_key, pane) -> row; a pane is its start in milliseconds or a window's name. Rows may
            nest one level (``wrong: {technical: 1}`` is the field ``wrong.technical``); what is not a number is ignored.
        actual: the same of what is being judged.
        fields: per table the fields to compare; without it, every number of ``expected``'s rows of that table (the
            oracle leaves zeros out, so a field it never names in the whole table is not judged). A table that is not
            in ``fields`` is not compared.

    Returns:
        No difference where both sides are equal, weights within 1.5 nano. A row missing on one side counts as all zero.
    """
    found = []
    for table in fields if fields is not None else expected:
        left, right = expected.get(table, {}), actual.get(table, {})
        flat_left = {key: dict(_flat(row)) for key, row in left.items()}
        names = sorted(fields[table] if fields is not None else {name for row in flat_left.values() for name in row})
        for key in sorted({*left, *right}, key=lambda key: (key[0], str(key[1]))):
            mine, theirs = flat_left.get(key, {}), dict(_flat(right.get(key, {})))
            for name in names:
                a, b = mine.get(name, 0), theirs.get(name, 0)
                if not _same(a, b):
                    found.append(Difference(table, key[0], _pane(key[1]), name, a, b))
    return found


def row_count(*sides: Mapping[str, Rows]) -> int:
    """How many rows a comparison looked at: the union of the keys of all sides."""
    return len({(table, key) for side in sides for table, rows in side.items() for key in rows})


def rows_of_dump(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int], dict[str, Any]]:
    """Rows of a dump or truth file (``scope``, ``pane_start``, fields) keyed by (scope_key, pane start in ms)."""
    result: dict[tuple[str, int], dict[str, Any]] = {}
    for row in rows:
        scope_key = ",".join(f"{name}={value}" for name, value in row["scope"].items()) or "all"
        start_ms = parse_rfc3339_ms(row["pane_start"])
        fields = {name: value for name, value in row.items() if name not in ("scope", "pane_start", "pane_s")}
        result[(scope_key, start_ms)] = fields
    return result


def report(found: list[Difference], rows: int, limit: int = 20) -> str:
    """``0 differences in N rows``, or the count and the first ``limit`` differences, one a line."""
    lines = [f"{len(found)} difference{'s' if len(found) != 1 else ''} in {rows} rows"]
    lines += [f"  {difference}" for difference in found[:limit]]
    if len(found) > limit:
        lines.append(f"  … and {len(found) - limit} more")
    return "\n".join(lines)


def _flat(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            for inner, number in value.items():
                if _is_number(number):
                    yield f"{name}.{inner}", number
        elif _is_number(value):
            yield name, value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(a: float, b: float) -> bool:
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    return abs(a - b) <= max(ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE * max(abs(a), abs(b)))


def _pane(pane: str | int) -> str:
    if isinstance(pane, str):
        return pane
    return moment(pane).isoformat().replace("+00:00", "Z")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.9f}".rstrip("0").rstrip(".")


def keyed(rows: Mapping[str, dict[str, Any]], *, panes: bool) -> dict[tuple[str, Any], dict[str, Any]]:
    """Return rows keyed as the oracle keys them: by scope and pane start in ms, or by scope and window name."""
    found: dict[tuple[str, Any], dict[str, Any]] = {}
    for key, row in rows.items():
        scope_key, window, *rest = key.rsplit("|", 2 if row["window"] == "pane" else 1)
        if panes and rest:
            found[scope_key, int(rest[0])] = row
        elif not panes and not rest and row["window"] not in CALENDAR_WINDOWS:
            found[scope_key, window] = row
    return found
