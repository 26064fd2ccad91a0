"""Durations as people write them (``300``, ``300s``, ``5m``, ``1h30m``, ``14d``, ``1w``, ``250ms``). Pure.

The only grammar: configuration, rules, names of windows and options of commands all read it from here.
"""

from __future__ import annotations

import math
import re

UNITS_S = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
"""Seconds of each unit that is shown, the longest first."""
_READ_S = {**UNITS_S, "w": 7 * UNITS_S["d"]}
"""Seconds of each unit that is read: weeks are shown in days."""

LONGEST_S = 100 * 365 * UNITS_S["d"]
"""The longest duration that is taken, a hundred years: a time so far ahead of another may have no date."""

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|w|d|h|m|s)")
_WORDS = {
    "week": "w",
    "day": "d",
    "hour": "h",
    "hr": "h",
    "minute": "m",
    "min": "m",
    "second": "s",
    "sec": "s",
    "millisecond": "ms",
}
_WORDED = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)")
HOW = "write seconds (300) or a number with a unit (300s, 5m, 1h30m, 14d)"
_MAX_SHOWN = 40


class BadDuration(ValueError):
    """The value is not a duration.

    Attributes:
        reason: What is wrong, e.g. ``"soon" is not a duration``.
        hint: How to write it.
    """

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(f"{reason}: {hint}")
        self.reason, self.hint = reason, hint


def parse_duration(value: object) -> float:
    """Return a duration in seconds, 0 or more.

    Args:
        value: Seconds as a number, or text such as ``300``, ``5m`` or ``1h30m``.

    Raises:
        BadDuration: The value is not a duration, or is longer than ``LONGEST_S``.

    Example:
        >>> parse_duration("1h30m")
        5400.0
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _not_one(value, HOW)
    seconds = _read_text(value) if isinstance(value, str) else _read_number(value)
    if seconds > LONGEST_S:
        raise BadDuration(f"{_shown(value)} is longer than a hundred years", "write for example 90s, 15m, 2h or 14d")
    return seconds


def _read_number(value: float) -> float:
    if value < 0:
        raise _not_one(value, "a duration cannot be negative")
    if isinstance(value, float) and not math.isfinite(value):  # an int may be too large for a float
        raise _not_one(value, "write a finite number of seconds")
    return float(min(value, 2 * LONGEST_S))


def _read_text(text: str) -> float:
    compact = text.strip()
    if _NUMBER.fullmatch(compact):
        return float(compact)
    parts = _PART.findall(compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        raise _not_one(text, _hint_for(compact))
    return math.fsum(float(number) * _READ_S[unit] for number, unit in parts)


def _hint_for(text: str) -> str:
    if text.startswith("-"):
        return "a duration cannot be negative"
    parts: list[str] = []
    for number, word in _WORDED.findall(text):
        name = word.lower()
        unit = _WORDS.get(name) or _WORDS.get(name.removesuffix("s")) or (name if name in _READ_S else None)
        if unit is None:
            return f'"{word}" is not a unit; use ms, s, m, h, d or w'
        parts.append(number + unit)
    # Only offered when every part was understood: "7h30" must not become 7h.
    if parts and not re.sub(r"and|[\s,]", "", _WORDED.sub("", text)):
        return f"write {''.join(parts)}"
    return HOW


def _shown(value: object) -> str:
    text = str(value)
    text = text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"
    return f'"{text}"' if isinstance(value, str) else text


def _not_one(value: object, hint: str) -> BadDuration:
    return BadDuration(f"{_shown(value)} is not a duration", hint)


def format_duration(seconds: float) -> str:
    """Return the shortest text that ``parse_duration`` reads back as the same seconds.

    Example:
        >>> format_duration(172800.0)
        '2d'
    """
    if seconds and seconds == int(seconds):
        unit = next(unit for unit, size in UNITS_S.items() if seconds % size == 0)
        return f"{int(seconds / UNITS_S[unit])}{unit}"
    millis = round(seconds * 1000, 6)
    return f"{millis:.15g}ms" if seconds else "0s"


def seconds_to_ms(seconds: float) -> int:
    """Return whole milliseconds, rounded to the nearest."""
    return round(seconds * 1000)
