"""Numbers, times and names in words, for messages. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from streams.core.durations import UNITS_S
from streams.core.time_text import moment
from streams.models.timestamps import to_ms

_MAX_DIGITS = 4


def percent(ratio: float, digits: int = 1) -> str:
    """A ratio as percent without useless zeros: ``95%``, ``88.1%``."""
    text = f"{ratio * 100:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "%"


def interval(low: float, high: float, target: float) -> str:
    """An interval in percent: 85.0 to 90.6%, joined by an en dash; with more digits where an end would round onto an unequal target."""
    digits = 1
    while digits < _MAX_DIGITS and any(
        end != target and f"{end * 100:.{digits}f}" == f"{target * 100:.{digits}f}" for end in (low, high)
    ):
        digits += 1
    return f"{low * 100:.{digits}f}–{high * 100:.{digits}f}%"


def duration(seconds: float) -> str:
    """A duration to two units: ``2 h 5 min``, ``3 d 4 h``, ``40 s``."""
    left = max(0, int(seconds))
    parts = []
    for name, unit in (("d", "d"), ("h", "h"), ("min", "m"), ("s", "s")):
        count, left = divmod(left, int(UNITS_S[unit]))
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def duration_number(seconds: float) -> str:
    """A duration as one number, for a column of a table: ``12.3 s``, ``4.5 min``, ``2.0 h``."""
    if seconds < 90:
        return f"{seconds:.1f} s"
    return f"{seconds / UNITS_S['m']:.1f} min" if seconds < 5400 else f"{seconds / UNITS_S['h']:.1f} h"


UTC_ZONE = "UTC"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_INSTANT = re.compile(
    rf"(?:{'|'.join(_DAYS)}) (\d{{1,2}}) ({'|'.join(_MONTHS)})( \d{{4}})? (\d\d):(\d\d)(:\d\d)? UTC(?![+-])"
)


def instant(at_ms: int, *, seconds: bool = False, year: bool = False, zone: str = UTC_ZONE) -> str:
    """A time for a person: ``Mon 23 Nov 10:42 UTC``, elsewhere ``Mon 23 Nov 18:42 UTC+8``.

    Args:
        at_ms: Unix ms.
        seconds: With seconds.
        year: With the year: ``Mon 23 Nov 2026 10:42 UTC``.
        zone: IANA name of the reader's zone; one that is not known is UTC.
    """
    # The names are written out, because strftime's %a and %b depend on the process locale and messages are compared
    # byte by byte.
    at = moment(at_ms).astimezone(_zone(zone))
    clock = f"{at:%H:%M:%S}" if seconds else f"{at:%H:%M}"
    return f"{_DAYS[at.weekday()]} {at.day} {_MONTHS[at.month - 1]}{f' {at.year}' if year else ''} {clock} {_offset_words(at)}"


def times_in(text: str, zone: str, near_ms: int) -> str:
    """Return a text whose instants, written by ``instant`` in UTC, are those of another zone.

    Args:
        text: For example evidence, which is written in UTC when the rule is evaluated.
        zone: IANA name of the reader's zone.
        near_ms: A time less than half a year from those in the text that name no year.
    """
    if zone == UTC_ZONE:
        return text
    near = moment(near_ms)

    def there(found: re.Match[str]) -> str:
        day, month, year, hour, minute, second = found.groups()
        place = (_MONTHS.index(month) + 1, int(day), int(hour), int(minute), int((second or ":0")[1:]))
        years = (int(year),) if year else (near.year - 1, near.year, near.year + 1)
        moments = [_moment_of(one, *place) for one in years]
        known = [one for one in moments if one is not None]
        if not known:
            return found.group()  # for example 31 February: a name that only looks like a time
        nearest = min(known, key=lambda one: abs(one - near))
        return instant(to_ms(nearest), seconds=second is not None, year=year is not None, zone=zone)

    return _INSTANT.sub(there, text)


def _moment_of(*place: int) -> datetime | None:
    try:
        return datetime(*place, tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError:  # 29 February, in most years
        return None


@lru_cache(maxsize=256)
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def _offset_words(at: datetime) -> str:
    """Return ``UTC``, ``UTC+8`` or ``UTC-3:30``. Unlike abbreviations, these are unambiguous."""
    minutes = round((at.utcoffset() or timedelta()).total_seconds() / 60)
    if not minutes:
        return UTC_ZONE
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '-'}{hours}" + (f":{rest:02}" if rest else "")


def rfc3339(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return moment(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_UNITS = ("KiB", "MiB", "GiB", "TiB")


def size_words(size_bytes: int) -> str:
    """A size in the unit that leaves a digit before the point: ``812 bytes``, ``3.4 KiB``, ``1.2 GiB`` (powers of 1024).

    Example:
        >>> size_words(1024 * 1024 - 1)
        '1.0 MiB'
    """
    if size_bytes < 1024:
        return plural(size_bytes, "byte")
    value, place = size_bytes / 1024, 0
    while round(value, 1) >= 1024 and place < len(_UNITS) - 1:
        value, place = value / 1024, place + 1
    return f"{value:,.1f} {_UNITS[place]}"


def plural(count: int, noun: str) -> str:
    """``1 audit``, ``1,204 audits``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


_LOOK_EMPTY = "\u115f\u1160\u2800\u3164\uffa0"
"""Characters that Unicode calls letters or symbols and that show nothing."""


_JOINED = re.compile("(?<=[^\x00-\x7f\u200c\u200d])[\u200c\u200d](?=[^\x00-\x7f\u200c\u200d])")


def printable(text: str) -> str:
    """Text without control characters and invisible characters, so that an id cannot control a terminal or hide."""
    return "".join(
        char if char.isprintable() and char not in _LOOK_EMPTY else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def printable_words(text: str) -> str:
    r"""What somebody wrote, as ``printable``; but a joiner between two characters that are not ASCII stays, for spelling and emoji.

    Example:
        >>> printable_words("vendor\u200d-a \u0645\u06cc\u200c\u062e") == "vendor\ufffd-a \u0645\u06cc\u200c\u062e"
        True
    """
    kept = {found.start() for found in _JOINED.finditer(text)}
    return "".join(char if place in kept else printable(char) for place, char in enumerate(text))
