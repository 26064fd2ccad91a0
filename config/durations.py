"""Durations as people write them: ``300``, ``300s``, ``5m``, ``1h30m``, ``14d``, ``250ms``."""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

_UNITS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_WORDS = {"day": "d", "hour": "h", "hr": "h", "minute": "m", "min": "m", "second": "s", "sec": "s", "millisecond": "ms"}
_WORDED = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")


def parse_duration(value: object) -> float:
    """Return a duration in seconds.

    Args:
        value: Seconds as a number, or text such as ``300``, ``5m`` or ``1h30m``.

    Raises:
        PydanticCustomError: If the value is not a duration; its context holds a hint.

    Example:
        >>> parse_duration("1h30m")
        5400.0
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _refused(value, "write seconds (300) or a number with a unit (300s, 5m, 1h30m, 14d)")
    if isinstance(value, str):
        return _parse_text(value)
    if not math.isfinite(value) or value < 0:
        hint = "a duration cannot be negative" if value < 0 else "write a finite number of seconds"
        raise _refused(value, hint)
    return float(value)


def _parse_text(text: str) -> float:
    compact = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", compact):
        return float(compact)
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise _refused(text, _hint_for(compact))
    return math.fsum(float(number) * _UNITS[unit] for number, unit in parts)


def _hint_for(text: str) -> str:
    if text.startswith("-"):
        return "a duration cannot be negative"
    parts: list[str] = []
    for number, word in _WORDED.findall(text):
        name = word.lower()
        unit = _WORDS.get(name) or _WORDS.get(name.removesuffix("s")) or (name if name in _UNITS else None)
        if unit is None:
            return f'"{word}" is not a unit; use ms, s, m, h or d'
        parts.append(number + unit)
    # Only offered when every part was understood: "7h30" must not become 7h.
    if parts and not re.sub(r"and|[\s,]", "", _WORDED.sub("", text)):
        return f"write {''.join(parts)}"
    return "write seconds (300) or a number with a unit (300s, 5m, 1h30m, 14d)"


def _refused(value: object, hint: str) -> PydanticCustomError:
    shown = f'"{value}"' if isinstance(value, str) else repr(value)
    return PydanticCustomError("duration", "{shown} is not a duration", {"shown": shown, "hint": hint})


def format_duration(seconds: float) -> str:
    """Return the shortest text that ``parse_duration`` reads back as the same seconds.

    Example:
        >>> format_duration(172800.0)
        '2d'
    """
    if seconds and seconds == int(seconds):
        for unit in ("d", "h", "m"):
            if seconds % _UNITS[unit] == 0:
                return f"{int(seconds / _UNITS[unit])}{unit}"
        return f"{int(seconds)}s"
    millis = round(seconds * 1000, 6)
    return f"{millis:g}ms" if seconds else "0s"


class _DurationMark:
    """Marks a field as a duration, so that the commented defaults are written with units."""


DURATION = _DurationMark()
Seconds = Annotated[float, BeforeValidator(parse_duration), DURATION]
"""A duration in seconds, accepted as a number or as text with units."""


def to_ms(seconds: float) -> int:
    """Return whole milliseconds, rounded to the nearest."""
    return round(seconds * 1000)
