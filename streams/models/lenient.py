"""Lenient decoding of events, to write them again in the form that ``decode_event`` accepts.

Lenient classes keep times as text and accept whole numbers written as ``1000.0``. Unknown fields are dropped.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Union

import msgspec
from msgspec import Struct

from streams.models.derive import Deriver, holds
from streams.models.events import EVENT_CLASSES


def _leaf(kind: Any) -> Any:
    if kind is datetime:
        return str
    return Union[int, float] if kind is int else kind  # noqa: UP007 - made at run time


def data_class(cls: type[Struct]) -> type[Struct]:
    """Return the class of an event's ``data``."""
    found: type[Struct] = next(field.type for field in msgspec.structs.fields(cls) if field.name == "data")
    return found


def _names(cls: type[Struct], wanted: type) -> tuple[str, ...]:
    return tuple(field.name for field in msgspec.structs.fields(data_class(cls)) if holds(field.type, wanted))


TIMES: dict[str, tuple[str, ...]] = {str(cls.__struct_config__.tag): _names(cls, datetime) for cls in EVENT_CLASSES}
"""Fields of ``data`` that are times, by event type; names as in Python (``from_``)."""

WHOLE: dict[str, tuple[str, ...]] = {str(cls.__struct_config__.tag): _names(cls, int) for cls in EVENT_CLASSES}
"""Fields of ``data`` that are whole numbers, by event type."""

decode_loose = Deriver(_leaf, omit_defaults=True).decoder(EVENT_CLASSES)
"""Decode one event with times as text and numbers for whole numbers; unknown fields are dropped. Raises as msgspec."""
