"""Scopes: which slices of the floor an event belongs to, and their names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import quote, unquote

import numpy as np
import numpy.typing as npt

from streams.core.policy import DIMENSIONS, CorePolicy, Dims

ALL_KEY = "all"
_SAFE = " !\"#$&'()*+-./:;<>?@[]^_`{}~\\"
_INITIAL_ROWS = 1024
_STRIDE = 1 << 20
_PAIRS_LIMIT = 50_000
TUPLES_LIMIT = 200_000
"""Parts of dimension tuples numbered, 66 MB, above which numbering begins anew. Between two looks fewer than ``_STRIDE`` come."""
_WHO = tuple(DIMENSIONS.index(name) for name in ("site", "vendor", "team", "labeler"))
_LABELER = 3  # column of the first part
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


def scope_kind(dimensions: Iterable[str]) -> str:
    """Return the name of a kind of scope: its dimensions in fixed order.

    Example:
        >>> scope_kind({"queue": "hate", "vendor": "bpo-a"})
        'vendor_queue'
        >>> scope_kind(())
        'all'
    """
    named = set(dimensions)
    return "_".join(d for d in DIMENSIONS if d in named) or "all"


def parse_scope_key(key: str) -> dict[str, str]:
    """Return a scope key as an object; ``{}`` for ``all``."""
    if key == ALL_KEY:
        return {}
    pairs = (part.split("=", 1) for part in key.split(","))
    return {name: unquote(value) for name, value in pairs}


class BadScope(ValueError):
    """The text is not a scope.

    Attributes:
        reason: What is wrong.
        name: The dimension that there is not, or None.
    """

    def __init__(self, reason: str, name: str | None = None) -> None:
        super().__init__(reason)
        self.reason, self.name = reason, name


def parse_scope(text: str, names: Sequence[str] = DIMENSIONS, *, bare: bool = False) -> dict[str, str]:
    """Return a scope that somebody typed, in the order of the dimensions: ``vendor=bpo-a,queue=hate``; ``{}`` for ``all``.

    Spaces around names and values do not count. A value is percent-decoded as in a scope key, so a key that was shown can be
    given back.

    Args:
        text: What was typed.
        names: The names that there are, in their order.
        bare: Accept ``queue`` alone, which is the empty value.

    Raises:
        BadScope: A part is not ``dimension=value``, names no dimension, or one twice.

    Example:
        >>> parse_scope("queue=hate, vendor=bpo-a")
        {'vendor': 'bpo-a', 'queue': 'hate'}
    """
    found: dict[str, str] = {}
    for part in text.split(",") if text.strip() not in ("", ALL_KEY) else ():
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals and not bare:
            raise BadScope(f"{part.strip()!r}: write dimension=value, for example vendor=bpo-a")
        if name not in names:
            raise BadScope(f"{name or repr(part)} is not a dimension", name)
        if name in found:
            raise BadScope(f"{name} is named twice")
        if not value and not bare:
            raise BadScope(f"{name} has no value: write for example {name}=NAME")
        found[name] = unquote(value)
    return {name: found[name] for name in names if name in found}


class _Values:
    """Numbers the values of one dimension."""

    __slots__ = ("ids", "names")

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.names: list[str] = []

    def number(self, value: str | None) -> int:
        """Return the number of a value, -1 for None."""
        if value is None:
            return -1
        known = self.ids.get(value)
        if known is None:
            self.ids[value] = known = len(self.names)
            self.names.append(value)
        return known


class _DimensionPart:
    """Numbers tuples of four dimensions and keeps, per tuple, the number of each value."""

    def __init__(self, values: list[_Values]) -> None:
        self._values = values
        self.ids: dict[Dims, int] = {}
        self.table: Ints = np.full((_INITIAL_ROWS, len(values)), -1, dtype=np.int64)

    def add(self, part: Dims) -> int:
        number = len(self.ids)
        if number == len(self.table):
            self.table = np.concatenate([self.table, np.full_like(self.table, -1)])
        self.table[number] = [known.number(value) for value, known in zip(part, self._values, strict=True)]
        self.ids[part] = number
        return number


class ScopeIndex:
    """Numbers the scopes one partition has met and finds the scopes of dimension tuples.

    A dimension tuple is split into person dimensions (``who``: site, vendor, team, labeler) and task dimensions
    (``what``: queue, policy, market, priority). Each part has few distinct values, even if whole tuples hardly repeat.
    So scopes are found for many events at once, kind by kind.

    Attributes:
        keys: Scope key by scope number.
        evidence_kinds: Kinds of scopes whose audits some detector looks at.
        tuples_limit: Half tuples numbered above which the numbers should be given anew (``forget``).
        refused: New scopes that ``max_scopes`` kept out (each asked for counts). Once there was one, every new scope is kept
            out, save those that the configuration names: a scope let in later would lack what came before (ADR 0030).
    """

    def __init__(self, policy: CorePolicy) -> None:
        """Start empty."""
        self._max_scopes = policy.max_scopes
        self._policy = policy
        self.tuples_limit = TUPLES_LIMIT
        self._ids: dict[str, int] = {}
        self.keys: list[str] = []
        self.refused = 0
        kinds = (*policy.scopes, *policy.audit_scopes)
        self._kinds = [(names, [DIMENSIONS.index(name) for name in names]) for names in kinds]
        self._audit_kinds = list(range(len(policy.scopes), len(kinds)))
        self.evidence_kinds = [kind for kind, looked_at in enumerate(policy.evidence_kinds) if looked_at]
        # Scopes of one labeller do not count labellers by name.
        self.headcount = ["labeler" not in names for names in policy.scopes]
        self.forget()

    def forget(self) -> None:
        """Begin to number values and tuples anew; scopes keep their numbers.

        Call it only while no waiting change holds such a number. Without it, a sender whose labeler ids never repeat
        would fill the memory.
        """
        self._values = [_Values() for _ in DIMENSIONS]
        self._who = _DimensionPart([self._values[i] for i in _WHO])
        self._what = _DimensionPart([self._values[i] for i in _WHAT])
        self._pairs: dict[tuple[int, int], list[tuple[int, bool]]] = {}
        self._known: list[dict[int, int]] = [{} for _ in self._kinds]

    def __len__(self) -> int:
        """Return how many scopes are known."""
        return len(self.keys)

    @property
    def tuples(self) -> int:
        """How many parts of dimension tuples are numbered."""
        return len(self._who.ids) + len(self._what.ids)

    def number(self, key: str) -> int:
        """Return the number of a scope, assigning one if there is room; -1 if the cap refuses it."""
        found = self._ids.get(key)
        if found is not None:
            return found
        if (self.refused or len(self.keys) >= self._max_scopes) and not self._policy.names(parse_scope_key(key)):
            self.refused += 1
            return -1
        return self.admit(key)

    def admit(self, key: str) -> int:
        """Return the number of a scope, giving it one whatever the cap: for one that has rows already."""
        found = self._ids.get(key)
        if found is not None:
            return found
        self._ids[key] = number = len(self.keys)
        self.keys.append(key)
        return number

    def split_dims(self, dims: Dims) -> tuple[int, int]:
        """Return the numbers of the person and the task dimensions of a tuple."""
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
        """Return the (scope number, keeps head count) pairs of one dimension tuple given by these two numbers."""
        held = self._pairs.get((who, what))
        if held is not None:
            return held
        values = self._values_of(who, what)
        found: list[tuple[int, bool]] = []
        for kind, headcount in enumerate(self.headcount):
            number = self._scope_of_kind(kind, values)
            if number >= 0:
                found.append((number, headcount))
        if len(self._pairs) > _PAIRS_LIMIT:
            self._pairs.clear()
        self._pairs[who, what] = found
        return found

    def audit_scopes(self, who: int, what: int) -> tuple[int, ...]:
        """Return the numbers of the scopes of one dimension tuple of which only audits are kept."""
        values = self._values_of(who, what)
        found = [self._scope_of_kind(kind, values) for kind in self._audit_kinds]
        return tuple([number for number in found if number >= 0])

    def _values_of(self, who: int, what: int) -> list[int]:
        values = [-1] * len(DIMENSIONS)
        for dimensions, numbers in ((_WHO, self._who.table[who]), (_WHAT, self._what.table[what])):
            for dimension, number in zip(dimensions, numbers.tolist(), strict=True):
                values[dimension] = number
        return values

    def _scope_of_kind(self, kind: int, values: list[int]) -> int:
        positions = self._kinds[kind][1]
        code = 0
        for position in positions:
            if values[position] < 0:
                return -1
            code = code * _STRIDE + values[position]
        return self._scope_of_code(kind, code)

    def _scope_of_code(self, kind: int, code: int) -> int:
        known = self._known[kind].get(code, -1)
        if known < 0:
            known = self._name(kind, code)
            if known >= 0:
                self._known[kind][code] = known
        return known

    def codes(self, kind: int, who: Ints, what: Ints, limit: int = 1 << 40) -> Codes:
        """Number the scopes of one kind that some changes fall into.

        The number has the numbers of the values as digits. This needs no sorting, but its bound is the product of the
        numbers of values. If that exceeds ``limit``, the scopes that occur are numbered instead, so that the callers'
        keys fit into 64 bits however many values a sender sends.

        Args:
            kind: Index into the configured scopes.
            who: Number of the first part, one per change.
            what: Number of the second part, one per change.
            limit: Greatest bound wanted; the number of changes is reached in any case.
        """
        positions = self._kinds[kind][1]
        code = np.zeros(len(who), dtype=np.int64)
        unknown = np.zeros(len(who), dtype=bool)
        width, ranked = 1, False
        for position in positions:
            values = self._column(position, who, what)
            size = max(1, len(self._values[position].names))
            if width * size > limit:
                code, ranked = np.unique(code, return_inverse=True)[1].reshape(-1), True
                width = len(code)
            code = code * size + np.maximum(values, 0)
            unknown |= values < 0
            width *= size
        code[unknown] = -1
        if not ranked:
            return Codes(self, kind, code, width)
        known = np.flatnonzero(~unknown)
        distinct, first, rank = np.unique(code[known], return_index=True, return_inverse=True)
        code[known] = rank.reshape(-1)
        examples = known[first]
        return Codes(self, kind, code, max(1, len(distinct)), (who[examples], what[examples]))

    def scope_of_parts(self, kind: int, who: int, what: int) -> int:
        """Return the scope of one kind of a dimension tuple given by these two numbers; -1 where there is none."""
        return self._scope_of_kind(kind, self._values_of(who, what))

    def scope_of(self, kind: int, number: int) -> int:
        """Return the scope behind a number whose digits are values; -1 where the cap refuses the scope."""
        positions = self._kinds[kind][1]
        if len(positions) < 2:
            known = self._known[kind].get(number, -1)
            return known if known >= 0 else self._scope_of_code(kind, number)
        code, scale = 0, 1
        for position in reversed(positions):
            number, value = divmod(number, max(1, len(self._values[position].names)))
            code += value * scale
            scale *= _STRIDE
        return self._scope_of_code(kind, code)

    def _column(self, position: int, who: Ints, what: Ints) -> Ints:
        if position in _WHO:
            return self._who.table[:, _WHO.index(position)][who]
        return self._what.table[:, _WHAT.index(position)][what]

    def labelers(self, who: Ints) -> Ints:
        """Return the number of each change's labeller; -1 where it is unknown."""
        return self._who.table[:, _LABELER][who]

    def labeler_name(self, who: int) -> str:
        """Return the labeller of one first part; empty where it is unknown."""
        number = int(self._who.table[who, _LABELER])
        return self.labeler_names[number] if number >= 0 else ""

    @property
    def labeler_names(self) -> list[str]:
        """Labellers by number."""
        return self._values[DIMENSIONS.index("labeler")].names

    def _name(self, kind: int, code: int) -> int:
        names, positions = self._kinds[kind]
        values: list[str] = []
        for position in reversed(positions):
            code, value_id = divmod(code, _STRIDE)
            values.append(self._values[position].names[value_id])
        return self.number(scope_key(names, tuple(reversed(values))))


class Codes:
    """Numbers of the scopes of one kind that some changes fall into.

    Attributes:
        code: Per change, in 0..width-1; -1 where a dimension is unknown.
        width: Bound above all numbers.
    """

    __slots__ = ("_examples", "_index", "_kind", "code", "width")

    def __init__(
        self, index: ScopeIndex, kind: int, code: Ints, width: int, examples: tuple[Ints, Ints] | None = None
    ) -> None:
        """Hold the numbers; ``examples`` are the two numbers of one change, where numbers alone do not tell the values."""
        self._index, self._kind = index, kind
        self.code, self.width = code, width
        self._examples = examples

    def scope(self, number: int) -> int:
        """Return the scope of a number; -1 where the cap refuses it."""
        if self._examples is None:
            return self._index.scope_of(self._kind, number)
        who, what = self._examples
        return self._index.scope_of_parts(self._kind, int(who[number]), int(what[number]))
