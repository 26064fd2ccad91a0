"""What is wrong with something that somebody plans, and the checks that all plans share. Pure."""

from __future__ import annotations

import re

from streams.core.formatting import instant
from streams.models.timestamps import DAY_MS, MINUTE_MS

MOST_AHEAD_MS = 366 * DAY_MS
"""How long before its begin something may be planned."""
MOST_NOTE = 200

_ID = re.compile(r"[^\s\x00-\x1f\x7f-\x9f?#\\\"]{1,100}")
_LINE = re.compile(r"[^\x00-\x1f\x7f-\x9f]*")


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
    if name and not _ID.fullmatch(name):
        raise PlanFault("id", "is no id", "write up to 100 characters without spaces, quotes, ? # and \\: deploy-42")


def check_person_text(field: str, text: str) -> None:
    """Check the name of who plans.

    Raises:
        PlanFault: It is none.
    """
    if not text.strip() or len(text) > MOST_NOTE or not _LINE.fullmatch(text):
        raise PlanFault(field, "is no name", f"write who plans it, on one line of at most {MOST_NOTE} characters")


def check_note(note: str) -> None:
    """Check why somebody plans.

    Raises:
        PlanFault: It is too long, or of several lines.
    """
    if len(note) > MOST_NOTE or not _LINE.fullmatch(note):
        raise PlanFault("note", "is too long, or not one line", f"write at most {MOST_NOTE} characters on one line")


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
    if to_ms <= from_ms:
        raise PlanFault("to", f"{instant(to_ms)} is not after the begin, {instant(from_ms)}", "write a later end")
    if to_ms <= now_ms:
        raise PlanFault("to", f"{instant(to_ms)} is over; it is {instant(now_ms)}", "write an end that is to come")
    if to_ms - from_ms < MINUTE_MS:
        raise PlanFault("to", f"the {what} is shorter than a minute", "write a later end")
    if to_ms - from_ms > most_ms:
        days = most_ms // DAY_MS
        hint = f"write an end at most {days} days after its begin; plan another {what} for what comes then"
        raise PlanFault("to", f"the {what} is longer than {days} days", hint)
    if from_ms - now_ms > MOST_AHEAD_MS:
        raise PlanFault("from", f"{instant(from_ms)} is more than a year ahead", "plan it later")
