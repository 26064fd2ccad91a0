"""What was probably meant by a text that is no IANA time zone. A wrong suggestion is worse than none: it moves a day by hours.

Abbreviations come from the time zone database itself, by what zones call their own time in January and July; those of places
whose zones go by numbers there (``MYT``) are listed. Other texts are compared with names of places, never with abbreviations:
``MYT`` is three letters from ``MST``, and half the world away.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections import defaultdict
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_PLACES = (
    "America/Los_Angeles", "America/Denver", "America/Chicago", "America/New_York", "America/Mexico_City",
    "America/Bogota", "America/Lima", "America/Santiago", "America/Argentina/Buenos_Aires", "America/Sao_Paulo",
    "Europe/Lisbon", "Europe/Dublin", "Europe/London", "Europe/Madrid", "Europe/Paris", "Europe/Berlin", "Europe/Warsaw",
    "Europe/Bucharest", "Europe/Athens", "Europe/Kyiv", "Europe/Istanbul", "Europe/Moscow", "Africa/Cairo", "Africa/Lagos",
    "Africa/Nairobi", "Africa/Johannesburg", "Africa/Casablanca", "Asia/Jerusalem", "Asia/Dubai", "Asia/Karachi",
    "Asia/Kolkata", "Asia/Kathmandu", "Asia/Dhaka", "Asia/Bangkok", "Asia/Ho_Chi_Minh", "Asia/Jakarta",
    "Asia/Kuala_Lumpur", "Asia/Singapore", "Asia/Manila", "Asia/Hong_Kong", "Asia/Shanghai", "Asia/Taipei", "Asia/Tokyo",
    "Asia/Seoul", "Australia/Perth", "Australia/Adelaide", "Australia/Brisbane", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip
"""Where labelling is done, west to east: of the zones with one abbreviation or offset these are the ones to name."""

_LOCAL = {
    "MYT": ("Asia/Kuala_Lumpur",), "SGT": ("Asia/Singapore",), "PHT": ("Asia/Manila",), "ICT": ("Asia/Bangkok", "Asia/Ho_Chi_Minh"),
    "COT": ("America/Bogota",), "PET": ("America/Lima",), "CLT": ("America/Santiago",), "BRT": ("America/Sao_Paulo",),
    "ART": ("America/Argentina/Buenos_Aires",), "TRT": ("Europe/Istanbul",), "GST": ("Asia/Dubai",), "NPT": ("Asia/Kathmandu",),
    "BDT": ("Asia/Dhaka",), "AST": ("Asia/Riyadh", "America/Halifax"),
}  # fmt: skip
_OFFSET = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?([0-5]\d))?", re.IGNORECASE)
_YEAR = 2026
"""Of the abbreviations and offsets; they change seldom."""
_OTHERWISE = "use an IANA name such as Asia/Kuala_Lumpur"
_CLOSE_PLACE = 0.75
_MOST = 3
_LEAST_BEGIN = 3
"""Letters of a place that may stand for all of it."""


def hint(name: str) -> str:
    """Return what to write instead.

    Args:
        name: A text that is no IANA name.

    Example:
        >>> hint("MYT"), hint("Kuala Lumpur"), hint("UTC+8")[:48]
        ('did you mean Asia/Kuala_Lumpur?', 'did you mean Asia/Kuala_Lumpur?', 'write a place with that offset, such as Asia/Kua')
    """
    text = name.strip()
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        return _by_offset(offset)
    found = _by_abbreviation().get(text.upper()) or _by_place(text)
    return f"did you mean {' or '.join(found[:_MOST])}?" if found else _OTHERWISE


def _by_offset(offset: re.Match[str]) -> str:
    sign, hours, minutes = offset.groups()
    wanted = timedelta(hours=int(hours), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    found = [place for place in _PLACES if wanted in _offsets(place)]
    if not found:
        return _OTHERWISE
    return f"write a place with that offset, such as {' or '.join(found[:_MOST])}: offsets know no summer time"


def _times() -> tuple[datetime, datetime]:
    return datetime(_YEAR, 1, 15, tzinfo=UTC), datetime(_YEAR, 7, 15, tzinfo=UTC)


def _offsets(place: str) -> set[timedelta | None]:
    return {at.astimezone(zoneinfo.ZoneInfo(place)).utcoffset() for at in _times()}


@lru_cache
def _by_abbreviation() -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = defaultdict(list)
    for place in _PLACES:
        for name in {at.astimezone(zoneinfo.ZoneInfo(place)).tzname() or "" for at in _times()}:
            if name.isalpha():
                found[name].append(place)
    return {name: (*_LOCAL.get(name, ()), *places) for name, places in found.items()} | {
        name: places for name, places in _LOCAL.items() if name not in found
    }


def _by_place(text: str) -> tuple[str, ...]:
    names = sorted(name for name in zoneinfo.available_timezones() if "/" in name and not name.startswith("Etc/"))
    wanted = text.replace(" ", "_").casefold()
    whole = {name.casefold(): name for name in names}
    if wanted in whole:
        return (whole[wanted],)
    places = {name.rpartition("/")[2]: name for name in whole}
    area, slash, rest = wanted.partition("/")
    within = {name.removeprefix(f"{area}/"): name for name in whole if name.startswith(f"{area}/")}
    if slash and within:
        return tuple(whole[within[name]] for name in _in_area(rest, within))
    if slash:
        close = difflib.get_close_matches(wanted, whole, n=1, cutoff=_CLOSE_PLACE)
        return tuple(whole[name] for name in close)
    if len(wanted) < 5:  # abbreviations that nobody knows, and airports
        return (whole[places[wanted]],) if wanted in places else ()
    close = difflib.get_close_matches(wanted, places, n=1, cutoff=_CLOSE_PLACE)
    return tuple(whole[places[name]] for name in close)


def _in_area(wanted: str, names: Collection[str]) -> list[str]:
    """Return which names of an area are meant by a text: by their initials (``kl``), their begin (``kuala``), or nearly whole."""
    by_initials = [name for name in names if "_" in name and "".join(part[:1] for part in name.split("_")) == wanted]
    if by_initials or len(wanted) < _LEAST_BEGIN:
        return by_initials
    begun = [name for name in names if name.startswith(wanted)]
    return begun or difflib.get_close_matches(wanted, names, n=1, cutoff=_CLOSE_PLACE)
