"""What is wrong with something that somebody plans, and the checks that all plans share. Pure."""

from __future__ import annotations

import re

from alerts.plain_text import TextFault, hidden_character, one_line
from streams.core.formatting import instant
from streams.core.time_text import moment
from streams.models.timestamps import DAY_MS, MINUTE_MS

MOST_AHEAD_MS = 366 * DAY_MS
"""How long before its begin something may be planned."""
MOST_NOTE = 200

_MOST_PARTS = 2
_ID = re.compile(r"[^\s\x00-\x1f\x7f-\x9f?#\\\"]{1,100}")


class PlanFault(ValueError):
    """Something that cannot be planned: what of it, why, and how to mend it."""

    def __init__(self, field: str, reason: str, hint: str) -> None:
        super().__init__(f"{field}: {reason}; {hint}")
        self.field, self.reason, self.hint = field, reason, hint


def check_name(name: str) -> None:
    """Check the id of a plan; empty: one is made.

    Raises:
        PlanFault: It is none.
    """
    if not name:
        return
    hidden = hidden_character(name)
    if hidden is not None:
        raise PlanFault("id", f"holds {hidden}", "write what people can see and type: deploy-42")
    if not _ID.fullmatch(name):
        raise PlanFault("id", "is no id", "write up to 100 characters without spaces, quotes, ? # and \\: deploy-42")
    # It stands in addresses, where programs resolve dots and undo escapes. The ids of a bound sender begin with its name and a slash.
    parts = name.split("/")
    if len(parts) > _MOST_PARTS or any(part in ("", ".", "..") for part in parts) or "%" in parts[-1]:
        hint = (
            "write at most one / with something on both sides of it, no % behind it, and not . or .. alone: deploy-42"
        )
        raise PlanFault("id", "cannot stand in an address", hint)


def check_person_text(field: str, text: str) -> None:
    """Check the name of who plans.

    Raises:
        PlanFault: It is none.
    """
    if not text.strip():
        raise PlanFault(field, "is no name", f"write who plans it, on one line of at most {MOST_NOTE} characters")
    _check_line(field, text)


def check_note(note: str) -> None:
    """Check why somebody plans.

    Raises:
        PlanFault: It is too long, or of several lines.
    """
    _check_line("note", note)


def _check_line(field: str, text: str) -> None:
    try:
        one_line(text, MOST_NOTE)
    except TextFault as fault:
        raise PlanFault(field, fault.reason, fault.hint) from None


def check_span(what: str, from_ms: int, to_ms: int, now_ms: int, most_ms: int) -> None:
    """Check when something is planned.

    Args:
        what: Its name in words.
        from_ms: Wall time of its begin.
        to_ms: Wall time of its end, excluded.
        now_ms: Wall time.
        most_ms: How long it may be.

    Raises:
        PlanFault: It ends before it begins, is over, too short or too long, or too far ahead.
    """
    year = len({moment(at_ms).year for at_ms in (from_ms, to_ms, now_ms)}) > 1  # where it may be what is wrong
    begin, end = (instant(at_ms, year=year) for at_ms in (from_ms, to_ms))
    if to_ms <= from_ms:
        raise PlanFault("to", f"{end} is not after the begin, {begin}", "write a later end")
    if to_ms <= now_ms:
        raise PlanFault("to", f"{end} is over; it is {instant(now_ms, year=year)}", "write an end that is to come")
    if to_ms - from_ms < MINUTE_MS:
        raise PlanFault("to", f"the {what} is shorter than a minute", "write a later end")
    if to_ms - from_ms > most_ms:
        days = most_ms // DAY_MS
        hint = f"write an end at most {days} days after its begin; plan another {what} for what comes then"
        raise PlanFault("to", f"the {what} is longer than {days} days", hint)
    if from_ms - now_ms > MOST_AHEAD_MS:
        raise PlanFault("from", f"{begin} is more than a year ahead", "plan it later")
