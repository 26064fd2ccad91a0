"""The type of a setting that is a duration; ``streams/core/durations.py`` reads it."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from streams.core.durations import BadDuration, parse_duration


def _seconds(value: object) -> float:
    try:
        return parse_duration(value)
    except BadDuration as error:
        raise PydanticCustomError("duration", "{reason}", {"reason": error.reason, "hint": error.hint}) from None


class _DurationMark:
    """Marks a field as a duration, so that the commented defaults are written with units."""


DURATION = _DurationMark()
Seconds = Annotated[float, BeforeValidator(_seconds), DURATION]
"""A duration in seconds, accepted as a number or as text with units."""
