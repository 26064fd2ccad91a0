"""When a task is due, as its data says it: with a zone, or in the zone of the settings."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from streams.models.timestamps import BadTimestamp, parse_local, parse_rfc3339

_LOCAL = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?", re.ASCII)


class BadDueTime(ValueError):
    """The text is no due time. Operator: the message goes on after the name of the field, and says how to write one."""


def due_time(said: str, zone: str | None) -> datetime:
    """Return a due time.

    A local time that a change of clocks shows twice is the first of the two; one that it leaves out is as long after the change
    as the text says by the clock before it. Source of both: RFC 5545, section 3.3.5.

    Args:
        said: RFC 3339, or the same without a zone; a space for ``T`` and no seconds are accepted.
        zone: IANA name for texts without a zone; None where none is configured.

    Returns:
        The time, with its own zone, or in UTC where the text has none.

    Raises:
        BadDueTime: It is no time, or a day alone, or has no zone where none is configured.

    Example:
        >>> due_time("2026-11-23T18:00", "Asia/Kuala_Lumpur").isoformat()
        '2026-11-23T10:00:00+00:00'
    """
    try:
        return parse_rfc3339(said)
    except BadTimestamp:
        pass  # the usual case here: no zone
    local = said.strip().upper()
    if not _LOCAL.fullmatch(local):
        raise BadDueTime("is no time of a day: write for example 2026-11-22T18:00:00Z")
    if zone is None:
        raise BadDueTime(
            "has no zone: write Z for UTC or an offset such as +08:00, or set gateway.label_studio.due_zone"
        )
    try:
        return parse_local(local).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except BadTimestamp:
        raise BadDueTime("is a time that no calendar has") from None
    except OverflowError:
        raise BadDueTime("is at the end of the calendar, where its zone cannot be taken off") from None
