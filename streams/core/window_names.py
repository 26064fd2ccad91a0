"""Names of windows: lengths by the grammar of durations (``5m``, ``1h``, ``1h30m``, ``7d``), ``day`` and ``shift``. Pure.

A window keeps the name that ``tables.windows`` gives it. Whoever asks for it elsewhere, in a rule or on the command line, may
write its length in another way: ``60m`` is ``1h``.
"""

from __future__ import annotations

from collections.abc import Iterable

from streams.core.durations import HOW, BadDuration, format_duration, parse_duration, seconds_to_ms
from streams.core.policy import DAY_MS

CALENDAR_WINDOWS = ("day", "shift")
"""Windows that begin at a local time: in the time zone of a scope's site (``tables.zones``), else ``tables.default_zone``."""

_HOW = "write for example 5m, 1h, 1h30m, 7d, day or shift"


class BadWindow(ValueError):
    """The value is not a window; ``reason`` says what is wrong, ``hint`` how to write one."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(f"{reason}: {hint}")
        self.reason, self.hint = reason, hint


def window_name(value: object) -> str:
    """Return the name of a window: as it was written, or as ``format_duration`` writes it where that was no whole number of units.

    Args:
        value: ``day``, ``shift`` or a duration.

    Raises:
        BadWindow: It is none of these, or of no length.

    Example:
        >>> window_name("1h30m"), window_name(300), window_name("1.5h")
        ('1h30m', '5m', '90m')
    """
    if value in CALENDAR_WINDOWS:
        return str(value)
    try:
        seconds = parse_duration(value)
    except BadDuration as error:
        shown = error.reason.removesuffix(" is not a duration")
        raise BadWindow(f"{shown} is not a window", _HOW if error.hint == HOW else error.hint) from None
    if not seconds:
        raise BadWindow(f"{value!r} is a window of no length", _HOW)
    text = str(value).strip()
    has_units_and_no_point = text.isalnum() and not text.isdigit()
    return text if has_units_and_no_point else format_duration(seconds)


def window_ms(name: str) -> int:
    """Return how long a window is, in ms; of a day or shift, which differ, the usual length of a day.

    Raises:
        BadDuration: It is not the name of a window.
    """
    return DAY_MS if name in CALENDAR_WINDOWS else seconds_to_ms(parse_duration(name))


def same_window(name: str, kept: Iterable[str]) -> str | None:
    """Return which of the windows kept is meant: the one of this name, else one of the same length; None if there is none.

    Args:
        name: As somebody wrote it; what is no window at all is none of them.
        kept: The names of ``tables.windows``.
    """
    names = list(kept)
    if name in names or name in CALENDAR_WINDOWS:
        return name if name in names else None
    try:
        asked_ms = window_ms(name)
    except BadDuration:
        return None
    return next((one for one in names if one not in CALENDAR_WINDOWS and window_ms(one) == asked_ms), None)


def window_words(name: str) -> str:
    """Return the time of a window for a sentence: ``the last 1h``, ``the day so far``."""
    return f"the {name} so far" if name in CALENDAR_WINDOWS else f"the last {name}"
