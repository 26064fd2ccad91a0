"""Scopes as the alert rules see them: keys, parents and selectors. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from streams.core.policy import DIMENSIONS
from streams.core.scopes import ALL_KEY
from streams.core.scopes import scope_key as core_scope_key

__all__ = [
    "ALL_KEY",
    "DIMENSIONS",
    "Scope",
    "board_path",
    "child_dimension",
    "is_parent",
    "scope_key",
    "scope_words",
]

BOARD_PATH = "/d/floorwatch-live-floor"

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


def is_parent(parent: Scope, child: Scope) -> bool:
    """Whether ``parent`` is a strictly wider slice holding ``child`` ({} holds every other scope)."""
    return len(parent) < len(child) and all(child.get(name) == value for name, value in parent.items())


def child_dimension(parent: Scope, child: Scope) -> str | None:
    """The one dimension by which ``child`` narrows ``parent``, or None when it is not a direct child."""
    if len(child) != len(parent) + 1 or not is_parent(parent, child):
        return None
    return next(name for name in child if name not in parent)


def scope_words(scope: Scope) -> str:
    """A scope for people: ``the whole floor`` or ``vendor bpo-a, queue hate``."""
    if not scope:
        return "the whole floor"
    return ", ".join(f"{name} {scope[name]}" for name in sorted(scope, key=_ORDER.__getitem__))


def board_path(scope: Scope, window: str) -> str:
    """Path of the live board filtered to a scope, with Grafana's ``var-`` parameters."""
    query = [(f"var-{name}", scope[name]) for name in sorted(scope, key=_ORDER.__getitem__)]
    return f"{BOARD_PATH}?{urlencode([*query, ('var-window', window)])}"
