"""From what a tool says to what the contract wants: texts, times, numbers. Exact, and never guessed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from gateway.sources.mapped.contract import Kind
from gateway.sources.mapped.document import ToolTimes
from gateway.sources.mapped.kept import MAX_TEXT_CHARS
from streams.models.timestamps import BadTimestamp, parse_local, parse_rfc3339

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROS = {"unix_s": 1_000_000, "unix_ms": 1_000}
_MOST_DIGITS = 40


class WrongValue(Exception):
    """A value is not what the field takes. The message quotes nothing of it."""


def converted(value: Any, kind: Kind, times: ToolTimes) -> Any:
    """Return a value as the contract wants it; None where the tool says nothing: null, or an empty text.

    Args:
        value: What an expression gave.
        kind: What the field takes.
        times: How the tool writes times.

    Raises:
        WrongValue: It is something else.
    """
    if value is None or value == "":
        return None
    return _BY_KIND[kind](value) if kind != "time" else time_of(value, times)


def text_of(value: Any) -> str:
    """Return a text, or a number as one. Raises WrongValue where it is neither, or too long for any field."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise WrongValue(f"is {_kind_of(value)}, and must be a text or a number")
    said = str(value)
    if len(said) > MAX_TEXT_CHARS:
        raise WrongValue(f"has more than {MAX_TEXT_CHARS} characters")
    return said


def time_of(value: Any, times: ToolTimes) -> str:
    """Return a time as RFC 3339 in UTC, to the microsecond. Of an hour that a zone has twice it is the first.

    Raises:
        WrongValue: It is no such time, or has no zone where the mapping names none.
    """
    if times.format != "rfc3339":
        micros = (_decimal(value) * _MICROS[times.format]).to_integral_value()
        try:
            found = _EPOCH + timedelta(microseconds=int(micros))
        except OverflowError:
            raise WrongValue("is a time out of reach") from None
        return found.isoformat()
    if not isinstance(value, str):
        raise WrongValue(f"is {_kind_of(value)}, and must be a time as text; for numbers set times.format")
    try:
        return _zoned(value, times.zone).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        hint = "" if times.zone else ", with its zone; where the tool writes none, set times.zone"
        raise WrongValue(f"is no time such as 2026-11-22T18:00:00Z{hint}") from None


def _zoned(text: str, zone: str | None) -> datetime:
    """Return a time with its zone, or with the zone given where it has none. Raises ValueError where it is no time."""
    try:
        return parse_rfc3339(text)
    except BadTimestamp:
        if zone is None:
            raise
        return parse_local(text).replace(tzinfo=ZoneInfo(zone))


def _texts(value: Any) -> list[str] | None:
    items = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(text_of(one) for one in items if one is not None and one != ""))


def _whole(value: Any) -> int:
    found = _decimal(value)
    if found != found.to_integral_value():
        raise WrongValue("is no whole number")
    return int(found)


def _millis(value: Any) -> int:
    return int((_decimal(value) * 1000).to_integral_value())


def _number(value: Any) -> float:
    return float(_decimal(value))


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongValue(f"is {_kind_of(value)}, and must be true or false")
    return value


def _decimal(value: Any) -> Decimal:
    """Return a number exactly as it was written, also one that was written as a text."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise WrongValue(f"is {_kind_of(value)}, and must be a number")
    said = str(value)
    try:
        found = Decimal(said) if len(said) <= _MOST_DIGITS else None
    except InvalidOperation:
        found = None
    if found is None or not found.is_finite() or abs(found.adjusted()) > _MOST_DIGITS:
        raise WrongValue("is no number, or out of reach")
    return found


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, list):
        return "a list"
    return "an object" if isinstance(value, dict) else "a text" if isinstance(value, str) else "a number"


_BY_KIND: dict[str, Callable[[Any], Any]] = {
    "text": text_of,
    "texts": _texts,
    "whole": _whole,
    "seconds": _millis,
    "number": _number,
    "flag": _flag,
}
