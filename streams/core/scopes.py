"""Scopes: which slices of the floor an event belongs to, and their names."""

from __future__ import annotations

from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt

from streams.core.policy import DIMENSIONS, CorePolicy, Dims

ALL_KEY = "all"
_SAFE = " !\"#$&'()*+-./:;<>?@[]^_`{}~\\"
_INITIAL_ROWS = 1024
_STRIDE = 1 << 20
_PAIRS_LIMIT = 50_000
_WHO = tuple(DIMENSIONS.index(name) for name in ("site", "vendor", "team", "labeler"))
_WHAT = tuple(DIMENSIONS.index(name) for name in ("queue", "policy", "market", "priority"))

Ints = npt.NDArray[np.int64]


def scope_key(names: tuple[str, ...], values: tuple[str, ...]) -> str:
    """Return the canonical key of a scope.

    ``,`` ``=`` ``|`` and ``%`` inside a value are percent-encoded, so a key can always be read back.

    Example:
        >>> scope_key(("queue", "policy"), ("hate", "P3"))
        'queue=hate,policy=P3'
        >>> scope_key((), ())
        'all'
    """
    if not names:
        return ALL_KEY
    return ",".join(f"{name}={quote(value, safe=_SAFE)}" for name, value in zip(names, values, strict=True))


def parse_scope_key(key: str) -> dict[str, str]:
    """Return a scope key as an object; ``{}`` for ``all``."""
    if key == ALL_KEY:
        return {}
    pairs = (part.split("=", 1) for part in key.split(","))
    return {name: unquote(value) for name, value in pairs}


class _Half:
    """Numbers tuples of four dimensions and keeps, per tuple, the number of each value."""

    def __init__(self, values: list[dict[str, int]]) -> None:
        self._values = values
        self.ids: dict[Dims, int] = {}
        self.table: Ints = np.full((_INITIAL_ROWS, len(values)), -1, dtype=np.int64)

    def add(self, part: Dims) -> int:
        number = len(self.ids)
        if number == len(self.table):
            self.table = np.concatenate([self.table, np.full_like(self.table, -1)])
        for column, (value, known) in enumerate(zip(part, self._values, strict=True)):
            self.table[number, column] = -1 if value is None else known.setdefault(value, len(known))
        self.ids[part] = number
        return number


