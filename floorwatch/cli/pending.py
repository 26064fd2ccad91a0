"""Breaches that are no incidents yet: their rule has fired, but not yet ``for`` times in a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from floorwatch.output.reader_zone import local_times_in
from streams.core.formatting import plural, printable
from streams.models.timestamps import parse_rfc3339_ms

_NAMED = 3

Records = Sequence[Mapping[str, Any]]


def looks_words(record: Mapping[str, Any], wanted: Mapping[str, int]) -> str:
    """Return ``1 of 2 looks``.

    Args:
        record: A pending incident.
        wanted: Evaluations in a row that each rule takes (``for``); of a rule that is not in it only those done are known.
    """
    looks, rule = int(record["machine"]["streak"]), str(record["rule"])
    # A worker may still run with the rule as it was before: then it takes at least one look more than there were.
    most = max(wanted[rule], looks + 1) if rule in wanted else None
    done = plural(looks, "look") if most is None else f"{looks} of {plural(most, 'look')}"
    return f"{done}, to open again" if record["state"] == "resolved" else done


def pending_lines(records: Records, wanted: Mapping[str, int]) -> list[str]:
    """Return one line for each pending incident: how far it is, what and where, the evidence."""
    lines = [
        f"pending: {looks_words(record, wanted)}  {record['severity']}  {record['title']}  rule {record['rule']}  "
        + local_times_in(record["evidence"], parse_rfc3339_ms(record["updated_at"]))
        for record in records
    ]
    return [printable(line) for line in lines]


def pending_hint(records: Records, wanted: Mapping[str, int]) -> str:
    """Return in one line what is pending, to stand below a list of incidents; empty where nothing is."""
    if not records:
        return ""
    named = "; ".join(f"{record['title']} ({looks_words(record, wanted)})" for record in records[:_NAMED])
    more = f"; and {len(records) - _NAMED} more" if len(records) > _NAMED else ""
    return printable(
        f"Pending, told when their rule has fired `for` times in a row: {named}{more}.  (--pending shows all)"
    )
