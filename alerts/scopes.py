"""Scopes as the alert rules see them: keys, parents and selectors. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from urllib.parse import urlencode

from streams.core.policy import DIMENSIONS
from streams.core.scopes import ALL_KEY, parse_scope_key, scope_kind
from streams.core.scopes import scope_key as core_scope_key
from streams.core.window_names import window_ms

__all__ = [
    "ALL_KEY",
    "BOARD_CUTS",
    "BOARD_FILTERS",
    "DIMENSIONS",
    "Scope",
    "board_path",
    "child_dimension",
    "in_order",
    "is_parent",
    "scope_key",
    "scope_of_key",
    "scope_words",
]

BOARD_PATH = "/d/floorwatch-live-floor"

BOARD_FILTERS = ("site", "vendor", "queue")
"""Dimensions by which the board can be filtered: each a variable of its name."""

BOARD_CUTS: tuple[tuple[str, ...], ...] = (
    ("vendor",),
    ("site",),
    ("queue",),
    ("team",),
    ("policy",),
    ("market",),
    ("priority",),
    ("vendor", "queue"),
    ("queue", "policy"),
)
"""Kinds of scopes by which the board can cut its lines: the choices of its variable ``by``."""

_ORDER = {name: place for place, name in enumerate(DIMENSIONS)}

Scope = Mapping[str, str]


def scope_key(scope: Scope) -> str:
    """Text key of a scope: ``all`` or ``queue=hate,policy=P3`` in the fixed order of dimensions.

    Raises:
        ValueError: a name that is not a dimension.

    Example:
        >>> scope_key({"policy": "P3", "queue": "hate"})
        'queue=hate,policy=P3'
    """
    unknown = [name for name in scope if name not in _ORDER]
    if unknown:
        raise ValueError(f"{unknown[0]!r} is not a dimension; use one of {', '.join(_ORDER)}")
    names = tuple(sorted(scope, key=_ORDER.__getitem__))
    return core_scope_key(names, tuple(scope[name] for name in names))


def scope_of_key(key: str) -> dict[str, str] | None:
    """Return the scope of a scope key as ``scope_key`` makes it; None for any other text."""
    try:
        return parse_scope_key(key)
    except ValueError:
        return None


def is_parent(parent: Scope, child: Scope) -> bool:
    """Whether ``parent`` is a strictly wider slice holding ``child`` ({} holds every other scope)."""
    return len(parent) < len(child) and all(child.get(name) == value for name, value in parent.items())


def child_dimension(parent: Scope, child: Scope) -> str | None:
    """The one dimension by which ``child`` narrows ``parent``, or None when it is not a direct child."""
    if len(child) != len(parent) + 1 or not is_parent(parent, child):
        return None
    return next(name for name in child if name not in parent)


def scope_words(scope: Scope) -> str:
    """A scope for people: ``the whole floor``, ``vendor bpo-a, queue hate``; of the stream itself: ``channel ops``."""
    if not scope:
        return "the whole floor"
    return ", ".join(f"{name} {scope[name]}" for name in in_order(scope))


def in_order(scope: Scope) -> list[str]:
    """Return the names of a scope: dimensions in their order, then what incidents about the stream are of (``channel``)."""
    return sorted(scope, key=lambda name: (_ORDER.get(name, len(_ORDER)), name))


def board_path(
    scope: Scope,
    window: str,
    since_ms: int | None = None,
    *,
    cuts: Collection[frozenset[str]] | None = None,
) -> str:
    """Path of the live board that shows exactly a scope and a window, with Grafana's ``var-`` parameters.

    Args:
        scope: The scope.
        window: Name of the window.
        since_ms: Since when something is wrong: the board shows from one window before that until now; None: its usual time.
        cuts: Kinds of scopes that have series; None: all.

    Returns:
        The path; empty for a scope of a person, which has no series.
    """
    if "labeler" in scope:
        return ""
    query = [("var-window", window), ("var-scope", scope_key(scope))]
    cut = _cut(scope, cuts)
    if cut is not None:
        query.append(("var-by", scope_kind(cut)))
        query += [(f"var-{name}", scope[name]) for name in BOARD_FILTERS if name in scope]
    if since_ms is not None:
        query += [("from", str(max(0, since_ms - window_ms(window)))), ("to", "now")]
    return f"{BOARD_PATH}?{urlencode(query)}"


def board_until(url: str, until_ms: int) -> str:
    """Return a link to the board, made by :func:`board_path`, that ends at a time in place of now."""
    return re.sub(r"(?<=[?&]to=)now(?=&|$)", str(until_ms), url)


def _cut(scope: Scope, cuts: Collection[frozenset[str]] | None) -> tuple[str, ...] | None:
    """Return by what the board cuts its lines, so that filters to the scope leave lines: the parts of the scope, else itself."""
    known = [cut for cut in BOARD_CUTS if cuts is None or frozenset(cut) in cuts]
    filters = {name for name in BOARD_FILTERS if name in scope}
    fitting = [cut for cut in known if filters <= set(cut)]
    parts = [cut for cut in fitting if len(cut) == len(scope) + 1 and filters == set(scope)]
    own = [cut for cut in fitting if set(cut) == set(scope)]
    return next(iter((*parts, *own, *fitting)), None)
