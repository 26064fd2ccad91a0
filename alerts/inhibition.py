"""Which incident speaks for which, receiver by receiver. Pure.

A narrower incident is held for a receiver who knows of a wider one of its kind, or is told of it now, while that one is live
and not silent. It is not held where it is a clear contributor of the wider one: then the narrower one speaks, and the wider one
is held for who knows of the narrower. Whoever is held therefore knows of the incident that holds it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations

from alerts.incident import Incident
from alerts.scopes import Scope

_Place = tuple[str, frozenset[tuple[str, str]]]


class Voices:
    """The live incidents, what each receiver knows of them, and what would be told now."""

    def __init__(
        self,
        incidents: Iterable[Incident],
        known: Mapping[str, frozenset[str]],
        wanted: Mapping[str, frozenset[str]],
        silent: Callable[[Incident], bool],
    ) -> None:
        """Hold what to judge by.

        Args:
            incidents: All of them.
            known: By incident key, receivers that were told of its present firing.
            wanted: By incident key, receivers that would be told of it now.
            silent: Whether an incident tells nothing for now: such a one speaks for no other.
        """
        self._known, self._wanted, self._silent = known, wanted, silent
        self._at: dict[_Place, list[Incident]] = defaultdict(list)
        for one in incidents:
            if one.live:
                self._at[one.kind, frozenset(one.scope.items())].append(one)
        self._found: dict[tuple[str, str], str | None] = {}
        self._asked: set[tuple[str, str]] = set()

    def holder(self, incident: Incident, receiver: str) -> str | None:
        """Return the key of the incident that speaks for another to a receiver; None where it speaks for itself."""
        ask = (incident.key, receiver)
        if ask not in self._found:
            self._asked.add(ask)
            speaking = (other.key for other in self._rivals(incident) if self._speaks(other, receiver))
            self._found[ask] = next(speaking, None)
            self._asked.discard(ask)
        return self._found[ask]

    def _rivals(self, incident: Incident) -> Iterator[Incident]:
        """Yield what may speak for an incident: its clear contributors, then wider ones whose contributor it is not."""
        yield from (other for other in self._sharper(incident) if not self._silent(other))
        for wider in _wider(incident.scope):
            for other in self._at.get((incident.kind, wider), ()):
                if not self._silent(other) and not self._is_sharper(incident.scope, other):
                    yield other

    def _speaks(self, incident: Incident, receiver: str) -> bool:
        """Tell whether a receiver knows of an incident or is told of it now. While that is being asked it is not."""
        if receiver in self._known.get(incident.key, ()):
            return True
        if receiver not in self._wanted.get(incident.key, ()) or (incident.key, receiver) in self._asked:
            return False
        return self.holder(incident, receiver) is None

    def _sharper(self, incident: Incident) -> list[Incident]:
        """Return the live incidents on clear contributors of an incident, and on theirs, the nearest first."""
        found: list[Incident] = []
        ahead = [incident]
        while ahead:
            one = ahead.pop(0)
            for place in _clear(one):
                ahead += self._at.get(place, ())
                found += self._at.get(place, ())
        return found

    def _is_sharper(self, scope: Scope, wide: Incident) -> bool:
        """Tell whether a scope is a clear contributor of a wider incident, or one of such a contributor's."""
        return any(other.scope == scope for other in self._sharper(wide)) or (
            wide.kind,
            frozenset(scope.items()),
        ) in _clear(wide)


def _clear(incident: Incident) -> list[_Place]:
    """Return the scopes of an incident's clear contributors; those that it names twice are no narrower scope."""
    return [
        (incident.kind, frozenset({**incident.scope, part.dimension: part.value}.items()))
        for part in incident.contributors
        if part.clear and part.dimension not in incident.scope
    ]


def _wider(scope: Scope) -> Iterator[frozenset[tuple[str, str]]]:
    for size in range(len(scope)):
        for part in combinations(scope.items(), size):
            yield frozenset(part)
