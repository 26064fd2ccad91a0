"""Evaluate the scopes of a rule one by one, so that a row that cannot be judged costs the signal of its own scope only. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Protocol, TypeVar

from alerts.kinds.base import Finding, RuleContext
from alerts.part_index import IndexedRows
from alerts.scopes import DIMENSIONS
from alerts.view import Row, is_live

Made = TypeVar("Made")


class NamedRule(Protocol):
    """What is needed of a rule."""

    @property
    def name(self) -> str:
        """Its name."""


def judged(
    rule: NamedRule, context: RuleContext, keys: Iterable[str], judge: Callable[[str], Finding | None]
) -> Iterator[Finding]:
    """Yield what a rule says of each scope. A scope that raises is set aside, and the others go on.

    Args:
        rule: The rule.
        context: Where it looks; it takes what is set aside.
        keys: Scope keys, in the order of the findings.
        judge: From a scope key to its finding; None for a scope that the rule does not select.
    """
    for key in keys:
        found = attempt(rule, context, key, partial(judge, key))
        if found is not None:
            yield found


class ReadableRows(IndexedRows):
    """Rows by scope key, and what those raised that could not be read."""

    def __init__(self) -> None:
        super().__init__()
        self.damaged: dict[str, Exception] = {}

    def one(self, key: str) -> Row | None:
        """Return a row, None if there is none.

        Raises:
            Exception: It cannot be read. It is not the same as one that is not there: the scope that needs it cannot be judged.
        """
        if key in self.damaged:
            raise self.damaged[key]
        return self.get(key)


def scope_of(row: Row) -> Mapping[str, str]:
    """Return the scope of a row.

    Raises:
        ValueError: It is not an object of dimensions and texts.
    """
    scope = row["scope"]
    if not isinstance(scope, Mapping) or any(
        name not in DIMENSIONS or not isinstance(value, str) for name, value in scope.items()
    ):
        raise ValueError("its scope is no object of dimensions and names")
    return scope


def attempt(rule: NamedRule, context: RuleContext, key: str, make: Callable[[], Made]) -> Made | None:
    """Return what ``make`` returns; None if it raises, and then the scope is set aside with the reason."""
    try:
        return make()
    except Exception as error:  # noqa: BLE001 - whatever a row raises, the other rows are not to suffer for it
        context.set_aside(rule.name, key, error)
        return None


def readable(
    rule: NamedRule, context: RuleContext, rows: Mapping[str, Row], read: Callable[[Row], object] = scope_of
) -> ReadableRows:
    """Return the rows that can be read. The others are set aside, and are among the damaged.

    Args:
        rule: The rule.
        context: Where it looks; it takes what is set aside.
        rows: Rows by scope key.
        read: What is read of a row; its scope if nothing else is said.
    """
    found = ReadableRows()
    found.damaged |= rows.damaged if isinstance(rows, ReadableRows) else {}
    for key, row in rows.items():
        try:
            read(row)
        except Exception as error:  # noqa: BLE001 - see ``attempt``
            context.set_aside(rule.name, key, error)
            found.damaged[key] = error
        else:
            found[key] = row
    return found


def live_rows(rule: NamedRule, context: RuleContext, table: str, window: str) -> ReadableRows:
    """Rows whose window still touches the present one. Rows without a scope or a readable end are set aside.

    A read model keeps the last row of a scope without new events. If that row lies before the present window, it says
    nothing about now, and an alarm on it would never end.
    """
    live = ReadableRows()
    for key, row in context.view.rows(table, window).items():
        try:
            scope_of(row)
            if is_live(row, window, context.watermark_ms):
                live[key] = row
        except Exception as error:  # noqa: BLE001 - see ``attempt``
            context.set_aside(rule.name, key, error)
            live.damaged[key] = error
    return live
