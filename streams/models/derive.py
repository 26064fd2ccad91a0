"""Makes struct classes from others: with the same fields, some of another type, and other settings."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from msgspec import Struct

Leaf = Callable[[Any], Any]
"""Returns the type that replaces an innermost type. Returning the same type keeps it with its bounds."""


class Deriver:
    """Makes classes from struct classes, each once.

    The made classes drop fields they do not know and have no bounds where a type was replaced; names, tags, defaults and
    all else are those of the originals.
    """

    def __init__(self, leaf: Leaf, *, omit_defaults: bool) -> None:
        """Take what replaces types, and whether the made classes leave out defaults when they are encoded."""
        self._leaf = leaf
        self._omit_defaults = omit_defaults
        self._made: dict[type[Struct], type[Struct]] = {}

    def of(self, cls: type[Struct]) -> type[Struct]:
        """Return the class made from a struct class."""
        if cls not in self._made:
            found = msgspec.structs.fields(cls)
            self._made[cls] = msgspec.defstruct(
                cls.__name__,
                [self._field(field) for field in found],
                module=__name__,
                rename={field.name: field.encode_name for field in found if field.name != field.encode_name},
                omit_defaults=self._omit_defaults,
                tag=cls.__struct_config__.tag,
                tag_field=cls.__struct_config__.tag_field,
                kw_only=True,
                gc=False,
            )
        return self._made[cls]

    def decoder(self, classes: tuple[type[Struct], ...]) -> Callable[[bytes], Any]:
        """Return a decoder of JSON into the classes made from some; it raises as msgspec does."""
        decode: Callable[[bytes], Any] = msgspec.json.Decoder(Union[tuple(map(self.of, classes))]).decode  # noqa: UP007
        return decode

    def _field(self, field: msgspec.structs.FieldInfo) -> tuple[Any, ...]:
        kind = self._mapped(field.type)
        if field.default_factory is not msgspec.NODEFAULT:
            return (field.name, kind, msgspec.field(default_factory=field.default_factory))
        if field.default is not msgspec.NODEFAULT:
            return (field.name, kind, field.default)
        return (field.name, kind)

    def _mapped(self, kind: Any) -> Any:
        origin = get_origin(kind)
        if origin is Annotated:
            inner, *meta = get_args(kind)
            changed = self._mapped(inner)
            return Annotated[(changed, *meta)] if changed is inner or get_origin(inner) is list else changed
        if origin in (Union, types.UnionType):
            return Union[tuple(map(self._mapped, get_args(kind)))]  # noqa: UP007 - made at run time
        if origin is list:
            return types.GenericAlias(list, (self._mapped(get_args(kind)[0]),))
        return self.of(kind) if isinstance(kind, type) and issubclass(kind, Struct) else self._leaf(kind)


def holds(kind: Any, wanted: type) -> bool:
    """Tell whether a field's type is, or may be, some class."""
    if get_origin(kind) in (Annotated, Union, types.UnionType):
        return any(holds(one, wanted) for one in get_args(kind))
    return kind is wanted