class ScopeIndex:
    """Numbers the scopes one partition has met and finds the scopes of dimension tuples.

    A dimension tuple is split into who (site, vendor, team, labeler) and what (queue, policy, market, priority): each
    half has few distinct values even where the whole hardly ever repeats. Scopes are then found per kind for many
    events at once.

    Attributes:
        keys: Scope key by scope number.
        refused: New scopes that ``max_scopes`` kept out (each asked for counts).
    """

    def __init__(self, policy: CorePolicy) -> None:
        """Start empty."""
        self._max_scopes = policy.max_scopes
        self._ids: dict[str, int] = {}
        self.keys: list[str] = []
        self.refused = 0
        self._values: list[dict[str, int]] = [{} for _ in DIMENSIONS]
        self._who = _Half([self._values[i] for i in _WHO])
        self._what = _Half([self._values[i] for i in _WHAT])
        self._kinds = [(names, [DIMENSIONS.index(name) for name in names]) for names in policy.scopes]
        self._pairs: dict[tuple[int, int], list[tuple[int, bool]]] = {}
        self._known: list[dict[int, int]] = [{} for _ in self._kinds]
        # One labeller's own scopes need no names to count one.
        self.headcount = ["labeler" not in names for names, _ in self._kinds]

    def __len__(self) -> int:
        """Return how many scopes are known."""
        return len(self.keys)

    @property
    def tuples(self) -> int:
        """How many half tuples are numbered."""
        return len(self._who.ids) + len(self._what.ids)

    def number(self, key: str) -> int:
        """Return the number of a scope, giving it one if there is room; -1 where the cap refuses it."""
        found = self._ids.get(key)
        if found is not None:
            return found
        if len(self.keys) >= self._max_scopes:
            self.refused += 1
            return -1
        self._ids[key] = number = len(self.keys)
        self.keys.append(key)
        return number

    def halves(self, dims: Dims) -> tuple[int, int]:
        """Return the numbers of the two halves of a dimension tuple."""
        site, vendor, team, queue, policy, market, priority, labeler = dims
        part = (site, vendor, team, labeler)
        who = self._who.ids.get(part)
        if who is None:
            who = self._who.add(part)
        part = (queue, policy, market, priority)
        what = self._what.ids.get(part)
        if what is None:
            what = self._what.add(part)
        return who, what

    def scopes_of(self, who: int, what: int) -> list[tuple[int, bool]]:
        """Return the (scope number, keeps head count) pairs of one dimension tuple given by its halves."""
        held = self._pairs.get((who, what))
        if held is not None:
            return held
        values = [-1] * len(DIMENSIONS)
        for column, dimension in enumerate(_WHO):
            values[dimension] = int(self._who.table[who, column])
        for column, dimension in enumerate(_WHAT):
            values[dimension] = int(self._what.table[what, column])
        found: list[tuple[int, bool]] = []
        for kind, headcount in enumerate(self.headcount):
            number = self._scope_of_kind(kind, values)
            if number >= 0:
                found.append((number, headcount))
        if len(self._pairs) > _PAIRS_LIMIT:
            self._pairs.clear()
        self._pairs[who, what] = found
        return found

    def _scope_of_kind(self, kind: int, values: list[int]) -> int:
        names, positions = self._kinds[kind]
        if not positions:
            return self.number(ALL_KEY)
        code = 0
        for position in positions:
            if values[position] < 0:
                return -1
            code = code * _STRIDE + values[position]
        known = self._known[kind].get(code, -1)
        if known < 0:
            known = self._name(names, positions, code)
            if known >= 0:
                self._known[kind][code] = known
        return known

    def resolve(self, who: Ints, what: Ints) -> list[Ints]:
        """Return, per scope kind, the scope number of each event: -1 where a dimension is unknown or the cap refused.

        Args:
            who: Number of the first half, one per event.
            what: Number of the second half, one per event.
        """
        columns: list[Ints] = [np.empty(0, dtype=np.int64)] * len(DIMENSIONS)
        for column, dimension in enumerate(_WHO):
            columns[dimension] = self._who.table[:, column][who]
        for column, dimension in enumerate(_WHAT):
            columns[dimension] = self._what.table[:, column][what]
        return [self._scopes_of_kind(kind, columns, len(who)) for kind in range(len(self._kinds))]

    def _scopes_of_kind(self, kind: int, columns: list[Ints], count: int) -> Ints:
        names, positions = self._kinds[kind]
        if not positions:
            return np.full(count, self.number(ALL_KEY), dtype=np.int64)
        combined = np.zeros(count, dtype=np.int64)
        unknown = np.zeros(count, dtype=bool)
        for position in positions:
            values = columns[position]
            combined = combined * _STRIDE + values
            unknown |= values < 0
        combined[unknown] = -1
        distinct, inverse = np.unique(combined, return_inverse=True)
        known = self._known[kind]
        numbers = np.empty(len(distinct), dtype=np.int64)
        for i, code in enumerate(distinct.tolist()):
            found = known.get(code, -1) if code >= 0 else -1
            if found < 0 <= code:
                found = self._name(names, positions, code)
                if found >= 0:
                    known[code] = found
            numbers[i] = found
        return numbers[inverse]

    def _name(self, names: tuple[str, ...], positions: list[int], code: int) -> int:
        values: list[str] = []
        for position in reversed(positions):
            code, value_id = divmod(code, _STRIDE)
            values.append(next(value for value, known in self._values[position].items() if known == value_id))
        return self.number(scope_key(names, tuple(reversed(values))))
