"""Which of many scopes narrow a scope: found without looking at all of them, as thousands may fire at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

from alerts.scopes import Scope
from alerts.view import Row

_Values = tuple[str, ...]


class PartIndex:
    """Keys by scope. Each kind of scope is sorted once for each kind of wider scope that is asked for."""

    def __init__(self, scopes: Iterable[tuple[str, Scope]]) -> None:
        """Hold keys, each with its scope."""
        self._kinds: dict[frozenset[str], list[tuple[str, Scope]]] = {}
        for key, scope in scopes:
            self._kinds.setdefault(frozenset(scope), []).append((key, scope))
        self._sorted: dict[tuple[frozenset[str], _Values], dict[_Values, list[str]]] = {}

    def at(self, scope: Scope) -> list[str]:
        """Return the keys of a scope itself: one, or none."""
        return [key for _, keys in self._narrower(scope, 0) for key in keys]

    def children(self, scope: Scope) -> Iterator[tuple[str, list[str]]]:
        """Yield each dimension by which others narrow a scope, with their keys in the order in which they came."""
        for (name,), keys in self._narrower(scope, 1):
            yield name, keys

    def crosses(self, scope: Scope) -> Iterator[list[str]]:
        """Yield, for each pair of dimensions by which others narrow a scope, their keys in the order in which they came."""
        for _, keys in self._narrower(scope, 2):
            yield keys

    def _narrower(self, scope: Scope, more: int) -> Iterator[tuple[tuple[str, ...], list[str]]]:
        names = tuple(sorted(scope))
        wanted = tuple(scope[name] for name in names)
        for kind in self._kinds:
            if len(kind) == len(names) + more and kind.issuperset(names):
                keys = self._by(kind, names).get(wanted)
                if keys:
                    yield tuple(kind.difference(names)), keys

    def _by(self, kind: frozenset[str], names: tuple[str, ...]) -> dict[_Values, list[str]]:
        """Return the keys of a kind of scope by their values of some dimensions."""
        found = self._sorted.get((kind, names))
        if found is None:
            found = self._sorted[kind, names] = {}
            for key, scope in self._kinds[kind]:
                found.setdefault(tuple(scope[name] for name in names), []).append(key)
        return found


class IndexedRows(dict[str, Row]):
    """Rows by scope key. Put in all of them before the index is asked for."""

    @cached_property
    def index(self) -> PartIndex:
        """The scopes of the rows."""
        return PartIndex((key, row["scope"]) for key, row in self.items())
