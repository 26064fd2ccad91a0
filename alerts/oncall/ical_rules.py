"""Which repetitions of an iCalendar event are accepted.

The library works a rule out candidate by candidate, so a rule that never fits (30 February, the 9th Monday of a month) keeps it
busy up to the year 9999, and some rules for ever. What is accepted here is what calendars of people and on-call tools write, and
every such rule has an event within some years.
"""

from __future__ import annotations

from datetime import date
from math import gcd

_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_PARTS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "BYDAY", "BYMONTH", "BYMONTHDAY", "BYSETPOS", "WKST"}
_MOST_INTERVAL = 1000
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_WEEKDAYS = {"MO", "TU", "WE", "TH", "FR", "SA", "SU"}


def rule_fault(rule: str, start: date) -> tuple[str, str] | None:
    """Return what is wrong with the value of an RRULE and how to mend it; None: it is accepted.

    Args:
        rule: ``FREQ=WEEKLY;BYDAY=MO``.
        start: DTSTART of the event; a monthly or yearly rule without days repeats its day.
    """
    parts: dict[str, str] = {}
    for part in rule.upper().strip(";").split(";"):
        name, _, value = part.partition("=")
        if name in parts:
            return f"RRULE has {name} twice", "leave one of them"
        parts[name] = value
    frequency = parts.get("FREQ", "")
    if frequency not in _FREQUENCIES:
        return (
            f"RRULE repeats {frequency or 'without FREQ'}",
            f"write FREQ={', FREQ='.join(_FREQUENCIES[:3])} or FREQ=YEARLY",
        )
    strange = sorted(parts.keys() - _PARTS)
    if strange:
        return (
            f"RRULE has {strange[0]}, which is not supported",
            "write it with BYDAY, BYMONTH and BYMONTHDAY, or as several events",
        )
    try:
        return _numbers(frequency, parts) or _never(frequency, parts, start)
    except ValueError:
        return f"RRULE has something that is no number: {rule}", "write e.g. FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,TU"


def _numbers(frequency: str, parts: dict[str, str]) -> tuple[str, str] | None:
    if not 1 <= int(parts.get("INTERVAL", "1")) <= _MOST_INTERVAL:
        return (
            f"RRULE has INTERVAL={parts['INTERVAL']}",
            f"write a number from 1 to {_MOST_INTERVAL}, or leave it out for 1",
        )
    if int(parts.get("COUNT", "1")) < 1:
        return f"RRULE has COUNT={parts['COUNT']}", "write at least 1, or leave it out"
    if "COUNT" in parts and "UNTIL" in parts:
        return "RRULE has COUNT and UNTIL", "leave one of them"
    if any(not 1 <= month <= 12 for month in _ints(parts, "BYMONTH")):
        return f"RRULE has BYMONTH={parts['BYMONTH']}", "write months from 1 to 12"
    for day in _texts(parts, "BYDAY"):
        if day[-2:] not in _WEEKDAYS or (day[:-2] and not 1 <= abs(int(day[:-2])) <= 5):
            return (
                f"RRULE has BYDAY={parts['BYDAY']}",
                "write MO to SU, or e.g. 1MO for the first and -1FR for the last of a month",
            )
    if any(len(day) > 2 for day in _texts(parts, "BYDAY")) and frequency not in ("MONTHLY", "YEARLY"):
        return (
            f"RRULE has BYDAY={parts['BYDAY']} with FREQ={frequency}",
            "the first or last such day needs FREQ=MONTHLY",
        )
    return None


def _never(frequency: str, parts: dict[str, str], start: date) -> tuple[str, str] | None:
    """Return what may never happen."""
    interval, months = int(parts.get("INTERVAL", "1")), _ints(parts, "BYMONTH")
    days, positions = _ints(parts, "BYMONTHDAY"), _ints(parts, "BYSETPOS")
    counted = any(len(day) > 2 for day in _texts(parts, "BYDAY"))
    if interval > 1 and months and frequency != "YEARLY":
        return "RRULE has INTERVAL and BYMONTH: it may never happen", "leave one of them, or write FREQ=YEARLY"
    if frequency == "DAILY" and "BYDAY" in parts and gcd(interval, 7) != 1:
        return f"RRULE has INTERVAL={interval} and BYDAY: it may never happen", "write FREQ=WEEKLY"
    if days and (frequency not in ("MONTHLY", "YEARLY") or counted):
        return (
            "RRULE has BYMONTHDAY with what it may never meet",
            "write FREQ=MONTHLY;BYMONTHDAY=… alone, or BYDAY alone",
        )
    if frequency in ("MONTHLY", "YEARLY") and not days and "BYDAY" not in parts and months:
        days = [start.day]
    late = any(abs(day) > 28 for day in days) or any(day[:-2] in ("5", "+5", "-5") for day in _texts(parts, "BYDAY"))
    if interval > 1 and days and "BYDAY" in parts:
        return f"RRULE has INTERVAL={interval} with BYDAY and BYMONTHDAY: it may never happen", "leave one of them"
    if interval > 1 and late:
        return (
            f"RRULE has INTERVAL={interval} with a day that some months lack: it may never happen",
            "leave one of them",
        )
    if days and not any(1 <= abs(day) <= _DAYS[month - 1] for day in days for month in months or range(1, 13)):
        return (
            "RRULE names a day that no such month has",
            "write a day from 1 to 31 that the month has, or -1 for its last",
        )
    if positions and (
        frequency != "MONTHLY"
        or counted
        or days
        or "BYDAY" not in parts
        or not all(1 <= abs(n) <= 4 for n in positions)
    ):
        return (
            f"RRULE has BYSETPOS={parts['BYSETPOS']}, which is supported with FREQ=MONTHLY and BYDAY alone, from -4 to 4",
            "write e.g. FREQ=MONTHLY;BYDAY=1MO for the first Monday",
        )
    return None


def _texts(parts: dict[str, str], name: str) -> list[str]:
    return parts[name].split(",") if name in parts else []


def _ints(parts: dict[str, str], name: str) -> list[int]:
    return [int(one) for one in _texts(parts, name)]
