"""Asks the models which settings exist: for hints, for environment overrides and for secrets."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo


def alternatives(annotation: Any) -> list[Any]:
    """Return the members of a type, with Annotated and Optional taken off."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return alternatives(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        return [kind for arg in get_args(annotation) for kind in alternatives(arg) if kind is not type(None)]
    return [annotation]


def is_model(kind: Any) -> bool:
    """Tell whether a type is a pydantic model."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def is_list(kind: Any) -> bool:
    """Tell whether a type is a list, tuple, set or frozenset."""
    return (get_origin(kind) or kind) in (list, tuple, set, frozenset)


def is_dict(kind: Any) -> bool:
    """Tell whether a type is a dict."""
    return (get_origin(kind) or kind) is dict


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return a model's fields by the name used in YAML (the alias where there is one)."""
    return {info.alias or name: info for name, info in model.model_fields.items()}


def inside(kinds: list[Any], segment: str | int, data: Any = None) -> list[Any]:
    """Return the types of a value one step below.

    Args:
        kinds: Possible types of the container.
        segment: A mapping key or a list index.
        data: The container's data; tells members of a discriminated union apart.
    """
    found: list[Any] = []
    for kind in narrowed(kinds, data):
        if is_model(kind):
            info = fields_of(kind).get(str(segment))
            if info is not None:
                found.extend(alternatives(info.annotation))
        elif is_dict(kind):
            args = get_args(kind)
            found.extend(alternatives(args[1]) if args else [])
        elif is_list(kind):
            args = get_args(kind)
            found.extend(alternatives(args[0]) if args else [])
    return found


def narrowed(kinds: list[Any], data: Any) -> list[Any]:
    """Return the members whose literal fields (``kind: accuracy_low``) do not contradict the data."""
    if len(kinds) < 2 or not isinstance(data, dict):
        return kinds
    fitting = [kind for kind in kinds if not is_model(kind) or not _contradicts(kind, data)]
    return fitting or kinds


def _contradicts(model: type[BaseModel], data: dict[str, Any]) -> bool:
    for name, info in fields_of(model).items():
        literals = get_args(info.annotation)
        only_texts = bool(literals) and all(isinstance(value, str) for value in literals)
        if only_texts and info.is_required() and name in data and data[name] not in literals:
            return True
    return False


def known_keys(kinds: list[Any], data: Any) -> list[str]:
    """Return the names a mapping may hold; empty where any name is allowed."""
    return [name for kind in narrowed(kinds, data) if is_model(kind) for name in fields_of(kind)]


def is_secret(kinds: list[Any]) -> bool:
    """Tell whether a value of these types is a secret, or holds nothing but secrets."""
    return any(kind is SecretStr or (get_args(kind) and is_secret(_args(kind))) for kind in kinds)


def _args(kind: Any) -> list[Any]:
    return [member for arg in get_args(kind) for member in alternatives(arg)]


def walk(
    data: Any, kinds: list[Any], path: tuple[str | int, ...] = ()
) -> Iterator[tuple[tuple[str | int, ...], Any, list[Any]]]:
    """Yield (path, value, possible types) of every value below and including this one."""
    yield path, data, kinds
    if isinstance(data, dict):
        for key, value in data.items():
            yield from walk(value, inside(kinds, key, data), (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from walk(value, inside(kinds, index, data), (*path, index))
