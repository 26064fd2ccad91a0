"""Numbers, times and names in words, for messages. Pure."""

from __future__ import annotations

from streams.core.stamps import moment

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
    for name, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}")
    return " ".join(parts[:2]) or "0 s"


def instant(at_ms: int, *, seconds: bool = False) -> str:
    """A time for a person: ``Mon 23 Nov 10:42 UTC``; with seconds where they are asked for."""
    # Names by hand: strftime's %a and %b follow the process locale, and messages are compared byte by byte.
    at = moment(at_ms)
    day = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")[at.weekday()]
    month = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")[at.month - 1]
    return f"{day} {at.day} {month} {at:%H:%M:%S} UTC" if seconds else f"{day} {at.day} {month} {at:%H:%M} UTC"


def rfc3339(at_ms: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    return moment(at_ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plural(count: int, noun: str) -> str:
    """``1 audit``, ``1,204 audits``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


_LOOK_EMPTY = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and symbols, to Unicode, that show nothing."""


def printable(text: str) -> str:
    """Text without control characters, and without what shows nothing: an id must not be able to steer a terminal or hide."""
    return "".join(
        char if char.isprintable() and char not in _LOOK_EMPTY else "\N{REPLACEMENT CHARACTER}" for char in text
    )
