"""What people did about an incident, and its state, as lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.view import instant_ms
from floorwatch.cli.incident_told import woken_words
from floorwatch.output.reader_zone import local_instant
from streams.core.formatting import printable, printable_words

_WHAT = {
    "owner": "assigned",
    "link": "gave a link",
    "comment": "commented",
    "escalate": "escalated",
    "snooze": "snoozed",
    "merge": "merged",
    "unmerge": "unmerged",
    "useful": "marked useful",
    "not_useful": "marked not useful",
}
_WAYS = {"link": "a message's link", "slack": "Slack", "api": "the API"}


def act_lines(act: Mapping[str, Any], titles: Mapping[str, str]) -> list[str]:
    """Return an action as lines: when, what, who, by which way and why; further lines of a comment below.

    Args:
        act: As the record of an incident has it.
        titles: Titles of incidents by key.
    """
    target, what = str(act.get("target") or ""), str(act["what"])
    words = f"{_WHAT.get(what, what)}{_object(what, target, titles)} by {act['by']}"
    if act.get("until") and what in ("silence", "snooze"):
        words += f" until {local_instant(instant_ms(act['until']))}"
    if way := _WAYS.get(str(act.get("via"))):
        words += f", by {way}"
    first, *more = str(act.get("note") or "").splitlines() or [""]
    head = f"  {local_instant(instant_ms(act['at']))}  {printable(words)}" + (
        f": {printable_words(first)}" if first else ""
    )
    return [head, *(f"    {printable_words(line)}" for line in more)]


def _object(what: str, target: str, titles: Mapping[str, str]) -> str:
    match what:
        case "owner":
            return f" to {target}" if target else " to nobody"
        case "link":
            return f" ({target})"
        case "merge":
            return f" into {titles.get(target, target)}"
    return ""


def state_words(record: dict[str, Any]) -> str:
    """Return an incident's state and by whom: ``acknowledged by mei``, ``escalated, tier 2, silenced until …``."""
    machine, state = record.get("machine", {}), str(record["state"])
    words = [state]
    if state == "acknowledged":
        words = [f"{state} by {machine.get('acknowledged_by')}"]
    words += [f"tier {machine['tier']}"] if machine.get("tier") else []
    words += ["flapping"] if machine.get("flapping") else []
    if machine.get("silenced_until_ms") is not None:
        words.append(f"silenced until {local_instant(machine['silenced_until_ms'])}")
    if machine.get("snooze"):
        words.append(f"snoozed until {local_instant(machine['snooze']['until_ms'])}")
    words += [woken] if (woken := woken_words(record)) else []
    if record.get("merged_into") and state != "resolved":
        words.append(f"merged into {record['merged_into'][:12]}")
    if record.get("owner"):
        words.append(f"owner {record['owner']}")
    return ", ".join(words)
